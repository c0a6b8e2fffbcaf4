//! The only place that prints.

use std::io::Write as _;

/// One line on standard output. A closed pipe is not a reason to stop the tests.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A heading between stages.
pub(crate) fn heading(title: &str) {
    say(&format!("\n=== {title}"));
}
