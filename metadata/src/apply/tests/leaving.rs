//! Disks and nodes that leave.

use cairn_wire::metadata::{
    AddDisks, LeavingDisk, MarkDisk, Node, PlaceTable, PutJoinToken, RegisterNode, RemoveDisk,
    RemoveNode, Role,
};

use super::moves::{begin_move, commit, cut, disk, leave, pay, upload, view, wide};
use super::*;
use crate::keyspace::node::NodeKey;

fn remove(name: u8) -> Command {
    Command::RemoveDisk(RemoveDisk { disk: disk(name) })
}

fn stay(name: u8) -> Command {
    Command::MarkDisk(MarkDisk {
        disk: Some(LeavingDisk {
            disk: disk(name),
            lost: false,
        }),
        stay: true,
    })
}

#[test]
fn a_disk_leaves_only_when_it_is_marked() {
    let mut state = wide();
    assert_eq!(state.run(remove(6)).refusal(), Refusal::InUse);
    assert_eq!(state.run(remove(9)).refusal(), Refusal::NoSuchDisk);
    state.done(leave(6, false));
    state.done(stay(6));
    assert_eq!(state.run(remove(6)).refusal(), Refusal::InUse);
    state.done(leave(6, false));
    state.done(remove(6));
    let cluster = view(&state);
    assert_eq!((cluster.disks.len(), cluster.leaving.len()), (5, 0));
    assert_eq!(state.run(remove(6)).refusal(), Refusal::NoSuchDisk);
}

#[test]
fn a_lost_disk_stays_lost() {
    let mut state = wide();
    state.done(leave(1, false));
    state.done(leave(1, true));
    state.done(leave(1, true));
    for command in [leave(1, false), stay(1)] {
        assert_eq!(state.run(command).refusal(), Refusal::InUse);
    }
    assert_eq!(view(&state).leaving.len(), 1);
    assert_eq!(state.run(leave(7, true)).refusal(), Refusal::NoSuchDisk);
}

#[test]
fn a_disk_that_a_row_names_does_not_leave() {
    let mut state = wide();
    for partition in 0..3 {
        state.done(begin_move(&state, partition, 0, 5));
        state.done(cut(&state, partition, 0));
    }
    state.done(leave(1, true));
    assert_eq!(
        state.run(remove(1)).refusal(),
        Refusal::InUse,
        "one row is left"
    );
    state.done(begin_move(&state, 3, 0, 5));
    assert_eq!(
        state.run(remove(1)).refusal(),
        Refusal::InUse,
        "the move is under way"
    );
    state.done(leave(5, false));
    assert_eq!(
        state.run(remove(5)).refusal(),
        Refusal::InUse,
        "named as next"
    );
    state.done(cut(&state, 3, 0));
    state.done(remove(1));
    assert_eq!(
        state.run(remove(5)).refusal(),
        Refusal::InUse,
        "named as current"
    );
}

#[test]
fn a_disk_that_debt_names_does_not_leave() {
    let mut state = wide();
    for partition in 0..4 {
        state.done(begin_move(&state, partition, 0, 5));
        state.done(cut(&state, partition, 0));
    }
    // A view from before the moves in a session from after them.
    let session = state.begin();
    state.done(begin_move(&state, 0, 1, 6));
    let extent = upload(&mut state, session, (0, 1), 2, &[]);
    let other = state.begin();
    assert_eq!(commit(&mut state, session, extent).refusal(), Refusal::None);
    state.done(end(session));
    state.done(end(other));
    for partition in 1..4 {
        state.done(begin_move(&state, partition, 1, 6));
    }
    for partition in 1..4 {
        state.done(cut(&state, partition, 1));
    }
    state.done(leave(2, false));
    assert_eq!(state.run(remove(2)).refusal(), Refusal::InUse);
    assert_eq!(state.run(cut(&state, 0, 1)).refusal(), Refusal::InDebt);
    state.done(pay(&state, 1));
    state.done(cut(&state, 0, 1));
    state.done(remove(2));
    mark::check(&state);
}

#[test]
fn debt_alone_keeps_a_disk() {
    let mut state = wide();
    let keeper = state.begin();
    state.done(begin_move(&state, 0, 0, 5));
    state.done(end(keeper));
    let session = state.begin();
    for partition in 1..4 {
        state.done(begin_move(&state, partition, 0, 5));
    }
    state.done(cut(&state, 0, 0));
    let extent = upload(&mut state, session, (0, 1), 1, &[]);
    assert_eq!(commit(&mut state, session, extent).refusal(), Refusal::None);
    state.done(end(session));
    for partition in 1..4 {
        state.done(cut(&state, partition, 0));
    }
    state.done(leave(1, false));
    assert!(
        view(&state)
            .partitions
            .iter()
            .all(|row| !row.current.contains(&disk(1)))
    );
    assert_eq!(
        state.run(remove(1)).refusal(),
        Refusal::InUse,
        "a shard is found there alone"
    );
    state.done(pay(&state, 1));
    state.done(remove(1));
}

#[test]
fn a_node_leaves_when_it_has_no_disks() {
    let mut state = wide();
    for id in [1_u64, 9] {
        let name = u8::try_from(id).unwrap();
        state.done(Command::PutJoinToken(PutJoinToken {
            digest: vec![name; 32].into(),
            roles: Role::Storage as u32,
            lifetime_ms: 1_000,
        }));
        state.done(Command::RegisterNode(RegisterNode {
            token: vec![name; 32].into(),
            node: Some(Node {
                node: id,
                address: "10.0.0.1:1".into(),
                public_key: vec![name; 32].into(),
                roles: Role::Storage as u32,
                ..Node::default()
            }),
        }));
    }
    // A disk of it that was removed does not come back, and does not keep the others out.
    let bring = |names: &[u8]| {
        let disk = |name: &u8| Disk {
            disk: disk(*name),
            node: 9,
            zone: String::new(),
        };
        Command::AddDisks(AddDisks {
            disks: names.iter().map(disk).collect(),
        })
    };
    state.done(bring(&[8]));
    state.done(leave(8, false));
    state.done(remove(8));
    state.done(bring(&[8, 9]));
    let members: Vec<u8> = view(&state).disks.iter().map(|one| one.disk[0]).collect();
    assert_eq!(members, [1, 2, 3, 4, 5, 6, 9]);
    state.done(leave(9, false));
    state.done(remove(9));
    let part = |node| Command::RemoveNode(RemoveNode { node });
    assert_eq!(state.run(part(7)).refusal(), Refusal::NoSuchNode);
    assert_eq!(state.run(part(1)).refusal(), Refusal::InUse);
    state.done(part(9));
    assert_eq!(state.rows_of::<NodeKey>().len(), 1);
}

#[test]
fn a_table_made_for_other_disks_is_not_placed() {
    let mut state = State {
        now_ms: 1_000_000,
        ..State::default()
    };
    let Command::InitCluster(whole) = init() else {
        unreachable!()
    };
    let slots = whole.slots.clone();
    let mut unplaced = InitCluster {
        disks: vec![],
        slots: Bytes::new(),
        ..whole
    };
    unplaced.partition_bits = 2;
    state.done(Command::InitCluster(unplaced));
    let place = |disks: Vec<Bytes>| {
        Command::PlaceTable(PlaceTable {
            slots: slots.clone(),
            disks,
        })
    };
    let seen = vec![disk(1), disk(2), disk(3)];
    assert_eq!(state.run(place(seen)).refusal(), Refusal::Malformed);
}
