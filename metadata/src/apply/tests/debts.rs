//! How debt is paid and suspicion lifted: by comparing first.

use cairn_wire::metadata::{
    ChunkPage, ClearSuspect, Debt, GetChunkRows, GetDebt, MarkSuspect, SettleDebt,
};

use super::moves::{begin_move, chunk, commit, disk, partition_of, pay, row, upload, wide};
use super::*;

fn settle(state: &State, name: u8) -> SettleDebt {
    match pay(state, name) {
        Command::SettleDebt(settle) => settle,
        other => panic!("{other:?}"),
    }
}

fn suspect(state: &mut State, name: u8) {
    let row = chunk(state, name);
    state.done(Command::MarkSuspect(MarkSuspect {
        domain: 1,
        sha256: vec![name; 32].into(),
        incarnation: row.incarnation,
        reason: "scrub".into(),
    }));
    mark::check(state);
}

fn clear(state: &State, name: u8) -> ClearSuspect {
    let seen = chunk(state, name);
    ClearSuspect {
        domain: 1,
        sha256: vec![name; 32].into(),
        epoch: row(state, partition_of(&seen.incarnation)).epoch,
        incarnation: seen.incarnation,
        suspicions: seen.suspicions,
    }
}

fn page(state: &State, asked: Asked) -> ChunkPage {
    let query = Query { query: Some(asked) };
    match query::answer(state, query).unwrap().answer {
        Some(Kind::ChunkPage(page)) => page,
        other => panic!("{other:?}"),
    }
}

fn names(page: &ChunkPage) -> Vec<u8> {
    page.chunks.iter().map(|chunk| chunk.sha256[0]).collect()
}

/// One chunk, without shard 3.
fn owing() -> (State, u64) {
    let mut state = wide();
    let session = state.begin();
    let extent = upload(&mut state, session, (0, 1), 1, &[3]);
    assert_eq!(commit(&mut state, session, extent).refusal(), Refusal::None);
    (state, session)
}

/// **[bug]** debt settled for a writing that is no longer the chunk's.
#[test]
fn debt_is_paid_for_the_writing_that_owes_it() {
    let (mut state, session) = owing();
    let waiting = query::waiting(&state).unwrap();
    assert!(waiting.owed > 0, "{waiting:?}");
    let old = settle(&state, 1);
    suspect(&mut state, 1);
    let again = upload(&mut state, session, (0, 1), 1, &[3]);
    assert_eq!(commit(&mut state, session, again).refusal(), Refusal::None);
    let late = state.run(Command::SettleDebt(old));
    assert_eq!(late.refusal(), Refusal::RowChanged);
    assert_eq!(
        chunk(&state, 1).debt.len(),
        1,
        "the new writing lacks its shard"
    );
    state.done(pay(&state, 1));
    assert!(chunk(&state, 1).debt.is_empty());
    mark::check(&state);
}

#[test]
fn debt_is_paid_as_it_is_owed_and_by_the_row_there_is() {
    let (mut state, _) = owing();
    let good = settle(&state, 1);
    let wrong = |change: fn(&mut SettleDebt)| {
        let mut command = good.clone();
        change(&mut command);
        Command::SettleDebt(command)
    };
    let refusals = [
        (wrong(|c| c.paid.clear()), Refusal::Malformed),
        (wrong(|c| c.incarnation = Bytes::new()), Refusal::Malformed),
        (wrong(|c| c.paid[0].shard = 2), Refusal::RowChanged),
        (wrong(|c| c.paid[0].disk = disk(5)), Refusal::RowChanged),
        (
            wrong(|c| c.paid.push(c.paid[0].clone())),
            Refusal::RowChanged,
        ),
        (wrong(|c| c.domain = 2), Refusal::RowChanged),
        (wrong(|c| c.epoch = 2), Refusal::StaleEpoch),
    ];
    for (command, refusal) in refusals {
        assert_eq!(state.run(command.clone()).refusal(), refusal, "{command:?}");
    }
    state.done(begin_move(&state, 0, 3, 5));
    let late = state.run(Command::SettleDebt(good));
    assert_eq!(
        late.refusal(),
        Refusal::StaleEpoch,
        "it was made on the old disk"
    );
    state.done(delete("1"));
    mark::check(&state);
    let dead = pay(&state, 1);
    assert_eq!(
        state.run(dead).refusal(),
        Refusal::RowChanged,
        "nothing needs it"
    );
}

#[test]
fn an_upload_owes_shards_it_has_and_each_once() {
    let mut state = wide();
    let session = state.begin();
    for missing in [&[3, 3][..], &[4], &[2, 3]] {
        let extent = upload(&mut state, session, (0, 1), 1, missing);
        let refused = commit(&mut state, session, extent);
        assert_eq!(refused.refusal(), Refusal::Malformed, "{missing:?}");
    }
    let mut wider = upload(&mut state, session, (0, 1), 1, &[]);
    wider.coding.as_mut().unwrap().data = 3;
    assert_eq!(
        commit(&mut state, session, wider).refusal(),
        Refusal::Malformed
    );
}

#[test]
fn suspicion_is_lifted_as_it_was_seen() {
    let (mut state, _) = owing();
    assert_eq!(
        state.run(Command::ClearSuspect(clear(&state, 1))).refusal(),
        Refusal::RowChanged,
        "it is not suspect"
    );
    suspect(&mut state, 1);
    let owing = clear(&state, 1);
    assert_eq!(
        state.run(Command::ClearSuspect(owing)).refusal(),
        Refusal::InDebt
    );
    state.done(pay(&state, 1));
    let seen = clear(&state, 1);
    suspect(&mut state, 1);
    let late = state.run(Command::ClearSuspect(seen));
    assert_eq!(
        late.refusal(),
        Refusal::RowChanged,
        "it was marked once more"
    );
    let stale = ClearSuspect {
        epoch: 2,
        ..clear(&state, 1)
    };
    assert_eq!(
        state.run(Command::ClearSuspect(stale)).refusal(),
        Refusal::StaleEpoch
    );
    state.done(Command::ClearSuspect(clear(&state, 1)));
    assert!(!chunk(&state, 1).suspect);
    mark::check(&state);
}

#[test]
fn the_most_endangered_are_told_first_and_pages_follow_each_other() {
    let mut state = wide();
    let session = state.begin();
    for (name, missing) in [
        (1, vec![]),
        (2, vec![1]),
        (3, vec![]),
        (4, vec![2]),
        (5, vec![]),
    ] {
        let extent = upload(&mut state, session, (0, name), 1, &missing);
        assert_eq!(commit(&mut state, session, extent).refusal(), Refusal::None);
    }
    suspect(&mut state, 4);
    suspect(&mut state, 5);
    let owed = |limit, after| page(&state, Asked::GetDebt(GetDebt { limit, after }));
    assert_eq!(names(&owed(10, Bytes::new())), [4, 2, 5]);
    let first = owed(2, Bytes::new());
    assert_eq!(names(&first), [4, 2]);
    let second = owed(2, first.next);
    assert_eq!((names(&second), second.next.is_empty()), (vec![5], true));
    let strange = Asked::GetDebt(GetDebt {
        limit: 1,
        after: Bytes::from_static(b"x"),
    });
    assert!(
        query::answer(
            &state,
            Query {
                query: Some(strange)
            }
        )
        .is_err()
    );
}

#[test]
fn chunk_rows_are_told_by_partition_page_by_page() {
    let mut state = wide();
    let session = state.begin();
    for name in 1..=12 {
        let partition = u32::from(name) % 3;
        let extent = upload(&mut state, session, (partition, name), 1, &[]);
        assert_eq!(commit(&mut state, session, extent).refusal(), Refusal::None);
    }
    state.done(delete("3"));
    let rows = |partitions: &[u32], limit, after| {
        let partitions = partitions.to_vec();
        let asked = GetChunkRows {
            limit,
            after,
            partitions,
        };
        page(&state, Asked::GetChunkRows(asked))
    };
    assert_eq!(names(&rows(&[], 100, Bytes::new())).len(), 12);
    assert_eq!(
        names(&rows(&[0, 3], 100, Bytes::new())),
        [3, 6, 9, 12],
        "a condemned one may still be read"
    );
    let (mut after, mut found) = (Bytes::new(), vec![]);
    loop {
        let page = rows(&[1, 2], 3, after);
        found.extend(names(&page));
        if page.next.is_empty() {
            break;
        }
        after = page.next;
    }
    assert_eq!(found, [1, 2, 4, 5, 7, 8, 10, 11]);
}

#[test]
fn an_adopted_writing_keeps_what_it_owes() {
    let (mut state, session) = owing();
    let whole = upload(&mut state, session, (0, 1), 1, &[]);
    assert_eq!(commit(&mut state, session, whole).refusal(), Refusal::None);
    let owed = Debt {
        shard: 3,
        disk: disk(4),
        found: Bytes::new(),
    };
    assert_eq!(chunk(&state, 1).debt, [owed]);
}
