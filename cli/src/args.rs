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
    fn a_server_needs_a_directory() {
        assert!(Args::try_parse_from(["cairn", "server"]).is_err());
        assert!(Args::try_parse_from(["cairn", "server", "a", "--listen", "nowhere"]).is_err());
        assert!(Args::try_parse_from(["cairn", "server", "a", "b", "--coding", "1+1"]).is_ok());
    }
}
