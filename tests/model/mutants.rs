//! The model with one rule of the design taken away: each loss that a rule prevents is found.

use cairn_tests::explore::{Counterexample, explore};

use crate::bounds::Bounds;
use crate::rules::Rule;
use crate::without::Without;
use crate::world::World;

const MOST: usize = 3_000_000;

/// What everything is looked for in unless it needs more.
const USUAL: Bounds = Bounds {
    writers: [2, 1],
    reads: 1,
    ..Bounds::LEAST
};

/// The shortest way to the breach of a rule, where another is missing. That no rule is broken where none
/// is missing is shown by `sound`.
fn find(without: Without, wanted: Rule, bounds: Bounds) -> Counterexample {
    let mut world = World::new(Bounds {
        without: Some(without),
        wanted: Some(wanted),
        ..bounds
    });
    let explored = explore(&mut world, MOST);
    println!("{} states", explored.states);
    match explored.counterexample {
        Some(found) => {
            println!("{found}");
            assert_eq!(found.broken, wanted.to_string());
            found
        }
        None => panic!("{without:?} is not missed in {} states", explored.states),
    }
}

#[test]
fn without_the_session_gate_the_model_finds_a_reader_without_its_chunk() {
    find(Without::SessionGate, Rule::ReaderGone, USUAL);
}

#[test]
fn without_the_pin_gate_the_model_finds_a_slow_reader_without_its_chunk() {
    let bounds = Bounds { moves: 1, ..USUAL };
    find(Without::PinGate, Rule::ReaderGone, bounds);
}

#[test]
fn without_pinning_from_an_open_session_the_model_finds_a_slow_reader_without_its_chunk() {
    let bounds = Bounds { moves: 1, ..USUAL };
    find(Without::PinsFromOpenSessions, Rule::ReaderGone, bounds);
}

#[test]
fn without_pinning_before_leaving_the_model_finds_a_slow_reader_without_its_chunk() {
    let bounds = Bounds { moves: 1, ..USUAL };
    find(Without::PinningBeforeLeaving, Rule::ReaderGone, bounds);
}

#[test]
fn without_entering_a_session_first_the_model_finds_a_reader_without_its_chunk() {
    find(Without::EnteringFirst, Rule::ReaderGone, USUAL);
}

#[test]
fn without_adopting_live_writings_only_the_model_finds_a_live_row_without_its_shard() {
    find(Without::AdoptingLiveOnly, Rule::LiveGone, USUAL);
}

#[test]
fn without_adopting_live_writings_only_the_model_finds_a_state_machine_that_halts() {
    find(Without::AdoptingLiveOnly, Rule::Halted, USUAL);
}

#[test]
fn without_claiming_live_writings_only_the_model_finds_a_live_row_without_its_shard() {
    let bounds = Bounds {
        claims: true,
        ..USUAL
    };
    find(Without::ClaimingLiveOnly, Rule::LiveGone, bounds);
}

#[test]
fn without_refusing_suspects_the_model_finds_an_upload_that_does_not_heal() {
    let bounds = Bounds { rots: 1, ..USUAL };
    find(Without::RefusingSuspects, Rule::NotHealed, bounds);
}

#[test]
fn without_refusing_ended_sessions_the_model_finds_a_live_row_without_its_shard() {
    find(Without::RefusingEndedSessions, Rule::LiveGone, USUAL);
}

#[test]
fn without_refusing_ended_sessions_the_model_finds_a_commit_of_one() {
    find(Without::RefusingEndedSessions, Rule::EndedApplied, USUAL);
}

#[test]
fn without_asking_for_the_writers_own_stamp_the_model_finds_a_live_row_without_its_shard() {
    let bounds = Bounds {
        reuse: true,
        ..USUAL
    };
    find(Without::OwnStamps, Rule::LiveGone, bounds);
}

#[test]
fn without_keeping_outcomes_the_model_finds_a_request_done_twice() {
    find(Without::Outcomes, Rule::DoneTwice, USUAL);
}

#[test]
fn without_the_ban_on_retries_in_a_new_session_the_model_finds_a_request_done_twice() {
    find(Without::NoRetryInNewSession, Rule::DoneTwice, USUAL);
}

#[test]
fn without_waiting_for_an_orphans_session_the_model_finds_a_writing_live_and_condemned() {
    find(Without::OrphansOfEndedSessions, Rule::LiveCondemned, USUAL);
}

#[test]
fn without_asking_whether_an_orphan_is_known_the_model_finds_a_state_machine_that_halts() {
    find(Without::OrphansUnknown, Rule::Halted, USUAL);
}

#[test]
fn without_counting_each_reference_the_model_finds_a_key_without_its_chunk() {
    find(Without::CountingEachReference, Rule::Miscounted, USUAL);
}

#[test]
fn without_a_commit_before_the_answer_the_model_finds_an_acknowledged_put_undone() {
    find(Without::AnsweringAfterCommit, Rule::AnsweredUndone, USUAL);
}

#[test]
fn without_a_durable_shard_before_the_commit_the_model_finds_a_live_row_without_its_shard() {
    find(Without::DurableFirst, Rule::LiveGone, USUAL);
}

#[test]
fn without_committed_deletes_the_model_finds_a_reader_without_its_chunk() {
    find(Without::CommittedDeletes, Rule::ReaderGone, USUAL);
}

#[test]
fn without_named_deletes_the_model_finds_a_live_row_without_its_shard() {
    find(Without::NamedDeletes, Rule::LiveGone, USUAL);
}

#[test]
fn without_naming_the_incarnation_the_model_finds_a_late_delete_of_a_newer_writing() {
    let bounds = Bounds {
        leaders: 1,
        ..USUAL
    };
    find(Without::DeletesByIncarnation, Rule::LiveGone, bounds);
}

#[test]
fn without_the_expiry_of_sessions_the_model_finds_garbage_left() {
    find(Without::Expiry, Rule::Garbage, USUAL);
}

#[test]
fn without_looking_for_orphans_the_model_finds_garbage_left() {
    find(Without::LookingForOrphans, Rule::Garbage, USUAL);
}
