//! The service's answers, one test for each promise and each refusal.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::rig::*;
use crate::node::{PlacementNews, RowNews};
use cairn_model::{DiskId, Incarnation};
use cairn_rpc::{ShardError, ShardRead, ShardService};

const SMALL: u64 = 9_000;
const LARGE: u64 = 700_000;

#[test]
fn what_was_acknowledged_is_read_back() {
    let rig = Rig::new(1);
    let names = [0, 1, 63, 4_096, SMALL, 300_000, LARGE].map(|len| Name::new(len + 1, len));
    for name in names {
        let receipt = rig.put(name).unwrap();
        assert_eq!((receipt.disk, receipt.shard), (rig.disk, 1));
    }
    assert!(names.iter().all(|name| rig.get(*name) == Found::Exact));
    let rig = rig.restart();
    assert!(names.iter().all(|name| rig.get(*name) == Found::Exact));
}

#[test]
fn any_range_of_cells_is_given() {
    let rig = Rig::new(1);
    for name in [Name::new(1, SMALL), Name::new(2, LARGE)] {
        rig.put(name).unwrap();
        let cells = name.cells();
        for first in 0..cells.len() as u64 + 2 {
            for count in [0, 1, 2, 5, u32::MAX] {
                let read = ShardRead {
                    first_cell: first,
                    cells: count,
                    with_table: count == 2,
                    ..name.read(rig.disk)
                };
                let found = now(rig.node.read(read)).unwrap();
                let from = (first as usize).min(cells.len());
                let to = (first as usize)
                    .saturating_add(count as usize)
                    .min(cells.len());
                assert_eq!(found.cells, cells[from..to]);
                assert_eq!(found.cell_table.is_some(), count == 2);
            }
        }
    }
}

#[test]
fn nothing_counts_before_it_is_finished_and_room_comes_back() {
    let rig = Rig::new(1);
    let room = now(rig.node.space(rig.disk)).unwrap();
    let name = Name::new(1, LARGE);
    for _ in 0..200 {
        let mut upload = rig.begin(name).unwrap();
        now(upload.write(&name.cells()[..40])).unwrap();
        assert_eq!(rig.get(name), Found::Missing);
    }
    let (free, total) = now(rig.node.space(rig.disk)).unwrap();
    assert_eq!(total, 64 << 20);
    // One segment's header is all that is gone.
    assert_eq!(free, room.0 - 4_096);
    assert_eq!(rig.segments().len(), 1);
}

#[test]
fn a_delete_hits_its_writing_of_its_chunk_only() {
    let rig = Rig::new(1);
    let (gone, stays) = (Name::new(1, SMALL), Name::new(2, SMALL));
    rig.put(gone).unwrap();
    rig.put(stays).unwrap();
    let strange = cairn_rpc::ShardDelete {
        chunk: gone.chunk(),
        incarnation: stays.incarnation(),
    };
    now(rig.node.delete(rig.disk, 1, &[strange])).unwrap();
    assert_eq!(rig.get(stays), Found::Exact);
    rig.delete(gone).unwrap();
    rig.delete(gone).unwrap();
    assert_eq!(rig.get(gone), Found::Missing);
    let rig = rig.restart().lose_index();
    assert_eq!(
        (rig.get(gone), rig.get(stays)),
        (Found::Missing, Found::Exact)
    );
}

#[test]
fn a_delete_takes_every_shard_of_the_writing() {
    let rig = Rig::new(1);
    let shards = [0, 1].map(|shard| Name {
        shard,
        ..Name::new(1, SMALL)
    });
    shards.iter().for_each(|name| {
        rig.put(*name).unwrap();
    });
    rig.delete(shards[0]).unwrap();
    assert!(shards.iter().all(|name| rig.get(*name) == Found::Missing));
}

#[test]
fn the_same_shard_written_twice_counts_once() {
    let rig = Rig::new(1);
    let name = Name::new(1, SMALL);
    let (mut first, mut second) = (rig.begin(name).unwrap(), rig.begin(name).unwrap());
    now(first.write(&name.cells())).unwrap();
    now(second.write(&name.cells())).unwrap();
    now(first.finish(name.trailer())).unwrap();
    now(second.finish(name.trailer())).unwrap();
    assert_eq!(rig.node.inventory(rig.disk, None, 10).unwrap().len(), 1);
    assert_eq!(rig.get(name), Found::Exact);
    let rig = rig.restart().lose_index();
    assert_eq!(rig.get(name), Found::Exact);
    rig.delete(name).unwrap();
    let rig = rig.restart().lose_index();
    assert_eq!(rig.get(name), Found::Missing);
}

#[test]
fn written_again_after_a_delete_it_is_there_again() {
    let rig = Rig::new(1);
    let name = Name::new(1, SMALL);
    rig.put(name).unwrap();
    rig.delete(name).unwrap();
    rig.put(name).unwrap();
    assert_eq!(rig.get(name), Found::Exact);
    let rig = rig.restart().lose_index();
    assert_eq!(rig.get(name), Found::Exact);
}

#[test]
fn another_chunk_under_the_same_incarnation_is_corrupt() {
    let rig = Rig::new(1);
    let name = Name::new(1, SMALL);
    rig.put(name).unwrap();
    let read = ShardRead {
        chunk: Name::new(2, SMALL).chunk(),
        ..name.read(rig.disk)
    };
    assert!(matches!(
        now(rig.node.read(read)),
        Err(ShardError::Corrupt(_))
    ));
}

#[test]
fn another_nodes_disk_is_not_mine() {
    let rig = Rig::new(1);
    let name = Name::new(1, SMALL);
    let other = DiskId([1; 16]);
    assert_eq!(
        now(rig.node.prepare(name.header(other))).err(),
        Some(ShardError::NotMine)
    );
    assert_eq!(
        now(rig.node.read(name.read(other))).err(),
        Some(ShardError::NotMine)
    );
    assert_eq!(
        now(rig.node.delete(other, 1, &[name.delete()])),
        Err(ShardError::NotMine)
    );
    assert_eq!(now(rig.node.space(other)), Err(ShardError::NotMine));
}

#[test]
fn calls_are_judged_by_the_row_of_their_partition() {
    let rig = Rig::new(1);
    let name = Name::new(1, SMALL);
    rig.put(name).unwrap();
    let partition = name.incarnation().partition(4);
    let tell = |epoch, disk| {
        let row = RowNews {
            partition,
            epoch,
            disks: vec![disk],
        };
        let news = PlacementNews {
            generation: 1,
            bits: 4,
            rows: vec![row],
        };
        rig.node.learn_partitions(&news).unwrap();
    };
    tell(2, rig.disk);
    let stale = Some(ShardError::StaleEpoch { current: 2 });
    assert_eq!(now(rig.node.prepare(name.header(rig.disk))).err(), stale);
    assert_eq!(now(rig.node.read(name.read(rig.disk))).err(), stale);
    let read = ShardRead {
        epoch: 2,
        ..name.read(rig.disk)
    };
    let write = cairn_rpc::ShardHeader {
        epoch: 2,
        ..name.header(rig.disk)
    };
    assert!(now(rig.node.read(read)).is_ok());
    assert!(now(rig.node.prepare(write)).is_ok());
    assert_eq!(rig.node.wants_partitions(), None);
    // It moved away: what is here may be read, and nothing written.
    tell(3, DiskId([1; 16]));
    let (read, write) = (
        ShardRead { epoch: 3, ..read },
        cairn_rpc::ShardHeader { epoch: 3, ..write },
    );
    assert!(now(rig.node.read(read)).is_ok());
    let refused = now(rig.node.prepare(write)).err();
    assert!(matches!(refused, Some(ShardError::Refused(_))));
    // A caller that knows more is served, and the node asks.
    let newer = cairn_rpc::ShardHeader { epoch: 4, ..write };
    assert!(now(rig.node.prepare(newer)).is_ok());
    assert_eq!(rig.node.wants_partitions(), Some(4));
    // Deletes are committed: no epoch stops them.
    rig.delete(name).unwrap();
}

#[test]
fn writes_of_a_fenced_generation_are_refused_even_after_a_restart() {
    let rig = Rig::new(1);
    let name = Name::new(1, SMALL);
    rig.put(name).unwrap();
    now(rig.node.fence_generation(2)).unwrap();
    let refused = Some(ShardError::Refused("of a fenced generation"));
    assert_eq!(rig.begin(name).err(), refused);
    let rig = rig.crash(3, 0);
    assert_eq!(rig.begin(name).err(), refused);
    assert_eq!(rig.get(name), Found::Exact);
    let mut header = name.header(rig.disk);
    header.incarnation = Incarnation {
        generation: 2,
        ..header.incarnation
    };
    assert!(now(rig.node.prepare(header)).is_ok());
}

/// Restore: a deletion of the history that was given up may arrive late, or from a leader that goes on.
#[test]
fn deletes_of_a_fenced_generation_are_refused_even_after_a_restart() {
    let rig = Rig::new(1);
    let name = Name::new(1, SMALL);
    rig.put(name).unwrap();
    now(rig.node.fence_generation(2)).unwrap();
    let refused = Err(ShardError::Refused("of a fenced generation"));
    assert_eq!(rig.delete(name), refused);
    let rig = rig.crash(3, 0);
    assert_eq!(rig.delete(name), refused);
    assert_eq!(rig.get(name), Found::Exact);
    // The writing is older than the order for it: that is as it should be.
    now(rig.node.delete(rig.disk, 2, &[name.delete()])).unwrap();
    assert_eq!(rig.get(name), Found::Missing);
}

/// Restore: what is heard of a newer generation is fenced before it counts as heard.
#[test]
fn news_of_a_newer_generation_fence_the_older_ones_for_good() {
    let rig = Rig::new(1);
    let name = Name::new(1, SMALL);
    let fenced = |rig: &Rig| rig.node.report()[0].fenced;
    let news = |generation| PlacementNews {
        generation,
        bits: 1,
        rows: Vec::new(),
    };
    rig.put(name).unwrap();
    let open = now(rig.node.prepare(name.header(rig.disk))).unwrap();
    now(rig.node.take_news(&news(3))).unwrap();
    assert_eq!(fenced(&rig), 3);
    let refused = Some(ShardError::Refused("of a fenced generation"));
    assert_eq!(rig.begin(name).err(), refused);
    drop(open);
    // Old news lower nothing.
    now(rig.node.take_news(&news(2))).unwrap();
    let rig = rig.crash(3, 0);
    assert_eq!((fenced(&rig), rig.begin(name).err()), (3, refused));
    assert_eq!(rig.get(name), Found::Exact, "what was stored is served");
}

#[test]
fn an_upload_that_began_before_the_fence_gets_no_receipt() {
    let rig = Rig::new(1);
    let name = Name::new(1, SMALL);
    let mut upload = rig.begin(name).unwrap();
    now(upload.write(&name.cells())).unwrap();
    now(rig.node.fence_generation(2)).unwrap();
    let refused = Some(ShardError::Refused("of a fenced generation"));
    assert_eq!(now(upload.finish(name.trailer())).err(), refused);
}

#[test]
fn a_disk_that_cannot_note_the_fence_does_not_say_that_it_did() {
    let rig = Rig::new(1);
    let name = Name::new(1, SMALL);
    rig.sim.crash_at(1);
    assert!(now(rig.node.fence_generation(2)).is_err());
    assert_eq!(rig.node.report()[0].fenced, 0);
    let refused = Some(ShardError::Refused("of a fenced generation"));
    assert_eq!(rig.begin(name).err(), refused, "it refuses all the same");
}

#[test]
fn what_breaks_the_protocol_is_refused() {
    let rig = Rig::new(1);
    let name = Name::new(1, SMALL);
    let good = name.header(rig.disk);
    for bad in [
        cairn_rpc::ShardHeader { shard: 3, ..good },
        cairn_rpc::ShardHeader {
            chunk_len: (64 << 20) + 1,
            ..good
        },
        cairn_rpc::ShardHeader {
            chunk_len: 2 << 20,
            ..good
        },
    ] {
        assert!(matches!(
            now(rig.node.prepare(bad)),
            Err(ShardError::Refused(_))
        ));
    }
    let mut upload = rig.begin(name).unwrap();
    assert!(matches!(
        now(upload.write(&[vec![0; 7].into()])),
        Err(ShardError::Refused(_))
    ));
    assert!(matches!(
        now(upload.write(&name.cells())),
        Err(ShardError::Refused(_))
    ));
    assert!(matches!(
        now(upload.finish(name.trailer())),
        Err(ShardError::Refused(_))
    ));
    let upload = rig.begin(name).unwrap();
    assert!(matches!(
        now(upload.finish(name.trailer())),
        Err(ShardError::Refused(_))
    ));
    let mut upload = rig.begin(name).unwrap();
    now(upload.write(&name.cells())).unwrap();
    let mut lie = name.trailer();
    lie.cell_table = lie.cell_table.iter().map(|sum| sum ^ 1).collect();
    assert!(matches!(
        now(upload.finish(lie)),
        Err(ShardError::Refused(_))
    ));
    assert_eq!(rig.get(name), Found::Missing);
}

#[test]
fn open_uploads_are_bounded() {
    let rig = Rig::new(1);
    let open: Vec<_> = (0..crate::tuning::OPEN_UPLOADS as u64)
        .map(|counter| rig.begin(Name::new(counter, 10)).unwrap())
        .collect();
    assert!(matches!(
        rig.begin(Name::new(9_999, 10)),
        Err(ShardError::Unavailable(_))
    ));
    drop(open);
    assert!(rig.begin(Name::new(9_999, 10)).is_ok());
}

#[test]
fn the_inventory_comes_in_pages_and_in_order() {
    let rig = Rig::new(1);
    let names: Vec<Name> = (0..25).map(|counter| Name::new(counter, 100)).collect();
    names.iter().rev().for_each(|name| {
        rig.put(*name).unwrap();
    });
    rig.delete(names[3]).unwrap();
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = rig.node.inventory(rig.disk, after, 7).unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.incarnation, last.shard));
        found.extend(page.iter().map(|row| (row.incarnation, row.chunk)));
    }
    let expected: Vec<_> = names
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != 3)
        .map(|(_, name)| (name.incarnation(), name.chunk()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_closed_node_takes_nothing_more() {
    let rig = Rig::new(1);
    let name = Name::new(1, SMALL);
    let mut upload = rig.begin(name).unwrap();
    now(upload.write(&name.cells())).unwrap();
    rig.node.close().unwrap();
    assert!(matches!(
        now(upload.finish(name.trailer())),
        Err(ShardError::Unavailable(_))
    ));
    assert!(matches!(rig.begin(name), Err(ShardError::Unavailable(_))));
    assert!(matches!(rig.delete(name), Err(ShardError::Unavailable(_))));
}

/// Sets a flag when dropped, by a panic too.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A reader that looked a record up before compaction moved it away must not call it corrupt.
#[test]
fn a_record_that_moves_under_a_reader_is_followed() {
    let rig = Rig::new(1);
    let kept = Name::new(0, SMALL);
    rig.put(kept).unwrap();
    let stopped = AtomicBool::new(false);
    let reads = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let stop = Stop(&stopped);
        let readers = [(); 2].map(|()| {
            scope.spawn(|| {
                while !stopped.load(Ordering::SeqCst) {
                    assert_eq!(rig.get(kept), Found::Exact);
                    reads.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        for round in 0..60 {
            // The segment `kept` lies in becomes garbage but for it.
            let garbage = Name::new(round + 1, SMALL * 10);
            rig.put(garbage).unwrap();
            rig.put(kept).unwrap();
            rig.delete(garbage).unwrap();
            let before = (rig.place(kept), reads.load(Ordering::SeqCst));
            rig.volume().ledger().drain_all();
            rig.volume().step();
            rig.care();
            assert_ne!(rig.place(kept), before.0);
            while reads.load(Ordering::SeqCst) == before.1 && !readers[0].is_finished() {
                std::thread::yield_now();
            }
        }
        drop(stop);
    });
    assert!(rig.node.take_damage(rig.disk).unwrap().is_empty());
}
