use super::*;
use proptest::prelude::*;

/// Passes pieces as they come, answering each request as soon as it is whole; gives the requests.
fn requests(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<Option<Doubt>>) {
    let mut framing = Framing::default();
    let (mut requests, mut doubts) = (vec![Vec::new()], Vec::new());
    for piece in pieces {
        let mut piece = *piece;
        loop {
            let passed = framing.pass(piece);
            requests
                .last_mut()
                .unwrap()
                .extend_from_slice(&piece[..passed]);
            piece = &piece[passed..];
            if matches!(framing.state, State::Complete | State::Lost) && framing.answering {
                doubts.push(framing.begin());
                framing.end();
                requests.push(Vec::new());
            }
            if piece.is_empty() {
                break;
            }
        }
    }
    requests.retain(|request| !request.is_empty());
    (requests, doubts)
}

fn doubt(head: &str) -> Option<Doubt> {
    let mut framing = Framing::default();
    assert_eq!(framing.pass(head.as_bytes()), head.len());
    framing.begin()
}

#[test]
fn each_doubt_is_told() {
    let with = |headers: &str| doubt(&format!("PUT /content-length:1 HTTP/1.1\r\n{headers}\r\n"));
    assert_eq!(with("Host: a\r\n"), None);
    assert_eq!(with("cOntent-length : 0\r\n"), None);
    assert_eq!(with("Transfer-Encoding:  Chunked \r\n"), None);
    assert_eq!(with("X: content-length: 5\r\n"), None);
    for (headers, told) in [
        (
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            Doubt::Both,
        ),
        (
            "transfer-encoding: chunked\r\ncontent-length: 1\r\n",
            Doubt::Both,
        ),
        ("Content-Length: 1\r\nContent-Length: 2\r\n", Doubt::Lengths),
        ("Content-Length: 1\r\nContent-Length: 1\r\n", Doubt::Lengths),
        ("Content-Length: +1\r\n", Doubt::Length),
        ("Content-Length: -1\r\n", Doubt::Length),
        ("Content-Length: 1, 1\r\n", Doubt::Length),
        ("Content-Length: 1 1\r\n", Doubt::Length),
        ("Content-Length: 0x1\r\n", Doubt::Length),
        ("Content-Length:\r\n", Doubt::Length),
        ("Content-Length\r\n", Doubt::Length),
        ("Content-Length: 99999999999999999999\r\n", Doubt::Length),
        ("Transfer-Encoding: xchunked\r\n", Doubt::Coding),
        ("Transfer-Encoding: gzip, chunked\r\n", Doubt::Coding),
        ("Transfer-Encoding: chunked, chunked\r\n", Doubt::Coding),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            Doubt::Coding,
        ),
        ("Transfer-Encoding: \u{b}chunked\r\n", Doubt::Coding),
        ("Host: a\n", Doubt::BareLf),
        ("X: a\r\n b\r\n", Doubt::Folded),
        ("X: a\r\n\tContent-Length: 5\r\n", Doubt::Folded),
    ] {
        assert_eq!(with(headers), Some(told), "{headers:?}");
    }
    let padded = format!("Content-Length: {}5\r\n", " ".repeat(80));
    assert_eq!(with(&padded), Some(Doubt::Length), "cut where it is kept");
    assert_eq!(doubt("GET / HTTP/1.1\n\n"), Some(Doubt::BareLf));
}

#[test]
fn a_head_that_was_not_seen_is_in_doubt() {
    let mut framing = Framing::default();
    assert_eq!(framing.begin(), Some(Doubt::Lost));
    assert_eq!(Framing::default().pass(b""), 0);
}

#[test]
fn what_follows_is_held_until_the_answer_is_sent() {
    let mut framing = Framing::default();
    let both = b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n";
    let half = both.len() / 2;
    assert_eq!(framing.pass(both), half);
    assert_eq!(framing.pass(&both[half..]), 0, "before its head is parsed");
    assert_eq!(framing.begin(), None);
    assert_eq!(framing.pass(&both[half..]), 0);
    framing.end();
    assert_eq!(framing.pass(&both[half..]), half);
    assert!(!framing.in_head());
    assert_eq!(framing.begin(), None);
    framing.end();
    assert_eq!(framing.pass(b"GET"), 3);
    assert!(framing.in_head());
}

#[test]
fn an_answer_before_the_body_is_over_does_not_lose_the_thread() {
    let mut framing = Framing::default();
    let head = b"PUT / HTTP/1.1\r\nContent-Length: 4\r\n\r\n";
    assert_eq!(framing.pass(head), head.len());
    assert_eq!(framing.begin(), None);
    framing.end();
    assert_eq!(framing.pass(b"bodyGET / HTTP/1.1\r\n\r\n"), 22);
    assert_eq!(framing.begin(), None);
}

#[test]
fn broken_chunks_are_the_last_of_a_connection() {
    for broken in [
        "\r\n",
        "x\r\n",
        "1\n",
        "1;a\nb\r\n",
        "1\r\nab\r\n",
        "10000000000000000\r\n",
        "0\r\na\n\r\rx",
    ] {
        let mut framing = Framing::default();
        let text = format!("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{broken}");
        assert_eq!(framing.pass(text.as_bytes()), text.len());
        assert!(matches!(framing.state, State::Lost), "{broken:?}");
        assert_eq!(framing.begin(), None, "hyper refuses the body");
        framing.end();
        assert_eq!(framing.begin(), Some(Doubt::Lost));
    }
}

const SIZED: &[u8] = b"PUT /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /";
const CHUNKS: &[u8] = b"PUT /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
    5;ext=\"x\"\r\nhe\r\no\r\nA \r\n0123456789\r\n0\r\nTrailer: x\r\nb: c\r\n\r\n";
const PLAIN: &[u8] = b"\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n";

proptest! {
    #[test]
    fn requests_are_told_apart_however_they_are_cut(
        order in proptest::collection::vec(0_usize..3, 1..6),
        cuts in proptest::collection::vec(0_usize..400, 0..12),
    ) {
        let wanted: Vec<Vec<u8>> = order
            .iter()
            .map(|kind| [SIZED, CHUNKS, PLAIN][*kind].to_vec())
            .collect();
        let all = wanted.concat();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).collect();
        cuts.extend([0, all.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &all[pair[0]..pair[1]]).collect();
        let (found, doubts) = requests(&pieces);
        prop_assert_eq!(found, wanted);
        prop_assert!(doubts.iter().all(Option::is_none));
    }

    #[test]
    fn any_bytes_are_taken_in_bounded_memory(pieces: Vec<Vec<u8>>) {
        let mut framing = Framing::default();
        for piece in pieces {
            let passed = framing.pass(&piece);
            prop_assert!(passed <= piece.len());
            if let State::Head(head) = &framing.state {
                prop_assert!(head.line.len() <= Head::LINE_KEPT);
            }
        }
    }
}
