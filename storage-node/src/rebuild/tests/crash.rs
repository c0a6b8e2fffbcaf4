//! The power fails at every single disk operation of a rebuild.

use super::rig::*;
use cairn_rpc::Rebuilt;

const LEN: u64 = 300_000;

/// Afterwards the shard is there whole or not at all, an acknowledged one surely, and a rebuild
/// makes it good.
#[test]
fn a_crash_anywhere_leaves_the_shard_whole_or_lost_and_never_wrong() {
    let (mut cut, mut acknowledged) = (0, 0);
    for step in 1.. {
        for (seed, batches) in [(1, 0), (2, 1), (3, u64::MAX)] {
            let fleet = Fleet::new(coding(2, 1), LEN);
            fleet.target.put(&fleet.chunk, 0);
            fleet.target.put(&fleet.chunk, 1);
            fleet.target.spoil(&fleet.chunk, 0, 7);
            let sim = &fleet.target.sim;
            sim.crash_at(sim.operations() + step);
            let outcome = fleet.rebuild(fleet.order(0));
            match outcome {
                Ok(Rebuilt::Written) => acknowledged += 1,
                Ok(Rebuilt::Found) => panic!("it was bad"),
                Err(_) => cut += 1,
            }
            let kept = batches.min(fleet.target.store.unpersisted());
            let target = fleet.target.crash(seed * 1_000 + step, kept);
            assert!(target.has(&fleet.chunk, 1), "step {step}");
            let has = target.has(&fleet.chunk, 0);
            assert!(
                has || outcome.is_err(),
                "acknowledged and lost, step {step}"
            );
            let fleet = Fleet { target, ..fleet };
            let healed = fleet.rebuild(fleet.order(0)).unwrap();
            assert_eq!(healed == Rebuilt::Found, has, "step {step}");
            assert!(fleet.target.has(&fleet.chunk, 0));
            let target = fleet.target.crash(step, 0);
            assert!(target.has(&fleet.chunk, 0), "a second crash, step {step}");
        }
        if acknowledged >= 9 {
            break;
        }
    }
    assert!(cut > 10, "{cut}");
}
