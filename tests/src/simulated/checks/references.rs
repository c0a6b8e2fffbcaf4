//! References: counts equal a full mark, and all voters hold the same state.

use std::fmt::Display;

/// What a full mark found, whoever made it.
#[derive(Debug, Clone, Copy)]
pub struct Marked<'m, D> {
    /// Rows read.
    pub rows: u64,
    /// Discrepancies by name; at most so many as the mark names.
    pub named: &'m [D],
    /// How many there are in all.
    pub total: u64,
    /// Groups of rows that differ and were not looked into.
    pub unnamed: u64,
}

/// What a full mark says is wrong. One that read nothing says nothing, and is wrong itself.
#[must_use]
pub fn violations<D: Display>(marked: &Marked<'_, D>) -> Vec<String> {
    let Marked {
        rows,
        named,
        total,
        unnamed,
    } = marked;
    let mut found: Vec<String> = named.iter().map(|one| format!("mark: {one}")).collect();
    if *total > named.len() as u64 || *unnamed > 0 {
        found.push(format!(
            "mark: {total} in all, and {unnamed} groups that differ"
        ));
    }
    if *rows == 0 {
        found.push("mark: no row was read".to_owned());
    }
    found
}

/// The state of one voter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voter {
    /// Its node.
    pub node: u64,
    /// The index of the last entry applied.
    pub applied: u64,
    /// The running hash there.
    pub hash: [u8; 32],
}

/// Voters that are not where the others are, or not what they are.
#[must_use]
pub fn voters_differ(voters: &[Voter]) -> Vec<String> {
    let Some(first) = voters.iter().max_by_key(|voter| voter.applied) else {
        return vec!["no voter was looked at".to_owned()];
    };
    let others = voters.iter().filter(|voter| voter.node != first.node);
    let strange = others.filter(|voter| voter.applied != first.applied || voter.hash != first.hash);
    strange
        .map(|voter| {
            let kind = match voter.applied == first.applied {
                true => "holds another state",
                false => "is behind",
            };
            format!("voter {} {kind}: {voter:?}, against {first:?}", voter.node)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(named: &[&'static str], total: u64, unnamed: u64, rows: u64) -> Vec<String> {
        violations(&Marked {
            rows,
            named,
            total,
            unnamed,
        })
    }

    #[test]
    fn a_mark_is_clean_or_says_what_is_not() {
        assert_eq!(marked(&[], 0, 0, 9), Vec::<String>::new());
        assert_eq!(marked(&["chunk"], 1, 0, 9), ["mark: chunk"]);
        assert_eq!(marked(&["chunk"], 2, 0, 9).len(), 2);
        assert_eq!(marked(&[], 0, 1, 9).len(), 1);
        assert_eq!(marked(&[], 0, 0, 0).len(), 1);
    }

    #[test]
    fn voters_are_alike() {
        let voter = |node, applied, byte| Voter {
            node,
            applied,
            hash: [byte; 32],
        };
        let alike = [voter(1, 5, 7), voter(2, 5, 7), voter(3, 5, 7)];
        assert_eq!(voters_differ(&alike), Vec::<String>::new());
        let odd = voters_differ(&[voter(1, 5, 7), voter(2, 5, 8), voter(3, 5, 8)]);
        assert!(
            !odd.is_empty() && odd[0].contains("another state"),
            "{odd:?}"
        );
        let behind = voters_differ(&[voter(1, 5, 7), voter(2, 4, 7)]);
        assert!(behind[0].contains("voter 2 is behind"), "{behind:?}");
        assert_eq!(voters_differ(&[]).len(), 1);
    }
}
