//! Extents that bring no bytes: they claim a chunk that is stored.

use cairn_wire::metadata::MarkSuspect;

use super::*;
use crate::apply::chunks::chunk_id;
use crate::keyspace::chunk::{ChunkKey, ChunkRow};
use crate::keyspace::object::ObjectKey;

const CHUNK: u8 = 7;

/// A claim that knows the chunk's name and length, as clients do.
fn claim(claim: Claim) -> ExtentWrite {
    ExtentWrite {
        sha256: vec![CHUNK; 32].into(),
        chunk_length: 100_000,
        offset: 10,
        length: 20,
        claim: claim.into(),
        ..ExtentWrite::default()
    }
}

fn put_claim(state: &mut State, session: u64, key: &str, extent: ExtentWrite) -> Command {
    let manifest = state.stamp(session);
    let extents = vec![extent];
    put_content(key, Place::Extents(Extents { manifest, extents }))
}

fn chunk(state: &State) -> ChunkRow {
    let id = chunk_id(state.rows_of::<ChunkKey>()[0].0.0.domain.0, &[CHUNK; 32]);
    state.row(&ChunkKey(id.unwrap())).unwrap()
}

/// A state in which `a` holds the chunk.
fn stored() -> (State, u64) {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = state.put(session, "a", &[CHUNK]);
    state.done_in(session, put);
    (state, session)
}

#[test]
fn a_claim_takes_a_reference_and_all_but_the_run_from_the_row() {
    for kind in [Claim::Live, Claim::Fit] {
        let (mut state, session) = stored();
        let put = put_claim(&mut state, session, "b", claim(kind));
        state.done_in(session, put);
        let row = chunk(&state);
        assert_eq!(row.refs, 2);
        let objects = state.rows_of::<ObjectKey>();
        let (_, object) = objects.iter().find(|(key, _)| key.key == b"b").unwrap();
        assert_eq!(object.length, 20);
        let Some(Place::Extents(list)) = &object.content.as_ref().unwrap().place else {
            panic!("extents");
        };
        let extent = &list.extents[0];
        assert_eq!((extent.offset, extent.length), (10, 20));
        assert_eq!(extent.incarnation, row.incarnation);
        assert_eq!(extent.coding, row.coding);
        assert_eq!(extent.crc64nvme, row.crc64nvme);
        assert_eq!(extent.claim(), Claim::Written);
        state.done(delete("a"));
        assert_eq!(chunk(&state).refs, 1);
        state.done(delete("b"));
        assert_eq!(chunk(&state).refs, 0);
    }
}

#[test]
fn a_claim_needs_a_live_chunk_of_that_length_and_a_session() {
    let (mut state, session) = stored();
    let unknown = ExtentWrite {
        sha256: vec![9; 32].into(),
        ..claim(Claim::Live)
    };
    let put = put_claim(&mut state, session, "b", unknown);
    let reply = state.run_in(session, put);
    assert_eq!(reply.refusal(), Refusal::NoSuchChunk);
    assert_eq!(reply.detail, "09".repeat(32));
    let longer = ExtentWrite {
        chunk_length: 100_001,
        ..claim(Claim::Live)
    };
    let put = put_claim(&mut state, session, "b", longer);
    assert_eq!(state.run_in(session, put).refusal(), Refusal::Malformed);
    let outside = ExtentWrite {
        offset: 99_981,
        ..claim(Claim::Live)
    };
    let put = put_claim(&mut state, session, "b", outside);
    assert_eq!(state.run_in(session, put).refusal(), Refusal::Malformed);
    state.done(delete("a"));
    for kind in [Claim::Live, Claim::Fit] {
        let put = put_claim(&mut state, session, "b", claim(kind));
        assert_eq!(
            state.run_in(session, put).refusal(),
            Refusal::NoSuchChunk,
            "a condemned chunk is not taken back without its bytes"
        );
    }
}

#[test]
fn a_suspect_chunk_is_copied_but_not_adopted() {
    let (mut state, session) = stored();
    let row = chunk(&state);
    let domain = state.rows_of::<ChunkKey>()[0].0.0.domain.0;
    state.done(Command::MarkSuspect(MarkSuspect {
        domain,
        sha256: vec![CHUNK; 32].into(),
        incarnation: row.incarnation,
        reason: "test".into(),
    }));
    let put = put_claim(&mut state, session, "b", claim(Claim::Fit));
    assert_eq!(state.run_in(session, put).refusal(), Refusal::NoSuchChunk);
    let put = put_claim(&mut state, session, "b", claim(Claim::Live));
    state.done_in(session, put);
}
