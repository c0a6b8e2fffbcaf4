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
        assert!(
            explored.landmarks.contains(landmark),
            "never seen: {landmark}"
        );
    }
}

/// Two writers, a reader, the planner, a node, and a leader that is deposed.
const TOGETHER: Bounds = Bounds {
    reads: 1,
    leaders: 1,
    ..Bounds::LEAST
};

#[test]
fn two_writers_a_reader_and_a_change_of_the_leader() {
    sound(
        TOGETHER,
        &[
            "REFUSAL_SESSION_ENDED",
            "REFUSAL_TOO_SOON",
            "a late delete about to hit",
            "a node deleted",
            "a put during a deletion",
            "an orphan",
            "one writing kept, one condemned",
            "two references",
        ],
    );
}

#[test]
fn a_read_that_moves_to_a_newer_session_and_a_shard_that_rots() {
    let bounds = Bounds {
        moves: 1,
        rots: 1,
        ..TOGETHER
    };
    sound(bounds, &["a pin", "a suspect", "rot under a key"]);
}

#[test]
fn a_chunk_that_is_claimed_instead_of_uploaded() {
    let bounds = Bounds {
        claims: true,
        ..TOGETHER
    };
    sound(bounds, &["REFUSAL_NO_SUCH_CHUNK", "two references"]);
}

#[test]
fn a_writing_that_is_committed_again() {
    let bounds = Bounds {
        reuse: true,
        reads: 1,
        ..Bounds::LEAST
    };
    sound(bounds, &["REFUSAL_RETRY_UPLOAD"]);
}

#[test]
fn a_shard_that_arrives_after_its_writer_gave_it_up() {
    let bounds = Bounds {
        late_writes: 1,
        ..Bounds::LEAST
    };
    sound(bounds, &["an orphan"]);
}

#[test]
fn everything_that_can_be_late_within_two_sessions() {
    let bounds = Bounds {
        sessions: 2,
        strays: 1,
        late_writes: 1,
        ..TOGETHER
    };
    sound(bounds, &["a late delete about to hit", "an orphan"]);
}

#[test]
fn a_writer_of_two_requests_within_two_sessions() {
    let bounds = Bounds {
        sessions: 2,
        writers: [2, 1],
        ..TOGETHER
    };
    sound(bounds, &["two references"]);
}
