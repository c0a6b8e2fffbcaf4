use super::*;
use proptest::prelude::*;

fn position_strategy() -> impl Strategy<Value = LogPosition> {
    (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(term, leader, index)| LogPosition {
        term,
        leader,
        index,
    })
}

fn membership() -> impl Strategy<Value = Membership<u64, BasicNode>> {
    let voters = prop::collection::btree_set(0u64..20, 1..5);
    (
        prop::collection::vec(voters, 1..3),
        prop::collection::vec(0u64..30, 0..3),
    )
        .prop_map(|(configs, learners)| {
            let ids = configs.iter().flatten().copied().chain(learners);
            let node = |id: u64| {
                (
                    id,
                    BasicNode {
                        addr: format!("node-{id}:7000"),
                    },
                )
            };
            let nodes: std::collections::BTreeMap<u64, BasicNode> = ids.map(node).collect();
            Membership::new(configs, nodes).unwrap()
        })
}

proptest! {
    #[test]
    fn entries_come_back(at in position_strategy(), bytes in prop::collection::vec(any::<u8>(), 0..100), membership in membership()) {
        let payloads = [
            EntryPayload::Blank,
            EntryPayload::Normal(EntryBytes(bytes.into())),
            EntryPayload::Membership(membership),
        ];
        for payload in payloads {
            let entry = RaftEntry { log_id: log_id(at), payload };
            let out = entry_out(&entry);
            prop_assert_eq!(out.position, at);
            prop_assert_eq!(entry_in(&out).unwrap(), entry);
        }
    }

    #[test]
    fn stored_memberships_come_back(at in position_strategy(), membership in membership()) {
        let stored = StoredMembership::new(Some(log_id(at)), membership);
        let bytes = StoredMembershipMessage::from(&stored).encode_to_vec();
        let back = StoredMembershipMessage::decode(bytes.as_slice()).unwrap().stored().unwrap();
        prop_assert_eq!(back, stored);
    }

    #[test]
    fn nonsense_entries_are_errors(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let position = LogPosition { term: 1, leader: 1, index: 1 };
        let known = matches!(bytes.first(), Some(1)) || bytes == [0];
        let entry = entry_in(&LogEntry { position, payload: bytes.clone().into() });
        if bytes.first() != Some(&2) {
            prop_assert_eq!(entry.is_ok(), known);
        }
    }
}

#[test]
fn votes_come_back() {
    for committed in [false, true] {
        let vote = Vote {
            term: 4,
            leader: 7,
            committed,
        };
        assert_eq!(vote_out(&vote_in(vote)), vote);
    }
}

#[test]
fn the_default_membership_comes_back() {
    let stored = RaftMembership::default();
    assert_eq!(
        StoredMembershipMessage::from(&stored).stored().unwrap(),
        stored
    );
}
