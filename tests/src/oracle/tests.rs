//! The oracle can fail: each kind of broken promise is shown to it once.

use super::*;
use crate::content::Piece;

fn content(seed: u64) -> Content {
    Content::Whole(Piece { seed, length: 100 })
}

fn present(content: &Content) -> Observation {
    Observation::Present {
        bytes: content.bytes(),
        etag: content.etag(),
    }
}

fn with(answers: &[(State, Answer)]) -> Oracle {
    let mut oracle = Oracle::default();
    for (state, answer) in answers {
        oracle.record("k", state.clone(), *answer);
    }
    oracle
}

const ACK: Answer = Answer::Acknowledged;

#[test]
fn an_acknowledged_object_must_be_there() {
    let mut oracle = with(&[(Some(content(1)), ACK)]);
    assert!(oracle.observe("k", &Observation::Absent).is_err());
    assert!(oracle.observe("k", &present(&content(1))).is_ok());
}

#[test]
fn an_overwritten_value_must_not_come_back() {
    let mut oracle = with(&[(Some(content(1)), ACK), (Some(content(2)), ACK)]);
    assert!(oracle.observe("k", &present(&content(1))).is_err());
    assert!(oracle.observe("k", &present(&content(2))).is_ok());
}

#[test]
fn a_deleted_object_must_stay_away() {
    let mut oracle = with(&[(Some(content(1)), ACK), (None, ACK)]);
    assert!(oracle.observe("k", &present(&content(1))).is_err());
    assert!(oracle.observe("k", &Observation::Absent).is_ok());
}

#[test]
fn wrong_bytes_short_bytes_and_wrong_etags_are_seen() {
    let mut oracle = with(&[(Some(content(1)), ACK)]);
    let right = content(1);
    let mut flipped = right.bytes();
    flipped[50] ^= 1;
    let short = right.bytes()[..99].to_vec();
    for (bytes, etag) in [
        (flipped, right.etag()),
        (short, right.etag()),
        (right.bytes(), content(2).etag()),
    ] {
        assert!(
            oracle
                .observe("k", &Observation::Present { bytes, etag })
                .is_err()
        );
    }
}

#[test]
fn a_key_never_written_must_be_absent() {
    let mut oracle = Oracle::default();
    assert!(oracle.observe("new", &present(&content(1))).is_err());
    assert!(oracle.observe("new", &Observation::Absent).is_ok());
}

#[test]
fn an_unknown_outcome_may_be_either_and_is_then_settled() {
    let doubtful = with(&[(Some(content(1)), ACK), (Some(content(2)), Answer::Unknown)]);
    assert_eq!(doubtful.uncertain(), 1);
    assert_eq!(doubtful.certain("k"), None);
    for found in [1, 2] {
        let mut oracle = doubtful.clone();
        oracle.observe("k", &present(&content(found))).unwrap();
        assert_eq!(oracle.certain("k"), Some(&Some(content(found))));
        let other = 3 - found;
        assert!(
            oracle.observe("k", &present(&content(other))).is_err(),
            "it went back"
        );
    }
    assert!(doubtful.clone().observe("k", &Observation::Absent).is_err());
    assert!(
        doubtful
            .clone()
            .observe("k", &present(&content(3)))
            .is_err()
    );
}

#[test]
fn a_refused_operation_did_nothing() {
    let mut oracle = with(&[(Some(content(1)), ACK), (Some(content(2)), Answer::Refused)]);
    assert!(oracle.observe("k", &present(&content(2))).is_err());
    assert!(oracle.observe("k", &present(&content(1))).is_ok());
}

fn row(key: &str, content: &Content) -> Listed {
    Listed {
        key: key.to_owned(),
        size: content.length(),
        etag: content.etag(),
    }
}

#[test]
fn listings_are_compared_row_by_row() {
    let mut oracle = Oracle::default();
    oracle.record("a", Some(content(1)), ACK);
    oracle.record("b", Some(content(2)), ACK);
    oracle.record("gone", None, ACK);
    let (a, b) = (row("a", &content(1)), row("b", &content(2)));
    assert_eq!(oracle.judge_listing(&[a.clone(), b.clone()]), []);
    let complaints = |listing: &[Listed]| {
        let broken = oracle.judge_listing(listing);
        broken
            .into_iter()
            .map(|broken| broken.what)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        complaints(std::slice::from_ref(&a)),
        ["there but not listed"]
    );
    assert_eq!(
        complaints(&[b.clone(), a.clone()]),
        ["listed twice or out of order"]
    );
    assert_eq!(
        complaints(&[a.clone(), a.clone(), b.clone()]),
        ["listed twice or out of order"]
    );
    let resurrected = [a.clone(), b.clone(), row("gone", &content(1))];
    assert_eq!(complaints(&resurrected), ["listed but absent"]);
    let stranger = [a.clone(), b.clone(), row("z", &content(1))];
    assert_eq!(complaints(&stranger), ["listed but never written"]);
    let stale = [a, row("b", &content(3))];
    assert_eq!(complaints(&stale), ["listed with another size or ETag"]);
}
