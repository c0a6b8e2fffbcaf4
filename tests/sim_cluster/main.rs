//! A whole cluster in one process on simulated time: three voters, six storage nodes, two gateways, their
//! clients, and everything that can befall them, from one seed.
//!
//! ```text
//!   main ─ options ─ seeded (libraries' randomness)
//!    └─ run   found ─> [ storm: workload beside faults ─> heal ─> look ] x rounds ─> quiet ─> look
//!        ├─ cluster ─┬─ machine   disks, stores, clock: what survives
//!        │           ├─ node, gateway   the product's own houses, put together as `cairn` does
//!        │           ├─ process   runs, stands still, or is dead
//!        │           ├─ members   who is there; ways to replicas and disks
//!        │           └─ network   calls delayed, lost, repeated, cut
//!        ├─ faults    what befalls whom when
//!        ├─ clients   HTTP without a socket
//!        └─ observe   what lies where, for the checks
//! ```
//!
//! Everything above QUIC is the product's code. One seed is one process: `seeded` answers for the
//! operating system's randomness. The last line says what came of it, as JSON.

#![expect(
    clippy::unwrap_used,
    reason = "a crate of tests: a surprise is a failure"
)]

mod clients;
mod clock;
mod cluster;
mod console;
mod faults;
mod focus;
mod gateway;
mod late;
mod look;
mod machine;
mod members;
mod network;
mod node;
mod observe;
mod options;
mod outlived;
mod process;
mod restore;
mod ruin;
mod run;
mod seeded;
mod trace;

use std::process::ExitCode;

use cairn_world::Bug;
use options::Options;

fn main() -> ExitCode {
    if options::asks_for_bugs(std::env::args().skip(1)) {
        Bug::ALL.iter().for_each(|bug| console::say(bug.name()));
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            console::say(error);
            console::say(options::USAGE);
            return ExitCode::from(2);
        }
    };
    if let Some(filter) = options.log.clone() {
        // On a thread of its own and before the seed: the filter has hash maps, and this thread's next map
        // would have other keys, and so the run another order, than without a log.
        let shown = std::thread::spawn(move || {
            tracing_subscriber::fmt()
                .with_env_filter(filter)
                .without_time()
                .with_ansi(false)
                .init();
        });
        shown.join().unwrap();
    }
    seeded::begin(options.seed);
    if let Some(bug) = options.plant {
        cairn_world::planted::plant(bug);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let report = runtime.block_on(run::run(&options));
    runtime.shutdown_background();
    if report.violations.is_empty() {
        console::say(report.json());
        ExitCode::SUCCESS
    } else {
        console::say(format_args!("again: {}", options.command()));
        console::say(report.json());
        ExitCode::FAILURE
    }
}
