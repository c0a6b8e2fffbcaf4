//! A leased chunk through a week of an idle node: kept to the end of its lease, collected after it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cairn_compat_suite::call::Call;
use cairn_metadata::Planner;
use cairn_model::{DiskId, limits};
use cairn_rpc::{DiskRoute, ShardInventory};
use cairn_world::{Clock, WallMillis};
use sha2::{Digest, Sha256};

use crate::clock::PausedClock;
use crate::machine::{Machine, Node};
use crate::s3::{Answer, send_after};

/// How far the wall clock moves between two rounds of the planner.
const STEP_MS: u64 = 10 * 60 * 1_000;

/// A wall clock moved by hand; timers run on the paused one.
#[derive(Debug)]
struct HandWall {
    paused: PausedClock,
    ahead_ms: AtomicU64,
}

impl Clock for HandWall {
    fn monotonic(&self) -> Duration {
        self.paused.monotonic()
    }

    fn wall(&self) -> WallMillis {
        self.paused.wall() + self.ahead_ms.load(Ordering::SeqCst)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.paused.sleep(duration)
    }
}

struct World {
    node: Node,
    clock: Arc<HandWall>,
    planner: Planner,
    disk: DiskId,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(HandWall {
            paused: PausedClock::new(),
            ahead_ms: AtomicU64::new(0),
        });
        let node = Machine::new(1).start_at(clock.clone()).await.unwrap();
        let first = node.storage.disks().into_iter().next();
        let disk = first.and_then(|status| status.disk).unwrap();
        let route = DiskRoute {
            shards: node.storage.clone(),
            inventory: node.storage.clone(),
            rebuild: None,
        };
        let nodes = Arc::new(BTreeMap::from([(disk, route)]));
        let planner = Planner::new(Arc::clone(&node.metadata), nodes);
        Self {
            node,
            clock,
            planner,
            disk,
        }
    }

    async fn send(&self, call: Call) -> Answer {
        let ahead = self.clock.ahead_ms.load(Ordering::SeqCst);
        send_after(&self.node, call, ahead / 1_000).await
    }

    /// Lets time pass with nobody there but the planner.
    async fn pass(&self, ms: u64) {
        let mut left = ms;
        while left > 0 {
            let step = left.min(STEP_MS);
            self.clock.ahead_ms.fetch_add(step, Ordering::SeqCst);
            left -= step;
            self.settle().await;
        }
    }

    async fn settle(&self) {
        while self.planner.round().await.unwrap() {}
    }

    async fn shards(&self) -> usize {
        let inventory: &dyn ShardInventory = self.node.storage.as_ref();
        inventory
            .inventory(self.disk, None, 100)
            .await
            .unwrap()
            .len()
    }
}

fn put(bytes: &[u8]) -> (Call, String) {
    let path = format!("/cas/chunks/{}", hex::encode(Sha256::digest(bytes)));
    (Call::new("PUT", &path).body(bytes.to_vec()), path)
}

#[tokio::test(start_paused = true)]
async fn a_chunk_is_collected_after_its_lease_and_not_before() {
    let world = World::new().await;
    let (renewed, renewed_path) = put(&[7; 70_000]);
    let (left, left_path) = put(&[8; 100]);
    for call in [renewed, left] {
        let answer = world.send(call).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    let status = async |path: &str| world.send(Call::new("GET", path)).await.status;
    world.pass(limits::LEASE_MS / 2).await;
    let hash = renewed_path.rsplit('/').next().unwrap();
    let ask = format!(r#"{{"chunks":["{hash}"]}}"#);
    let ask = Call::new("POST", "/cas/missing").body(ask.into_bytes());
    assert_eq!(world.send(ask).await.text(), r#"{"missing":[]}"#);
    world.pass(limits::LEASE_MS / 2 - STEP_MS).await;
    for path in [&renewed_path, &left_path] {
        assert_eq!(status(path).await, 200, "both leases still run");
    }
    world.pass(STEP_MS + 1_000).await;
    assert_eq!(status(&left_path).await, 404, "its lease has ended");
    assert_eq!(status(&renewed_path).await, 200);
    assert_eq!(
        world.shards().await,
        2,
        "the session that read is still open"
    );
    world.node.gateway.close().await;
    world.settle().await;
    assert_eq!(world.shards().await, 1);
    world.pass(limits::LEASE_MS / 2).await;
    assert_eq!(world.shards().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ends_no_lease() {
    let world = World::new().await;
    let (call, path) = put(&[7; 70_000]);
    assert_eq!(world.send(call).await.status, 201);
    world
        .clock
        .ahead_ms
        .fetch_add(2 * limits::LEASE_MS, Ordering::SeqCst);
    world.settle().await;
    assert_eq!(world.send(Call::new("GET", &path)).await.status, 200);
    let clock = world.send(Call::new("POST", "/v1/clock/accept")).await;
    assert_eq!(clock.status, 200, "{}", clock.text());
    world.settle().await;
    assert_eq!(world.send(Call::new("GET", &path)).await.status, 404);
}
