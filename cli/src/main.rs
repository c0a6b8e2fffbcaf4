//! `cairn`: an S3-compatible object store.
//!
//! This crate reads arguments, environment and files once, puts the houses together, and prints.
//! What the parts do is theirs.

mod admin;
mod args;
mod bootstrap;
mod certificate;
mod console;
mod credentials;
mod identity;
mod server;

use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser as _;

fn main() -> ExitCode {
    let args = Args::parse();
    console::init_logs();
    let outcome = match args.command {
        Command::Server(arguments) => server::run(arguments),
        Command::Admin(arguments) => admin::run(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::error(&error);
            ExitCode::FAILURE
        }
    }
}

/// What ends the program: a sentence for the person at the terminal.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Fatal(String);

impl Fatal {
    /// `what` could not be done because of `why`.
    pub(crate) fn new(what: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self(format!("{what}: {why}"))
    }
}
