//! `cairn-compat-suite clients`: every client against one server, results in a file.

use std::path::{Path, PathBuf};

use cairn_compat_suite::clients::peer::{self, Peer};
use cairn_compat_suite::clients::{Bench, Order, Outcome, Row, rows};

/// What the command is given.
pub(crate) const USAGE: &str = "usage: cairn-compat-suite clients --tools DIR --sources DIR \
     --rust-sdks FILE --out DIR [--peer moto|garage] [--only CLIENT,CLIENT] (the endpoint and its keys: \
     CAIRN_ENDPOINT, CAIRN_ACCESS_KEY, CAIRN_SECRET_KEY; a peer is started and stopped)";

/// Runs the clients, writes `OUT/<subject>.tsv` and gives what to say.
///
/// # Errors
/// Why nothing could be run or written.
pub(crate) fn run(arguments: &[String]) -> Result<String, String> {
    let given = Given::parse(arguments)
        .and_then(Given::absolute)
        .map_err(|why| format!("{why}\n{USAGE}"))?;
    let peer = given
        .peer
        .as_deref()
        .map(|name| Peer::named(name, &given.bench.tools))
        .transpose()?;
    let subject = given.peer.as_deref().unwrap_or("cairn");
    let variable = |name: &str| std::env::var(name).map_err(|why| format!("{name}: {why}"));
    let (endpoint, access_key, secret_key) = match &peer {
        Some(peer) => (
            peer.endpoint.clone(),
            peer::KEYS.0.to_owned(),
            peer::KEYS.1.to_owned(),
        ),
        None => (
            variable("CAIRN_ENDPOINT")?,
            variable("CAIRN_ACCESS_KEY")?,
            variable("CAIRN_SECRET_KEY")?,
        ),
    };
    let order = Order {
        subject: subject.to_owned(),
        endpoint,
        access_key,
        secret_key,
        only: given.only.iter().cloned().collect(),
    };
    let bench = Bench {
        out: given.out.join(subject),
        ..given.bench
    };
    let found = bench.run(&order)?;
    let file = given.out.join(format!("{subject}.tsv"));
    std::fs::write(&file, rows::write(&found))
        .map_err(|why| format!("{}: {why}", file.display()))?;
    Ok(told(&found))
}

/// A line for each case that did not pass, and the sum.
fn told(found: &[Row]) -> String {
    let count = |outcome| found.iter().filter(|row| row.outcome == outcome).count();
    let (passed, failed) = (count(Outcome::Passed), count(Outcome::Failed));
    let not = found.iter().filter(|row| row.outcome != Outcome::Passed);
    let mut text: String = not
        .map(|row| {
            format!(
                "{} {}: {}: {}\n",
                row.outcome.word(),
                row.client,
                row.name(),
                row.why
            )
        })
        .collect();
    text.push_str(&format!("passed {passed} of {}", passed + failed));
    text
}

#[derive(Debug)]
struct Given {
    bench: Bench,
    out: PathBuf,
    peer: Option<String>,
    only: Vec<String>,
}

impl Given {
    /// Runners run in folders of their own.
    fn absolute(self) -> Result<Self, String> {
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|why| format!("{}: {why}", path.display()))
        };
        let Bench {
            tools,
            sources,
            rust_sdks,
            out,
        } = &self.bench;
        Ok(Self {
            bench: Bench {
                tools: absolute(tools)?,
                sources: absolute(sources)?,
                rust_sdks: absolute(rust_sdks)?,
                out: absolute(out)?,
            },
            ..self
        })
    }

    fn parse(arguments: &[String]) -> Result<Self, String> {
        let (mut tools, mut sources, mut sdks, mut out) = (None, None, None, None);
        let (mut peer, mut only) = (None, Vec::new());
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--tools" => tools = Some(value),
                "--sources" => sources = Some(value),
                "--rust-sdks" => sdks = Some(value),
                "--out" => out = Some(value),
                "--peer" if peer::NAMES.contains(&value.as_str()) => peer = Some(value.clone()),
                "--only" => only = value.split(',').map(str::to_owned).collect(),
                _ => return Err(format!("unknown option {name} {value}")),
            }
        }
        let path = |value: Option<&String>, name: &str| {
            value
                .map(|value| Path::new(value).to_owned())
                .ok_or_else(|| format!("{name} is needed"))
        };
        let out = path(out, "--out")?;
        Ok(Self {
            bench: Bench {
                tools: path(tools, "--tools")?,
                sources: path(sources, "--sources")?,
                rust_sdks: path(sdks, "--rust-sdks")?,
                out: out.clone(),
            },
            out,
            peer,
            only,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(line: &str) -> Result<Given, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Given::parse(&words)
    }

    #[test]
    fn reads_its_command_line_and_refuses_others() {
        let whole = "--tools t --sources s --rust-sdks r --out o";
        for name in peer::NAMES {
            let read = given(&format!("{whole} --peer {name} --only a,b")).unwrap();
            assert_eq!((read.peer.as_deref(), read.only.len()), (Some(name), 2));
        }
        let read = given(whole).unwrap();
        assert_eq!(read.bench.rust_sdks, Path::new("r"));
        assert!(read.peer.is_none());
        for line in [
            "",
            "--tools t",
            "--tools",
            &format!("{whole} --peer word"),
            &format!("{whole} --x y"),
        ] {
            assert!(given(line).is_err(), "{line}");
        }
    }

    #[test]
    fn says_what_did_not_pass_and_the_sum() {
        let rows = [
            Row::of_runner("a", Outcome::Passed, ""),
            Row::of_runner("b", Outcome::Failed, "broke off"),
            Row::of_runner("c", Outcome::Skipped, "not installed"),
        ];
        assert_eq!(
            told(&rows),
            "failed b: runner/runs to its end: broke off\n\
             skipped c: runner/runs to its end: not installed\npassed 1 of 2"
        );
    }
}
