//! `cargo xtask bench-peers`: the same load on ours and on Garage, by turns, in one table.
//!
//! ```text
//!   for each load:   with-server ─ cairn bench ─┐
//!                    with-peer garage ─ cairn bench ─┴─> a line: both, and how many times dearer theirs is
//! ```
//!
//! Both run on this machine with one data directory. Ours answers after its fdatasync; Garage's default does
//! not sync at all (`metadata_fsync` and `data_fsync` are off).

use std::process::Command;

use super::Bench;
use crate::console;
use crate::measured::Measured;
use crate::subprocess::run_quiet;

/// Arguments of `cairn bench`: a fresh server for each.
const LOADS: [&[&str]; 3] = [
    &[
        "put",
        "get",
        "head",
        "list",
        "delete",
        "--size",
        "4KiB",
        "--clients",
        "16",
        "--objects",
        "1000",
    ],
    &[
        "put",
        "get",
        "--size",
        "8MiB",
        "--clients",
        "16",
        "--objects",
        "32",
    ],
    &[
        "put",
        "get",
        "--size",
        "64MiB",
        "--clients",
        "2",
        "--objects",
        "8",
    ],
];
const TIMES: [&str; 4] = ["--seconds", "8", "--warm-up", "2"];

/// Prints the table; whether every load was carried out on both.
pub(super) fn run(bench: &Bench<'_>) -> bool {
    let release = ["build", "--locked", "--release", "-p", "cairn"];
    if !bench.cargo(&release).success {
        return false;
    }
    console::say(&header());
    LOADS.iter().all(|load| {
        let (Some(ours), Some(theirs)) = (ours(bench, load), theirs(bench, load)) else {
            return false;
        };
        let lines = ours
            .iter()
            .zip(&theirs)
            .map(|(ours, theirs)| line(ours, theirs));
        lines.for_each(|line| console::say(&line));
        ours.len() == theirs.len()
    })
}

fn ours(bench: &Bench<'_>, load: &[&str]) -> Option<Vec<Measured>> {
    let cairn = bench.target.join("release/cairn");
    let mut command = Command::new(bench.binaries().join("with-server"));
    command.env("CAIRN_BIN", &cairn).arg("--").arg(&cairn);
    measured(bench, &mut command, load)
}

fn theirs(bench: &Bench<'_>, load: &[&str]) -> Option<Vec<Measured>> {
    let mut command = Command::new(bench.binaries().join("cairn-compat-suite"));
    command
        .args(["with-peer", "garage", "--tools"])
        .arg(bench.clients());
    command.arg("--").arg(bench.target.join("release/cairn"));
    measured(bench, &mut command, load)
}

fn measured(bench: &Bench<'_>, command: &mut Command, load: &[&str]) -> Option<Vec<Measured>> {
    command.arg("bench").args(load).args(TIMES).arg("--json");
    let finished = run_quiet(command, bench.repository.root());
    if !finished.success {
        console::say(&finished.output);
        return None;
    }
    Some(
        finished
            .output
            .lines()
            .filter_map(Measured::parse)
            .collect(),
    )
}

fn header() -> String {
    format!(
        "{:<28}{:>10}{:>12}{:>10}{:>10}{:>12}{:>10}{:>10}",
        "", "cairn /s", "cpu us", "p50 us", "garage /s", "cpu us", "p50 us", "dearer"
    )
}

fn line(ours: &Measured, theirs: &Measured) -> String {
    let Measured {
        work,
        size,
        clients,
        ..
    } = ours;
    format!(
        "{:<28}{:>10.0}{:>12.1}{:>10.0}{:>10.0}{:>12.1}{:>10.0}{:>9.1}x",
        format!("{work} {size} B, {clients} clients"),
        ours.per_second,
        ours.server,
        ours.p50,
        theirs.per_second,
        theirs.server,
        theirs.p50,
        theirs.server / ours.server
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_many_times_dearer_theirs_is() {
        let ours = Measured {
            work: "get".to_owned(),
            size: 4_096,
            clients: 16,
            per_second: 20_000.0,
            p50: 700.0,
            p99: 900.0,
            server: 40.0,
            load: 20.0,
        };
        let theirs = Measured {
            server: 740.0,
            ..ours.clone()
        };
        let line = line(&ours, &theirs);
        assert!(
            line.starts_with("get 4096 B, 16 clients") && line.ends_with("18.5x"),
            "{line}"
        );
        assert_eq!(header().chars().count(), line.chars().count());
    }
}
