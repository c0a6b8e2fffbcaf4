//! The product as it is: nothing is found, and nothing was left out.

use cairn_tests::explore::explore;

use crate::bounds::Bounds;
use crate::world::World;

const MOST: usize = 30_000_000;

fn sound(bounds: Bounds, landmarks: &[&str]) {
    let mut world = World::new(bounds);
    let explored = explore(&mut world, MOST);
    println!(
        "{} states, {} steps, depth {}; {:?} stores and entries, {} settled; {:?}",
        explored.states,
        explored.steps,
        explored.depth,
        world.replica.size(),
        world.settled.len(),
        explored.landmarks,
    );
    if let Some(found) = explored.counterexample {
        panic!("{found}");
    }
    assert!(explored.complete);
    for landmark in landmarks {
        assert!(explored.landmarks.contains(landmark), "never seen: {landmark}");
    }
}

#[test]
fn least() {
    sound(Bounds::LEAST, &[]);
}

#[test]
fn trial() {
    let number = |name: &str| {
        let text = std::env::var(name).unwrap_or_default();
        text.parse::<u8>().unwrap_or(0)
    };
    let bounds = Bounds {
        sessions: number("S"),
        writers: [number("R1"), number("R2")],
        claims: number("CL") > 0,
        reuse: number("RE") > 0,
        reads: number("RD"),
        moves: number("M"),
        strays: number("ST"),
        late_writes: number("LW"),
        leaders: number("L"),
        rots: number("RO"),
        wanted: (number("QUICK") > 0).then_some(crate::rules::Rule::LiveGone),
        ..Bounds::LEAST
    };
    println!("{bounds:?}");
    sound(bounds, &[]);
}
