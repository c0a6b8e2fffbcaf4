//! Rebuilds ordered over the network.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cairn_model::{ChunkId, Coding, DiskId, DomainId, Incarnation, SessionId, Sha256, limits};
use cairn_wire::frame::FrameType;
use cairn_wire::storage as wire;
use cairn_world::Clock;
use cairn_world::real::RealClock;
use cairn_world::sim::SimClock;
use prost::Message as _;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::super::*;
use super::rig::{Cluster, LONG, SERVER, heartbeats, serve};
use super::store::Store;
use crate::*;

/// Answers after a while what it was told to.
#[derive(Debug)]
struct Smith {
    orders: Mutex<Vec<Rebuild>>,
    answer: Mutex<Result<Rebuilt, ShardError>>,
    takes: Mutex<Duration>,
    begun: Notify,
    given_up: Arc<Notify>,
}

struct Bell(Option<Arc<Notify>>);

impl Drop for Bell {
    fn drop(&mut self) {
        if let Some(bell) = self.0.take() {
            bell.notify_one();
        }
    }
}

#[async_trait]
impl ShardRebuild for Smith {
    async fn rebuild(&self, order: Rebuild) -> Result<Rebuilt, ShardError> {
        let mut bell = Bell(Some(Arc::clone(&self.given_up)));
        self.orders.lock().unwrap().push(order);
        self.begun.notify_one();
        let takes = *self.takes.lock().unwrap();
        RealClock::new().sleep(takes).await;
        bell.0 = None;
        self.answer.lock().unwrap().clone()
    }
}

struct Scene {
    smith: Arc<Smith>,
    _server: Endpoint,
    _caller: Endpoint,
    peer: Arc<RemotePeer>,
    client: ShardClient,
}

fn scene_of(roles: &[Role], within: Duration, clock: Option<Arc<dyn Clock>>) -> Scene {
    let cluster = Cluster::new(1);
    let store = Arc::new(Store::new());
    let smith = Arc::new(Smith {
        orders: Mutex::default(),
        answer: Mutex::new(Ok(Rebuilt::Written)),
        takes: Mutex::default(),
        begun: Notify::new(),
        given_up: Arc::default(),
    });
    let mut handler = ShardHandler::new(store.clone(), store);
    if let Some(clock) = clock {
        handler = handler.with_rebuild(smith.clone(), clock);
    }
    let dispatcher = heartbeats().with(FrameType::Storage, Arc::new(handler));
    let server = cluster.party(cluster.identity(SERVER, &Role::ALL));
    let (server, address) = serve(server, dispatcher);
    let caller = cluster.caller(roles);
    let peer = caller.peer(SERVER, &[address]);
    Scene {
        smith,
        _server: server,
        _caller: caller,
        client: ShardClient::new(Arc::clone(&peer), within),
        peer,
    }
}

fn voter(within: Duration) -> Scene {
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    scene_of(&[Role::MetadataVoter], within, Some(clock))
}

fn order() -> Rebuild {
    Rebuild {
        chunk: ChunkId {
            domain: DomainId(7),
            sha256: Sha256([3; 32]),
        },
        incarnation: Incarnation {
            group: 1,
            generation: 2,
            session: SessionId(3),
            counter: 4,
        },
        coding: Coding::new(4, 2).unwrap(),
        chunk_len: 9_000_000,
        table_digest: [5; 16],
        shard: 1,
        disk: DiskId([6; 16]),
        epoch: 77,
        sources: (0..6).map(|shard| (shard, DiskId([shard; 16]))).collect(),
        thorough: true,
    }
}

#[tokio::test]
async fn orders_and_what_became_of_them_arrive() {
    let scene = voter(LONG);
    for answer in [
        Ok(Rebuilt::Found),
        Ok(Rebuilt::Written),
        Err(ShardError::Missing),
        Err(ShardError::Full),
        Err(ShardError::NotMine),
        Err(ShardError::StaleEpoch { current: 78 }),
        Err(ShardError::Failed("EIO".to_owned())),
        Err(ShardError::Unavailable("busy".to_owned())),
        Err(ShardError::Corrupt("cell 3".to_owned())),
    ] {
        *scene.smith.answer.lock().unwrap() = answer.clone();
        assert_eq!(scene.client.rebuild(order()).await, answer);
        assert_eq!(scene.smith.orders.lock().unwrap().pop(), Some(order()));
    }
}

#[tokio::test]
async fn refuses_orders_of_any_but_a_voter() {
    for role in [Role::Gateway, Role::StorageNode] {
        let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
        let scene = scene_of(&[role], LONG, Some(clock));
        let refused = ShardError::Refused("this role may not make this call");
        assert_eq!(scene.client.rebuild(order()).await, Err(refused));
        assert!(scene.smith.orders.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn refuses_orders_where_nothing_rebuilds() {
    let scene = scene_of(&[Role::MetadataVoter], LONG, None);
    let refused = ShardError::Refused("the peer does not serve this call");
    assert_eq!(scene.client.rebuild(order()).await, Err(refused));
}

#[tokio::test]
async fn refuses_orders_that_are_malformed() {
    let scene = voter(LONG);
    let bare = wire::Rebuild::default();
    let call = Some(wire::request::Call::Rebuild(bare));
    let request = wire::Request { call }.encode_to_vec();
    let outcome = scene
        .peer
        .call(FrameType::Storage, request.into(), LONG)
        .await;
    assert_eq!(outcome, Err(CallError::Refused(Refusal::Malformed)));
    let mut long = order();
    long.sources = vec![(0, DiskId([1; 16])); limits::REBUILD_SOURCES_MAX + 1];
    let outcome = scene.client.rebuild(long).await;
    assert_eq!(outcome, Err(ShardError::Refused("too many sources")));
    assert!(scene.smith.orders.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_rebuild_may_take_longer_than_its_caller_waits_for_a_sign() {
    let scene = voter(Duration::from_millis(2_200));
    *scene.smith.takes.lock().unwrap() = Duration::from_millis(3_500);
    assert_eq!(scene.client.rebuild(order()).await, Ok(Rebuilt::Written));
}

#[tokio::test]
async fn silence_is_unavailable_and_ends_the_work() {
    // The server's clock stands still: it gives no sign of life.
    let still: Arc<dyn Clock> = Arc::new(SimClock::new());
    let within = Duration::from_millis(400);
    let scene = scene_of(&[Role::MetadataVoter], within, Some(still));
    *scene.smith.takes.lock().unwrap() = LONG;
    let outcome = scene.client.rebuild(order()).await;
    assert!(matches!(outcome, Err(ShardError::Unavailable(_))));
    timeout(LONG, scene.smith.given_up.notified())
        .await
        .unwrap();
}

#[tokio::test]
async fn an_order_given_up_is_not_carried_out_further() {
    let scene = voter(LONG);
    *scene.smith.takes.lock().unwrap() = LONG;
    let client = Arc::new(scene.client);
    let asking = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.rebuild(order()).await }
    });
    timeout(LONG, scene.smith.begun.notified()).await.unwrap();
    asking.abort();
    timeout(LONG, scene.smith.given_up.notified())
        .await
        .unwrap();
}
