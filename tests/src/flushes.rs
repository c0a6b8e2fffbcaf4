//! What strace saw of fsync and fdatasync.
//!
//! Lines are of `strace -f -y -e trace=fsync,fdatasync`, such as
//! `812 fdatasync(14</data/journal/0001>) = 0`; a call that another thread interrupts is printed
//! in two lines, of which the second, `<... fdatasync resumed>) = 0`, says that it succeeded.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The wrapper that writes such lines to `output` and leaves the server's process id alone.
#[must_use]
pub fn wrapper(output: &str) -> Vec<String> {
    let line = [
        "strace",
        "-D",
        "-f",
        "-y",
        "--seccomp-bpf",
        "-e",
        "trace=fsync,fdatasync",
        "-o",
    ];
    line.iter()
        .map(|word| (*word).to_owned())
        .chain([output.to_owned(), "--".to_owned()])
        .collect()
}

/// A command that attaches to a running server and makes flushes fail with EIO: for each of its
/// threads the `nth` one, or all from then on.
#[must_use]
pub fn saboteur(strace: &std::path::Path, pid: u32, nth: &str, output: &str) -> Command {
    let inject = format!("inject=fsync,fdatasync:error=EIO:when={nth}");
    let mut command = Command::new(strace);
    command.args([
        "-f",
        "-y",
        "-e",
        "trace=fsync,fdatasync",
        "-e",
        &inject,
        "-o",
        output,
    ]);
    command.args(["-p", &pid.to_string()]);
    command
}

/// The files whose flushes were made to fail.
#[must_use]
pub fn sabotaged(trace: &str) -> Vec<String> {
    let injected = trace.lines().filter(|line| line.ends_with("(INJECTED)"));
    injected.map(file_of).collect()
}

/// Successful flushes: the file of each, in the order they ended.
#[must_use]
pub fn successful(trace: &str) -> Vec<String> {
    let mut waiting: BTreeMap<&str, String> = BTreeMap::new();
    let mut flushed = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.trim_start().split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        let is_flush = call.starts_with("fsync(") || call.starts_with("fdatasync(");
        if is_flush && call.contains("<unfinished ...>") {
            waiting.insert(thread, file_of(call));
        } else if is_flush && call.ends_with("= 0") {
            flushed.push(file_of(call));
        } else if call.starts_with("<... f") && call.contains("sync resumed>") {
            let file = waiting.remove(thread).unwrap_or_default();
            if call.ends_with("= 0") {
                flushed.push(file);
            }
        }
    }
    flushed
}

/// The distinct files among flushes.
#[must_use]
pub fn files(flushes: &[String]) -> BTreeSet<&str> {
    flushes.iter().map(String::as_str).collect()
}

fn file_of(call: &str) -> String {
    let after = call.split_once('<').map_or("", |(_, rest)| rest);
    after.split('>').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
812 fdatasync(14</d/journal>) = 0
812 fdatasync(14</d/journal>) = -1 EIO (Input/output error)
813 fsync(9</d/segment> <unfinished ...>
812 fdatasync(14</d/journal> <unfinished ...>
813 <... fsync resumed>)               = 0
812 <... fdatasync resumed>)           = -1 EIO (Input/output error)
812 +++ exited with 0 +++
";

    #[test]
    fn counts_only_flushes_that_succeeded() {
        assert_eq!(successful(TRACE), ["/d/journal", "/d/segment"]);
        assert_eq!(successful(""), [""; 0]);
    }

    #[test]
    fn names_the_sabotaged_files() {
        let line = "7 fdatasync(14</d/journal/1>) = -1 EIO (Input/output error) (INJECTED)\n";
        assert_eq!(sabotaged(line), ["/d/journal/1"]);
        assert_eq!(sabotaged(TRACE), [""; 0]);
    }

    #[test]
    fn files_are_distinct() {
        let flushes = ["a", "b", "a"].map(str::to_owned);
        assert_eq!(files(&flushes).len(), 2);
    }
}
