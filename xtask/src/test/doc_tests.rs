//! Documentation examples, for the crates that have any.

use super::Bench;
use super::tally::{self, Tally};
use crate::console;

pub(super) fn run(bench: &Bench<'_>) -> Tally {
    let repository = bench.repository;
    let sources = repository.files(&repository.paths(), "rs");
    if !sources.iter().any(|file| has_example(&file.text)) {
        console::say("no documentation examples");
        return Tally::default();
    }
    // All crates at once: fewer would ask for other features of what they rest on, and build it again.
    let arguments = ["test", "--doc", "--locked", "--workspace"];
    let finished = bench.cargo(&arguments);
    Tally::of_run(tally::libtest(&finished.output), finished.success)
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
}
