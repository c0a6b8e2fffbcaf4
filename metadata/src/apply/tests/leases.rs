//! Leases hold what they lease, once, until their end by state-machine time.

use cairn_model::{ChunkId, DomainId, Sha256, limits};
use cairn_wire::metadata::{AcceptClock, ExpireLeases, MarkSuspect, PutLeases};

use super::*;
use crate::apply::tests::garbage::settle;
use crate::keyspace::chunk::{ChunkKey, ChunkRow, ChunkState};
use crate::keyspace::condemned::CondemnedKey;
use crate::keyspace::lease::{LeaseEndKey, LeaseKey};

const DOMAIN: u64 = 1;

fn id(name: u8) -> ChunkId {
    ChunkId {
        domain: DomainId(DOMAIN),
        sha256: Sha256([name; 32]),
    }
}

fn chunk(state: &State, name: u8) -> Option<ChunkRow> {
    state.row(&ChunkKey(id(name)))
}

fn end_of(state: &State, name: u8) -> Option<u64> {
    state.row(&LeaseKey(id(name))).map(|row| row.end_ms)
}

/// A lease of a chunk that brings its bytes.
pub(super) fn bring(state: &mut State, session: u64, names: &[u8]) -> Command {
    let chunks = names
        .iter()
        .map(|name| state.extent(session, *name))
        .collect();
    Command::PutLeases(PutLeases {
        domain: DOMAIN,
        chunks,
    })
}

/// A lease of chunks said to be stored.
pub(super) fn claim(names: &[u8]) -> Command {
    let extent = |name: &u8| ExtentWrite {
        sha256: vec![*name; 32].into(),
        chunk_length: 100_000,
        length: 100_000,
        claim: Claim::Fit.into(),
        ..ExtentWrite::default()
    };
    Command::PutLeases(PutLeases {
        domain: DOMAIN,
        chunks: names.iter().map(extent).collect(),
    })
}

/// Moves the clock with an operator's consent, and ends what is due.
pub(super) fn pass(state: &mut State, ms: u64) -> u64 {
    state.now_ms += ms;
    state.done(Command::AcceptClock(AcceptClock {}));
    expire(state)
}

fn expire(state: &mut State) -> u64 {
    state.done(Command::ExpireLeases(ExpireLeases {})).number
}

#[test]
fn a_written_chunk_lives_by_its_lease_alone_and_goes_after_it() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = bring(&mut state, session, &[7]);
    assert_eq!(state.done_in(session, put).number, 1, "newly stored");
    mark::check(&state);
    state.done(end(session));
    settle(&mut state);
    assert_eq!(chunk(&state, 7).unwrap().refs, 1);
    assert_eq!(pass(&mut state, limits::LEASE_MS - 1), 0, "not yet");
    settle(&mut state);
    assert_eq!(chunk(&state, 7).unwrap().state(), ChunkState::Live);
    assert_eq!(pass(&mut state, 1), 1);
    mark::check(&state);
    settle(&mut state);
    assert_eq!(chunk(&state, 7), None);
    assert!(state.rows_of::<LeaseKey>().is_empty());
    assert!(state.rows_of::<LeaseEndKey>().is_empty());
}

#[test]
fn a_lease_counts_once_however_often_it_is_renewed() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = bring(&mut state, session, &[7]);
    state.done_in(session, put);
    let first = end_of(&state, 7).unwrap();
    for round in 1..=3 {
        state.now_ms += 1_000;
        let again = if round == 2 {
            bring(&mut state, session, &[7])
        } else {
            claim(&[7])
        };
        let reply = state.done_in(session, again);
        assert_eq!(reply.number, 0, "nothing newly stored");
        assert!(reply.not_leased.is_empty());
        assert_eq!(end_of(&state, 7), Some(first + round * 1_000));
        assert_eq!(chunk(&state, 7).unwrap().refs, 1);
        assert_eq!(state.rows_of::<LeaseEndKey>().len(), 1);
        mark::check(&state);
    }
    assert_eq!(
        pass(&mut state, limits::LEASE_MS - 1),
        0,
        "the last end counts"
    );
    assert_eq!(pass(&mut state, 1), 1);
    assert_eq!(chunk(&state, 7).unwrap().refs, 0);
}

/// Seen red with an expiry that does not look at the time.
#[test]
fn a_renewed_lease_does_not_end_with_its_first_term() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = bring(&mut state, session, &[1, 2]);
    state.done_in(session, put);
    pass(&mut state, limits::LEASE_MS / 2);
    state.done_in(session, claim(&[2]));
    assert_eq!(pass(&mut state, limits::LEASE_MS / 2), 1);
    assert_eq!(chunk(&state, 1).unwrap().state(), ChunkState::Condemned);
    assert_eq!(chunk(&state, 2).unwrap().state(), ChunkState::Live);
    mark::check(&state);
}

#[test]
fn a_chunk_of_an_object_outlives_the_object_while_it_is_leased() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = state.put(session, "a", &[7]);
    state.done_in(session, put);
    state.done_in(session, claim(&[7]));
    assert_eq!(chunk(&state, 7).unwrap().refs, 2);
    state.done(delete("a"));
    assert_eq!(chunk(&state, 7).unwrap().refs, 1);
    mark::check(&state);
    pass(&mut state, limits::LEASE_MS);
    assert_eq!(chunk(&state, 7).unwrap().state(), ChunkState::Condemned);
}

#[test]
fn an_object_made_of_a_leased_chunk_outlives_the_lease() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = bring(&mut state, session, &[7]);
    state.done_in(session, put);
    let extent = ExtentWrite {
        sha256: vec![7; 32].into(),
        chunk_length: 100_000,
        length: 100_000,
        claim: Claim::Fit.into(),
        ..ExtentWrite::default()
    };
    let manifest = state.stamp(session);
    let extents = vec![extent];
    let object = put_content("a", Place::Extents(Extents { manifest, extents }));
    state.done_in(session, object);
    pass(&mut state, limits::LEASE_MS);
    assert_eq!(chunk(&state, 7).unwrap().refs, 1);
    mark::check(&state);
}

#[test]
fn what_is_not_stored_fit_is_named_and_not_leased() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = bring(&mut state, session, &[1, 2, 3]);
    state.done_in(session, put);
    let suspect = chunk(&state, 2).unwrap().incarnation;
    state.done(Command::MarkSuspect(MarkSuspect {
        domain: DOMAIN,
        sha256: vec![2; 32].into(),
        incarnation: suspect.clone(),
        reason: "test".into(),
    }));
    let put = state.put(session, "a", &[5]);
    state.done_in(session, put);
    state.done(delete("a"));
    state.now_ms += 1_000;
    let before = [1, 2, 3].map(|name| end_of(&state, name).unwrap());
    let reply = state.done_in(session, claim(&[1, 4, 2, 5, 3]));
    assert_eq!(reply.not_leased, [1, 2, 3], "absent, suspect, condemned");
    let after = [1, 2, 3].map(|name| end_of(&state, name).unwrap());
    assert_eq!(
        after,
        [before[0] + 1_000, before[1], before[2] + 1_000],
        "the others are renewed"
    );
    assert_eq!([end_of(&state, 4), end_of(&state, 5)], [None, None]);
    mark::check(&state);
    let heal = bring(&mut state, session, &[2]);
    assert_eq!(state.done_in(session, heal).number, 1, "uploading heals");
    let healed = chunk(&state, 2).unwrap();
    assert_eq!((healed.refs, healed.suspect), (1, false));
    assert_ne!(healed.incarnation, suspect);
    mark::check(&state);
}

#[test]
fn an_adopted_writing_is_condemned_and_counts_as_stored_already() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = state.put(session, "a", &[7]);
    state.done_in(session, put);
    let kept = chunk(&state, 7).unwrap().incarnation;
    let put = bring(&mut state, session, &[7]);
    assert_eq!(state.done_in(session, put).number, 0);
    let row = chunk(&state, 7).unwrap();
    assert_eq!((row.refs, row.incarnation), (2, kept));
    assert_eq!(state.rows_of::<CondemnedKey>().len(), 1);
    mark::check(&state);
}

#[test]
fn time_that_jumped_ends_no_lease_until_it_is_accepted() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = bring(&mut state, session, &[7]);
    state.done_in(session, put);
    state.now_ms += limits::LEASE_MS;
    let reply = state.run(Command::ExpireLeases(ExpireLeases {}));
    assert_eq!(reply.refusal(), Refusal::ClockSuspended);
    assert_eq!(chunk(&state, 7).unwrap().refs, 1);
    state.done(Command::AcceptClock(AcceptClock {}));
    assert_eq!(expire(&mut state), 1);
}

#[test]
fn leases_end_a_bounded_number_an_entry() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let names = limits::LEASES_PER_ENTRY + 3;
    let extent = |number: usize, state: &mut State| {
        let mut extent = state.extent(session, 0);
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        extent.sha256 = digest.to_vec().into();
        extent
    };
    let chunks: Vec<ExtentWrite> = (0..names).map(|n| extent(n, &mut state)).collect();
    let put = |chunks: &[ExtentWrite]| {
        Command::PutLeases(PutLeases {
            domain: DOMAIN,
            chunks: chunks.to_vec(),
        })
    };
    let all = state.run_in(session, put(&chunks));
    assert_eq!(all.refusal(), Refusal::Malformed, "too many");
    let (first, rest) = chunks.split_at(limits::LEASES_PER_ENTRY);
    let entry = state.entry(session, 1 << 40, put(first));
    assert!(entry.len() as u64 <= limits::ENTRY_LEN_MAX);
    state.done_in(session, put(first));
    state.done_in(session, put(rest));
    assert_eq!(
        pass(&mut state, limits::LEASE_MS),
        limits::LEASES_PER_ENTRY as u64
    );
    mark::check(&state);
    assert_eq!(expire(&mut state), 3);
    assert_eq!(expire(&mut state), 0);
    mark::check(&state);
}

#[test]
fn a_lease_needs_a_session_a_domain_and_a_whole_chunk() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = bring(&mut state, session, &[7]);
    assert_eq!(state.run(put).refusal(), Refusal::SessionEnded);
    let whole = state.extent(session, 7);
    let refused = |state: &mut State, domain, chunks| {
        let put = Command::PutLeases(PutLeases { domain, chunks });
        state.run_in(session, put).refusal()
    };
    let stranger = ExtentWrite {
        incarnation: state.stamp(session + 1),
        ..whole.clone()
    };
    let cases = [
        (0, vec![whole.clone()], Refusal::Malformed),
        (9, vec![whole.clone()], Refusal::Malformed),
        (1, vec![], Refusal::Malformed),
        (
            1,
            vec![ExtentWrite {
                offset: 1,
                length: 99_999,
                ..whole.clone()
            }],
            Refusal::Malformed,
        ),
        (
            1,
            vec![ExtentWrite {
                length: 99_999,
                ..whole.clone()
            }],
            Refusal::Malformed,
        ),
        (
            1,
            vec![ExtentWrite {
                length: 0,
                chunk_length: 0,
                ..whole.clone()
            }],
            Refusal::Malformed,
        ),
        (
            1,
            vec![ExtentWrite {
                sha256: vec![7; 31].into(),
                ..whole.clone()
            }],
            Refusal::Malformed,
        ),
        (1, vec![whole.clone(), stranger], Refusal::RetryUpload),
    ];
    for (domain, chunks, refusal) in cases {
        assert_eq!(
            refused(&mut state, domain, chunks.clone()),
            refusal,
            "{chunks:?}"
        );
    }
    assert!(state.rows_of::<LeaseKey>().is_empty());
    assert!(
        state.rows_of::<ChunkKey>().is_empty(),
        "a refused entry stores nothing"
    );
}
