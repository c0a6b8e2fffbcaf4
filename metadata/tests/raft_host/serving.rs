//! Proposals, reads, refusals, restarts.

use super::world::{
    Counter, LIMIT, Machine, boot, check, count, me, number_of, payload, propose_all,
};
use bytes::Bytes;
use cairn_metadata::journal::Driver;
use cairn_metadata::raft::{InitializeError, Member, OpenError, ProposeError, ReadError};
use cairn_model::limits;
use cairn_store::OrderedStore;
use std::time::Duration;

#[test]
fn a_fresh_host_is_founded_once_and_serves() {
    let machine = Machine::new(1);
    boot(async {
        let host = machine.open().await.unwrap();
        assert!(!host.is_initialized());
        assert!(!host.is_ready());
        assert!(!host.is_leader());
        let stranger = Member {
            id: 2,
            address: "there".to_owned(),
        };
        let error = host.initialize(vec![stranger]).await.unwrap_err();
        assert!(matches!(error, InitializeError::Members(_)), "{error}");
        host.initialize(vec![me()]).await.unwrap();
        assert!(host.wait_ready(LIMIT).await);
        assert_eq!(
            host.initialize(vec![me()]).await.unwrap_err(),
            InitializeError::Exists
        );
        assert!(host.is_leader());
        let reply = host.propose(payload(7)).await.unwrap();
        assert_eq!(reply.as_ref(), 1u64.to_be_bytes());
        let view = host.read().await.unwrap();
        assert_eq!(number_of(view.as_ref(), &payload(7)), Some(1));
        let metrics = host.metrics();
        assert_eq!(metrics.leader, Some(1));
        assert_eq!(metrics.failure, None);
        host.shutdown().await.unwrap();
        assert_eq!(
            host.propose(payload(8)).await.unwrap_err(),
            ProposeError::Stopped
        );
        assert_eq!(host.read().await.err(), Some(ReadError::Stopped));
        assert!(!host.is_ready());
    });
    boot(async {
        let host = machine.open().await.unwrap();
        assert!(host.is_initialized());
        assert!(host.wait_ready(LIMIT).await);
        let view = host.read().await.unwrap();
        assert_eq!(number_of(view.as_ref(), &payload(7)), Some(1));
    });
}

#[test]
fn thirty_restarts_lose_nothing_and_repeat_nothing() {
    let machine = Machine::new(2);
    let mut acknowledged = Vec::new();
    for round in 0..30u64 {
        boot(async {
            let host = machine.start().await.unwrap();
            check(
                host.read().await.unwrap().as_ref(),
                &acknowledged,
                "restart",
            );
            let (mut more, error) = propose_all(&host, round * 10..round * 10 + 10).await;
            assert_eq!(error, None);
            acknowledged.append(&mut more);
            if round % 3 == 0 {
                host.shutdown().await.unwrap();
            }
        });
    }
    assert_eq!(acknowledged.len(), 300);
    assert_eq!(acknowledged.last(), Some(&(299, 300)));
    assert_eq!(
        machine.stores.names(),
        ["gen-1"],
        "no restart discarded the store"
    );
}

#[test]
fn many_proposals_and_reads_at_once_share_their_costs() {
    let mut machine = Machine::new(3);
    machine.settings.inline = false;
    machine.settings.journal.driver = Driver::Thread;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let host = machine.start().await.unwrap();
        let groups = host.metrics().journal.groups;
        let tasks: Vec<_> = (0..400)
            .map(|number| {
                let host = host.clone();
                tokio::spawn(async move {
                    host.propose(payload(number)).await.unwrap();
                    let view = host.read().await.unwrap();
                    assert!(number_of(view.as_ref(), &payload(number)).is_some());
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let used = host.metrics().journal.groups - groups;
        assert!(used < 200, "400 entries took {used} groups");
        assert_eq!(count(host.read().await.unwrap().as_ref()), 400);
        host.shutdown().await.unwrap();
    });
}

#[test]
fn a_proposal_that_is_too_long_is_refused_and_the_longest_is_not() {
    let mut machine = Machine::new(4);
    machine.settings.journal.segment_len = limits::MIB;
    machine.settings.journal.entry_len_max = limits::ENTRY_LEN_MAX as usize + 1;
    boot(async {
        let host = machine.start().await.unwrap();
        let len = limits::ENTRY_LEN_MAX as usize;
        let error = host
            .propose(Bytes::from(vec![7; len + 1]))
            .await
            .unwrap_err();
        assert_eq!(error, ProposeError::TooLarge { len: len + 1 });
        // Our counter makes a key of it, and keys are shorter.
        let host_after = host.propose(payload(1)).await.unwrap();
        assert_eq!(host_after.as_ref(), 1u64.to_be_bytes());
    });
}

#[test]
fn without_a_majority_nothing_is_answered() {
    let mut machine = Machine::new(5);
    machine.settings.propose_timeout = Duration::from_millis(300);
    boot(async {
        let host = machine.open().await.unwrap();
        let other = Member {
            id: 2,
            address: "there".to_owned(),
        };
        host.initialize(vec![me(), other]).await.unwrap();
        assert!(!host.wait_ready(Duration::from_millis(300)).await);
        let error = host.propose(payload(1)).await.unwrap_err();
        assert_eq!(error, ProposeError::NotLeader { leader: None });
        let error = host.read().await.err();
        assert_eq!(error, Some(ReadError::NotLeader { leader: None }));
        assert!(!host.is_leader());
    });
}

#[test]
fn a_state_machine_that_fails_stops_the_node_and_every_restart() {
    let machine = Machine::new(6);
    boot(async {
        let host = machine.start().await.unwrap();
        host.propose(payload(1)).await.unwrap();
        let error = host
            .propose(Bytes::from_static(b"poison"))
            .await
            .unwrap_err();
        assert_eq!(error, ProposeError::Unknown);
        assert!(host.metrics().failure.is_some());
        assert!(!host.is_ready());
    });
    boot(async {
        // The entry is committed: it must not be skipped.
        let error = machine.start().await.unwrap_err();
        assert!(matches!(error, OpenError::Io(_)), "{error}");
    });
}

#[test]
fn a_state_machine_that_writes_host_rows_stops_the_node() {
    let machine = Machine::new(7);
    boot(async {
        let host = machine.start().await.unwrap();
        let error = host.propose(Bytes::from_static(b"host")).await.unwrap_err();
        assert_eq!(error, ProposeError::Unknown);
        let failure = host.metrics().failure.unwrap();
        assert!(failure.contains("host's row"), "{failure}");
    });
}

#[test]
fn state_hashes_stand_at_every_thousandth_entry() {
    let machine = Machine::new(8);
    let first = boot(async {
        let host = machine.start().await.unwrap();
        propose_all(&host, 0..2_100).await;
        let hashes = host.state_hashes().unwrap();
        host.shutdown().await.unwrap();
        hashes
    });
    let indexes: Vec<u64> = first.iter().map(|state| state.position.index).collect();
    assert_eq!(indexes, [0, 1_000, 2_000]);
    assert_ne!(first[1].hash, first[2].hash);
    // A host that replays everything, in batches cut otherwise, comes to the same hashes.
    let robbed = machine.stores.crash_keeping(0);
    robbed.put("gen-1", cairn_store::MemoryStore::new());
    let again = Machine {
        stores: robbed,
        ..machine
    };
    let second = boot(async {
        let host = again.start().await.unwrap();
        host.state_hashes().unwrap()
    });
    assert_eq!(first, second);
}

#[test]
fn a_snapshot_makes_room_and_a_restart_uses_what_is_left() {
    let mut machine = Machine::new(9);
    machine.settings.snapshot_entries = 50;
    let mut acknowledged = Vec::new();
    boot(async {
        let host = machine.start().await.unwrap();
        for round in 0..3u64 {
            let (mut more, error) = propose_all(&host, round * 60..round * 60 + 60).await;
            assert_eq!(error, None);
            acknowledged.append(&mut more);
            for _ in 0..400 {
                let metrics = host.metrics();
                assert!(metrics.purged <= metrics.synced, "{metrics:?}");
                assert!(metrics.purged <= metrics.snapshot, "{metrics:?}");
                if metrics
                    .snapshot
                    .is_some_and(|at| at.index >= 60 * round + 50)
                {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        for _ in 0..400 {
            if host.metrics().purged.is_some() && host.shelf().snapshots().len() == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let metrics = host.metrics();
        let (purged, newest) = (metrics.purged.unwrap(), metrics.snapshot.unwrap());
        assert!(
            purged < newest,
            "one voter keeps the log down to the older snapshot"
        );
        let kept = host.shelf().snapshots();
        assert_eq!(kept.len(), 2);
        assert_eq!(kept[1].meta().position, Some(purged));
    });
    boot(async {
        let host = machine.start().await.unwrap();
        check(
            host.read().await.unwrap().as_ref(),
            &acknowledged,
            "after purging",
        );
    });
    assert_eq!(machine.stores.names(), ["gen-1"]);
}

#[test]
fn the_machine_s_cache_is_reset_at_open() {
    let machine = Machine::new(10);
    boot(async {
        let host = machine.start().await.unwrap();
        propose_all(&host, 0..5).await;
        host.shutdown().await.unwrap();
    });
    boot(async {
        let host = machine.open_with(Box::<Counter>::default()).await.unwrap();
        assert!(host.wait_ready(LIMIT).await);
        let (more, _) = propose_all(&host, 5..6).await;
        assert_eq!(more, [(5, 6)]);
    });
    assert_eq!(count(machine.stores.only().view().as_ref()), 6);
}
