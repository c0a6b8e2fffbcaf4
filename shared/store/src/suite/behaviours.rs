//! Single promises.

use super::{Reopen, rows};
use crate::{Batch, KEY_LEN_MAX, OrderedStore, prefix_end};
use bytes::Bytes;
use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn commit(store: &dyn OrderedStore, keys: &[&[u8]]) {
    let mut batch = Batch::default();
    keys.iter()
        .for_each(|key| batch.put(*key, Bytes::copy_from_slice(key)));
    store.commit(&batch).unwrap();
}

/// Rows that always change together; no reader on another thread sees them differ. Persists
/// go on meanwhile, and whatever an engine does then.
pub(crate) fn batches_are_atomic(store: &dyn OrderedStore) {
    const ROWS: u8 = 60;
    let done = AtomicBool::new(false);
    let change = |number: u32| {
        let mut batch = Batch::default();
        for row in 0..ROWS {
            if number.is_multiple_of(3) {
                batch.delete([row]);
            } else {
                batch.put([row], number.to_be_bytes().repeat(4));
            }
        }
        store.commit(&batch).unwrap();
    };
    // Many quick looks: a torn batch is seen only by a view opened at the wrong moment.
    let look = || {
        let views: Vec<_> = (0..16).map(|_| store.view()).collect();
        for view in &views {
            assert_eq!(view.get(&[0]).unwrap(), view.get(&[ROWS - 1]).unwrap());
        }
        let seen = rows(&*views[0]);
        assert!(
            [0, ROWS.into()].contains(&seen.len()),
            "{} of {ROWS} rows",
            seen.len()
        );
        assert!(
            seen.windows(2).all(|pair| pair[0].1 == pair[1].1),
            "rows of two batches"
        );
        assert_eq!(rows(&*views[0]), seen, "a view does not change");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.persist().unwrap();
            }
        });
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                look();
            }
            look();
        });
        (0..600).for_each(change);
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
}

/// A visit sees rows in order until it breaks off, also where it began in the middle.
pub(crate) fn visits_are_scans(store: &dyn OrderedStore) {
    commit(store, &[b"a", b"b", b"c", b"d"]);
    let view = store.view();
    let seen = |from: Bound<&[u8]>, most: usize| {
        let mut seen = Vec::new();
        let mut see = |key: &[u8], value: &[u8]| {
            assert_eq!(key, value);
            seen.push(key.to_vec());
            match seen.len() < most {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        view.visit(from, Excluded(b"d"), &mut see).unwrap();
        seen.concat()
    };
    assert_eq!(seen(Unbounded, 9), b"abc");
    assert_eq!(seen(Excluded(b"a"), 9), b"bc");
    assert_eq!(seen(Included(b"a"), 2), b"ab");
    assert_eq!(seen(Included(b"d"), 9), b"");
    assert_eq!(seen(Included(b"e"), 9), b"");
}

/// Every pair of bounds around five keys, both ways.
pub(crate) fn bounds_select(store: &dyn OrderedStore) {
    let keys: [&[u8]; 5] = [b"\0", b"a", b"a\0", b"b", b"\xff\xff"];
    commit(store, &keys);
    let view = store.view();
    let edges: [&[u8]; 9] = [
        b"",
        b"\0",
        b"\0\0",
        b"a",
        b"a\0",
        b"aa",
        b"b",
        b"\xff\xff",
        b"\xff\xff\0",
    ];
    let long = vec![b'a'; KEY_LEN_MAX + 1];
    let mut bounds: Vec<Bound<&[u8]>> = vec![Unbounded, Included(&long), Excluded(&long)];
    bounds.extend(
        edges
            .iter()
            .flat_map(|edge| [Included(*edge), Excluded(*edge)]),
    );
    for from in &bounds {
        for to in &bounds {
            let inside = |key: &&[u8]| {
                let after = match from {
                    Unbounded => true,
                    Included(edge) => key >= edge,
                    Excluded(edge) => key > edge,
                };
                after
                    && match to {
                        Unbounded => true,
                        Included(edge) => key <= edge,
                        Excluded(edge) => key < edge,
                    }
            };
            let mut expected: Vec<&[u8]> = keys.into_iter().filter(inside).collect();
            let seen: Vec<_> = view.scan(*from, *to).map(|row| row.unwrap().0).collect();
            assert_eq!(seen, expected, "{from:?}..{to:?}");
            expected.reverse();
            let seen: Vec<_> = view
                .scan_back(*from, *to)
                .map(|row| row.unwrap().0)
                .collect();
            assert_eq!(seen, expected, "{from:?}..{to:?} backward");
        }
    }
}

/// A prefix scan has exactly the keys that start with it.
pub(crate) fn prefixes_end(store: &dyn OrderedStore) {
    let keys: [&[u8]; 8] = [
        b"a",
        b"ab",
        b"ab\0",
        b"ab\xff",
        b"ab\xff\xff",
        b"ac",
        b"\xff",
        b"\xff\xffz",
    ];
    commit(store, &keys);
    let view = store.view();
    for prefix in [
        &b""[..],
        b"a",
        b"ab",
        b"ab\xff",
        b"ab\xff\xff",
        b"b",
        b"\xff",
        b"\xff\xff",
    ] {
        let end = prefix_end(prefix);
        let seen: Vec<_> = view
            .scan(Included(prefix), end.as_ref().map(Vec::as_slice))
            .map(|row| row.unwrap().0)
            .collect();
        let expected: Vec<_> = keys.iter().filter(|key| key.starts_with(prefix)).collect();
        assert_eq!(seen, expected, "{prefix:?}");
    }
}

/// The first rows of a long scan come in a small part of the whole scan's time.
pub(crate) fn scans_are_lazy(store: &dyn OrderedStore) {
    for part in 0..20_u32 {
        let mut batch = Batch::default();
        for number in part * 1_000..(part + 1) * 1_000 {
            batch.put(number.to_be_bytes(), vec![7; 32]);
        }
        store.commit(&batch).unwrap();
    }
    let view = store.view();
    let whole = fastest(|| assert_eq!(view.scan(Unbounded, Unbounded).count(), 20_000));
    for part in [
        fastest(|| assert_eq!(view.scan(Unbounded, Unbounded).take(3).count(), 3)),
        fastest(|| assert_eq!(view.scan_back(Unbounded, Unbounded).take(3).count(), 3)),
        fastest(|| drop(view.scan(Unbounded, Unbounded))),
    ] {
        assert!(
            part * 20 < whole,
            "3 rows took {part:?}, all 20,000 took {whole:?}"
        );
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test of cost, not of behaviour in time"
)]
fn fastest(work: impl Fn()) -> Duration {
    let once = || {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..5).map(|_| once()).min().unwrap()
}

/// A batch with an empty or overlong key changes nothing.
pub(crate) fn bad_keys_are_refused(store: &dyn OrderedStore) {
    for bad in [Vec::new(), vec![1; KEY_LEN_MAX + 1]] {
        let mut batch = Batch::default();
        batch.put("good", "x");
        batch.put(bad.clone(), "x");
        assert!(store.commit(&batch).is_err());
        let mut batch = Batch::default();
        batch.delete(bad.clone());
        assert!(store.commit(&batch).is_err());
        assert_eq!(store.view().get(&bad).unwrap(), None);
    }
    assert!(rows(&*store.view()).is_empty());
    store.commit(&Batch::default()).unwrap();
}

/// Puts, overwrites and deletes before a persist are there after reopening, more than once.
pub(crate) fn persisted_rows_survive(engine: &mut impl Reopen) {
    for life in 0..3_u8 {
        let mut batch = Batch::default();
        batch.put("life", vec![life]);
        batch.put([b'0' + life], "row");
        batch.delete([b'0' + life - 1]);
        engine.store().commit(&batch).unwrap();
        engine.reopen();
        let view = engine.store().view();
        let keys: Vec<_> = rows(&*view).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [&[b'0' + life][..], b"life"]);
        assert_eq!(view.get(b"life").unwrap().unwrap(), vec![life]);
    }
}

/// The longest key, an empty value and a large one.
pub(crate) fn extremes_come_back(engine: &mut impl Reopen) {
    let (key, large) = (vec![9; KEY_LEN_MAX], Bytes::from(vec![3; 4 << 20]));
    let mut batch = Batch::default();
    batch.put("empty", "");
    batch.put(key.clone(), large.clone());
    engine.store().commit(&batch).unwrap();
    engine.reopen();
    let view = engine.store().view();
    assert_eq!(view.get(b"empty").unwrap().unwrap(), "");
    assert_eq!(view.get(&key).unwrap().unwrap(), large);
    assert_eq!(rows(&*view).len(), 2);
}
