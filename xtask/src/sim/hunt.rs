//! Each planted bug until the checkers find it: a checker that never went red proves nothing.

use super::{Bench, Options, console};
use crate::subprocess::run_quiet;

/// What came of hunting one bug.
struct Find {
    bug: String,
    /// Seeds until it was found, and how it showed; `None` where it was not.
    found: Option<(u64, String)>,
    tried: u64,
}

impl Find {
    fn line(&self) -> String {
        match &self.found {
            Some((seeds, how)) => {
                let how: String = how.chars().take(110).collect();
                format!("| {} | {seeds} | {how} |", self.bug)
            }
            None => format!("| {} | not in {} | |", self.bug, self.tried),
        }
    }
}

/// Hunts them one after the other; true where all were found.
pub(super) fn run(bench: &Bench, options: &Options) -> bool {
    let mut listing = std::process::Command::new(&bench.program);
    listing.arg("--list-bugs");
    let listed = run_quiet(&mut listing, &bench.root);
    let wanted = |bug: &&str| options.only.as_deref().is_none_or(|only| only == *bug);
    let bugs: Vec<&str> = listed.output.lines().filter(wanted).collect();
    if !listed.success || bugs.is_empty() {
        console::say("no such bug, or the simulation does not list them");
        return false;
    }
    console::say("| bug | seeds | first seen as |\n|---|---|---|");
    let mut missed = 0;
    for bug in bugs {
        let find = hunt(bench, options, bug);
        missed += u64::from(find.found.is_none());
        console::say(&find.line());
    }
    console::say(&format!("{missed} not found"));
    missed == 0
}

fn hunt(bench: &Bench, options: &Options, bug: &str) -> Find {
    let mut tried = 0;
    while tried < options.seeds {
        let seeds = options.first + tried..options.first + (tried + 2).min(options.seeds);
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let runs =
                seeds.map(|seed| scope.spawn(move || bench.outcome(options, seed, Some(bug))));
            let runs: Vec<_> = runs.collect();
            runs.into_iter().filter_map(|run| run.join().ok()).collect()
        });
        for outcome in outcomes {
            tried += 1;
            if outcome.is_failure() {
                return Find {
                    bug: bug.to_owned(),
                    found: Some((tried, outcome.first().to_owned())),
                    tried,
                };
            }
        }
    }
    Find {
        bug: bug.to_owned(),
        found: None,
        tried,
    }
}
