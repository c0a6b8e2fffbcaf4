//! What a rule found, where, and how to mend it.

use std::fmt;

/// One breach of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// File, relative to the root.
    pub(crate) path: String,
    /// 1-based line, 0 where the whole file is meant.
    pub(crate) line: usize,
    /// The rule's short name.
    pub(crate) rule: &'static str,
    /// What was found.
    pub(crate) found: String,
    /// What to do about it.
    pub(crate) mend: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.path)?;
        if self.line > 0 {
            write!(out, ":{}", self.line)?;
        }
        write!(out, ": [{}] {}; {}", self.rule, self.found, self.mend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_file_line_rule_and_remedy() {
        let mut violation = Violation {
            path: "a/b.rs".into(),
            line: 7,
            rule: "sizes",
            found: "too long".into(),
            mend: "cut it".into(),
        };
        assert_eq!(violation.to_string(), "a/b.rs:7: [sizes] too long; cut it");
        violation.line = 0;
        assert_eq!(violation.to_string(), "a/b.rs: [sizes] too long; cut it");
    }
}
