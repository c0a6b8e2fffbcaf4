//! Over real sockets on loopback, with a clock moved by hand.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use cairn_world::Clock as _;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::fakes::client::wire_head;
use crate::fakes::{Site, pattern};

mod crowd;
mod multiplexed;
mod secure;
mod wire;

struct Served {
    site: Site,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<io::Result<()>>,
}

async fn served(data: u8, parity: u8) -> Served {
    served_with(data, parity, None).await
}

async fn served_with(data: u8, parity: u8, tls: Option<Arc<Tls>>) -> Served {
    let site = Site::new(data, parity).with_bucket().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let gateway = site.gateway.clone();
    let serving = tokio::spawn(async move {
        let stopped = async { stopped.await.unwrap_or(()) };
        match tls {
            Some(tls) => gateway.serve_tls(listener, tls, stopped).await,
            None => gateway.serve(listener, stopped).await,
        }
    });
    Served {
        site,
        address,
        stop: Some(stop),
        serving,
    }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The head of a request by alice whose body has this digest.
    fn head(&self, method: &Method, target: &str, body: &[u8], more: &str) -> String {
        let request = self.site.signer("alice").sign(method, target, &[], body);
        wire_head(&request, more)
    }
}

/// Reads until `end` has come, or the connection is over.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    let reading = async {
        let mut buffer = [0; 4096];
        loop {
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            text.extend_from_slice(&buffer[..read]);
            if read == 0 || String::from_utf8_lossy(&text).contains(end) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading)
        .await
        .expect("an answer in time");
    String::from_utf8_lossy(&text).into_owned()
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Whether the peer has closed.
async fn closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let reading = stream.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(5), reading)
        .await
        .is_ok()
}

#[tokio::test]
async fn health_tells_what_it_should() {
    let served = served(2, 1).await;
    let mut stream = served.connect().await;
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    stream
        .write_all(ask("/health/live").as_bytes())
        .await
        .unwrap();
    let live = until(&mut stream, "live\n").await;
    assert!(
        live.starts_with("HTTP/1.1 200") && live.contains("x-amz-request-id"),
        "{live}"
    );
    stream
        .write_all(ask("/health/ready").as_bytes())
        .await
        .unwrap();
    assert!(
        until(&mut stream, "ready\n")
            .await
            .starts_with("HTTP/1.1 200")
    );
    served.site.metadata.set_down(true);
    stream
        .write_all(ask("/health/ready").as_bytes())
        .await
        .unwrap();
    assert!(
        until(&mut stream, "answer\n")
            .await
            .starts_with("HTTP/1.1 503")
    );
    served.site.metadata.set_down(false);
    served.site.disks.fault(0, crate::fakes::DiskFault::Full);
    stream
        .write_all(ask("/health/ready").as_bytes())
        .await
        .unwrap();
    let full = until(&mut stream, "ready\n").await;
    assert!(full.starts_with("HTTP/1.1 200"), "it still serves reads");
    let failed = crate::fakes::DiskFault::FailsWrite;
    served.site.disks.fault(0, failed);
    stream
        .write_all(ask("/health/ready").as_bytes())
        .await
        .unwrap();
    assert!(
        until(&mut stream, "work\n")
            .await
            .starts_with("HTTP/1.1 503")
    );
    stream.write_all(ask("/metrics").as_bytes()).await.unwrap();
    let metrics = until(&mut stream, "cairn_sent_bytes_total 0\n").await;
    assert!(
        metrics.contains("operation=\"CreateBucket\",status=\"200\"} 1"),
        "{metrics}"
    );
    let timed = "cairn_request_seconds_count{operation=\"CreateBucket\"} 1\n";
    assert!(metrics.contains(timed), "{metrics}");
    let marked = "cairn_mark_discrepancies 2\n";
    assert!(metrics.contains(marked), "asked by itself: {metrics}");
    assert!(metrics.contains("cairn_mark_rows 40\n"), "{metrics}");
    let ended = "cairn_mark_timestamp_seconds 5\n";
    assert!(metrics.contains(ended), "{metrics}");
    for series in on_the_dashboard() {
        let shown = |line: &str| line.split(['{', ' ']).next() == Some(&series);
        assert!(metrics.lines().any(shown), "{series}: {metrics}");
    }
}

/// The series that the Grafana dashboard draws.
fn on_the_dashboard() -> BTreeSet<String> {
    let dashboard = include_str!("../../../docker/grafana/cairn.json");
    let panels: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let panels = panels["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let queries = targets
        .flatten()
        .map(|target| target["expr"].as_str().unwrap());
    let no_part = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
    let words = queries.flat_map(|query| query.split(no_part));
    let series = words.filter(|word| word.starts_with("cairn_"));
    let series: BTreeSet<String> = series.map(str::to_owned).collect();
    assert!(series.len() > 25, "{series:?}");
    series
}

#[tokio::test]
async fn a_slow_head_is_cut_off_and_an_idle_connection_later() {
    let served = served(1, 0).await;
    let (mut slow, mut idle) = (served.connect().await, served.connect().await);
    slow.write_all(b"GET /health/live HTTP/1.1\r\nHo")
        .await
        .unwrap();
    settle().await;
    for _ in 0..limits::HEADER_TIMEOUT_SECS {
        served.site.clock.advance(Duration::from_secs(1));
        // A byte now and then does not help.
        slow.write_all(b"x").await.ok();
        settle().await;
    }
    assert!(closed(&mut slow).await);
    idle.write_all(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(
        until(&mut idle, "live\n").await.contains("200"),
        "idle is not slow"
    );
    settle().await;
    served
        .site
        .clock
        .advance(Duration::from_secs(limits::IDLE_TIMEOUT_SECS));
    assert!(closed(&mut idle).await);
}

#[tokio::test]
async fn continue_is_said_only_after_authorisation() {
    let served = served(1, 0).await;
    let body = pattern(9_000);
    let more = "content-length: 9000\r\nexpect: 100-continue\r\n";
    let mut stream = served.connect().await;
    let head = served.head(&Method::PUT, "/bucket/key", &body, more);
    stream.write_all(head.as_bytes()).await.unwrap();
    let go = until(&mut stream, "\r\n\r\n").await;
    assert_eq!(go, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&body).await.unwrap();
    let done = until(&mut stream, "\r\n\r\n").await;
    assert!(done.starts_with("HTTP/1.1 200"), "{done}");
    // Another's bucket, a wrong signature, an operation that is not built: no byte is asked for.
    let bob = served
        .site
        .signer("bob")
        .sign(&Method::PUT, "/bucket/key", &[], &body);
    let mut wrong = served.site.signer("alice");
    wrong.secret_key.push('x');
    let wrong = wrong.sign(&Method::PUT, "/bucket/key", &[], &body);
    let alice = served.site.signer("alice");
    let unbuilt = alice.sign(&Method::PUT, "/bucket/key?retention", &[], &body);
    for (request, status) in [(bob, "403"), (wrong, "403"), (unbuilt, "501")] {
        let mut stream = served.connect().await;
        stream
            .write_all(wire_head(&request, more).as_bytes())
            .await
            .unwrap();
        let refused = until(&mut stream, "</Error>").await;
        assert!(
            refused.starts_with(&format!("HTTP/1.1 {status}")),
            "{refused}"
        );
        assert!(refused.contains("<RequestId>") && refused.contains("application/xml"));
    }
}

#[tokio::test]
async fn two_lengths_for_one_body_are_refused() {
    let served = served(1, 0).await;
    for framing in [
        "content-length: 3\r\ntransfer-encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    ] {
        let mut stream = served.connect().await;
        let head = served.head(&Method::PUT, "/bucket/key", b"abc", framing);
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"3\r\nabc\r\n0\r\n\r\n").await.unwrap();
        let refused = until(&mut stream, "</Error>").await;
        assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
        assert!(closed(&mut stream).await);
    }
    for framing in [
        "content-length: 3\r\ncontent-length: 4\r\n",
        "content-length: +3\r\n",
        "content-length: 3\r\ntransfer-encoding: gzip\r\n",
        "x-folded: a\r\n b\r\ncontent-length: 3\r\n",
        "bad header: x\r\ncontent-length: 3\r\n",
    ] {
        let mut stream = served.connect().await;
        let head = served.head(&Method::PUT, "/bucket/key", b"abc", framing);
        stream.write_all(head.as_bytes()).await.unwrap();
        let refused = until(&mut stream, "\r\n\r\n").await;
        assert!(refused.starts_with("HTTP/1.1 400"), "{framing:?} {refused}");
    }
    let got = served.site.call(Method::GET, "/bucket/key", "").await;
    assert_eq!(got.status, 404, "nothing was stored");
}

#[tokio::test]
async fn a_chunked_transfer_of_framed_chunks_is_taken() {
    let served = served(1, 0).await;
    let headers = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "5"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let request = served
        .site
        .signer("alice")
        .sign(&Method::PUT, "/bucket/key", &headers, b"");
    let mut stream = served.connect().await;
    let head = wire_head(&request, "transfer-encoding: chunked\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let framed = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    let outer = format!("{:x}\r\n{framed}\r\n0\r\n\r\n", framed.len());
    stream.write_all(outer.as_bytes()).await.unwrap();
    let done = until(&mut stream, "\r\n\r\n").await;
    assert!(done.starts_with("HTTP/1.1 200"), "{done}");
    assert_eq!(
        served.site.call(Method::GET, "/bucket/key", "").await.body,
        "hello"
    );
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let served = served(2, 1).await;
    let body = pattern(2 << 20);
    let mut stream = served.connect().await;
    let head = served.head(
        &Method::PUT,
        "/bucket/key",
        &body,
        "content-length: 2097152\r\n",
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..1 << 20]).await.unwrap();
    settle().await;
    drop(stream);
    for _ in 0..100 {
        settle().await;
        let (prepared, dropped) = served.site.disks.uploads();
        if prepared > 0 && prepared == dropped {
            break;
        }
    }
    let (prepared, dropped) = served.site.disks.uploads();
    assert!(prepared > 0 && prepared == dropped, "{prepared} {dropped}");
    assert_eq!(
        served
            .site
            .call(Method::GET, "/bucket/key", "")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_broken_read_is_an_aborted_transfer() {
    let served = served(2, 1).await;
    served
        .site
        .call(Method::PUT, "/bucket/key", pattern(4 << 20))
        .await;
    served.site.disks.edit(|sealed| {
        sealed
            .values_mut()
            .for_each(|shard| shard.cells.truncate(16));
    });
    let mut stream = served.connect().await;
    let head = served.head(&Method::GET, "/bucket/key", b"", "");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("content-length: 4194304"));
    let split = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let sent = &answer[split + 4..];
    assert!(sent.len() < 4 << 20 && pattern(4 << 20).starts_with(sent));
}

#[tokio::test]
async fn heads_beyond_the_limits_are_refused() {
    let served = served(1, 0).await;
    for more in [
        format!("x-long: {}\r\n", "y".repeat(17 << 10)),
        (0..101).map(|at| format!("x-{at}: y\r\n")).collect(),
    ] {
        let mut stream = served.connect().await;
        let head = served.head(&Method::GET, "/bucket", b"", &more);
        stream.write_all(head.as_bytes()).await.unwrap();
        let refused = until(&mut stream, "\r\n\r\n").await;
        assert!(refused.starts_with("HTTP/1.1 4"), "{refused}");
    }
}

#[tokio::test]
async fn shutting_down_lets_requests_end_and_ends_the_session() {
    let mut served = served(1, 0).await;
    let body = pattern(9_000);
    let mut stream = served.connect().await;
    let more = "content-length: 9000\r\nexpect: 100-continue\r\n";
    let head = served.head(&Method::PUT, "/bucket/key", &body, more);
    stream.write_all(head.as_bytes()).await.unwrap();
    until(&mut stream, "\r\n\r\n").await;
    served.stop.take().unwrap().send(()).unwrap();
    settle().await;
    assert!(
        TcpStream::connect(served.address).await.is_err(),
        "no new connections"
    );
    assert_eq!(
        served.site.metadata.open_sessions().len(),
        1,
        "an upload is in it"
    );
    stream.write_all(&body).await.unwrap();
    let done = until(&mut stream, "\r\n\r\n").await;
    assert!(done.starts_with("HTTP/1.1 200"), "{done}");
    let ended = tokio::time::timeout(Duration::from_secs(10), served.serving).await;
    ended.unwrap().unwrap().unwrap();
    assert!(served.site.metadata.open_sessions().is_empty());
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    let served = served(1, 0).await;
    served
        .site
        .call(Method::PUT, "/bucket/key", pattern(24 << 20))
        .await;
    let mut stream = served.connect().await;
    let head = served.head(&Method::GET, "/bucket/key", b"", "");
    stream.write_all(head.as_bytes()).await.unwrap();
    settle().await;
    settle().await;
    let before = served.site.clock.monotonic();
    for _ in 0..10 {
        served.site.clock.advance(Duration::from_secs(60));
        settle().await;
    }
    assert!(served.site.clock.monotonic() > before);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    assert!(answer.len() < 24 << 20, "cut off at {}", answer.len());
}
