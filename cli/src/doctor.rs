//! `cairn doctor`: whether this machine is fit for a server, a node or a gateway, before one is started.
//!
//! ```text
//!   look ── facts ──> judge ──> findings ──> a line each, exit code 1 where one is a failure
//! ```

mod facts;
mod judge;
mod look;

use std::fmt;

use crate::args::DoctorArgs;
use crate::{Fatal, console};

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Fine,
    /// It works, and less well or less safely than it could.
    Warning,
    /// A start would fail, or what is promised would not hold.
    Failure,
}

/// A thing, how it is, and what to do about it where it is not fine.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    verdict: Verdict,
    what: String,
    says: String,
}

impl Finding {
    fn new(verdict: Verdict, what: impl fmt::Display, says: impl fmt::Display) -> Self {
        let (what, says) = (what.to_string(), says.to_string());
        Self {
            verdict,
            what,
            says,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Fine => "ok",
            Verdict::Warning => "warning",
            Verdict::Failure => "FAILED",
        };
        write!(f, "{verdict:<8} {}: {}", self.what, self.says)
    }
}

/// Looks at everything and says what was found.
pub(crate) fn run(args: &DoctorArgs) -> Result<(), Fatal> {
    let findings = judge::judge(&look::look(args)?);
    findings.iter().for_each(console::line);
    let count = |verdict| findings.iter().filter(|one| one.verdict == verdict).count();
    match count(Verdict::Failure) {
        0 => {
            console::line(format_args!("{} warnings", count(Verdict::Warning)));
            Ok(())
        }
        1 => Err(Fatal::new("doctor", "one thing has to be mended")),
        more => Err(Fatal::new(
            "doctor",
            format_args!("{more} things have to be mended"),
        )),
    }
}
