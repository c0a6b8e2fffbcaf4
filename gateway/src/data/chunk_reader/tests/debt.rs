//! What a row says is owed is passed over, believed for no more than a hint, and no news.

use cairn_model::DiskId;

use super::*;

/// An object of one chunk that owes a shard: a disk could not seal it, which nobody remembers.
async fn owing(data: u8, parity: u8, length: usize, disk: u8) -> Rig {
    let rig = Rig::new(data, parity, data + parity).await;
    rig.disks.fault(disk, DiskFault::FailsFinish);
    rig.put("key", Script::new(pattern(length))).await.unwrap();
    rig.disks.heal();
    rig.clock.advance(tuning::DISK_DOWN);
    let owed = rig.metadata.edit(|state| {
        let rows = state.chunks().values();
        rows.map(|row| row.debt.len()).collect::<Vec<_>>()
    });
    assert_eq!(owed, [1]);
    rig
}

/// Says that shards of the one chunk are owed, whatever is there; `found` on another disk or nowhere.
fn say_owed(rig: &Rig, shards: &[u8], found: Option<DiskId>) {
    let found = found.map_or_else(Bytes::new, |disk| Bytes::copy_from_slice(&disk.0));
    let debt = |shard: &u8| wire::Debt {
        shard: u32::from(*shard),
        disk: Bytes::copy_from_slice(&disk_of(rig, *shard).0),
        found: found.clone(),
    };
    let debt: Vec<wire::Debt> = shards.iter().map(debt).collect();
    rig.metadata.edit(|state| {
        let rows = state.chunks().values_mut();
        rows.for_each(|row| row.debt = debt.clone());
    });
}

fn disk_of(rig: &Rig, shard: u8) -> DiskId {
    let sealed = rig.disks.sealed();
    let (disk, ..) = sealed.keys().find(|(.., held)| *held == shard).unwrap();
    *disk
}

fn reads_of(rig: &Rig, shard: u8) -> usize {
    rig.disks.reads_of(disk_of(rig, shard).0[0] - 1)
}

#[tokio::test]
async fn a_shard_in_debt_is_not_asked_and_its_chunk_not_suspect() {
    for (data, parity) in [(2, 2), (4, 2), (4, 3)] {
        for at in 0..data + parity {
            let rig = owing(data, parity, LENGTH, at).await;
            assert_reads(&rig, &ranges()).await;
            assert_eq!(suspects(&rig).await, [], "{data}+{parity}, disk {at}");
            assert_eq!(rig.disks.reads_of(at), 0, "{data}+{parity}, disk {at}");
        }
    }
}

#[tokio::test]
async fn a_copy_in_debt_is_not_the_one_that_is_read() {
    for at in 0..3 {
        let rig = owing(1, 2, 20_000, at).await;
        for _ in 0..3 {
            let (sent, outcome) = rig.read("key", 10..19_990).await;
            assert_eq!(outcome, Ok(()));
            assert!(sent == pattern(20_000)[10..19_990]);
        }
        assert_eq!(suspects(&rig).await, [], "disk {at}");
        assert_eq!(rig.disks.reads().0, 3, "one copy a read");
    }
}

#[tokio::test]
async fn debt_that_was_paid_meanwhile_is_a_stale_hint() {
    let rig = rig(4, 2).await;
    say_owed(&rig, &[1], None);
    assert_reads(&rig, &ranges()).await;
    assert_eq!(reads_of(&rig, 1), 0, "others are enough");
    // Two of the others are lost: now it is needed, and it is there.
    strike(&rig, 0, DiskFault::Missing);
    strike(&rig, 5, DiskFault::Corrupt);
    assert_reads(&rig, &ranges()).await;
    assert!(reads_of(&rig, 1) > 0);
    let suspects = suspects(&rig).await;
    assert_eq!(suspects.len(), 1);
    assert!(!suspects[0].reason.contains("shard 1"), "{suspects:?}");
}

#[tokio::test]
async fn a_shard_in_debt_is_asked_when_the_others_do_not_answer() {
    let rig = rig(4, 2).await;
    say_owed(&rig, &[1], None);
    strike(&rig, 0, DiskFault::Hangs);
    strike(&rig, 5, DiskFault::Hangs);
    let passing = rig.let_time_pass();
    let before = crate::fakes::rig::now(&rig);
    assert_read(&rig, 0..100).await;
    let took = crate::fakes::rig::now(&rig) - before;
    assert!(took < tuning::SHARD_READ_PATIENCE, "{took:?}");
    assert_eq!(suspects(&rig).await, []);
    passing.abort();
}

#[tokio::test]
async fn where_most_shards_are_said_to_be_owed_all_are_asked() {
    for (data, parity) in [(1, 2), (2, 2)] {
        let rig = rig(data, parity).await;
        let all: Vec<u8> = (0..data + parity).collect();
        say_owed(&rig, &all, None);
        assert_reads(&rig, &ranges()).await;
        assert_eq!(suspects(&rig).await, []);
    }
}

#[tokio::test]
async fn a_shard_found_where_readers_look_is_read_there() {
    let rig = rig(4, 2).await;
    let disk = disk_of(&rig, 1);
    say_owed(&rig, &[1], Some(disk));
    assert_read(&rig, 0..LENGTH).await;
    assert!(reads_of(&rig, 1) > 0);
    assert_eq!(reads_of(&rig, 4), 0, "no parity was needed");
    // Where it is said to be, and is not: that is news.
    strike(&rig, 1, DiskFault::Missing);
    assert_read(&rig, 0..LENGTH).await;
    assert_eq!(suspects(&rig).await.len(), 1);
}

#[tokio::test]
async fn nodes_that_are_away_and_a_known_debt_are_no_evidence_of_damage() {
    for at in 0..4 {
        let rig = owing(2, 2, LENGTH, at).await;
        let present = rig.disks.sealed();
        let mut disks = present.keys().map(|(disk, ..)| disk.0[0] - 1);
        rig.disks.fault(disks.next().unwrap(), DiskFault::Away);
        rig.disks.fault(disks.next().unwrap(), DiskFault::Away);
        let (sent, outcome) = rig.read("key", 0..LENGTH as u64).await;
        assert_eq!((sent.len(), outcome), (0, Err(ReadError::Lost)));
        assert_eq!(suspects(&rig).await, [], "disk {at}");
        // A shard that should be there and is not is evidence still.
        rig.disks.fault(disks.next().unwrap(), DiskFault::Missing);
        let (_, outcome) = rig.read("key", 0..LENGTH as u64).await;
        assert_eq!(outcome, Err(ReadError::Lost));
        assert_eq!(suspects(&rig).await.len(), 1, "disk {at}");
    }
}

#[test]
fn a_row_with_debt_that_makes_no_sense_is_read_all_the_same() {
    let row = wire::Chunk {
        sha256: Bytes::from_static(&[1; 32]),
        incarnation: Bytes::from_static(&[2; 16]),
        coding: Some(Coding::new(2, 1).unwrap().into()),
        length: 100,
        table_digest: Bytes::from_static(&[3; 16]),
        debt: [0_u32, 2, 7, 255, 256, u32::MAX]
            .map(|shard| wire::Debt {
                shard,
                found: Bytes::from_static(b"no disk"),
                ..Default::default()
            })
            .to_vec(),
        ..Default::default()
    };
    let read = ChunkRow::read(&row).unwrap();
    let shards: Vec<u8> = read.debt.iter().map(|debt| debt.shard).collect();
    assert_eq!(shards, [0, 2]);
    assert!(read.debt.iter().all(|debt| debt.found.is_none()));
}
