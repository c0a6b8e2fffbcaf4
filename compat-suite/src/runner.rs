//! Runs every case in a bucket of its own, and counts.

use std::io::Write;

use crate::cases::{self, Case, Scene};
use crate::client::Client;
use crate::expectation::Outcome;
use crate::timestamp;

/// How many cases there were and how many passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    /// Cases that passed.
    pub passed: usize,
    /// Cases that ran.
    pub ran: usize,
}

/// Runs the cases whose `operation/behaviour` contains `filter`, writing one line for each and
/// `passed X of Y` at the end.
///
/// # Errors
/// Where `out` cannot be written.
pub fn run(client: &Client, filter: &str, out: &mut impl Write) -> std::io::Result<Score> {
    run_cases(&cases::all(), client, filter, out)
}

/// Plays the cases whose `operation/behaviour` contains `filter`, and tells of each how it ended.
pub fn play(client: &Client, filter: &str, mut told: impl FnMut(&Case, Outcome)) {
    for (case, played) in played(&cases::all(), client, filter) {
        told(case, played);
    }
}

/// Each case in turn, in a bucket that nobody else uses.
fn played<'c>(
    cases: &'c [Case],
    client: &Client,
    filter: &str,
) -> impl Iterator<Item = (&'c Case, Outcome)> {
    let run = timestamp::nanoseconds();
    let wanted = cases
        .iter()
        .filter(move |case| case.name().contains(filter));
    wanted.enumerate().map(move |(number, case)| {
        let bucket = format!("compat-{run}-{number}");
        (
            case,
            Scene::open(client, &bucket).and_then(|scene| scene.play(case)),
        )
    })
}

fn run_cases(
    cases: &[Case],
    client: &Client,
    filter: &str,
    out: &mut impl Write,
) -> std::io::Result<Score> {
    let mut score = Score::default();
    for (case, played) in played(cases, client, filter) {
        score.ran += 1;
        match played {
            Ok(()) => {
                score.passed += 1;
                writeln!(out, "ok      {}", case.name())?;
            }
            Err(failure) => {
                let (name, source) = (case.name(), case.source);
                writeln!(out, "FAILED  {name} [{source}]: {}", failure.0)?;
            }
        }
    }
    writeln!(out, "passed {} of {}", score.passed, score.ran)?;
    Ok(score)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectation::Failure;

    #[test]
    fn a_case_without_a_server_fails_and_is_counted() {
        let client = Client::new("http://127.0.0.1:9", "a", "s").unwrap();
        let case = |behaviour| Case {
            operation: "PutObject",
            behaviour,
            source: "API_PutObject",
            run: |_| Err(Failure("never".into())),
        };
        let mut printed = Vec::new();
        let cases = [case("one"), case("two")];
        let score = run_cases(&cases, &client, "/two", &mut printed).unwrap();
        assert_eq!(score, Score { passed: 0, ran: 1 });
        let printed = String::from_utf8(printed).unwrap();
        assert!(printed.starts_with("FAILED  PutObject/two [API_PutObject]: cannot connect"));
        assert!(printed.ends_with("passed 0 of 1\n"));
    }
}
