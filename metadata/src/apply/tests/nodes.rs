//! Members: tokens, registration, disks, the first table.

use cairn_wire::metadata::{
    AddDisks, ClusterAnswer, GetCluster, MoveNode, Node, PlaceTable, PutJoinToken, RegisterNode,
    Role,
};

use super::*;
use crate::keyspace::node::{JoinTokenKey, NodeKey};
use crate::keyspace::partition::PartitionKey;

const STORAGE: u32 = Role::Storage as u32;
const GATEWAY: u32 = Role::Gateway as u32;
const HOUR: u64 = 3_600_000;

/// A cluster born without disks, coded 2+1.
fn born() -> State {
    let mut state = State {
        now_ms: 1_000_000,
        ..State::default()
    };
    let Command::InitCluster(whole) = init() else {
        unreachable!()
    };
    state.done(Command::InitCluster(InitCluster {
        disks: vec![],
        slots: Bytes::new(),
        ..whole
    }));
    state
}

fn view(state: &State) -> ClusterAnswer {
    let query = Query {
        query: Some(Asked::GetCluster(GetCluster {})),
    };
    match query::answer(state, query).unwrap().answer {
        Some(Kind::Cluster(cluster)) => cluster,
        other => panic!("{other:?}"),
    }
}

fn token(name: u8, roles: u32, lifetime_ms: u64) -> Command {
    Command::PutJoinToken(PutJoinToken {
        digest: vec![name; 32].into(),
        roles,
        lifetime_ms,
    })
}

fn node(id: u64, roles: u32) -> Node {
    Node {
        node: id,
        address: format!("10.0.0.{id}:9100"),
        public_key: vec![u8::try_from(id).unwrap(); 32].into(),
        zone: format!("zone {}", id % 3),
        roles,
        joined_ms: 0,
        left_disks: Vec::new(),
    }
}

fn register(token: u8, node: Node) -> Command {
    Command::RegisterNode(RegisterNode {
        token: vec![token; 32].into(),
        node: Some(node),
    })
}

fn join(state: &mut State, id: u64, roles: u32) {
    let name = u8::try_from(id).unwrap();
    state.done(token(name, roles, HOUR));
    state.done(register(name, node(id, roles)));
}

fn disk(name: u8, node: u64) -> Disk {
    Disk {
        disk: vec![name; 16].into(),
        node,
        zone: String::new(),
    }
}

fn add(disks: Vec<Disk>) -> Command {
    Command::AddDisks(AddDisks { disks })
}

#[test]
fn a_token_takes_in_one_node_and_is_spent() {
    let mut state = born();
    state.done(token(1, STORAGE, HOUR));
    state.done(register(1, node(7, STORAGE)));
    assert!(state.rows_of::<JoinTokenKey>().is_empty());
    let known = view(&state).nodes;
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].joined_ms, state.now_ms);
    let again = state.run(register(1, node(8, STORAGE)));
    assert_eq!(again.refusal(), Refusal::NoSuchToken);
    state.done(register(1, node(7, STORAGE)));
    assert_eq!(
        state.rows_of::<NodeKey>().len(),
        1,
        "the same word again changes nothing"
    );
}

#[test]
fn a_token_is_for_its_roles_and_its_time() {
    let mut state = born();
    state.done(token(1, GATEWAY, HOUR));
    for roles in [STORAGE, STORAGE | GATEWAY] {
        let refused = state.run(register(1, node(7, roles)));
        assert_eq!(refused.refusal(), Refusal::NoSuchToken, "{roles}");
    }
    state.now_ms += HOUR;
    let late = state.run(register(1, node(7, GATEWAY)));
    assert_eq!(late.refusal(), Refusal::NoSuchToken);
    state.done(token(2, GATEWAY, HOUR));
    assert_eq!(
        state.rows_of::<JoinTokenKey>().len(),
        1,
        "the one past its end went"
    );
    state.done(register(2, node(7, GATEWAY)));
}

#[test]
fn an_id_and_a_key_are_one_nodes_for_ever() {
    let mut state = born();
    join(&mut state, 7, STORAGE);
    state.done(token(9, STORAGE | GATEWAY, HOUR));
    let other_key = Node {
        public_key: vec![9; 32].into(),
        ..node(7, STORAGE)
    };
    let other_id = Node {
        public_key: vec![7; 32].into(),
        ..node(9, STORAGE)
    };
    let other_role = node(7, GATEWAY);
    for stranger in [other_key, other_id, other_role] {
        let refused = state.run(register(9, stranger));
        assert_eq!(refused.refusal(), Refusal::NodeConflict);
    }
    assert_eq!(state.rows_of::<JoinTokenKey>().len(), 1, "nothing is spent");
}

#[test]
fn what_is_no_node_or_token_is_refused() {
    let mut state = born();
    let wrong = [
        token(1, 0, HOUR),
        token(1, 8, HOUR),
        token(1, STORAGE, 0),
        token(1, STORAGE, limits::JOIN_TOKEN_MS_MAX + 1),
        Command::PutJoinToken(PutJoinToken {
            digest: Bytes::from_static(b"short"),
            roles: STORAGE,
            lifetime_ms: HOUR,
        }),
    ];
    for command in wrong {
        assert_eq!(state.run(command).refusal(), Refusal::Malformed);
    }
    state.done(token(1, STORAGE | GATEWAY, HOUR));
    let broken = |change: fn(&mut Node)| {
        let mut node = node(7, STORAGE);
        change(&mut node);
        node
    };
    let nodes = [
        broken(|node| node.node = 0),
        broken(|node| node.public_key = Bytes::from_static(b"short")),
        broken(|node| node.roles = 0),
        broken(|node| node.address.clear()),
        broken(|node| node.address = "a".repeat(limits::ADDRESS_LEN_MAX + 1)),
        broken(|node| node.zone = "z".repeat(limits::ZONE_LEN_MAX + 1)),
    ];
    for node in nodes {
        let refused = state.run(register(1, node.clone()));
        assert_eq!(refused.refusal(), Refusal::Malformed, "{node:?}");
    }
    let mut gateway = node(7, GATEWAY);
    gateway.address.clear();
    state.done(register(1, gateway));
}

#[test]
fn tokens_are_bounded_and_those_past_their_end_make_room() {
    let mut state = born();
    let numbered = |number: usize| {
        let mut digest = vec![0; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        Command::PutJoinToken(PutJoinToken {
            digest: digest.into(),
            roles: STORAGE,
            lifetime_ms: HOUR,
        })
    };
    for number in 0..limits::JOIN_TOKENS_MAX {
        state.done(numbered(number));
    }
    let more = numbered(limits::JOIN_TOKENS_MAX);
    assert_eq!(state.run(more.clone()).refusal(), Refusal::TooMany);
    state.now_ms += HOUR;
    state.done(more);
}

#[test]
fn a_node_tells_where_it_is_now() {
    let mut state = born();
    join(&mut state, 7, STORAGE);
    let to = |node: u64, address: &str| {
        Command::MoveNode(MoveNode {
            node,
            address: address.into(),
        })
    };
    state.done(to(7, "10.1.1.1:9100"));
    assert_eq!(view(&state).nodes[0].address, "10.1.1.1:9100");
    assert_eq!(state.run(to(8, "x:1")).refusal(), Refusal::NoSuchNode);
    assert_eq!(state.run(to(7, "")).refusal(), Refusal::Malformed);
}

#[test]
fn disks_join_with_their_node_and_in_its_zone() {
    let mut state = born();
    join(&mut state, 7, STORAGE);
    join(&mut state, 8, GATEWAY);
    join(&mut state, 9, STORAGE);
    state.done(add(vec![disk(1, 7), disk(2, 7)]));
    state.done(add(vec![disk(2, 7), disk(3, 9)]));
    let members = view(&state).disks;
    let seats: Vec<(u8, u64, &str)> = members
        .iter()
        .map(|disk| (disk.disk[0], disk.node, disk.zone.as_str()))
        .collect();
    assert_eq!(
        seats,
        [(1, 7, "zone 1"), (2, 7, "zone 1"), (3, 9, "zone 0")]
    );
    let refusals = [
        (disk(1, 9), Refusal::NodeConflict),
        (disk(4, 6), Refusal::NoSuchNode),
        (disk(4, 8), Refusal::Malformed),
    ];
    for (disk, refusal) in refusals {
        assert_eq!(state.run(add(vec![disk])).refusal(), refusal);
    }
    assert_eq!(view(&state).disks.len(), 3, "an entry is done whole or not");
}

#[test]
fn the_first_table_is_placed_once_on_members_alone() {
    let mut state = born();
    join(&mut state, 7, STORAGE);
    state.done(add(vec![disk(1, 7), disk(2, 7), disk(3, 7)]));
    assert!(view(&state).partitions.is_empty());
    let place = |slots: &[u8]| {
        Command::PlaceTable(PlaceTable {
            slots: Bytes::copy_from_slice(slots),
            disks: Vec::new(),
        })
    };
    let good = [0, 0, 0, 1, 0, 2].repeat(4);
    let beyond = [0, 0, 0, 1, 0, 3].repeat(4);
    let twice = [0, 0, 0, 1, 0, 1].repeat(4);
    for wrong in [&beyond, &twice, &good[..23].to_vec(), &vec![]] {
        assert_eq!(state.run(place(wrong)).refusal(), Refusal::Malformed);
    }
    state.done(place(&good));
    assert_eq!(view(&state).partitions.len(), 4);
    let again = state.run(place(&good));
    assert_eq!(again.refusal(), Refusal::AlreadyInitialized);
    assert_eq!(state.rows_of::<PartitionKey>().len(), 4);
}

#[test]
fn nothing_is_stored_before_there_is_a_table() {
    let mut state = born();
    state.done(Command::PutUser(PutUser {
        user: Some(user("alice", "alice-key")),
    }));
    state.done(create_bucket("photos", "alice"));
    let session = state.begin();
    let put = state.put(session, "a", &[1]);
    assert_eq!(state.run_in(session, put).refusal(), Refusal::RetryUpload);
}
