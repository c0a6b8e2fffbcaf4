use std::time::Duration;

use cairn_wire::metadata::entry::Command;

use super::*;
use crate::fakes::{DiskFault, Rig, Script, pattern};

const LENGTH: usize = 900_001;

async fn rig(data: u8, parity: u8) -> Rig {
    let rig = Rig::new(data, parity, data + parity).await;
    rig.put("key", Script::new(pattern(LENGTH))).await.unwrap();
    rig
}

async fn assert_reads(rig: &Rig, ranges: &[Range<usize>]) {
    for range in ranges {
        assert_read(rig, range.clone()).await;
    }
}

async fn assert_read(rig: &Rig, range: Range<usize>) {
    let asked = range.start as u64..range.end as u64;
    let (sent, outcome) = rig.read("key", asked).await;
    assert_eq!(outcome, Ok(()), "{range:?}");
    assert!(sent == pattern(LENGTH)[range.clone()], "{range:?}");
}

fn ranges() -> Vec<Range<usize>> {
    vec![
        0..LENGTH,
        0..1,
        LENGTH - 1..LENGTH,
        65_535..65_537,
        131_000..400_000,
        262_144..524_288,
    ]
}

/// Strikes the disk that holds a shard of the one chunk.
fn strike(rig: &Rig, shard: u8, fault: DiskFault) {
    let sealed = rig.disks.sealed();
    let (disk, ..) = sealed.keys().find(|(.., held)| *held == shard).unwrap();
    rig.disks.fault(disk.0[0] - 1, fault);
}

async fn suspects(rig: &Rig) -> Vec<wire::MarkSuspect> {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let marks = rig
        .metadata
        .log()
        .into_iter()
        .filter_map(|command| match command {
            Command::MarkSuspect(mark) => Some(mark),
            _ => None,
        });
    marks.collect()
}

#[tokio::test]
async fn every_range_comes_back_from_whole_shards() {
    for (data, parity) in [(1, 0), (1, 2), (2, 1), (4, 2)] {
        let rig = rig(data, parity).await;
        assert_reads(&rig, &ranges()).await;
        assert!(suspects(&rig).await.is_empty());
    }
}

#[tokio::test]
async fn a_small_range_reads_one_cell() {
    let rig = rig(4, 2).await;
    assert_read(&rig, 70_000..70_001).await;
    assert_eq!(rig.disks.reads().0, 1);
}

#[tokio::test]
async fn any_loss_of_m_shards_is_read_around_and_reported() {
    let faults = [
        DiskFault::Missing,
        DiskFault::Corrupt,
        DiskFault::FlipsBits,
        DiskFault::WrongTable,
    ];
    for fault in faults {
        for (one, two) in [(0, 1), (0, 5), (3, 4), (1, 3)] {
            let rig = rig(4, 2).await;
            strike(&rig, one, fault);
            strike(&rig, two, fault);
            assert_reads(&rig, &ranges()).await;
            assert_eq!(
                suspects(&rig).await.len(),
                1,
                "{fault:?} at {one} and {two}"
            );
        }
    }
}

#[tokio::test]
async fn more_than_m_lost_shards_give_an_error_and_never_a_wrong_byte() {
    let faults = [
        DiskFault::Missing,
        DiskFault::Corrupt,
        DiskFault::FlipsBits,
        DiskFault::WrongTable,
    ];
    for fault in faults {
        let rig = rig(2, 1).await;
        strike(&rig, 0, fault);
        strike(&rig, 1, fault);
        let (sent, outcome) = rig.read("key", 0..LENGTH as u64).await;
        assert_eq!(outcome, Err(ReadError::Lost), "{fault:?}");
        assert!(pattern(LENGTH).starts_with(&sent));
        assert_eq!(suspects(&rig).await.len(), 1);
    }
}

#[tokio::test]
async fn permuted_shards_are_never_taken_for_right() {
    // Each shard of the writing lies where another belongs, every record whole in itself.
    let rig = rig(2, 1).await;
    rig.disks.edit(|sealed| {
        let places: Vec<_> = sealed.keys().copied().collect();
        let mut rotated: Vec<_> = places.iter().map(|place| sealed[place].clone()).collect();
        rotated.rotate_left(1);
        for (place, shard) in places.into_iter().zip(rotated) {
            sealed.insert(place, shard);
        }
    });
    let (sent, outcome) = rig.read("key", 0..LENGTH as u64).await;
    assert_eq!((sent.len(), outcome), (0, Err(ReadError::Lost)));
}

#[tokio::test]
async fn two_swapped_shards_of_six_are_reconstructed() {
    let rig = rig(4, 2).await;
    rig.disks.edit(|sealed| {
        let places: Vec<_> = sealed
            .keys()
            .copied()
            .filter(|(_, _, shard)| *shard < 2)
            .collect();
        let (one, two) = (sealed[&places[0]].clone(), sealed[&places[1]].clone());
        sealed.insert(places[0], two);
        sealed.insert(places[1], one);
    });
    assert_reads(&rig, &ranges()).await;
    assert_eq!(suspects(&rig).await.len(), 1);
}

#[tokio::test]
async fn copies_are_read_from_any_good_one() {
    let rig = Rig::new(2, 2, 4).await;
    rig.put("key", Script::new(pattern(20_000))).await.unwrap();
    for (one, two) in [(0, 1), (1, 2), (0, 2)] {
        for fault in [
            DiskFault::FlipsBits,
            DiskFault::Missing,
            DiskFault::WrongTable,
        ] {
            rig.disks.heal();
            strike(&rig, one, fault);
            strike(&rig, two, fault);
            let (sent, outcome) = rig.read("key", 10..19_990).await;
            assert_eq!(outcome, Ok(()));
            assert!(sent == pattern(20_000)[10..19_990]);
        }
    }
}

#[tokio::test]
async fn a_slow_disk_is_hedged() {
    let rig = rig(2, 1).await;
    strike(&rig, 0, DiskFault::Hangs);
    let passing = rig.let_time_pass();
    let before = crate::fakes::rig::now(&rig);
    assert_read(&rig, 0..100).await;
    let took = crate::fakes::rig::now(&rig) - before;
    assert!(took < tuning::SHARD_READ_PATIENCE, "{took:?}");
    assert!(suspects(&rig).await.is_empty(), "slow is not damaged");
    passing.abort();
}

#[tokio::test]
async fn a_disk_that_was_quick_so_far_is_hedged_sooner() {
    let rig = rig(2, 1).await;
    for _ in 0..40 {
        assert_read(&rig, 0..100).await;
    }
    strike(&rig, 0, DiskFault::Hangs);
    let passing = rig.let_time_pass_by(Duration::from_millis(2));
    let took = async |range| {
        let before = crate::fakes::rig::now(&rig);
        assert_read(&rig, range).await;
        crate::fakes::rig::now(&rig) - before
    };
    let short = took(0..100).await;
    assert!(
        Duration::from_millis(20) <= short && short < Duration::from_millis(50),
        "{short:?}"
    );
    assert_eq!(rig.disks.reads().0, 40 + 3);
    passing.abort();
}

#[tokio::test]
async fn a_stale_view_is_refreshed() {
    let rig = rig(2, 1).await;
    strike(&rig, 0, DiskFault::Stale(1));
    strike(&rig, 2, DiskFault::Stale(1));
    assert_read(&rig, 0..LENGTH).await;
    assert!(suspects(&rig).await.is_empty());
}

#[tokio::test]
async fn a_chunk_written_anew_is_found_through_its_row() {
    let rig = rig(2, 1).await;
    let mut reader = rig.reader("key", 0..LENGTH as u64).await;
    let first = reader.next().await.unwrap().unwrap();
    // Written again under a new incarnation; the old shards are gone.
    rig.metadata.edit(|state| {
        state
            .chunks()
            .values_mut()
            .for_each(|chunk| chunk.suspect = true)
    });
    let old = rig.disks.sealed();
    rig.put("again", Script::new(pattern(LENGTH)))
        .await
        .unwrap();
    rig.disks
        .edit(|sealed| sealed.retain(|place, _| !old.contains_key(place)));
    let mut sent: Vec<u8> = first.concat();
    while let Some(pieces) = reader.next().await.unwrap() {
        sent.extend(pieces.concat());
    }
    assert!(sent == pattern(LENGTH));
}

#[tokio::test]
async fn a_moving_shard_is_found_on_either_disk() {
    let rig = Rig::new(2, 1, 6).await;
    rig.put("key", Script::new(pattern(LENGTH))).await.unwrap();
    // Every slot says it is moving here from a disk that never had it.
    rig.metadata.edit(|state| {
        let cluster = state.cluster();
        let disks: Vec<Bytes> = cluster.disks.iter().map(|disk| disk.disk.clone()).collect();
        for row in &mut cluster.partitions {
            row.next = row.current.clone();
            row.current = disks
                .iter()
                .filter(|disk| !row.next.contains(disk))
                .cloned()
                .collect();
        }
    });
    let stale = rig.path.views.get().await.unwrap();
    rig.path.views.newer_than(Some(&stale)).await.unwrap();
    assert_reads(&rig, &ranges()).await;
    assert!(suspects(&rig).await.is_empty());
}

mod debt;
