//! The compat-suite: real clients and its own cases against a server that lives as long as the run,
//! and against peers; what they found against what is committed.
//!
//! ```text
//! with-server ─ compat-suite clients ─► cairn.tsv ─┐
//!    compat-suite clients --peer moto ─► moto.tsv ─┼─ compat-suite results ─► tally
//!           … --peer garage ─► garage.tsv (--long) ─┘
//! ```

use std::process::Command;

use super::tally::{self, Tally};
use super::{Bench, Length, clients};
use crate::subprocess::run_shown;

/// Driven against a peer at every run: all but those that take a minute.
const BRIEF: &str =
    "cases,boto3,boto3-debian,minio-py,minio-js,s3cmd,s5cmd,curl,aws-sdk-s3,object_store,survey";

pub(super) fn run(bench: &Bench<'_>) -> Tally {
    let tally = compared(bench, "no");
    tally + sdk_tests(bench)
}

/// Runs everything and takes what is found as what is so.
pub(super) fn accept(bench: &Bench<'_>) -> Tally {
    compared(bench, "yes")
}

/// The servers that ours stands beside. Garage takes a quarter of an hour to compile.
fn peers(length: Length) -> &'static [&'static str] {
    match length {
        Length::Short => &["moto"],
        Length::Long => &["moto", "garage"],
    }
}

fn compared(bench: &Bench<'_>, accept: &str) -> Tally {
    let root = bench.repository.root();
    let suite = bench.binaries().join("cairn-compat-suite");
    let mut results = Command::new(&suite);
    results.arg("results").arg("--root").arg(root);
    results.args(["--accept", accept].into_iter().filter(|_| accept == "yes"));
    // A fresh server, whose endpoint and credentials the suite finds in its environment.
    let mut with_server = Command::new(bench.binaries().join("with-server"));
    with_server.arg("--").arg(&suite);
    with_server.env("CAIRN_BIN", bench.binaries().join("cairn"));
    let ours = driven(bench, with_server, "cairn", &[]);
    let mut missing = Tally::of_exit(ours.is_some());
    let mut fresh = vec![ours];
    for peer in peers(bench.length) {
        let brief: &[&str] = match bench.length {
            Length::Short => &["--only", BRIEF],
            Length::Long => &[],
        };
        let more = [&["--peer", peer], brief].concat();
        let theirs = driven(bench, Command::new(&suite), peer, &more);
        // Without a network there is no peer, and no comparison with one.
        missing = missing + Tally::of_exit(theirs.is_some() || !bench.strict);
        fresh.push(theirs);
    }
    for found in fresh.into_iter().flatten() {
        results.arg("--fresh").arg(found);
    }
    let finished = run_shown(&mut results, root);
    Tally::of_run(tally::plain(&finished.output), finished.success) + missing
}

/// Drives the clients against one server; gives `subject=file` of what they found.
fn driven(bench: &Bench<'_>, mut suite: Command, subject: &str, more: &[&str]) -> Option<String> {
    let root = bench.repository.root();
    let out = bench.target.join("compat");
    let file = out.join(format!("{subject}.tsv"));
    let _ = std::fs::create_dir_all(&out);
    let _ = std::fs::remove_file(&file);
    suite.arg("clients").arg("--tools").arg(bench.clients());
    suite
        .arg("--sources")
        .arg(root.join("compat-suite/clients"));
    suite.arg("--rust-sdks").arg(clients::rust_sdks(bench));
    suite.arg("--out").arg(&out).args(more);
    let ran = run_shown(&mut suite, root).success;
    ran.then(|| format!("{subject}={}", file.display()))
}

/// The few tests of the Rust SDKs' runner, which is in no workspace of ours.
fn sdk_tests(bench: &Bench<'_>) -> Tally {
    if !clients::rust_sdks(bench).exists() {
        return Tally::default();
    }
    let target = bench.target.join("rust-sdks");
    let target = target.to_string_lossy();
    let manifest = "compat-suite/rust-sdks/Cargo.toml";
    let finished = bench.cargo(&[
        "test",
        "--quiet",
        "--locked",
        "--manifest-path",
        manifest,
        "--target-dir",
        &target,
    ]);
    Tally::of_run(tally::libtest(&finished.output), finished.success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garage_stands_beside_ours_in_the_long_run_alone() {
        assert_eq!(peers(Length::Short), ["moto"]);
        assert_eq!(peers(Length::Long), ["moto", "garage"]);
    }
}
