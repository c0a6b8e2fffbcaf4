//! What became of each case, as lines of JSON.

use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::io::Write as _;
use std::process::ExitCode;

/// Why a case failed: an error with all its causes, or what was found instead.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(deeper) = cause {
            text = format!("{text}: {deeper}");
            cause = deeper.source();
        }
        Self(text)
    }
}

/// Both are equal.
pub(crate) fn expect<T: PartialEq<W> + Debug, W: Debug>(found: T, wanted: W) -> Outcome {
    if found == wanted {
        return Ok(());
    }
    Err(Failure(format!("found {found:?}, not {wanted:?}")))
}

/// What must be so is so.
pub(crate) fn holds(condition: bool, what: &str) -> Outcome {
    if condition {
        Ok(())
    } else {
        Err(Failure(what.to_owned()))
    }
}

/// The cases of one client, as they are played.
#[derive(Debug)]
pub(crate) struct Run {
    client: String,
    version: String,
    only: String,
    passed: u32,
    ran: u32,
}

impl Run {
    pub(crate) fn new(client: &str, only: &str) -> Self {
        Self {
            client: client.to_owned(),
            version: locked_version(client).unwrap_or_default().to_owned(),
            only: only.to_owned(),
            passed: 0,
            ran: 0,
        }
    }

    /// Plays a case and says what became of it.
    pub(crate) async fn case(
        &mut self,
        operation: &str,
        name: &str,
        play: impl Future<Output = Outcome>,
    ) {
        if !format!("{operation}/{name}").contains(&self.only) {
            return;
        }
        let played = play.await;
        self.ran += 1;
        self.passed += u32::from(played.is_ok());
        let why = played.err().map(|failure| one_line(&failure.0));
        let line = serde_json::json!({
            "client": self.client, "version": self.version, "operation": operation, "case": name,
            "outcome": if why.is_none() { "passed" } else { "failed" },
            "why": why.unwrap_or_default(),
        });
        say(&line.to_string());
    }

    /// Says how many passed; 0 only where all did.
    pub(crate) fn end(&self) -> ExitCode {
        say(&format!("passed {} of {}", self.passed, self.ran));
        let green = self.ran > 0 && self.passed == self.ran;
        if green {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(300).collect()
}

/// The version of a package in this crate's own lock file.
fn locked_version(package: &str) -> Option<&'static str> {
    let lock = include_str!("../Cargo.lock");
    let (_, after) = lock.split_once(&format!("\nname = \"{package}\"\nversion = \""))?;
    after.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        assert_eq!(locked_version("object_store"), Some("0.14.2"));
        assert_eq!(locked_version("no-such-package"), None);
    }

    #[tokio::test]
    async fn counts_what_passed_and_what_was_asked_for() {
        let mut run = Run::new("object_store", "put");
        run.case("put", "one", async { Ok(()) }).await;
        run.case("put", "two", async { expect(1, 2) }).await;
        run.case("get", "three", async { holds(false, "never asked for") })
            .await;
        assert_eq!((run.passed, run.ran), (1, 2));
        assert_eq!(
            format!("{:?}", run.end()),
            format!("{:?}", ExitCode::FAILURE)
        );
    }

    #[test]
    fn an_error_is_told_with_its_causes_in_one_line() {
        let Failure(text) = std::io::Error::other(std::io::Error::other("deep\n  down")).into();
        assert_eq!(one_line(&text), "deep down");
    }
}
