//! Which processes a cluster on one machine has, and what `cluster.json` says of them.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Fatal;
use crate::args::DevClusterArgs;

/// What `cluster.json` holds.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Record {
    pub(super) gateways: Vec<GatewayRecord>,
    pub(super) nodes: Vec<NodeRecord>,
    pub(super) credentials: Keys,
}

/// A gateway: where it is, and how it is started again.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct GatewayRecord {
    pub(super) url: String,
    pub(super) pid: u32,
    pub(super) argv: Vec<String>,
}

/// A storage node.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct NodeRecord {
    pub(super) id: String,
    pub(super) pid: u32,
    pub(super) dir: String,
    pub(super) voter: bool,
    pub(super) argv: Vec<String>,
}

/// Root's.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct Keys {
    pub(super) access_key: String,
    pub(super) secret_key: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({}, ..)", self.access_key)
    }
}

/// A process to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) argv: Vec<String>,
    /// Of a gateway.
    pub(super) url: Option<String>,
    /// Of a node.
    pub(super) dir: Option<String>,
    pub(super) votes: bool,
}

/// All of them, in the order they are started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) nodes: Vec<Process>,
    pub(super) gateways: Vec<Process>,
}

/// Ports that were free a moment ago, no two the same.
#[derive(Debug, Default)]
struct Ports {
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
}

impl Ports {
    fn udp(&mut self) -> std::io::Result<String> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = socket.local_addr()?.to_string();
        self.udp.push(socket);
        Ok(address)
    }

    fn tcp(&mut self) -> std::io::Result<String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?.to_string();
        self.tcp.push(listener);
        Ok(address)
    }
}

fn path(dir: &Path, name: &str) -> Result<String, Fatal> {
    let path = dir.join(name);
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Fatal::new(dir.display(), "the name of the directory is not UTF-8"))
}

impl Plan {
    /// A new cluster in `dir`.
    pub(super) fn new(dir: &Path, args: &DevClusterArgs) -> Result<Self, Fatal> {
        if usize::from(args.nodes) < args.coding.shards() {
            let (data, parity) = (args.coding.data(), args.coding.parity());
            let why = format!("{data}+{parity} needs {} of them", args.coding.shards());
            return Err(Fatal::new(format!("--nodes {}", args.nodes), why));
        }
        let program = std::env::current_exe().map_err(|error| Fatal::new("cairn", error))?;
        let program = program.to_str().map(str::to_owned);
        let program = program.ok_or_else(|| Fatal::new("cairn", "its path is not UTF-8"))?;
        let mut ports = Ports::default();
        let port = |found: std::io::Result<String>| {
            found.map_err(|error| Fatal::new("no free port", error))
        };
        let voters = args.voters.min(args.nodes);
        let mut nodes = Vec::new();
        let mut issues = Vec::new();
        for number in 1..=args.nodes {
            let name = format!("node{number}");
            let home = path(dir, &name)?;
            let mut argv = vec![program.clone(), "storage-node".to_owned(), home.clone()];
            argv.extend(["--listen".to_owned(), port(ports.udp())?]);
            let votes = number <= voters;
            if number > 1 {
                let token = path(dir, &format!("tokens/{name}"))?;
                let roles = if votes { "storage+metadata" } else { "storage" };
                issues.extend(["--issue".to_owned(), format!("{roles}={token}")]);
                argv.extend(["--token-file".to_owned(), token]);
                if votes {
                    argv.push("--metadata".to_owned());
                }
            }
            nodes.push(Process {
                name,
                argv,
                url: None,
                dir: Some(home),
                votes,
            });
        }
        let mut gateways = Vec::new();
        for number in 1..=args.gateways {
            let name = format!("gateway{number}");
            let address = port(ports.tcp())?;
            let token = path(dir, &format!("tokens/{name}"))?;
            issues.extend(["--issue".to_owned(), format!("gateway={token}")]);
            let mut argv = vec![program.clone(), "gateway".to_owned(), path(dir, &name)?];
            argv.extend(["--listen".to_owned(), address.clone()]);
            argv.extend(["--token-file".to_owned(), token]);
            gateways.push(Process {
                name,
                argv,
                url: Some(format!("http://{address}")),
                dir: None,
                votes: false,
            });
        }
        if let Some(founder) = nodes.first_mut() {
            let coding = format!("{}+{}", args.coding.data(), args.coding.parity());
            let told = ["--init", "--coding", &coding].map(str::to_owned);
            founder.argv.extend(told);
            if let Some(bootstrap) = &args.bootstrap {
                let file = std::path::absolute(bootstrap).unwrap_or_else(|_| bootstrap.clone());
                founder.argv.push("--bootstrap".to_owned());
                founder.argv.push(file.display().to_string());
            }
            founder.argv.append(&mut issues);
        }
        Ok(Self { nodes, gateways })
    }

    /// The cluster of an earlier run.
    pub(super) fn of_record(record: &Record) -> Self {
        let nodes = (1..)
            .zip(&record.nodes)
            .map(|(number, node): (u16, _)| Process {
                name: format!("node{number}"),
                argv: node.argv.clone(),
                url: None,
                dir: Some(node.dir.clone()),
                votes: node.voter,
            });
        let gateways = (1..)
            .zip(&record.gateways)
            .map(|(number, gateway): (u16, _)| Process {
                name: format!("gateway{number}"),
                argv: gateway.argv.clone(),
                url: Some(gateway.url.clone()),
                dir: None,
                votes: false,
            });
        Self {
            nodes: nodes.collect(),
            gateways: gateways.collect(),
        }
    }

    /// What is known of it without asking; `pid` by name.
    pub(super) fn record(&self, pid: impl Fn(&str) -> u32) -> Record {
        let gateway = |process: &Process| GatewayRecord {
            url: process.url.clone().unwrap_or_default(),
            pid: pid(&process.name),
            argv: process.argv.clone(),
        };
        let node = |process: &Process| NodeRecord {
            id: String::new(),
            pid: pid(&process.name),
            dir: process.dir.clone().unwrap_or_default(),
            voter: process.votes,
            argv: process.argv.clone(),
        };
        Record {
            gateways: self.gateways.iter().map(gateway).collect(),
            nodes: self.nodes.iter().map(node).collect(),
            credentials: Keys::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command, DevCommand};
    use clap::Parser as _;

    fn args(options: &[&str]) -> DevClusterArgs {
        let line = ["cairn", "dev", "cluster", "/d"].iter().chain(options);
        match Args::try_parse_from(line).unwrap().command {
            Command::Dev(DevCommand::Cluster(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn three_of_six_vote_and_the_first_founds() {
        let plan = Plan::new(Path::new("/d"), &args(&[])).unwrap();
        let votes: Vec<bool> = plan.nodes.iter().map(|node| node.votes).collect();
        assert_eq!(votes, [true, true, true, false, false, false]);
        assert_eq!(plan.gateways.len(), 2);
        let founder = &plan.nodes[0].argv;
        assert!(founder.contains(&"--init".to_owned()));
        assert_eq!(founder.iter().filter(|word| *word == "--issue").count(), 7);
        assert!(!plan.nodes[1].argv.contains(&"--init".to_owned()));
        // Each is a command line that is understood.
        for process in plan.nodes.iter().chain(&plan.gateways) {
            assert!(Args::try_parse_from(&process.argv).is_ok(), "{process:?}");
        }
    }

    #[test]
    fn fewer_nodes_than_shards_are_refused() {
        let error = Plan::new(Path::new("/d"), &args(&["--nodes", "5"])).unwrap_err();
        assert!(error.to_string().contains("4+2 needs 6"), "{error}");
        assert!(Plan::new(Path::new("/d"), &args(&["--nodes", "3", "--coding", "2+1"])).is_ok());
    }

    #[test]
    fn a_record_gives_the_same_processes_again() {
        let plan = Plan::new(Path::new("/d"), &args(&[])).unwrap();
        let text = serde_json::to_string(&plan.record(|_| 7)).unwrap();
        let record: Record = serde_json::from_str(&text).unwrap();
        assert_eq!(record.nodes[0].pid, 7);
        assert_eq!(Plan::of_record(&record), plan);
    }
}
