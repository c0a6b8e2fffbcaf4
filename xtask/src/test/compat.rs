//! The compat-suite against a server that lives as long as the run.

use std::process::Command;

use super::Bench;
use super::tally::{self, Tally};
use crate::subprocess::run_shown;

/// Starts a fresh server through `with-server` (crate cairn-tests), which hands endpoint and
/// credentials to the suite by environment.
pub(super) fn run(bench: &Bench<'_>) -> Tally {
    let binaries = bench.binaries();
    let mut command = Command::new(binaries.join("with-server"));
    command.arg("--").arg(binaries.join("cairn-compat-suite"));
    command.env("CAIRN_BIN", binaries.join("cairn"));
    let finished = run_shown(&mut command, bench.repository.root());
    Tally::of_run(tally::compat_suite(&finished.output), finished.success)
}
