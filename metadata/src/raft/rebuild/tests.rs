use super::*;

fn at(term: u64, index: u64) -> LogPosition {
    LogPosition {
        term,
        leader: 1,
        index,
    }
}

fn progress(position: LogPosition) -> Progress {
    Progress {
        position: Some(position),
        hash: [1; 32],
    }
}

fn proof(applied: Option<LogPosition>) -> Result<Proof, String> {
    let applied = applied.map(progress).unwrap_or_default();
    Ok(Proof {
        applied,
        ..Proof::default()
    })
}

/// Term 2 from entry 3 on, the rest term 1; entries up to 9.
fn log(index: u64) -> Option<LogPosition> {
    (index <= 9).then(|| at(if index < 3 { 1 } else { 2 }, index))
}

fn journal(purged: Option<LogPosition>) -> JournalState {
    JournalState {
        purged,
        last: Some(at(2, 9)),
        ..JournalState::default()
    }
}

fn verdict(proof: &Result<Proof, String>, purged: Option<LogPosition>) -> Verdict {
    let first = purged.map_or(0, |purged| purged.index + 1);
    judge(proof, &journal(purged), |index| {
        log(index).filter(|at| at.index >= first)
    })
}

#[test]
fn a_store_on_the_log_is_kept() {
    assert_eq!(verdict(&proof(None), None), Verdict::Keep);
    for index in 0..=9 {
        assert_eq!(verdict(&proof(log(index)), None), Verdict::Keep);
    }
    assert_eq!(
        verdict(&proof(Some(at(2, 5))), Some(at(2, 5))),
        Verdict::Keep
    );
    assert_eq!(
        verdict(&proof(Some(at(2, 8))), Some(at(2, 5))),
        Verdict::Keep
    );
}

#[test]
fn a_store_below_the_log_is_rebuilt() {
    assert!(matches!(
        verdict(&proof(None), Some(at(1, 0))),
        Verdict::Rebuild(_)
    ));
    assert!(matches!(
        verdict(&proof(Some(at(2, 4))), Some(at(2, 5))),
        Verdict::Rebuild(_)
    ));
}

#[test]
fn a_store_without_proof_is_rebuilt() {
    assert_eq!(
        verdict(&Err("why".to_owned()), None),
        Verdict::Rebuild("why".to_owned())
    );
}

#[test]
fn a_store_beyond_or_beside_the_log_is_refused() {
    assert!(matches!(
        verdict(&proof(Some(at(2, 10))), None),
        Verdict::Refuse(_)
    ));
    assert!(matches!(
        verdict(&proof(Some(at(1, 5))), None),
        Verdict::Refuse(_)
    ));
    assert!(matches!(
        verdict(&proof(Some(at(1, 5))), Some(at(2, 5))),
        Verdict::Refuse(_)
    ));
    let empty = judge(&proof(Some(at(1, 0))), &JournalState::default(), |_| None);
    assert!(matches!(empty, Verdict::Refuse(_)));
}

/// A crash between the switch to an installed snapshot and the purge of the log.
#[test]
fn a_store_just_installed_may_be_beyond_the_log() {
    let applied = progress(at(3, 50));
    let proof = Ok(Proof {
        applied,
        installed: Some(applied),
        ..Proof::default()
    });
    assert_eq!(verdict(&proof, None), Verdict::Keep);
    // But once it has applied on, the log must have had it.
    let on = progress(at(3, 51));
    let proof = Ok(Proof {
        applied: on,
        installed: Some(applied),
        ..Proof::default()
    });
    assert!(matches!(verdict(&proof, None), Verdict::Refuse(_)));
}
