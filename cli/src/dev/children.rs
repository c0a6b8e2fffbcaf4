//! The processes of a cluster on one machine. Who dies is not started again: that is the person's
//! experiment.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::PARENT;
use super::plan::Process;
use crate::credentials::Credentials;
use crate::{Fatal, console};

/// How long the children have to stop by themselves, and how often one looks.
const STOP_TRIES: u32 = 1_500;
const TICK: Duration = Duration::from_millis(20);

/// Whether SIGINT or SIGTERM came.
#[derive(Clone, Debug)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Listens for SIGINT and SIGTERM on a thread of its own: the main thread must not be a runtime's,
/// since children die with the thread that started them.
pub(super) fn stop_signals() -> Result<Stop, Fatal> {
    let stop = Stop(Arc::default());
    let set = Arc::clone(&stop.0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fatal::new("runtime", error))?;
    let mut signals = {
        let _inside = runtime.enter();
        crate::signals::Signals::listen()?
    };
    let listen = move || {
        runtime.block_on(signals.until_stop(None));
        set.store(true, Ordering::SeqCst);
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(listen)
        .map_err(|error| Fatal::new("signals", error))?;
    Ok(stop)
}

/// The running ones.
#[derive(Debug)]
pub(super) struct Children {
    logs: PathBuf,
    running: BTreeMap<String, Child>,
    pids: BTreeMap<String, u32>,
}

impl Children {
    /// None yet; their output goes to `dir/logs`.
    pub(super) fn new(dir: &Path) -> Result<Self, Fatal> {
        let logs = dir.join("logs");
        for made in [&logs, &dir.join("tokens")] {
            std::fs::create_dir_all(made).map_err(|error| Fatal::new(made.display(), error))?;
        }
        Ok(Self {
            logs,
            running: BTreeMap::new(),
            pids: BTreeMap::new(),
        })
    }

    /// Starts one.
    pub(super) fn start(
        &mut self,
        process: &Process,
        credentials: &Credentials,
    ) -> Result<(), Fatal> {
        let name = &process.name;
        let fail = |error: std::io::Error| Fatal::new(name, error);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.logs.join(format!("{name}.log")))
            .map_err(fail)?;
        let errors = log.try_clone().map_err(fail)?;
        let (program, arguments) = process
            .argv
            .split_first()
            .ok_or_else(|| Fatal::new(name, "no command line"))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env(PARENT, std::process::id().to_string())
            .env("CAIRN_ROOT_ACCESS_KEY", &credentials.access_key)
            .env("CAIRN_ROOT_SECRET_KEY", &credentials.secret_key)
            .env_remove("CAIRN_ROOT_ACCESS_KEY_FILE")
            .env_remove("CAIRN_ROOT_SECRET_KEY_FILE")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // Ctrl-C is for the parent, who stops them in order.
            .process_group(0);
        let child = command.spawn().map_err(fail)?;
        self.pids.insert(name.clone(), child.id());
        self.running.insert(name.clone(), child);
        Ok(())
    }

    /// The process id of one that was started.
    pub(super) fn pid(&self, name: &str) -> u32 {
        self.pids.get(name).copied().unwrap_or_default()
    }

    /// Says who has died.
    pub(super) fn note_deaths(&mut self) {
        self.running.retain(|name, child| match child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                console::line(format_args!("{name} (pid {}) ended: {status}", child.id()));
                false
            }
            Err(error) => {
                tracing::error!(name, %error, "a child cannot be watched");
                false
            }
        });
    }

    /// Stops all: gateways and nodes alike are asked first.
    pub(super) fn stop(&mut self) {
        self.signal(Signal::TERM);
        for _ in 0..STOP_TRIES {
            self.running
                .retain(|_, child| matches!(child.try_wait(), Ok(None)));
            if self.running.is_empty() {
                return;
            }
            std::thread::sleep(TICK);
        }
        tracing::warn!(
            left = self.running.len(),
            "some do not stop, they are killed"
        );
        self.signal(Signal::KILL);
        for child in self.running.values_mut() {
            if let Err(error) = child.wait() {
                tracing::error!(%error, "a child cannot be waited for");
            }
        }
    }

    fn signal(&self, signal: Signal) {
        for (name, child) in &self.running {
            let sent = Pid::from_raw(child.id().cast_signed()).map(|pid| kill_process(pid, signal));
            if let Some(Err(error)) = sent {
                tracing::debug!(name, %error, "a signal was not sent");
            }
        }
    }
}
