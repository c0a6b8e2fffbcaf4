//! Unit, property and process tests of every crate, by nextest or, without it, `cargo test`.

use super::tally::{self, Tally};
use super::{Bench, Length, skips};
use crate::console;
use crate::subprocess::on_path;

pub(super) fn run(bench: &Bench<'_>) -> Tally {
    skips::forget(&bench.target);
    let tally = if on_path("cargo-nextest").is_some() {
        by_nextest(bench)
    } else {
        by_cargo(bench)
    };
    if bench.length == Length::Short {
        let repository = bench.repository;
        let sources = repository.files(&repository.paths(), "rs");
        for reason in skips::ignored(&sources) {
            console::say(&format!("skipped: {reason} (runs with --long)"));
        }
    }
    tally.with_skipped(skips::print(&bench.target))
}

fn by_nextest(bench: &Bench<'_>) -> Tally {
    let mut arguments = vec![
        "nextest",
        "run",
        "--workspace",
        "--locked",
        "--no-fail-fast",
    ];
    if bench.length == Length::Long {
        arguments.extend(["--profile", "long", "--run-ignored", "all"]);
    }
    let finished = bench.cargo(&arguments);
    Tally::of_run(tally::nextest(&finished.output), finished.success)
}

fn by_cargo(bench: &Bench<'_>) -> Tally {
    let mut arguments = vec![
        "test",
        "--workspace",
        "--locked",
        "--lib",
        "--bins",
        "--tests",
    ];
    arguments.extend(["--no-fail-fast", "--"]);
    if bench.length == Length::Long {
        arguments.push("--include-ignored");
    }
    let finished = bench.cargo(&arguments);
    Tally::of_run(tally::libtest(&finished.output), finished.success)
}
