//! What a fresh run found otherwise than the committed results say.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{Outcome, Row};

/// A comparison.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// A line for each case that ended otherwise, is new, or is gone.
    pub breaches: Vec<String>,
    /// Clients that could not run here, with why.
    pub absent: Vec<String>,
    /// Cases that passed, as committed.
    pub passed: usize,
    /// Cases that failed, as committed.
    pub known: usize,
}

/// The rows of one client by `operation/case`.
type Cases<'r> = BTreeMap<String, &'r Row>;

fn by_client(rows: &[Row]) -> BTreeMap<&str, Cases<'_>> {
    let mut clients: BTreeMap<&str, Cases<'_>> = BTreeMap::new();
    for row in rows {
        clients
            .entry(&row.client)
            .or_default()
            .insert(row.name(), row);
    }
    clients
}

/// Compares the clients of the fresh run; those that were not asked to run are passed over.
#[must_use]
pub fn between(committed: &[Row], fresh: &[Row]) -> Drift {
    let committed = by_client(committed);
    let none = Cases::new();
    let mut drift = Drift::default();
    for (client, found) in by_client(fresh) {
        let known = committed.get(client).unwrap_or(&none);
        let skipped = |cases: &Cases<'_>| cases.values().all(|row| row.outcome == Outcome::Skipped);
        if skipped(&found) && !skipped(known) {
            let why = found.values().next().map_or("", |row| row.why.as_str());
            drift.absent.push(format!("{client}: {why}"));
            continue;
        }
        for name in found.keys().chain(known.keys()).collect::<BTreeSet<_>>() {
            let pair = (known.get(name), found.get(name));
            match breach(pair) {
                Some(what) => drift.breaches.push(format!("{client}: {name}: {what}")),
                None => {
                    let outcome = pair.1.map(|row| row.outcome);
                    drift.passed += usize::from(outcome == Some(Outcome::Passed));
                    drift.known += usize::from(outcome == Some(Outcome::Failed));
                }
            }
        }
    }
    drift
}

fn breach(pair: (Option<&&Row>, Option<&&Row>)) -> Option<String> {
    match pair {
        (Some(known), Some(found)) if known.outcome == found.outcome => None,
        (Some(known), Some(found)) => {
            let (was, now) = (known.outcome.word(), found.outcome.word());
            Some(format!("{now}, and {was} in the results: {}", found.why))
        }
        (None, Some(found)) => Some(format!(
            "{}, and not in the results: {}",
            found.outcome.word(),
            found.why
        )),
        (Some(_), None) => Some("in the results, and did not run".to_owned()),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(client: &str, case: &str, outcome: Outcome) -> Row {
        Row {
            client: client.to_owned(),
            version: "1".to_owned(),
            operation: "PutObject".to_owned(),
            case: case.to_owned(),
            outcome,
            why: format!("{case} why"),
        }
    }

    use Outcome::{Failed, Passed, Skipped};

    #[test]
    fn the_same_is_no_drift_whatever_the_reasons() {
        let committed = [
            row("a", "one", Passed),
            row("a", "two", Failed),
            row("b", "one", Passed),
        ];
        let mut fresh = [row("a", "two", Failed), row("a", "one", Passed)];
        fresh[0].why = "other words".to_owned();
        let drift = between(&committed, &fresh);
        assert_eq!(
            drift,
            Drift {
                passed: 1,
                known: 1,
                ..Drift::default()
            }
        );
    }

    #[test]
    fn what_ended_otherwise_is_new_or_is_gone_is_named() {
        let committed = [
            row("a", "one", Passed),
            row("a", "two", Failed),
            row("a", "three", Passed),
        ];
        let fresh = [
            row("a", "one", Failed),
            row("a", "two", Passed),
            row("a", "four", Skipped),
        ];
        assert_eq!(
            between(&committed, &fresh).breaches,
            [
                "a: PutObject/four: skipped, and not in the results: four why",
                "a: PutObject/one: failed, and passed in the results: one why",
                "a: PutObject/three: in the results, and did not run",
                "a: PutObject/two: passed, and failed in the results: two why",
            ]
        );
    }

    #[test]
    fn a_client_that_cannot_run_here_is_said_and_no_breach() {
        let committed = [row("a", "one", Passed), row("a", "two", Skipped)];
        let fresh = [row("a", "one", Skipped), row("a", "two", Skipped)];
        let drift = between(&committed, &fresh);
        assert_eq!(
            (drift.breaches.len(), drift.absent),
            (0, vec!["a: one why".to_owned()])
        );
        let runner = Row::of_runner("a", Skipped, "not installed");
        assert_eq!(between(&committed, &[runner]).absent, ["a: not installed"]);
    }

    #[test]
    fn a_runner_that_broke_off_is_a_breach() {
        let runner = Row::of_runner("a", Failed, "no last line");
        let drift = between(&[row("a", "one", Passed)], &[runner]);
        assert_eq!(drift.breaches.len(), 2, "{drift:?}");
    }
}
