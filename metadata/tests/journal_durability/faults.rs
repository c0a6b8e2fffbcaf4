//! Errors of the disk: the end of acknowledging, at once and for good.

use super::model::{Change, Content, Workload, entry, open, open_with, run, settings};
use cairn_metadata::journal::{JournalError, JournalSettings, Vote};
use cairn_world::sim::{Fault, FaultOn, SimDisk};
use cairn_world::{Access, Disk as _, OpenMode};

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    for nth in 1..12 {
        for on in [FaultOn::Sync, FaultOn::Write] {
            let disk = SimDisk::new(nth);
            let journal = open(&disk).unwrap();
            disk.inject(Fault::new(on).named("segment-").nth(nth));
            let mut workload = Workload::new(nth);
            let mut acknowledged = Content::default();
            let mut failed = None;
            for _ in 0..80 {
                let change = workload.next();
                match run(&journal, &change) {
                    Ok(()) => {
                        assert!(failed.is_none(), "acknowledged after a failure");
                        acknowledged.apply(&change);
                    }
                    Err(error) => {
                        assert!(matches!(error, JournalError::Failed(_)), "{error}");
                        failed.get_or_insert(change);
                    }
                }
            }
            assert!(failed.is_some(), "the fault never struck");
            assert!(journal.entries(0..10, 10).is_err());
            assert!(journal.close().is_err());
            assert!(journal.failure().is_some());
            // The sync is never retried: what it left in doubt is judged by the next start.
            let boot = disk.after_crash(nth);
            let found = Content::of(&open(&boot).unwrap());
            let legal = super::model::outcomes(&acknowledged, failed.as_ref());
            assert!(
                legal.contains(&found),
                "{on:?} {nth}: {found:?}\n{acknowledged:?}"
            );
        }
    }
}

/// A journal that was killed some changes after the sync of one of its groups failed. That group is in doubt;
/// everything after it was refused.
fn killed_after_a_failed_sync(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    let journal = open(&disk).unwrap();
    let mut workload = Workload::new(seed);
    let nth = 1 + seed % 6;
    disk.inject(Fault::new(FaultOn::Sync).named("segment-").nth(nth));
    for _ in 0..20 {
        let _ = run(&journal, &workload.next());
    }
    drop(journal);
    disk.after_kill()
}

/// Starts, builds on what was found, loses the power: nothing of either may be gone.
fn builds_on_it_and_loses_nothing(disk: &SimDisk, seed: u64) {
    let journal = open(disk).unwrap();
    let mut acknowledged = Content::of(&journal);
    let mut workload = Workload::going_on(&acknowledged, seed);
    for _ in 0..3 {
        let change = workload.next();
        run(&journal, &change).unwrap();
        acknowledged.apply(&change);
    }
    let boot = disk.after_crash(seed);
    let journal = open(&boot).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    assert_eq!(Content::of(&journal), acknowledged, "seed {seed}");
}

/// A group whose sync failed may be read from a cache that nobody will write any more (Linux marks
/// such pages clean). What the next start builds on it, it must have written itself.
#[test]
fn what_a_start_finds_after_a_failed_sync_is_durable_before_anything_builds_on_it() {
    for seed in 0..60 {
        builds_on_it_and_loses_nothing(&killed_after_a_failed_sync(seed), seed);
    }
}

/// The same where starts fail too before one succeeds: a seal whose own sync failed proves nothing about the
/// group before it (simulated cluster, seed 3132).
#[test]
fn what_failed_starts_leave_is_durable_before_anything_builds_on_it() {
    for seed in 0..120 {
        let mut disk = killed_after_a_failed_sync(seed);
        for start in 0..1 + seed % 3 {
            let nth = 1 + (seed / 3 + start) % 3;
            disk.inject(Fault::new(FaultOn::Sync).named("segment-").nth(nth));
            // It may have no more syncs than that, and then it succeeds.
            drop(open(&disk));
            disk = disk.after_kill();
        }
        disk.clear_faults();
        builds_on_it_and_loses_nothing(&disk, seed);
    }
}

/// A sync of the directory failed while the journal grew, and the process was killed: the new segment is
/// listed, and whether its name outlives a power cut nobody knows (simulated cluster, seed 3 of
/// `epoch-without-debt`).
#[test]
fn a_segment_whose_name_is_in_doubt_is_not_built_upon() {
    let mut grown = 0;
    for seed in 0..120 {
        let disk = SimDisk::new(seed);
        let journal = open(&disk).unwrap();
        disk.inject(Fault::new(FaultOn::SyncDir).nth(1 + seed % 2));
        let mut workload = Workload::new(seed);
        for _ in 0..30 {
            let _ = run(&journal, &workload.next());
        }
        grown += u32::from(journal.failure().is_some());
        drop(journal);
        let disk = disk.after_kill();
        fills_segments_and_loses_nothing(&disk, &settings(), seed);
    }
    assert!(grown > 60, "only {grown} journals grew");
}

/// The same of a segment whose process was killed before it had synced the directory at all.
#[test]
fn a_segment_whose_name_was_never_synced_is_not_built_upon() {
    let settings = JournalSettings {
        segment_len: 64 << 10,
        ..settings()
    };
    for seed in 0..80 {
        let disk = SimDisk::new(seed);
        let journal = open_with(&disk, settings.clone()).unwrap();
        let name = "journal/segment-000003";
        disk.inject(Fault::new(FaultOn::Write).named(name));
        for index in 0.. {
            if run(&journal, &Change::Append(vec![entry(1, index, 5_000)])).is_err() {
                break;
            }
        }
        drop(journal);
        let disk = disk.after_kill();
        let file = disk.open(name, OpenMode::CreateNew, Access::Direct);
        let file = file.unwrap();
        file.allocate(0, settings.segment_len).unwrap();
        file.sync().unwrap();
        drop(file);
        fills_segments_and_loses_nothing(&disk.after_kill(), &settings, seed);
    }
}

/// Starts, fills up to several segments, loses the power: nothing of it may be gone.
fn fills_segments_and_loses_nothing(disk: &SimDisk, settings: &JournalSettings, seed: u64) {
    let open = |disk: &SimDisk| {
        let opened = open_with(disk, settings.clone());
        opened.unwrap_or_else(|error| panic!("seed {seed}: {error}"))
    };
    let journal = open(disk);
    let mut acknowledged = Content::of(&journal);
    let last = acknowledged.entries.keys().next_back().copied();
    let last = last.max(acknowledged.purged.map(|purged| purged.index));
    let first = last.map_or(0, |last| last + 1);
    let groups_of_a_segment = settings.segment_len / 8_192;
    for index in first..first + 2 + seed % (4 * groups_of_a_segment) {
        let change = Change::Append(vec![entry(100, index, 5_000)]);
        run(&journal, &change).unwrap();
        acknowledged.apply(&change);
    }
    let journal = open(&disk.after_crash(seed));
    assert_eq!(Content::of(&journal), acknowledged, "seed {seed}");
}

#[test]
fn a_disk_that_cannot_be_read_refuses_or_shows_everything() {
    let disk = SimDisk::new(3);
    let journal = open(&disk).unwrap();
    let mut content = Content::default();
    for index in 0..8 {
        let change = Change::Append(vec![entry(1, index, 3_000)]);
        run(&journal, &change).unwrap();
        content.apply(&change);
    }
    journal.close().unwrap();
    drop(journal);
    for block in 0..4u64 {
        let copy = disk.after_kill();
        let range = block * 4_096..(block + 1) * 4_096;
        copy.inject(
            Fault::new(FaultOn::Read)
                .named("segment-000001")
                .within(range)
                .lasting(),
        );
        match open(&copy) {
            Ok(journal) => assert_eq!(journal.state().entries, content.entries.len()),
            Err(JournalError::Damaged { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn an_entry_that_rots_while_the_journal_runs_is_not_handed_out() {
    let disk = SimDisk::new(4);
    let journal = open_with(
        &disk,
        JournalSettings {
            cache_len: 0,
            ..settings()
        },
    )
    .unwrap();
    run(&journal, &Change::Append(vec![entry(1, 0, 3_000)])).unwrap();
    assert_eq!(
        journal.entries(0..1, usize::MAX).unwrap(),
        vec![entry(1, 0, 3_000)]
    );
    disk.flip("journal/segment-000001", 4_096 + 1_000, 3)
        .unwrap();
    let error = journal.entries(0..1, usize::MAX).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
}

#[test]
fn a_full_file_system_ends_the_journal_only_when_the_ring_is_full() {
    let disk = SimDisk::new(6);
    let journal = open(&disk).unwrap();
    disk.set_capacity(1);
    let mut index = 0;
    let mut append = |len| {
        let change = Change::Append(vec![entry(1, index, len)]);
        index += 1;
        run(&journal, &change)
    };
    // Two segments of three groups each, the state group first.
    for _ in 0..5 {
        append(100).unwrap();
    }
    assert!(
        journal.usage().short_of_space,
        "a spare segment was wanted and refused"
    );
    // Purging makes room on a full disk.
    run(&journal, &Change::Purge(entry(1, 4, 0).position)).unwrap_err();
    let disk = disk.after_kill();
    let journal = open(&disk).unwrap();
    assert!(journal.state().entries == 5);
}

#[test]
fn purging_in_time_keeps_a_ring_going_on_a_full_disk() {
    let disk = SimDisk::new(7);
    let journal = open(&disk).unwrap();
    disk.set_capacity(1);
    for index in 0..100 {
        run(&journal, &Change::Append(vec![entry(1, index, 100)])).unwrap();
        run(&journal, &Change::Purge(entry(1, index, 0).position)).unwrap();
    }
    assert_eq!(journal.usage().segments, 2);
}

#[test]
fn the_ring_grows_when_nothing_can_be_recycled_and_shrinks_back() {
    let disk = SimDisk::new(8);
    let journal = open(&disk).unwrap();
    for index in 0..40 {
        run(&journal, &Change::Append(vec![entry(1, index, 3_000)])).unwrap();
    }
    let grown = journal.usage();
    assert!(grown.segments > 10 && grown.live > 10, "{grown:?}");
    run(&journal, &Change::Purge(entry(1, 38, 0).position)).unwrap();
    for index in 40..44 {
        run(&journal, &Change::Append(vec![entry(1, index, 10)])).unwrap();
        run(&journal, &Change::Purge(entry(1, index - 1, 0).position)).unwrap();
    }
    assert!(journal.usage().segments <= 3, "{:?}", journal.usage());
    journal.close().unwrap();
    drop(journal);
    let journal = open(&disk).unwrap();
    assert_eq!(journal.state().entries, 1);
}

#[test]
fn refused_calls_change_nothing() {
    let disk = SimDisk::new(9);
    let journal = open(&disk).unwrap();
    let too_long = Change::Append(vec![entry(1, 0, 8_001)]);
    assert_eq!(
        run(&journal, &too_long).unwrap_err(),
        JournalError::TooLong { len: 8_001 }
    );
    run(&journal, &Change::Append(vec![entry(1, 0, 1)])).unwrap();
    let gap = Change::Append(vec![entry(1, 2, 1)]);
    assert_eq!(
        run(&journal, &gap).unwrap_err(),
        JournalError::Gap {
            expected: 1,
            found: 2
        }
    );
    let inner = Change::Append(vec![entry(1, 1, 1), entry(1, 3, 1)]);
    assert_eq!(
        run(&journal, &inner).unwrap_err(),
        JournalError::Gap {
            expected: 2,
            found: 3
        }
    );
    assert_eq!(journal.state().entries, 1);
    journal.close().unwrap();
    let vote = Change::Vote(Vote {
        term: 1,
        leader: 1,
        committed: false,
    });
    assert_eq!(run(&journal, &vote).unwrap_err(), JournalError::Closed);
    drop(journal);
    assert_eq!(open(&disk).unwrap().state().entries, 1);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let base = settings();
    let bad = [
        JournalSettings {
            segment_len: 5_000,
            ..base.clone()
        },
        JournalSettings {
            segment_len: 8_192,
            ..base.clone()
        },
        JournalSettings {
            segments: 1,
            ..base.clone()
        },
        JournalSettings {
            entry_len_max: 16 << 10,
            ..base.clone()
        },
        JournalSettings {
            group_len: 0,
            ..base
        },
    ];
    for settings in bad {
        let error = open_with(&SimDisk::new(1), settings).unwrap_err();
        assert!(matches!(error, JournalError::Settings(_)), "{error}");
    }
}

#[test]
fn two_processes_cannot_open_one_journal() {
    let disk = SimDisk::new(10);
    let journal = open(&disk).unwrap();
    assert_eq!(open(&disk).unwrap_err(), JournalError::Locked);
    journal.close().unwrap();
    open(&disk).unwrap();
}
