//! The project's own checks and test driver.
//!
//! ```text
//! cargo xtask check          fmt, clippy and the rules of the house; never writes a source file
//! cargo xtask clients [--long]   installs the real S3 clients that the tests drive, as `test` does
//! cargo xtask clients --accept   drives them, and writes results, REPORT.md and README's table
//! cargo xtask guard --accept what a few requests cost now is what they may cost
//! cargo xtask bench-peers    the same load on ours and on Garage, release builds, a table
//! cargo xtask sim ...        seeds of the simulated cluster, see `sim`
//! cargo xtask test [--long]  check, then every test there is; last line `N passed, N failed, N skipped`
//!
//!   main ─┬─ check ── rules: pure functions over text or `cargo metadata` JSON -> Vec<Violation>
//!         └─ test ─── stages: a runner's output -> Tally, summed
//! ```

mod cargo_metadata;
mod check;
mod console;
mod measured;
mod repository;
mod sim;
mod stopwatch;
mod subprocess;
mod test;

use std::process::ExitCode;

use repository::Repository;

const USAGE: &str = "usage: cargo xtask check | clients [--long | --accept] | guard --accept | bench-peers | sim ... | test [--long]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let repository = Repository::of_this_build();
    let green = match words.as_slice() {
        ["check"] => check::run(&repository),
        ["clients"] => test::install_clients(&repository, test::Length::Short),
        ["clients", "--long"] => test::install_clients(&repository, test::Length::Long),
        ["clients", "--accept"] => test::accept_clients(&repository),
        ["bench-peers"] => test::bench_peers(&repository),
        ["guard", "--accept"] => test::accept_guard(&repository),
        ["sim", words @ ..] => sim::run(&repository, words),
        ["test"] => test::run(&repository, test::Length::Short),
        ["test", "--long"] => test::run(&repository, test::Length::Long),
        _ => {
            console::say(USAGE);
            return ExitCode::from(2);
        }
    };
    if green {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
