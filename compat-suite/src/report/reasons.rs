//! Why tests do not pass: `reasons.toml`, and the check that it is neither short nor stale.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::Run;
use super::clients::full_name;
use crate::clients::{Outcome, Row};

/// All reasons.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reasons {
    #[serde(default)]
    reason: Vec<Reason>,
    /// Of real clients.
    #[serde(default)]
    client: Vec<ClientReason>,
    /// Of what ends otherwise on another server.
    #[serde(default)]
    peer: Vec<PeerReason>,
    /// Of what ends on another server now so, now otherwise.
    #[serde(default)]
    unsteady: Vec<PeerReason>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientReason {
    /// A sentence.
    why: String,
    /// `client: operation/case` of what fails because of it.
    cases: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeerReason {
    /// The server.
    name: String,
    /// A sentence.
    why: String,
    /// Parts of `client: operation/case`; the first reason with a part that fits is the one.
    cases: BTreeSet<String>,
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

impl PeerReason {
    fn fits(&self, peer: &str, name: &str) -> bool {
        self.name == peer && self.cases.iter().any(|part| name.contains(part.as_str()))
    }
}

impl Reasons {
    /// Why a case of a client fails.
    pub(super) fn of_client(&self, name: &str) -> Option<&str> {
        let reason = self
            .client
            .iter()
            .find(|reason| reason.cases.contains(name));
        reason.map(|reason| reason.why.as_str())
    }

    /// Why a case ends otherwise on a peer.
    pub(super) fn of_peer(&self, peer: &str, name: &str) -> Option<&str> {
        let reason = self.peer.iter().find(|reason| reason.fits(peer, name));
        reason.map(|reason| reason.why.as_str())
    }

    /// Why a case is left out on a peer.
    pub(super) fn of_unsteady(&self, peer: &str, name: &str) -> Option<&str> {
        let reason = self.unsteady.iter().find(|reason| reason.fits(peer, name));
        reason.map(|reason| reason.why.as_str())
    }

    /// The rows of a peer without what it ends now so, now otherwise: that is skipped, with why.
    #[must_use]
    pub fn steadied(&self, peer: &str, rows: Vec<Row>) -> Vec<Row> {
        let steadied = |row: Row| match self.of_unsteady(peer, &full_name(&row)) {
            Some(why) => Row {
                outcome: Outcome::Skipped,
                why: why.to_owned(),
                ..row
            },
            None => row,
        };
        rows.into_iter().map(steadied).collect()
    }

    /// Cases that are left out on a peer that has none such.
    pub(super) fn left_out_in_vain(&self, peers: &[(String, Vec<Row>)]) -> Vec<String> {
        let mut vain = Vec::new();
        for (peer, rows) in peers {
            let names: Vec<String> = rows.iter().map(full_name).collect();
            let parts = self.unsteady.iter().filter(|reason| reason.name == *peer);
            let unused = parts
                .flat_map(|reason| &reason.cases)
                .filter(|part| !names.iter().any(|name| name.contains(part.as_str())));
            vain.extend(unused.map(|part| format!("{part} is left out and is no case of {peer}")));
        }
        vain
    }

    /// Reasons for clients and peers that explain nothing: of cases that `failed`, and of those
    /// that ended otherwise on each peer.
    pub(super) fn idle(
        &self,
        failed: &BTreeSet<String>,
        differences: &[(String, BTreeSet<String>)],
    ) -> Vec<String> {
        let named = self.client.iter().flat_map(|reason| &reason.cases);
        let passing = named.filter(|name| !failed.contains(*name));
        let mut idle: Vec<String> = passing
            .map(|name| format!("{name} has a reason and does not fail"))
            .collect();
        for reason in &self.peer {
            let of_peer = differences.iter().filter(|(peer, _)| *peer == reason.name);
            let names: Vec<&String> = of_peer.flat_map(|(_, names)| names).collect();
            let unused = reason
                .cases
                .iter()
                .filter(|part| !names.iter().any(|name| name.contains(part.as_str())));
            idle.extend(unused.map(|part| {
                format!(
                    "{part} has a reason and ends no otherwise on {}",
                    reason.name
                )
            }));
        }
        idle
    }

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
