//! The power fails at every single disk operation of a mixed workload.
//!
//! After each crash: every acknowledged shard reads back exactly, no shard whose delete was
//! acknowledged is there, nothing wrong is ever given (the rig panics on wrong bytes), and the
//! store goes on working, through a second crash and with a lost index too.

use std::collections::BTreeMap;

use super::rig::*;
use cairn_rpc::ShardError;
use cairn_store::MemoryStore;
use cairn_world::sim::{SeededRng, SimDisk};

/// What the outside knows of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Acknowledged.
    Stored,
    /// Never answered, or answered with an error.
    Unsure,
    /// Its delete was acknowledged.
    Deleted,
    /// Stored; its delete was not answered well.
    Leaving,
}

type World = BTreeMap<Name, Known>;

/// Lengths on both sides of the small border (32 units) and of a run.
fn draw(rng: &mut SeededRng, counter: u64) -> Name {
    let chunk_len = *rng
        .pick(&[0, 50, 8_192, 60_000, 200_000, 400_000, 640_000])
        .unwrap();
    Name::new(counter, chunk_len)
}

fn put_two_at_once(rig: &Rig, world: &mut World, names: [Name; 2]) -> Result<(), ShardError> {
    for name in names {
        world.insert(name, Known::Unsure);
    }
    let [one, two] = names;
    let mut uploads = [
        (one, one.cells(), rig.begin(one)?),
        (two, two.cells(), rig.begin(two)?),
    ];
    let longest = one.cells().len().max(two.cells().len());
    for at in 0..longest {
        for (_name, cells, upload) in &mut uploads {
            let cell = cells.get(at..(at + 1).min(cells.len())).unwrap_or_default();
            now(upload.write(cell))?;
        }
    }
    for (name, _cells, upload) in uploads {
        now(upload.finish(name.trailer()))?;
        world.insert(name, Known::Stored);
    }
    Ok(())
}

fn delete(rig: &Rig, world: &mut World, name: Name) -> Result<(), ShardError> {
    let before = world.insert(name, Known::Leaving);
    if before != Some(Known::Stored) {
        world.insert(name, Known::Unsure);
    }
    rig.delete(name)?;
    world.insert(name, Known::Deleted);
    Ok(())
}

fn write_again(rig: &Rig, world: &mut World, name: Name) -> Result<(), ShardError> {
    let before = world.get(&name).copied();
    if before != Some(Known::Stored) {
        world.insert(name, Known::Unsure);
    }
    rig.put(name)?;
    world.insert(name, Known::Stored);
    Ok(())
}

/// Some work; ends early where the power does.
fn work(rig: &Rig, world: &mut World, rng: &mut SeededRng, rounds: u64) -> Result<(), ShardError> {
    for _ in 0..rounds {
        let counter = world.len() as u64;
        let pair = [draw(rng, counter), draw(rng, counter + 1)];
        put_two_at_once(rig, world, pair)?;
        // One upload is given up half way.
        let lost = draw(rng, 1_000 + counter);
        let mut upload = rig.begin(lost)?;
        let cells = lost.cells();
        now(upload.write(&cells[..cells.len() / 2]))?;
        drop(upload);
        let names: Vec<Name> = world.keys().copied().collect();
        for _ in 0..2 {
            let name = *rng.pick(&names).unwrap();
            if rng.chance(2, 3) {
                delete(rig, world, name)?;
            } else {
                write_again(rig, world, name)?;
            }
        }
        for _ in 0..rng.below(4) {
            rig.node.care_step(rig.disk)?;
        }
    }
    Ok(())
}

fn check(rig: &Rig, world: &mut World, what: &str) {
    for (name, known) in world.iter_mut() {
        let found = rig.get(*name);
        let fine = match known {
            Known::Stored => found == Found::Exact,
            Known::Deleted => found == Found::Missing,
            Known::Leaving => found != Found::Corrupt,
            Known::Unsure => true,
        };
        assert!(
            fine,
            "{what}: {name:?} known {known:?} found {found:?}, damage {:?}",
            rig.node.take_damage(rig.disk)
        );
        // What is there now stays there.
        *known = match found {
            Found::Exact => Known::Stored,
            Found::Missing => Known::Deleted,
            Found::Corrupt => Known::Unsure,
        };
    }
}

fn inventory(rig: &Rig) -> Vec<cairn_rpc::ShardFound> {
    rig.node.inventory(rig.disk, None, usize::MAX).unwrap()
}

/// A fresh disk, worked on until the power fails at `operation`; true where it did.
fn run(seed: u64, operation: u64, rounds: u64) -> bool {
    let sim = SimDisk::new(seed);
    sim.set_capacity(64 << 20);
    sim.crash_at(operation);
    let store = MemoryStore::new();
    let mut rng = SeededRng::new(seed);
    let mut world = World::new();
    let rig = match Rig::open(sim.clone(), store.clone()) {
        Ok(rig) => {
            let worked = work(&rig, &mut world, &mut rng, rounds);
            if sim.operations() < operation {
                worked.unwrap();
                return false;
            }
            Some(rig)
        }
        Err(_) => None,
    };
    let what = format!("seed {seed} operation {operation}");
    let mut fate = SeededRng::new(seed ^ (operation << 16));
    let kept = fate.below(store.unpersisted() + 1);
    drop(rig);
    let (sim, store) = (sim.after_crash(fate.next_u64()), store.crash_keeping(kept));
    let rig = Rig::open(sim, store).unwrap();
    check(&rig, &mut world, &what);

    // The same again without the index must come to the same.
    let before = inventory(&rig);
    let copy = Rig::open(rig.sim.after_crash(fate.next_u64()), MemoryStore::new()).unwrap();
    assert_eq!(inventory(&copy), before, "{what}: rebuilt index differs");
    drop(copy);

    // It goes on, and stands a second crash.
    work(&rig, &mut world, &mut rng, 1).unwrap();
    let kept = fate.below(rig.store.unpersisted() + 1);
    let rig = rig.crash(fate.next_u64(), kept);
    check(&rig, &mut world, &format!("{what}, second crash"));
    rig.care();
    let rig = rig.restart();
    check(&rig, &mut world, &format!("{what}, clean restart"));
    true
}

/// Every operation of a short workload, for several seeds.
#[test]
fn a_crash_at_every_operation_loses_and_resurrects_nothing() {
    let seeds = std::env::var("CAIRN_SEEDS").map_or(8, |text| text.parse().unwrap());
    for seed in 0..seeds {
        let mut operation = 1;
        while run(seed, operation, 8) {
            operation += 1;
        }
        assert!(operation > 60, "the workload is too short: {operation}");
        println!("seed {seed}: {operation} operations");
    }
}
