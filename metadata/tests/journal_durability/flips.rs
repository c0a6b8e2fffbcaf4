//! Bit rot at rest: either the journal says so, or everything is there. Never a wrong or silently
//! missing entry.

use super::model::{Change, Content, Seen, Workload, entry, open, open_with, run, settings};
use cairn_metadata::journal::{JournalError, Vote};
use cairn_world::Disk;
use cairn_world::sim::SimDisk;

/// A short journal, cleanly closed.
fn closed(seed: u64, changes: usize) -> (SimDisk, Content) {
    let disk = SimDisk::new(seed);
    let journal = open(&disk).unwrap();
    let mut workload = Workload::new(seed);
    let mut content = Content::default();
    for _ in 0..changes {
        let change = workload.next();
        run(&journal, &change).unwrap();
        content.apply(&change);
    }
    journal.close().unwrap();
    (disk, content)
}

fn files(disk: &SimDisk) -> Vec<(String, u64)> {
    let names = disk.list("journal").unwrap();
    names
        .into_iter()
        .filter(|name| name != "lock")
        .map(|name| {
            let path = format!("journal/{name}");
            let file = disk
                .open(
                    &path,
                    cairn_world::OpenMode::Existing,
                    cairn_world::Access::Buffered,
                )
                .unwrap();
            let len = file.len().unwrap();
            (path, len)
        })
        .collect()
}

/// Opens a copy with one byte changed and judges it.
fn judge(disk: &SimDisk, content: &Content, file: &str, at: u64, bit: u8, refused: &Seen) {
    let copy = disk.after_kill();
    copy.flip(file, at, bit).unwrap();
    match open(&copy) {
        Ok(journal) => assert_eq!(
            &Content::of(&journal),
            content,
            "{file} byte {at} bit {bit}"
        ),
        Err(JournalError::Damaged { from, to, .. }) => {
            assert!(from < to, "an empty range says nothing");
            refused.one();
        }
        // A flip in an identity may make it another's.
        Err(JournalError::Foreign { .. }) => refused.one(),
        Err(other) => panic!("{file} byte {at}: {other}"),
    }
}

/// Every kind of record, in little, over two segments.
fn small() -> (SimDisk, Content) {
    let disk = SimDisk::new(4);
    let journal = open(&disk).unwrap();
    let vote = |term| {
        Change::Vote(Vote {
            term,
            leader: 3,
            committed: true,
        })
    };
    let history = [
        vote(1),
        Change::Append(vec![entry(1, 0, 60), entry(1, 1, 40)]),
        Change::Append(vec![entry(1, 2, 100), entry(1, 3, 0)]),
        Change::Truncate(Some(2)),
        vote(2),
        Change::Append(vec![entry(2, 3, 30)]),
        Change::Purge(entry(1, 0, 0).position),
        Change::Append(vec![entry(2, 4, 10)]),
    ];
    let mut content = Content::default();
    for change in history {
        run(&journal, &change).unwrap();
        content.apply(&change);
    }
    journal.set_committed(entry(2, 4, 0).position).unwrap();
    journal.close().unwrap();
    (disk, content)
}

#[test]
fn every_flipped_byte_of_a_closed_journal_is_noticed_or_harmless() {
    let (disk, content) = small();
    let refused = Seen::default();
    for (file, len) in files(&disk) {
        let bytes = disk.peek(&file, 0, len).unwrap();
        for at in 0..len {
            // What is written lies in a block's first half; of the zeros behind, a sample.
            let written = bytes[at as usize] != 0 || at % 4_096 < 600;
            if written || at % 211 == 0 {
                judge(&disk, &content, &file, at, (at % 8) as u8, &refused);
            }
        }
    }
    assert!(
        refused.count() > 500,
        "only {} flips were noticed",
        refused.count()
    );
}

#[test]
fn flips_in_longer_journals_are_noticed_or_harmless() {
    let refused = Seen::default();
    for seed in 20..23 {
        let (disk, content) = closed(seed, 60);
        for (file, len) in files(&disk) {
            for at in (seed..len).step_by(403) {
                judge(&disk, &content, &file, at, (at % 8) as u8, &refused);
            }
        }
    }
    assert!(
        refused.count() > 20,
        "only {} flips were noticed",
        refused.count()
    );
}

/// A whole block gone, as a misdirected write or a lost sector leaves it.
#[test]
fn every_block_overwritten_is_noticed_or_harmless() {
    let refused = Seen::default();
    for (seed, fill) in [(30, 0u8), (31, 0xff), (32, 0)] {
        let (disk, content) = closed(seed, 50);
        for (file, len) in files(&disk) {
            for block in 0..len / 4_096 {
                let copy = disk.after_kill();
                copy.poke(&file, block * 4_096, &[fill; 4_096]).unwrap();
                match open(&copy) {
                    Ok(journal) => assert_eq!(Content::of(&journal), content, "{file} {block}"),
                    Err(JournalError::Damaged { .. }) => refused.one(),
                    Err(other) => panic!("{file} block {block}: {other}"),
                }
            }
        }
    }
    assert!(refused.count() > 10);
}

/// A block swapped for another of the same journal: valid bytes in the wrong place.
#[test]
fn misdirected_blocks_are_noticed_or_harmless() {
    let (disk, content) = closed(33, 50);
    let all = files(&disk);
    for (from, len) in &all {
        for (to, _) in all.iter().filter(|(name, _)| name.contains("segment")) {
            for block in 0..len / 4_096 {
                let bytes = disk.peek(from, block * 4_096, 4_096).unwrap();
                for target in 0..4 {
                    let copy = disk.after_kill();
                    copy.poke(to, target * 4_096, &bytes).unwrap();
                    match open(&copy) {
                        Ok(journal) => assert_eq!(Content::of(&journal), content),
                        Err(JournalError::Damaged { .. }) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        }
    }
}

/// The seal is what protects the last acknowledged group once the journal rests.
#[test]
fn rot_in_the_last_group_of_a_closed_journal_is_damage_not_a_torn_tail() {
    let disk = SimDisk::new(40);
    let journal = open(&disk).unwrap();
    run(&journal, &Change::Append(vec![entry(1, 0, 100)])).unwrap();
    run(
        &journal,
        &Change::Vote(Vote {
            term: 9,
            leader: 3,
            committed: true,
        }),
    )
    .unwrap();
    let unsealed = disk.after_kill();
    journal.close().unwrap();
    // Groups: block 0 the state, block 1 the entry, block 2 the vote, block 3 the seal.
    let last = 2 * 4_096 + 90;
    disk.flip("journal/segment-000001", last, 0).unwrap();
    let error = open(&disk).unwrap_err();
    assert_eq!(
        error,
        JournalError::Damaged {
            file: "journal/segment-000001".to_owned(),
            from: 2 * 4_096,
            to: 3 * 4_096,
            reason: "an acknowledged group is bad (group 3)".to_owned(),
        }
    );
    // Without the seal the same flip looks like a torn write: that is what the seal is for.
    unsealed.flip("journal/segment-000001", last, 0).unwrap();
    assert_eq!(open(&unsealed).unwrap().state().vote, None);
}

#[test]
fn a_missing_segment_and_a_missing_identity_are_damage() {
    let (disk, _) = closed(41, 30);
    for name in disk.list("journal").unwrap() {
        if name == "lock" {
            continue;
        }
        let (copy, content) = closed(41, 30);
        copy.remove(&format!("journal/{name}")).unwrap();
        match open(&copy) {
            Ok(journal) => {
                assert!(name.starts_with("segment"), "{name}");
                assert_eq!(Content::of(&journal), content, "without {name}");
            }
            Err(JournalError::Damaged { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_journal_of_another_node_or_cluster_is_refused() {
    let (disk, _) = closed(42, 5);
    let mut node = settings();
    node.node_id += 1;
    let mut cluster = settings();
    cluster.cluster_id = [8; 16];
    for other in [node, cluster] {
        let error = open_with(&disk, other).unwrap_err();
        assert!(
            matches!(error, JournalError::Foreign { node: 3, .. }),
            "{error}"
        );
    }
    open(&disk).unwrap();
}
