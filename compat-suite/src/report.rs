//! The page that says how much of the public S3 suite a server passes, and why not the rest.
//!
//! ```text
//! results.tsv of each run (http, tls) ─┐
//! lists of names (core)               ─┼─► sums by area, and every name that failed beside its reason
//! reasons.toml                        ─┘
//! ```
//!
//! Every test that does not pass must have a reason, and no test that passes may have one: a page
//! that could be written would else be older than the server it speaks of.

mod clients;
mod page;
mod reasons;
mod results;

pub use clients::Clients;
pub use reasons::Reasons;
pub use results::{Run, Test};

use std::collections::BTreeSet;

/// What a page is written from.
#[derive(Debug)]
pub struct Report {
    /// Commit of the public suite.
    pub revision: String,
    /// Day of the newest run, as `2026-11-20`.
    pub date: String,
    /// One for each way to reach the server.
    pub runs: Vec<Run>,
    /// Further lists of names that are counted by themselves.
    pub lists: Vec<List>,
    /// Why tests fail.
    pub reasons: Reasons,
}

/// A named list of tests.
#[derive(Debug, Clone)]
pub struct List {
    /// What it is called.
    pub name: String,
    /// The tests' names.
    pub tests: BTreeSet<String>,
}

impl List {
    /// Reads one name a line; `#` begins a comment.
    #[must_use]
    pub fn parse(name: &str, text: &str) -> Self {
        let names = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim())
            .filter(|name| !name.is_empty())
            .map(str::to_owned);
        Self {
            name: name.to_owned(),
            tests: names.collect(),
        }
    }
}

impl Report {
    /// The page, in Markdown.
    ///
    /// # Errors
    /// One line for each test that fails without a reason, each reason that explains no failure,
    /// and each list that names a test no run knows.
    pub fn page(&self) -> Result<String, Vec<String>> {
        self.section()
            .map(|section| format!("{}{section}", page::HEAD))
    }

    /// The page without its head.
    ///
    /// # Errors
    /// As [`Report::page`].
    pub fn section(&self) -> Result<String, Vec<String>> {
        let explained = self.reasons.explain(&self.runs)?;
        let unknown: Vec<String> = self.unknown().collect();
        if unknown.is_empty() {
            Ok(page::write(self, &explained))
        } else {
            Err(unknown)
        }
    }

    fn unknown(&self) -> impl Iterator<Item = String> + '_ {
        let of_list = |list: &'_ List| {
            let missing = |run: &Run| {
                let strange = list
                    .tests
                    .iter()
                    .find(|name| !run.tests.contains_key(*name));
                strange.map(|name| format!("list {}: no run {} of {name}", list.name, run.label))
            };
            self.runs.iter().filter_map(missing).collect::<Vec<_>>()
        };
        self.lists.iter().flat_map(of_list)
    }
}

#[cfg(test)]
mod tests;
