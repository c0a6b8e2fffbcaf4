//! Bounds any caller may ask for, made into bounds every engine takes.

use crate::KEY_LEN_MAX;
use std::ops::Bound;

/// A range of keys that is not inverted, with bounds that could be keys.
pub(crate) type Span = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The same keys as `from..to`, of all that can be stored; `None` where there are none for sure.
pub(crate) fn span(from: Bound<&[u8]>, to: Bound<&[u8]>) -> Option<Span> {
    // No key is empty, and none is longer than its maximum: an overlong bound lies just past the
    // key it starts with.
    let from = match from {
        Bound::Included([]) | Bound::Excluded([]) | Bound::Unbounded => Bound::Unbounded,
        Bound::Included(key) | Bound::Excluded(key) if key.len() > KEY_LEN_MAX => {
            Bound::Excluded(cut(key))
        }
        Bound::Included(key) => Bound::Included(key.to_vec()),
        Bound::Excluded(key) => Bound::Excluded(key.to_vec()),
    };
    let to = match to {
        Bound::Included([]) | Bound::Excluded([]) => return None,
        Bound::Included(key) | Bound::Excluded(key) if key.len() > KEY_LEN_MAX => {
            Bound::Included(cut(key))
        }
        Bound::Included(key) => Bound::Included(key.to_vec()),
        Bound::Excluded(key) => Bound::Excluded(key.to_vec()),
        Bound::Unbounded => Bound::Unbounded,
    };
    (!is_empty(&from, &to)).then_some((from, to))
}

/// Whether no key can lie between two bounds, in the cases where an ordered map would panic.
pub(crate) fn is_empty<K: Ord>(from: &Bound<K>, to: &Bound<K>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (
            Bound::Included(from) | Bound::Excluded(from),
            Bound::Included(to) | Bound::Excluded(to),
        ) => from >= to,
    }
}

fn cut(key: &[u8]) -> Vec<u8> {
    key.get(..KEY_LEN_MAX).unwrap_or(key).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Bound::{Excluded, Included, Unbounded};

    #[test]
    fn inverted_and_void_ranges_are_none() {
        for (from, to) in [
            (Included(&b"b"[..]), Included(&b"a"[..])),
            (Included(b"a"), Excluded(b"a")),
            (Excluded(b"a"), Excluded(b"a")),
            (Excluded(b"a"), Included(b"a")),
            (Unbounded, Excluded(b"")),
            (Included(b""), Included(b"")),
        ] {
            assert!(span(from, to).is_none(), "{from:?}..{to:?}");
        }
        assert!(span(Included(b"a"), Included(b"a")).is_some());
    }

    #[test]
    fn overlong_bounds_lie_just_past_the_key_they_start_with() {
        let long = vec![7; KEY_LEN_MAX + 1];
        let longest = vec![7; KEY_LEN_MAX];
        let (from, _) = span(Included(&long), Unbounded).unwrap();
        assert_eq!(from, Excluded(longest.clone()));
        let (_, to) = span(Unbounded, Excluded(&long)).unwrap();
        assert_eq!(to, Included(longest));
    }
}
