//! Bytes on a socket that no good client sends: what each is answered, by name.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Everything the server says to these bytes until it closes or falls silent, and whether it closed.
async fn say(served: &Served, bytes: &[u8]) -> (String, bool) {
    let mut stream = served.connect().await;
    // A server that has refused may close before all is sent.
    stream.write_all(bytes).await.ok();
    hear(&mut stream).await
}

async fn hear(stream: &mut TcpStream) -> (String, bool) {
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    let closed = loop {
        let read = stream.read(&mut buffer);
        match tokio::time::timeout(Duration::from_millis(300), read).await {
            Err(_) => break false,
            Ok(Ok(0) | Err(_)) => break true,
            Ok(Ok(read)) => heard.extend_from_slice(&buffer[..read]),
        }
    };
    (String::from_utf8_lossy(&heard).into_owned(), closed)
}

fn statuses(heard: &str) -> Vec<u16> {
    let answers = heard.split("HTTP/1.1 ").skip(1);
    answers.map(|answer| answer[..3].parse().unwrap()).collect()
}

const LIVE: &str = "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";

/// A PUT by alice of `abc`, framed so; what follows would be a request of its own.
fn put(served: &Served, framing: &str, rest: &str) -> Vec<u8> {
    let head = served.head(&Method::PUT, "/bucket/key", b"abc", framing);
    [head.as_bytes(), rest.as_bytes(), LIVE.as_bytes()].concat()
}

async fn nothing_was_stored(served: &Served) {
    let got = served.site.call(Method::GET, "/bucket/key", "").await;
    assert_eq!(got.status, 404);
}

#[tokio::test]
async fn two_framings_of_one_body_are_400_and_the_end() {
    let served = served(1, 0).await;
    for framing in [
        "content-length: 3\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
        "content-length: 3\r\ncontent-length: 4\r\n",
        "content-length: 3\r\ncontent-length: 3\r\n",
        "content-length: 3, 3\r\n",
        "content-length: +3\r\n",
        "content-length: -3\r\n",
        "content-length: 3 \u{b}\r\n",
        "content-length: 0x3\r\n",
        "content-length: 3 3\r\n",
        "content-length: 99999999999999999999999\r\n",
        "content-length:\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: \u{b}chunked\r\n",
        "transfer-encoding : chunked\r\n",
        "content-length : 3\r\n",
        "x: y\r\n transfer-encoding: chunked\r\n",
        "x: y\ntransfer-encoding: chunked\r\n",
        "x: y\ncontent-length: 3\n",
        "content-length: 3\r\nx: a\0b\r\n",
        "content-length: 3\r\nx: a\rb\r\n",
        "content-length: 3\r\n: empty\r\n",
        "content-length: 3\r\nno colon\r\n",
    ] {
        let (heard, closed) = say(&served, &put(&served, framing, "abc")).await;
        assert_eq!(statuses(&heard), [400], "{framing:?} {heard}");
        assert!(closed, "{framing:?}");
    }
    nothing_was_stored(&served).await;
}

#[tokio::test]
async fn framing_of_http_1_0_is_length_or_nothing() {
    let served = served(1, 0).await;
    let chunked =
        "PUT /bucket/key HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let (heard, closed) = say(&served, chunked.as_bytes()).await;
    assert!(heard.contains(" 400 ") && closed, "{heard}");
    let (heard, closed) = say(&served, b"GET /health/live HTTP/1.0\r\n\r\n").await;
    assert!(heard.starts_with("HTTP/1.0 200") && closed, "{heard}");
}

#[tokio::test]
async fn broken_chunks_store_nothing_and_end_the_connection() {
    let served = served(1, 0).await;
    let headers = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "3"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let signer = served.site.signer("alice");
    let request = signer.sign(&Method::PUT, "/bucket/key", &headers, b"");
    let head = wire_head(&request, "transfer-encoding: chunked\r\n");
    for body in [
        "x\r\n",
        "-3\r\n",
        "3\n",
        "3\r\nabcd\r\n",
        "10000000000000003\r\nabc\r\n",
        "3;ext=\n\r\nabc\r\n",
        &format!("3;ext={}\r\nabc\r\n", "y".repeat(20 << 10)),
        &format!("0\r\nx: {}\r\n\r\n", "y".repeat(200 << 10)),
    ] {
        let (heard, closed) = say(&served, format!("{head}{body}{LIVE}").as_bytes()).await;
        let shown = &body[..body.len().min(20)];
        assert_eq!(statuses(&heard), [400], "{shown:?} {heard}");
        assert!(closed, "{shown:?}");
    }
    nothing_was_stored(&served).await;
}

#[tokio::test]
async fn lines_that_are_no_request_are_4xx_and_the_end() {
    let served = served(1, 0).await;
    for text in [
        "GET /\r\n\r\n",
        "GET / HTTP/0.9\r\n\r\n",
        "GET / HTTP/1.2\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/3\r\n\r\n",
        "GET / HTTP/11\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "GET /\tHTTP/1.1\r\n\r\n",
        "G@T / HTTP/1.1\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET /\0 HTTP/1.1\r\n\r\n",
        "GET bucket HTTP/1.1\r\n\r\n",
        "PRI * HTTP/1.1\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        let (heard, closed) = say(&served, format!("{text}{LIVE}").as_bytes()).await;
        let answers = statuses(&heard);
        let refused = answers
            .first()
            .is_some_and(|status| (400..=505).contains(status));
        assert!(refused && answers.len() == 1 && closed, "{text:?} {heard}");
    }
}

#[tokio::test]
async fn connect_trace_and_star_reach_nothing() {
    let served = served(1, 0).await;
    for text in [
        "CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: a\r\nX-Secret: y\r\n\r\n",
        "TRACE /health/live HTTP/1.1\r\nHost: a\r\nX-Secret: y\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "BREW /bucket/key HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let (heard, _) = say(&served, text.as_bytes()).await;
        let status = statuses(&heard);
        assert!((400..=501).contains(&status[0]), "{text:?} {heard}");
        assert!(!heard.contains("X-Secret"), "{heard}");
    }
}

#[tokio::test]
async fn an_absolute_target_must_name_the_same_host() {
    let served = served(1, 0).await;
    let request = served
        .site
        .signer("alice")
        .sign(&Method::GET, "/bucket", &[], b"");
    let head = wire_head(&request, "");
    for (authority, wanted) in [("s3.test", 200), ("S3.TEST", 200), ("other.test", 400)] {
        let absolute = head.replacen(" /bucket", &format!(" http://{authority}/bucket"), 1);
        let (heard, _) = say(&served, absolute.as_bytes()).await;
        assert_eq!(statuses(&heard), [wanted], "{authority} {heard}");
    }
    let two = head.replacen("host: s3.test", "host: s3.test\r\nhost: other.test", 1);
    assert_eq!(statuses(&say(&served, two.as_bytes()).await.0), [400]);
    let none = head.replacen("host: s3.test\r\n", "", 1);
    let refused = statuses(&say(&served, none.as_bytes()).await.0);
    assert!(refused == [403] || refused == [400], "{refused:?}");
}

#[tokio::test]
async fn heads_beyond_a_bound_are_4xx() {
    let served = served(1, 0).await;
    let line = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n");
    let long = "y".repeat(limits::HEADERS_LEN_MAX + limits::URI_LEN_MAX + 1_024);
    let many: String = (0..=limits::HEADERS_COUNT_MAX)
        .map(|at| format!("x-{at}: y\r\n"))
        .collect();
    for (text, wanted) in [
        // Everywhere, also where nothing of S3 looks at the head.
        (line("/health/live", &format!("x: {long}\r\n")), 431),
        (line("/health/live", &many), 431),
        (line(&format!("/{}", "y".repeat(70 << 10)), ""), 431),
        (
            line(&format!("/{}", "y".repeat(limits::URI_LEN_MAX)), ""),
            400,
        ),
    ] {
        let (heard, closed) = say(&served, text.as_bytes()).await;
        assert_eq!(statuses(&heard), [wanted], "{} {heard}", text.len());
        assert!(closed || wanted == 400);
    }
    // A head without an end is cut off at its bound, not when memory is.
    let endless = format!("GET / HTTP/1.1\r\n{}", "x: y\r\n".repeat(1 << 16));
    let (heard, closed) = say(&served, endless.as_bytes()).await;
    assert!(
        closed && (heard.is_empty() || statuses(&heard) == [431]),
        "{heard}"
    );
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let served = served(1, 0).await;
    let put = |key: &str, body: &[u8], framing: &str| {
        let head = served.head(&Method::PUT, &format!("/bucket/{key}"), body, framing);
        [head.into_bytes(), body.to_vec()].concat()
    };
    let get = |key: &str| {
        let head = served.head(&Method::GET, &format!("/bucket/{key}"), b"", "");
        head.into_bytes()
    };
    let last = "GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let all = [
        put("one", b"first", "content-length: 5\r\n"),
        get("one"),
        get("none"),
        put("two", b"GET / HTTP/1.1\r\n\r\n", "content-length: 18\r\n"),
        get("two"),
        last.as_bytes().to_vec(),
    ]
    .concat();
    for step in [all.len(), 1_000, 7] {
        let mut stream = served.connect().await;
        for piece in all.chunks(step) {
            stream.write_all(piece).await.unwrap();
        }
        let (heard, closed) = hear(&mut stream).await;
        assert_eq!(statuses(&heard), [200, 200, 404, 200, 200, 200], "{heard}");
        let order = ["first", "NoSuchKey", "GET / HTTP/1.1", "live\n"];
        let places: Vec<usize> = order.iter().map(|text| heard.find(text).unwrap()).collect();
        assert!(places.is_sorted() && closed, "{heard}");
    }
}

#[tokio::test]
async fn a_doubtful_request_in_a_pipeline_is_the_last() {
    let served = served(1, 0).await;
    let bad = "GET /health/live HTTP/1.1\r\nHost: a\nContent-Length: 0\r\n\r\n";
    let text = format!("{LIVE}{LIVE}{bad}{LIVE}");
    let (heard, closed) = say(&served, text.as_bytes()).await;
    assert_eq!(statuses(&heard), [200, 200, 400], "{heard}");
    assert!(closed);
}

#[tokio::test]
async fn an_expectation_that_is_not_known_is_passed_over() {
    // As AWS does, and the public suite wants.
    let served = served(1, 0).await;
    for expect in ["200", "", "100-continue, x"] {
        let framing = format!("content-length: 3\r\nexpect: {expect}\r\n");
        let head = served.head(&Method::PUT, "/bucket/key", b"abc", &framing);
        let (heard, _) = say(&served, format!("{head}abc").as_bytes()).await;
        assert_eq!(*statuses(&heard).last().unwrap(), 200, "{expect:?} {heard}");
    }
}

/// A client that was told a final status sends no body it had only announced. What it says next on
/// the same connection would be taken for that body; and old botocore, not told to close, takes the
/// status for that of its next request.
#[tokio::test]
async fn an_answer_without_continue_ends_the_connection() {
    let served = served(1, 0).await;
    let announced = "content-length: 3\r\nexpect: 100-continue\r\n";
    let empty = "content-length: 0\r\nexpect: 100-Continue\r\n";
    for (path, body, framing, status) in [
        ("/nowhere/key", b"abc".as_slice(), announced, 404),
        ("/bucket/key", b"".as_slice(), empty, 200),
    ] {
        let head = served.head(&Method::PUT, path, body, framing);
        let (heard, closed) = say(&served, format!("{head}{LIVE}").as_bytes()).await;
        assert_eq!(statuses(&heard), [status], "{heard}");
        assert!(
            heard.contains("\r\nconnection: close\r\n") && closed,
            "{heard}"
        );
    }
    let head = served.head(&Method::PUT, "/bucket/key", b"abc", announced);
    let (heard, _) = say(&served, format!("{head}abc{LIVE}").as_bytes()).await;
    assert_eq!(statuses(&heard), [100, 200, 200], "{heard}");
    assert!(!heard.contains("connection: close"), "{heard}");
}

#[tokio::test]
async fn a_body_that_trickles_is_408_and_the_end() {
    let served = served(1, 0).await;
    let mut stream = served.connect().await;
    let head = served.head(
        &Method::PUT,
        "/bucket/key",
        &[7; 9_000],
        "content-length: 9000\r\n",
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..limits::BODY_RATE_WINDOW_SECS + 2 {
        stream.write_all(b"\x07").await.ok();
        tokio::time::sleep(Duration::from_millis(10)).await;
        served.site.clock.advance(Duration::from_secs(1));
    }
    let (heard, closed) = hear(&mut stream).await;
    assert!(heard.contains("RequestTimeout") && closed, "{heard}");
    nothing_was_stored(&served).await;
}

#[tokio::test]
async fn a_client_that_only_connects_is_cut_off() {
    let served = served(1, 0).await;
    let mut silent = served.connect().await;
    let mut half = served.connect().await;
    half.write_all(b"PRI * HT").await.unwrap();
    settle().await;
    served
        .site
        .clock
        .advance(Duration::from_secs(limits::HEADER_TIMEOUT_SECS));
    assert!(closed(&mut half).await, "a protocol is told at once");
    served
        .site
        .clock
        .advance(Duration::from_secs(limits::IDLE_TIMEOUT_SECS));
    assert!(closed(&mut silent).await);
}

#[tokio::test]
async fn tls_on_the_plain_port_is_closed_without_a_word() {
    let served = served(1, 0).await;
    let hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03 and so on";
    assert_eq!(say(&served, hello).await, (String::new(), true));
}

/// A valid request with some bytes changed.
fn mutated() -> impl Strategy<Value = Vec<(u8, usize, String)>> {
    let token = prop_oneof![
        Just("\r\n".to_owned()),
        Just("\n".to_owned()),
        Just("\r".to_owned()),
        Just(" ".to_owned()),
        Just("\t".to_owned()),
        Just(":".to_owned()),
        Just(",".to_owned()),
        Just("\0".to_owned()),
        Just("0".to_owned()),
        Just("content-length: 3\r\n".to_owned()),
        Just("Content-Length: 4\r\n".to_owned()),
        Just("transfer-encoding: chunked\r\n".to_owned()),
        Just("HTTP/1.0".to_owned()),
        "[ -~]{1,3}",
    ];
    proptest::collection::vec((0_u8..3, any::<usize>(), token), 1..4)
}

fn mutate(head: &str, changes: &[(u8, usize, String)]) -> Vec<u8> {
    let mut bytes = head.as_bytes().to_vec();
    for (kind, at, token) in changes {
        let at = at % bytes.len();
        match kind {
            0 => drop(bytes.splice(at..at, token.bytes())),
            1 => drop(bytes.splice(at..=at, token.bytes())),
            _ => drop(bytes.remove(at)),
        }
    }
    bytes
}

/// Whether a strict reader of RFC 9112 knows where the request ends: lines of CR LF, and one length
/// or just `chunked` at most.
fn is_clear(head: &[u8]) -> bool {
    let Some(text) = str::from_utf8(head)
        .ok()
        .and_then(|text| text.strip_suffix("\r\n\r\n"))
    else {
        return false;
    };
    let (mut lengths, mut codings) = (Vec::new(), Vec::new());
    for line in text.trim_start_matches("\r\n").split("\r\n").skip(1) {
        let Some((name, value)) = line.split_once(':') else {
            return false;
        };
        if line.contains(['\r', '\n', '\0']) || name.contains([' ', '\t']) {
            return false;
        }
        let value = value.trim_matches([' ', '\t']).to_ascii_lowercase();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => lengths.push(value),
            "transfer-encoding" => codings.push(value),
            _ => {}
        }
    }
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => true,
        ([length], []) => length.parse::<u64>().is_ok() && !length.starts_with('+'),
        ([], [coding]) => coding == "chunked",
        _ => false,
    }
}

#[test]
fn a_mutated_head_is_never_acted_on_in_doubt() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let served = runtime.block_on(served(1, 0));
    // Unsigned, so that every change of a byte can be a request that is answered with 200.
    let valid =
        "GET /health/live HTTP/1.1\r\nHost: s3.test\r\nX-Some: thing\r\ncontent-length: 3\r\n\r\n";
    let heard = runtime.block_on(say(&served, format!("{valid}abc{LIVE}").as_bytes()));
    assert_eq!(statuses(&heard.0), [200, 200], "{}", heard.0);
    let mut runner = TestRunner::new(Config::default());
    let outcome = runner.run(&mutated(), |changes| {
        let head = mutate(valid, &changes);
        let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(());
        };
        let (first, rest) = head.split_at(end + 4);
        let clear = is_clear(first);
        let sent = [first, rest, b"abc", LIVE.as_bytes()].concat();
        let (heard, closed) = runtime.block_on(async {
            let mut stream = served.connect().await;
            stream.write_all(&sent).await.ok();
            stream.shutdown().await.ok();
            hear(&mut stream).await
        });
        let statuses = statuses(&heard);
        if !clear {
            prop_assert!(
                statuses.first().is_none_or(|status| *status >= 400),
                "{:?} {heard}",
                String::from_utf8_lossy(first)
            );
            prop_assert!(statuses.len() <= 1 && closed, "{heard}");
        }
        // Whatever it was, the server is there.
        Ok(())
    });
    outcome.unwrap();
    let heard = runtime.block_on(say(&served, LIVE.as_bytes()));
    assert_eq!(statuses(&heard.0), [200]);
}
