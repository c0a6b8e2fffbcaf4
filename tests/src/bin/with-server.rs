//! Starts a fresh server, runs a command against it, and stops it.
//!
//! `with-server [--directories N] -- COMMAND ARGUMENTS…`; the command finds `CAIRN_ENDPOINT`,
//! `CAIRN_ACCESS_KEY` and `CAIRN_SECRET_KEY` in its environment. The exit code is the command's.

use std::process::{Command, ExitCode};

use cairn_tests::server::{ACCESS_KEY, SECRET_KEY, Site};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (directories, line) = match words.as_slice() {
        ["--directories", count, "--", line @ ..] => (count.parse().unwrap_or(0), line),
        ["--", line @ ..] => (1, line),
        _ => (0, [].as_slice()),
    };
    let Some((program, rest)) = line.split_first().filter(|_| directories > 0) else {
        use std::io::Write as _;
        let usage = b"usage: with-server [--directories N] -- COMMAND ARGUMENTS...\n";
        let _ = std::io::stderr().write_all(usage);
        return ExitCode::from(2);
    };
    let site = Site::new(directories);
    let server = site.start();
    let mut command = Command::new(program);
    command.args(rest).env("CAIRN_ENDPOINT", &server.endpoint);
    command
        .env("CAIRN_ACCESS_KEY", ACCESS_KEY)
        .env("CAIRN_SECRET_KEY", SECRET_KEY);
    let status = command.status().expect("the command starts");
    server.stop();
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    ExitCode::from(code)
}
