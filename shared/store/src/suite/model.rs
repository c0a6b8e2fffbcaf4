//! Random work on an engine beside a sorted map, with several views open at once.

use super::Reopen;
use crate::{Batch, Change, Scan, View};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;
use std::ops::Bound;

type Map = BTreeMap<Vec<u8>, Bytes>;

/// A step; numbers of views count among those open, modulo.
#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(Vec<u8>, Change)>),
    Open,
    Close(usize),
    Get(usize, Vec<u8>),
    Scan {
        view: usize,
        from: Bound<Vec<u8>>,
        to: Bound<Vec<u8>>,
        back: bool,
        limit: usize,
    },
    Persist,
    Reopen,
}

/// Few keys over a small alphabet, so that steps meet; prefixes of each other, and borders of bytes.
fn key() -> impl Strategy<Value = Vec<u8>> {
    let letter = prop_oneof![Just(0_u8), Just(b'a'), Just(b'b'), Just(0xFF)];
    proptest::collection::vec(letter, 1..4)
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Change::Put(bytes.into())),
        1 => Just(Change::Delete),
    ]
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        Just(Bound::Unbounded),
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let view = any::<usize>();
    prop_oneof![
        6 => proptest::collection::vec((key(), change()), 0..12).prop_map(Step::Commit),
        2 => Just(Step::Open),
        1 => view.prop_map(Step::Close),
        4 => (view, key()).prop_map(|(view, key)| Step::Get(view, key)),
        6 => (view, bound(), bound(), any::<bool>(), 0..30_usize)
            .prop_map(|(view, from, to, back, limit)| Step::Scan { view, from, to, back, limit }),
        1 => Just(Step::Persist),
        1 => Just(Step::Reopen),
    ]
}

/// Runs random work on engines that `make` makes.
pub(crate) fn run<E: Reopen>(make: impl Fn() -> E) {
    let config = Config {
        cases: 32,
        failure_persistence: None,
        ..Config::default()
    };
    let steps = proptest::collection::vec(step(), 1..60);
    TestRunner::new(config)
        .run(&steps, |steps| {
            let mut bench = Bench {
                engine: make(),
                now: Map::new(),
                views: Vec::new(),
            };
            steps.into_iter().try_for_each(|step| bench.take(step))
        })
        .unwrap();
}

struct Bench<E> {
    views: Vec<(Box<dyn View>, Map)>,
    now: Map,
    engine: E,
}

impl<E: Reopen> Bench<E> {
    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Commit(changes) => {
                let batch = Batch {
                    changes: changes.into_iter().collect(),
                };
                for (key, change) in &batch.changes {
                    match change {
                        Change::Put(value) => self.now.insert(key.clone(), value.clone()),
                        Change::Delete => self.now.remove(key),
                    };
                }
                self.engine.store().commit(&batch).unwrap();
            }
            Step::Open => self
                .views
                .push((self.engine.store().view(), self.now.clone())),
            Step::Close(view) if !self.views.is_empty() => {
                self.views.swap_remove(view % self.views.len());
            }
            Step::Close(_) => {}
            Step::Get(view, key) => {
                let (view, map) = self.pick(view);
                let seen = view.get(&key).unwrap();
                prop_assert_eq!(seen.as_ref(), map.get(&key));
            }
            Step::Scan {
                view,
                from,
                to,
                back,
                limit,
            } => {
                let (view, map) = self.pick(view);
                let (from, to) = (
                    from.as_ref().map(Vec::as_slice),
                    to.as_ref().map(Vec::as_slice),
                );
                let scan = if back {
                    view.scan_back(from, to)
                } else {
                    view.scan(from, to)
                };
                prop_assert_eq!(take(scan, limit), expected(map, from, to, back, limit));
            }
            Step::Persist => self.engine.store().persist().unwrap(),
            Step::Reopen => {
                self.views.clear();
                self.engine.reopen();
            }
        }
        Ok(())
    }

    /// An open view, a new one where none is.
    fn pick(&mut self, view: usize) -> (&dyn View, &Map) {
        if self.views.is_empty() {
            self.views
                .push((self.engine.store().view(), self.now.clone()));
        }
        let number = view % self.views.len();
        let (view, map) = &self.views[number];
        (&**view, map)
    }
}

fn take(scan: Scan<'_>, limit: usize) -> Vec<(Vec<u8>, Bytes)> {
    let rows = scan.take(limit).map(Result::unwrap);
    rows.map(|(key, value)| (key.to_vec(), value)).collect()
}

fn expected(
    map: &Map,
    from: Bound<&[u8]>,
    to: Bound<&[u8]>,
    back: bool,
    limit: usize,
) -> Vec<(Vec<u8>, Bytes)> {
    let after = |key: &[u8]| match from {
        Bound::Included(edge) => key >= edge,
        Bound::Excluded(edge) => key > edge,
        Bound::Unbounded => true,
    };
    let before = |key: &[u8]| match to {
        Bound::Included(edge) => key <= edge,
        Bound::Excluded(edge) => key < edge,
        Bound::Unbounded => true,
    };
    let mut rows: Vec<_> = map
        .iter()
        .filter(|(key, _)| after(key) && before(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if back {
        rows.reverse();
    }
    rows.truncate(limit);
    rows
}
