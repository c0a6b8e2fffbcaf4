//! What a call does when things go wrong.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::limits;
use cairn_wire::frame::FrameType;
use cairn_world::sim::SimClock;
use tokio::sync::Notify;

use super::super::*;
use super::rig::{CALLER, Cluster, LONG, SERVER, call_as, heartbeats, loopback, serve};

/// Echoes; "hang" hangs, "long N" answers N bytes, "frame N" in one frame, "panic" panics.
#[derive(Debug, Default)]
struct Echo {
    begun: Notify,
    given_up: Arc<Notify>,
}

struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[async_trait]
impl Handler for Echo {
    async fn handle(&self, _: &Peer, call: &mut ServerCall) -> Result<(), Abort> {
        let request = call
            .next()
            .await?
            .ok_or(Abort::Refuse(Refusal::Malformed))?;
        let text = String::from_utf8_lossy(&request).into_owned();
        if text == "hang" {
            self.begun.notify_one();
            let _given_up = OnDrop(Arc::clone(&self.given_up));
            std::future::pending::<()>().await;
        }
        assert_ne!(text, "panic");
        if let Some(len) = text.strip_prefix("frame ") {
            return call.send(vec![9; len.parse().unwrap()].into()).await;
        }
        match text.strip_prefix("long ") {
            Some(len) => call.send_long(vec![9; len.parse().unwrap()].into()).await,
            None => call.send(request).await,
        }
    }
}

fn echoing() -> (Arc<Echo>, Dispatcher) {
    let echo = Arc::new(Echo::default());
    let dispatcher = heartbeats().with(FrameType::Metadata, echo.clone());
    (echo, dispatcher)
}

async fn ask(peer: &RemotePeer, request: &'static str) -> Result<Bytes, CallError> {
    peer.call(FrameType::Metadata, Bytes::from(request), LONG)
        .await
}

#[tokio::test]
async fn refuses_a_role_and_a_type_nobody_serves() {
    let cluster = Cluster::new(1);
    let (_echo, dispatcher) = echoing();
    let (_server, address) = cluster.server(dispatcher);
    let caller = cluster.caller(&[Role::Gateway]);
    let peer = caller.peer(SERVER, &[address]);
    for (kind, refusal) in [
        (FrameType::Consensus, Refusal::Role),
        (FrameType::Delta, Refusal::Role),
        (FrameType::Storage, Refusal::Unserved),
    ] {
        let outcome = peer.call(kind, Bytes::from_static(b"x"), LONG).await;
        assert_eq!(outcome, Err(CallError::Refused(refusal)), "{kind:?}");
    }
    assert_eq!(ask(&peer, "still there").await.unwrap(), "still there");
}

#[tokio::test]
async fn refuses_a_heartbeat_in_anothers_name() {
    use cairn_wire::control::{Control, Heartbeat, control::Body};
    use prost::Message as _;
    let cluster = Cluster::new(1);
    let (_server, address) = cluster.server(heartbeats());
    let caller = cluster.caller(&[Role::Gateway]);
    let peer = caller.peer(SERVER, &[address]);
    let body = Some(Body::Heartbeat(Heartbeat {
        node: 1,
        number: 1,
        disks: Vec::new(),
    }));
    let false_words = Control { body }.encode_to_vec();
    for request in [
        Bytes::from(false_words),
        Bytes::from_static(b"\xff\xff"),
        Bytes::new(),
    ] {
        let outcome = peer.call(FrameType::Control, request, LONG).await;
        assert_eq!(outcome, Err(CallError::Refused(Refusal::Malformed)));
    }
}

#[tokio::test]
async fn a_deadline_ends_the_call_and_its_handler() {
    let cluster = Cluster::new(1);
    let (echo, dispatcher) = echoing();
    let (_server, address) = cluster.server(dispatcher);
    let caller = cluster.caller(&[Role::Gateway]);
    let peer = caller.peer(SERVER, &[address]);
    assert_eq!(ask(&peer, "warm").await.unwrap(), "warm");
    let short = Duration::from_millis(200);
    let outcome = peer
        .call(FrameType::Metadata, Bytes::from_static(b"hang"), short)
        .await;
    assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}");
    tokio::time::timeout(LONG, echo.given_up.notified())
        .await
        .expect("the handler was let go");
    assert_eq!(ask(&peer, "on").await.unwrap(), "on");
}

#[tokio::test]
async fn a_peer_that_dies_leaves_the_outcome_unknown_and_is_called_again_when_back() {
    let cluster = Cluster::new(1);
    let (echo, dispatcher) = echoing();
    let identity = cluster.identity(SERVER, &Role::ALL);
    let (server, address) = serve(cluster.party(identity.clone()), dispatcher);
    let caller = cluster.caller(&[Role::Gateway]);
    let peer = caller.peer(SERVER, &[address]);
    let hanging = tokio::spawn({
        let peer = Arc::clone(&peer);
        async move { ask(&peer, "hang").await }
    });
    echo.begun.notified().await;
    server.close().await;
    let outcome = hanging.await.unwrap();
    assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}");

    // The same node elsewhere.
    let (_echo, dispatcher) = echoing();
    let (_server, address) = serve(cluster.party(identity), dispatcher);
    peer.moved(vec![address.to_string()]);
    assert_eq!(ask(&peer, "back").await.unwrap(), "back");
}

#[tokio::test]
async fn nobody_there_is_never_reached() {
    let cluster = Cluster::new(1);
    // A socket that hears and never answers.
    let deaf = std::net::UdpSocket::bind(loopback()).unwrap();
    let caller = cluster.caller(&[Role::Gateway]);
    let peer = caller.peer(SERVER, &[deaf.local_addr().unwrap()]);
    let short = Duration::from_millis(100);
    let outcome = peer.heartbeat(1, short).await;
    assert!(
        matches!(outcome, Err(CallError::NotReached(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_peer_that_failed_is_left_alone_for_the_backoff() {
    let cluster = Cluster::new(1);
    let clock = Arc::new(SimClock::new());
    let party = Party {
        clock: clock.clone(),
        ..cluster.party(cluster.identity(CALLER, &[Role::Gateway]))
    };
    let caller = call_as(party);
    let peer = caller.peer(SERVER, &[] as &[String]);
    let none = Err(CallError::NotReached("no address is known".to_owned()));
    assert_eq!(peer.heartbeat(1, LONG).await.map(|_| ()), none);
    let (_server, address) = cluster.server(heartbeats());
    peer.moved(vec![address.to_string()]);
    assert_eq!(peer.heartbeat(2, LONG).await.map(|_| ()), none);
    clock.advance(Duration::from_millis(49));
    assert_eq!(peer.heartbeat(3, LONG).await.map(|_| ()), none);
    clock.advance(Duration::from_millis(51));
    assert_eq!(peer.heartbeat(4, LONG).await.map(|_| ()), Ok(()));
}

#[tokio::test]
async fn the_second_address_is_tried() {
    let cluster = Cluster::new(1);
    let (_server, address) = cluster.server(heartbeats());
    let caller = cluster.caller(&[Role::Gateway]);
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let peer = caller.peer(SERVER, &[nowhere, address]);
    assert!(peer.heartbeat(1, LONG).await.is_ok());
}

#[tokio::test]
async fn long_answers_come_whole_up_to_their_bound() {
    let cluster = Cluster::new(1);
    let (_echo, dispatcher) = echoing();
    let (_server, address) = cluster.server(dispatcher);
    let caller = cluster.caller(&[Role::Gateway]);
    let peer = caller.peer(SERVER, &[address]);
    let most = limits::RPC_ANSWER_LEN_MAX;
    for len in [0, 1, 1 << 20, (1 << 20) + 1, 3_000_000, most] {
        let request = Bytes::from(format!("long {len}"));
        let answer = peer.call(FrameType::Metadata, request, LONG).await.unwrap();
        assert_eq!(answer.len(), len);
        assert!(answer.iter().all(|byte| *byte == 9));
    }
    let request = Bytes::from(format!("long {}", most + 1));
    let outcome = peer.call(FrameType::Metadata, request, LONG).await;
    assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}");
}

#[tokio::test]
async fn an_answer_that_cannot_be_sent_is_unknown_and_no_refusal() {
    let cluster = Cluster::new(1);
    let (_echo, dispatcher) = echoing();
    let (_server, address) = cluster.server(dispatcher);
    let caller = cluster.caller(&[Role::Gateway]);
    let peer = caller.peer(SERVER, &[address]);
    assert_eq!(ask(&peer, "frame 1048576").await.unwrap().len(), 1 << 20);
    let outcome = ask(&peer, "frame 1048577").await;
    assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_handler_that_panics_gives_unknown_and_harms_nobody_else() {
    let cluster = Cluster::new(1);
    let (_echo, dispatcher) = echoing();
    let (_server, address) = cluster.server(dispatcher);
    let caller = cluster.caller(&[Role::Gateway]);
    let peer = caller.peer(SERVER, &[address]);
    let outcome = ask(&peer, "panic").await;
    assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}");
    assert_eq!(ask(&peer, "on").await.unwrap(), "on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_each_get_their_own_answer() {
    let cluster = Cluster::new(1);
    let (_echo, dispatcher) = echoing();
    let (_server, address) = cluster.server(dispatcher);
    let caller = cluster.caller(&[Role::Gateway]);
    let peer = caller.peer(SERVER, &[address]);
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..1_000 {
        let peer = Arc::clone(&peer);
        calls.spawn(async move {
            let request = Bytes::from(format!("call {number} {}", "x".repeat(number)));
            let answer = peer.call(FrameType::Metadata, request.clone(), LONG).await;
            assert_eq!(answer, Ok(request));
        });
    }
    let mut done = 0;
    while let Some(outcome) = calls.join_next().await {
        outcome.unwrap();
        done += 1;
    }
    assert_eq!(done, 1_000);
}

/// Without discovery a datagram has 1,200 bytes, and the measured throughput is out of reach.
#[tokio::test]
async fn datagrams_grow_to_what_the_path_takes() {
    let cluster = Cluster::new(1);
    let (_echo, dispatcher) = echoing();
    let (_server, address) = cluster.server(dispatcher);
    let caller = cluster.caller(&[Role::Gateway]);
    let peer = caller.peer(SERVER, &[address]);
    let link = peer.link(&peer.deadline(LONG)).await.unwrap();
    let grown = async {
        while link.connection.stats().path.current_mtu < 6_000 {
            let request = Bytes::from(vec![b'x'; 500_000]);
            let answer = peer.call(FrameType::Metadata, request, LONG).await;
            assert_eq!(answer.unwrap().len(), 500_000);
        }
    };
    tokio::time::timeout(LONG, grown).await.unwrap();
    assert!(link.connection.stats().path.current_mtu <= 6_500);
}
