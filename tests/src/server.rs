//! One `cairn server` process on directories of its own.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use cairn_compat_suite::{Call, Client, Signing};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::binary;

/// Credentials that every test server is given.
pub const ACCESS_KEY: &str = "cairntestaccess";
/// See [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "cairn-test-secret-0123456789";
/// How long a start, with recovery, may take.
const START_TRIES: u32 = 6_000;
/// How long a stop, with draining, may take.
const STOP_TRIES: u32 = 3_000;
const TICK: Duration = Duration::from_millis(20);

/// Where and how a server runs; outlives its processes.
#[derive(Debug)]
pub struct Site {
    /// Data directories, in the order of the command line.
    pub directories: Vec<PathBuf>,
    /// Further arguments of `cairn server`.
    pub arguments: Vec<String>,
    /// Whether the credentials are given to the server by environment.
    pub credentials_given: bool,
    /// A command line that the server is started under, such as strace's.
    pub wrapper: Vec<String>,
    /// Where its output goes.
    log: PathBuf,
    /// Removed with the site.
    _home: TempDir,
}

impl Site {
    /// Fresh directories `disk0` … under a temporary home.
    ///
    /// # Panics
    /// Where they cannot be made.
    #[must_use]
    pub fn new(directories: usize) -> Self {
        let home = tempfile::Builder::new()
            .prefix("cairn-test-")
            .tempdir()
            .expect("a home");
        let directories: Vec<PathBuf> = (0..directories)
            .map(|disk| home.path().join(format!("disk{disk}")))
            .collect();
        for directory in &directories {
            std::fs::create_dir(directory).expect("a directory");
        }
        Self::at(home, directories)
    }

    /// One directory that exists already.
    ///
    /// # Panics
    /// Where there is no temporary folder.
    #[must_use]
    pub fn on(directory: &Path) -> Self {
        let home = tempfile::Builder::new()
            .prefix("cairn-test-")
            .tempdir()
            .expect("a home");
        Self::at(home, vec![directory.to_owned()])
    }

    fn at(home: TempDir, directories: Vec<PathBuf>) -> Self {
        let log = home.path().join("server.log");
        Self {
            directories,
            arguments: Vec::new(),
            credentials_given: true,
            wrapper: Vec::new(),
            log,
            _home: home,
        }
    }

    /// The temporary home of this site, for files of the test.
    #[must_use]
    pub fn home(&self) -> &Path {
        self._home.path()
    }

    /// What the servers here have printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        let printed = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&printed).into_owned()
    }

    /// Starts a server and waits until it is ready.
    ///
    /// # Panics
    /// Where it does not become ready; its output is shown.
    #[must_use]
    pub fn start(&self) -> Server<'_> {
        let mut server = self.launch();
        server.wait_ready();
        server
    }

    /// Starts a server without waiting.
    ///
    /// # Panics
    /// Where the process cannot be started.
    #[must_use]
    pub fn launch(&self) -> Server<'_> {
        let listen = format!("127.0.0.1:{}", free_port());
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("a log");
        let errors = log.try_clone().expect("a log");
        let mut line: Vec<std::ffi::OsString> =
            self.wrapper.iter().map(std::ffi::OsString::from).collect();
        line.push(binary::cairn().into());
        let (program, leading) = line.split_first().expect("a program");
        let mut command = Command::new(program);
        command.args(leading).arg("server").args(&self.directories);
        command.args(["--listen", &listen]).args(&self.arguments);
        for name in [
            "CAIRN_ROOT_ACCESS_KEY",
            "CAIRN_ROOT_SECRET_KEY",
            "CAIRN_LISTEN",
            "CAIRN_LOG",
        ] {
            command.env_remove(name);
        }
        command.env(KEEP_FREE.0, KEEP_FREE.1);
        if self.credentials_given {
            give_credentials(&mut command);
        }
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let process = command.spawn().expect("the server starts");
        let (endpoint, client) = self.reach(&listen);
        Server {
            site: self,
            process: Some(process),
            endpoint,
            client,
        }
    }
}

impl Site {
    /// The certificate that clients of these servers must trust, where they speak HTTPS.
    #[must_use]
    pub fn certificate(&self) -> Option<PathBuf> {
        let mut arguments = self.arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--tls-cert" => return arguments.next().map(PathBuf::from),
                "--tls-self-signed" => {
                    let first = self.directories.first().expect("a directory");
                    return Some(first.join("tls/certificate.pem"));
                }
                _ => {}
            }
        }
        None
    }

    /// Endpoint and client of a server that is starting: a certificate of its own making may have
    /// to be waited for.
    fn reach(&self, listen: &str) -> (String, Client) {
        let Some(certificate) = self.certificate() else {
            let endpoint = format!("http://{listen}");
            let client = Client::new(&endpoint, ACCESS_KEY, SECRET_KEY).expect("an endpoint");
            return (endpoint, client);
        };
        for _ in 0..START_TRIES {
            if certificate.exists() {
                break;
            }
            std::thread::sleep(TICK);
        }
        let trusted = std::fs::read(&certificate)
            .unwrap_or_else(|why| panic!("{}: {why}\n{}", certificate.display(), self.printed()));
        let endpoint = format!("https://{listen}");
        let client = Client::over_tls(&endpoint, ACCESS_KEY, SECRET_KEY, &trusted);
        (endpoint, client.expect("an endpoint"))
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server<'s> {
    site: &'s Site,
    process: Option<Child>,
    /// `http://127.0.0.1:port`, or `https`.
    pub endpoint: String,
    /// Signs with the root credentials.
    pub client: Client,
}

impl Server<'_> {
    /// Waits until `/health/ready` answers 200.
    ///
    /// # Panics
    /// Where the process ends or stays unready; its output is shown.
    pub fn wait_ready(&mut self) {
        for _ in 0..START_TRIES {
            if let Some(status) = self.exited() {
                panic!("the server ended with {status}:\n{}", self.site.printed());
            }
            if self.health("ready") == Some(200) {
                return;
            }
            std::thread::sleep(TICK);
        }
        panic!("the server is not ready:\n{}", self.site.printed());
    }

    /// The status of `/health/{what}`; `None` where nobody answers.
    #[must_use]
    pub fn health(&self, what: &str) -> Option<u16> {
        let call = Call::new("GET", &format!("health/{what}")).signing(Signing::None);
        let client = self.client.with_patience(Duration::from_secs(5));
        client.send(&call).ok().map(|response| response.status)
    }

    /// Process id of the server, or of what it was started under.
    ///
    /// # Panics
    /// Where it was stopped before.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running server").id()
    }

    /// The exit status, once the process has ended by itself.
    ///
    /// # Panics
    /// Where it was stopped before.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        let process = self.process.as_mut().expect("a running server");
        process.try_wait().expect("a child can be waited for")
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// Where there is no such process.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Waits for the end of a server that was told to stop.
    ///
    /// # Panics
    /// Where it does not end; its output is shown.
    pub fn wait_exit(mut self) -> ExitStatus {
        for _ in 0..STOP_TRIES {
            if let Some(status) = self.exited() {
                self.process = None;
                return status;
            }
            std::thread::sleep(TICK);
        }
        panic!("the server does not stop:\n{}", self.site.printed());
    }

    /// SIGTERM, and a clean end.
    ///
    /// # Panics
    /// Where it does not end with code 0.
    pub fn stop(self) {
        let site = self.site;
        self.terminate();
        let status = self.wait_exit();
        assert!(status.success(), "ended with {status}:\n{}", site.printed());
    }

    /// SIGKILL, and the end.
    ///
    /// # Panics
    /// Where there is no such process.
    pub fn kill_nine(mut self) {
        self.kill_nine_now();
    }

    /// SIGKILL from where the server cannot be given up.
    ///
    /// # Panics
    /// Where there is no such process.
    pub fn kill_nine_now(&mut self) {
        let mut process = self.process.take().expect("a running server");
        process.kill().expect("a child can be killed");
        process.wait().expect("a child can be waited for");
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process id"), signal).expect("a child can be signalled");
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            use std::io::Write as _;
            let printed = self.site.printed();
            let from = printed.len().saturating_sub(8_000);
            let tail = printed.get(from..).unwrap_or(&printed);
            let _ = writeln!(std::io::stderr(), "--- the server printed:\n{tail}");
        }
    }
}

/// Has a server leave no share of its file system free: whether a test passes must not hang on how full
/// the machine's disk is. Two segments are left all the same.
pub const KEEP_FREE: (&str, &str) = ("CAIRN_KEEP_FREE", "0");

/// Gives a command the credentials of the test servers.
pub fn give_credentials(command: &mut Command) {
    command.env("CAIRN_ROOT_ACCESS_KEY", ACCESS_KEY);
    command.env("CAIRN_ROOT_SECRET_KEY", SECRET_KEY);
}

/// A port that nobody listens on at this moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
