//! What a few requests cost in processor time, against what they cost when it was last accepted.
//!
//! ```text
//!   with-server ─ cairn bench --json ─► server's time / load's time, for each work ─┐
//!                                      docs/performance-guard.tsv ─────────────────┴─► test
//! ```
//!
//! The load is our own code in the same build on the same machine, so that the ratio of the two says
//! something on any machine, however busy. It is a guard against what makes a request cost half as much
//! again, not a benchmark: those are `cairn bench` and `docs/performance.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Bench;
use super::tally::Tally;
use crate::console;
use crate::measured::Measured;
use crate::subprocess::run_shown;

/// What was accepted: work, bytes of an object, ratio.
const STORED: &str = "docs/performance-guard.tsv";
/// How much dearer a request may be than when it was accepted.
const MARGIN: f64 = 1.6;
const HEADER: &str = "work\tsize\tserver's processor time / the load's";

/// What is measured: arguments of `cairn bench`.
const LOADS: [&[&str]; 2] = [
    &[
        "head",
        "get",
        "list",
        "put",
        "--size",
        "4KiB",
        "--clients",
        "8",
        "--objects",
        "1000",
    ],
    &[
        "put",
        "get",
        "--size",
        "1MiB",
        "--clients",
        "8",
        "--objects",
        "16",
    ],
];
const TIMES: [&str; 4] = ["--seconds", "4", "--warm-up", "1"];

/// Ratios by work and bytes of an object.
type Ratios = BTreeMap<(String, u64), f64>;

/// One test for each path.
pub(super) fn run(bench: &Bench<'_>) -> Tally {
    let Some(measured) = measure(bench) else {
        return Tally::of_exit(false);
    };
    let text = std::fs::read_to_string(stored(bench)).unwrap_or_default();
    let Some(accepted) = parse(&text) else {
        console::say(&format!("{STORED} cannot be read"));
        return Tally::of_exit(false);
    };
    let mut tally = Tally::default();
    for (path, verdict) in judge(&accepted, &measured) {
        console::say(&verdict.to_line(&path));
        let good = u64::from(verdict.is_good());
        let counted = Tally {
            passed: good,
            failed: 1 - good,
            skipped: 0,
        };
        tally = tally + counted;
    }
    tally
}

/// Writes down what is measured now as what is so.
pub(super) fn accept(bench: &Bench<'_>) -> bool {
    let measured = measure(bench);
    measured.is_some_and(|ratios| std::fs::write(stored(bench), render(&ratios)).is_ok())
}

fn stored(bench: &Bench<'_>) -> PathBuf {
    bench.repository.root().join(Path::new(STORED))
}

fn measure(bench: &Bench<'_>) -> Option<Ratios> {
    let cairn = bench.binaries().join("cairn");
    let mut ratios = Ratios::new();
    for load in LOADS {
        let mut command = Command::new(bench.binaries().join("with-server"));
        command.env("CAIRN_BIN", &cairn).arg("--").arg(&cairn);
        command.arg("bench").args(load).args(TIMES).arg("--json");
        let finished = run_shown(&mut command, bench.repository.root());
        if !finished.success {
            return None;
        }
        ratios.extend(finished.output.lines().filter_map(ratio));
    }
    Some(ratios)
}

/// Of one line of `cairn bench --json`.
fn ratio(line: &str) -> Option<((String, u64), f64)> {
    let measured = Measured::parse(line).filter(|measured| measured.load > 0.0)?;
    let ratio = measured.server / measured.load;
    Some(((measured.work, measured.size), ratio))
}

fn parse(text: &str) -> Option<Ratios> {
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        return None;
    }
    let row = |line: &str| {
        let mut fields = line.split('\t');
        let path = (fields.next()?.to_owned(), fields.next()?.parse().ok()?);
        Some((path, fields.next()?.parse().ok()?))
    };
    lines.map(row).collect()
}

fn render(ratios: &Ratios) -> String {
    let rows = ratios
        .iter()
        .map(|((work, size), ratio)| format!("{work}\t{size}\t{ratio:.2}\n"));
    std::iter::once(format!("{HEADER}\n")).chain(rows).collect()
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Good {
        accepted: f64,
        measured: f64,
    },
    Dearer {
        accepted: f64,
        measured: f64,
    },
    /// It stands in one of the two only.
    Unknown,
}

impl Verdict {
    fn is_good(&self) -> bool {
        matches!(self, Self::Good { .. })
    }

    fn to_line(&self, (work, size): &(String, u64)) -> String {
        match self {
            Self::Good { accepted, measured } => {
                format!("ok      {work} of {size} bytes: {measured:.2}, accepted {accepted:.2}")
            }
            Self::Dearer { accepted, measured } => format!(
                "DEARER  {work} of {size} bytes: {measured:.2}, accepted {accepted:.2}: look with `cairn bench` and \
                 perf, or accept it with `cargo xtask guard --accept`"
            ),
            Self::Unknown => format!(
                "UNKNOWN {work} of {size} bytes: measured or accepted, not both: `cargo xtask guard --accept`"
            ),
        }
    }
}

fn judge(accepted: &Ratios, measured: &Ratios) -> Vec<((String, u64), Verdict)> {
    let mut paths: Vec<_> = accepted.keys().chain(measured.keys()).cloned().collect();
    paths.sort();
    paths.dedup();
    let of = |path: (String, u64)| {
        let verdict = match (accepted.get(&path), measured.get(&path)) {
            (Some(&accepted), Some(&measured)) if measured <= accepted * MARGIN => {
                Verdict::Good { accepted, measured }
            }
            (Some(&accepted), Some(&measured)) => Verdict::Dearer { accepted, measured },
            _ => Verdict::Unknown,
        };
        (path, verdict)
    };
    paths.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratios(rows: &[(&str, f64)]) -> Ratios {
        rows.iter()
            .map(|(work, ratio)| (((*work).to_owned(), 4_096), *ratio))
            .collect()
    }

    #[test]
    fn a_ratio_is_the_servers_to_the_loads() {
        let line = |load: f64| {
            format!(
                r#"{{"work":"head","size":4096,"clients":8,"per_second":1.0,"p50":1.0,"p99":1.0,"server_micros_per_request":30.0,"load_micros_per_request":{load:?}}}"#
            )
        };
        assert_eq!(ratio(&line(12.0)), Some((("head".to_owned(), 4_096), 2.5)));
        assert_eq!(ratio(&line(0.0)), None);
        assert_eq!(ratio("else"), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let some = ratios(&[("get", 2.25), ("put", 7.5)]);
        assert_eq!(parse(&render(&some)), Some(some));
        assert_eq!(parse(""), None);
        assert_eq!(parse(&format!("{HEADER}\nget\tx\t1\n")), None);
    }

    #[test]
    fn what_costs_more_than_the_margin_is_told() {
        let accepted = ratios(&[("get", 2.0), ("head", 2.0), ("list", 2.0)]);
        let measured = ratios(&[("get", 3.1), ("head", 3.3), ("put", 1.0)]);
        let verdicts: Vec<_> = judge(&accepted, &measured)
            .into_iter()
            .map(|(path, verdict)| (path.0, verdict))
            .collect();
        assert_eq!(
            verdicts,
            [
                (
                    "get".to_owned(),
                    Verdict::Good {
                        accepted: 2.0,
                        measured: 3.1
                    }
                ),
                (
                    "head".to_owned(),
                    Verdict::Dearer {
                        accepted: 2.0,
                        measured: 3.3
                    }
                ),
                ("list".to_owned(), Verdict::Unknown),
                ("put".to_owned(), Verdict::Unknown),
            ]
        );
        let good = verdicts
            .iter()
            .filter(|(_, verdict)| verdict.is_good())
            .count();
        assert_eq!(good, 1);
    }
}
