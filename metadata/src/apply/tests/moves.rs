//! Moves of slots, and commits whose epoch is older than the row.

use cairn_model::{ChunkId, DomainId, Sha256};
use cairn_wire::metadata::{
    AbandonMove, BeginMove, ClusterAnswer, CutOver, Debt, GetCluster, LeavingDisk, MarkDisk,
    SettleDebt,
};

use super::*;
use crate::keyspace::chunk::{ChunkKey, ChunkRow};
use crate::keyspace::partition::{PartitionKey, PartitionRow};

/// Six disks, coded 2+2, the four slots of every partition on the first four; alice and her bucket.
pub(crate) fn wide() -> State {
    let mut state = State {
        now_ms: 1_000_000,
        ..State::default()
    };
    let Command::InitCluster(mut whole) = init() else {
        unreachable!()
    };
    whole.disks = (1..=6)
        .map(|name| Disk {
            disk: disk(name),
            node: u64::from(name),
            zone: String::new(),
        })
        .collect();
    whole.classes[0].coding = Some(coding());
    whole.slots = [0, 0, 0, 1, 0, 2, 0, 3].repeat(4).into();
    state.done(Command::InitCluster(whole));
    state.done(Command::PutUser(PutUser {
        user: Some(user("alice", "alice-key")),
    }));
    state.done(create_bucket("photos", "alice"));
    state
}

pub(crate) fn disk(name: u8) -> Bytes {
    vec![name; 16].into()
}

pub(crate) fn coding() -> Coding {
    Coding {
        data: 2,
        parity: 2,
        cell: 65_536,
        layout: 1,
    }
}

pub(crate) fn partition_of(incarnation: &Bytes) -> u32 {
    Incarnation::from_bytes(incarnation).unwrap().partition(2)
}

/// An upload of chunk `name` in `partition`, placed by the row of `epoch`, without some shards.
pub(crate) fn upload(
    state: &mut State,
    session: u64,
    (partition, name): (u32, u8),
    epoch: u64,
    missing: &[u32],
) -> ExtentWrite {
    let mut extent = state.extent(session, name);
    while partition_of(&extent.incarnation) != partition {
        extent.incarnation = state.stamp(session);
    }
    extent.coding = Some(coding());
    extent.epoch = epoch;
    let debt = |shard: &u32| Debt {
        shard: *shard,
        disk: disk(9),
        found: Bytes::new(),
    };
    extent.debt = missing.iter().map(debt).collect();
    extent
}

pub(crate) fn commit(state: &mut State, session: u64, extent: ExtentWrite) -> Reply {
    let key = format!("{}", extent.sha256[0]);
    let manifest = state.stamp(session);
    let extents = vec![extent];
    let put = put_content(&key, Place::Extents(Extents { manifest, extents }));
    let reply = state.run_in(session, put);
    mark::check(state);
    reply
}

pub(crate) fn chunk(state: &State, name: u8) -> ChunkRow {
    let id = ChunkId {
        domain: DomainId(1),
        sha256: Sha256([name; 32]),
    };
    state.row(&ChunkKey(id)).unwrap()
}

pub(crate) fn row(state: &State, partition: u32) -> PartitionRow {
    state.row(&PartitionKey(partition)).unwrap()
}

pub(crate) fn view(state: &State) -> ClusterAnswer {
    let query = Query {
        query: Some(Asked::GetCluster(GetCluster {})),
    };
    match query::answer(state, query).unwrap().answer {
        Some(Kind::Cluster(cluster)) => cluster,
        other => panic!("{other:?}"),
    }
}

/// A move of a slot of the row as it is.
pub(crate) fn begin_move(state: &State, partition: u32, slot: u32, to: u8) -> Command {
    let row = row(state, partition);
    Command::BeginMove(BeginMove {
        partition,
        slot,
        epoch: row.epoch,
        from: row.current[slot as usize].clone(),
        to: disk(to),
    })
}

pub(crate) fn cut(state: &State, partition: u32, slot: u32) -> Command {
    Command::CutOver(CutOver {
        partition,
        slot,
        epoch: row(state, partition).epoch,
    })
}

pub(crate) fn abandon(state: &State, partition: u32, slot: u32) -> Command {
    Command::AbandonMove(AbandonMove {
        partition,
        slot,
        epoch: row(state, partition).epoch,
    })
}

pub(crate) fn leave(name: u8, lost: bool) -> Command {
    Command::MarkDisk(MarkDisk {
        disk: Some(LeavingDisk {
            disk: disk(name),
            lost,
        }),
        stay: false,
    })
}

/// Everything the row owes is paid at the epoch there is.
pub(crate) fn pay(state: &State, name: u8) -> Command {
    let row = chunk(state, name);
    let place = self::row(state, partition_of(&row.incarnation));
    Command::SettleDebt(SettleDebt {
        domain: 1,
        sha256: vec![name; 32].into(),
        incarnation: row.incarnation,
        epoch: place.epoch,
        paid: row.debt,
    })
}

#[test]
fn a_move_begins_where_the_slot_is_and_on_a_disk_that_stays() {
    let mut state = wide();
    state.done(leave(6, false));
    let Command::BeginMove(good) = begin_move(&state, 1, 0, 5) else {
        unreachable!()
    };
    let wrong = |change: fn(&mut BeginMove)| {
        let mut command = good.clone();
        change(&mut command);
        Command::BeginMove(command)
    };
    let refusals = [
        (wrong(|c| c.epoch = 2), Refusal::StaleEpoch),
        (wrong(|c| c.epoch = 0), Refusal::StaleEpoch),
        (wrong(|c| c.partition = 4), Refusal::Malformed),
        (wrong(|c| c.slot = 4), Refusal::Malformed),
        (wrong(|c| c.from = disk(2)), Refusal::Malformed),
        (wrong(|c| c.to = disk(2)), Refusal::Malformed),
        (wrong(|c| c.to = disk(7)), Refusal::NoSuchDisk),
        (wrong(|c| c.to = disk(6)), Refusal::NoSuchDisk),
    ];
    for (command, refusal) in refusals {
        assert_eq!(state.run(command.clone()).refusal(), refusal, "{command:?}");
    }
    state.done(Command::BeginMove(good.clone()));
    let moved = row(&state, 1);
    assert_eq!((moved.epoch, moved.next_of(0)), (2, Some(&disk(5))));
    assert_eq!(moved.current[0], disk(1));
    let told = view(&state).moves;
    assert_eq!((told.len(), told[0].partition, told[0].slot), (1, 1, 0));
    let again = Command::BeginMove(BeginMove { epoch: 2, ..good });
    assert_eq!(state.run(again).refusal(), Refusal::Malformed);
    let twice = begin_move(&state, 1, 1, 5);
    assert_eq!(
        state.run(twice).refusal(),
        Refusal::Malformed,
        "one disk, two slots"
    );
    state.done(begin_move(&state, 2, 1, 5));
    assert_eq!(row(&state, 2).epoch, 3, "the table has one epoch");
}

/// **[bug]** a cut-over while a session is open that was begun before `next` appeared.
#[test]
fn a_cut_over_waits_for_the_sessions_of_before_the_move() {
    let mut state = wide();
    let before = state.begin();
    assert_eq!(state.run(cut(&state, 0, 2)).refusal(), Refusal::Malformed);
    state.done(begin_move(&state, 0, 2, 5));
    let after = state.begin();
    assert_eq!(state.run(cut(&state, 0, 2)).refusal(), Refusal::TooSoon);
    state.done(end(before));
    let stale = Command::CutOver(CutOver {
        partition: 0,
        slot: 2,
        epoch: 1,
    });
    assert_eq!(state.run(stale).refusal(), Refusal::StaleEpoch);
    state.done(cut(&state, 0, 2));
    let moved = row(&state, 0);
    assert_eq!(moved.current[2], disk(5));
    assert_eq!((moved.epoch, moved.next_of(2)), (3, None));
    assert!(view(&state).moves.is_empty());
    state.done(end(after));
}

#[test]
fn a_cut_over_waits_for_debt_of_its_slot_alone() {
    let mut state = wide();
    let session = state.begin();
    for (name, partition, missing) in [(1, 0, 2), (2, 0, 1), (3, 1, 2)] {
        let extent = upload(&mut state, session, (partition, name), 1, &[missing]);
        assert_eq!(commit(&mut state, session, extent).refusal(), Refusal::None);
        assert_eq!(chunk(&state, name).debt[0].disk, disk(missing as u8 + 1));
    }
    state.done(end(session));
    state.done(begin_move(&state, 0, 2, 5));
    assert_eq!(state.run(cut(&state, 0, 2)).refusal(), Refusal::InDebt);
    state.done(pay(&state, 1));
    mark::check(&state);
    state.done(cut(&state, 0, 2));
    assert_eq!(chunk(&state, 2).debt.len() + chunk(&state, 3).debt.len(), 2);
}

/// **[bug]** a commit of an older epoch that records no move debt.
#[test]
fn a_commit_of_before_the_move_owes_what_lies_on_the_old_disk() {
    let mut state = wide();
    let session = state.begin();
    let extent = upload(&mut state, session, (3, 1), 1, &[]);
    let other = upload(&mut state, session, (2, 2), 1, &[]);
    state.done(begin_move(&state, 3, 0, 5));
    assert_eq!(commit(&mut state, session, extent).refusal(), Refusal::None);
    let owed = Debt {
        shard: 0,
        disk: disk(5),
        found: disk(1),
    };
    assert_eq!(chunk(&state, 1).debt, [owed]);
    assert_eq!(commit(&mut state, session, other).refusal(), Refusal::None);
    assert!(chunk(&state, 2).debt.is_empty(), "its row has not changed");
    state.done(end(session));
    assert_eq!(state.run(cut(&state, 3, 0)).refusal(), Refusal::InDebt);
    state.done(pay(&state, 1));
    state.done(cut(&state, 3, 0));
}

/// **[bug]** a commit whose shards lie on disks the row does not name any more.
#[test]
fn a_commit_is_taken_only_where_readers_find_enough_of_it() {
    let mut state = wide();
    let keeper = state.begin();
    let moved = |state: &mut State, partition: u32, slots: &[(u32, u8)]| {
        for (slot, to) in slots {
            state.done(begin_move(state, partition, *slot, *to));
        }
    };
    moved(&mut state, 0, &[(0, 5)]);
    moved(&mut state, 1, &[(0, 5), (1, 6)]);
    state.done(end(keeper));
    // Opened after the moves began, with a view from before: the row still tells where it wrote.
    let session = state.begin();
    for (partition, slot) in [(0, 0), (1, 0), (1, 1)] {
        state.done(cut(&state, partition, slot));
    }
    let one = upload(&mut state, session, (0, 1), 1, &[]);
    let two = upload(&mut state, session, (1, 2), 1, &[]);
    let lacks = upload(&mut state, session, (0, 3), 1, &[3]);
    let ahead = upload(&mut state, session, (2, 4), 2, &[]);
    assert_eq!(commit(&mut state, session, one).refusal(), Refusal::None);
    let debt = chunk(&state, 1).debt;
    assert_eq!((debt.len(), &debt[0].found), (1, &disk(1)));
    for extent in [two, lacks, ahead] {
        let refused = commit(&mut state, session, extent);
        assert_eq!(refused.refusal(), Refusal::RetryUpload);
    }
    state.done(leave(1, true));
    let lost = upload(&mut state, session, (0, 5), 1, &[]);
    assert_eq!(commit(&mut state, session, lost).refusal(), Refusal::None);
    assert!(
        chunk(&state, 5).debt[0].found.is_empty(),
        "nothing is found on a lost disk"
    );
}

#[test]
fn where_slots_were_written_is_told_while_a_session_may_need_it() {
    let mut state = wide();
    let first = state.begin();
    state.done(begin_move(&state, 0, 0, 5));
    let second = state.begin();
    state.done(begin_move(&state, 0, 1, 6));
    state.done(end(first));
    state.done(cut(&state, 0, 0));
    let third = state.begin();
    state.done(end(second));
    state.done(cut(&state, 0, 1));
    assert_eq!(row(&state, 0).past.len(), 2);
    state.done(begin_move(&state, 0, 2, 1));
    let told = row(&state, 0);
    assert_eq!((told.past.len(), told.told_from, told.epoch), (2, 2, 6));
    let late = upload(&mut state, third, (0, 1), 1, &[]);
    let refused = commit(&mut state, third, late);
    assert_eq!(refused.refusal(), Refusal::RetryUpload);
    let known = upload(&mut state, third, (0, 1), 2, &[]);
    assert_eq!(commit(&mut state, third, known).refusal(), Refusal::None);
    let owed = |shard, to, from| Debt {
        shard,
        disk: disk(to),
        found: disk(from),
    };
    assert_eq!(chunk(&state, 1).debt, [owed(1, 6, 2), owed(2, 1, 3)]);
}

#[test]
fn what_a_row_remembers_is_bounded() {
    let mut state = wide();
    let session = state.begin();
    for _ in 0..2 * limits::PAST_PLACES_MAX {
        if row(&state, 0).next_of(0).is_none() {
            state.done(begin_move(&state, 0, 0, 5));
        } else {
            state.done(abandon(&state, 0, 0));
        }
    }
    let kept = row(&state, 0);
    assert_eq!(kept.past.len(), limits::PAST_PLACES_MAX);
    assert_eq!(kept.told_from, kept.past[0].epoch - 1);
    let forgotten = upload(&mut state, session, (0, 1), 1, &[]);
    let refused = commit(&mut state, session, forgotten);
    assert_eq!(refused.refusal(), Refusal::RetryUpload);
}

#[test]
fn an_abandoned_move_turns_round_with_a_gate_of_its_own() {
    let mut state = wide();
    assert_eq!(
        state.run(abandon(&state, 0, 0)).refusal(),
        Refusal::Malformed
    );
    state.done(begin_move(&state, 0, 0, 5));
    let during = state.begin();
    state.done(leave(5, true));
    assert_eq!(state.run(cut(&state, 0, 0)).refusal(), Refusal::NoSuchDisk);
    state.done(abandon(&state, 0, 0));
    let turned = row(&state, 0);
    assert_eq!(
        (&turned.current[0], turned.next_of(0)),
        (&disk(5), Some(&disk(1)))
    );
    assert_eq!(state.run(cut(&state, 0, 0)).refusal(), Refusal::TooSoon);
    state.done(end(during));
    state.done(cut(&state, 0, 0));
    assert_eq!(row(&state, 0).current[0], disk(1));
}

#[test]
fn a_move_between_two_lost_disks_is_none() {
    let mut state = wide();
    state.done(begin_move(&state, 0, 0, 5));
    state.done(leave(1, true));
    state.done(leave(5, true));
    state.done(abandon(&state, 0, 0));
    let rest = row(&state, 0);
    assert_eq!((&rest.current[0], rest.next_of(0)), (&disk(1), None));
    state.done(begin_move(&state, 0, 0, 6));
}

#[test]
fn a_deletion_reaches_the_disks_of_move_debt() {
    let mut state = wide();
    let session = state.begin();
    let taken = upload(&mut state, session, (0, 1), 1, &[]);
    let passed_by = upload(&mut state, session, (0, 2), 1, &[]);
    state.done(begin_move(&state, 0, 0, 5));
    let fresh = upload(&mut state, session, (1, 2), 1, &[]);
    for extent in [taken, fresh, passed_by] {
        assert_eq!(commit(&mut state, session, extent).refusal(), Refusal::None);
    }
    state.done(delete("1"));
    state.done(end(session));
    let doomed = state.work().deletable;
    assert_eq!(doomed.len(), 2, "the deleted one and the one not adopted");
    for item in doomed {
        assert_eq!(item.disks, [disk(1)]);
    }
}
