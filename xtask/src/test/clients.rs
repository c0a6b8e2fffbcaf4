//! Real S3 clients: pip packages in a virtual environment under the target folder, Debian packages
//! where we are root. A developer without a network loses them with a printed reason (the tests
//! that need them skip); in CI a missing client is a failure.

use std::path::Path;
use std::process::Command;

use super::Bench;
use super::tally::Tally;
use crate::console;
use crate::subprocess::{Finished, on_path, run_quiet, run_shown};

/// The newest generation, pinned.
const PIP: [&str; 2] = ["awscli==1.46.2", "boto3==1.44.5"];

/// (file that shows it is there, Debian package).
const APT: [(&str, &str); 6] = [
    ("/usr/bin/aws", "awscli"),
    ("/usr/bin/s3cmd", "s3cmd"),
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

/// Installs what is missing, and prints and gives what could not be.
pub(super) fn problems(bench: &Bench<'_>) -> Vec<String> {
    let results = [from_pip(bench), from_apt(bench)];
    let problems: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    for problem in &problems {
        console::say(&format!("clients: {problem}"));
    }
    if problems.is_empty() {
        console::say("clients: all there");
    }
    problems
}

fn from_pip(bench: &Bench<'_>) -> Result<(), String> {
    let environment = bench.clients().join("venv");
    let stamp = environment.join("installed");
    let wanted = PIP.join(" ");
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    let python = on_path("python3").ok_or("no python3 on the path")?;
    let root = bench.repository.root();
    let mut make = Command::new(python);
    make.args(["-m", "venv", "--clear"]).arg(&environment);
    done(&run_shown(&mut make, root), "python3 -m venv")?;
    let mut pip = Command::new(environment.join("bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ])
    .args(PIP);
    done(&run_shown(&mut pip, root), "pip install")?;
    std::fs::write(&stamp, wanted).map_err(|why| why.to_string())
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
