//! The power fails under a running host; the disk fails under it.

use super::world::{Machine, boot, check, propose_all};
use cairn_metadata::raft::ProposeError;
use cairn_world::sim::{Fault, FaultOn, SeededRng};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Proposals, syncs and snapshots until the power fails; what was acknowledged.
fn drive(machine: &Machine) -> Vec<(u64, u64)> {
    boot(async {
        let Ok(host) = machine.start().await else {
            return Vec::new();
        };
        let mut acknowledged = Vec::new();
        for round in 0..8u64 {
            let (mut more, error) = propose_all(&host, round * 10..round * 10 + 10).await;
            acknowledged.append(&mut more);
            if error.is_some() {
                break;
            }
            match round % 4 {
                1 => drop(host.sync().await),
                3 => drop(host.snapshot().await),
                _ => {}
            }
        }
        acknowledged
    })
}

#[test]
fn whatever_was_acknowledged_survives_a_power_failure_at_any_point() {
    let whole = Machine::new(50);
    let all = drive(&whole);
    assert_eq!(all.len(), 80);
    let operations = whole.disk.operations();
    let mut rng = SeededRng::new(50);
    let mut points: Vec<u64> = (1..=operations).step_by(9).collect();
    points.push(operations);
    for operation in points {
        let mut machine = Machine::new(50);
        machine.settings.propose_timeout = Duration::from_millis(100);
        machine.disk.crash_at(operation);
        let acknowledged = drive(&machine);
        let mut next = machine.crashed(operation, rng.below(30));
        next.settings.propose_timeout = Duration::from_secs(5);
        boot(async {
            let what = format!("crash at operation {operation}");
            let host = next
                .start()
                .await
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            check(host.read().await.unwrap().as_ref(), &acknowledged, &what);
            let (more, error) = propose_all(&host, 500..505).await;
            assert_eq!((more.len(), error), (5, None), "{what}");
        });
    }
}

#[test]
fn after_a_failed_sync_no_proposal_is_acknowledged() {
    for nth in [1, 4, 9] {
        let mut machine = Machine::new(60 + nth);
        machine.settings.propose_timeout = Duration::from_millis(500);
        let acknowledged = boot(async {
            let host = machine.start().await.unwrap();
            machine
                .disk
                .inject(Fault::new(FaultOn::Sync).named("segment-").nth(nth));
            let (acknowledged, error) = propose_all(&host, 0..50).await;
            assert_eq!(error, Some(ProposeError::Unknown));
            for number in 100..105 {
                let error = propose_all(&host, number..number + 1).await.1;
                assert!(
                    matches!(error, Some(ProposeError::Unknown | ProposeError::Stopped)),
                    "{error:?}"
                );
            }
            assert!(host.metrics().failure.is_some());
            assert!(!host.is_ready());
            assert!(host.read().await.is_err());
            acknowledged
        });
        machine.disk.clear_faults();
        let next = machine.crashed(nth, 3);
        boot(async {
            let host = next.start().await.unwrap();
            check(
                host.read().await.unwrap().as_ref(),
                &acknowledged,
                "after EIO",
            );
        });
    }
}

/// A store whose sync failed may have lost anything since the last one: it is given up, not tried
/// again, and nothing is purged on its word.
#[test]
fn after_a_failed_store_sync_the_node_stops() {
    let machine = Machine::new(65);
    let acknowledged = boot(async {
        let host = machine.start().await.unwrap();
        let (mut acknowledged, _) = propose_all(&host, 0..20).await;
        machine.stores.fail_syncs.store(true, Ordering::Relaxed);
        assert!(host.sync().await.is_err());
        machine.stores.fail_syncs.store(false, Ordering::Relaxed);
        assert!(host.sync().await.is_err(), "the sync was tried again");
        assert!(host.snapshot().await.is_err());
        let (more, error) = propose_all(&host, 20..30).await;
        assert!(error.is_some(), "it went on");
        acknowledged.extend(more);
        assert_eq!(host.metrics().synced, None);
        assert!(!host.is_ready());
        acknowledged
    });
    let next = machine.crashed(1, 0);
    boot(async {
        let host = next.start().await.unwrap();
        check(
            host.read().await.unwrap().as_ref(),
            &acknowledged,
            "after a failed store sync",
        );
    });
}

/// The rule: the log is purged only below what the store has synced. Were it not, a crash would leave
/// the store below the log and force a rebuild.
#[test]
fn a_crash_after_a_purge_finds_the_store_whole_enough_to_go_on() {
    let machine = Machine::new(70);
    let acknowledged = boot(async {
        let host = machine.start().await.unwrap();
        let mut acknowledged = Vec::new();
        for round in 0..3u64 {
            let (mut more, error) = propose_all(&host, round * 20..round * 20 + 20).await;
            assert_eq!(error, None);
            acknowledged.append(&mut more);
            host.snapshot().await.unwrap();
        }
        for _ in 0..300 {
            if host.metrics().purged.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let metrics = host.metrics();
        assert!(
            metrics.purged.is_some() && metrics.purged <= metrics.synced,
            "{metrics:?}"
        );
        acknowledged
    });
    // The store keeps only what a full sync covered.
    let next = machine.crashed(1, 0);
    boot(async {
        let host = next.start().await.unwrap();
        check(
            host.read().await.unwrap().as_ref(),
            &acknowledged,
            "after a purge",
        );
    });
    assert_eq!(
        next.stores.names(),
        ["gen-1"],
        "the store had to be rebuilt"
    );
}
