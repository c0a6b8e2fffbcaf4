//! The port of HTTPS.

use super::*;
use crate::tls::client::Trusting;
use crate::tls::{SelfSigned, self_signed};
use tokio_rustls::client::TlsStream;

fn made() -> SelfSigned {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    self_signed(&names, None, 1_795_000_000_000).unwrap()
}

fn tls(pair: &SelfSigned) -> Arc<Tls> {
    Arc::new(Tls::new(pair.certificate.as_bytes(), pair.key.as_bytes()).unwrap())
}

/// With TLS 1.3.
fn trusting(trusted: &SelfSigned, protocols: &[&[u8]]) -> Trusting {
    Trusting::new(trusted, false, protocols)
}

async fn shake(served: &Served, client: &Trusting) -> io::Result<TlsStream<TcpStream>> {
    client.connect(served.connect().await).await
}

async fn live(stream: &mut TlsStream<TcpStream>) -> String {
    let ask = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    let mut heard = vec![0; 4096];
    let read = stream.read(&mut heard).await.unwrap();
    String::from_utf8_lossy(&heard[..read]).into_owned()
}

#[tokio::test]
async fn both_versions_and_both_protocols_are_spoken() {
    let pair = made();
    let served = served_with(1, 0, Some(tls(&pair))).await;
    for is_old in [false, true] {
        let client = Trusting::new(&pair, is_old, &[b"http/1.1"]);
        let mut stream = shake(&served, &client).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert!(live(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
    let preferring = trusting(&pair, &[b"h2", b"http/1.1"]);
    let stream = shake(&served, &preferring).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let silent = trusting(&pair, &[]);
    let mut stream = shake(&served, &silent).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), None);
    assert!(live(&mut stream).await.starts_with("HTTP/1.1 200"));
    let other = trusting(&pair, &[b"h3"]);
    assert!(shake(&served, &other).await.is_err(), "nothing in common");
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections() {
    let (old, new) = (made(), made());
    let tls = tls(&old);
    let served = served_with(1, 0, Some(Arc::clone(&tls))).await;
    let (trusts_old, trusts_new) = (trusting(&old, &[]), trusting(&new, &[]));
    let mut open = shake(&served, &trusts_old).await.unwrap();
    assert!(live(&mut open).await.starts_with("HTTP/1.1 200"));
    assert!(tls.replace(new.certificate.as_bytes(), b"broken").is_err());
    assert!(shake(&served, &trusts_old).await.is_ok(), "nothing changed");
    tls.replace(new.certificate.as_bytes(), new.key.as_bytes())
        .unwrap();
    assert!(shake(&served, &trusts_new).await.is_ok());
    let later = trusting(&old, &[]);
    assert!(shake(&served, &later).await.is_err());
    assert!(
        live(&mut open).await.starts_with("HTTP/1.1 200"),
        "still open"
    );
}

#[tokio::test]
async fn plain_http_is_told_that_this_is_https() {
    let served = served_with(1, 0, Some(tls(&made()))).await;
    let head = served.head(&Method::PUT, "/bucket/key", b"abc", "content-length: 3\r\n");
    let texts = [
        "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n",
        &format!("{head}abc"),
    ];
    for text in texts {
        let mut stream = served.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        let refused = until(&mut stream, "</Error>").await;
        assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
        assert!(refused.contains("This port speaks HTTPS"), "{refused}");
        assert!(closed(&mut stream).await);
    }
    let got = served.site.call(Method::GET, "/bucket/key", "").await;
    assert_eq!(got.status, 404, "nothing was stored");
}

#[tokio::test]
async fn handshakes_that_hang_are_cut_off_and_hold_nobody_up() {
    let pair = made();
    let served = served_with(1, 0, Some(tls(&pair))).await;
    let mut hanging = Vec::new();
    for _ in 0..50 {
        let mut stream = served.connect().await;
        stream.write_all(b"\x16\x03\x01\x00\xc8\x01").await.unwrap();
        hanging.push(stream);
    }
    let mut silent = served.connect().await;
    let client = trusting(&pair, &[]);
    let mut stream = shake(&served, &client).await.unwrap();
    assert!(live(&mut stream).await.starts_with("HTTP/1.1 200"));
    settle().await;
    let patience = Duration::from_secs(limits::TLS_HANDSHAKE_TIMEOUT_SECS);
    served.site.clock.advance(patience);
    for mut stream in hanging {
        assert!(closed(&mut stream).await);
    }
    assert!(live(&mut stream).await.starts_with("HTTP/1.1 200"));
    served
        .site
        .clock
        .advance(Duration::from_secs(limits::IDLE_TIMEOUT_SECS));
    assert!(closed(&mut silent).await);
}

#[tokio::test]
async fn garbage_for_a_handshake_ends_the_connection() {
    let pair = made();
    let served = served_with(1, 0, Some(tls(&pair))).await;
    for garbage in [
        &b"\x16\x03\x01\x00\x05hello"[..],
        b"\x16garbage that is no record at all",
    ] {
        let mut stream = served.connect().await;
        stream.write_all(garbage).await.unwrap();
        stream.write_all(&[0; 64]).await.ok();
        assert!(closed(&mut stream).await);
    }
    let old = trusting(&pair, &[]);
    assert!(shake(&served, &old).await.is_ok(), "others are served");
}

#[tokio::test]
async fn a_drain_ends_a_connection_that_asked_for_nothing() {
    let pair = made();
    let mut served = served_with(1, 0, Some(tls(&pair))).await;
    let (silent, mut hanging) = (served.connect().await, served.connect().await);
    hanging.write_all(b"\x16\x03").await.unwrap();
    let stream = shake(&served, &trusting(&pair, &[])).await.unwrap();
    settle().await;
    served.stop.take().unwrap().send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), served.serving).await;
    ended.unwrap().unwrap().unwrap();
    drop((silent, hanging, stream));
}
