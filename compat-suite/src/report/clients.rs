//! The part of the page that is about real clients and peers.

use std::collections::{BTreeMap, BTreeSet};

use super::reasons::Reasons;
use crate::clients::{OWN_CASES, Outcome, Row, SURVEY};

/// The committed results of every server.
#[derive(Debug)]
pub struct Clients {
    /// Ours.
    pub cairn: Vec<Row>,
    /// Other servers, by name.
    pub peers: Vec<(String, Vec<Row>)>,
}

/// (passed, ran)
type Score = (usize, usize);

fn score<'r>(rows: impl Iterator<Item = &'r Row>) -> Score {
    rows.fold((0, 0), |(passed, ran), row| match row.outcome {
        Outcome::Passed => (passed + 1, ran + 1),
        Outcome::Failed => (passed, ran + 1),
        Outcome::Skipped => (passed, ran),
    })
}

fn told((passed, ran): Score) -> String {
    if ran == 0 {
        "—".to_owned()
    } else {
        format!("{passed} of {ran}")
    }
}

/// `client: operation/case`, as reasons name it.
pub(super) fn full_name(row: &Row) -> String {
    format!("{}: {}", row.client, row.name())
}

fn is_client(row: &&Row) -> bool {
    row.client != OWN_CASES && row.client != SURVEY
}

/// What is not compared with a peer because it ends there now so, now otherwise.
fn left_out(peer: &str, rows: &[Row], reasons: &Reasons) -> String {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in rows {
        let name = full_name(row);
        if let Some(why) = reasons.of_unsteady(peer, &name) {
            groups.entry(why).or_default().push(name);
        }
    }
    let mut text = String::new();
    for (why, names) in groups {
        text.push_str(&format!("\nLeft out: {why}\n\n"));
        names
            .iter()
            .for_each(|name| text.push_str(&format!("- `{name}`\n")));
    }
    text
}

impl Clients {
    /// The table that README shows: what is driven, in which version, and how much of it passes.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::from("| client | version | cases passed |\n|---|---|---|\n");
        for (client, version) in self.names() {
            let cell = told(score(self.cairn.iter().filter(|row| row.client == client)));
            text.push_str(&format!("| {client} | {version} | {cell} |\n"));
        }
        let own = score(self.cairn.iter().filter(|row| row.client == OWN_CASES));
        let survey = score(self.cairn.iter().filter(|row| row.client == SURVEY));
        text.push_str(&format!(
            "| the suite's own cases, over HTTP | | {} |\n",
            told(own)
        ));
        text.push_str(&format!(
            "| operations of S3's model that are answered | | {} |\n",
            told(survey)
        ));
        text
    }

    /// Clients and versions, by name.
    fn names(&self) -> BTreeMap<&str, &str> {
        let rows = self.cairn.iter().filter(is_client);
        rows.map(|row| (row.client.as_str(), row.version.as_str()))
            .collect()
    }

    /// The sections of the page.
    ///
    /// # Errors
    /// A line for each failure, and each difference to a peer, that has no reason; and for each
    /// reason that explains nothing.
    pub fn page(&self, reasons: &Reasons) -> Result<String, Vec<String>> {
        let mut wrong = Vec::new();
        let mut page = String::from("## Clients\n\n");
        page.push_str(&self.by_client());
        page.push_str("\n## Operations and clients\n\nCases passed on Cairn, of those that the client can ask for.\n\n");
        page.push_str(&self.by_operation());
        page.push_str("\n## What fails with a client\n\n");
        page.push_str(&self.failures(reasons, &mut wrong));
        for (peer, rows) in &self.peers {
            page.push_str(&format!("\n## Beside {peer}\n\n"));
            page.push_str(&self.beside(peer, rows, reasons, &mut wrong));
            page.push_str(&left_out(peer, rows, reasons));
        }
        page.push_str("\n## What is not built\n\n");
        page.push_str(&self.unbuilt());
        wrong.extend(reasons.left_out_in_vain(&self.peers));
        wrong.extend(reasons.idle(&self.explained(), &self.peers_differences()));
        if wrong.is_empty() {
            Ok(page)
        } else {
            Err(wrong)
        }
    }

    fn by_client(&self) -> String {
        let peers: Vec<&str> = self.peers.iter().map(|(name, _)| name.as_str()).collect();
        let heads = [["client", "version", "Cairn"].as_slice(), &peers].concat();
        let mut text = format!(
            "| {} |\n|{}\n",
            heads.join(" | "),
            "---|".repeat(heads.len())
        );
        let others = [(OWN_CASES, ""), (SURVEY, "")];
        for (client, version) in self.names().into_iter().chain(others) {
            let of = |rows: &[Row]| told(score(rows.iter().filter(|row| row.client == client)));
            let mut cells = vec![client.to_owned(), version.to_owned(), of(&self.cairn)];
            cells.extend(self.peers.iter().map(|(_, rows)| of(rows)));
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        text.push_str(
            "\n`cases` are the suite's own, over HTTP; `survey` asks once for each operation of S3's model \
             and counts those that are answered otherwise than by `501 NotImplemented`.\n",
        );
        text
    }

    fn by_operation(&self) -> String {
        let rows = || self.cairn.iter().filter(|row| row.client != SURVEY);
        let clients: BTreeSet<&str> = rows().map(|row| row.client.as_str()).collect();
        let operations: BTreeSet<&str> = rows().map(|row| row.operation.as_str()).collect();
        let heads: Vec<&str> = clients.iter().copied().collect();
        let mut text = format!("| operation | {} |\n", heads.join(" | "));
        text.push_str(&format!("|---|{}\n", "---|".repeat(heads.len())));
        for operation in operations {
            let cell = |client: &&str| {
                let mine =
                    rows().filter(|row| row.client == **client && row.operation == operation);
                match score(mine) {
                    (_, 0) => String::new(),
                    (passed, ran) if passed == ran => passed.to_string(),
                    score => format!("**{}**", told(score)),
                }
            };
            let cells: Vec<String> = clients.iter().map(cell).collect();
            text.push_str(&format!("| {operation} | {} |\n", cells.join(" | ")));
        }
        text
    }

    /// Rows of clients and of our own cases that fail on Cairn.
    fn failed(&self) -> impl Iterator<Item = &Row> {
        let rows = self.cairn.iter().filter(|row| row.client != SURVEY);
        rows.filter(|row| row.outcome == Outcome::Failed)
    }

    fn explained(&self) -> BTreeSet<String> {
        self.failed().map(full_name).collect()
    }

    fn failures(&self, reasons: &Reasons, wrong: &mut Vec<String>) -> String {
        let mut text = String::new();
        for row in self.failed() {
            let name = full_name(row);
            match reasons.of_client(&name) {
                Some(why) => text.push_str(&format!("- `{name}`: {why}\n")),
                None => wrong.push(format!("{name} fails without a reason: {}", row.why)),
            }
        }
        if text.is_empty() {
            "Nothing.\n".to_owned()
        } else {
            text
        }
    }

    /// What ended otherwise on a peer: (row of Cairn, row of the peer).
    fn differences<'r>(&'r self, rows: &'r [Row]) -> Vec<(&'r Row, &'r Row)> {
        let theirs: BTreeMap<String, &Row> = rows.iter().map(|row| (full_name(row), row)).collect();
        let ours = self.cairn.iter().filter(|row| row.client != SURVEY);
        let pairs = ours.filter_map(|row| Some((row, *theirs.get(&full_name(row))?)));
        let ran = |row: &Row| row.outcome != Outcome::Skipped;
        pairs
            .filter(|(ours, theirs)| ran(ours) && ran(theirs) && ours.outcome != theirs.outcome)
            .collect()
    }

    fn peers_differences(&self) -> Vec<(String, BTreeSet<String>)> {
        let names = |rows: &[Row]| {
            let ours = self
                .differences(rows)
                .into_iter()
                .map(|(ours, _)| full_name(ours));
            ours.collect()
        };
        self.peers
            .iter()
            .map(|(peer, rows)| (peer.clone(), names(rows)))
            .collect()
    }

    fn beside(
        &self,
        peer: &str,
        rows: &[Row],
        reasons: &Reasons,
        wrong: &mut Vec<String>,
    ) -> String {
        let mut groups: BTreeMap<(bool, &str), Vec<String>> = BTreeMap::new();
        for (ours, theirs) in self.differences(rows) {
            let name = full_name(ours);
            match reasons.of_peer(peer, &name) {
                Some(why) => {
                    let passes_there = theirs.outcome == Outcome::Passed;
                    groups.entry((!passes_there, why)).or_default().push(name);
                }
                None => wrong.push(format!(
                    "{name} {} on {peer} and not here, or the reverse, without a reason: {}{}",
                    theirs.outcome.word(),
                    ours.why,
                    theirs.why
                )),
            }
        }
        let mut text = String::new();
        for ((only_here, why), names) in &groups {
            let place = if *only_here {
                "Passes here alone"
            } else {
                "Passes there alone"
            };
            text.push_str(&format!("{place}: {why}\n\n"));
            names
                .iter()
                .for_each(|name| text.push_str(&format!("- `{name}`\n")));
            text.push('\n');
        }
        if text.is_empty() {
            return "No case ends otherwise.\n".to_owned();
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    fn unbuilt(&self) -> String {
        let survey = self.cairn.iter().filter(|row| row.client == SURVEY);
        let unbuilt: Vec<String> = survey
            .filter(|row| row.outcome == Outcome::Failed)
            .map(|row| format!("`{}`", row.operation))
            .collect();
        format!(
            "{} operations answer `501 NotImplemented`: {}.\n\nReads of configuration that cannot be written say \
             what is so: nothing.\n",
            unbuilt.len(),
            unbuilt.join(", ")
        )
    }
}
