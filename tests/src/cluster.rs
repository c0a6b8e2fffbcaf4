//! A cluster of real processes: six storage nodes, three of them voters, and two gateways.
//!
//! ```text
//! test ─► cairn dev cluster DIR ─┬─ node 0 … 5    QUIC between them
//!   │            │               └─ gateway 0, 1  HTTP for the clients
//!   │            └─► DIR/cluster.json: process ids and command lines
//!   └─► SIGKILL, SIGTERM, SIGSTOP by process id; started again by command line
//! ```
//!
//! Whatever way a test ends, nothing outlives it: what the test started is killed by it, and what
//! `cairn dev cluster` started ends with that process. The processes stay in the test's process
//! group, so a runner that gives up on the test ends them too.

mod description;
mod member;
mod whole;

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cairn_compat_suite::{Call, Client, Signing};
use rustix::process::Signal;
use tempfile::TempDir;

pub use description::{CredentialsEntry, Description, GatewayEntry, NodeEntry};
pub use member::Member;

use crate::binary;
use crate::patience::{Stopwatch, eventually};
use crate::server::{ACCESS_KEY, SECRET_KEY, give_credentials};

/// Storage nodes.
pub const NODES: usize = 6;
/// Gateways.
pub const GATEWAYS: usize = 2;
/// Voters on the metadata, where a test does not say.
pub const VOTERS: usize = 3;
/// How long the whole cluster may take to come up on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(90);
/// How long a gateway may take to be ready once its process runs.
const READY_PATIENCE: Duration = Duration::from_secs(60);
/// How long `cairn dev cluster` may take to stop everything.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(20);

/// A storage node.
#[derive(Debug)]
pub struct Node {
    /// Its process.
    pub process: Member,
    /// Its data directory.
    pub directory: PathBuf,
    /// Whether it has a vote in the metadata group.
    pub voter: bool,
}

/// A gateway.
#[derive(Debug)]
pub struct Gateway {
    /// Its process.
    pub process: Member,
    /// Signs with the root credentials.
    pub client: Client,
}

/// A running cluster; stopped when dropped.
#[derive(Debug)]
pub struct Cluster {
    /// In the order they were started.
    pub nodes: Vec<Node>,
    /// In the order they were started.
    pub gateways: Vec<Gateway>,
    parent: Option<Child>,
    directory: PathBuf,
    log: PathBuf,
    /// Removed with the cluster.
    _home: TempDir,
}

impl Cluster {
    /// Six nodes, three of them voters, coded 4+2, and two gateways, ready.
    ///
    /// # Panics
    /// Where it does not come up; what it printed is shown.
    #[must_use]
    pub fn start() -> Self {
        Self::with_voters(VOTERS)
    }

    /// The same with another number of voters: of five, any two may be lost.
    ///
    /// # Panics
    /// Where it does not come up; what it printed is shown.
    #[must_use]
    pub fn with_voters(voters: usize) -> Self {
        let home = home();
        let directory = home.path().join("cluster");
        let log = home.path().join("dev-cluster.log");
        let output = File::create(&log).expect("a log");
        let errors = output.try_clone().expect("a log");
        let mut command = Command::new(binary::cairn());
        command.args(["dev", "cluster"]).arg(&directory);
        command.args(["--nodes", &NODES.to_string()]);
        command.args(["--gateways", &GATEWAYS.to_string()]);
        command.args(["--voters", &voters.to_string()]);
        member::without_settings(&mut command);
        give_credentials(&mut command);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let parent = command.spawn().expect("the cluster starts");
        let mut cluster = Self {
            nodes: Vec::new(),
            gateways: Vec::new(),
            parent: Some(parent),
            directory,
            log,
            _home: home,
        };
        let description = cluster.wait_described();
        cluster.take_in(description);
        assert_eq!(cluster.voters().len(), voters);
        cluster
    }

    /// A cluster whose processes the test starts itself, under `home`.
    #[must_use]
    pub fn of_parts(home: TempDir, nodes: Vec<Node>, gateways: Vec<Gateway>) -> Self {
        Self {
            nodes,
            gateways,
            parent: None,
            directory: home.path().to_owned(),
            log: home.path().join("none"),
            _home: home,
        }
    }

    fn wait_described(&mut self) -> Description {
        let watch = Stopwatch::start();
        while watch.elapsed() < START_PATIENCE {
            match Description::read(&self.directory) {
                Ok(Some(description)) => return description,
                Ok(None) => {}
                Err(why) => panic!("{why}"),
            }
            let parent = self.parent.as_mut().expect("a running cluster");
            if let Some(status) = parent.try_wait().expect("a child can be waited for") {
                panic!("the cluster ended with {status}");
            }
            std::thread::sleep(TICK);
        }
        panic!("the cluster did not come up within {START_PATIENCE:?}");
    }

    fn take_in(&mut self, description: Description) {
        let keys = &description.credentials;
        assert_eq!(
            (keys.access_key.as_str(), keys.secret_key.as_str()),
            (ACCESS_KEY, SECRET_KEY)
        );
        let logs = self.directory.join("logs");
        let log = |name: &str| logs.join(format!("{name}.log"));
        for (index, entry) in description.nodes.into_iter().enumerate() {
            let name = format!("node{}", index + 1);
            self.nodes.push(Node {
                process: Member::running(&name, entry.argv, entry.pid, log(&name)),
                directory: entry.dir,
                voter: entry.voter,
            });
        }
        for (index, entry) in description.gateways.into_iter().enumerate() {
            let name = format!("gateway{}", index + 1);
            self.gateways.push(Gateway {
                process: Member::running(&name, entry.argv, entry.pid, log(&name)),
                client: Client::new(&entry.url, ACCESS_KEY, SECRET_KEY).expect("an endpoint"),
            });
        }
        assert_eq!(self.nodes.len(), NODES);
        assert_eq!(self.gateways.len(), GATEWAYS);
        for process in self.processes() {
            assert!(process.is_running(), "{} does not run", process.name);
        }
    }

    /// Every process of the cluster, nodes first.
    pub fn processes(&mut self) -> impl Iterator<Item = &mut Member> {
        let nodes = self.nodes.iter_mut().map(|node| &mut node.process);
        nodes.chain(self.gateways.iter_mut().map(|one| &mut one.process))
    }

    /// A node.
    ///
    /// # Panics
    /// Where there is none of that number.
    pub fn node(&mut self, index: usize) -> &mut Node {
        self.nodes.get_mut(index).expect("a node")
    }

    /// A gateway.
    ///
    /// # Panics
    /// Where there is none of that number.
    pub fn gateway(&mut self, index: usize) -> &mut Gateway {
        self.gateways.get_mut(index).expect("a gateway")
    }

    /// The client of a gateway.
    ///
    /// # Panics
    /// Where there is none of that number.
    #[must_use]
    pub fn client(&self, index: usize) -> Client {
        let gateway = self.gateways.get(index).expect("a gateway");
        gateway.client.clone()
    }

    /// One client for each gateway.
    #[must_use]
    pub fn clients(&self) -> [Client; GATEWAYS] {
        std::array::from_fn(|index| self.client(index))
    }

    /// The nodes that have a vote, by number.
    #[must_use]
    pub fn voters(&self) -> Vec<usize> {
        let numbered = self.nodes.iter().enumerate();
        let voters = numbered.filter(|(_, node)| node.voter);
        voters.map(|(index, _)| index).collect()
    }

    /// The nodes that have no vote, by number.
    #[must_use]
    pub fn plain_nodes(&self) -> Vec<usize> {
        let numbered = self.nodes.iter().enumerate();
        let plain = numbered.filter(|(_, node)| !node.voter);
        plain.map(|(index, _)| index).collect()
    }

    /// Kills a gateway and starts it again; it is ready afterwards.
    ///
    /// # Panics
    /// Where it does not come back.
    pub fn restart_gateway(&mut self, index: usize) {
        let gateway = self.gateway(index);
        if gateway.process.is_running() {
            gateway.process.kill_nine();
        }
        gateway.process.start();
        self.wait_ready(index);
    }

    /// Waits until a gateway says it is ready.
    ///
    /// # Panics
    /// Where it ends or stays unready.
    pub fn wait_ready(&mut self, index: usize) {
        let gateway = self.gateway(index);
        let what = format!("{} is ready", gateway.process.name);
        let call = Call::new("GET", "health/ready").signing(Signing::None);
        let client = gateway.client.with_patience(Duration::from_secs(5));
        eventually(&what, READY_PATIENCE, || {
            assert!(gateway.process.is_running(), "{what}: it has ended");
            match client.send(&call) {
                Ok(response) if response.status == 200 => Ok(()),
                Ok(response) => Err(format!("{} {}", response.status, response.text())),
                Err(why) => Err(why.to_string()),
            }
        });
    }

    /// What the cluster's parent has printed last.
    #[must_use]
    pub fn printed(&self) -> String {
        member::tail(&self.log)
    }

    /// Tells `cairn dev cluster` to stop everything, and gives the process ids there were.
    ///
    /// # Panics
    /// Where it does not end with code 0.
    pub fn stop(mut self) -> Vec<u32> {
        let pids = self
            .processes()
            .filter_map(|process| process.pid())
            .collect();
        let mut parent = self.parent.take().expect("a running cluster");
        member::send(parent.id(), Signal::TERM).expect("a child can be signalled");
        let status = eventually("the cluster stops", STOP_PATIENCE, || {
            let status = parent.try_wait().map_err(|why| why.to_string())?;
            status.ok_or_else(|| "it runs".to_owned())
        });
        assert!(status.success(), "ended with {status}: {}", self.printed());
        pids
    }

    fn put_away(&mut self) {
        for process in self.processes() {
            process.put_away();
        }
        if let Some(mut parent) = self.parent.take() {
            let _ = parent.kill();
            let _ = parent.wait();
        }
    }

    fn show(&self) {
        use std::io::Write as _;
        let mut err = std::io::stderr().lock();
        let _ = writeln!(err, "--- the cluster printed:\n{}", self.printed());
        let nodes = self.nodes.iter().map(|node| &node.process);
        let gateways = self.gateways.iter().map(|gateway| &gateway.process);
        for process in nodes.chain(gateways) {
            let _ = writeln!(err, "--- {} printed:\n{}", process.name, process.printed());
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show();
        }
        self.put_away();
    }
}

/// The command line under which the founder of a cluster is given the credentials of the tests.
#[must_use]
pub fn with_credentials() -> Vec<String> {
    vec![
        "env".to_owned(),
        format!("CAIRN_ROOT_ACCESS_KEY={ACCESS_KEY}"),
        format!("CAIRN_ROOT_SECRET_KEY={SECRET_KEY}"),
    ]
}

/// A temporary home for a cluster.
///
/// # Panics
/// Where there is no temporary folder.
#[must_use]
pub fn home() -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("cairn-cluster-").tempdir().expect("a home")
}
