//! High-water marks: nothing grew beyond its bound.

use std::collections::BTreeMap;

/// The most that was seen of something, and the most there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Seen.
    pub seen: u64,
    /// Allowed.
    pub bound: u64,
}

/// What grew too far. A mark of nothing at all is named too: it was not measured.
#[must_use]
pub fn violations(marks: &BTreeMap<String, Mark>) -> Vec<String> {
    if marks.is_empty() {
        return vec!["no bound was looked at".to_owned()];
    }
    let over = marks.iter().filter(|(_, mark)| mark.seen > mark.bound);
    over.map(|(name, Mark { seen, bound })| format!("{name}: {seen}, more than {bound}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_its_bound_is_named() {
        let marks = |seen| {
            let mark = |seen| Mark { seen, bound: 10 };
            BTreeMap::from([
                ("one".to_owned(), mark(seen)),
                ("other".to_owned(), mark(0)),
            ])
        };
        assert_eq!(violations(&marks(10)), Vec::<String>::new());
        assert_eq!(violations(&marks(11)), ["one: 11, more than 10"]);
        assert_eq!(violations(&BTreeMap::new()).len(), 1);
    }
}
