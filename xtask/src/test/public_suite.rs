//! The public S3 suite (ceph/s3-tests), which is no part of this repository: `--long` runs it where
//! its runner and a clone of it are at hand, and says what is missing where not.
//!
//! ```text
//! with-server ─ s3tests-run ─► results.tsv ─ cairn-compat-suite report ─► target/…/REPORT.md
//!                                                  │
//!                            a failure that compat-suite/reasons.toml explains is a skipped test,
//!                            any other, and a reason without a failure, is a failed one
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tally::Tally;
use super::{Bench, Length};
use crate::console;
use crate::subprocess::run_shown;

/// What the runner and its lists are called, in a folder beside the repository.
const RUNNER: &str = "s3tests-run";
const BOOTSTRAP: &str = "bootstrap.toml";

pub(super) fn run(bench: &Bench<'_>) -> Tally {
    if bench.length == Length::Short {
        console::say("skipped: public suite (runs with --long)");
        return Tally::default();
    }
    let given = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let beside = bench.repository.root().join("../shared/conformance");
    let folder = given("CAIRN_CONFORMANCE").unwrap_or(beside);
    let clone = given("S3TESTS_REPO").or_else(|| given("S3TESTS_DIR"));
    match missing(&folder, clone.as_deref()) {
        Some(why) => {
            console::say(&format!("skipped: public suite: {why}"));
            Tally {
                skipped: 1,
                ..Tally::default()
            }
        }
        None => suite(bench, &folder),
    }
}

/// Why the suite cannot run here.
fn missing(folder: &Path, clone: Option<&Path>) -> Option<String> {
    if !folder.join(RUNNER).is_file() {
        let folder = folder.display();
        return Some(format!("no {RUNNER} in {folder} (or in CAIRN_CONFORMANCE)"));
    }
    let clone = clone.filter(|clone| clone.exists());
    clone
        .is_none()
        .then(|| "neither S3TESTS_REPO nor S3TESTS_DIR names a clone of ceph/s3-tests".to_owned())
}

fn suite(bench: &Bench<'_>, folder: &Path) -> Tally {
    let out = bench.target.join("public-suite");
    let results = out.join("results.tsv");
    let _ = std::fs::remove_file(&results);
    let mut command = Command::new(bench.binaries().join("with-server"));
    command.arg("--bootstrap").arg(folder.join(BOOTSTRAP));
    command.arg("--").arg(folder.join(RUNNER));
    command.args(["--endpoint", "{address}", "--select", "open", "--out"]);
    command
        .arg(&out)
        .env("CAIRN_BIN", bench.binaries().join("cairn"));
    // Its exit code tells whether everything passed, which the reasons judge better.
    run_shown(&mut command, bench.repository.root());
    let Some(counts) = std::fs::read_to_string(&results)
        .ok()
        .and_then(|text| score(&text))
    else {
        console::say("public suite: it left no results");
        return Tally::of_exit(false);
    };
    let mut command = Command::new(bench.binaries().join("cairn-compat-suite"));
    command
        .arg("report")
        .args(["--reasons", "compat-suite/reasons.toml"]);
    command
        .arg("--run")
        .arg(format!("http={}", results.display()));
    let list = folder.join("s3tests/core.txt");
    command
        .arg("--list")
        .arg(format!("core={}", list.display()));
    command
        .arg("--revision")
        .arg(folder.join("s3tests/REVISION"));
    command.arg("--out").arg(out.join("REPORT.md"));
    let report = run_shown(&mut command, bench.repository.root());
    judged(counts, report.success, &report.output)
}

/// (passed, not passed) of a `results.tsv`.
fn score(results: &str) -> Option<(u64, u64)> {
    let outcomes = results
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split('\t').nth(3));
    let counts = outcomes.fold((0, 0), |(passed, not), outcome| match outcome {
        "pass" => (passed + 1, not),
        _ => (passed, not + 1),
    });
    (counts != (0, 0)).then_some(counts)
}

/// What the report leaves unexplained has failed: it says so in a line each.
fn judged((passed, not): (u64, u64), explained: bool, output: &str) -> Tally {
    let complaints = output.lines().filter(|line| !line.is_empty()).count() as u64;
    let failed = if explained { 0 } else { complaints.max(1) };
    Tally {
        passed,
        failed,
        skipped: not.saturating_sub(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_missing() {
        let folder = std::env::temp_dir().join(format!("conformance-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let why = missing(&folder, Some(&folder)).unwrap();
        assert!(why.starts_with("no s3tests-run in "), "{why}");
        std::fs::write(folder.join(RUNNER), "").unwrap();
        let why = missing(&folder, None).unwrap();
        assert!(why.contains("S3TESTS_REPO"), "{why}");
        assert!(missing(&folder, Some(Path::new("/no/such/clone"))).is_some());
        assert_eq!(missing(&folder, Some(&folder)), None);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn counts_results() {
        let text = "#name\ta\ts\tpass\na\tx\topen\tpass\t1\nb\tx\topen\tfail\t1\nc\tx\topen\tskip\n\
                    # passed 1 of 3\n";
        assert_eq!(score(text), Some((1, 2)));
        assert_eq!(score("# nothing\n"), None);
    }

    #[test]
    fn explained_failures_are_skipped_and_others_fail() {
        let tally = |passed, failed, skipped| Tally {
            passed,
            failed,
            skipped,
        };
        assert_eq!(judged((5, 3), true, ""), tally(5, 0, 3));
        let complaints = "a fails over http without a reason\nb has a reason and does not fail\n";
        assert_eq!(judged((5, 3), false, complaints), tally(5, 2, 1));
        assert_eq!(judged((5, 0), false, ""), tally(5, 1, 0));
    }
}
