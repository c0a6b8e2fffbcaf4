//! Objects, conditions, buckets, users, pages.

use cairn_wire::metadata::{Conditions, Debt, DeleteBucket, Pages, RemoveUser, StagePage};

use super::*;
use crate::keyspace::bucket::{BucketNameKey, DeadBucketKey};
use crate::keyspace::manifest::{PageKey, ReleaseKey};
use crate::keyspace::object::ObjectKey;
use crate::keyspace::session::StagedKey;

fn with_conditions(command: Command, conditions: Conditions) -> Command {
    let Command::PutObject(put) = command else {
        unreachable!()
    };
    Command::PutObject(PutObject {
        conditions: Some(conditions),
        ..put
    })
}

fn if_match(tag: &str) -> Conditions {
    Conditions {
        if_match: vec![tag.into()],
        ..Conditions::default()
    }
}

fn if_none_match(tag: &str) -> Conditions {
    Conditions {
        if_none_match: vec![tag.into()],
        ..Conditions::default()
    }
}

#[test]
fn an_overwrite_leaves_one_row_with_a_higher_version() {
    let mut state = State::with_bucket();
    let first = state.done(put_inline("a", b"one"));
    let second = state.done(put_inline("a", b"two"));
    assert!(second.version > first.version);
    let rows = state.rows_of::<ObjectKey>();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].1.length, 3);
    assert_eq!(rows[0].1.version, second.version);
}

#[test]
fn conditions_are_decided_against_the_current_row() {
    let mut state = State::with_bucket();
    let put = |conditions| with_conditions(put_inline("a", b"one"), conditions);
    assert_eq!(state.run(put(if_match("*"))).refusal(), Refusal::NoSuchKey);
    assert_eq!(state.run(put(if_match("x"))).refusal(), Refusal::NoSuchKey);
    state.done(put(if_none_match("*")));
    assert_eq!(
        state.run(put(if_none_match("*"))).refusal(),
        Refusal::PreconditionFailed
    );
    assert_eq!(
        state.run(put(if_none_match("etag of a"))).refusal(),
        Refusal::PreconditionFailed
    );
    assert_eq!(
        state.run(put(if_match("x"))).refusal(),
        Refusal::PreconditionFailed
    );
    state.done(put(if_match("etag of a")));
    state.done(put(if_match("*")));
    state.done(put(if_none_match("x")));
}

#[test]
fn a_delete_is_idempotent_and_conditional() {
    let mut state = State::with_bucket();
    state.done(put_inline("a", b"one"));
    let item = |tag| DeleteItem {
        key: "a".into(),
        conditions: Some(if_match(tag)),
    };
    let command = Command::DeleteObjects(DeleteObjects {
        bucket: 1,
        items: vec![item("x"), item("*"), item("*")],
    });
    let outcomes = state.done(command).deleted;
    assert_eq!(outcomes[0].refusal(), Refusal::PreconditionFailed);
    assert!(outcomes[1].existed);
    assert_eq!(outcomes[2].refusal(), Refusal::NoSuchKey);
    assert!(!state.done(delete("a")).deleted[0].existed);
    assert!(state.rows_of::<ObjectKey>().is_empty());
}

#[test]
fn too_much_for_one_entry_is_refused() {
    let mut state = State::with_bucket();
    let items = vec![DeleteItem::default(); limits::DELETE_KEYS_PER_ENTRY + 1];
    let command = Command::DeleteObjects(DeleteObjects { bucket: 1, items });
    assert_eq!(state.run(command).refusal(), Refusal::Malformed);
    let session = state.begin();
    let names: Vec<u8> = (0..=limits::ROW_EXTENTS_MAX as u8).collect();
    let put = state.put(session, "a", &names);
    assert_eq!(state.run_in(session, put).refusal(), Refusal::Malformed);
    let long = put_content(
        "a",
        Place::Inline(vec![0; limits::INLINE_LEN_MAX as usize + 1].into()),
    );
    assert_eq!(state.run(long).refusal(), Refusal::Malformed);
    let key = "k".repeat(limits::KEY_LEN_MAX + 1);
    assert_eq!(
        state.run(put_inline(&key, b"")).refusal(),
        Refusal::Malformed
    );
    assert_eq!(state.run(put_inline("", b"")).refusal(), Refusal::Malformed);
}

#[test]
fn buckets_belong_to_their_owner_and_must_be_empty_to_go() {
    let mut state = State::with_bucket();
    let taken = state.run(create_bucket("photos", "alice"));
    assert_eq!(
        (taken.refusal(), taken.detail.as_str()),
        (Refusal::BucketExists, "alice")
    );
    assert_eq!(
        state.run(create_bucket("films", "nobody")).refusal(),
        Refusal::NoSuchUser
    );
    state.done(put_inline("a", b"one"));
    let remove = || {
        Command::DeleteBucket(DeleteBucket {
            name: "photos".into(),
        })
    };
    assert_eq!(state.run(remove()).refusal(), Refusal::BucketNotEmpty);
    state.done(delete("a"));
    state.done(remove());
    assert_eq!(state.run(remove()).refusal(), Refusal::NoSuchBucket);
    assert_eq!(
        state.run(put_inline("a", b"one")).refusal(),
        Refusal::NoSuchBucket
    );
    assert_eq!(
        state.done(create_bucket("photos", "alice")).number,
        2,
        "ids are never reused"
    );
    assert!(state.rows_of::<DeadBucketKey>().is_empty());
    assert_eq!(state.rows_of::<BucketNameKey>().len(), 1);
}

#[test]
fn a_user_keeps_its_domain_for_ever() {
    let mut state = State::with_bucket();
    let domain = state
        .done(Command::PutUser(PutUser {
            user: Some(user("bob", "bob-key")),
        }))
        .number;
    assert_ne!(domain, 1);
    let stolen = Command::PutUser(PutUser {
        user: Some(user("eve", "bob-key")),
    });
    assert_eq!(state.run(stolen).refusal(), Refusal::UserConflict);
    let remove = || {
        Command::RemoveUser(RemoveUser {
            access_key: "bob-key".into(),
        })
    };
    state.done(remove());
    assert_eq!(state.run(remove()).refusal(), Refusal::NoSuchUser);
    let back = state.done(Command::PutUser(PutUser {
        user: Some(user("bob", "new-key")),
    }));
    assert_eq!(back.number, domain);
    let short = User {
        secret_key: "short".into(),
        ..user("carl", "carl-key")
    };
    assert_eq!(
        state
            .run(Command::PutUser(PutUser { user: Some(short) }))
            .refusal(),
        Refusal::Malformed
    );
}

#[test]
fn extents_are_taken_only_as_written_by_the_committing_session() {
    let mut state = State::with_bucket();
    let (ours, theirs) = (state.begin(), state.begin());
    let foreign = state.put(theirs, "a", &[1]);
    assert_eq!(state.run_in(ours, foreign).refusal(), Refusal::RetryUpload);
    let unowned = state.put(ours, "a", &[1]);
    assert_ne!(
        state.run(unowned).refusal(),
        Refusal::None,
        "no session, no chunks"
    );
    let mut broken = |change: fn(&mut ExtentWrite)| {
        let mut extent = state.extent(ours, 1);
        change(&mut extent);
        let manifest = state.stamp(ours);
        let command = put_content(
            "a",
            Place::Extents(Extents {
                manifest,
                extents: vec![extent],
            }),
        );
        state.run_in(ours, command).refusal()
    };
    assert_eq!(
        broken(|extent| extent.incarnation = stamp_of(99)),
        Refusal::RetryUpload
    );
    assert_eq!(broken(|extent| extent.epoch = 2), Refusal::RetryUpload);
    assert_eq!(broken(|extent| extent.length = 100_001), Refusal::Malformed);
    assert_eq!(broken(|extent| extent.length = 0), Refusal::Malformed);
    assert_eq!(broken(|extent| extent.coding = None), Refusal::Malformed);
    assert_eq!(
        broken(|extent| extent.sha256 = Bytes::from_static(b"short")),
        Refusal::Malformed
    );
    assert_eq!(
        broken(|extent| extent.debt = vec![Debt::default()]),
        Refusal::Malformed
    );
    assert_eq!(broken(|_| {}), Refusal::None);
    mark::check(&state);
}

/// A well-formed stamp of another session.
fn stamp_of(session: u64) -> Bytes {
    let stamp = Incarnation {
        group: 1,
        generation: 1,
        session: SessionId(session),
        counter: 1,
    };
    stamp.to_bytes().to_vec().into()
}

#[test]
fn a_refused_commit_leaves_no_reference_behind() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let mut extents = vec![state.extent(session, 1), state.extent(session, 2)];
    extents[1].epoch = 2;
    let manifest = state.stamp(session);
    let put = put_content("a", Place::Extents(Extents { manifest, extents }));
    assert_eq!(state.run_in(session, put).refusal(), Refusal::RetryUpload);
    assert!(
        state
            .rows_of::<crate::keyspace::chunk::ChunkKey>()
            .is_empty(),
        "the first extent was taken back"
    );
    mark::check(&state);
}

fn stage(state: &mut State, session: u64, manifest: &Bytes, page: u32, names: &[u8]) -> Reply {
    let extents = names
        .iter()
        .map(|name| state.extent(session, *name))
        .collect();
    let page = StagePage {
        bucket: 1,
        manifest: manifest.clone(),
        page,
        extents,
    };
    state.run_in(session, Command::StagePage(page))
}

#[test]
fn staged_pages_are_attached_whole_or_fall_with_their_session() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let [kept, lost] = [state.stamp(session), state.stamp(session)];
    for (page, name) in [(0, 1), (1, 2)] {
        assert_eq!(
            stage(&mut state, session, &kept, page, &[name, 9]).refusal(),
            Refusal::None
        );
    }
    assert_eq!(
        stage(&mut state, session, &lost, 0, &[3]).refusal(),
        Refusal::None
    );
    assert_eq!(
        stage(&mut state, session, &lost, 2, &[3]).refusal(),
        Refusal::Malformed,
        "in order"
    );
    mark::check(&state);
    let attach = |pages, length| {
        put_content(
            "big",
            Place::Pages(Pages {
                manifest: kept.clone(),
                pages,
                length,
            }),
        )
    };
    assert_eq!(
        state.run_in(session, attach(1, 200_000)).refusal(),
        Refusal::Malformed
    );
    state.done_in(session, attach(2, 400_000));
    assert_eq!(
        state.run_in(session, attach(2, 400_000)).refusal(),
        Refusal::RetryUpload,
        "attached once"
    );
    mark::check(&state);
    state.done(Command::EndSession(EndSession {
        target: session,
        expired: true,
    }));
    assert!(state.rows_of::<StagedKey>().is_empty());
    assert_eq!(state.rows_of::<ReleaseKey>().len(), 1);
    garbage::settle(&mut state);
    assert_eq!(
        state.rows_of::<PageKey>().len(),
        2,
        "the attached pages stay"
    );
    state.done(delete("big"));
    garbage::settle(&mut state);
    assert!(state.rows_of::<PageKey>().is_empty());
}
