//! One run of the public suite, as its runner wrote it down.

use std::collections::BTreeMap;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// How the server was reached: `http`, `tls`.
    pub label: String,
    /// By name.
    pub tests: BTreeMap<String, Test>,
}

/// What became of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// The part of S3 it is about.
    pub area: String,
    /// `pass`, `fail`, `error`, `skip`, `timeout`, `unreached`.
    pub outcome: String,
}

impl Test {
    /// Whether it passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.outcome == "pass"
    }
}

impl Run {
    /// Reads a `results.tsv`: name, area, scope, outcome and more, by tabs.
    ///
    /// # Errors
    /// The line that is none, a name that is there twice, or that nothing ran.
    pub fn parse(label: &str, text: &str) -> Result<Self, String> {
        let mut tests = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            let mut fields = line.split('\t');
            let mut next = || fields.next().filter(|field| !field.is_empty());
            let (Some(name), Some(area), Some(_scope), Some(outcome)) =
                (next(), next(), next(), next())
            else {
                return Err(format!("{label}, line {}: not a result", at + 1));
            };
            let test = Test {
                area: area.to_owned(),
                outcome: outcome.to_owned(),
            };
            if tests.insert(name.to_owned(), test).is_some() {
                return Err(format!("{label}, line {}: {name} is there twice", at + 1));
            }
        }
        if tests.is_empty() {
            return Err(format!("{label}: nothing ran"));
        }
        Ok(Self {
            label: label.to_owned(),
            tests,
        })
    }

    /// (passed, all) of the tests that `wanted` takes.
    pub(super) fn score(&self, wanted: impl Fn(&str, &Test) -> bool) -> (usize, usize) {
        let taken = self.tests.iter().filter(|(name, test)| wanted(name, test));
        taken.fold((0, 0), |(passed, all), (_, test)| {
            (passed + usize::from(test.passed()), all + 1)
        })
    }
}
