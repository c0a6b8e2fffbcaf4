use super::*;
use crate::raft::types::{EntryBytes, MembershipMessage};
use openraft::{BasicNode, EntryPayload, Membership};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn a_vote(term: u64, node: u64, committed: bool) -> RaftVote {
    vote_in(Vote {
        term,
        leader: node,
        committed,
    })
}

fn at(index: u64) -> RaftLogId {
    log_id(LogPosition {
        term: 3,
        leader: 7,
        index,
    })
}

fn proposal(index: u64, len: usize) -> RaftEntry {
    RaftEntry {
        log_id: at(index),
        payload: EntryPayload::Normal(EntryBytes(Bytes::from(vec![index as u8; len]))),
    }
}

fn request(previous: Option<u64>, entries: Vec<RaftEntry>) -> AppendEntriesRequest<TypeConfig> {
    AppendEntriesRequest {
        vote: a_vote(3, 7, true),
        prev_log_id: previous.map(at),
        entries,
        leader_commit: Some(at(4)),
    }
}

fn through_bytes(call: Call) -> Call {
    let message = CallMessage {
        cluster_id: Bytes::from_static(&[9; 16]),
        from: 7,
        to: 2,
        call: Some(call),
    };
    let read = read_call(message.encode_to_vec().into()).unwrap();
    assert_eq!(read, message);
    read.call.unwrap()
}

#[test]
fn an_append_arrives_as_it_was() {
    let membership = Membership::new(
        vec![BTreeSet::from([1, 2])],
        BTreeMap::from([(1, BasicNode::new("a")), (2, BasicNode::new("b"))]),
    )
    .unwrap();
    let mut entries = vec![proposal(10, 5), proposal(11, 0), proposal(12, 3)];
    entries[1].payload = EntryPayload::Blank;
    entries[2].payload = EntryPayload::Membership(membership.clone());
    let sent = request(Some(9), entries.clone());
    let (message, cut) = AppendMessage::cut(&sent);
    assert_eq!(cut, None);
    let Call::Append(message) = through_bytes(Call::Append(message)) else {
        panic!("another call");
    };
    let got = message.request(7).unwrap();
    assert_eq!(format!("{got:?}"), format!("{sent:?}"));
    let EntryPayload::Membership(got) = &got.entries[2].payload else {
        panic!("another payload");
    };
    assert_eq!(
        MembershipMessage::from(got),
        MembershipMessage::from(&membership)
    );
}

#[test]
fn an_append_is_cut_to_one_message() {
    let len = usize::try_from(limits::ENTRY_LEN_MAX).unwrap();
    let sent = request(Some(0), (1..=8).map(|index| proposal(index, len)).collect());
    let (message, cut) = AppendMessage::cut(&sent);
    assert_eq!(cut, Some(at(3)), "three of 256 KiB fit");
    assert!(message.encoded_len() as u64 + 4_096 < limits::WIRE_PAYLOAD_MAX);
    assert_eq!(message.request(7).unwrap().entries.len(), 3);
    let many = (1..=80_000).map(|index| proposal(index, 1)).collect();
    let (message, cut) = AppendMessage::cut(&request(Some(0), many));
    assert!(cut.is_some());
    assert!(message.encoded_len() as u64 + 4_096 < limits::WIRE_PAYLOAD_MAX);
}

fn refused(from: u64, request: &AppendEntriesRequest<TypeConfig>) -> &'static str {
    let (message, _) = AppendMessage::cut(request);
    message.request(from).unwrap_err().0
}

#[test]
fn appends_that_cannot_be_are_refused() {
    let follow = "entries that do not follow each other";
    let lead = "a leader's message from one that does not lead";
    let good = request(Some(9), vec![proposal(10, 1), proposal(11, 1)]);
    assert_eq!(refused(6, &good), lead);
    let mut bad = good.clone();
    bad.vote = a_vote(3, 7, false);
    assert_eq!(refused(7, &bad), lead);
    let mut bad = good.clone();
    bad.entries.swap(0, 1);
    assert_eq!(refused(7, &bad), follow);
    let mut bad = good.clone();
    bad.entries[1] = proposal(12, 1);
    assert_eq!(refused(7, &bad), follow);
    let mut bad = good.clone();
    bad.prev_log_id = None;
    assert_eq!(refused(7, &bad), follow);
    let mut bad = good.clone();
    bad.prev_log_id = Some(at(u64::MAX));
    assert_eq!(refused(7, &bad), follow);
    let mut bad = good.clone();
    bad.vote = a_vote(2, 7, true);
    assert_eq!(
        refused(7, &bad),
        follow,
        "of a later term than its leader's"
    );
    let long = usize::try_from(limits::ENTRY_LEN_MAX).unwrap() + 1;
    let bad = request(Some(9), vec![proposal(10, long)]);
    assert_eq!(refused(7, &bad), "an entry that is too long");
}

#[test]
fn answers_arrive_as_they_were() {
    for response in [
        AppendEntriesResponse::Success,
        AppendEntriesResponse::PartialSuccess(Some(at(5))),
        AppendEntriesResponse::PartialSuccess(None),
        AppendEntriesResponse::Conflict,
        AppendEntriesResponse::HigherVote(a_vote(9, 1, true)),
    ] {
        let bytes = write_answer(Answer::Appended((&response).into()));
        let Answer::Appended(read) = read_answer(bytes).unwrap() else {
            panic!("another answer");
        };
        assert_eq!(read.response().unwrap(), response);
    }
    let response = VoteResponse::new(a_vote(4, 2, false), Some(at(8)), true);
    let bytes = write_answer(Answer::Ballot((&response).into()));
    let Answer::Ballot(read) = read_answer(bytes).unwrap() else {
        panic!("another answer");
    };
    assert_eq!(read.response().unwrap(), response);
    assert!(AppendedMessage::default().response().is_err());
    assert!(read_answer(Bytes::new()).is_err());
}

#[test]
fn a_candidate_speaks_for_itself() {
    let mut request = VoteRequest::new(a_vote(4, 7, false), Some(at(8)));
    request.leadership_transfer = true;
    let Call::Vote(message) = through_bytes(Call::Vote((&request).into())) else {
        panic!("another call");
    };
    assert_eq!(message.request(7).unwrap(), request);
    assert!(message.request(6).is_err());
    let elected = VoteRequest::new(a_vote(4, 7, true), None);
    assert!(BallotMessage::from(&elected).request(7).is_err());
}

fn piece(offset: u64, data: &[u8]) -> Piece {
    Piece {
        vote: a_vote(3, 7, true),
        position: Some(position(&at(100))),
        len: 1_000,
        at: offset,
        data: Bytes::copy_from_slice(data),
    }
}

#[test]
fn pieces_are_checked() {
    let good = piece(500, &[1; 500]);
    let message = PieceMessage::from(good.clone());
    assert_eq!(message.clone().piece(7).unwrap(), good);
    assert!(message.clone().piece(8).is_err(), "not its leader");
    let mut bad = message.clone();
    bad.data = Bytes::from(vec![2; 500]);
    assert!(bad.piece(7).is_err(), "other bytes");
    let mut bad = message;
    bad.at = 400;
    assert!(bad.piece(7).is_err(), "elsewhere");
    assert!(PieceMessage::from(piece(501, &[1; 500])).piece(7).is_err());
    assert!(PieceMessage::from(piece(u64::MAX, &[1])).piece(7).is_err());
}

#[test]
fn messages_have_an_end() {
    let long = Bytes::from(vec![
        0;
        usize::try_from(limits::WIRE_PAYLOAD_MAX).unwrap() + 1
    ]);
    assert!(read_call(long.clone()).is_err());
    assert!(read_answer(long).is_err());
}

proptest! {
    #[test]
    fn garbage_is_no_message(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        let _ = read_answer(bytes.clone());
        if let Ok(CallMessage { call: Some(call), from, .. }) = read_call(bytes) {
            understand(call, from);
        }
    }

    #[test]
    fn a_flipped_bit_is_survived(at in 0usize..400, bit in 0u8..8, entries in 0u64..5) {
        let sent = request(Some(9), (10..10 + entries).map(|index| proposal(index, 20)).collect());
        let message = CallMessage {
            cluster_id: Bytes::from_static(&[9; 16]),
            from: 7,
            to: 2,
            call: Some(Call::Append(AppendMessage::cut(&sent).0)),
        };
        let mut bytes = message.encode_to_vec();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(CallMessage { call: Some(call), from, .. }) = read_call(bytes.into()) {
            understand(call, from);
        }
    }
}

fn understand(call: Call, from: u64) {
    match call {
        Call::Append(message) => drop(message.request(from)),
        Call::Vote(message) | Call::PreVote(message) => drop(message.request(from)),
        Call::Piece(message) => drop(message.piece(from)),
        Call::Transfer(message) => drop(message.request(from)),
        Call::Abort(_) | Call::ReadIndex(_) | Call::Clock(_) | Call::Hashes(_) => {}
    }
}
