//! What runs say of themselves, and their sum.

use std::collections::BTreeMap;

use serde_json::Value;

use super::options::Options;

/// What came of one run.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    seed: u64,
    /// What is wrong, as the simulation says; a run that says nothing is wrong as well.
    violations: Vec<String>,
    said: Value,
}

impl Outcome {
    /// Reads a run's last line.
    pub(crate) fn read(seed: u64, success: bool, output: &str) -> Self {
        let said = output.lines().rev().find_map(|line| {
            let said: Value = serde_json::from_str(line).ok()?;
            said.get("violations").is_some().then_some(said)
        });
        let Some(said) = said else {
            let tail: Vec<&str> = output.lines().rev().take(12).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            return Self {
                seed,
                violations: vec![format!("the run broke off:\n{}", tail.join("\n"))],
                said: Value::Null,
            };
        };
        let listed = said.get("violations").and_then(Value::as_array);
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let mut violations: Vec<String> = listed.into_iter().flatten().map(text).collect();
        if !success && violations.is_empty() {
            violations.push("it failed without saying why".to_owned());
        }
        Self {
            seed,
            violations,
            said,
        }
    }

    pub(crate) fn is_failure(&self) -> bool {
        !self.violations.is_empty()
    }

    /// What is wrong first, in one line.
    pub(crate) fn first(&self) -> &str {
        let first = self
            .violations
            .first()
            .and_then(|first| first.lines().next());
        first.unwrap_or_default()
    }

    fn number(&self, name: &str) -> u64 {
        self.said.get(name).and_then(Value::as_u64).unwrap_or(0)
    }

    /// What everything that happened comes to.
    pub(crate) fn trace(&self) -> String {
        let trace = self.said.get("trace").and_then(Value::as_str);
        trace.unwrap_or_default().to_owned()
    }

    pub(crate) fn seconds(&self) -> u64 {
        self.number("simulated_seconds")
    }

    /// For people: what is wrong, and how to see it again.
    pub(crate) fn report(&self, replay: &str) -> String {
        let violations = self.violations.join("\n  ");
        format!("seed {} FAILED: {violations}\n  again: {replay}", self.seed)
    }
}

/// The sum of many runs.
#[derive(Debug, Default)]
pub(crate) struct Harvest {
    runs: u64,
    failed: Vec<u64>,
    seconds: u64,
    sums: BTreeMap<&'static str, u64>,
    /// Of each group of counts the simulation gives, by name.
    groups: BTreeMap<&'static str, BTreeMap<String, u64>>,
}

/// Numbers that are added up.
const SUMS: [&str; 2] = ["calls", "operations"];
/// Objects of name -> number that are.
const GROUPS: [&str; 3] = ["faults", "rare", "acknowledged"];

impl Harvest {
    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.runs += 1;
        self.seconds += outcome.seconds();
        for name in SUMS {
            *self.sums.entry(name).or_default() += outcome.number(name);
        }
        for group in GROUPS {
            let counts = outcome.said.get(group).and_then(Value::as_object);
            let sums = self.groups.entry(group).or_default();
            for (name, count) in counts.into_iter().flatten() {
                *sums.entry(name.clone()).or_default() += count.as_u64().unwrap_or(0);
            }
        }
        if outcome.is_failure() {
            self.failed.push(outcome.seed);
        }
    }

    pub(crate) fn runs(&self) -> u64 {
        self.runs
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.len() as u64
    }

    pub(crate) fn is_enough(&self, options: &Options) -> bool {
        self.runs >= options.seeds && self.seconds >= options.hours * 3_600
    }

    /// Nothing failed; with a bug planted, something did.
    pub(crate) fn is_green(&self, options: &Options) -> bool {
        self.failed.is_empty() != options.plant.is_some()
    }

    /// The sums, for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let hours = self.seconds as f64 / 3_600.0;
        let sums: Vec<String> = self
            .sums
            .iter()
            .map(|(name, sum)| format!("{sum} {name}"))
            .collect();
        let mut lines = vec![format!(
            "{} seeds, {hours:.1} simulated hours, {}",
            self.runs,
            sums.join(", ")
        )];
        for (group, counts) in &self.groups {
            let all: u64 = counts.values().sum();
            let counts: Vec<String> = counts
                .iter()
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            lines.push(format!("{group} {all}: {}", counts.join(", ")));
        }
        if !self.failed.is_empty() {
            lines.push(format!("failed: {:?}", self.failed));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"{"seed":3,"violations":[],"simulated_seconds":1800,"calls":7,"faults":{"split":2}}"#;

    #[test]
    fn sums_what_runs_say() {
        let mut harvest = Harvest::default();
        harvest.add(Outcome::read(3, true, &format!("noise\n{GOOD}\n")));
        harvest.add(Outcome::read(4, true, GOOD));
        assert_eq!((harvest.runs(), harvest.failed()), (2, 0));
        let mut options = Options::short();
        options.seeds = 2;
        options.hours = 1;
        assert!(harvest.is_enough(&options) && harvest.is_green(&options));
        options.hours = 2;
        assert!(!harvest.is_enough(&options));
        options.plant = Some("stale-list".to_owned());
        assert!(!harvest.is_green(&options), "a planted bug must be found");
        let lines = harvest.lines().join("\n");
        assert!(lines.contains("1.0 simulated hours, 14 calls"), "{lines}");
        assert!(lines.contains("faults 4: split 4"), "{lines}");
    }

    #[test]
    fn a_run_that_says_nothing_has_failed() {
        for (success, output) in [
            (false, "thread 'main' panicked at x.rs\n"),
            (true, ""),
            (false, GOOD),
        ] {
            let outcome = Outcome::read(1, success, output);
            assert!(outcome.is_failure(), "{output}");
            assert!(outcome.report("again").contains("seed 1 FAILED"));
        }
        let bad = r#"{"violations":["lost\nmore"],"seed":1}"#;
        let outcome = Outcome::read(1, false, bad);
        assert_eq!(outcome.first(), "lost");
    }
}
