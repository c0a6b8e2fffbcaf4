//! Documentation examples, for the crates that have any.

use std::collections::BTreeSet;

use super::Bench;
use super::tally::{self, Tally};
use crate::console;
use crate::repository::SourceFile;

pub(super) fn run(bench: &Bench<'_>) -> Tally {
    let repository = bench.repository;
    let sources = repository.files(&repository.paths(), "rs");
    let folders: BTreeSet<&str> = sources
        .iter()
        .filter(|file| has_example(&file.text))
        .filter_map(crate_folder)
        .collect();
    let packages: Vec<String> = folders
        .into_iter()
        .filter(|folder| repository.text(&format!("{folder}/src/lib.rs")).is_some())
        .map(package_of)
        .collect();
    if packages.is_empty() {
        console::say("no documentation examples");
        return Tally::default();
    }
    let mut arguments = vec!["test", "--doc", "--locked"];
    for package in &packages {
        arguments.extend(["-p", package]);
    }
    let finished = bench.cargo(&arguments);
    Tally::of_run(tally::libtest(&finished.output), finished.success)
}

/// The folder above `src/`.
fn crate_folder(file: &SourceFile) -> Option<&str> {
    file.path.split_once("/src/").map(|(folder, _)| folder)
}

/// Folder name = package name, which `check` holds.
fn package_of(folder: &str) -> String {
    let last = folder.rsplit('/').next().unwrap_or(folder);
    if last == "cli" {
        "cairn".to_owned()
    } else {
        format!("cairn-{last}")
    }
}

/// True where a doc comment opens a code block that rustdoc would run.
fn has_example(text: &str) -> bool {
    let mut inside = false;
    for line in text.lines().map(str::trim_start) {
        let doc = line
            .strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"));
        let Some(fence) = doc.and_then(|doc| doc.trim_start().strip_prefix("```")) else {
            inside &= doc.is_some();
            continue;
        };
        if !inside && runs(fence.trim()) {
            return true;
        }
        inside = !inside;
    }
    false
}

/// Whether rustdoc takes a fence with this info string for Rust.
fn runs(info: &str) -> bool {
    let rust = ["rust", "no_run", "should_panic", "compile_fail"];
    info.is_empty() || info.split(',').any(|word| rust.contains(&word.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_examples_from_drawings() {
        assert!(has_example("/// ```\n/// f();\n/// ```\n"));
        assert!(has_example("//! ```text\n//! x\n//! ```\n//! ```rust\n"));
        assert!(!has_example(
            "//! ```text\n//! a -> b\n//! ```\nfn f() {}\n"
        ));
        assert!(!has_example("// ```\n"));
        assert!(!has_example("/// ```ignore\n/// ```\n"));
    }

    #[test]
    fn names_packages_after_folders() {
        let file = SourceFile::new("gateway/s3/src/xml.rs", "");
        assert_eq!(
            crate_folder(&file).map(package_of).as_deref(),
            Some("cairn-s3")
        );
        assert_eq!(package_of("cli"), "cairn");
    }
}
