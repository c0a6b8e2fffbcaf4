//! The bounds of a process hold, and what waits behind them goes on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_wire::frame::FrameType;
use cairn_world::real::RealClock;
use tokio::sync::{Notify, Semaphore};

use super::super::dispatch::{Bounds, Desk};
use super::super::*;
use super::rig::{Cluster, LONG, SERVER, loopback};

/// Holds each request until it is given a permit.
#[derive(Debug)]
struct Holder {
    begun: Notify,
    gate: Semaphore,
}

#[async_trait]
impl Handler for Holder {
    async fn handle(&self, _: &Peer, call: &mut ServerCall) -> Result<(), Abort> {
        let frame = call.next_frame().await?;
        self.begun.notify_one();
        self.gate.acquire().await.unwrap().forget();
        drop(frame);
        call.send(Bytes::from_static(b"done")).await
    }
}

fn scene(bounds: Bounds) -> (Arc<Holder>, Arc<RemotePeer>, (Endpoint, Endpoint)) {
    let cluster = Cluster::new(1);
    let holder = Arc::new(Holder {
        begun: Notify::new(),
        gate: Semaphore::new(0),
    });
    let dispatcher = Dispatcher::default().with(FrameType::Metadata, holder.clone());
    let desk = Desk::new(dispatcher, Arc::new(RealClock::new()), bounds);
    let party = cluster.party(cluster.identity(SERVER, &Role::ALL));
    let server = Endpoint::bind_desk(loopback(), party, Some(desk)).unwrap();
    let caller = cluster.caller(&[Role::Gateway]);
    let peer = caller.peer(SERVER, &[server.local_addr().unwrap()]);
    (holder, peer, (server, caller))
}

type Outcome = tokio::task::JoinHandle<Result<Bytes, CallError>>;

fn ask(peer: &Arc<RemotePeer>, len: usize) -> Outcome {
    let peer = Arc::clone(peer);
    let request = Bytes::from(vec![0; len]);
    tokio::spawn(async move { peer.call(FrameType::Metadata, request, LONG).await })
}

#[tokio::test]
async fn calls_beyond_the_bound_are_turned_away_and_nothing_was_done() {
    let bounds = Bounds {
        calls: 2,
        bytes: 16 << 20,
    };
    let (holder, peer, _ends) = scene(bounds);
    let held = [ask(&peer, 1), ask(&peer, 1)];
    for _ in &held {
        holder.begun.notified().await;
    }
    let outcome = ask(&peer, 1).await.unwrap();
    let busy = CallError::NotReached("the peer is busy".to_owned());
    assert_eq!(outcome, Err(busy));
    holder.gate.add_permits(3);
    for call in held {
        assert_eq!(call.await.unwrap().unwrap(), "done");
    }
    // The places are free again; the last answer may arrive before its place is.
    let again = async { while ask(&peer, 1).await.unwrap().is_err() {} };
    tokio::time::timeout(LONG, again).await.unwrap();
}

#[tokio::test]
async fn requests_beyond_the_bytes_wait_for_the_first_to_end() {
    let bounds = Bounds {
        calls: 100,
        bytes: 1 << 20,
    };
    let (holder, peer, _ends) = scene(bounds);
    let first = ask(&peer, 1 << 20);
    holder.begun.notified().await;
    let second = ask(&peer, 1 << 20);
    let begun = tokio::time::timeout(Duration::from_millis(300), holder.begun.notified());
    assert!(
        begun.await.is_err(),
        "its payload was taken beside the first"
    );
    holder.gate.add_permits(2);
    assert_eq!(first.await.unwrap().unwrap(), "done");
    assert_eq!(second.await.unwrap().unwrap(), "done");
}
