//! The journal behind its own thread, on simulated and real files.

use super::model::{Change, Content, entry, open_with, run, settings, submit};
use cairn_metadata::journal::{Driver, Journal, JournalSettings, Vote};
use cairn_world::Disk;
use cairn_world::real::{OsEntropy, RealDisk};
use cairn_world::sim::SimDisk;
use std::sync::Arc;
use std::time::Duration;

fn threaded() -> JournalSettings {
    JournalSettings {
        driver: Driver::Thread,
        ..settings()
    }
}

#[test]
fn changes_become_durable_in_order_and_many_at_once() {
    let disk = SimDisk::new(1);
    let journal = open_with(&disk, threaded()).unwrap();
    let mut content = Content::default();
    let waiting: Vec<_> = (0..500)
        .map(|index| {
            let change = if index % 50 == 49 {
                Change::Vote(Vote {
                    term: index,
                    leader: 1,
                    committed: false,
                })
            } else {
                let next = content.last().map_or(0, |last| last.index + 1);
                Change::Append(vec![entry(1, next, 20)])
            };
            content.apply(&change);
            submit(&journal, &change).unwrap()
        })
        .collect();
    assert_eq!(Content::of(&journal), content, "readable before durable");
    for done in waiting {
        done.recv().unwrap().unwrap();
    }
    assert!(
        journal.usage().groups < 500,
        "groups were formed: {:?}",
        journal.usage()
    );
    let crashed = disk.after_crash(7);
    journal.close().unwrap();
    drop(journal);
    assert_eq!(Content::of(&open_with(&disk, threaded()).unwrap()), content);
    assert_eq!(
        Content::of(&open_with(&crashed, threaded()).unwrap()),
        content
    );
}

#[test]
fn a_quiet_journal_seals_itself() {
    let disk = SimDisk::new(2);
    let journal = open_with(&disk, threaded()).unwrap();
    submit(&journal, &Change::Append(vec![entry(1, 0, 50)]))
        .unwrap()
        .recv()
        .unwrap()
        .unwrap();
    let sealed = |disk: &SimDisk| {
        let copy = disk.after_kill();
        copy.flip("journal/segment-000001", 4_096 + 100, 0).unwrap();
        open_with(&copy, settings()).is_err()
    };
    for _ in 0..500 {
        if sealed(&disk) {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("rot in the last group still passes for a torn tail");
}

#[test]
fn dropping_the_last_handle_gives_the_lock_back() {
    let disk = SimDisk::new(3);
    let journal = open_with(&disk, threaded()).unwrap();
    let other = journal.clone();
    drop(journal);
    assert!(open_with(&disk, threaded()).is_err());
    drop(other);
    open_with(&disk, threaded()).unwrap();
}

#[test]
fn real_files_turn_the_ring_and_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir.path()).unwrap());
    let mut content = Content::default();
    for round in 0..3u64 {
        let journal = Journal::open(disk.clone(), threaded(), &OsEntropy).unwrap();
        assert_eq!(Content::of(&journal), content);
        for _ in 0..40 {
            let next = content.last().map_or(0, |last| last.index + 1);
            let change = Change::Append((next..next + 5).map(|at| entry(round, at, 500)).collect());
            submit(&journal, &change).unwrap().recv().unwrap().unwrap();
            content.apply(&change);
            let purge = Change::Purge(content.entries[&(next + 2)].position);
            submit(&journal, &purge).unwrap().recv().unwrap().unwrap();
            content.apply(&purge);
        }
        if round != 1 {
            journal.close().unwrap();
        }
    }
    let journal = Journal::open(disk, threaded(), &OsEntropy).unwrap();
    assert_eq!(Content::of(&journal), content);
    assert!(journal.usage().segments <= 4);
}

/// Old entries are read from disk, verified, in one pass.
#[test]
fn entries_beyond_the_cache_come_from_disk() {
    let disk = SimDisk::new(4);
    let settings = JournalSettings {
        cache_len: 1_000,
        ..settings()
    };
    let journal = open_with(&disk, settings.clone()).unwrap();
    let entries: Vec<_> = (0..60).map(|index| entry(2, index, 700)).collect();
    for entry in &entries {
        run(&journal, &Change::Append(vec![entry.clone()])).unwrap();
    }
    assert_eq!(journal.entries(0..60, usize::MAX).unwrap(), entries);
    assert_eq!(
        journal.entries(5..60, 1_500).unwrap(),
        entries[5..7],
        "cut by bytes"
    );
    assert_eq!(
        journal.entries(5..60, 1).unwrap(),
        entries[5..6],
        "one at least"
    );
    assert_eq!(journal.entries(58..70, usize::MAX).unwrap(), entries[58..]);
    assert!(journal.entries(60..70, usize::MAX).unwrap().is_empty());
    drop(journal);
    let journal = open_with(&disk, settings).unwrap();
    assert_eq!(journal.entries(0..60, usize::MAX).unwrap(), entries);
}
