//! The papers a newcomer needs are there and say what they must.

use super::violation::Violation;

const RULE: &str = "documents";

/// (file, phrases it must hold word for word).
const PAPERS: [(&str, &[&str]); 9] = [
    (
        "README.md",
        &["cargo run --release -- server ./data", "cargo xtask test"],
    ),
    ("ARCHITECTURE.md", &[]),
    ("LICENSE", &["Apache License", "Version 2.0"]),
    ("docs/SEMANTICS.md", &[]),
    ("docs/progress.md", &[]),
    ("docs/formats/journal.md", &[]),
    ("docs/formats/segment.md", &[]),
    ("docs/formats/keyspace.md", &[]),
    ("docs/formats/wire.md", &[]),
];

/// Every paper that is missing, empty or lacks its phrase.
pub(crate) fn violations(read: &dyn Fn(&str) -> Option<String>) -> Vec<Violation> {
    let breach = |path: &str, found: String| Violation {
        path: path.to_owned(),
        line: 0,
        rule: RULE,
        found,
        mend: "write it: a newcomer starts there".to_owned(),
    };
    let mut found = Vec::new();
    for (path, phrases) in PAPERS {
        match read(path).filter(|text| !text.trim().is_empty()) {
            None => found.push(breach(path, "missing or empty".to_owned())),
            Some(text) => {
                let missing = phrases.iter().filter(|phrase| !text.contains(**phrase));
                found
                    .extend(missing.map(|phrase| breach(path, format!("does not say `{phrase}`"))));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(path: &str) -> Option<String> {
        PAPERS
            .iter()
            .find(|(name, _)| *name == path)
            .map(|(name, says)| format!("{name} {}", says.join(" ")))
    }

    #[test]
    fn takes_the_complete_shelf() {
        assert_eq!(violations(&complete), []);
    }

    #[test]
    fn refuses_a_missing_an_empty_and_a_silent_paper() {
        let without = |gone: &'static str, text: Option<&'static str>| {
            violations(&move |path| {
                if path == gone {
                    text.map(str::to_owned)
                } else {
                    complete(path)
                }
            })
        };
        assert_eq!(without("ARCHITECTURE.md", None).len(), 1);
        assert_eq!(without("docs/formats/wire.md", Some(" \n")).len(), 1);
        assert_eq!(without("README.md", Some("cargo xtask test")).len(), 1);
    }
}
