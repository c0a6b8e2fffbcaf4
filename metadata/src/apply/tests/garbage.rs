//! Condemned, Deleting, gone; adoption; orphans.

use cairn_model::{ChunkId, DomainId, Sha256};
use cairn_wire::metadata::{
    BeginDelete, Condemned, FinishDelete, JudgeOrphans, MarkSuspect, Orphan,
};

use super::*;
use crate::keyspace::chunk::{ChunkKey, ChunkRow, ChunkState};
use crate::keyspace::condemned::CondemnedKey;
use crate::planner;

/// Rounds of the planner, nodes always obeying, until there is nothing to do.
pub(crate) fn settle(state: &mut State) {
    for _ in 0..100 {
        let round = state.work();
        let mut commands = planner::garbage::plan(&round);
        if !round.deleting.is_empty() {
            commands.push(Command::FinishDelete(FinishDelete {
                items: round.deleting,
            }));
        }
        if commands.is_empty() {
            return;
        }
        for command in commands {
            state.done(command);
            mark::check(state);
        }
    }
    panic!("garbage work never ends");
}

fn chunk(state: &State, name: u8) -> Option<ChunkRow> {
    let id = ChunkId {
        domain: DomainId(1),
        sha256: Sha256([name; 32]),
    };
    state.row(&ChunkKey(id))
}

fn condemned(state: &State) -> Vec<Condemned> {
    state
        .rows_of::<CondemnedKey>()
        .into_iter()
        .map(|(key, _)| Condemned {
            epoch: key.epoch,
            domain: key.chunk.domain.0,
            sha256: key.chunk.sha256.0.to_vec().into(),
            incarnation: key.incarnation.to_bytes().to_vec().into(),
            disks: Vec::new(),
        })
        .collect()
}

#[test]
fn what_waits_is_counted() {
    use cairn_wire::metadata::WorkStatus;
    let waiting = |state: &State| query::waiting(state).unwrap();
    let mut state = State::with_bucket();
    assert_eq!(waiting(&state), WorkStatus::default());
    let (writer, reader) = (state.begin(), state.begin());
    let put = state.put(writer, "a", &[1]);
    state.done_in(writer, put);
    let open = |sessions| WorkStatus {
        sessions,
        ..WorkStatus::default()
    };
    assert_eq!(waiting(&state), open(2));
    state.done(delete("a"));
    let condemned_one = WorkStatus {
        condemned: 1,
        ..open(2)
    };
    assert_eq!(waiting(&state), condemned_one);
    state.done(end(writer));
    state.done(end(reader));
    let items = condemned(&state);
    state.done(Command::BeginDelete(BeginDelete { items }));
    assert_eq!(waiting(&state).deleting, 1);
    assert_eq!(waiting(&state).condemned, 0);
    settle(&mut state);
    assert_eq!(waiting(&state), WorkStatus::default());
}

/// **[bug]** Condemned -> Deleting before every session begun by then has ended.
#[test]
fn nothing_is_deleted_under_an_open_session() {
    let mut state = State::with_bucket();
    let (writer, reader) = (state.begin(), state.begin());
    let put = state.put(writer, "a", &[1]);
    state.done_in(writer, put);
    state.done(delete("a"));
    assert_eq!(chunk(&state, 1).unwrap().state(), ChunkState::Condemned);
    let items = condemned(&state);
    for session in [writer, reader] {
        let begin = Command::BeginDelete(BeginDelete {
            items: items.clone(),
        });
        assert_eq!(
            state.run(begin).refusal(),
            Refusal::TooSoon,
            "session {session} is open"
        );
        assert!(state.work().deletable.is_empty());
        let finish = Command::FinishDelete(FinishDelete {
            items: items.clone(),
        });
        assert_eq!(
            state.run(finish).refusal(),
            Refusal::Malformed,
            "not committed"
        );
        state.done(end(session));
    }
    let later = state.begin();
    settle(&mut state);
    assert_eq!(chunk(&state, 1), None);
    assert!(condemned(&state).is_empty());
    state.done(end(later));
}

#[test]
fn the_same_bytes_again_adopt_the_stored_writing() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let first = state.put(session, "a", &[1]);
    state.done_in(session, first);
    let kept = chunk(&state, 1).unwrap().incarnation;
    let second = state.put(session, "b", &[1]);
    state.done_in(session, second);
    let row = chunk(&state, 1).unwrap();
    assert_eq!((row.refs, &row.incarnation), (2, &kept));
    assert_eq!(condemned(&state).len(), 1, "the second writing goes");
    mark::check(&state);
    state.done(delete("a"));
    state.done(end(session));
    settle(&mut state);
    assert_eq!(
        chunk(&state, 1).unwrap().incarnation,
        kept,
        "b still needs it"
    );
}

/// **[bug]** adopting a writing that is not Live, or suspect.
#[test]
fn an_unfit_writing_is_replaced_not_adopted() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = state.put(session, "a", &[1]);
    state.done_in(session, put);
    let old = chunk(&state, 1).unwrap().incarnation;
    state.done(Command::MarkSuspect(MarkSuspect {
        domain: 1,
        sha256: vec![1; 32].into(),
        incarnation: old.clone(),
        reason: "scrub".into(),
    }));
    let heal = state.put(session, "b", &[1]);
    state.done_in(session, heal);
    let healed = chunk(&state, 1).unwrap();
    assert_ne!(healed.incarnation, old);
    assert_eq!((healed.refs, healed.suspect), (2, false));
    assert!(
        condemned(&state).iter().any(|item| item.incarnation == old),
        "the suspect writing goes"
    );
    mark::check(&state);
    state.done(delete("a"));
    state.done(delete("b"));
    assert_eq!(chunk(&state, 1).unwrap().state(), ChunkState::Condemned);
    let again = state.put(session, "c", &[1]);
    state.done_in(session, again);
    let fresh = chunk(&state, 1).unwrap();
    assert_ne!(
        fresh.incarnation, healed.incarnation,
        "a condemned writing is not revived"
    );
    mark::check(&state);
    state.done(end(session));
    settle(&mut state);
    assert_eq!(chunk(&state, 1).unwrap(), fresh);
}

#[test]
fn a_put_during_deletion_survives_it() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = state.put(session, "a", &[1]);
    state.done_in(session, put);
    state.done(delete("a"));
    state.done(end(session));
    let items = condemned(&state);
    state.done(Command::BeginDelete(BeginDelete {
        items: items.clone(),
    }));
    assert_eq!(chunk(&state, 1).unwrap().state(), ChunkState::Deleting);
    let session = state.begin();
    let again = state.put(session, "b", &[1]);
    state.done_in(session, again);
    state.done(Command::FinishDelete(FinishDelete { items }));
    assert_eq!(chunk(&state, 1).unwrap().refs, 1);
    mark::check(&state);
}

#[test]
fn an_orphan_is_one_that_no_row_knows_and_whose_session_has_ended() {
    let mut state = State::with_bucket();
    let (ended, open) = (state.begin(), state.begin());
    let put = state.put(open, "a", &[1]);
    state.done_in(open, put);
    let known = chunk(&state, 1).unwrap().incarnation;
    let [lost, young, never] = [
        state.stamp(ended),
        state.stamp(open),
        state.stamp(open + 50),
    ];
    // Known and of an ended session: only its row protects it.
    let put = state.put(ended, "b", &[3]);
    state.done_in(ended, put);
    let kept = chunk(&state, 3).unwrap().incarnation;
    state.done(end(ended));
    let orphan = |name: u8, incarnation: &Bytes| Orphan {
        domain: 1,
        sha256: vec![name; 32].into(),
        incarnation: incarnation.clone(),
        disks: Vec::new(),
    };
    let orphans = vec![
        orphan(1, &known),
        orphan(3, &kept),
        orphan(2, &lost),
        orphan(2, &young),
        orphan(2, &never),
    ];
    assert_eq!(
        state
            .done(Command::JudgeOrphans(JudgeOrphans { orphans }))
            .number,
        1
    );
    let items = condemned(&state);
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].incarnation, lost);
}

/// Found by the model of `tests/model`: the verdict took `Deleting` back, and with it the disks that
/// were to be told.
#[test]
fn a_second_verdict_takes_back_nothing() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let incarnation = state.stamp(session);
    state.done(end(session));
    let judge = |disk: u8| {
        Command::JudgeOrphans(JudgeOrphans {
            orphans: vec![Orphan {
                domain: 1,
                sha256: vec![2; 32].into(),
                incarnation: incarnation.clone(),
                disks: vec![vec![disk; 16].into()],
            }],
        })
    };
    state.done(judge(9));
    let items = condemned(&state);
    state.done(Command::BeginDelete(BeginDelete { items }));
    let (_, begun) = state.rows_of::<CondemnedKey>().remove(0);
    assert!(begun.deleting);
    for disk in [8, 9] {
        assert_eq!(state.done(judge(disk)).number, 1);
    }
    let rows = state.rows_of::<CondemnedKey>();
    let [(_, row)] = rows.as_slice() else {
        panic!("one writing, one row: {rows:?}");
    };
    assert_eq!((row.deleting, row.token), (true, begun.token));
    let disks = [8, 9].map(|disk| Bytes::from(vec![disk; 16]));
    assert_eq!(row.disks, disks);
    settle(&mut state);
    assert!(condemned(&state).is_empty());
}
