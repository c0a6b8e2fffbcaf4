//! Multipart uploads.

use cairn_wire::metadata::{AbortUpload, CompleteUpload, CreateUpload, DeleteBucket, PutPart};

use super::*;
use crate::keyspace::manifest::PageKey;
use crate::keyspace::object::ObjectKey;
use crate::keyspace::upload::{DeadUploadKey, PartKey, UploadKey};

struct Upload {
    session: u64,
    stamp: Bytes,
}

fn begin(state: &mut State) -> Upload {
    let session = state.begin();
    let stamp = state.stamp(session);
    let create = CreateUpload {
        bucket: 1,
        key: "big".into(),
        upload: stamp.clone(),
        owner: "alice".into(),
        ..Default::default()
    };
    state.done_in(session, Command::CreateUpload(create));
    Upload { session, stamp }
}

fn part(state: &mut State, upload: &Upload, number: u32, name: u8, length: u32) -> Reply {
    let mut extent = state.extent(upload.session, name);
    (extent.length, extent.chunk_length) = (length, length);
    let manifest = state.stamp(upload.session);
    let place = Place::Extents(Extents {
        manifest,
        extents: vec![extent],
    });
    let command = Command::PutPart(PutPart {
        bucket: 1,
        key: "big".into(),
        upload: upload.stamp.clone(),
        number,
        content: Some(Content { place: Some(place) }),
        etag: format!("part {name}"),
        checksums: Vec::new(),
    });
    state.run_in(upload.session, command)
}

const LONG: u32 = limits::PART_LEN_MIN as u32;

fn complete(upload: &Upload, revision: u64, parts: &[(u32, u64, &str)]) -> Command {
    Command::CompleteUpload(CompleteUpload {
        bucket: 1,
        key: "big".into(),
        upload: upload.stamp.clone(),
        revision,
        parts_digest: parts_digest(parts.iter().copied()).to_vec().into(),
        numbers: parts.iter().map(|(number, ..)| *number).collect(),
        attributes: None,
        conditions: None,
    })
}

#[test]
fn complete_hands_the_parts_over_and_answers_a_repeat() {
    let mut state = State::with_bucket();
    let upload = begin(&mut state);
    for (number, name) in [(1, 1), (2, 2), (7, 3)] {
        assert_eq!(
            part(&mut state, &upload, number, name, LONG).refusal(),
            Refusal::None
        );
    }
    mark::check(&state);
    let long = u64::from(LONG);
    let chosen = [(1, long, "part 1"), (7, long, "part 3")];
    let first = state.done_in(upload.session, complete(&upload, 3, &chosen));
    mark::check(&state);
    let rows = state.rows_of::<ObjectKey>();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].1.length, 2 * long);
    assert!(state.rows_of::<UploadKey>().is_empty());
    assert_eq!(
        state.rows_of::<DeadUploadKey>().len(),
        1,
        "part 2 was left over"
    );
    let again = state.done_in(upload.session, complete(&upload, 3, &chosen));
    assert_eq!(first.version, again.version);
    garbage::settle(&mut state);
    assert!(state.rows_of::<PartKey>().is_empty());
    state.done(delete("big"));
    garbage::settle(&mut state);
    assert_eq!(state.rows_of::<PageKey>().len(), 1, "a read may need it");
    let later = state.begin();
    state.done(end(upload.session));
    garbage::settle(&mut state);
    assert!(state.rows_of::<PageKey>().is_empty());
    let gone = state.run_in(later, complete(&upload, 3, &chosen));
    assert_eq!(gone.refusal(), Refusal::NoSuchUpload);
}

#[test]
fn a_part_sent_again_replaces_the_first() {
    let mut state = State::with_bucket();
    let upload = begin(&mut state);
    part(&mut state, &upload, 1, 1, LONG);
    part(&mut state, &upload, 1, 2, LONG);
    mark::check(&state);
    assert_eq!(state.rows_of::<PartKey>().len(), 1);
    assert_eq!(state.rows_of::<PartKey>()[0].1.etag, "part 2");
}

#[test]
fn complete_refuses_what_it_did_not_see() {
    let mut state = State::with_bucket();
    let upload = begin(&mut state);
    part(&mut state, &upload, 1, 1, 100);
    part(&mut state, &upload, 2, 2, 100);
    let refusal = |state: &mut State, command| state.run_in(upload.session, command).refusal();
    let one = [(1, 100, "part 1")];
    let two = [(1, 100, "part 1"), (2, 100, "part 2")];
    assert_eq!(
        refusal(&mut state, complete(&upload, 1, &one)),
        Refusal::PartSetChanged
    );
    assert_eq!(
        refusal(&mut state, complete(&upload, 2, &two)),
        Refusal::PartTooSmall
    );
    assert_eq!(
        refusal(&mut state, complete(&upload, 2, &[(3, 1, "x")])),
        Refusal::InvalidPart
    );
    assert_eq!(
        refusal(&mut state, complete(&upload, 2, &[(1, 100, "other")])),
        Refusal::PartSetChanged
    );
    assert_eq!(
        refusal(&mut state, complete(&upload, 2, &[])),
        Refusal::Malformed
    );
    assert_eq!(
        refusal(&mut state, complete(&upload, 2, &[two[1], two[0]])),
        Refusal::Malformed
    );
    assert!(state.rows_of::<ObjectKey>().is_empty());
    assert_eq!(
        refusal(&mut state, complete(&upload, 2, &one)),
        Refusal::None
    );
    assert_eq!(
        part(&mut state, &upload, 3, 3, 100).refusal(),
        Refusal::NoSuchUpload
    );
}

#[test]
fn an_abort_is_seen_at_once_and_goes_in_bounded_steps() {
    let mut state = State::with_bucket();
    let upload = begin(&mut state);
    let count = limits::ABORT_PARTS_PER_ENTRY as u32 + 5;
    for number in 1..=count {
        part(&mut state, &upload, number, number as u8, 100);
    }
    let abort = || {
        Command::AbortUpload(AbortUpload {
            bucket: 1,
            key: "big".into(),
            upload: upload.stamp.clone(),
        })
    };
    assert_eq!(state.done(abort()).number, 1, "parts are left");
    mark::check(&state);
    assert!(state.rows_of::<UploadKey>().is_empty());
    assert_eq!(
        part(&mut state, &upload, 1, 1, 100).refusal(),
        Refusal::NoSuchUpload
    );
    garbage::settle(&mut state);
    assert!(state.rows_of::<PartKey>().is_empty());
    assert_eq!(state.run(abort()).refusal(), Refusal::NoSuchUpload);
}

#[test]
fn uploads_go_with_their_bucket() {
    let mut state = State::with_bucket();
    let upload = begin(&mut state);
    part(&mut state, &upload, 1, 1, 100);
    state.done(Command::DeleteBucket(DeleteBucket {
        name: "photos".into(),
    }));
    assert_eq!(
        part(&mut state, &upload, 2, 2, 100).refusal(),
        Refusal::NoSuchBucket
    );
    garbage::settle(&mut state);
    assert!(state.rows_of::<PartKey>().is_empty());
    assert!(state.rows_of::<UploadKey>().is_empty());
}
