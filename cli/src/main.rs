//! `cairn`: an S3-compatible object store.
//!
//! This crate reads arguments, environment and files once, puts the houses together, and prints.
//! What the parts do is theirs.

mod admin;
mod args;
mod bench;
mod bootstrap;
mod calls;
mod certificate;
mod console;
mod credentials;
mod dev;
mod doctor;
mod files;
mod gateway;
mod health;
mod houses;
mod identity;
mod member;
mod open_files;
mod profile;
mod restore;
mod server;
mod signals;
mod storage_node;
mod token;
mod users;

use std::process::ExitCode;

/// The C library's gives memory back to the system and fetches it again at almost every body: a quarter of
/// the processor time of small requests (`docs/adr/0020-allocator.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use args::{Args, Command, DevCommand};
use clap::Parser as _;

fn main() -> ExitCode {
    let args = Args::parse();
    console::init_logs();
    open_files::raise();
    if let Err(error) = dev::follow_parent() {
        console::error(&error);
        return ExitCode::FAILURE;
    }
    let outcome = match args.command {
        Command::Server(arguments) => block_on(server::run(arguments)),
        Command::StorageNode(arguments) => block_on(storage_node::run(arguments)),
        Command::Gateway(arguments) => block_on(gateway::run(arguments)),
        Command::Token(arguments) => block_on(token::run(arguments)),
        Command::Restore(arguments) => restore::run(&arguments),
        Command::Health(arguments) => health::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Profile(arguments) => profile::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Dev(DevCommand::Cluster(arguments)) => dev::cluster(&arguments),
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

/// Runs a process on all processors.
fn block_on(process: impl Future<Output = Result<(), Fatal>>) -> Result<(), Fatal> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("cairn")
        .build()
        .map_err(|error| Fatal::new("runtime", error))?;
    runtime.block_on(process)
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
