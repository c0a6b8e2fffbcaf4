//! Group commit, driven a step at a time.

use std::sync::Arc;

use super::rig::*;
use crate::format::Shape;
use crate::format::writer::RecordWriter;
use crate::settings::{Drive, Settings};
use crate::volume::{Job, Purpose, Reservation, Volume};
use cairn_rpc::ShardError;
use cairn_store::MemoryStore;
use cairn_world::Entropy;
use cairn_world::sim::{Fault, FaultOn, SimDisk, SimEntropy};
use tokio::sync::oneshot::{self, error::TryRecvError};

type Outcome = oneshot::Receiver<Result<(), ShardError>>;

/// A volume that waits to be stepped.
fn volume(sim: &SimDisk) -> Arc<Volume> {
    let entropy: Arc<dyn Entropy> = Arc::new(SimEntropy::new(1));
    let settings = Settings {
        drive: Drive::Threads,
        ..Settings::inline(SEGMENT)
    };
    let store = Arc::new(MemoryStore::new());
    Volume::open(
        Arc::new(sim.clone()),
        store.as_ref(),
        CLUSTER,
        NODE,
        settings,
        entropy,
    )
    .unwrap()
}

fn finish(volume: &Arc<Volume>, name: Name) -> Outcome {
    let shape = Shape {
        incarnation: name.incarnation(),
        shard: name.shard,
        coding: name.coding(),
        chunk_len: name.chunk_len,
    };
    let reservation = Reservation::new(volume, Purpose::Client(shape.units().unwrap())).unwrap();
    let mut writer = RecordWriter::new(shape, reservation.salt, reservation.place.unit);
    for cell in name.cells() {
        for run in writer.push(&cell).unwrap() {
            reservation.write(&run).unwrap();
        }
    }
    let finished = Box::new(writer.finish(name.chunk(), name.table()).unwrap());
    let (ack, outcome) = oneshot::channel();
    volume
        .submit(Job::Finish {
            reservation,
            finished,
            ack,
        })
        .unwrap();
    outcome
}

fn delete(volume: &Arc<Volume>, name: Name) -> Outcome {
    let (ack, outcome) = oneshot::channel();
    volume
        .submit(Job::Delete {
            deletes: vec![name.delete()],
            ack,
        })
        .unwrap();
    outcome
}

fn is_there(volume: &Volume, name: Name) -> bool {
    volume.read(&name.read(volume.id())).is_ok()
}

#[test]
fn a_hundred_small_records_are_one_write_and_one_sync() {
    let sim = SimDisk::new(1);
    let volume = volume(&sim);
    drop(Reservation::new(&volume, Purpose::Client(1)).unwrap());
    let names: Vec<Name> = (0..60).map(|counter| Name::new(counter, 5_000)).collect();
    let mut outcomes: Vec<Outcome> = names.iter().map(|name| finish(&volume, *name)).collect();
    assert!(
        outcomes
            .iter_mut()
            .all(|outcome| outcome.try_recv() == Err(TryRecvError::Empty))
    );
    assert!(!is_there(&volume, names[0]));
    let before = sim.operations();
    assert_eq!(volume.step(), 60);
    assert_eq!(sim.operations() - before, 2);
    assert!(
        outcomes
            .iter_mut()
            .all(|outcome| outcome.try_recv() == Ok(Ok(())))
    );
    assert!(names.iter().all(|name| is_there(&volume, *name)));
    assert_eq!(volume.step(), 0);
}

#[test]
fn nobody_is_acknowledged_when_the_groups_sync_fails() {
    let sim = SimDisk::new(1);
    let volume = volume(&sim);
    let names = [Name::new(1, 5_000), Name::new(2, 5_000)];
    let mut outcomes = names.map(|name| finish(&volume, name));
    sim.inject(Fault::new(FaultOn::Sync));
    volume.step();
    for outcome in &mut outcomes {
        assert!(matches!(outcome.try_recv(), Ok(Err(ShardError::Failed(_)))));
    }
    assert!(!names.iter().any(|name| is_there(&volume, *name)));
    // Never again, although the fault was for once.
    let (ack, _outcome) = oneshot::channel();
    let job = Job::Delete {
        deletes: vec![],
        ack,
    };
    assert!(matches!(volume.submit(job), Err(ShardError::Failed(_))));
}

#[test]
fn jobs_of_one_group_keep_their_order() {
    let volume = volume(&SimDisk::new(1));
    let (a, b) = (Name::new(1, 5_000), Name::new(2, 5_000));
    // a: written, deleted. b: written, deleted, written again.
    let mut outcomes = [
        finish(&volume, a),
        finish(&volume, b),
        delete(&volume, a),
        delete(&volume, b),
        finish(&volume, b),
    ];
    assert_eq!(volume.step(), 5);
    assert!(
        outcomes
            .iter_mut()
            .all(|outcome| outcome.try_recv() == Ok(Ok(())))
    );
    assert_eq!((is_there(&volume, a), is_there(&volume, b)), (false, true));
}

#[test]
fn the_same_shard_twice_in_a_group_leaves_one_and_space_is_accounted() {
    let volume = volume(&SimDisk::new(1));
    let name = Name::new(1, 5_000);
    let _outcomes = [finish(&volume, name), finish(&volume, name)];
    volume.step();
    assert!(is_there(&volume, name));
    let live: u64 = volume
        .ledger()
        .segments
        .values()
        .map(|segment| segment.live)
        .sum();
    assert_eq!(live, 1);
}

#[test]
fn a_caller_that_stopped_waiting_harms_nobody() {
    let volume = volume(&SimDisk::new(1));
    let (gone, stays) = (Name::new(1, 5_000), Name::new(2, 5_000));
    drop(finish(&volume, gone));
    let mut outcome = finish(&volume, stays);
    volume.step();
    assert_eq!(outcome.try_recv(), Ok(Ok(())));
    assert!(is_there(&volume, gone));
}

/// A record that was written and then refused for want of room may be whole on disk: a delete
/// acknowledged later must shadow it, or a rebuilt index would bring it back.
#[test]
fn a_refused_record_is_shadowed_by_a_later_delete() {
    let sim = SimDisk::new(1);
    let volume = volume(&sim);
    let name = Name::new(1, 5_000);
    let shape = Shape {
        incarnation: name.incarnation(),
        shard: name.shard,
        coding: name.coding(),
        chunk_len: name.chunk_len,
    };
    // What a refused record leaves: its bytes on disk, a dead row in the index.
    let mut outcome = finish(&volume, name);
    volume.step();
    assert_eq!(outcome.try_recv(), Ok(Ok(())));
    let entry = volume
        .locate(shape.incarnation, shape.shard)
        .unwrap()
        .unwrap();
    let effects = volume.index.edit(|edit| edit.burn(&entry)).unwrap();
    volume.apply(effects);
    assert!(!is_there(&volume, name));
    let mut outcome = delete(&volume, name);
    volume.step();
    assert_eq!(outcome.try_recv(), Ok(Ok(())));
    drop(volume);
    let volume = self::volume(&sim);
    assert!(!is_there(&volume, name));
}
