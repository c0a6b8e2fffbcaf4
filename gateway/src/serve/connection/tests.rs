use super::*;
use crate::fakes::HandClock;
use tokio::io::AsyncWriteExt as _;

fn exchange() -> (Arc<HandClock>, Exchange) {
    let clock = Arc::new(HandClock::new());
    (clock.clone(), Exchange::new(clock))
}

#[test]
fn the_first_bytes_tell_what_is_spoken() {
    assert_eq!(Spoken::of(b""), None);
    assert_eq!(Spoken::of(b"P"), None);
    assert_eq!(Spoken::of(b"PUT"), Some(Spoken::Http1));
    assert_eq!(Spoken::of(b"PRI * HTTP/2.0\r\n\r\n"), None);
    assert_eq!(Spoken::of(b"PRI * HTTP/1.1\r\n"), Some(Spoken::Http1));
    assert_eq!(Spoken::of(PREFACE), Some(Spoken::Http2));
    assert_eq!(Spoken::of(b"\x16\x03\x01"), Some(Spoken::Tls));
    assert_eq!(Spoken::of(b"\r\n"), Some(Spoken::Http1));
}

#[tokio::test]
async fn what_was_sniffed_is_read_again() {
    for (text, spoken) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], Spoken::Http1),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nframes", Spoken::Http2),
        (b"PUX", Spoken::Http1),
        (b"PRI", Spoken::Nothing),
    ] {
        let (_clock, exchange) = exchange();
        let (mut client, server) = tokio::io::duplex(64);
        let mut socket = Connection::new(server, exchange.clone());
        let writing = tokio::spawn(async move {
            for byte in text {
                client.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(socket.sniff().await.unwrap(), spoken);
        writing.await.unwrap();
        match spoken {
            Spoken::Http2 => exchange.http2(),
            _ => exchange.http1(),
        }
        let mut read = Vec::new();
        socket.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, text);
    }
}

#[tokio::test]
async fn the_next_request_waits_for_the_answer_to_this_one() {
    let (_clock, exchange) = exchange();
    let (mut client, server) = tokio::io::duplex(256);
    exchange.http1();
    let mut socket = Connection::new(server, exchange.clone());
    let (one, two) = (b"GET /1 HTTP/1.1\r\n\r\n", b"GET /2 HTTP/1.1\r\n\r\n");
    client.write_all(&[&one[..], two].concat()).await.unwrap();
    let mut buffer = [0; 256];
    let read = socket.read(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..read], one);
    assert_eq!(exchange.begin(), None);
    let early = tokio::time::timeout(Duration::from_millis(20), socket.read(&mut buffer)).await;
    assert!(early.is_err(), "it is held");
    let ending = exchange.clone();
    tokio::spawn(async move { ending.end() });
    let read = socket.read(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..read], two);
}

#[tokio::test]
async fn a_connection_is_idle_only_while_nothing_is_open() {
    let (clock, exchange) = exchange();
    exchange.http2();
    let idle = tokio::spawn({
        let exchange = exchange.clone();
        async move { exchange.idle().await }
    });
    let settle = || tokio::time::sleep(Duration::from_millis(10));
    let minute = Duration::from_secs(limits::IDLE_TIMEOUT_SECS);
    exchange.begin();
    exchange.begin();
    exchange.end();
    settle().await;
    clock.advance(minute * 3);
    settle().await;
    exchange.end();
    settle().await;
    clock.advance(minute - Duration::from_secs(1));
    settle().await;
    assert!(!idle.is_finished());
    clock.advance(minute);
    settle().await;
    assert!(idle.is_finished());
}
