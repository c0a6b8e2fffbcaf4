//! Sessions, idempotency, time.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cairn_wire::metadata::AcceptClock;

use super::*;
use crate::keyspace::bucket::BucketKey;
use crate::keyspace::cluster::{ClusterKey, ClusterRow, CountersKey};
use crate::keyspace::object::ObjectKey;
use crate::keyspace::session::SessionRow;

#[test]
fn a_cluster_is_initialised_once() {
    let mut state = State::default();
    assert_eq!(
        state.run(create_bucket("photos", "alice")).refusal(),
        Refusal::NotInitialized
    );
    state.done(init());
    assert_eq!(state.run(init()).refusal(), Refusal::AlreadyInitialized);
}

#[test]
fn an_unreadable_entry_and_an_unknown_command_are_refused() {
    let mut state = State::with_bucket();
    let before = state.rows.clone();
    let garbage = Bytes::from_static(&[0xff; 9]);
    assert_eq!(
        state.apply(&[garbage])[0].reply.refusal(),
        Refusal::Malformed
    );
    let unknown = Entry {
        group: 1,
        command: None,
        ..Entry::default()
    }
    .encode_to_vec();
    assert_eq!(
        state.apply(&[unknown.into()])[0].reply.refusal(),
        Refusal::Malformed
    );
    assert_eq!(state.rows, before);
}

#[test]
fn the_same_operation_is_done_once_and_answered_the_same() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let first = state.run_as(session, 7, put_inline("a", b"one"));
    let rows = state.rows.clone();
    state.now_ms += 5;
    let again = state.run_as(session, 7, put_inline("a", b"one"));
    assert_eq!(first, again);
    let counters = CountersKey.encode();
    let differs = |key: &&Vec<u8>| rows.get(*key) != state.rows.get(*key) && **key != counters;
    assert_eq!(state.rows.keys().find(differs), None, "only time has moved");
    let other = state.run_as(session, 8, put_inline("a", b"one"));
    assert_ne!(first.version, other.version);
}

#[test]
fn a_refusal_is_an_outcome_too() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let missing = || {
        let Command::PutObject(put) = put_inline("a", b"one") else {
            unreachable!()
        };
        Command::PutObject(PutObject { bucket: 99, ..put })
    };
    assert_eq!(
        state.run_as(session, 1, missing()).refusal(),
        Refusal::NoSuchBucket
    );
    assert_eq!(
        state.run_as(session, 1, put_inline("a", b"one")).refusal(),
        Refusal::NoSuchBucket
    );
    assert!(state.rows_of::<ObjectKey>().is_empty());
}

#[test]
fn rows_that_another_build_laid_out_are_refused() {
    use crate::raft::StateMachine as _;
    let mut machine = crate::Machine;
    machine.reset(&State::default()).unwrap();
    let mut state = State::with_bucket();
    machine.reset(&state).unwrap();
    let row = ClusterRow {
        layout: 0,
        ..state.row(&ClusterKey).unwrap()
    };
    let row = ClusterKey::encode_row(&row);
    state.rows.insert(ClusterKey.encode(), row);
    let refused = machine.reset(&state).unwrap_err().to_string();
    assert!(refused.contains("laid out as 0"), "{refused}");
}

/// **[bug]** commit after session expiry.
#[test]
fn an_ended_session_commits_nothing() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = state.put(session, "a", &[1]);
    state.done(end(session));
    assert_eq!(state.run_in(session, put).refusal(), Refusal::SessionEnded);
    assert_eq!(
        state.run_in(session + 1, put_inline("a", b"")).refusal(),
        Refusal::SessionEnded
    );
    assert!(state.rows_of::<ObjectKey>().is_empty());
}

#[test]
fn session_ids_are_never_reused() {
    let mut state = State::with_bucket();
    let first = state.begin();
    state.done(end(first));
    assert!(state.begin() > first);
}

#[test]
fn outcomes_are_forgotten_in_bounded_steps_and_the_row_last() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let count = limits::END_ROWS_PER_ENTRY as u64 + 10;
    for operation in 1..=count {
        state.run_as(session, operation, put_inline("a", b"one"));
    }
    assert_eq!(state.done(end(session)).number, 1, "more is left");
    let row: SessionRow = state.row(&SessionKey(session)).unwrap();
    assert!(row.ended);
    assert_eq!(
        state.run_in(session, put_inline("a", b"")).refusal(),
        Refusal::SessionEnded
    );
    assert_eq!(state.done(end(session)).number, 0);
    assert_eq!(state.row(&SessionKey(session)), None);
    assert!(state.rows_of::<OutcomeKey>().is_empty());
}

/// A store that keeps what was deleted, as a log-structured one does until it compacts: every scan passes over it.
struct Buried {
    state: State,
    dead: BTreeSet<Vec<u8>>,
    passed: AtomicUsize,
}

impl View for Buried {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.state.get(key)
    }

    fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        let passed = self.dead.range::<[u8], _>((from, to)).count();
        self.passed.fetch_add(passed, Ordering::Relaxed);
        self.state.scan(from, to)
    }

    fn scan_back(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        self.state.scan_back(from, to)
    }
}

/// Ending a session of a minute's writes took half of a server's time: each step walked over all that the steps
/// before it had deleted.
#[test]
fn what_is_forgotten_is_not_walked_over_again() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let steps = 6;
    for operation in 1..=(steps * limits::END_ROWS_PER_ENTRY) as u64 {
        state.run_as(session, operation, put_inline("a", b"one"));
    }
    let mut store = Buried {
        state,
        dead: BTreeSet::new(),
        passed: AtomicUsize::new(0),
    };
    let mut taken = 0;
    while store.state.row(&SessionKey(session)).is_some() {
        let entry = store.state.entry(0, 0, end(session));
        let applied = apply(&store, &[entry]).unwrap().remove(0);
        for (key, change) in applied.changes.changes {
            match change {
                Change::Put(value) => drop(store.state.rows.insert(key, value)),
                Change::Delete => {
                    store.state.rows.remove(&key);
                    store.dead.insert(key);
                }
            }
        }
        taken += 1;
    }
    assert!((steps..=steps + 1).contains(&taken), "{taken} steps");
    assert!(store.state.rows_of::<OutcomeKey>().is_empty());
    assert_eq!(store.passed.into_inner(), 0, "of what was deleted");
}

/// Counts what it is asked for, by kind.
struct Asked<'s> {
    state: &'s State,
    gets: Mutex<BTreeMap<u8, usize>>,
}

impl View for Asked<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        *self.gets.lock().unwrap().entry(key[0]).or_default() += 1;
        self.state.get(key)
    }

    fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        self.state.scan(from, to)
    }

    fn scan_back(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        self.state.scan_back(from, to)
    }
}

#[test]
fn what_every_entry_reads_is_asked_for_once_a_batch() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let entries: Vec<Bytes> = (1..=9)
        .map(|operation| state.entry(session, operation, put_inline("a", b"one")))
        .collect();
    let store = Asked {
        state: &state,
        gets: Mutex::default(),
    };
    for applied in apply(&store, &entries).unwrap() {
        assert_eq!(applied.reply.refusal(), Refusal::None);
    }
    let gets = store.gets.into_inner().unwrap();
    for kind in [ClusterKey::PREFIX, SessionKey::PREFIX, BucketKey::PREFIX] {
        assert_eq!(gets.get(&kind), Some(&1), "of kind {kind:#x}");
    }
    assert_eq!(gets.get(&OutcomeKey::PREFIX), Some(&9));
}

#[test]
fn a_batch_sees_what_its_own_entries_changed() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let entries = [
        state.entry(session, 1, put_inline("a", b"one")),
        state.entry(0, 0, Command::AcceptClock(AcceptClock {})),
        state.entry(0, 0, end(session)),
        state.entry(session, 2, put_inline("b", b"one")),
    ];
    let refusals: Vec<Refusal> = state
        .apply(&entries)
        .iter()
        .map(|applied| applied.reply.refusal())
        .collect();
    let none = Refusal::None;
    assert_eq!(refusals, [none, none, none, Refusal::SessionEnded]);
    let mut fresh = State {
        now_ms: 1,
        ..State::default()
    };
    let founded = [
        fresh.entry(0, 0, create_bucket("photos", "alice")),
        fresh.entry(0, 0, init()),
        fresh.entry(0, 0, init()),
    ];
    let refusals: Vec<Refusal> = fresh
        .apply(&founded)
        .iter()
        .map(|applied| applied.reply.refusal())
        .collect();
    let expected = [Refusal::NotInitialized, none, Refusal::AlreadyInitialized];
    assert_eq!(refusals, expected);
}

#[test]
fn a_session_does_not_end_itself() {
    let mut state = State::with_bucket();
    let session = state.begin();
    assert_eq!(
        state.run_in(session, end(session)).refusal(),
        Refusal::Malformed
    );
}

#[test]
fn time_never_goes_back_and_a_jump_suspends() {
    let mut state = State::with_bucket();
    let time = |state: &State| state.row(&CountersKey).unwrap();
    state.now_ms -= 500_000;
    state.begin();
    assert_eq!(time(&state).time_ms, 1_000_000);
    state.now_ms = 1_000_000 + limits::CLOCK_JUMP_MAX_MS;
    state.begin();
    assert!(!time(&state).clock_suspended);
    state.now_ms += limits::CLOCK_JUMP_MAX_MS + 1;
    state.run(Command::EndSession(EndSession {
        target: 999,
        expired: true,
    }));
    assert!(
        time(&state).clock_suspended,
        "even where the entry did nothing"
    );
    state.done(Command::AcceptClock(AcceptClock {}));
    assert!(!time(&state).clock_suspended);
}
