//! Stores, snapshots and journals that lost something between two boots.

use super::world::{Machine, boot, check, propose_all};
use cairn_metadata::raft::OpenError;
use cairn_store::{Batch, MemoryStore, OrderedStore};
use cairn_world::Disk;

/// Proposes and crashes: the store is wholly unsynced but in memory.
fn run(machine: &Machine, numbers: std::ops::Range<u64>) -> Vec<(u64, u64)> {
    boot(async {
        let host = machine.start().await.unwrap();
        let (acknowledged, error) = propose_all(&host, numbers).await;
        assert_eq!(error, None);
        acknowledged
    })
}

/// Two snapshots with entries after each, all synced and purged below the older.
fn run_with_snapshots(machine: &Machine) -> Vec<(u64, u64)> {
    boot(async {
        let host = machine.start().await.unwrap();
        let mut acknowledged = Vec::new();
        for round in 0..3u64 {
            let (mut more, error) = propose_all(&host, round * 30..round * 30 + 30).await;
            assert_eq!(error, None);
            acknowledged.append(&mut more);
            if round < 2 {
                host.snapshot().await.unwrap();
            }
        }
        for _ in 0..300 {
            if host.metrics().purged.is_some() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(host.metrics().purged.is_some());
        host.shutdown().await.unwrap();
        acknowledged
    })
}

fn expect_rebuilt(machine: &Machine, acknowledged: &[(u64, u64)], generation: &str) {
    boot(async {
        let host = machine.start().await.unwrap();
        check(host.read().await.unwrap().as_ref(), acknowledged, "rebuilt");
        let (more, error) = propose_all(&host, 900_000..900_005).await;
        assert_eq!((more.len(), error), (5, None));
        host.shutdown().await.unwrap();
    });
    assert_eq!(machine.stores.names(), [generation]);
}

#[test]
fn what_a_crash_takes_from_the_store_is_applied_again() {
    for kept in [0, 1, 5, 1_000] {
        let machine = Machine::new(kept);
        let acknowledged = run(&machine, 0..20);
        let next = machine.crashed(3, kept);
        expect_rebuilt(&next, &acknowledged, "gen-1");
    }
}

#[test]
fn a_batch_dropped_in_the_middle_discards_the_store() {
    for index in [2, 10, 19] {
        let machine = Machine::new(21);
        let acknowledged = run(&machine, 0..20);
        machine.stores.without_marker(index);
        expect_rebuilt(&machine, &acknowledged, "gen-2");
    }
}

#[test]
fn a_lost_applied_row_discards_the_store() {
    let machine = Machine::new(22);
    let acknowledged = run(&machine, 0..20);
    let mut batch = Batch::default();
    batch.delete([0, b'a']);
    machine.stores.only().commit(&batch).unwrap();
    expect_rebuilt(&machine, &acknowledged, "gen-2");
}

#[test]
fn an_unreadable_host_row_discards_the_store() {
    let machine = Machine::new(23);
    let acknowledged = run(&machine, 0..20);
    let mut batch = Batch::default();
    batch.put([0, b'a'], &b"nonsense"[..]);
    machine.stores.only().commit(&batch).unwrap();
    expect_rebuilt(&machine, &acknowledged, "gen-2");
}

#[test]
fn an_empty_store_behind_a_purged_log_is_rebuilt_from_the_newest_snapshot() {
    let machine = Machine::new(24);
    let acknowledged = run_with_snapshots(&machine);
    machine.stores.put("gen-1", MemoryStore::new());
    expect_rebuilt(&machine, &acknowledged, "gen-2");
}

#[test]
fn a_store_below_the_purged_log_never_runs_on() {
    let machine = Machine::new(25);
    // An old copy of the store, from before the log was purged.
    let early = run(&machine, 1_000..1_005);
    let old = machine.stores.only().crash_keeping(u64::MAX);
    let mut acknowledged = run_with_snapshots(&machine);
    acknowledged.extend(early);
    machine.stores.put("gen-1", old);
    expect_rebuilt(&machine, &acknowledged, "gen-2");
}

fn snapshots(machine: &Machine) -> Vec<String> {
    let names = machine.disk.list("snapshots").unwrap();
    names
        .into_iter()
        .map(|name| format!("snapshots/{name}"))
        .collect()
}

#[test]
fn with_a_damaged_newest_snapshot_the_older_one_does() {
    for (at, bit) in [(3, 0), (60, 1), (200, 2), (600, 5)] {
        let machine = Machine::new(26);
        let acknowledged = run_with_snapshots(&machine);
        let files = snapshots(&machine);
        assert_eq!(files.len(), 2);
        machine.disk.flip(&files[1], at, bit).unwrap();
        machine.stores.put("gen-1", MemoryStore::new());
        boot(async {
            let host = machine.start().await.unwrap();
            check(
                host.read().await.unwrap().as_ref(),
                &acknowledged,
                "from the older",
            );
        });
    }
}

#[test]
fn without_any_whole_snapshot_a_lost_store_is_the_end() {
    let machine = Machine::new(27);
    run_with_snapshots(&machine);
    for file in snapshots(&machine) {
        machine.disk.flip(&file, 300, 0).unwrap();
    }
    machine.stores.put("gen-1", MemoryStore::new());
    let error = boot(async { machine.start().await.unwrap_err() });
    assert!(matches!(error, OpenError::Unrecoverable(_)), "{error}");
    // And so it is at the next attempt: nothing was made up meanwhile.
    let error = boot(async { machine.start().await.unwrap_err() });
    assert!(matches!(error, OpenError::Unrecoverable(_)), "{error}");
}

#[test]
fn a_damaged_snapshot_harms_nothing_while_the_store_is_whole() {
    let machine = Machine::new(28);
    let acknowledged = run_with_snapshots(&machine);
    for file in snapshots(&machine) {
        machine.disk.flip(&file, 300, 0).unwrap();
    }
    expect_rebuilt(&machine, &acknowledged, "gen-1");
}

/// The store has what the journal lost: it must not be taken for the truth.
#[test]
fn a_journal_older_than_the_store_is_refused() {
    let machine = Machine::new(29);
    run(&machine, 0..5);
    let old_disk = machine.disk.after_kill();
    run(&machine, 5..10);
    let mixed = Machine {
        disk: old_disk,
        ..machine.clone()
    };
    let error = boot(async { mixed.start().await.unwrap_err() });
    assert!(matches!(error, OpenError::Mismatch(_)), "{error}");
}

#[test]
fn a_journal_of_another_history_is_refused() {
    let machine = Machine::new(30);
    run(&machine, 0..5);
    let other_disk = machine.disk.after_kill();
    let stores = machine.stores.crash_keeping(u64::MAX);
    // Two histories from here on, under different terms.
    run(&machine, 5..8);
    let other = Machine {
        disk: other_disk,
        stores,
        ..machine.clone()
    };
    run(&other, 100..101);
    run(&other, 101..110);
    let mixed = Machine {
        disk: other.disk.clone(),
        ..machine
    };
    let error = boot(async { mixed.start().await.unwrap_err() });
    assert!(matches!(error, OpenError::Mismatch(_)), "{error}");
}

#[test]
fn a_damaged_journal_is_refused_with_its_place() {
    let machine = Machine::new(31);
    run(&machine, 0..5);
    boot(async {
        let host = machine.start().await.unwrap();
        host.shutdown().await.unwrap();
    });
    machine
        .disk
        .flip("journal/segment-000001", 4_096 + 100, 0)
        .unwrap();
    let error = boot(async { machine.start().await.unwrap_err() });
    let OpenError::Journal(error) = error else {
        panic!("{error}")
    };
    assert!(
        error.to_string().contains("segment-000001 bytes 4096.."),
        "{error}"
    );
}

#[test]
fn a_lost_generation_pointer_costs_a_rebuild_and_nothing_else() {
    let machine = Machine::new(32);
    let acknowledged = run_with_snapshots(&machine);
    machine.disk.poke("generation", 0, &[0; 8_192]).unwrap();
    boot(async {
        let host = machine.start().await.unwrap();
        check(
            host.read().await.unwrap().as_ref(),
            &acknowledged,
            "pointer lost",
        );
    });
    let (_, machine) = ((), Machine::new(33));
    let acknowledged = run(&machine, 0..10);
    machine.disk.flip("generation", 4_096 + 20, 0).unwrap();
    boot(async {
        let host = machine.start().await.unwrap();
        check(
            host.read().await.unwrap().as_ref(),
            &acknowledged,
            "one slot lost",
        );
    });
}
