//! The compat-suite: real clients and its own cases against a server that lives as long as the run,
//! and against a peer; what they found against what is committed.
//!
//! ```text
//! with-server ─ compat-suite clients ─► cairn.tsv ─┐
//!           compat-suite clients --peer moto ─► moto.tsv ─┴─ compat-suite results ─► tally
//! ```

use std::path::PathBuf;
use std::process::Command;

use super::tally::{self, Tally};
use super::{Bench, Length, clients};
use crate::subprocess::run_shown;

/// Driven against the peer at every run: all but those that take a minute.
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

fn compared(bench: &Bench<'_>, accept: &str) -> Tally {
    let root = bench.repository.root();
    let out = bench.target.join("compat");
    let suite = bench.binaries().join("cairn-compat-suite");
    let ours = out.join("cairn.tsv");
    let theirs = out.join("moto.tsv");
    let _ = std::fs::create_dir_all(&out);
    for old in [&ours, &theirs] {
        let _ = std::fs::remove_file(old);
    }
    // A fresh server, whose endpoint and credentials the suite finds in its environment.
    let mut with_server = Command::new(bench.binaries().join("with-server"));
    with_server.arg("--").arg(&suite);
    with_server.env("CAIRN_BIN", bench.binaries().join("cairn"));
    let mut peer = Command::new(&suite);
    for command in [&mut with_server, &mut peer] {
        command.arg("clients").arg("--tools").arg(bench.clients());
        command
            .arg("--sources")
            .arg(root.join("compat-suite/clients"));
        command.arg("--rust-sdks").arg(clients::rust_sdks(bench));
        command.arg("--out").arg(&out);
    }
    peer.args(["--peer", "moto"]);
    if bench.length == Length::Short {
        peer.args(["--only", BRIEF]);
    }
    let ran = run_shown(&mut with_server, root).success;
    // Without a network there is no peer, and no comparison with one.
    let compared = run_shown(&mut peer, root).success;
    let mut results = Command::new(&suite);
    results.arg("results").arg("--root").arg(root);
    results.args(["--accept", accept].into_iter().filter(|_| accept == "yes"));
    let fresh = [("cairn", ours, ran), ("moto", theirs, compared)];
    for (subject, file, there) in fresh {
        if there {
            results.arg("--fresh").arg(named(subject, file));
        }
    }
    let finished = run_shown(&mut results, root);
    let tally = Tally::of_run(tally::plain(&finished.output), finished.success);
    let missing = Tally::of_exit(ran) + Tally::of_exit(compared || !bench.strict);
    tally + missing
}

fn named(subject: &str, file: PathBuf) -> String {
    format!("{subject}={}", file.display())
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
