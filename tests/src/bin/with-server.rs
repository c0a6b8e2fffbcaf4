//! Starts a fresh server, runs a command against it, and stops it.
//!
//! `with-server [--directories N] [--bootstrap FILE] -- COMMAND ARGUMENTS…`; the command finds
//! `CAIRN_ENDPOINT`, `CAIRN_ACCESS_KEY` and `CAIRN_SECRET_KEY` in its environment, what `cairn bench` reads
//! beside them (`CAIRN_ROOT_*`, `CAIRN_SERVER_PID`), and an argument
//! `{address}` becomes the server's `host:port`. The exit code is the command's.

use std::process::{Command, ExitCode};

use cairn_tests::server::{ACCESS_KEY, SECRET_KEY, Site, give_credentials};

const USAGE: &[u8] =
    b"usage: with-server [--directories N] [--bootstrap FILE] -- COMMAND ARGUMENTS...\n";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(order) = Order::parse(&arguments) else {
        use std::io::Write as _;
        let _ = std::io::stderr().write_all(USAGE);
        return ExitCode::from(2);
    };
    let mut site = Site::new(order.directories);
    if let Some(file) = order.bootstrap {
        site.arguments = vec!["--bootstrap".to_owned(), file.to_owned()];
    }
    let server = site.start();
    let address = server.endpoint.trim_start_matches("http://");
    let rest = order.arguments.iter().map(|argument| match *argument {
        "{address}" => address,
        other => other,
    });
    let mut command = Command::new(order.program);
    command.args(rest).env("CAIRN_ENDPOINT", &server.endpoint);
    command
        .env("CAIRN_ACCESS_KEY", ACCESS_KEY)
        .env("CAIRN_SECRET_KEY", SECRET_KEY)
        .env("CAIRN_SERVER_PID", server.pid().to_string());
    give_credentials(&mut command);
    let status = command.status().expect("the command starts");
    server.stop();
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    ExitCode::from(code)
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Order<'a> {
    directories: usize,
    bootstrap: Option<&'a str>,
    program: &'a str,
    arguments: Vec<&'a str>,
}

impl<'a> Order<'a> {
    fn parse(arguments: &'a [String]) -> Option<Self> {
        let mut words = arguments.iter().map(String::as_str);
        let (mut directories, mut bootstrap) = (1, None);
        loop {
            match words.next()? {
                "--directories" => directories = words.next()?.parse().ok()?,
                "--bootstrap" => bootstrap = Some(words.next()?),
                "--" => break,
                _ => return None,
            }
        }
        let program = words.next().filter(|_| directories > 0)?;
        Some(Self {
            directories,
            bootstrap,
            program,
            arguments: words.collect(),
        })
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
        let line = words("--bootstrap b.toml --directories 3 -- run {address} -- x");
        let order = Order {
            directories: 3,
            bootstrap: Some("b.toml"),
            program: "run",
            arguments: vec!["{address}", "--", "x"],
        };
        assert_eq!(Order::parse(&line), Some(order));
        assert_eq!(Order::parse(&words("-- run")).unwrap().directories, 1);
    }

    #[test]
    fn refuses_a_line_without_a_command() {
        for line in [
            "",
            "--",
            "run",
            "--directories 0 -- run",
            "--directories x -- run",
            "--bootstrap",
        ] {
            assert_eq!(Order::parse(&words(line)), None, "{line}");
        }
    }
}
