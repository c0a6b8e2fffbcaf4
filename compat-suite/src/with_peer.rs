//! `cairn-compat-suite with-peer`: a command against another server, as `with-server` runs one against ours.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use cairn_compat_suite::clients::peer::{KEYS, Peer};

const USAGE: &str = "usage: cairn-compat-suite with-peer moto|garage --tools DIR -- COMMAND ARGUMENTS...; \
     the command finds CAIRN_ENDPOINT, CAIRN_ROOT_ACCESS_KEY, CAIRN_ROOT_SECRET_KEY and CAIRN_SERVER_PID";

/// Starts the peer, runs the command, stops the peer. The exit code is the command's.
pub(crate) fn run(arguments: &[String], out: &mut impl std::io::Write) -> ExitCode {
    let ran = Order::parse(arguments)
        .ok_or_else(|| USAGE.to_owned())
        .and_then(|order| order.run());
    match ran {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            let _ = writeln!(out, "{why}");
            ExitCode::from(2)
        }
    }
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Order<'a> {
    peer: &'a str,
    tools: PathBuf,
    program: &'a str,
    arguments: &'a [String],
}

impl<'a> Order<'a> {
    fn parse(arguments: &'a [String]) -> Option<Self> {
        match arguments {
            [peer, option, tools, dashes, program, arguments @ ..]
                if option == "--tools" && dashes == "--" =>
            {
                Some(Self {
                    peer,
                    tools: PathBuf::from(tools),
                    program,
                    arguments,
                })
            }
            _ => None,
        }
    }

    fn run(&self) -> Result<u8, String> {
        let tools = std::path::absolute(Path::new(&self.tools)).map_err(|why| why.to_string())?;
        let peer = Peer::named(self.peer, &tools)?;
        let status = Command::new(self.program)
            .args(self.arguments)
            .env("CAIRN_ENDPOINT", &peer.endpoint)
            .env("CAIRN_ROOT_ACCESS_KEY", KEYS.0)
            .env("CAIRN_ROOT_SECRET_KEY", KEYS.1)
            .env("CAIRN_SERVER_PID", peer.pid().to_string())
            .status()
            .map_err(|why| format!("{}: {why}", self.program))?;
        Ok(status
            .code()
            .and_then(|code| code.try_into().ok())
            .unwrap_or(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn reads_its_command_line() {
        let line = words("garage --tools t -- run -- x");
        let order = Order {
            peer: "garage",
            tools: PathBuf::from("t"),
            program: "run",
            arguments: &words("-- x"),
        };
        assert_eq!(Order::parse(&line), Some(order));
        for line in [
            "",
            "garage",
            "garage -- run",
            "garage --tools t run",
            "garage --tools t --",
        ] {
            assert_eq!(Order::parse(&words(line)), None, "{line}");
        }
    }

    #[test]
    fn a_peer_that_is_not_there_is_said() {
        let mut out = Vec::new();
        let _ = run(&words("x --tools t -- true"), &mut out);
        assert!(String::from_utf8(out).unwrap().contains("no peer x"));
    }
}
