//! One process of a cluster: killed, stopped, frozen and started again by its command line.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::patience::eventually;
use crate::server::KEEP_FREE;

/// How long a killed process may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(30);
/// How long a process told to stop may take.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// A process of a cluster, running or not.
#[derive(Debug)]
pub struct Member {
    /// For messages, and the name of its log.
    pub name: String,
    argv: Vec<String>,
    /// A command line that it is started under.
    wrapper: Vec<String>,
    log: PathBuf,
    process: Process,
}

#[derive(Debug)]
enum Process {
    /// Child of `cairn dev cluster`, which reaps it.
    Foreign(u32),
    /// Our child.
    Own(Child),
    /// Not there.
    Gone,
}

impl Member {
    /// A process that somebody else started.
    #[must_use]
    pub fn running(name: &str, argv: Vec<String>, pid: u32, log: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            argv,
            wrapper: Vec::new(),
            log,
            process: Process::Foreign(pid),
        }
    }

    /// A process that is not there yet.
    #[must_use]
    pub fn not_running(name: &str, argv: Vec<String>, wrapper: Vec<String>, log: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            argv,
            wrapper,
            log,
            process: Process::Gone,
        }
    }

    /// Its process id, where it has one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &self.process {
            Process::Foreign(pid) => Some(*pid),
            Process::Own(child) => Some(child.id()),
            Process::Gone => None,
        }
    }

    /// Whether it runs (or is frozen).
    pub fn is_running(&mut self) -> bool {
        match &mut self.process {
            Process::Foreign(pid) => runs(*pid, &self.argv),
            Process::Own(child) => matches!(child.try_wait(), Ok(None)),
            Process::Gone => false,
        }
    }

    /// SIGKILL, and the end.
    ///
    /// # Panics
    /// Where it does not run, or stays.
    pub fn kill_nine(&mut self) {
        self.signal(Signal::KILL);
        self.wait_gone(KILL_PATIENCE);
    }

    /// SIGTERM, and the end.
    ///
    /// # Panics
    /// Where it does not run, or stays.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.wait_gone(STOP_PATIENCE);
    }

    /// SIGSTOP: it is there and does nothing.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn freeze(&mut self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn thaw(&mut self) {
        self.signal(Signal::CONT);
    }

    /// Starts it by its command line, without anything else.
    ///
    /// # Panics
    /// Where it runs, or cannot be started.
    pub fn start(&mut self) {
        assert!(!self.is_running(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.expect("a log");
        let errors = log.try_clone().expect("a log");
        let mut words = self.wrapper.iter().chain(&self.argv);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words);
        without_settings(&mut command);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = command.spawn();
        self.process = Process::Own(child.unwrap_or_else(|why| panic!("{}: {why}", self.name)));
    }

    /// Kills it if it is there; for the end of a cluster.
    pub(super) fn put_away(&mut self) {
        match std::mem::replace(&mut self.process, Process::Gone) {
            Process::Foreign(pid) if runs(pid, &self.argv) => {
                let _ = send(pid, Signal::KILL);
            }
            Process::Own(mut child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Process::Foreign(_) | Process::Gone => {}
        }
    }

    /// What it has printed last since the test started it itself, or to its own log.
    #[must_use]
    pub fn printed(&self) -> String {
        tail(&self.log)
    }

    /// Has it started with no more than the first words of its command line from now on.
    pub fn cut_command_line(&mut self, words: usize) {
        self.argv.truncate(words);
    }

    /// Value of an option of its command line.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        let mut words = self.argv.iter();
        words.find(|word| *word == name)?;
        words.next().map(String::as_str)
    }

    fn signal(&mut self, signal: Signal) {
        assert!(self.is_running(), "{} does not run", self.name);
        let pid = self.pid().expect("a process");
        send(pid, signal).unwrap_or_else(|why| panic!("{}: {why}", self.name));
    }

    fn wait_gone(&mut self, patience: Duration) {
        let what = format!("the end of {}", self.name);
        eventually(&what, patience, || {
            if self.is_running() {
                Err("it runs".to_owned())
            } else {
                Ok(())
            }
        });
        self.process = Process::Gone;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.put_away();
    }
}

/// Whether the process of that id runs that command line: an id may be given again.
pub(super) fn runs(pid: u32, argv: &[String]) -> bool {
    let line: Vec<u8> = argv
        .iter()
        .flat_map(|word| word.bytes().chain([0]))
        .collect();
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|have| have == line)
}

pub(super) fn send(pid: u32, signal: Signal) -> Result<(), String> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or("no process id")?;
    kill_process(pid, signal).map_err(|why| why.to_string())
}

/// Takes away what the surroundings of the test would tell a server.
pub(super) fn without_settings(command: &mut Command) {
    for name in [
        "CAIRN_ROOT_ACCESS_KEY",
        "CAIRN_ROOT_SECRET_KEY",
        "CAIRN_LISTEN",
        "CAIRN_LOG",
    ] {
        command.env_remove(name);
    }
    command.env(KEEP_FREE.0, KEEP_FREE.1);
}

/// The end of a log.
pub(super) fn tail(log: &Path) -> String {
    const SHOWN: usize = 3_000;
    let bytes = std::fs::read(log).unwrap_or_default();
    let from = bytes.len().saturating_sub(SHOWN);
    String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(home: &Path) -> Member {
        let argv = ["/bin/sleep", "600"].map(str::to_owned).to_vec();
        Member::not_running("sleeper", argv, Vec::new(), home.join("log"))
    }

    #[test]
    fn is_killed_and_started_again() {
        let home = tempfile::tempdir().unwrap();
        let mut member = sleeper(home.path());
        assert!(!member.is_running());
        member.start();
        let first = member.pid();
        assert!(member.is_running());
        member.kill_nine();
        assert!(!member.is_running() && member.pid().is_none());
        member.start();
        assert_ne!(member.pid(), first);
        member.stop();
    }

    #[test]
    fn a_frozen_process_runs_and_can_be_killed() {
        let home = tempfile::tempdir().unwrap();
        let mut member = sleeper(home.path());
        member.start();
        member.freeze();
        assert!(member.is_running());
        member.thaw();
        member.freeze();
        member.kill_nine();
    }

    #[test]
    fn somebody_elses_process_is_known_by_its_command_line() {
        let mut child = Command::new("/bin/sleep").arg("601").spawn().unwrap();
        let argv = |seconds: &str| vec!["/bin/sleep".to_owned(), seconds.to_owned()];
        let log = PathBuf::from("/dev/null");
        let mut other = Member::running("other", argv("602"), child.id(), log.clone());
        assert!(!other.is_running());
        drop(other);
        assert!(child.try_wait().unwrap().is_none(), "a stranger was killed");
        let mut same = Member::running("same", argv("601"), child.id(), log);
        // The kernel shows the command line a moment after it has been started.
        eventually("it runs", KILL_PATIENCE, || {
            same.is_running().then_some(()).ok_or_else(String::new)
        });
        same.kill_nine();
        child.wait().unwrap();
    }

    #[test]
    fn does_not_outlive_its_member() {
        let home = tempfile::tempdir().unwrap();
        let mut member = sleeper(home.path());
        member.start();
        let pid = member.pid().unwrap();
        drop(member);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn finds_an_option() {
        let argv = ["cairn", "gateway", "--listen", "127.0.0.1:1"];
        let argv = argv.map(str::to_owned).to_vec();
        let member = Member::not_running("g", argv, Vec::new(), PathBuf::new());
        assert_eq!(member.option("--listen"), Some("127.0.0.1:1"));
        assert_eq!(member.option("--token-file"), None);
    }
}
