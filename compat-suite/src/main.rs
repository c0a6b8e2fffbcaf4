//! `cairn-compat-suite --endpoint http://host:port --access-key … --secret-key … [--filter TEXT]`
//!
//! An `https://` endpoint needs `--cacert FILE`, the certificates (PEM) to trust.
//! What is not given is taken from `CAIRN_ENDPOINT`, `CAIRN_ACCESS_KEY`, `CAIRN_SECRET_KEY`,
//! `CAIRN_FILTER` and `CAIRN_CACERT`.
//! `cairn-compat-suite report …` writes a page from runs of the public suite instead, `clients …` drives
//! real clients, `results …` compares what they found with what is committed, and `with-peer …` runs a
//! command against another server.
//! The last line is `passed X of Y`; the exit code is 0 only where all passed.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;

use cairn_compat_suite::{Client, runner};

mod drive;
mod with_peer;
mod write_report;
mod write_results;

const OPTIONS: [(&str, &str); 5] = [
    ("--endpoint", "CAIRN_ENDPOINT"),
    ("--access-key", "CAIRN_ACCESS_KEY"),
    ("--secret-key", "CAIRN_SECRET_KEY"),
    ("--filter", "CAIRN_FILTER"),
    ("--cacert", "CAIRN_CACERT"),
];

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = arguments.split_first();
    match command.map(|(first, rest)| (first.as_str(), rest)) {
        Some(("report", rest)) => return report(rest, &mut out),
        Some(("clients", rest)) => return drive_clients(rest, &mut out),
        Some(("results", rest)) => return results(rest, &mut out),
        Some(("with-peer", rest)) => return with_peer::run(rest, &mut out),
        _ => {}
    }
    let client = settings(arguments.into_iter()).and_then(|settings| {
        let given = |name: &str| settings.get(name).map(String::as_str).unwrap_or_default();
        let (endpoint, cacert) = (given("--endpoint"), given("--cacert"));
        let (access_key, secret_key) = (given("--access-key"), given("--secret-key"));
        let client = if cacert.is_empty() {
            Client::new(endpoint, access_key, secret_key)?
        } else {
            let trusted = std::fs::read(cacert).map_err(|why| format!("{cacert}: {why}"))?;
            Client::over_tls(endpoint, access_key, secret_key, &trusted)?
        };
        Ok((client, given("--filter").to_owned()))
    });
    match client {
        Err(why) => {
            let _ = writeln!(out, "{why}");
            ExitCode::from(2)
        }
        Ok((client, filter)) => match runner::run(&client, &filter, &mut out) {
            Ok(score) if score.passed == score.ran && score.ran > 0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        },
    }
}

/// Writes the page of the public suite.
fn report(arguments: &[String], out: &mut impl std::io::Write) -> ExitCode {
    match write_report::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            for line in wrong {
                let _ = writeln!(out, "{line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Runs real clients; only what could not be run is an error.
fn drive_clients(arguments: &[String], out: &mut impl std::io::Write) -> ExitCode {
    let (said, code) = match drive::run(arguments) {
        Ok(said) => (said, ExitCode::SUCCESS),
        Err(why) => (why, ExitCode::FAILURE),
    };
    let _ = writeln!(out, "{said}");
    code
}

/// Compares results and pages with what is committed, or takes them.
fn results(arguments: &[String], out: &mut impl std::io::Write) -> ExitCode {
    let verdict = match write_results::run(arguments) {
        Ok(verdict) => verdict,
        Err(why) => {
            let _ = writeln!(out, "{why}");
            return ExitCode::FAILURE;
        }
    };
    for line in &verdict.lines {
        let _ = writeln!(out, "{line}");
    }
    let (passed, failed, skipped) = (verdict.passed, verdict.failed, verdict.skipped);
    let _ = writeln!(out, "{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Options by name, from the command line before the environment.
fn settings(
    arguments: impl Iterator<Item = String>,
) -> Result<BTreeMap<&'static str, String>, String> {
    let from_environment = OPTIONS
        .iter()
        .filter_map(|(option, variable)| Some((*option, std::env::var(variable).ok()?)));
    let mut settings: BTreeMap<&'static str, String> = from_environment.collect();
    let mut arguments = arguments;
    while let Some(name) = arguments.next() {
        let option = OPTIONS.iter().find(|(option, _)| *option == name);
        let (option, _) = option.ok_or_else(|| format!("unknown option {name}"))?;
        let value = arguments
            .next()
            .ok_or_else(|| format!("{name} needs a value"))?;
        settings.insert(option, value);
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(line: &str) -> Result<BTreeMap<&'static str, String>, String> {
        settings(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn reads_options_and_refuses_others() {
        assert_eq!(given("--filter x").unwrap()["--filter"], "x");
        assert!(given("--filter").is_err());
        assert!(given("--verbose x").is_err());
    }
}
