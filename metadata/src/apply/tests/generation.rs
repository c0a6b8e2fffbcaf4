//! A restore: sessions end, deletion is frozen, what the inventory did not find is owed, the freeze is
//! lifted, and orphans of before are judged.

use cairn_model::{ChunkId, DomainId, Sha256, limits};
use cairn_wire::metadata::{
    BeginDelete, BumpGeneration, Condemned, Debt, FinishDelete, GetSessions, JudgeOrphans,
    LeavingDisk, LiftFreeze, MarkDisk, MissingShards, Node, Orphan, RecordMissing, RemoveDisk,
    Role,
};

use super::garbage::settle;
use super::*;
use crate::keyspace::chunk::{ChunkKey, ChunkRow, ChunkState};
use crate::keyspace::cluster::{ClusterKey, ClusterRow, CountersKey};
use crate::keyspace::condemned::CondemnedKey;
use crate::keyspace::node::NodeKey;
use crate::keyspace::partition::PartitionKey;

fn bump() -> Command {
    Command::BumpGeneration(BumpGeneration::default())
}

fn lift(generation: u32, disks: &[u8]) -> Command {
    let disks = disks.iter().map(|name| vec![*name; 16].into());
    Command::LiftFreeze(LiftFreeze {
        generation,
        disks: disks.collect(),
    })
}

fn cluster(state: &State) -> ClusterRow {
    state.row(&ClusterKey).unwrap()
}

fn chunk(state: &State, name: u8) -> ChunkRow {
    let id = ChunkId {
        domain: DomainId(1),
        sha256: Sha256([name; 32]),
    };
    state.row(&ChunkKey(id)).unwrap()
}

fn condemned(state: &State) -> Vec<Condemned> {
    let rows = state.rows_of::<CondemnedKey>().into_iter();
    rows.map(|(key, _)| Condemned {
        epoch: key.epoch,
        domain: key.chunk.domain.0,
        sha256: key.chunk.sha256.0.to_vec().into(),
        incarnation: key.incarnation.to_bytes().to_vec().into(),
        disks: Vec::new(),
    })
    .collect()
}

/// The same stamp as a gateway of `generation` would draw it.
fn of_generation(stamp: &Bytes, generation: u16) -> Bytes {
    let stamp = Incarnation::from_bytes(stamp).unwrap();
    let other = Incarnation {
        generation,
        ..stamp
    };
    other.to_bytes().to_vec().into()
}

fn orphan(name: u8, incarnation: &Bytes) -> Command {
    Command::JudgeOrphans(JudgeOrphans {
        orphans: vec![Orphan {
            domain: 1,
            sha256: vec![name; 32].into(),
            incarnation: incarnation.clone(),
            disks: Vec::new(),
        }],
    })
}

/// An extent of generation 2 placed by the table as it is.
fn written_now(state: &mut State, session: u64, name: u8) -> ExtentWrite {
    let extent = state.extent(session, name);
    let stamp = Incarnation::from_bytes(&extent.incarnation).unwrap();
    let number = PartitionKey(stamp.partition(2));
    let mut now = ExtentWrite {
        incarnation: of_generation(&extent.incarnation, 2),
        ..extent
    };
    now.epoch = state.row(&number).unwrap().epoch;
    now
}

fn put_now(state: &mut State, session: u64, key: &str, name: u8) -> Command {
    let extents = vec![written_now(state, session, name)];
    let manifest = of_generation(&state.stamp(session), 2);
    put_content(key, Place::Extents(Extents { manifest, extents }))
}

#[test]
fn a_bump_ends_every_session_and_the_next_ids_are_nobodys() {
    let mut state = State::with_bucket();
    let (old, other) = (state.begin(), state.begin());
    let put = state.put(old, "a", &[1]);
    state.done_in(old, put);
    assert_eq!(state.done(bump()).number, 2);
    let late = state.put(old, "b", &[2]);
    for session in [old, other] {
        let refused = state.run_in(session, late.clone()).refusal();
        assert_eq!(refused, Refusal::SessionEnded);
    }
    let begun = state.done(Command::BeginSession(BeginSession::default()));
    assert_eq!(begun.generation, 2, "what its stamps carry");
    assert_eq!(begun.number, (2 << limits::GENERATION_SESSION_BITS) + 1);
    settle(&mut state);
    assert_eq!(state.rows_of::<SessionKey>().len(), 1);
    mark::check(&state);
}

#[test]
fn stamps_of_an_older_generation_are_sent_back_whatever_session_they_name() {
    let mut state = State::with_bucket();
    state.done(bump());
    let session = state.begin();
    let old = state.put(session, "a", &[1]);
    assert_eq!(state.run_in(session, old).refusal(), Refusal::RetryUpload);
    let new = put_now(&mut state, session, "a", 1);
    let reply = state.done_in(session, new);
    assert_eq!(reply.version[..2], [0, 2], "row versions carry it too");
}

#[test]
fn an_epoch_of_before_says_nothing_of_where_shards_are() {
    let mut state = State::with_bucket();
    state.done(bump());
    let session = state.begin();
    let mut extent = written_now(&mut state, session, 1);
    assert_eq!(extent.epoch, 2 << limits::GENERATION_EPOCH_BITS);
    extent.epoch = 1;
    let manifest = of_generation(&state.stamp(session), 2);
    let extents = vec![extent];
    let put = put_content("a", Place::Extents(Extents { manifest, extents }));
    assert_eq!(state.run_in(session, put).refusal(), Refusal::RetryUpload);
}

#[test]
fn a_restore_may_say_which_generations_were_used_up_and_there_is_an_end() {
    let mut state = State::with_bucket();
    let to = |at_least| Command::BumpGeneration(BumpGeneration { at_least, voter: 0 });
    assert_eq!(state.done(to(7)).number, 7);
    assert_eq!(state.done(to(7)).number, 8, "always another one");
    assert_eq!(state.done(to(u32::from(u16::MAX))).number, 65_535);
    assert_eq!(state.run(to(0)).refusal(), Refusal::TooMany);
    assert_eq!(cluster(&state).generation, 65_535, "nothing has changed");
}

#[test]
fn nothing_is_let_go_while_deletion_is_frozen() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = state.put(session, "a", &[1]);
    state.done_in(session, put);
    let put = state.put(session, "b", &[2]);
    state.done_in(session, put);
    state.done(delete("a"));
    state.done(delete("b"));
    state.done(end(session));
    let items = condemned(&state);
    let begun = vec![items[0].clone()];
    state.done(Command::BeginDelete(BeginDelete {
        items: begun.clone(),
    }));
    let lost = state.stamp(session);
    state.done(Command::MarkDisk(MarkDisk {
        disk: Some(LeavingDisk {
            disk: vec![3; 16].into(),
            lost: false,
        }),
        stay: false,
    }));
    state.done(bump());
    let refused = [
        Command::BeginDelete(BeginDelete {
            items: items.clone(),
        }),
        Command::FinishDelete(FinishDelete { items: begun }),
        orphan(9, &lost),
        Command::RemoveDisk(RemoveDisk {
            disk: vec![3; 16].into(),
        }),
    ];
    for command in refused {
        let refusal = state.run(command.clone()).refusal();
        assert_eq!(refusal, Refusal::DeletionFrozen, "{command:?}");
    }
    let work = state.work();
    assert!(work.frozen && work.deletable.is_empty() && work.deleting.is_empty());
    state.done(lift(2, &[1, 2, 3]));
    settle(&mut state);
    assert!(condemned(&state).is_empty());
}

#[test]
fn a_freeze_is_lifted_in_its_generation_once_every_member_was_looked_at() {
    let mut state = State::with_bucket();
    let refusal = |state: &mut State, command| state.run(command).refusal();
    let all = [1, 2, 3];
    assert_eq!(
        refusal(&mut state, lift(1, &all)),
        Refusal::RowChanged,
        "not frozen"
    );
    state.done(bump());
    state.done(bump());
    assert_eq!(
        refusal(&mut state, lift(2, &all)),
        Refusal::RowChanged,
        "an older one's"
    );
    assert_eq!(refusal(&mut state, lift(3, &[1, 2])), Refusal::RowChanged);
    let lost = MarkDisk {
        disk: Some(LeavingDisk {
            disk: vec![3; 16].into(),
            lost: true,
        }),
        stay: false,
    };
    state.done(Command::MarkDisk(lost));
    state.done(lift(3, &[1, 2]));
    assert!(!cluster(&state).is_frozen());
    assert_eq!(cluster(&state).generation, 3);
}

#[test]
fn orphans_of_older_generations_are_judged_whoever_bears_their_session_id_now() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = state.put(session, "a", &[1]);
    state.done_in(session, put);
    let known = chunk(&state, 1).incarnation;
    state.done(bump());
    state.done(lift(2, &[1, 2, 3]));
    let open = state.begin();
    // The old history went on: a session of it has the number that is open here.
    let lost = [state.stamp(session + 40), state.stamp(open)];
    for lost in &lost {
        assert_eq!(state.done(orphan(5, lost)).number, 1);
    }
    let never = of_generation(&lost[0], 3);
    let young = of_generation(&lost[1], 2);
    for (name, kept) in [(1, &known), (5, &never), (5, &young)] {
        assert_eq!(state.done(orphan(name, kept)).number, 0, "{kept:?}");
    }
    state.done(end(open));
    settle(&mut state);
    assert_eq!(chunk(&state, 1).state(), ChunkState::Live);
}

#[test]
fn a_writing_that_nobody_has_looked_for_yet_is_adopted_by_none() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = state.put(session, "a", &[1]);
    state.done_in(session, put);
    let old = chunk(&state, 1).incarnation;
    state.done(bump());
    let session = state.begin();
    let again = put_now(&mut state, session, "b", 1);
    state.done_in(session, again);
    let row = chunk(&state, 1);
    assert_ne!(row.incarnation, old, "its shards may be gone");
    assert_eq!(row.refs, 2);
    let third = put_now(&mut state, session, "c", 1);
    state.done_in(session, third);
    let adopted = chunk(&state, 1);
    assert_eq!((adopted.refs, &adopted.incarnation), (3, &row.incarnation));
    mark::check(&state);
}

fn record(state: &State, row: &ChunkRow, missing: &[(u32, u8)]) -> RecordMissing {
    let stamp = Incarnation::from_bytes(&row.incarnation).unwrap();
    let partition = state.row(&PartitionKey(stamp.partition(2))).unwrap();
    let found = |name: u8| match name {
        0 => Bytes::new(),
        name => vec![name; 16].into(),
    };
    let debt = |(shard, name): &(u32, u8)| Debt {
        shard: *shard,
        disk: Bytes::new(),
        found: found(*name),
    };
    RecordMissing {
        generation: 2,
        chunks: vec![MissingShards {
            domain: 1,
            sha256: vec![1; 32].into(),
            incarnation: row.incarnation.clone(),
            epoch: partition.epoch,
            missing: missing.iter().map(debt).collect(),
        }],
    }
}

#[test]
fn what_is_missing_is_owed_and_too_much_of_it_is_suspect() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = state.put(session, "a", &[1]);
    state.done_in(session, put);
    state.done(bump());
    let row = chunk(&state, 1);
    // Shard 1 lies on disk 3; what lies on a disk that is no member is nowhere.
    let command = record(&state, &row, &[(1, 3)]);
    assert_eq!(state.done(Command::RecordMissing(command)).number, 1);
    let owed = chunk(&state, 1);
    let expected = Debt {
        shard: 1,
        disk: vec![2; 16].into(),
        found: vec![3; 16].into(),
    };
    assert_eq!((owed.debt, owed.suspect), (vec![expected], true));
    let command = record(&state, &row, &[(0, 8), (1, 0)]);
    state.done(Command::RecordMissing(command));
    let owed = chunk(&state, 1);
    let found = |debt: &Debt| (debt.shard, debt.found.is_empty());
    let debts: Vec<_> = owed.debt.iter().map(found).collect();
    assert_eq!((debts, owed.suspicions), (vec![(0, true), (1, true)], 2));
    mark::check(&state);
}

#[test]
fn what_was_looked_for_by_another_row_is_passed_over() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = state.put(session, "a", &[1]);
    state.done_in(session, put);
    let row = chunk(&state, 1);
    let early = record(&state, &row, &[(0, 0)]);
    assert_eq!(
        state.run(Command::RecordMissing(early)).refusal(),
        Refusal::RowChanged,
        "deletion is not frozen"
    );
    state.done(bump());
    let good = record(&state, &row, &[(0, 0)]);
    let mut stale = good.clone();
    stale.chunks[0].epoch += 1;
    let mut rewritten = good.clone();
    rewritten.chunks[0].incarnation = state.stamp(session);
    for passed_over in [stale, rewritten] {
        assert_eq!(state.done(Command::RecordMissing(passed_over)).number, 0);
    }
    let refusal = |state: &mut State, command: RecordMissing| {
        state.run(Command::RecordMissing(command)).refusal()
    };
    let mut other = good.clone();
    other.generation = 1;
    assert_eq!(refusal(&mut state, other), Refusal::RowChanged);
    for missing in [[(0, 0), (0, 0)], [(0, 0), (3, 0)]] {
        let command = record(&state, &row, &missing);
        assert_eq!(refusal(&mut state, command), Refusal::Malformed);
    }
    let mut long = good.clone();
    long.chunks = vec![good.chunks[0].clone(); limits::MISSING_CHUNKS_PER_ENTRY + 1];
    assert_eq!(refusal(&mut state, long), Refusal::Malformed);
    assert!(chunk(&state, 1).debt.is_empty(), "nothing has changed");
}

#[test]
fn one_voter_goes_on_and_the_others_vote_no_more() {
    let mut state = State::with_bucket();
    let roles = [
        (1, Role::Metadata as u32),
        (2, Role::Metadata as u32),
        (3, Role::Metadata as u32 | Role::Storage as u32),
        (4, Role::Storage as u32),
    ];
    for (node, roles) in roles {
        let row = Node {
            node,
            roles,
            ..Node::default()
        };
        let key = NodeKey(node);
        state.rows.insert(key.encode(), NodeKey::encode_row(&row));
    }
    state.done(Command::BumpGeneration(BumpGeneration {
        at_least: 0,
        voter: 1,
    }));
    let left: Vec<(u64, u32)> = state
        .rows_of::<NodeKey>()
        .into_iter()
        .map(|(key, node)| (key.0, node.roles))
        .collect();
    let storage = Role::Storage as u32;
    assert_eq!(
        left,
        [(1, Role::Metadata as u32), (3, storage), (4, storage)]
    );
}

#[test]
fn sessions_of_a_generation_do_not_run_into_those_of_the_next() {
    let mut state = State::with_bucket();
    state.done(bump());
    let mut counters = state.row(&CountersKey).unwrap();
    counters.session = (3 << limits::GENERATION_SESSION_BITS) - 1;
    let key = CountersKey;
    let row = CountersKey::encode_row(&counters);
    state.rows.insert(key.encode(), row);
    let refused = state.run(Command::BeginSession(BeginSession::default()));
    assert_eq!(refused.refusal(), Refusal::Malformed);
    let asked = Asked::GetSessions(GetSessions {});
    let answer = query::answer(&state, Query { query: Some(asked) }).unwrap();
    let Some(Kind::Sessions(sessions)) = answer.answer else {
        panic!("another answer");
    };
    assert_eq!(sessions.generation, 2);
}
