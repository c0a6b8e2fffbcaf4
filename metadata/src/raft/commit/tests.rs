use super::*;
use bytes::Bytes;
use proptest::prelude::*;

fn at(index: u64) -> LogPosition {
    LogPosition {
        term: 2,
        leader: 1,
        index,
    }
}

fn write(key: &[u8], value: Option<&[u8]>) -> Applied {
    let mut changes = Batch::default();
    match value {
        Some(value) => changes.put(key, Bytes::copy_from_slice(value)),
        None => changes.delete(key),
    }
    Applied {
        changes,
        reply: Bytes::copy_from_slice(key),
    }
}

/// A history of small writes and blanks.
fn history() -> impl Strategy<Value = Vec<Option<(u8, Option<u8>)>>> {
    prop::collection::vec(any::<Option<(u8, Option<u8>)>>(), 1..40)
}

fn effects(history: &[Option<(u8, Option<u8>)>], from: usize) -> Vec<(LogPosition, Effect)> {
    let effect = |(number, step): (usize, &Option<(u8, Option<u8>)>)| {
        let effect = match step {
            None => Effect::Blank,
            Some((key, value)) => {
                let value = value.map(|value| [value]);
                Effect::Application(write(&[1, *key], value.as_ref().map(|value| &value[..])))
            }
        };
        (at((from + number) as u64), effect)
    };
    history.iter().enumerate().map(effect).collect()
}

proptest! {
    /// Voters cut their batches differently and must come to the same hash and the same rows.
    #[test]
    fn the_hash_does_not_depend_on_where_batches_are_cut(history in history(), cut in any::<prop::sample::Index>()) {
        let whole = commit(&Progress::default(), effects(&history, 0)).unwrap();
        let cut = cut.index(history.len());
        let first = commit(&Progress::default(), effects(&history[..cut], 0)).unwrap();
        let second = commit(&first.progress, effects(&history[cut..], cut)).unwrap();
        prop_assert_eq!(second.progress, whole.progress);
        let rows = |batch: &Batch| -> Vec<_> {
            let user = batch.changes.iter().filter(|(key, _)| key[0] != HOST_PREFIX);
            user.map(|(key, change)| (key.clone(), change.clone())).collect()
        };
        let mut merged = first.batch.clone();
        merged.changes.extend(second.batch.changes.clone());
        prop_assert_eq!(rows(&merged), rows(&whole.batch));
        prop_assert_eq!(whole.replies.len(), history.len());
    }

    /// Any difference in what was applied makes another hash.
    #[test]
    fn another_history_has_another_hash(history in history(), at in any::<prop::sample::Index>(), key in any::<u8>(), value in any::<Option<u8>>()) {
        let mut other = history.clone();
        let at = at.index(other.len());
        prop_assume!(other[at] != Some((key, value)));
        other[at] = Some((key, value));
        let one = commit(&Progress::default(), effects(&history, 0)).unwrap();
        let two = commit(&Progress::default(), effects(&other, 0)).unwrap();
        prop_assert_ne!(one.progress.hash, two.progress.hash);
    }
}

#[test]
fn the_position_is_part_of_the_hash() {
    let one = commit(&Progress::default(), vec![(at(5), Effect::Blank)]).unwrap();
    let two = commit(&Progress::default(), vec![(at(6), Effect::Blank)]).unwrap();
    assert_ne!(one.progress.hash, two.progress.hash);
}

#[test]
fn an_entry_applied_twice_is_refused() {
    let once = commit(&Progress::default(), vec![(at(5), Effect::Blank)]).unwrap();
    for index in [4, 5] {
        assert!(commit(&once.progress, vec![(at(index), Effect::Blank)]).is_err());
    }
    assert!(commit(&once.progress, vec![(at(6), Effect::Blank)]).is_ok());
}

#[test]
fn the_host_s_rows_and_empty_keys_are_refused() {
    for key in [&[][..], &[0], &[0, b'a']] {
        let effect = Effect::Application(write(key, Some(b"x")));
        assert!(commit(&Progress::default(), vec![(at(1), effect)]).is_err());
    }
}
