//! More clients, and more requests, than there are places.

use super::multiplexed::{begin, client, finish};
use super::*;

/// A port with so many places, on a site.
async fn port(connections: usize, streams: usize) -> Served {
    let site = Site::new(1, 0).with_bucket().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let port = Port {
        gateway: site.gateway.clone(),
        tls: None,
        connections: Arc::new(Semaphore::new(connections)),
        streams: Arc::new(Semaphore::new(streams)),
        mistake: Arc::default(),
    };
    let serving = tokio::spawn(async move {
        let (_stop, stopping) = watch::channel(false);
        port.accept(&listener, &stopping).await;
        Ok(())
    });
    Served {
        site,
        address,
        stop: None,
        serving,
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let served = port(2, 1).await;
    let (one, _two) = (served.connect().await, served.connect().await);
    settle().await;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut stream = served.connect().await;
        let ask = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        waiting.push(stream);
    }
    let mut buffer = [0; 1];
    let early = waiting[0].read(&mut buffer);
    let early = tokio::time::timeout(Duration::from_millis(200), early).await;
    assert!(early.is_err(), "both places are taken");
    drop(one);
    for mut stream in waiting {
        assert!(until(&mut stream, "live\n").await.contains("200"));
    }
}

#[tokio::test]
async fn requests_over_http_2_beyond_the_limit_are_told_to_slow_down() {
    let served = port(4, 1).await;
    let (mut one, _connection) = client(&served, 1 << 20).await;
    let (mut two, _connection) = client(&served, 1 << 20).await;
    let mut request = served.over_h2(&Method::PUT, "/bucket/key", b"abc");
    request.headers_mut().insert("content-length", 3.into());
    let (response, mut sending) = begin(&mut one, request, false).await;
    settle().await;
    let other = || served.over_h2(&Method::GET, "/bucket/key", b"");
    let refused = finish(begin(&mut two, other(), true).await.0)
        .await
        .unwrap();
    assert_eq!(refused.0, 503);
    assert!(String::from_utf8(refused.1).unwrap().contains("SlowDown"));
    sending.send_data(b"abc".as_slice().into(), true).unwrap();
    assert_eq!(finish(response).await.unwrap().0, 200);
    let served = finish(begin(&mut two, other(), true).await.0)
        .await
        .unwrap();
    assert_eq!(served, (200, b"abc".to_vec()));
}
