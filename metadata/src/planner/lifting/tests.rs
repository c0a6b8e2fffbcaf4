//! Lifting on a voter of one, with disks that are lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use cairn_model::{DomainId, Incarnation, SessionId, Sha256};
use cairn_rpc::{
    DiskRoute, ShardCells, ShardDelete, ShardError, ShardHeader, ShardInventory, ShardRead,
    ShardService, ShardUpload,
};
use cairn_wire::metadata::{BeginSession, BumpGeneration, DiskStatus, Reply};
use cairn_world::Clock as _;

use super::*;
use crate::apply::tests::State;
use crate::planner::marking::tests::{World, world};

const WHILE: Duration = Duration::from_secs(40);

/// Three disks and what lies on them; one may be away.
#[derive(Debug, Default)]
struct Lists {
    found: BTreeMap<DiskId, Vec<ShardFound>>,
    away: Mutex<BTreeSet<DiskId>>,
}

#[derive(Clone, Debug)]
struct Disks(Arc<Lists>);

fn id(name: u8) -> DiskId {
    DiskId([name; 16])
}

fn away<T>() -> Result<T, ShardError> {
    Err(ShardError::Unavailable("away".to_owned()))
}

#[async_trait]
impl ShardService for Disks {
    async fn prepare(&self, _header: ShardHeader) -> Result<Box<dyn ShardUpload>, ShardError> {
        away()
    }

    async fn read(&self, _read: ShardRead) -> Result<ShardCells, ShardError> {
        away()
    }

    async fn delete(
        &self,
        _disk: DiskId,
        _: u16,
        _deletes: &[ShardDelete],
    ) -> Result<(), ShardError> {
        away()
    }

    async fn space(&self, _disk: DiskId) -> Result<(u64, u64), ShardError> {
        away()
    }
}

#[async_trait]
impl ShardInventory for Disks {
    async fn inventory(
        &self,
        disk: DiskId,
        after: Option<(Incarnation, u8)>,
        limit: usize,
    ) -> Result<Vec<ShardFound>, ShardError> {
        if self.0.away.lock().unwrap().contains(&disk) {
            return away();
        }
        let mut all = self.0.found.get(&disk).cloned().unwrap_or_default();
        all.sort_by_key(|shard| (shard.incarnation, shard.shard));
        let later = |shard: &ShardFound| Some((shard.incarnation, shard.shard)) > after;
        Ok(all.into_iter().filter(later).take(limit).collect())
    }
}

impl ShardRoutes for Disks {
    fn shards(&self, _disk: DiskId) -> Option<Arc<dyn ShardService>> {
        None
    }

    fn route(&self, _disk: DiskId) -> Option<DiskRoute> {
        Some(DiskRoute {
            shards: Arc::new(self.clone()),
            inventory: Arc::new(self.clone()),
            rebuild: None,
        })
    }

    fn disks(&self) -> Vec<DiskId> {
        self.0.found.keys().copied().collect()
    }

    fn is_reachable(&self, _disk: DiskId) -> bool {
        true
    }

    fn is_back_since(&self, _disk: DiskId, _moment: Duration) -> bool {
        false
    }
}

struct Rig {
    world: World,
    lists: Arc<Lists>,
}

impl Rig {
    /// Chunk 1 is stored, then the generation is bumped. Its shards lie as `lies` has it: (shard, disk).
    async fn new(lies: &[(u8, u8)], strangers: &[Incarnation]) -> Self {
        let world = world(true).await;
        let propose = async |session: u64, operation: u64, command: Command| -> Reply {
            let reply = world.metadata.propose(session, operation, command).await;
            let reply = reply.unwrap();
            assert_eq!(reply.refusal(), Refusal::None, "{}", reply.detail);
            reply
        };
        let begin = Command::BeginSession(BeginSession::default());
        let session = propose(0, 0, begin).await.number;
        let put = State::with_bucket().put(session, "a", &[1]);
        propose(session, 1, put).await;
        let row = chunk(&world.metadata).await;
        let stamp = Incarnation::from_bytes(&row.incarnation).unwrap();
        propose(0, 0, Command::BumpGeneration(BumpGeneration::default())).await;
        let mut lists = Lists::default();
        let found = |incarnation, shard| ShardFound {
            chunk: ChunkId {
                domain: DomainId(1),
                sha256: Sha256([1; 32]),
            },
            incarnation,
            shard,
        };
        for (shard, disk) in lies {
            let disk = lists.found.entry(id(*disk)).or_default();
            disk.push(found(stamp, *shard));
        }
        for stranger in strangers {
            let disk = lists.found.entry(id(1)).or_default();
            disk.push(found(*stranger, 0));
        }
        let lists = Arc::new(lists);
        Self { world, lists }
    }

    /// Every disk but those named says that it has fenced.
    fn fence(&self, at: u32, but: &[u8]) {
        for name in (1..=3_u8).filter(|name| !but.contains(name)) {
            let status = DiskStatus {
                disk: vec![name; 16].into(),
                fenced: at,
                ..DiskStatus::default()
            };
            let node = cairn_model::NodeId(name.into());
            self.world.metadata.note_status(node, vec![status]);
        }
    }

    /// Runs for a while; whether deletion is frozen then.
    async fn is_frozen_still(&self) -> bool {
        let (stop, stopping) = watch::channel(false);
        let disks = Arc::new(Disks(Arc::clone(&self.lists)));
        let lifting = Lifting::new(Arc::clone(&self.world.metadata), disks);
        let running = tokio::spawn(lifting.run(stopping));
        self.world.clock.sleep(WHILE).await;
        stop.send_replace(true);
        running.await.unwrap();
        let cluster = self.world.metadata.cluster().await.unwrap();
        cluster.frozen_since != 0
    }
}

async fn chunk(metadata: &Metadata) -> Chunk {
    let key = ChunkKey {
        domain: 1,
        sha256: vec![1; 32].into(),
    };
    let asked = Asked::GetChunks(GetChunks { chunks: vec![key] });
    match metadata.ask(asked).await.unwrap() {
        Kind::Chunks(mut rows) => rows.chunks.remove(0),
        other => panic!("{other:?}"),
    }
}

const WHOLE: [(u8, u8); 3] = [(0, 1), (1, 2), (2, 3)];

#[tokio::test(start_paused = true)]
async fn deletion_goes_on_once_every_disk_has_fenced_and_was_looked_at() {
    let rig = Rig::new(&WHOLE, &[]).await;
    assert!(rig.is_frozen_still().await, "nobody has fenced");
    rig.fence(2, &[3]);
    assert!(rig.is_frozen_still().await, "one has not");
    rig.fence(1, &[1, 2]);
    assert!(rig.is_frozen_still().await, "an older generation");
    rig.fence(2, &[]);
    rig.lists.away.lock().unwrap().insert(id(2));
    assert!(rig.is_frozen_still().await, "one is away");
    rig.lists.away.lock().unwrap().clear();
    assert!(!rig.is_frozen_still().await);
    assert!(chunk(&rig.world.metadata).await.debt.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_where_its_row_has_it_is_owed_before_deletion_goes_on() {
    let rig = Rig::new(&[(0, 1), (1, 3)], &[]).await;
    rig.fence(2, &[]);
    assert!(!rig.is_frozen_still().await);
    let row = chunk(&rig.world.metadata).await;
    let owed: Vec<(u32, Option<u8>)> = row
        .debt
        .iter()
        .map(|debt| (debt.shard, debt.found.first().copied()))
        .collect();
    assert_eq!((owed, row.suspect), (vec![(1, Some(3)), (2, None)], true));
}

#[tokio::test(start_paused = true)]
async fn counts_that_are_wrong_are_for_people() {
    let rig = Rig::new(&WHOLE, &[]).await;
    rig.world.damage();
    rig.fence(2, &[]);
    assert!(rig.is_frozen_still().await);
}

#[tokio::test(start_paused = true)]
async fn a_generation_that_was_used_before_is_seen() {
    let stamp = |generation, session| Incarnation {
        group: 1,
        generation,
        session: SessionId(session),
        counter: 1,
    };
    let used = stamp(2, (2 << limits::GENERATION_SESSION_BITS) + 50);
    for stranger in [stamp(3, 1), used] {
        let rig = Rig::new(&WHOLE, &[stranger]).await;
        rig.fence(2, &[]);
        assert!(rig.is_frozen_still().await, "{stranger:?}");
    }
    let rig = Rig::new(&WHOLE, &[stamp(1, 1 << 20)]).await;
    rig.fence(3, &[]);
    assert!(rig.is_frozen_still().await, "a disk has heard of another");
    rig.fence(2, &[]);
    assert!(!rig.is_frozen_still().await, "orphans are no strangers");
}
