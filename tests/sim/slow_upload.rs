//! An upload that takes hours: garbage of its time is collected while it goes on, its own chunks
//! never are, and what is left of one that broke off goes too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_compat_suite::call::Call;
use cairn_metadata::Planner;
use cairn_model::{DiskId, Incarnation, limits};
use cairn_rpc::{DiskRoute, ShardInventory};
use cairn_world::Clock as _;
use futures_util::StreamExt as _;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::task::JoinHandle;

use crate::clock::PausedClock;
use crate::machine::{Machine, Node};
use crate::s3::{Answer, request, send_after, send_request};

const MIB: usize = 1 << 20;
/// So much of a slow body comes at a time, a chunk of 16 MiB in 70 minutes.
const PIECE: usize = 64 << 10;
const PACE: Duration = Duration::from_millis(16_400);

struct World {
    node: Arc<Node>,
    clock: Arc<PausedClock>,
    planner: Planner,
    disk: DiskId,
    keeper: JoinHandle<()>,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(PausedClock::new());
        let machine = Machine::with_segments(1, 64 << 20);
        let node = machine.start_at(clock.clone()).await.unwrap();
        let first = node.storage.disks().into_iter().next();
        let disk = first.and_then(|status| status.disk).unwrap();
        let route = DiskRoute {
            shards: node.storage.clone(),
            inventory: node.storage.clone(),
            rebuild: None,
        };
        let nodes = Arc::new(BTreeMap::from([(disk, route)]));
        let planner = Planner::new(Arc::clone(&node.metadata), nodes);
        let gateway = node.gateway.clone();
        let keeper = tokio::spawn(async move { gateway.keep().await });
        let world = Self {
            node: Arc::new(node),
            clock,
            planner,
            disk,
            keeper,
        };
        assert!(world.send(Call::new("PUT", "/photos")).await.is_success());
        world
    }

    fn seconds(&self) -> u64 {
        self.clock.monotonic().as_secs()
    }

    async fn send(&self, call: Call) -> Answer {
        send_after(&self.node, call, self.seconds()).await
    }

    /// Sends a body piece by piece, of which only the first `given` bytes come.
    fn send_slowly(&self, key: &str, body: &[u8], given: usize) -> JoinHandle<Answer> {
        let call = Call::new("PUT", key).body(body.to_vec());
        let (parts, whole) = request(call, self.seconds()).into_parts();
        let node = Arc::clone(&self.node);
        tokio::spawn(async move {
            let whole = whole.collect().await.unwrap().to_bytes();
            let pieces: Vec<Bytes> = whole
                .slice(..given)
                .chunks(PIECE)
                .map(Bytes::copy_from_slice)
                .collect();
            let frames = futures_util::stream::iter(pieces).then(async |piece| {
                tokio::time::sleep(PACE).await;
                Ok::<_, std::io::Error>(Frame::data(piece))
            });
            let body = StreamBody::new(Box::pin(frames));
            send_request(&node, Request::from_parts(parts, body)).await
        })
    }

    async fn shards(&self) -> Vec<Incarnation> {
        let inventory: &dyn ShardInventory = self.node.storage.as_ref();
        let listed = inventory.inventory(self.disk, None, 100).await.unwrap();
        listed.into_iter().map(|one| one.incarnation).collect()
    }

    /// A minute with the planner.
    async fn minute(&mut self) {
        tokio::time::sleep(Duration::from_secs(60)).await;
        while self.planner.round().await.unwrap() {}
    }
}

fn pattern(length: usize) -> Vec<u8> {
    // No two MiB are the same, so no two chunks are.
    let bytes = (0_u32..)
        .map(|at| (at.wrapping_mul(2_654_435_761) ^ ((at >> 20) << 13)) >> 13)
        .map(|number| number.to_be_bytes()[3]);
    bytes.take(length).collect()
}

#[tokio::test(start_paused = true)]
async fn garbage_is_collected_while_a_slow_upload_goes_on() {
    let mut world = World::new().await;
    let old = Call::new("PUT", "/photos/old").body(vec![7; 70_000]);
    assert!(world.send(old).await.is_success());
    let garbage = world.shards().await[0];
    let body = pattern(34 * MIB + 5);
    let upload = world.send_slowly("/photos/slow", &body, body.len());
    world.minute().await;
    assert!(
        world
            .send(Call::new("DELETE", "/photos/old"))
            .await
            .is_success()
    );
    let (begun, mut collected) = (world.seconds(), None);
    while !upload.is_finished() {
        world.minute().await;
        if collected.is_none() && !world.shards().await.contains(&garbage) {
            collected = Some(world.seconds() - begun);
        }
    }
    let took = world.seconds() - begun;
    let collected = collected.expect("the upload holds no session for as long as it takes");
    assert!(took > 2 * limits::READ_REPIN_SECS, "it took {took} s");
    assert!(
        collected >= limits::READ_REPIN_SECS - 120,
        "after {collected} s"
    );
    assert!(collected < took / 2 + 600, "after {collected} of {took} s");
    let answer = upload.await.unwrap();
    assert!(answer.is_success(), "{}", answer.text());
    for _ in 0..5 {
        world.minute().await;
    }
    let got = world.send(Call::new("GET", "/photos/slow")).await;
    assert_eq!(got.status, 200);
    assert!(got.body.unwrap() == body);
    assert_eq!(world.shards().await.len(), 3);
    assert!(
        world
            .send(Call::new("DELETE", "/photos/slow"))
            .await
            .is_success()
    );
    for _ in 0..5 {
        world.minute().await;
    }
    assert!(world.shards().await.is_empty());
    world.keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_upload_left_behind_is_collected() {
    let mut world = World::new().await;
    let body = pattern(34 * MIB);
    let upload = world.send_slowly("/photos/slow", &body, 20 * MIB);
    while !upload.is_finished() {
        world.minute().await;
    }
    let answer = upload.await.unwrap();
    assert_eq!(answer.status, 400, "{}", answer.text());
    for _ in 0..5 {
        world.minute().await;
    }
    assert!(world.shards().await.is_empty());
    world.keeper.abort();
}
