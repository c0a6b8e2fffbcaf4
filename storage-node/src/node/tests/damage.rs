//! Rot: no flipped bit, moved cell or forged record ever becomes a wrong byte.

use super::rig::*;
use crate::background::Progress;
use crate::format::checksum::crc32c;
use crate::format::writer::RecordWriter;
use crate::format::{Salt, Shape};
use crate::tuning::{UNIT, UNIT_U64};

const SMALL: u64 = 9_000;
const LARGE: u64 = 400_000;

/// Offsets in every region of a record: all of header and trailer, some of each cell and checksum.
fn regions(rig: &Rig, name: Name) -> Vec<u64> {
    let entry = rig
        .volume()
        .locate(name.incarnation(), name.shard)
        .unwrap()
        .unwrap();
    let shape = entry.shape;
    let mut offsets: Vec<u64> = (0..68).collect();
    for cell in 0..shape.cells() {
        let (at, len) = (shape.cell_offset(cell), shape.cell_len(cell));
        offsets.extend([at, at + 1, at + len / 2, at + len - 1]);
        offsets.extend(at + len..at + len + 4);
    }
    offsets.extend(shape.trailer_offset()..shape.len());
    offsets
}

#[test]
fn a_flipped_bit_anywhere_in_a_record_is_found_and_never_read() {
    for name in [Name::new(1, SMALL), Name::new(2, LARGE)] {
        let rig = Rig::new(1);
        rig.put(name).unwrap();
        let (file, at, _len) = rig.place(name);
        for offset in regions(&rig, name) {
            let bit = (offset % 8) as u8;
            rig.sim.flip(&file, at + offset, bit).unwrap();
            // Asked for whole, with the table: every region is looked at.
            assert_eq!(rig.get(name), Found::Corrupt, "offset {offset}");
            assert_eq!(
                rig.node.verify_all(rig.disk).unwrap().damaged,
                1,
                "offset {offset}"
            );
            let damage = rig.node.take_damage(rig.disk).unwrap();
            assert_eq!(
                (damage.len(), damage[0].incarnation),
                (1, name.incarnation())
            );
            rig.sim.flip(&file, at + offset, bit).unwrap();
        }
        assert_eq!(rig.get(name), Found::Exact);
        assert_eq!(rig.node.verify_all(rig.disk).unwrap().damaged, 0);
    }
}

#[test]
fn a_flipped_bit_survives_no_recovery_either() {
    for name in [Name::new(1, SMALL), Name::new(2, LARGE)] {
        for offset in regions(&Rig::new(1).also_put(name), name) {
            if offset > 200 && offset % 7 != 0 {
                continue;
            }
            let rig = Rig::new(1).also_put(name);
            let (file, at, _len) = rig.place(name);
            rig.sim.flip(&file, at + offset, 3).unwrap();
            let rig = rig.lose_index();
            assert_ne!(rig.get(name), Found::Exact, "offset {offset}");
        }
    }
}

#[test]
fn damage_in_one_cell_leaves_the_others_readable() {
    let rig = Rig::new(1);
    let name = Name::new(1, LARGE);
    rig.put(name).unwrap();
    let (file, at, _len) = rig.place(name);
    let shape = rig
        .volume()
        .locate(name.incarnation(), 1)
        .unwrap()
        .unwrap()
        .shape;
    rig.sim
        .flip(&file, at + shape.cell_offset(5) + 9, 0)
        .unwrap();
    for cell in 0..shape.cells() {
        let read = cairn_rpc::ShardRead {
            first_cell: cell,
            cells: 1,
            ..name.read(rig.disk)
        };
        let found = now(cairn_rpc::ShardService::read(&rig.node, read));
        assert_eq!(found.is_ok(), cell != 5);
    }
}

#[test]
fn cells_in_each_others_place_are_corrupt() {
    let rig = Rig::new(1);
    let (one, two) = (Name::new(1, LARGE), Name::new(2, LARGE));
    rig.put(one).unwrap();
    rig.put(two).unwrap();
    let shape = rig
        .volume()
        .locate(one.incarnation(), 1)
        .unwrap()
        .unwrap()
        .shape;
    let stride = shape.cell_offset(1) - shape.cell_offset(0);
    let cell = |name: Name, number: u64| {
        let (file, at, _len) = rig.place(name);
        (file, at + shape.cell_offset(number))
    };
    let swap = |(file, from): (String, u64), (other, to): (String, u64)| {
        let a = rig.sim.peek(&file, from, stride).unwrap();
        let b = rig.sim.peek(&other, to, stride).unwrap();
        rig.sim.poke(&file, from, &b).unwrap();
        rig.sim.poke(&other, to, &a).unwrap();
    };
    // Permuted within a record, checksums and all.
    swap(cell(one, 2), cell(one, 3));
    assert_eq!(rig.get(one), Found::Corrupt);
    swap(cell(one, 2), cell(one, 3));
    assert_eq!(rig.get(one), Found::Exact);
    // Same number, another writing.
    swap(cell(one, 2), cell(two, 2));
    assert_eq!(
        (rig.get(one), rig.get(two)),
        (Found::Corrupt, Found::Corrupt)
    );
}

#[test]
fn a_whole_record_in_anothers_place_is_corrupt() {
    let rig = Rig::new(1);
    let (one, two) = (Name::new(1, SMALL), Name::new(2, SMALL));
    rig.put(one).unwrap();
    rig.put(two).unwrap();
    let ((file, from, len), (other, to, _)) = (rig.place(one), rig.place(two));
    let bytes = rig.sim.peek(&file, from, len).unwrap();
    rig.sim.poke(&other, to, &bytes).unwrap();
    assert_eq!((rig.get(one), rig.get(two)), (Found::Exact, Found::Corrupt));
    let rig = rig.lose_index();
    assert_eq!((rig.get(one), rig.get(two)), (Found::Exact, Found::Missing));
}

/// A perfect record for `unit`, but for the salt.
fn forged(unit: u32, salt: Salt) -> Vec<u8> {
    let name = Name::new(666, 0);
    let shape = Shape {
        incarnation: name.incarnation(),
        shard: 1,
        coding: name.coding(),
        chunk_len: 0,
    };
    let finished = RecordWriter::new(shape, salt, unit)
        .finish(name.chunk(), name.table())
        .unwrap();
    finished.seal(999)[0].bytes.as_slice()[..164].to_vec()
}

/// Stores an object full of forged records, damages its own header so that recovery looks at every
/// unit of it, and counts what recovery takes for records.
fn forgeries_believed(salt_of: impl Fn(&Rig) -> Salt) -> usize {
    let rig = Rig::new(1);
    let carrier = Name::new(9, LARGE);
    let mut upload = rig.begin(carrier).unwrap();
    let salt = salt_of(&rig);
    let mut cells: Vec<Vec<u8>> = carrier.cells().iter().map(|cell| cell.to_vec()).collect();
    let stride = 4_100;
    for (number, cell) in cells.iter_mut().enumerate() {
        let at = 68 + number * stride;
        let skip = at.next_multiple_of(UNIT) - at;
        // The carrier lies at unit 1, the first place of its segment.
        let forged = forged(1 + ((at + skip) / UNIT) as u32, salt);
        if let Some(room) = cell.get_mut(skip..skip + forged.len()) {
            room.copy_from_slice(&forged);
        }
    }
    let table: Vec<u32> = cells.iter().flat_map(|cell| [77, crc32c(cell)]).collect();
    let cells: Vec<bytes::Bytes> = cells.into_iter().map(Into::into).collect();
    now(upload.write(&cells)).unwrap();
    let trailer = cairn_rpc::ShardTrailer {
        cell_table: table.into(),
        ..carrier.trailer()
    };
    now(upload.finish(trailer)).unwrap();
    let (file, at, _len) = rig.place(carrier);
    assert_eq!(at, UNIT_U64);
    rig.sim.flip(&file, at + 3, 1).unwrap();
    let rig = rig.lose_index();
    rig.node.inventory(rig.disk, None, 10).unwrap().len()
}

#[test]
fn a_record_forged_inside_an_object_never_counts() {
    assert_eq!(forgeries_believed(|_rig| Salt([0; 16])), 0);
    // The salt alone keeps them out: whoever knew it would be believed.
    let known = forgeries_believed(|rig| {
        let ledger = rig.volume().ledger();
        ledger.segments.values().next_back().unwrap().salt
    });
    assert_eq!(known, 1);
}

#[test]
fn scrub_walks_everything_in_bounded_steps_and_reports_once() {
    let rig = Rig::new(1);
    let names: Vec<Name> = (0..40).map(|counter| Name::new(counter, LARGE)).collect();
    names.iter().for_each(|name| {
        rig.put(*name).unwrap();
    });
    let (file, at, len) = rig.place(names[17]);
    rig.sim.flip(&file, at + len / 2, 1).unwrap();
    let mut steps = 0;
    let counts = loop {
        let (progress, counts) = rig.node.scrub_step(rig.disk).unwrap();
        match progress {
            Progress::Worked(bytes) => assert!(bytes < 8 << 20),
            Progress::Idle => break counts,
            Progress::Stopped => panic!("stopped"),
        }
        steps += 1;
    };
    assert!(steps > 1);
    assert_eq!((counts.records, counts.damaged, counts.passes), (40, 1, 1));
    let damage = rig.node.take_damage(rig.disk).unwrap();
    assert_eq!(damage.len(), 1);
    assert_eq!(
        (damage[0].incarnation, damage[0].chunk),
        (names[17].incarnation(), names[17].chunk())
    );
    assert!(rig.node.take_damage(rig.disk).unwrap().is_empty());
}

#[test]
fn writing_a_damaged_shard_again_heals_it() {
    let rig = Rig::new(1);
    let name = Name::new(1, SMALL);
    rig.put(name).unwrap();
    let (file, at, _len) = rig.place(name);
    rig.sim.flip(&file, at + 100, 1).unwrap();
    assert_eq!(rig.get(name), Found::Corrupt);
    rig.put(name).unwrap();
    assert_eq!(rig.get(name), Found::Exact);
    let rig = rig.lose_index();
    assert_eq!(rig.get(name), Found::Exact);
}

/// The newer of two records is the damaged one: the older still counts after a rebuild.
#[test]
fn of_two_records_a_whole_one_counts() {
    let rig = Rig::new(1);
    let name = Name::new(1, SMALL);
    rig.put(name).unwrap();
    rig.put(name).unwrap();
    let (file, at, _len) = rig.place(name);
    rig.sim.flip(&file, at + 100, 1).unwrap();
    let rig = rig.lose_index();
    assert_eq!(rig.get(name), Found::Exact);
}

/// The index still calls the older one dead; brought back, it must not be punched.
#[test]
fn the_older_of_two_records_brought_back_keeps_its_bytes() {
    let rig = Rig::new(1);
    let name = Name::new(1, LARGE);
    rig.put(name).unwrap();
    let older = rig.place(name);
    rig.put(name).unwrap();
    let (file, at, _len) = rig.place(name);
    rig.sim.flip(&file, at + 100, 1).unwrap();
    let batches = rig.store.unpersisted();
    let rig = rig.crash(1, batches);
    assert_eq!(rig.place(name), older);
    rig.care();
    assert_eq!(rig.get(name), Found::Exact);
}
