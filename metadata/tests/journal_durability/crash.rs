//! The power fails at every single disk operation of a workload.

use super::model::{Change, Content, Seen, Workload, check_committed, entry, open, outcomes, run};
use cairn_metadata::journal::{Journal, LogPosition};
use cairn_world::sim::SimDisk;

const CHANGES: usize = 40;

/// What was acknowledged when the power failed, and what was under way.
struct History {
    acknowledged: Content,
    unfinished: Option<Change>,
    committed: Vec<LogPosition>,
}

/// Runs the workload until it ends or the disk does.
fn drive(disk: &SimDisk, seed: u64) -> History {
    let mut history = History {
        acknowledged: Content::default(),
        unfinished: None,
        committed: Vec::new(),
    };
    let Ok(journal) = open(disk) else {
        return history;
    };
    let mut workload = Workload::new(seed);
    for _ in 0..CHANGES {
        let change = workload.next();
        if let Change::Committed(position) | Change::Purge(position) = change {
            history.committed.push(position);
        }
        if run(&journal, &change).is_err() {
            history.unfinished = Some(change);
            return history;
        }
        history.acknowledged.apply(&change);
    }
    let _ = journal.close();
    history
}

fn check(journal: &Journal, history: &History, what: &str) -> Content {
    let found = Content::of(journal);
    let legal = outcomes(&history.acknowledged, history.unfinished.as_ref());
    assert!(
        legal.contains(&found),
        "{what}: found {found:#?}\nacknowledged {:#?}\nunfinished {:?}",
        history.acknowledged,
        history.unfinished
    );
    check_committed(&journal.state(), &history.committed);
    found
}

/// A recovered journal must go on, end, and be whole.
fn go_on(disk: &SimDisk, journal: Journal, mut content: Content, what: &str) {
    let index = content.last().map_or(0, |last| last.index + 1);
    for step in 0..6 {
        let change = Change::Append(vec![entry(1_000, index + step, 3_000)]);
        run(&journal, &change).unwrap();
        content.apply(&change);
    }
    journal.close().unwrap();
    drop(journal);
    let again = open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(Content::of(&again), content, "{what}");
}

fn crash_everywhere(seed: u64, survivors: u64, seen: &Seen) {
    let disk = SimDisk::new(seed);
    drive(&disk, seed);
    let operations = disk.operations();
    assert!(operations > 80, "the workload is too short: {operations}");
    for operation in 1..=operations {
        let disk = SimDisk::new(seed);
        disk.crash_at(operation);
        let history = drive(&disk, seed);
        for survivor in 0..survivors {
            let what = format!("seed {seed}, operation {operation}, survivor {survivor}");
            let boot = disk.after_crash(survivor * 1_000 + operation);
            let journal = open(&boot).unwrap_or_else(|error| panic!("{what}: {error}"));
            let found = check(&journal, &history, &what);
            if found != history.acknowledged {
                seen.one();
            }
            go_on(&boot, journal, found, &what);
        }
    }
}

#[test]
fn whatever_was_acknowledged_survives_a_crash_at_any_operation() {
    let seen = Seen::default();
    for seed in 1..=3 {
        crash_everywhere(seed, 2, &seen);
    }
    assert!(
        seen.count() > 0,
        "no unacknowledged change ever survived: the crashes are too kind"
    );
}

/// A second crash hits the recovery from the first.
#[test]
fn recovery_itself_may_crash_anywhere() {
    for seed in 11..=12 {
        let whole = SimDisk::new(seed);
        drive(&whole, seed);
        for operation in (1..=whole.operations()).step_by(7) {
            let disk = SimDisk::new(seed);
            disk.crash_at(operation);
            let history = drive(&disk, seed);
            let first = disk.after_crash(operation);
            open(&first).unwrap();
            let recovery = first.operations();
            for second in 1..=recovery {
                let boot = disk.after_crash(operation);
                boot.crash_at(second);
                let _ = open(&boot);
                let last = boot.after_crash(operation * 77 + second);
                let what = format!("seed {seed}, operation {operation}, then {second}");
                let journal = open(&last).unwrap_or_else(|error| panic!("{what}: {error}"));
                let found = check(&journal, &history, &what);
                go_on(&last, journal, found, &what);
            }
        }
    }
}

/// Kills lose nothing that was written, acknowledged or not.
#[test]
fn a_killed_process_finds_everything_it_had_acknowledged() {
    let disk = SimDisk::new(5);
    let history = {
        let journal = open(&disk).unwrap();
        let mut workload = Workload::new(5);
        let mut history = History {
            acknowledged: Content::default(),
            unfinished: None,
            committed: Vec::new(),
        };
        for _ in 0..CHANGES {
            let change = workload.next();
            if let Change::Committed(position) | Change::Purge(position) = change {
                history.committed.push(position);
            }
            run(&journal, &change).unwrap();
            history.acknowledged.apply(&change);
        }
        let next = disk.after_kill();
        let journal = open(&next).unwrap();
        check(&journal, &history, "kill");
        history
    };
    let journal = open(&disk.after_crash(1)).unwrap();
    check(&journal, &history, "crash");
}

/// What a killed process left in caches is shown by the next one, which may act on it: so it must be
/// durable by then.
#[test]
fn what_recovery_shows_survives_the_next_power_failure() {
    for seed in 1..=20 {
        let disk = SimDisk::new(seed);
        let journal = open(&disk).unwrap();
        run(&journal, &Change::Append(vec![entry(1, 0, 500)])).unwrap();
        disk.ignore_syncs(true);
        run(&journal, &Change::Append(vec![entry(1, 1, 500)])).unwrap();
        let next = disk.after_kill();
        next.ignore_syncs(false);
        let shown = Content::of(&open(&next).unwrap());
        assert_eq!(shown.entries.len(), 2);
        let last = open(&next.after_crash(seed)).unwrap();
        assert_eq!(Content::of(&last), shown, "seed {seed}");
    }
}

/// Replay reads up to the committed pointer: it must never point beyond what is there.
#[test]
fn the_committed_pointer_reaches_the_disk_only_after_its_entry() {
    let disk = SimDisk::new(1);
    let journal = open(&disk).unwrap();
    let vote = |term| {
        Change::Vote(cairn_metadata::journal::Vote {
            term,
            leader: 3,
            committed: true,
        })
    };
    run(
        &journal,
        &Change::Append(vec![entry(1, 0, 10), entry(1, 1, 10)]),
    )
    .unwrap();
    journal.set_committed(entry(1, 3, 0).position).unwrap();
    run(&journal, &vote(2)).unwrap();
    assert_eq!(open(&disk.after_crash(1)).unwrap().state().committed, None);
    run(
        &journal,
        &Change::Append(vec![entry(1, 2, 10), entry(1, 3, 10)]),
    )
    .unwrap();
    let committed = open(&disk.after_crash(2)).unwrap().state().committed;
    assert_eq!(committed, Some(entry(1, 3, 0).position));
    // It is lazy, but a clean end writes it.
    run(&journal, &Change::Append(vec![entry(1, 4, 10)])).unwrap();
    journal.set_committed(entry(1, 4, 0).position).unwrap();
    journal.close().unwrap();
    let committed = open(&disk.after_crash(3)).unwrap().state().committed;
    assert_eq!(committed, Some(entry(1, 4, 0).position));
}

/// The same workload on a disk whose syncs do nothing: the crash test must be able to fail.
#[test]
fn a_disk_that_lies_about_syncs_is_caught() {
    let mut lost = 0;
    for seed in 1..=10 {
        let disk = SimDisk::new(seed);
        let journal = open(&disk).unwrap();
        disk.ignore_syncs(true);
        let mut content = Content::default();
        for index in 0..10 {
            let change = Change::Append(vec![entry(1, index, 2_000)]);
            run(&journal, &change).unwrap();
            content.apply(&change);
        }
        let boot = disk.after_crash(seed);
        boot.ignore_syncs(false);
        match open(&boot) {
            Ok(journal) if Content::of(&journal) == content => {}
            _ => lost += 1,
        }
    }
    assert!(lost > 0);
}
