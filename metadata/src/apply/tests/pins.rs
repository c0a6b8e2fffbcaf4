//! Reads that outlast their session: what they hold stays, and nothing else does.

use cairn_wire::metadata::{
    BeginDelete, ChunkKey as WireChunk, Condemned, Pages, PinRead, ReleasePage, StagePage,
};

use super::*;
use crate::keyspace::chunk::ChunkKey;
use crate::keyspace::manifest::{PageKey, ReleaseKey};
use crate::keyspace::pin::{PinKey, SessionPinKey};

fn chunk(name: u8) -> WireChunk {
    WireChunk {
        domain: 1,
        sha256: vec![name; 32].into(),
    }
}

fn pin(from: u64, chunks: &[u8], manifests: &[Bytes]) -> Command {
    Command::PinRead(PinRead {
        from,
        chunks: chunks.iter().map(|name| chunk(*name)).collect(),
        manifests: manifests.to_vec(),
    })
}

/// An object whose manifest lies in two pages; gives the manifest.
fn put_pages(state: &mut State, session: u64, key: &str, names: [u8; 2]) -> Bytes {
    let manifest = state.stamp(session);
    for (page, name) in (0..).zip(names) {
        let stage = StagePage {
            bucket: 1,
            manifest: manifest.clone(),
            page,
            extents: vec![state.extent(session, name)],
        };
        state.done_in(session, Command::StagePage(stage));
    }
    let place = Place::Pages(Pages {
        manifest: manifest.clone(),
        pages: 2,
        length: 200_000,
    });
    state.done_in(session, put_content(key, place));
    manifest
}

/// The first step of the release that is queued for a manifest.
fn release(state: &State, manifest: &Bytes) -> Command {
    let queued = state.rows_of::<ReleaseKey>().into_iter();
    let mut of_it = queued.filter(|(key, _)| key.manifest.as_slice() == manifest);
    let (key, row) = of_it.next().unwrap();
    assert_eq!((row.next, of_it.next()), (0, None));
    Command::ReleasePage(ReleasePage {
        manifest: manifest.clone(),
        page: 0,
        epoch: key.epoch,
    })
}

/// **[bug]** Pages are given back while a read begun before may still have to fetch them.
#[test]
fn pages_stay_while_a_session_of_their_time_is_open() {
    let mut state = State::with_bucket();
    let (writer, reader) = (state.begin(), state.begin());
    let manifest = put_pages(&mut state, writer, "a", [1, 2]);
    state.done(end(writer));
    state.done(delete("a"));
    let later = state.begin();
    assert!(state.work().releases.is_empty());
    assert_eq!(
        state.run(release(&state, &manifest)).refusal(),
        Refusal::TooSoon
    );
    assert_eq!(state.rows_of::<PageKey>().len(), 2);
    state.done(end(reader));
    assert_eq!(state.work().releases.len(), 1, "a later session needs none");
    garbage::settle(&mut state);
    assert!(state.rows_of::<PageKey>().is_empty());
    state.done(end(later));
    garbage::settle(&mut state);
    assert!(state.rows_of::<ChunkKey>().is_empty());
}

/// **[bug]** A pinned chunk or manifest is deleted when the session it was pinned from ends.
#[test]
fn a_pin_holds_what_a_read_needs_until_its_own_session_ends() {
    let mut state = State::with_bucket();
    let reader = state.begin();
    let put = state.put(reader, "short", &[7, 8]);
    state.done_in(reader, put);
    let put = state.put(reader, "other", &[9]);
    state.done_in(reader, put);
    let manifest = put_pages(&mut state, reader, "long", [1, 2]);
    for key in ["short", "long", "other"] {
        state.done(delete(key));
    }
    let newer = state.begin();
    state.done_in(newer, pin(reader, &[7, 8], std::slice::from_ref(&manifest)));
    state.done(end(reader));
    garbage::settle(&mut state);
    let left = |state: &State| {
        let rows = state.rows_of::<ChunkKey>();
        let names: Vec<u8> = rows.iter().map(|(key, _)| key.0.sha256.0[0]).collect();
        names
    };
    assert_eq!(left(&state), [1, 2, 7, 8], "and the unpinned one went");
    assert_eq!(state.rows_of::<PageKey>().len(), 2);
    assert_eq!(
        state.run(release(&state, &manifest)).refusal(),
        Refusal::TooSoon
    );
    let items: Vec<Condemned> = state
        .rows_of::<crate::keyspace::condemned::CondemnedKey>()
        .into_iter()
        .map(|(key, _)| Condemned {
            epoch: key.epoch,
            domain: 1,
            sha256: key.chunk.sha256.0.to_vec().into(),
            incarnation: key.incarnation.to_bytes().to_vec().into(),
            disks: Vec::new(),
        })
        .collect();
    assert_eq!(items.len(), 2);
    let begin = Command::BeginDelete(BeginDelete { items });
    assert_eq!(state.run(begin).refusal(), Refusal::TooSoon);
    state.done(end(newer));
    garbage::settle(&mut state);
    assert!(left(&state).is_empty());
    assert!(state.rows_of::<PinKey>().is_empty());
    assert!(state.rows_of::<SessionPinKey>().is_empty());
    assert!(state.rows_of::<ReleaseKey>().is_empty());
}

#[test]
fn a_chunk_written_again_stays_readable_under_its_pin() {
    let mut state = State::with_bucket();
    let reader = state.begin();
    let put = state.put(reader, "a", &[7]);
    state.done_in(reader, put);
    state.done(delete("a"));
    let put = state.put(reader, "a", &[7]);
    state.done_in(reader, put);
    let newer = state.begin();
    state.done_in(newer, pin(reader, &[7], &[]));
    state.done(end(reader));
    garbage::settle(&mut state);
    let condemned = state.rows_of::<crate::keyspace::condemned::CondemnedKey>();
    assert_eq!(condemned.len(), 1, "the old writing is still being read");
}

#[test]
fn a_pin_needs_an_open_older_session_and_one_of_its_own() {
    let mut state = State::with_bucket();
    let (old, ended, new) = (state.begin(), state.begin(), state.begin());
    state.done(end(ended));
    for from in [ended, new, new + 1, 0] {
        let refused = state.run_in(new, pin(from, &[1], &[]));
        assert_eq!(refused.refusal(), Refusal::SessionEnded, "from {from}");
    }
    assert_eq!(
        state.run(pin(old, &[1], &[])).refusal(),
        Refusal::SessionEnded
    );
    let many = vec![1; limits::PIN_TARGETS_MAX + 1];
    let short = Bytes::from_static(b"not 16 bytes");
    let malformed = [pin(old, &many, &[]), pin(old, &[], &[short])];
    for command in malformed {
        assert_eq!(state.run_in(new, command).refusal(), Refusal::Malformed);
    }
    assert!(state.rows_of::<PinKey>().is_empty());
    state.done_in(new, pin(old, &[1], &[]));
}

#[test]
fn a_session_with_more_pins_than_an_entry_takes_ends_in_steps() {
    let mut state = State::with_bucket();
    let (old, new) = (state.begin(), state.begin());
    let pins = limits::END_ROWS_PER_ENTRY / limits::PIN_TARGETS_MAX + 1;
    for round in 0..pins {
        let manifests: Vec<Bytes> = (0..limits::PIN_TARGETS_MAX)
            .map(|at| {
                let number = (round * limits::PIN_TARGETS_MAX + at) as u128;
                number.to_be_bytes().to_vec().into()
            })
            .collect();
        state.done_in(new, pin(old, &[], &manifests));
    }
    let reply = state.done(Command::EndSession(EndSession {
        target: new,
        expired: true,
    }));
    assert_eq!(reply.number, 1, "rows are left");
    garbage::settle(&mut state);
    assert!(state.rows_of::<PinKey>().is_empty());
    assert!(state.rows_of::<SessionPinKey>().is_empty());
}
