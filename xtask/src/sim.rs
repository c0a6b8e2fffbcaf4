//! `cargo xtask sim`: many seeds of the simulated cluster, one process each.
//!
//! ```text
//! cargo xtask sim --seeds N --hours H   seeds until N are through or H simulated hours are, whichever is later
//! cargo xtask sim --hunt                each planted bug until it is found, at most --seeds seeds each
//! cargo xtask sim --seed S ...          one seed, shown: what a failing seed's line says to run
//!
//!   build ─> plan of runs ─> two processes at a time ─> the last line of each, JSON ─> sums
//! ```

mod harvest;
mod hunt;
mod options;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::console;
use crate::repository::Repository;
use crate::subprocess::{cargo, run_quiet, run_shown};
use harvest::{Harvest, Outcome};
use options::Options;

pub(crate) use options::USAGE;

/// Simulations at a time: each keeps one processor busy.
const AT_ONCE: usize = 2;

/// Runs what the words of the command line ask for; true where all is as it should be.
pub(crate) fn run(repository: &Repository, words: &[&str]) -> bool {
    let options = match Options::parse(words) {
        Ok(options) => options,
        Err(why) => {
            console::say(&format!("{why}\n{USAGE}"));
            return false;
        }
    };
    let program = match build(repository) {
        Ok(program) => program,
        Err(why) => {
            console::say(&why);
            return false;
        }
    };
    let bench = Bench {
        program,
        root: repository.root().to_owned(),
    };
    match options.seed {
        Some(seed) => bench.show(&options, seed),
        None if options.hunt => hunt::run(&bench, &options),
        None => bench.sweep(&options).is_green(&options),
    }
}

/// The short set of `cargo xtask test`, and whether one seed is one run: passed and failed.
pub(crate) fn short(repository: &Repository) -> (u64, u64) {
    let options = Options::short();
    match build(repository) {
        Ok(program) => {
            let root = repository.root().to_owned();
            let bench = Bench { program, root };
            let harvest = bench.sweep(&options);
            let repeats = u64::from(bench.repeats(&options));
            let passed = harvest.runs() - harvest.failed() + repeats;
            (passed, harvest.failed() + 1 - repeats)
        }
        Err(why) => {
            console::say(&why);
            (0, 1)
        }
    }
}

/// Builds the simulation with the rare branches and planted bugs in; where it is.
fn build(repository: &Repository) -> Result<PathBuf, String> {
    let mut command = cargo();
    // The whole workspace, so that other people's crates have the features they have elsewhere too.
    command.args(["test", "--locked", "--workspace", "--no-run"]);
    command.args(["--features", "cairn-tests/simulation"]);
    command.args(["--test", "sim_cluster", "--message-format", "json"]);
    // A third of the simulation's time; every other test keeps them.
    command.args([
        "--config",
        "profile.dev.package.openraft.debug-assertions=false",
    ]);
    console::say("building the simulation");
    let built = run_quiet(&mut command, repository.root());
    if !built.success {
        return Err(built.output);
    }
    let program = built.output.lines().filter_map(executable).next_back();
    program.ok_or_else(|| "cargo does not say where the simulation is".to_owned())
}

/// The program a line of cargo's names, where it is the simulation's.
fn executable(line: &str) -> Option<PathBuf> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let target = line.get("target")?.get("name")?.as_str()?;
    let program = line.get("executable")?.as_str()?;
    (target == "sim_cluster").then(|| PathBuf::from(program))
}

/// The program and where it runs.
struct Bench {
    program: PathBuf,
    root: PathBuf,
}

impl Bench {
    fn command(&self, options: &Options, seed: u64, plant: Option<&str>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(options.of_run(seed));
        if let Some(bug) = plant.or(options.plant.as_deref()) {
            command.args(["--plant", bug]);
        }
        command.current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// One seed, with what it says on the console.
    fn show(&self, options: &Options, seed: u64) -> bool {
        let mut command = self.command(options, seed, None);
        command.args(&options.shown);
        run_shown(&mut command, Path::new(&self.root)).success
    }

    /// One seed in silence.
    fn outcome(&self, options: &Options, seed: u64, plant: Option<&str>) -> Outcome {
        let finished = run_quiet(&mut self.command(options, seed, plant), &self.root);
        Outcome::read(seed, finished.success, &finished.output)
    }

    /// Whether the first seed comes to the same trace twice.
    fn repeats(&self, options: &Options) -> bool {
        let seed = options.first;
        let traces: Vec<String> = std::thread::scope(|scope| {
            let runs = [(); 2].map(|()| scope.spawn(|| self.outcome(options, seed, None)));
            let runs = runs.into_iter().filter_map(|run| run.join().ok());
            runs.map(|outcome| outcome.trace()).collect()
        });
        let same = matches!(traces.as_slice(), [one, other] if one == other && !one.is_empty());
        console::say(&format!("seed {seed} twice: {}", traces.join(" and ")));
        same
    }

    /// Seeds one after the other until enough are through.
    fn sweep(&self, options: &Options) -> Harvest {
        let next = AtomicU64::new(options.first);
        let harvest = Mutex::new(Harvest::default());
        let is_enough = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while !is_enough.load(Ordering::SeqCst) {
                        let seed = next.fetch_add(1, Ordering::SeqCst);
                        let outcome = self.outcome(options, seed, None);
                        if outcome.is_failure() {
                            console::say(&outcome.report(&options.replay(seed)));
                        }
                        let mut harvest = locked(&harvest);
                        harvest.add(outcome);
                        is_enough.store(harvest.is_enough(options), Ordering::SeqCst);
                    }
                });
            }
        });
        let harvest = harvest.into_inner();
        let harvest = harvest.unwrap_or_else(std::sync::PoisonError::into_inner);
        harvest.lines().iter().for_each(|line| console::say(line));
        harvest
    }
}

fn locked<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulation_is_found_among_what_cargo_says() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"sim_cluster"},"executable":"/t/sim_cluster-1"}"#;
        assert_eq!(executable(line), Some(PathBuf::from("/t/sim_cluster-1")));
        let other =
            r#"{"reason":"compiler-artifact","target":{"name":"sim"},"executable":"/t/sim-1"}"#;
        assert_eq!(executable(other), None);
        assert_eq!(executable("   Compiling cairn-tests"), None);
        let library = r#"{"target":{"name":"sim_cluster"},"executable":null}"#;
        assert_eq!(executable(library), None);
    }
}
