//! Why tests do not pass: `reasons.toml`, and the check that it is neither short nor stale.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::Run;

/// All reasons.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reasons {
    #[serde(default)]
    reason: Vec<Reason>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    /// A sentence.
    why: String,
    /// What fails in these areas fails because of it, unless it is named elsewhere.
    #[serde(default)]
    areas: BTreeSet<String>,
    /// These tests fail because of it.
    #[serde(default)]
    names: BTreeSet<String>,
}

/// A reason and the tests that failed because of it, each with the labels of the runs it failed in.
pub(super) type Explained<'r> = (&'r str, BTreeMap<&'r str, Vec<&'r str>>);

impl Reasons {
    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with it, with its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// Puts every failure under its reason.
    pub(super) fn explain<'r>(
        &'r self,
        runs: &'r [Run],
    ) -> Result<Vec<Explained<'r>>, Vec<String>> {
        let mut wrong = self.named_twice();
        let mut explained: Vec<Explained<'r>> = self
            .reason
            .iter()
            .map(|reason| (reason.why.as_str(), BTreeMap::new()))
            .collect();
        for run in runs {
            for (name, test) in run.tests.iter().filter(|(_, test)| !test.passed()) {
                let group = self
                    .of(name, &test.area)
                    .and_then(|place| explained.get_mut(place));
                match group {
                    None => wrong.push(format!("{name} fails over {} without a reason", run.label)),
                    Some((_, names)) => names.entry(name).or_default().push(&run.label),
                }
            }
        }
        wrong.extend(self.stale(&explained, runs));
        if wrong.is_empty() {
            Ok(explained)
        } else {
            Err(wrong)
        }
    }

    /// The reason that names a test, else the one of its area.
    fn of(&self, name: &str, area: &str) -> Option<usize> {
        let by_name = self.reason.iter().position(|r| r.names.contains(name));
        by_name.or_else(|| self.reason.iter().position(|r| r.areas.contains(area)))
    }

    /// A name or an area under two reasons has none.
    fn named_twice(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let all = self
            .reason
            .iter()
            .flat_map(|r| r.names.iter().chain(&r.areas));
        all.filter(|one| !seen.insert(*one))
            .map(|one| format!("{one} has two reasons"))
            .collect()
    }

    /// Names that pass everywhere or are unknown, and areas in which nothing fails.
    fn stale(&self, explained: &[Explained<'_>], runs: &[Run]) -> Vec<String> {
        let mut stale = Vec::new();
        for (reason, (_, failed)) in self.reason.iter().zip(explained) {
            for name in reason
                .names
                .iter()
                .filter(|name| !failed.contains_key(name.as_str()))
            {
                stale.push(format!("{name} has a reason and does not fail"));
            }
            for area in &reason.areas {
                let in_area = |run: &Run, name: &str| {
                    run.tests.get(name).is_some_and(|test| test.area == *area)
                };
                let fails = |name: &&&str| runs.iter().any(|run| in_area(run, name));
                if !failed.keys().any(|name| fails(&name)) {
                    stale.push(format!("area {area} has a reason and nothing in it fails"));
                }
            }
        }
        stale
    }
}
