//! HTTP/2, by prior knowledge on the plain port: with a good client, and with frames written by hand.

use super::*;
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::Request;

/// A client, and its connection at work.
pub(super) async fn client(
    served: &Served,
    window: u32,
) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(window)
        .initial_connection_window_size(1 << 24)
        .handshake(served.connect().await)
        .await
        .unwrap();
    (client, tokio::spawn(connection))
}

impl Served {
    /// A request by alice as HTTP/2 has it: the host is the authority.
    pub(super) fn over_h2(&self, method: &Method, target: &str, body: &[u8]) -> Request<()> {
        let mut request = self.site.signer("alice").sign(method, target, &[], body);
        let host = request.headers_mut().remove("host").unwrap();
        let uri = format!("http://{}{target}", host.to_str().unwrap());
        *request.uri_mut() = uri.parse().unwrap();
        request.map(|_| ())
    }
}

pub(super) async fn begin(
    client: &mut SendRequest<Bytes>,
    request: Request<()>,
    ends: bool,
) -> (ResponseFuture, SendStream<Bytes>) {
    let mut ready = client.clone().ready().await.unwrap();
    ready.send_request(request, ends).unwrap()
}

/// Status and body.
pub(super) async fn finish(response: ResponseFuture) -> Result<(u16, Vec<u8>), h2::Error> {
    let response = tokio::time::timeout(Duration::from_secs(20), response).await;
    let response = response.expect("an answer in time")?;
    let (status, mut body) = (response.status().as_u16(), response.into_body());
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend_from_slice(&piece);
    }
    Ok((status, bytes))
}

async fn get(client: &mut SendRequest<Bytes>, served: &Served, target: &str) -> (u16, Vec<u8>) {
    let request = served.over_h2(&Method::GET, target, b"");
    finish(begin(client, request, true).await.0).await.unwrap()
}

#[tokio::test]
async fn objects_go_both_ways_at_once() {
    let served = served(2, 1).await;
    let (mut client, _connection) = client(&served, 1 << 20).await;
    let bodies: Vec<Vec<u8>> = [0, 5, 9_000, 3 << 20].map(pattern).to_vec();
    let mut putting = Vec::new();
    for (at, body) in bodies.iter().enumerate() {
        let mut request = served.over_h2(&Method::PUT, &format!("/bucket/{at}"), body);
        request
            .headers_mut()
            .insert("content-length", body.len().into());
        let (response, mut sending) = begin(&mut client, request, false).await;
        sending.send_data(body.clone().into(), true).unwrap();
        putting.push(response);
    }
    for response in putting {
        assert_eq!(finish(response).await.unwrap(), (200, Vec::new()));
    }
    for (at, body) in bodies.iter().enumerate() {
        let (status, got) = get(&mut client, &served, &format!("/bucket/{at}")).await;
        assert!(status == 200 && got == *body, "{at}");
    }
    let (status, text) = get(&mut client, &served, "/bucket/none").await;
    assert!(status == 404 && String::from_utf8(text).unwrap().contains("NoSuchKey"));
}

#[tokio::test]
async fn an_answer_that_is_not_taken_is_given_up_and_the_others_go_on() {
    let served = served(2, 1).await;
    served
        .site
        .call(Method::PUT, "/bucket/long", pattern(4 << 20))
        .await;
    served
        .site
        .call(Method::PUT, "/bucket/short", pattern(9_000))
        .await;
    let (mut client, _connection) = client(&served, 20 << 10).await;
    let request = served.over_h2(&Method::GET, "/bucket/long", b"");
    let stalled = begin(&mut client, request, true).await.0.await.unwrap();
    assert_eq!(stalled.status(), 200);
    settle().await;
    served
        .site
        .clock
        .advance(Duration::from_secs(limits::BODY_RATE_WINDOW_SECS + 40));
    settle().await;
    let mut body = stalled.into_body();
    let taking = async {
        loop {
            match body.data().await {
                Some(Ok(_)) => {}
                other => break other,
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), taking).await;
    let ended = ended.expect("an end in time");
    let error = ended.expect("no end of the body").unwrap_err();
    assert_eq!(error.reason(), Some(Reason::CANCEL), "{error}");
    assert_eq!(
        get(&mut client, &served, "/bucket/short").await.1,
        pattern(9_000)
    );
}

#[tokio::test]
async fn a_body_that_trickles_is_refused_and_the_others_go_on() {
    let served = served(1, 0).await;
    let (mut client, _connection) = client(&served, 1 << 20).await;
    let mut request = served.over_h2(&Method::PUT, "/bucket/key", &[7; 9_000]);
    request.headers_mut().insert("content-length", 9_000.into());
    let (response, mut sending) = begin(&mut client, request, false).await;
    for _ in 0..limits::BODY_RATE_WINDOW_SECS + 2 {
        sending.send_data(Bytes::from_static(b"\x07"), false).ok();
        tokio::time::sleep(Duration::from_millis(10)).await;
        served.site.clock.advance(Duration::from_secs(1));
    }
    let (status, text) = finish(response).await.unwrap();
    assert_eq!(status, 400, "{}", String::from_utf8_lossy(&text));
    assert!(String::from_utf8_lossy(&text).contains("RequestTimeout"));
    assert_eq!(get(&mut client, &served, "/bucket/key").await.0, 404);
}

#[tokio::test]
async fn an_idle_connection_is_told_goodbye() {
    let served = served(1, 0).await;
    let (mut client, connection) = client(&served, 1 << 20).await;
    assert_eq!(get(&mut client, &served, "/bucket/none").await.0, 404);
    settle().await;
    served
        .site
        .clock
        .advance(Duration::from_secs(limits::IDLE_TIMEOUT_SECS + 1));
    let ended = tokio::time::timeout(Duration::from_secs(5), connection).await;
    assert!(ended.unwrap().unwrap().is_ok(), "GOAWAY without an error");
    drop(client);
}

#[tokio::test]
async fn a_drain_lets_an_upload_end() {
    let mut served = served(1, 0).await;
    let (mut client, connection) = client(&served, 1 << 20).await;
    let body = pattern(9_000);
    let mut request = served.over_h2(&Method::PUT, "/bucket/key", &body);
    request.headers_mut().insert("content-length", 9_000.into());
    let (response, mut sending) = begin(&mut client, request, false).await;
    sending
        .send_data(body[..4_000].to_vec().into(), false)
        .unwrap();
    settle().await;
    served.stop.take().unwrap().send(()).unwrap();
    settle().await;
    sending
        .send_data(body[4_000..].to_vec().into(), true)
        .unwrap();
    assert_eq!(finish(response).await.unwrap().0, 200);
    drop(client);
    connection.await.unwrap().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), served.serving).await;
    ended.unwrap().unwrap().unwrap();
    assert!(served.site.metadata.open_sessions().is_empty());
}

/// Frames by hand.
struct Raw {
    stream: TcpStream,
    heard: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
struct Heard {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block of literals that nobody remembers (RFC 7541, 6.2.2).
fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        for text in [name, value] {
            match text.len() {
                short @ 0..127 => bytes.push(u8::try_from(short).unwrap()),
                long => {
                    bytes.push(127);
                    let mut left = long - 127;
                    while left >= 128 {
                        bytes.push(u8::try_from(left % 128).unwrap() | 128);
                        left /= 128;
                    }
                    bytes.push(u8::try_from(left).unwrap());
                }
            }
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

fn live(more: &[(&'static str, &'static str)]) -> Vec<u8> {
    let mut headers = vec![
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/health/live"),
    ];
    headers.extend(more);
    block(&headers)
}

impl Raw {
    async fn new(served: &Served) -> Self {
        let mut stream = served.connect().await;
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Self {
            stream,
            heard: Vec::new(),
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.ok();
    }

    /// The next frame of one of these kinds; `None` where the server closed.
    async fn hear(&mut self, kinds: &[u8]) -> Option<Heard> {
        let hearing = async {
            loop {
                if let Some(heard) = self.next() {
                    if kinds.contains(&heard.kind) {
                        return Some(heard);
                    }
                } else if self.stream.read_buf(&mut self.heard).await.unwrap_or(0) == 0 {
                    return None;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), hearing)
            .await
            .expect("a frame in time")
    }

    fn next(&mut self) -> Option<Heard> {
        let head = self.heard.get(..9)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, stream) = (head[3], u32::from_be_bytes(head[5..9].try_into().unwrap()));
        let payload = self.heard.get(9..9 + length)?.to_vec();
        self.heard.drain(..9 + length);
        Some(Heard {
            kind,
            stream,
            payload,
        })
    }
}

fn reason(heard: &Heard) -> u32 {
    let at = if heard.kind == GOAWAY { 4 } else { 0 };
    u32::from_be_bytes(heard.payload[at..at + 4].try_into().unwrap())
}

#[tokio::test]
async fn heads_that_http_2_forbids_are_reset() {
    let served = served(1, 0).await;
    let good = live(&[]);
    let cases = [
        live(&[("transfer-encoding", "chunked")]),
        live(&[("connection", "close")]),
        live(&[("keep-alive", "1")]),
        live(&[("upgrade", "h2c")]),
        live(&[("te", "gzip")]),
        live(&[("X-Upper", "y")]),
        live(&[(":path", "/other")]),
        live(&[(":unknown", "y")]),
        live(&[("x", "y"), (":status", "200")]),
        live(&[("x", "a\r\nb: c")]),
        live(&[("x", "a\0b")]),
        live(&[("a b", "c")]),
        live(&[("content-length", "x")]),
        live(&[("content-length", "+1")]),
        live(&[("content-length", "1")]),
        block(&[(":method", "GET"), (":scheme", "http"), (":authority", "a")]),
        block(&[(":scheme", "http"), (":path", "/")]),
    ];
    for (at, bad) in cases.iter().enumerate() {
        let mut raw = Raw::new(&served).await;
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, bad))
            .await;
        let heard = raw.hear(&[HEADERS, RESET, GOAWAY]).await.unwrap();
        let refused = heard.kind != HEADERS && reason(&heard) == 1;
        // A 400 by hyper, indexed in the static table.
        let answered = heard.kind == HEADERS && heard.payload.first() == Some(&0x8c);
        assert!(refused || answered, "{at} {heard:?}");
    }
    let mut raw = Raw::new(&served).await;
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &good))
        .await;
    assert_eq!(raw.hear(&[DATA]).await.unwrap().payload, b"live\n");
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_it_says_is_no_body() {
    let served = served(1, 0).await;
    for (told, sent, ends) in [
        ("5", &b"abc"[..], END_STREAM),
        ("2", b"abc", 0),
        ("0", b"abc", 0),
    ] {
        let mut raw = Raw::new(&served).await;
        let request = served
            .site
            .signer("alice")
            .sign(&Method::PUT, "/bucket/key", &[], b"abc");
        let mut headers = vec![
            (":method", "PUT"),
            (":scheme", "http"),
            (":authority", "s3.test"),
            (":path", "/bucket/key"),
            ("content-length", told),
        ];
        let own = request.headers().iter().filter(|(name, _)| *name != "host");
        headers.extend(own.map(|(name, value)| (name.as_str(), value.to_str().unwrap())));
        raw.send(&frame(HEADERS, END_HEADERS, 1, &block(&headers)))
            .await;
        raw.send(&frame(DATA, ends, 1, sent)).await;
        let heard = raw.hear(&[RESET, GOAWAY, DATA]).await.unwrap();
        let refused = heard.kind != DATA && reason(&heard) == 1;
        let text = String::from_utf8_lossy(&heard.payload).into_owned();
        assert!(refused || text.contains("<Error>"), "{told} {heard:?}");
    }
    let got = served.site.call(Method::GET, "/bucket/key", "").await;
    assert_eq!(got.status, 404);
}

#[tokio::test]
async fn the_authority_is_the_host() {
    let served = served(1, 0).await;
    let (mut client, _connection) = client(&served, 1 << 20).await;
    let mut same = served.over_h2(&Method::GET, "/bucket", b"");
    same.headers_mut()
        .insert("host", "s3.test".parse().unwrap());
    assert_eq!(
        finish(begin(&mut client, same, true).await.0)
            .await
            .unwrap()
            .0,
        200
    );
    let mut other = served.over_h2(&Method::GET, "/bucket", b"");
    other
        .headers_mut()
        .insert("host", "other.test".parse().unwrap());
    assert_eq!(
        finish(begin(&mut client, other, true).await.0)
            .await
            .unwrap()
            .0,
        400
    );
    // Below a virtual host.
    let mut signer = served.site.signer("alice");
    signer.host = "bucket.vhost.test:9000".to_owned();
    let mut request = signer
        .sign(&Method::GET, "/health/live", &[], b"")
        .map(|_| ());
    request.headers_mut().remove("host");
    *request.uri_mut() = "http://bucket.vhost.test:9000/health/live".parse().unwrap();
    let (status, text) = finish(begin(&mut client, request, true).await.0)
        .await
        .unwrap();
    assert!(status == 404 && String::from_utf8(text).unwrap().contains("NoSuchKey"));
}

#[tokio::test]
async fn heads_beyond_a_bound_are_refused_here_too() {
    let served = served(1, 0).await;
    let (mut client, _connection) = client(&served, 1 << 20).await;
    let many = |count: usize, length: usize| {
        let mut request = served.over_h2(&Method::GET, "/bucket", b"");
        for at in 0..count {
            let name: http::HeaderName = format!("x-{at}").parse().unwrap();
            request
                .headers_mut()
                .insert(name, "y".repeat(length).parse().unwrap());
        }
        request
    };
    for (count, length) in [
        (limits::HEADERS_COUNT_MAX, 1),
        (3, limits::HEADERS_LEN_MAX / 3),
    ] {
        let answer = finish(begin(&mut client, many(count, length), true).await.0).await;
        let (status, text) = answer.unwrap();
        assert_eq!(status, 400, "{}", String::from_utf8_lossy(&text));
    }
    let answer = finish(begin(&mut client, many(1, 32 << 10), true).await.0).await;
    let refused = answer.map(|(status, _)| status);
    assert!(
        refused.is_err() || refused.as_ref().unwrap() == &431,
        "{refused:?}"
    );
    assert_eq!(
        get(&mut served_client(&served).await, &served, "/bucket")
            .await
            .0,
        200
    );
}

async fn served_client(served: &Served) -> SendRequest<Bytes> {
    client(served, 1 << 20).await.0
}

#[tokio::test]
async fn a_head_that_goes_on_for_ever_ends_the_connection() {
    let served = served(1, 0).await;
    let mut raw = Raw::new(&served).await;
    raw.send(&frame(HEADERS, END_STREAM, 1, &live(&[]))).await;
    for _ in 0..10_000 {
        let more = frame(CONTINUATION, 0, 1, &block(&[("x", "y")]));
        if raw.stream.write_all(&more).await.is_err() {
            break;
        }
    }
    let heard = raw.hear(&[GOAWAY]).await;
    assert!(heard.is_none_or(|heard| reason(&heard) != 0));
}

#[tokio::test]
async fn requests_reset_as_soon_as_they_are_made_end_the_connection() {
    let served = served(1, 0).await;
    let mut raw = Raw::new(&served).await;
    let mut burst = Vec::new();
    for at in 0..2_000_u32 {
        burst.extend(frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            2 * at + 1,
            &live(&[]),
        ));
        burst.extend(frame(RESET, 0, 2 * at + 1, &8_u32.to_be_bytes()));
    }
    raw.send(&burst).await;
    let heard = raw.hear(&[GOAWAY]).await;
    assert!(heard.is_none_or(|heard| reason(&heard) == 11), "calm");
    assert_eq!(
        get(&mut served_client(&served).await, &served, "/bucket")
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn a_stream_beyond_the_limit_is_refused() {
    let served = served(1, 0).await;
    let mut raw = Raw::new(&served).await;
    let request = served
        .site
        .signer("alice")
        .sign(&Method::PUT, "/bucket/key", &[], b"abc");
    let mut headers = vec![
        (":method", "PUT"),
        (":scheme", "http"),
        (":authority", "s3.test"),
        (":path", "/bucket/key"),
        ("content-length", "3"),
    ];
    let own = request.headers().iter().filter(|(name, _)| *name != "host");
    headers.extend(own.map(|(name, value)| (name.as_str(), value.to_str().unwrap())));
    let block = block(&headers);
    for at in 0..=limits::STREAMS_PER_CONNECTION_MAX {
        raw.send(&frame(HEADERS, END_HEADERS, 2 * at + 1, &block))
            .await;
    }
    let heard = raw.hear(&[RESET, GOAWAY]).await.unwrap();
    assert_eq!(heard.stream, 2 * limits::STREAMS_PER_CONNECTION_MAX + 1);
    assert_eq!(reason(&heard), 7, "REFUSED_STREAM: it may be tried again");
}

#[tokio::test]
async fn garbage_for_frames_ends_the_connection() {
    let served = served(1, 0).await;
    for garbage in [
        frame(DATA, 0, 0, b"x"),
        frame(HEADERS, END_HEADERS, 2, &live(&[])),
        frame(HEADERS, END_HEADERS, 1, &[0x80]),
        frame(SETTINGS, 0, 0, b"12345"),
        vec![0xff; 64],
    ] {
        let mut raw = Raw::new(&served).await;
        raw.send(&garbage).await;
        let heard = raw.hear(&[GOAWAY]).await;
        assert!(heard.is_none_or(|heard| reason(&heard) != 0));
        assert!(closed(&mut raw.stream).await);
    }
}
