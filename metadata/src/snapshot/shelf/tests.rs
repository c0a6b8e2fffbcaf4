use super::*;
use crate::journal::LogPosition;
use cairn_store::{Batch, MemoryStore, OrderedStore};
use cairn_world::sim::{Fault, FaultOn, SimDisk};

fn shelf(disk: &SimDisk) -> Shelf {
    Shelf::open(Arc::new(disk.clone()), "snapshots", [4; 16]).unwrap()
}

fn meta(index: u64) -> SnapshotMeta {
    let position = Some(LogPosition {
        term: 1,
        leader: 2,
        index,
    });
    SnapshotMeta {
        position,
        membership: vec![5; 10],
        hash: [6; 32],
    }
}

/// `count` rows of the state machine, some long, and rows of the host that must not travel.
fn store(count: u32) -> MemoryStore {
    let store = MemoryStore::new();
    let mut batch = Batch::default();
    batch.put([0, b'a'], vec![1; 20]);
    for number in 0..count {
        let key = [&[1][..], &number.to_be_bytes()].concat();
        batch.put(key, vec![number as u8; (number as usize * 37) % 3_000]);
    }
    store.commit(&batch).unwrap();
    store
}

fn read(snapshot: &SnapshotHandle) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    snapshot
        .for_each(|key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            Ok(())
        })
        .unwrap();
    rows
}

#[test]
fn rows_come_back_and_the_host_s_stay() {
    for count in [0, 1, 700] {
        let disk = SimDisk::new(1);
        let shelf = shelf(&disk);
        let store = store(count);
        let snapshot = shelf.build(&meta(9), store.view().as_ref()).unwrap();
        let rows = read(&snapshot);
        assert_eq!(rows.len(), count as usize);
        assert!(rows.iter().all(|(key, _)| key[0] == 1));
        assert_eq!(snapshot.meta(), &meta(9));
        snapshot.verify().unwrap();
        // The next start finds it.
        let again = self::shelf(&disk.after_crash(3)).newest().unwrap();
        assert_eq!(read(&again), rows);
        assert_eq!(again.meta(), &meta(9));
    }
}

#[test]
fn every_flipped_byte_of_a_snapshot_is_noticed() {
    let disk = SimDisk::new(2);
    let snapshot = shelf(&disk)
        .build(&meta(1), store(12).view().as_ref())
        .unwrap();
    let name = snapshot.name().to_owned();
    for at in 0..snapshot.len() {
        let copy = disk.after_kill();
        copy.flip(&name, at, (at % 8) as u8).unwrap();
        let noticed = match shelf(&copy).newest() {
            None => true,
            Some(snapshot) => matches!(snapshot.verify(), Err(SnapshotError::Damaged { .. })),
        };
        assert!(noticed, "byte {at}");
    }
}

#[test]
fn a_snapshot_cut_or_grown_is_noticed() {
    let disk = SimDisk::new(3);
    let snapshot = shelf(&disk)
        .build(&meta(1), store(30).view().as_ref())
        .unwrap();
    let name = snapshot.name().to_owned();
    let len = snapshot.len();
    for new_len in (0..len).step_by(101).chain([len - 1, len + 1]) {
        let copy = disk.after_kill();
        let file = copy
            .open(&name, OpenMode::Existing, Access::Buffered)
            .unwrap();
        file.set_len(new_len).unwrap();
        let whole = shelf(&copy)
            .newest()
            .is_some_and(|snapshot| snapshot.verify().is_ok());
        assert!(!whole, "{new_len} of {len} bytes");
    }
}

#[test]
fn a_snapshot_travels_in_messages() {
    let (here, there) = (SimDisk::new(4), SimDisk::new(5));
    let snapshot = shelf(&here)
        .build(&meta(8), store(1_500).view().as_ref())
        .unwrap();
    assert!(
        snapshot.len() > 2 * limits::WIRE_PAYLOAD_MAX,
        "too short to say much"
    );
    let far = shelf(&there);
    let mut incoming = far.receive().unwrap();
    let mut at = 0;
    loop {
        let piece = snapshot.read(at).unwrap();
        assert!(piece.len() as u64 <= limits::WIRE_PAYLOAD_MAX);
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        incoming.write(&piece).unwrap();
    }
    let arrived = incoming.finish().unwrap();
    assert_eq!(read(&arrived), read(&snapshot));
    let adopted = far.adopt(&snapshot).unwrap();
    assert_eq!(read(&adopted), read(&snapshot));
    assert_eq!(
        there.list("snapshots").unwrap().len(),
        1,
        "one position, one snapshot"
    );
}

#[test]
fn what_arrives_damaged_or_short_is_refused_and_gone() {
    let (here, there) = (SimDisk::new(6), SimDisk::new(7));
    let snapshot = shelf(&here)
        .build(&meta(8), store(20).view().as_ref())
        .unwrap();
    let bytes = snapshot.read(0).unwrap();
    let far = shelf(&there);
    let mut damaged = bytes.to_vec();
    damaged[100] ^= 1;
    for wrong in [&damaged[..], &bytes[..bytes.len() - 1], &[]] {
        let mut incoming = far.receive().unwrap();
        incoming.write(wrong).unwrap();
        let error = incoming.finish().unwrap_err();
        assert!(matches!(error, SnapshotError::Damaged { .. }), "{error}");
    }
    assert!(there.list("snapshots").unwrap().is_empty());
    assert!(far.newest().is_none());
    let other = Shelf::open(Arc::new(there), "snapshots", [5; 16]).unwrap();
    let mut incoming = other.receive().unwrap();
    incoming.write(&bytes).unwrap();
    assert!(incoming.finish().is_err(), "another cluster's");
}

#[test]
fn the_newest_are_kept() {
    let disk = SimDisk::new(8);
    let shelf = shelf(&disk);
    for index in [5, 30, 7] {
        shelf.build(&meta(index), store(3).view().as_ref()).unwrap();
    }
    let indexes = |shelf: &Shelf| -> Vec<u64> {
        let snapshots = shelf.snapshots();
        snapshots
            .iter()
            .map(|snapshot| snapshot.meta().position.unwrap().index)
            .collect()
    };
    assert_eq!(indexes(&shelf), [30, 7, 5]);
    shelf.prune(2).unwrap();
    assert_eq!(indexes(&shelf), [30, 7]);
    assert_eq!(indexes(&self::shelf(&disk.after_crash(1))), [30, 7]);
    let newest = shelf.newest().unwrap();
    shelf.distrust(&newest);
    assert_eq!(indexes(&shelf), [7]);
}

/// Whenever the power fails, a published snapshot is whole and the one before it is still there.
#[test]
fn a_crash_at_any_operation_leaves_only_whole_snapshots() {
    let script = |disk: &SimDisk| -> Result<u64, SnapshotError> {
        let shelf = Shelf::open(Arc::new(disk.clone()), "snapshots", [4; 16])?;
        let mut published = 0;
        for index in 1..=3 {
            let built = shelf.build(&meta(index), store(50).view().as_ref());
            if built.is_err() {
                return Ok(published);
            }
            published = index;
            if shelf.prune(2).is_err() {
                return Ok(published);
            }
        }
        Ok(published)
    };
    let whole = SimDisk::new(9);
    script(&whole).unwrap();
    for operation in 1..=whole.operations() {
        let disk = SimDisk::new(9);
        disk.crash_at(operation);
        let published = script(&disk).unwrap_or(0);
        for survivor in 0..3 {
            let boot = disk.after_crash(survivor * 100 + operation);
            let shelf = shelf(&boot);
            let snapshots = shelf.snapshots();
            for snapshot in &snapshots {
                snapshot.verify().unwrap();
            }
            let newest = snapshots
                .first()
                .and_then(|snapshot| snapshot.meta().position);
            let newest = newest.map_or(0, |at| at.index);
            assert!(
                newest >= published,
                "operation {operation}: {newest} < {published}"
            );
        }
    }
}

#[test]
fn a_failing_disk_publishes_nothing() {
    for on in [FaultOn::Write, FaultOn::Sync, FaultOn::Read] {
        let disk = SimDisk::new(10);
        let shelf = shelf(&disk);
        disk.inject(Fault::new(on).named("incoming"));
        let error = shelf.build(&meta(1), store(5).view().as_ref()).unwrap_err();
        assert!(matches!(error, SnapshotError::Io { .. }), "{error}");
        assert!(shelf.newest().is_none());
        shelf.build(&meta(1), store(5).view().as_ref()).unwrap();
    }
}

/// What a start finds on the shelf, the log may be purged for: it must outlive a power cut.
fn what_is_found_stays(disk: &SimDisk, seed: u64) {
    let found = shelf(disk).newest().map(|found| found.meta().clone());
    let after = shelf(&disk.after_crash(seed)).newest();
    assert_eq!(
        after.map(|after| after.meta().clone()),
        found,
        "seed {seed}"
    );
}

#[test]
fn a_snapshot_whose_name_is_in_doubt_is_not_on_the_shelf() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let shelf = shelf(&disk);
        disk.inject(Fault::new(FaultOn::SyncDir).named("snapshots"));
        let error = shelf.build(&meta(1), store(5).view().as_ref()).unwrap_err();
        assert!(matches!(error, SnapshotError::Io { .. }), "{error}");
        assert!(shelf.newest().is_none());
        what_is_found_stays(&disk.after_kill(), seed);
    }
}

#[test]
fn a_snapshot_whose_name_was_never_synced_is_made_durable_by_the_start_that_finds_it() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let name = {
            let shelf = shelf(&disk);
            let built = shelf.build(&meta(1), store(5).view().as_ref()).unwrap();
            built.name().to_owned()
        };
        disk.rename(&name, &format!("{name}0")).unwrap();
        what_is_found_stays(&disk.after_kill(), seed);
    }
}

#[test]
fn a_row_too_long_for_a_frame_is_refused() {
    let store = MemoryStore::new();
    let mut batch = Batch::default();
    batch.put([1, 1], vec![0; 2 << 20]);
    store.commit(&batch).unwrap();
    let error = shelf(&SimDisk::new(11))
        .build(&meta(1), store.view().as_ref())
        .unwrap_err();
    assert!(matches!(error, SnapshotError::RowTooLong { .. }), "{error}");
}
