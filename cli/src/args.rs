//! The command line.

mod bench;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use cairn_model::Coding;
use cairn_placement::DomainLevel;
use cairn_rpc::quic::{Role, Roles};
use clap::{Parser, Subcommand};

use crate::Fatal;
use crate::member::TokenSource;
pub(crate) use bench::{BenchArgs, Work};

/// An S3-compatible object store: acknowledged means durable.
#[derive(Debug, Parser)]
#[command(name = "cairn", version, about)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Everything in one process on one or more directories.
    Server(ServerArgs),
    /// Disks of a cluster, and where told so a voter on its metadata.
    StorageNode(StorageNodeArgs),
    /// S3 in front of a cluster.
    Gateway(GatewayArgs),
    /// A one-time token for a node to join a cluster.
    Token(TokenArgs),
    /// Go on from a backup, or without a majority: makes a cluster of one stopped voter's directory.
    Restore(RestoreArgs),
    /// Whether a process works; for whoever watches it. Exit code 0: yes, 1: no, and why.
    Health(HealthArgs),
    /// Whether this machine is fit for it: clock, ports, disks, limits. Exit code 1 where it is not.
    Doctor(DoctorArgs),
    /// Prints a profile for ~/.aws/config: endpoint, region and keys.
    Profile(ProfileArgs),
    /// Puts a load on any S3 endpoint and measures it: rate, latency, processor time of the server.
    Bench(BenchArgs),
    /// For people who want to see it work.
    #[command(subcommand)]
    Dev(DevCommand),
    /// Look at and change a running store.
    Admin(AdminArgs),
}

/// Where S3 is served, and how.
#[derive(Debug, Parser)]
pub(crate) struct ServeArgs {
    /// Address of the S3 port.
    #[arg(long, default_value = "127.0.0.1:9000", env = "CAIRN_LISTEN")]
    pub(crate) listen: SocketAddr,
    /// Serve HTTPS with this certificate (PEM, the chain after it); read again at SIGHUP.
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        env = "CAIRN_TLS_CERT"
    )]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM: PKCS#8, SEC1 or PKCS#1).
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_cert",
        env = "CAIRN_TLS_KEY"
    )]
    pub(crate) tls_key: Option<PathBuf>,
    /// Serve HTTPS with a certificate of our own, made once and kept in the first directory.
    #[arg(long, conflicts_with_all = ["tls_cert", "tls_key"])]
    pub(crate) tls_self_signed: bool,
    /// Domain below which BUCKET.NAME is a bucket; may be given more than once.
    #[arg(long = "domain", value_name = "NAME", value_parser = parse_domain)]
    pub(crate) domains: Vec<String>,
}

/// How data directories are used.
#[derive(Debug, Parser)]
pub(crate) struct StoreArgs {
    /// Percent of each file system that writes leave free: past it they are refused (507), and deletes,
    /// compaction and repair go on. Two segments (at most 512 MiB) are left in any case.
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 5,
        value_parser = clap::value_parser!(u8).range(0..=50),
        env = "CAIRN_KEEP_FREE"
    )]
    pub(crate) keep_free: u8,
}

#[derive(Debug, Parser)]
pub(crate) struct ServerArgs {
    /// Data directories, one per disk. The first also holds the metadata.
    #[arg(required = true)]
    pub(crate) dirs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    /// Users and settings to apply at every start (TOML).
    #[arg(long)]
    pub(crate) bootstrap: Option<PathBuf>,
    /// Data and parity shards, as in 4+2; fixed at the first start.
    #[arg(long, value_parser = parse_coding)]
    pub(crate) coding: Option<Coding>,
}

/// How a process becomes a member. Used once: afterwards its directory says who it is.
#[derive(Debug, Parser)]
pub(crate) struct JoinArgs {
    /// File with a join token; waited for where it is not there yet.
    #[arg(long, value_name = "FILE", env = "CAIRN_JOIN_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// The join token itself.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "CAIRN_JOIN_TOKEN",
        hide_env_values = true,
        conflicts_with = "token_file"
    )]
    token: Option<String>,
}

impl JoinArgs {
    /// Where the token is.
    pub(crate) fn token(&self) -> Option<TokenSource> {
        let text = self.token.clone().map(TokenSource::Text);
        text.or_else(|| self.token_file.clone().map(TokenSource::File))
    }
}

#[derive(Debug, Parser)]
pub(crate) struct StorageNodeArgs {
    /// Data directories, one per disk. The first also says who the node is, and holds its metadata.
    #[arg(required = true)]
    pub(crate) dirs: Vec<PathBuf>,
    /// UDP address where other nodes and gateways call it.
    #[arg(long, default_value = "127.0.0.1:9100", env = "CAIRN_NODE_LISTEN")]
    pub(crate) listen: SocketAddr,
    /// host:port under which others reach it, where that is not the address it listens on.
    #[arg(long, value_name = "HOST:PORT", env = "CAIRN_ADVERTISE")]
    pub(crate) advertise: Option<String>,
    /// Zone it stands in: a room, a rack, a data centre.
    #[arg(long, default_value = "", env = "CAIRN_ZONE")]
    pub(crate) zone: String,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Keep a replica of the metadata, with a vote.
    #[arg(long)]
    pub(crate) metadata: bool,
    #[command(flatten)]
    pub(crate) join: JoinArgs,
    /// Found a cluster where the directory belongs to none yet. Implies --metadata.
    #[arg(long)]
    pub(crate) init: bool,
    /// Data and parity shards of the cluster, as in 4+2. With --init.
    #[arg(long, value_parser = parse_coding, default_value = "4+2")]
    pub(crate) coding: Coding,
    /// What may fail as one: disk, node or zone. With --init.
    #[arg(long = "failure-domain", visible_alias = "domain", value_parser = parse_level, default_value = "node")]
    pub(crate) domain: DomainLevel,
    /// Users and settings of the new cluster (TOML). With --init.
    #[arg(long, requires = "init")]
    pub(crate) bootstrap: Option<PathBuf>,
    /// Write a one-time join token for a node of these roles, as in storage+metadata=FILE; may be
    /// given more than once. With --init.
    #[arg(long, value_name = "ROLES=FILE", requires = "init", value_parser = parse_issue)]
    pub(crate) issue: Vec<Issue>,
}

impl StorageNodeArgs {
    /// The directory that says who the node is.
    pub(crate) fn first(&self) -> Result<&Path, Fatal> {
        let first = self.dirs.first().map(PathBuf::as_path);
        first.ok_or_else(|| Fatal::new("storage-node", "no directory"))
    }

    /// Where others reach it.
    pub(crate) fn advertised(&self) -> Result<String, Fatal> {
        match &self.advertise {
            Some(address) => Ok(address.clone()),
            None if self.listen.ip().is_unspecified() => Err(Fatal::new(
                format!("--listen {}", self.listen),
                "others cannot call this address: say with --advertise HOST:PORT where they reach the node",
            )),
            None if self.listen.port() == 0 => Err(Fatal::new(
                "--listen",
                "a node keeps its port: others find it there after a restart",
            )),
            None => Ok(self.listen.to_string()),
        }
    }
}

/// A token to be written for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issue {
    pub(crate) roles: Roles,
    pub(crate) file: PathBuf,
}

#[derive(Debug, Parser)]
pub(crate) struct GatewayArgs {
    /// Directory that says who the gateway is. It holds no data.
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    /// Zone it stands in.
    #[arg(long, default_value = "", env = "CAIRN_ZONE")]
    pub(crate) zone: String,
    #[command(flatten)]
    pub(crate) join: JoinArgs,
}

#[derive(Debug, Parser)]
pub(crate) struct TokenArgs {
    /// First directory of a metadata node that is running here.
    pub(crate) dir: PathBuf,
    /// What the node may be: storage, storage+metadata, gateway.
    #[arg(long, value_parser = parse_roles, default_value = "storage")]
    pub(crate) roles: Roles,
    /// Hours that the token is good for.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=168))]
    pub(crate) hours: u64,
    /// Write it to this file, for its owner alone, and not to the terminal.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Parser)]
pub(crate) struct RestoreArgs {
    /// First directory of a voter that has stopped, or a copy of one that had. Every other voter must
    /// have stopped for ever: two histories of one store lose what either is told.
    pub(crate) dir: PathBuf,
    /// The new generation is the next one after the directory's, and not below this. Say one above every
    /// generation there was where this backup has been restored before.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) generation: u16,
    /// Change nothing; say how far the log goes.
    #[arg(long, conflicts_with_all = ["generation", "disks_only"])]
    pub(crate) look: bool,
    /// Another voter of the old cluster: make a storage node of it. Its disks are kept, its metadata is
    /// put aside.
    #[arg(long, conflicts_with = "generation")]
    pub(crate) disks_only: bool,
}

#[derive(Debug, Parser)]
pub(crate) struct HealthArgs {
    /// Address of a server or a gateway.
    #[arg(long, default_value = "http://127.0.0.1:9000", env = "CAIRN_ENDPOINT")]
    pub(crate) endpoint: String,
    /// Only whether it answers at all: not whether metadata and disks do.
    #[arg(long)]
    pub(crate) live: bool,
    /// Certificates to trust (PEM) where the address is https.
    #[arg(long, value_name = "FILE", env = "CAIRN_CACERT")]
    pub(crate) cacert: Option<PathBuf>,
    /// Take any certificate. Nothing secret is sent: for a check of one's own port.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Ask not at the address but, over QUIC, the storage node whose first directory this is.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["live", "insecure"])]
    pub(crate) node: Option<PathBuf>,
}

#[derive(Debug, Parser)]
pub(crate) struct DoctorArgs {
    /// Data directories, as they would be given to `server` or `storage-node`.
    pub(crate) dirs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Address of the S3 port.
    #[arg(long, default_value = "127.0.0.1:9000", env = "CAIRN_LISTEN")]
    pub(crate) listen: SocketAddr,
    /// UDP address of a storage node, where one is to run here.
    #[arg(long, env = "CAIRN_NODE_LISTEN")]
    pub(crate) node_listen: Option<SocketAddr>,
    /// A store that runs elsewhere: its clock is compared with this one.
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
}

#[derive(Debug, Parser)]
pub(crate) struct ProfileArgs {
    /// Name of the profile: aws --profile NAME.
    #[arg(long, default_value = "cairn", value_parser = parse_profile)]
    pub(crate) name: String,
    /// The store's address, as clients reach it.
    #[arg(long, default_value = "http://127.0.0.1:9000", env = "CAIRN_ENDPOINT")]
    pub(crate) endpoint: String,
    /// Certificates that clients are to trust (PEM), where the address is https.
    #[arg(long, value_name = "FILE", env = "CAIRN_CACERT")]
    pub(crate) cacert: Option<PathBuf>,
    /// Directory of the server, for the keys kept there; else `CAIRN_ROOT_ACCESS_KEY` and
    /// `CAIRN_ROOT_SECRET_KEY` (or `_FILE`).
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DevCommand {
    /// A whole cluster of real processes on this machine, until Ctrl-C.
    Cluster(DevClusterArgs),
}

#[derive(Debug, Parser)]
pub(crate) struct DevClusterArgs {
    /// Directory of all nodes; a cluster that lies there is started again.
    pub(crate) dir: PathBuf,
    /// Storage nodes.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) nodes: u16,
    /// Gateways.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) gateways: u16,
    /// Nodes that keep the metadata.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=7))]
    pub(crate) voters: u16,
    /// Data and parity shards, as in 4+2.
    #[arg(long, value_parser = parse_coding, default_value = "4+2")]
    pub(crate) coding: Coding,
    /// Users and settings of the new cluster (TOML).
    #[arg(long)]
    pub(crate) bootstrap: Option<PathBuf>,
}

#[derive(Debug, Parser)]
pub(crate) struct AdminArgs {
    /// The store's address.
    #[arg(long, default_value = "http://127.0.0.1:9000", env = "CAIRN_ENDPOINT")]
    pub(crate) endpoint: String,
    /// Certificates to trust (PEM) where the address is https; else the self-signed one in --dir.
    #[arg(long, value_name = "FILE", env = "CAIRN_CACERT")]
    pub(crate) cacert: Option<PathBuf>,
    /// Directory of the server, to sign with the credentials kept there; else
    /// `CAIRN_ROOT_ACCESS_KEY` and `CAIRN_ROOT_SECRET_KEY` (or `_FILE`) sign.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: AdminCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Users and their keys.
    #[command(subcommand)]
    User(UserCommand),
    /// The store's own time.
    #[command(subcommand)]
    Clock(ClockCommand),
    /// Nodes and disks, and how they are.
    Cluster,
    /// Disks that come and go.
    #[command(subcommand)]
    Disk(DiskCommand),
    /// Nodes that go.
    #[command(subcommand)]
    Node(NodeCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum DiskCommand {
    /// Empty a disk onto the others, so that it can be taken out. It is read from meanwhile.
    Leave {
        /// Its id, as `cluster` shows it.
        id: String,
    },
    /// A disk is gone for ever: make what it held anew on the others.
    Lost {
        /// Its id.
        id: String,
    },
    /// A disk that was to leave stays.
    Stay {
        /// Its id.
        id: String,
    },
    /// Forget a disk that nothing names any more.
    Remove {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Forget a node that has no disks; it is not let in any more.
    Remove {
        /// Its id, as `cluster` shows it.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClockCommand {
    /// The time, and whether what time alone decides is suspended.
    Show,
    /// Accept that the clock jumped forward by more than an hour: leases end again.
    Accept,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user, or give one new keys; keys left out are generated and printed once.
    Add {
        /// The user's id, which owns what it creates.
        id: String,
        /// Name shown in listings; the id where left out.
        #[arg(long)]
        display_name: Option<String>,
        /// E-mail address.
        #[arg(long, default_value = "")]
        email: String,
        /// Access key, 3 to 128 characters.
        #[arg(long, requires = "secret_key")]
        access_key: Option<String>,
        /// Secret key, 8 characters or more.
        #[arg(
            long,
            requires = "access_key",
            env = "CAIRN_NEW_SECRET_KEY",
            hide_env_values = true
        )]
        secret_key: Option<String>,
    },
    /// All users, without secrets.
    List,
    /// Remove a user's access; what it owns stays.
    Remove {
        /// The user's access key.
        access_key: String,
    },
}

fn parse_coding(text: &str) -> Result<Coding, String> {
    let (data, parity) = text
        .split_once('+')
        .ok_or("a coding is written k+m, as in 4+2")?;
    let number = |digits: &str| {
        digits
            .parse::<u8>()
            .map_err(|_| "k and m are small numbers")
    };
    Coding::new(number(data)?, number(parity)?).map_err(|error| error.to_string())
}

fn parse_level(text: &str) -> Result<DomainLevel, String> {
    DomainLevel::from_name(text).ok_or_else(|| "one of disk, node, zone".to_owned())
}

fn parse_roles(text: &str) -> Result<Roles, String> {
    let role = |name: &str| Role::from_name(name).ok_or("roles are storage, metadata, gateway");
    let roles: Result<Vec<Role>, _> = text.split('+').map(role).collect();
    Ok(Roles::of(&roles?))
}

fn parse_issue(text: &str) -> Result<Issue, String> {
    let (roles, file) = text
        .split_once('=')
        .filter(|(_, file)| !file.is_empty())
        .ok_or("a token is asked for as ROLES=FILE")?;
    Ok(Issue {
        roles: parse_roles(roles)?,
        file: file.into(),
    })
}

/// A host name: it is compared with the Host of requests, and goes into a certificate.
/// A word that stands in brackets in a file of profiles.
fn parse_profile(text: &str) -> Result<String, String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.is_empty() || !text.bytes().all(known) {
        return Err("a name has letters, digits, '-', '_' and '.'".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_domain(text: &str) -> Result<String, String> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let is_label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(known)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err("a domain is a host name, without scheme, port or wildcard".to_owned());
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err("buckets have no names below an address".to_owned());
    }
    Ok(name)
}

#[cfg(test)]
mod containers;
#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn codings_are_read_and_refused() {
        assert_eq!(parse_coding("4+2"), Ok(Coding::new(4, 2).unwrap()));
        for bad in ["4", "4+", "+2", "0+1", "300+1", "4+2+1", "200+100", "-1+2"] {
            assert!(parse_coding(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn domains_are_host_names() {
        assert_eq!(parse_domain("S3.Example."), Ok("s3.example".to_owned()));
        assert_eq!(parse_domain("localhost"), Ok("localhost".to_owned()));
        let long = ["a"; 128].join(".");
        for bad in [
            "", ".", "a..b", "-a", "a-", "*.a", "a:9000", "http://a", "1.2.3.4", "::1", "a_b",
            &long,
        ] {
            assert!(parse_domain(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_certificate_has_a_key_or_is_self_signed() {
        let server = |options: &[&str]| {
            let line = ["cairn", "server", "a"].iter().chain(options);
            Args::try_parse_from(line)
        };
        assert!(server(&["--tls-cert", "c", "--tls-key", "k"]).is_ok());
        assert!(server(&["--tls-self-signed", "--domain", "a", "--domain", "b"]).is_ok());
        assert!(server(&["--tls-cert", "c"]).is_err());
        assert!(server(&["--tls-key", "k"]).is_err());
        let both = ["--tls-self-signed", "--tls-cert", "c", "--tls-key", "k"];
        assert!(server(&both).is_err());
    }

    #[test]
    fn roles_and_tokens_are_read_and_refused() {
        let both = Roles::of(&[Role::StorageNode, Role::MetadataVoter]);
        assert_eq!(parse_roles("storage+metadata"), Ok(both));
        let issue = parse_issue("gateway=/tokens/g1").unwrap();
        assert_eq!(issue.roles, Roles::of(&[Role::Gateway]));
        assert_eq!(issue.file, PathBuf::from("/tokens/g1"));
        for bad in ["", "storage", "=file", "storage=", "king=file"] {
            assert!(parse_issue(bad).is_err(), "{bad}");
        }
        assert!(parse_level("rack").is_err());
    }

    #[test]
    fn a_node_says_where_others_reach_it() {
        let node = |options: &[&str]| {
            let line = ["cairn", "storage-node", "a"].iter().chain(options);
            match Args::try_parse_from(line).unwrap().command {
                Command::StorageNode(args) => args.advertised().map_err(|error| error.to_string()),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            node(&["--listen", "10.0.0.1:7"]),
            Ok("10.0.0.1:7".to_owned())
        );
        let named = ["--listen", "0.0.0.0:7", "--advertise", "n1:7"];
        assert_eq!(node(&named), Ok("n1:7".to_owned()));
        assert!(
            node(&["--listen", "0.0.0.0:7"])
                .unwrap_err()
                .contains("--advertise")
        );
        assert!(node(&["--listen", "127.0.0.1:0"]).is_err());
    }

    #[test]
    fn a_server_needs_a_directory() {
        assert!(Args::try_parse_from(["cairn", "server"]).is_err());
        assert!(Args::try_parse_from(["cairn", "server", "a", "--listen", "nowhere"]).is_err());
        assert!(Args::try_parse_from(["cairn", "server", "a", "b", "--coding", "1+1"]).is_ok());
    }
}
