//! The page itself.

use std::collections::{BTreeMap, BTreeSet};

use super::reasons::Explained;
use super::{Report, Run, Test};

/// How a page of the public suite alone begins.
pub(super) const HEAD: &str = "# What passes of the public S3 suite\n\n";

/// Writes a report whose failures are all explained.
pub(super) fn write(report: &Report, explained: &[Explained<'_>]) -> String {
    let mut page = format!(
        "ceph/s3-tests at revision `{}`, run on {}.\n\n",
        report.revision, report.date
    );
    scores(report, &mut page);
    page.push_str("\n## What does not pass of the public suite\n");
    for (why, names) in explained {
        page.push_str(&format!("\n### {why}\n\n"));
        for (name, labels) in names {
            page.push_str(&format!("- `{name}`{}\n", only(labels, &report.runs)));
        }
    }
    page
}

/// Where a test fails, if not everywhere.
fn only(labels: &[&str], runs: &[Run]) -> String {
    if labels.len() == runs.len() {
        String::new()
    } else {
        format!(" (over {})", labels.join(", "))
    }
}

fn scores(report: &Report, page: &mut String) {
    let labels: Vec<&str> = report.runs.iter().map(|run| run.label.as_str()).collect();
    page.push_str(&format!("| area | {} |\n", labels.join(" | ")));
    page.push_str(&format!("|---|{}\n", "---|".repeat(labels.len())));
    let areas: BTreeSet<&str> = report
        .runs
        .iter()
        .flat_map(|run| run.tests.values().map(|test| test.area.as_str()))
        .collect();
    for area in areas {
        row(page, area, &report.runs, |_, test| test.area == area);
    }
    for list in &report.lists {
        let name = format!("**list {}**", list.name);
        row(page, &name, &report.runs, |name, _| {
            list.tests.contains(name)
        });
    }
    row(page, "**all**", &report.runs, |_, _| true);
}

fn row(page: &mut String, what: &str, runs: &[Run], wanted: impl Fn(&str, &Test) -> bool) {
    let cells: BTreeMap<usize, String> = runs
        .iter()
        .map(|run| run.score(&wanted))
        .map(|(passed, all)| format!("{passed} of {all}"))
        .enumerate()
        .collect();
    let cells: Vec<String> = cells.into_values().collect();
    page.push_str(&format!("| {what} | {} |\n", cells.join(" | ")));
}
