//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use cairn_model::Coding;
use clap::{Parser, Subcommand};

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
    /// Look at and change a running store.
    Admin(AdminArgs),
}

#[derive(Debug, Parser)]
pub(crate) struct ServerArgs {
    /// Data directories, one per disk. The first also holds the metadata.
    #[arg(required = true)]
    pub(crate) dirs: Vec<PathBuf>,
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
    /// Users and settings to apply at every start (TOML).
    #[arg(long)]
    pub(crate) bootstrap: Option<PathBuf>,
    /// Data and parity shards, as in 4+2; fixed at the first start.
    #[arg(long, value_parser = parse_coding)]
    pub(crate) coding: Option<Coding>,
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

/// A host name: it is compared with the Host of requests, and goes into a certificate.
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
    fn a_server_needs_a_directory() {
        assert!(Args::try_parse_from(["cairn", "server"]).is_err());
        assert!(Args::try_parse_from(["cairn", "server", "a", "--listen", "nowhere"]).is_err());
        assert!(Args::try_parse_from(["cairn", "server", "a", "b", "--coding", "1+1"]).is_ok());
    }
}
