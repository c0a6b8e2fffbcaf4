//! `cargo xtask test`: everything that can fail, in one command, counted.
//!
//! ```text
//! check ─ build ─ clients ─ tests ─ simulation ─ doc tests ─ compat-suite ─ public suite ─ guard ─► N passed, …
//!                   │         │                                    │
//!                   │         │                                    └ real clients, here and against moto (`--long`: Garage)
//!                   │         └ a test that cannot run here writes why into CAIRN_SKIP_LOG
//!                   └ from pip, npm, cargo (under target/) and apt
//! ```
//!
//! Every stage adds to one [`Tally`]; a runner that fails without saying how often counts as one
//! failure, so no stage can fail in silence.

mod clients;
mod compat;
mod doc_tests;
mod guard;
mod peers;
mod public_suite;
mod skips;
mod tally;
mod workspace_tests;

use std::path::PathBuf;

use crate::cargo_metadata;
use crate::console;
use crate::repository::Repository;
use crate::stopwatch::Stopwatch;
use crate::subprocess::{Finished, cargo, run_shown};
use crate::{check, sim, test::tally::Tally};

/// How much to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// What every change must pass.
    Short,
    /// Longer storms, more seeds, ignored tests too.
    Long,
}

/// What the stages share.
struct Bench<'r> {
    repository: &'r Repository,
    length: Length,
    /// Cargo's target folder.
    target: PathBuf,
    /// `CI=true`: what a developer may skip must be there.
    strict: bool,
}

impl<'r> Bench<'r> {
    /// `None` where cargo does not say where the target folder is; what it said is printed.
    fn new(repository: &'r Repository, length: Length) -> Option<Self> {
        let strict = std::env::var("CI").is_ok_and(|value| value == "true");
        match target_folder(repository) {
            Ok(target) => Some(Self {
                repository,
                length,
                target,
                strict,
            }),
            Err(why) => {
                console::say(&why);
                None
            }
        }
    }

    /// The folder of built binaries.
    fn binaries(&self) -> PathBuf {
        self.target.join("debug")
    }

    fn clients(&self) -> PathBuf {
        self.target.join("clients")
    }

    /// Runs one cargo command with the variables that the tests read.
    fn cargo(&self, arguments: &[&str]) -> Finished {
        let mut command = cargo();
        command.args(arguments);
        command.env("CAIRN_BIN", self.binaries().join("cairn"));
        command.env("CAIRN_CLIENTS", self.clients());
        command.env("CAIRN_SKIP_LOG", skips::path(&self.target));
        if self.length == Length::Long {
            command.env("CAIRN_LONG", "1");
        }
        run_shown(&mut command, self.repository.root())
    }
}

/// A stage's name and its work.
type Stage = (&'static str, fn(&Bench<'_>) -> Tally);

const STAGES: [Stage; 9] = [
    ("check", checked),
    ("build", built),
    ("clients", clients::install),
    ("tests", workspace_tests::run),
    ("simulation", simulated),
    ("doc tests", doc_tests::run),
    ("compat-suite", compat::run),
    ("public suite", public_suite::run),
    ("guard", guard::run),
];

/// Runs every stage; the last line printed is the sum. True where something ran and nothing failed.
pub(crate) fn run(repository: &Repository, length: Length) -> bool {
    let Some(bench) = Bench::new(repository, length) else {
        console::say(&Tally::of_exit(false).to_string());
        return false;
    };
    let whole = Stopwatch::start();
    let mut total = Tally::default();
    let mut lines = Vec::new();
    for (name, stage) in STAGES {
        console::heading(name);
        let watch = Stopwatch::start();
        let tally = stage(&bench);
        total = total + tally;
        lines.push(format!(
            "{name:<14}{:>8.1} s   {tally}",
            watch.elapsed().as_secs_f64()
        ));
    }
    console::heading("stages");
    lines.iter().for_each(|line| console::say(line));
    console::say(&format!(
        "{:<14}{:>8.1} s",
        "all",
        whole.elapsed().as_secs_f64()
    ));
    console::say(&total.to_string());
    total.is_green()
}

/// Installs the clients alone, and what they are driven against; true where all are there.
pub(crate) fn install_clients(repository: &Repository, length: Length) -> bool {
    let bench = Bench::new(repository, length);
    bench.is_some_and(|bench| clients::problems(&bench).is_empty())
}

/// Installs the clients, drives all of them, and writes down what they find as what is so.
pub(crate) fn accept_clients(repository: &Repository) -> bool {
    let Some(bench) = Bench::new(repository, Length::Long) else {
        return false;
    };
    let installed = clients::problems(&bench).is_empty();
    installed && built(&bench).failed == 0 && compat::accept(&bench).failed == 0
}

/// The same load on ours and on a peer.
pub(crate) fn bench_peers(repository: &Repository) -> bool {
    let Some(bench) = Bench::new(repository, Length::Long) else {
        return false;
    };
    let installed = clients::problems(&bench).is_empty();
    installed && built(&bench).failed == 0 && peers::run(&bench)
}

/// Measures what a few requests cost, and writes it down as what is so.
pub(crate) fn accept_guard(repository: &Repository) -> bool {
    let Some(bench) = Bench::new(repository, Length::Short) else {
        return false;
    };
    built(&bench).failed == 0 && guard::accept(&bench)
}

fn target_folder(repository: &Repository) -> Result<PathBuf, String> {
    let value = cargo_metadata::read(repository)?;
    let folder = value
        .get("target_directory")
        .and_then(serde_json::Value::as_str);
    folder
        .map(PathBuf::from)
        .ok_or_else(|| "cargo metadata names no target folder".to_owned())
}

/// A failing step of the check is a failure; a clean one is no test.
fn checked(bench: &Bench<'_>) -> Tally {
    Tally {
        failed: check::run_counting(bench.repository),
        ..Tally::default()
    }
}

/// Seeds of the simulated cluster; each is a test.
fn simulated(bench: &Bench<'_>) -> Tally {
    let (passed, failed) = sim::short(bench.repository);
    Tally {
        passed,
        failed,
        skipped: 0,
    }
}

/// The whole workspace, so that its dependencies get the features they have in the tests too and
/// are compiled once.
fn built(bench: &Bench<'_>) -> Tally {
    Tally::of_exit(
        bench
            .cargo(&["build", "--locked", "--workspace", "--bins"])
            .success,
    )
}
