//! Why a test did not run: one line per test that found the machine unfit, and `#[ignore]` notes.

use std::path::{Path, PathBuf};

use crate::console;
use crate::repository::SourceFile;

/// Where tests write `name<TAB>reason`.
pub(crate) fn path(target: &Path) -> PathBuf {
    target.join("cairn-skips.log")
}

/// Forgets the skips of an earlier run.
pub(crate) fn forget(target: &Path) {
    let _ = std::fs::remove_file(path(target));
}

/// Prints each reason and counts them.
pub(crate) fn print(target: &Path) -> u64 {
    let log = std::fs::read_to_string(path(target)).unwrap_or_default();
    let skipped = parse(&log);
    for (test, reason) in &skipped {
        console::say(&format!("skipped: {test}: {reason}"));
    }
    skipped.len() as u64
}

/// One (test, reason) per test: a test that says it twice is one skipped test.
fn parse(log: &str) -> std::collections::BTreeMap<&str, &str> {
    log.lines()
        .filter_map(|line| line.split_once('\t'))
        .collect()
}

/// Every `#[ignore = "reason"]` of the tree, as `path:line: reason`.
pub(crate) fn ignored(files: &[SourceFile]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (index, line) in file.text.lines().enumerate() {
            let attribute = line.trim().strip_prefix("#[ignore");
            let reason =
                attribute.and_then(|rest| rest.trim_start_matches([' ', '=']).strip_suffix(']'));
            if let Some(reason) = reason {
                let reason = reason.trim_matches('"');
                found.push(format!("{}:{}: {reason}", file.path, index + 1));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_test_once() {
        let skipped = parse("a\tno root\na\tno root\nb\tno strace\nnoise\n");
        assert_eq!(skipped.len(), 2);
        assert_eq!(skipped["b"], "no strace");
    }

    #[test]
    fn finds_ignored_tests_with_their_reason() {
        let text = "#[test]\n#[ignore = \"long\"]\nfn a() {}\n// #[ignore]\n";
        let found = ignored(&[SourceFile::new("a/b.rs", text)]);
        assert_eq!(found, ["a/b.rs:2: long"]);
    }
}
