//! Copies by reference.

use cairn_wire::metadata::{
    Attributes, CompleteUpload, Conditions, CopyObject, CreateUpload, DeleteBucket, Pages, PutPart,
    StagePage,
};

use super::*;
use crate::keyspace::chunk::ChunkKey;
use crate::keyspace::manifest::{ManifestKey, PageKey};
use crate::keyspace::object::{ObjectKey, ObjectRow};

/// The row of a key of the first bucket.
fn object(state: &State, key: &str) -> Option<(ObjectKey, ObjectRow)> {
    let mut rows = state.rows_of::<ObjectKey>().into_iter();
    rows.find(|(at, _)| at.bucket == 1 && at.key == key.as_bytes())
}

fn version(state: &State, key: &str) -> Bytes {
    object(state, key).unwrap().1.version
}

/// A copy of the current version, with attributes of its own.
fn copy(state: &State, from: &str, to: &str) -> CopyObject {
    let attributes = Attributes {
        etag: format!("copied from {from}"),
        ..Attributes::default()
    };
    CopyObject {
        source_bucket: 1,
        source_key: Bytes::copy_from_slice(from.as_bytes()),
        source_version: version(state, from),
        bucket: 1,
        key: Bytes::copy_from_slice(to.as_bytes()),
        attributes: Some(attributes),
        conditions: None,
    }
}

/// References of every chunk.
fn refs(state: &State) -> Vec<u64> {
    let rows = state.rows_of::<ChunkKey>();
    rows.into_iter().map(|(_, row)| row.refs).collect()
}

fn shared(state: &State) -> Vec<u64> {
    let rows = state.rows_of::<ManifestKey>();
    rows.into_iter().map(|(_, row)| row.refs).collect()
}

/// Deletes the rest and sees everything go.
fn goes_to_nothing(mut state: State, session: u64, keys: &[&str]) {
    for key in keys {
        assert!(!state.rows_of::<ChunkKey>().is_empty(), "still held");
        state.done(delete(key));
        mark::check(&state);
    }
    state.done(end(session));
    garbage::settle(&mut state);
    assert!(state.rows_of::<ChunkKey>().is_empty());
    assert!(state.rows_of::<PageKey>().is_empty());
    assert!(state.rows_of::<ManifestKey>().is_empty());
}

/// A state in which `a` holds two chunks.
fn stored() -> (State, u64) {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = state.put(session, "a", &[1, 2]);
    state.done_in(session, put);
    (state, session)
}

#[test]
fn a_copy_holds_the_manifest_and_touches_no_chunk() {
    let (mut state, session) = stored();
    let chunks = state.rows_of::<ChunkKey>();
    state.now_ms += 5_000;
    let first = copy(&state, "a", "b");
    let reply = state.done_in(session, Command::CopyObject(first));
    let second = copy(&state, "b", "c");
    state.done_in(session, Command::CopyObject(second));
    mark::check(&state);
    assert_eq!(state.rows_of::<ChunkKey>(), chunks);
    assert_eq!(shared(&state), [3]);
    let ((_, source), (_, made)) = (object(&state, "a").unwrap(), object(&state, "b").unwrap());
    assert_eq!(made.content, source.content);
    assert_eq!(made.length, 200_000);
    assert_eq!(made.modified_ms, state.now_ms);
    assert_eq!(reply.modified_ms, state.now_ms);
    assert_eq!(reply.version, made.version);
    assert_eq!(made.attributes.unwrap().etag, "copied from a");
    assert_eq!(
        (source.modified_ms, made.owner.as_str()),
        (1_000_000, "alice")
    );
    goes_to_nothing(state, session, &["a", "c", "b"]);
}

/// **[bug]** counting the manifest up only after the old row let it go.
#[test]
fn an_object_may_be_copied_onto_itself() {
    let (mut state, session) = stored();
    for _ in 0..3 {
        let onto_itself = copy(&state, "a", "a");
        state.done_in(session, Command::CopyObject(onto_itself));
        mark::check(&state);
        assert_eq!(refs(&state), [1, 1]);
        assert!(shared(&state).is_empty());
    }
    assert_eq!(state.rows_of::<ObjectKey>().len(), 1);
    goes_to_nothing(state, session, &["a"]);
}

#[test]
fn a_copy_replaces_what_was_there() {
    let (mut state, session) = stored();
    let put = state.put(session, "b", &[3]);
    state.done_in(session, put);
    let over = copy(&state, "a", "b");
    state.done_in(session, Command::CopyObject(over));
    mark::check(&state);
    assert_eq!(refs(&state), [1, 1, 0]);
    let put = state.put(session, "b", &[3]);
    state.done_in(session, put);
    mark::check(&state);
    assert!(shared(&state).is_empty(), "only `a` holds it again");
    goes_to_nothing(state, session, &["a", "b"]);
}

#[test]
fn inline_bytes_are_copied_as_they_are() {
    let mut state = State::with_bucket();
    state.done(put_inline("a", b"bytes"));
    let command = Command::CopyObject(copy(&state, "a", "b"));
    state.done(command);
    state.done(delete("a"));
    let (_, row) = object(&state, "b").unwrap();
    let place = row.content.unwrap().place;
    assert_eq!(place, Some(Place::Inline(Bytes::from_static(b"bytes"))));
    assert!(shared(&state).is_empty());
}

#[test]
fn pages_are_shared_and_released_once() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let manifest = state.stamp(session);
    for page in 0..3_u32 {
        let extents = vec![state.extent(session, page as u8)];
        let stage = StagePage {
            bucket: 1,
            manifest: manifest.clone(),
            page,
            extents,
        };
        state.done_in(session, Command::StagePage(stage));
    }
    let pages = Pages {
        manifest,
        pages: 3,
        length: 300_000,
    };
    state.done_in(session, put_content("a", Place::Pages(pages)));
    for key in ["b", "a"] {
        let command = Command::CopyObject(copy(&state, "a", key));
        state.done_in(session, command);
        mark::check(&state);
    }
    state.done(delete("a"));
    garbage::settle(&mut state);
    assert_eq!(state.rows_of::<PageKey>().len(), 3, "`b` needs them");
    goes_to_nothing(state, session, &["b"]);
}

#[test]
fn a_completed_upload_is_copied_with_its_parts() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let upload = state.stamp(session);
    state.done_in(
        session,
        Command::CreateUpload(CreateUpload {
            bucket: 1,
            key: "a".into(),
            upload: upload.clone(),
            ..CreateUpload::default()
        }),
    );
    let place = Place::Extents(Extents {
        manifest: state.stamp(session),
        extents: vec![state.extent(session, 1)],
    });
    let part = PutPart {
        bucket: 1,
        key: "a".into(),
        upload: upload.clone(),
        number: 1,
        content: Some(Content { place: Some(place) }),
        ..PutPart::default()
    };
    state.done_in(session, Command::PutPart(part));
    let complete = CompleteUpload {
        bucket: 1,
        key: "a".into(),
        upload: upload.clone(),
        revision: 1,
        parts_digest: parts_digest([(1, 100_000, "")]).to_vec().into(),
        numbers: vec![1],
        ..CompleteUpload::default()
    };
    state.done_in(session, Command::CompleteUpload(complete.clone()));
    let command = Command::CopyObject(copy(&state, "a", "b"));
    state.done_in(session, command);
    mark::check(&state);
    assert!(object(&state, "b").unwrap().1.upload.is_empty());
    // Onto itself it is another object than the upload made.
    let command = Command::CopyObject(copy(&state, "a", "a"));
    state.done_in(session, command);
    let again = state.run_in(session, Command::CompleteUpload(complete));
    assert_eq!(again.refusal(), Refusal::NoSuchUpload);
    goes_to_nothing(state, session, &["a", "b"]);
}

#[test]
fn a_source_that_changed_is_refused_and_nothing_is_counted() {
    let (mut state, session) = stored();
    let seen = copy(&state, "a", "b");
    let put = state.put(session, "a", &[3]);
    state.done_in(session, put);
    let refusal = |state: &mut State, command: &CopyObject| {
        let reply = state.run_in(session, Command::CopyObject(command.clone()));
        mark::check(state);
        assert!(object(state, "b").is_none() && shared(state).is_empty());
        reply.refusal()
    };
    assert_eq!(refusal(&mut state, &seen), Refusal::SourceChanged);
    state.done(delete("a"));
    assert_eq!(refusal(&mut state, &seen), Refusal::SourceChanged, "gone");
    let no_version = CopyObject {
        source_version: Bytes::new(),
        ..seen.clone()
    };
    state.done(put_inline("a", b"new"));
    assert_eq!(refusal(&mut state, &no_version), Refusal::SourceChanged);
    let no_bucket = CopyObject {
        source_bucket: 99,
        ..seen.clone()
    };
    assert_eq!(refusal(&mut state, &no_bucket), Refusal::SourceChanged);
    let nowhere = CopyObject { bucket: 99, ..seen };
    assert_eq!(refusal(&mut state, &nowhere), Refusal::NoSuchBucket);
    for key in [String::new(), "k".repeat(limits::KEY_LEN_MAX + 1)] {
        let command = CopyObject {
            key: key.into(),
            ..copy(&state, "a", "b")
        };
        assert_eq!(refusal(&mut state, &command), Refusal::Malformed);
    }
}

#[test]
fn conditions_are_on_what_the_copy_replaces() {
    let (mut state, session) = stored();
    let none_there = || Conditions {
        if_none_match: vec!["*".into()],
        ..Conditions::default()
    };
    let that_one = |etag: &str| Conditions {
        if_match: vec![etag.into()],
        ..Conditions::default()
    };
    let mut run = |conditions| {
        let command = CopyObject {
            conditions: Some(conditions),
            ..copy(&state, "a", "b")
        };
        let reply = state.run_in(session, Command::CopyObject(command));
        mark::check(&state);
        reply.refusal()
    };
    assert_eq!(run(that_one("etag of a")), Refusal::NoSuchKey);
    assert_eq!(run(none_there()), Refusal::None);
    assert_eq!(run(none_there()), Refusal::PreconditionFailed);
    assert_eq!(run(that_one("etag of a")), Refusal::PreconditionFailed);
    assert_eq!(run(that_one("copied from a")), Refusal::None);
    assert_eq!(shared(&state), [2], "refused copies counted nothing");
}

#[test]
fn a_copy_goes_to_another_bucket_of_its_domain_only() {
    let (mut state, session) = stored();
    state.done(create_bucket("more", "alice"));
    state.done(Command::PutUser(PutUser {
        user: Some(user("bob", "bob-key")),
    }));
    state.done(create_bucket("bobs", "bob"));
    let to = |state: &State, bucket| {
        Command::CopyObject(CopyObject {
            bucket,
            ..copy(state, "a", "b")
        })
    };
    let command = to(&state, 3);
    assert_eq!(
        state.run_in(session, command).refusal(),
        Refusal::Malformed,
        "chunks are counted by domain"
    );
    mark::check(&state);
    let command = to(&state, 2);
    state.done_in(session, command);
    mark::check(&state);
    let photos = || {
        Command::DeleteBucket(DeleteBucket {
            name: "photos".into(),
        })
    };
    assert_eq!(state.run(photos()).refusal(), Refusal::BucketNotEmpty);
    state.done(delete("a"));
    state.done(photos());
    garbage::settle(&mut state);
    assert_eq!(refs(&state), [1, 1], "the copy outlives bucket and source");
}

#[test]
fn a_copy_proposed_again_counts_once() {
    let (mut state, session) = stored();
    let command = Command::CopyObject(copy(&state, "a", "b"));
    let first = state.run_as(session, 1_000, command.clone());
    assert_eq!(first.refusal(), Refusal::None);
    let rows = state.rows.clone();
    assert_eq!(state.run_as(session, 1_000, command.clone()), first);
    assert_eq!(state.rows, rows);
    assert_eq!(shared(&state), [2]);
    // In one batch too.
    let entry = state.entry(session, 1_001, command);
    let applied = state.apply(&[entry.clone(), entry]);
    assert_eq!(applied[0].reply, applied[1].reply);
    mark::check(&state);
    assert_eq!(shared(&state), [2], "`b` was copied over itself");
}
