//! `cargo xtask check`: the rules of the house, none of which writes a file.
//!
//! Every rule is a pure function from text or `cargo metadata` to violations; this module fetches
//! what they look at, prints what they find and says whether all is well.
//!
//! ```text
//! fmt ─ clippy ─ deny          other people's tools, by exit code
//! floors ─ dependencies        over cargo metadata: who may depend on whom
//! sources ─ names ─ sizes      over the text of every .rs file
//! manifests ─ documents        over Cargo.toml, cargo settings and the papers
//! ```

mod dependencies;
mod documents;
mod floors;
mod lexer;
mod manifests;
mod metadata;
mod names;
mod sizes;
mod sources;
mod violation;

use std::process::Command;

use crate::cargo_metadata;
use crate::console;
use crate::repository::Repository;
use crate::stopwatch::Stopwatch;
use crate::subprocess::{self, cargo};
use violation::Violation;

/// What a step found.
enum Finding {
    /// Messages, one per breach; none is clean.
    Breaches(Vec<String>),
    /// Why the step cannot run on this machine.
    Skipped(&'static str),
}

/// One step of the check: its name and its work.
type Step = (&'static str, fn(&Repository) -> Finding);

const STEPS: [Step; 6] = [
    ("fmt", fmt),
    ("rules over cargo metadata", rules_over_metadata),
    ("rules over the tree", rules_over_tree),
    ("cargo deny", deny),
    ("clippy", clippy),
    ("clippy of the simulation", clippy_of_the_simulation),
];

/// Runs every step, and says whether all were clean.
pub(crate) fn run(repository: &Repository) -> bool {
    run_counting(repository) == 0
}

/// Runs every step, prints what each found, and counts the ones that found something.
pub(crate) fn run_counting(repository: &Repository) -> u64 {
    let mut failed = 0;
    for (name, step) in STEPS {
        let watch = Stopwatch::start();
        let (verdict, broken) = match step(repository) {
            Finding::Skipped(reason) => (format!("skipped: {reason}"), false),
            Finding::Breaches(found) => {
                found.iter().for_each(|message| console::say(message));
                let verdict = if found.is_empty() { "ok" } else { "FAILED" };
                (verdict.to_owned(), !found.is_empty())
            }
        };
        let seconds = watch.elapsed().as_secs_f64();
        console::say(&format!("check: {name}: {verdict} ({seconds:.1} s)"));
        failed += u64::from(broken);
    }
    failed
}

fn fmt(repository: &Repository) -> Finding {
    let mut command = cargo();
    command.args(["fmt", "--all", "--check"]);
    by_exit_code(repository, &mut command, "mend: cargo fmt --all")
}

fn clippy(repository: &Repository) -> Finding {
    let mut command = cargo();
    command.args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--locked",
    ]);
    command.args(["--", "-D", "warnings"]);
    by_exit_code(repository, &mut command, "mend what clippy says above")
}

/// The simulated cluster, with the planted bugs and rare branches that no other build has.
fn clippy_of_the_simulation(repository: &Repository) -> Finding {
    let mut command = cargo();
    command.args(["clippy", "--quiet", "--workspace", "--locked"]);
    command.args(["--features", "cairn-tests/simulation"]);
    command.args(["--test", "sim_cluster", "--", "-D", "warnings"]);
    by_exit_code(repository, &mut command, "mend what clippy says above")
}

fn deny(repository: &Repository) -> Finding {
    if subprocess::on_path("cargo-deny").is_none() {
        return Finding::Skipped("cargo-deny is not installed");
    }
    let mut command = cargo();
    command.args(["deny", "--offline", "check", "bans", "licenses", "sources"]);
    by_exit_code(repository, &mut command, "mend: see deny.toml")
}

fn by_exit_code(repository: &Repository, command: &mut Command, mend: &str) -> Finding {
    let clean = subprocess::run_shown(command, repository.root()).success;
    Finding::Breaches(if clean {
        Vec::new()
    } else {
        vec![mend.to_owned()]
    })
}

fn rules_over_metadata(repository: &Repository) -> Finding {
    let read = cargo_metadata::read(repository);
    let packages = match read.and_then(|value| metadata::packages(&value, repository.root())) {
        Ok(packages) => packages,
        Err(why) => return Finding::Breaches(vec![why]),
    };
    let mut found = floors::violations(&packages);
    found.extend(dependencies::violations(&packages));
    breaches(&found)
}

fn rules_over_tree(repository: &Repository) -> Finding {
    let paths = repository.paths();
    let sources = repository.files(&paths, "rs");
    let manifests = repository.files(&paths, "toml");
    let mut found = names::violations(&paths);
    for file in &sources {
        let code = lexer::mask(&file.text);
        found.extend(sources::violations(&file.path, &code));
        found.extend(sizes::violations(&file.path, &code));
    }
    for file in &manifests {
        found.extend(manifests::violations(file));
    }
    found.extend(documents::violations(&|path| repository.text(path)));
    breaches(&found)
}

fn breaches(found: &[Violation]) -> Finding {
    Finding::Breaches(found.iter().map(ToString::to_string).collect())
}
