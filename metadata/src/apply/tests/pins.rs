//! Reads that outlast their session: what they hold stays, and nothing else does.

use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{
    BeginDelete, ChunkKey as WireChunk, Condemned, DeleteItem, DeleteObjects, EndSession,
    GarbageAnswer, GetGarbage, Pages, PinRead, Query, ReleasePage, StagePage,
};

use super::*;
use crate::keyspace::chunk::ChunkKey;
use crate::keyspace::manifest::{PageKey, ReleaseKey};
use crate::keyspace::pin::{PinKey, SessionPinKey};
use crate::query;

fn work(state: &State) -> GarbageAnswer {
    let asked = Asked::GetGarbage(GetGarbage { limit: 100 });
    let query = Query { query: Some(asked) };
    match query::answer(state, query).unwrap().answer {
        Some(cairn_wire::metadata::answer::Answer::Garbage(work)) => work,
        other => panic!("{other:?}"),
    }
}

fn end(state: &mut State, session: u64) {
    state.done(Command::EndSession(EndSession {
        target: session,
        expired: false,
    }));
}

fn delete(state: &mut State, key: &str) {
    let item = DeleteItem {
        key: Bytes::copy_from_slice(key.as_bytes()),
        conditions: None,
    };
    state.done(Command::DeleteObjects(DeleteObjects {
        bucket: 1,
        items: vec![item],
    }));
}

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

fn release(manifest: &Bytes) -> Command {
    Command::ReleasePage(ReleasePage {
        manifest: manifest.clone(),
        page: 0,
    })
}

/// **[bug]** Pages are given back while a read begun before may still have to fetch them.
#[test]
fn pages_stay_while_a_session_of_their_time_is_open() {
    let mut state = State::with_bucket();
    let (writer, reader) = (state.begin(), state.begin());
    let manifest = put_pages(&mut state, writer, "a", [1, 2]);
    end(&mut state, writer);
    delete(&mut state, "a");
    let later = state.begin();
    assert!(work(&state).releases.is_empty());
    assert_eq!(state.run(release(&manifest)).refusal(), Refusal::TooSoon);
    assert_eq!(state.rows_of::<PageKey>().len(), 2);
    end(&mut state, reader);
    assert_eq!(work(&state).releases.len(), 1, "a later session needs none");
    garbage::settle(&mut state);
    assert!(state.rows_of::<PageKey>().is_empty());
    end(&mut state, later);
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
        delete(&mut state, key);
    }
    let newer = state.begin();
    state.done_in(newer, pin(reader, &[7, 8], std::slice::from_ref(&manifest)));
    end(&mut state, reader);
    garbage::settle(&mut state);
    let left = |state: &State| {
        let rows = state.rows_of::<ChunkKey>();
        let names: Vec<u8> = rows.iter().map(|(key, _)| key.0.sha256.0[0]).collect();
        names
    };
    assert_eq!(left(&state), [1, 2, 7, 8], "and the unpinned one went");
    assert_eq!(state.rows_of::<PageKey>().len(), 2);
    assert_eq!(state.run(release(&manifest)).refusal(), Refusal::TooSoon);
    let items: Vec<Condemned> = state
        .rows_of::<crate::keyspace::condemned::CondemnedKey>()
        .into_iter()
        .map(|(key, _)| Condemned {
            epoch: key.epoch,
            domain: 1,
            sha256: key.chunk.sha256.0.to_vec().into(),
            incarnation: key.incarnation.to_bytes().to_vec().into(),
        })
        .collect();
    assert_eq!(items.len(), 2);
    let begin = Command::BeginDelete(BeginDelete { items });
    assert_eq!(state.run(begin).refusal(), Refusal::TooSoon);
    end(&mut state, newer);
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
    delete(&mut state, "a");
    let put = state.put(reader, "a", &[7]);
    state.done_in(reader, put);
    let newer = state.begin();
    state.done_in(newer, pin(reader, &[7], &[]));
    end(&mut state, reader);
    garbage::settle(&mut state);
    let condemned = state.rows_of::<crate::keyspace::condemned::CondemnedKey>();
    assert_eq!(condemned.len(), 1, "the old writing is still being read");
}

#[test]
fn a_pin_needs_an_open_older_session_and_one_of_its_own() {
    let mut state = State::with_bucket();
    let (old, ended, new) = (state.begin(), state.begin(), state.begin());
    end(&mut state, ended);
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
