//! Repair over a state machine in memory and disks that are sets.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use cairn_model::Incarnation;
use cairn_rpc::{
    DiskRoute, Rebuilt, ShardCells, ShardDelete, ShardError, ShardFound, ShardHeader,
    ShardInventory, ShardRead, ShardRebuild, ShardService, ShardUpload,
};
use cairn_wire::metadata::{Answer, ExtentWrite, MarkSuspect, Reply};
use cairn_world::sim::SimClock;

use super::*;
use crate::apply::tests::moves::{
    chunk, commit, disk, leave, partition_of, row, upload, view, wide,
};
use crate::apply::tests::{State, delete, end, mark};
use crate::keyspace::KeyKind as _;
use crate::keyspace::cluster::{ClusterKey, ClusterRow};
use crate::query;

type Records = BTreeMap<DiskId, BTreeSet<(ChunkId, Incarnation, u8)>>;

/// A cluster in memory: metadata, disks, nodes that obey.
struct Fake {
    state: Mutex<State>,
    disks: Mutex<Records>,
    down: Mutex<BTreeSet<DiskId>>,
    orders: Mutex<Vec<Rebuild>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

/// The fake as a node of its disks.
#[derive(Clone, Debug)]
struct Nodes(Arc<Fake>);

fn id(name: u8) -> DiskId {
    DiskId([name; 16])
}

impl Fake {
    fn new(state: State) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(state),
            disks: Mutex::new((1..=6).map(|name| (id(name), BTreeSet::new())).collect()),
            down: Mutex::default(),
            orders: Mutex::default(),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        })
    }

    fn repair(self: &Arc<Self>, clock: &SimClock) -> Repair {
        let metadata: Arc<dyn MetadataService> = Arc::clone(self) as _;
        Repair::new(
            metadata,
            Arc::new(Nodes(Arc::clone(self))),
            Arc::new(clock.clone()),
        )
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap())
    }

    /// Uploads and commits a chunk by the row there is, without some shards.
    fn put(&self, session: u64, name: u8, missing: &[u32]) {
        let extent = self.with(|state| {
            let partition = u32::from(name) % 4;
            let epoch = row(state, partition).epoch;
            upload(state, session, (partition, name), epoch, missing)
        });
        self.store(&extent, missing);
        let reply = self.with(|state| commit(state, session, extent));
        assert_eq!(reply.refusal(), Refusal::None);
    }

    fn store(&self, extent: &ExtentWrite, missing: &[u32]) {
        let place = self.with(|state| row(state, partition_of(&extent.incarnation)));
        for shard in (0..4).filter(|shard| !missing.contains(&u32::from(*shard))) {
            let at = place.write_disk(usize::from(shard)).unwrap();
            let at = DiskId(at.as_ref().try_into().unwrap());
            let stamp = Incarnation::from_bytes(&extent.incarnation).unwrap();
            let record = (chunk_id(extent.sha256[0]), stamp, shard);
            self.disks
                .lock()
                .unwrap()
                .get_mut(&at)
                .unwrap()
                .insert(record);
        }
    }

    fn holds(&self, disk: DiskId, record: (ChunkId, Incarnation, u8)) -> bool {
        let disks = self.disks.lock().unwrap();
        let up = !self.down.lock().unwrap().contains(&disk);
        up && disks.get(&disk).is_some_and(|held| held.contains(&record))
    }

    /// The disk and all on it are no more.
    fn lose(&self, name: u8) {
        self.disks.lock().unwrap().remove(&id(name));
        self.with(|state| state.done(leave(name, true)));
    }

    fn suspect(&self, name: u8) {
        self.with(|state| {
            let incarnation = chunk(state, name).incarnation;
            state.done(Command::MarkSuspect(MarkSuspect {
                domain: 1,
                sha256: vec![name; 32].into(),
                incarnation,
                reason: "test".into(),
            }))
        });
    }

    /// Chunks that have all their shards where readers look first, counted on the disks.
    fn whole(&self, names: std::ops::RangeInclusive<u8>) -> usize {
        let whole = |name: &u8| {
            let row = self.with(|state| chunk(state, *name));
            let place = self.with(|state| self::row(state, partition_of(&row.incarnation)));
            let stamp = Incarnation::from_bytes(&row.incarnation).unwrap();
            (0..4_u8).all(|shard| {
                let at = place.current[usize::from(shard)].as_ref();
                self.holds(
                    DiskId(at.try_into().unwrap()),
                    (chunk_id(*name), stamp, shard),
                )
            })
        };
        names.filter(whole).count()
    }
}

fn chunk_id(name: u8) -> ChunkId {
    ChunkId {
        domain: cairn_model::DomainId(1),
        sha256: cairn_model::Sha256([name; 32]),
    }
}

#[async_trait]
impl MetadataService for Fake {
    async fn propose(
        &self,
        session: u64,
        op: u64,
        command: Command,
    ) -> Result<Reply, MetadataError> {
        Ok(self.with(|state| {
            let reply = state.run_as(session, op, command);
            mark::check(state);
            reply
        }))
    }

    async fn query(&self, query: Query) -> Result<Answer, MetadataError> {
        Ok(self.with(|state| query::answer(state, query).unwrap()))
    }

    async fn keep_alive(&self, _sessions: &[u64]) -> Result<(), MetadataError> {
        Ok(())
    }
}

impl ShardRoutes for Nodes {
    fn shards(&self, disk: DiskId) -> Option<Arc<dyn ShardService>> {
        self.route(disk).map(|route| route.shards)
    }

    fn route(&self, disk: DiskId) -> Option<DiskRoute> {
        self.0.disks.lock().unwrap().get(&disk)?;
        let node = Arc::new(self.clone());
        Some(DiskRoute {
            shards: node.clone(),
            inventory: node.clone(),
            rebuild: Some(node),
        })
    }

    fn disks(&self) -> Vec<DiskId> {
        self.0.disks.lock().unwrap().keys().copied().collect()
    }

    fn is_reachable(&self, disk: DiskId) -> bool {
        !self.0.down.lock().unwrap().contains(&disk)
    }

    fn is_back_since(&self, _: DiskId, _: Duration) -> bool {
        false
    }
}

#[async_trait]
impl ShardRebuild for Nodes {
    async fn rebuild(&self, order: Rebuild) -> Result<Rebuilt, ShardError> {
        let fake = &self.0;
        let now = fake.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        fake.most_at_once.fetch_max(now, Ordering::SeqCst);
        tokio::task::yield_now().await;
        fake.at_once.fetch_sub(1, Ordering::SeqCst);
        fake.orders.lock().unwrap().push(order.clone());
        let record = (order.chunk, order.incarnation, order.shard);
        if fake.holds(order.disk, record) {
            return Ok(Rebuilt::Found);
        }
        let good: BTreeSet<u8> = (order.sources.iter())
            .filter(|(shard, disk)| fake.holds(*disk, (order.chunk, order.incarnation, *shard)))
            .map(|(shard, _)| *shard)
            .collect();
        if good.len() < 2 && !good.contains(&order.shard) {
            return Err(ShardError::Missing);
        }
        let mut disks = fake.disks.lock().unwrap();
        let Some(held) = disks.get_mut(&order.disk) else {
            return Err(ShardError::NotMine);
        };
        held.insert(record);
        Ok(Rebuilt::Written)
    }
}

#[async_trait]
impl ShardService for Nodes {
    async fn prepare(&self, _: ShardHeader) -> Result<Box<dyn ShardUpload>, ShardError> {
        Err(ShardError::Refused("repair uploads nothing itself"))
    }

    async fn read(&self, _: ShardRead) -> Result<ShardCells, ShardError> {
        Err(ShardError::Refused("repair reads nothing itself"))
    }

    async fn delete(&self, _: DiskId, _: u16, _: &[ShardDelete]) -> Result<(), ShardError> {
        Err(ShardError::Refused("repair deletes nothing"))
    }

    async fn space(&self, _: DiskId) -> Result<(u64, u64), ShardError> {
        Err(ShardError::Refused("nobody asks"))
    }
}

#[async_trait]
impl ShardInventory for Nodes {
    async fn inventory(
        &self,
        _: DiskId,
        _: Option<(Incarnation, u8)>,
        _: usize,
    ) -> Result<Vec<ShardFound>, ShardError> {
        Err(ShardError::Refused("repair asks rows, not disks"))
    }
}

/// Steps until none does anything for a minute of the clock.
async fn settle(repair: &mut Repair, clock: &SimClock) {
    let mut quiet = 0;
    for _ in 0..2_000 {
        if repair.step().await.unwrap() {
            quiet = 0;
        } else {
            quiet += 1;
            clock.advance(Duration::from_secs(5));
        }
        if quiet == 12 {
            return;
        }
    }
    panic!("repair never ends");
}

/// The cluster without its two spare disks: no room to move to.
fn tight() -> Arc<Fake> {
    let fake = Fake::new(wide());
    edit_members(&fake, |cluster| cluster.disks.truncate(4));
    fake
}

fn edit_members(fake: &Fake, edit: impl FnOnce(&mut ClusterRow)) {
    fake.with(|state| {
        let mut cluster = state.row(&ClusterKey).unwrap();
        edit(&mut cluster);
        let row = ClusterKey::encode_row(&cluster);
        state.rows.insert(ClusterKey.encode(), row);
    });
}

fn join(fake: &Fake, name: u8) {
    let new = Disk {
        disk: disk(name),
        node: u64::from(name),
        zone: String::new(),
    };
    edit_members(fake, |cluster| cluster.disks.push(new));
}

/// A disk is lost, another takes its place, and all rows become n of n.
#[tokio::test]
async fn a_lost_disk_is_replaced_and_every_row_is_whole_again() {
    let clock = SimClock::new();
    let fake = tight();
    let mut repair = fake.repair(&clock);
    let session = fake.with(State::begin);
    for name in 1..=24 {
        fake.put(session, name, &[]);
    }
    fake.lose(2);
    repair.step().await.unwrap();
    assert!(
        fake.orders.lock().unwrap().is_empty(),
        "there is nowhere to go"
    );
    join(&fake, 6);
    settle(&mut repair, &clock).await;
    let cluster = fake.with(|state| view(state));
    assert_eq!(
        cluster.moves.len(),
        4,
        "made on the new disk, not cut over:"
    );
    assert_eq!(fake.whole(1..=24), 0, "a session of before is open");
    assert_eq!(fake.disks.lock().unwrap()[&id(6)].len(), 24);
    // It commits what it wrote before the moves began, and ends.
    fake.with(|state| state.done(end(session)));
    settle(&mut repair, &clock).await;
    assert_eq!(fake.whole(1..=24), 24);
    let cluster = fake.with(|state| view(state));
    assert!(cluster.moves.is_empty() && cluster.leaving.is_empty());
    assert!(
        cluster.disks.iter().all(|one| one.disk != disk(2)),
        "it has left"
    );
    assert!(fake.most_at_once.load(Ordering::SeqCst) <= ORDERS);
    assert_eq!(fake.most_at_once.load(Ordering::SeqCst), ORDERS);
}

/// What an open session commits behind the pass is owed, paid, and only then the slot moves on.
#[tokio::test]
async fn what_is_committed_behind_the_pass_is_not_forgotten() {
    let clock = SimClock::new();
    let fake = tight();
    let mut repair = fake.repair(&clock);
    let old = fake.with(State::begin);
    let written = fake.with(|state| upload(state, old, (1, 1), 1, &[]));
    fake.store(&written, &[]);
    join(&fake, 6);
    fake.with(|state| state.done(leave(2, false)));
    settle(&mut repair, &clock).await;
    assert!(!fake.with(|state| view(state)).moves.is_empty());
    let reply = fake.with(|state| commit(state, old, written));
    assert_eq!(reply.refusal(), Refusal::None);
    assert_eq!(fake.with(|state| chunk(state, 1)).debt.len(), 1);
    fake.with(|state| state.done(end(old)));
    settle(&mut repair, &clock).await;
    assert!(fake.with(|state| chunk(state, 1)).debt.is_empty());
    assert_eq!(fake.whole(1..=1), 1);
    let cluster = fake.with(|state| view(state));
    let mut rows = cluster.partitions.iter();
    assert!(rows.all(|row| !row.current.contains(&disk(2))));
}

#[tokio::test]
async fn debt_is_paid_the_most_endangered_first() {
    let clock = SimClock::new();
    let fake = tight();
    let mut repair = fake.repair(&clock);
    let session = fake.with(State::begin);
    for (name, missing) in [(1, &[3][..]), (2, &[]), (3, &[0])] {
        fake.put(session, name, missing);
    }
    fake.suspect(3);
    repair.step().await.unwrap();
    let first = fake.orders.lock().unwrap()[0].clone();
    assert_eq!(first.chunk, chunk_id(3));
    settle(&mut repair, &clock).await;
    assert_eq!(fake.whole(1..=3), 3);
    for name in 1..=3 {
        let row = fake.with(|state| chunk(state, name));
        assert!(row.debt.is_empty() && !row.suspect);
    }
    assert!(
        fake.orders
            .lock()
            .unwrap()
            .iter()
            .all(|order| order.chunk != chunk_id(2))
    );
}

#[tokio::test]
async fn what_cannot_be_reached_is_left_and_tried_again() {
    let clock = SimClock::new();
    let fake = tight();
    let mut repair = fake.repair(&clock);
    let session = fake.with(State::begin);
    fake.put(session, 1, &[3]);
    fake.put(session, 2, &[]);
    fake.suspect(2);
    fake.down.lock().unwrap().insert(id(4));
    settle(&mut repair, &clock).await;
    assert_eq!(fake.with(|state| chunk(state, 1)).debt.len(), 1);
    assert!(
        fake.with(|state| chunk(state, 2)).suspect,
        "n of n, not n - 1"
    );
    fake.down.lock().unwrap().clear();
    settle(&mut repair, &clock).await;
    assert!(fake.with(|state| chunk(state, 1)).debt.is_empty());
    assert!(!fake.with(|state| chunk(state, 2)).suspect);
}

#[tokio::test]
async fn a_failed_rebuild_rests_and_does_not_hide_others() {
    let clock = SimClock::new();
    let fake = tight();
    let mut repair = fake.repair(&clock);
    let session = fake.with(State::begin);
    fake.put(session, 1, &[3]);
    fake.put(session, 2, &[3]);
    let hopeless = |held: &mut BTreeSet<(ChunkId, Incarnation, u8)>| {
        held.retain(|(chunk, _, _)| *chunk != chunk_id(1));
    };
    fake.disks.lock().unwrap().values_mut().for_each(hopeless);
    assert!(repair.step().await.unwrap());
    assert!(fake.with(|state| chunk(state, 2)).debt.is_empty());
    let tried = fake.orders.lock().unwrap().len();
    assert!(!repair.step().await.unwrap());
    assert_eq!(fake.orders.lock().unwrap().len(), tried, "it rests");
    clock.advance(REST);
    assert!(!repair.step().await.unwrap());
    assert_eq!(fake.orders.lock().unwrap().len(), tried + 1);
    assert_eq!(fake.with(|state| chunk(state, 1)).debt.len(), 1);
}

#[tokio::test]
async fn a_shard_that_cannot_be_made_holds_up_its_slot() {
    let clock = SimClock::new();
    let fake = tight();
    let mut repair = fake.repair(&clock);
    let session = fake.with(State::begin);
    for name in 1..=8 {
        fake.put(session, name, &[]);
    }
    fake.with(|state| state.done(end(session)));
    let hopeless = |held: &mut BTreeSet<(ChunkId, Incarnation, u8)>| {
        held.retain(|(chunk, _, _)| *chunk != chunk_id(1));
    };
    fake.disks.lock().unwrap().values_mut().for_each(hopeless);
    join(&fake, 6);
    fake.with(|state| state.done(leave(2, false)));
    for _ in 0..60 {
        repair.step().await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
    let cluster = fake.with(|state| view(state));
    assert_eq!(cluster.moves.len(), 1);
    assert_eq!(cluster.moves[0].partition, 1);
    assert_eq!(fake.whole(2..=8), 7);
    assert!(
        cluster.disks.iter().any(|one| one.disk == disk(2)),
        "its row names it"
    );
    fake.with(|state| state.done(delete("1")));
    settle(&mut repair, &clock).await;
    let cluster = fake.with(|state| view(state));
    assert!(
        cluster.moves.is_empty(),
        "nothing needs that chunk any more"
    );
}

#[tokio::test]
async fn a_target_that_is_lost_under_way_is_given_up() {
    let clock = SimClock::new();
    let fake = tight();
    let mut repair = fake.repair(&clock);
    let session = fake.with(State::begin);
    for name in 1..=8 {
        fake.put(session, name, &[]);
    }
    join(&fake, 6);
    fake.lose(2);
    settle(&mut repair, &clock).await;
    // Written to the targets alone.
    for name in 9..=16 {
        fake.put(session, name, &[]);
    }
    fake.lose(6);
    join(&fake, 5);
    settle(&mut repair, &clock).await;
    fake.with(|state| state.done(end(session)));
    settle(&mut repair, &clock).await;
    assert_eq!(fake.whole(1..=16), 16);
    let cluster = fake.with(|state| view(state));
    let members: Vec<u8> = cluster.disks.iter().map(|one| one.disk[0]).collect();
    assert_eq!(members, [1, 3, 4, 5]);
}

#[tokio::test]
async fn a_living_target_that_is_lost_gives_back_what_was_written_there() {
    let clock = SimClock::new();
    let fake = tight();
    let mut repair = fake.repair(&clock);
    join(&fake, 6);
    fake.with(|state| state.done(leave(2, false)));
    let session = fake.with(State::begin);
    for _ in 0..4 {
        repair.step().await.unwrap();
    }
    for name in 1..=8 {
        fake.put(session, name, &[]);
    }
    fake.lose(6);
    join(&fake, 5);
    settle(&mut repair, &clock).await;
    fake.with(|state| state.done(end(session)));
    settle(&mut repair, &clock).await;
    assert_eq!(fake.whole(1..=8), 8);
}

#[tokio::test]
async fn a_new_disk_gets_its_share() {
    let clock = SimClock::new();
    let fake = Fake::new(wide());
    let mut repair = fake.repair(&clock);
    let session = fake.with(State::begin);
    for name in 1..=16 {
        fake.put(session, name, &[]);
    }
    fake.with(|state| state.done(end(session)));
    settle(&mut repair, &clock).await;
    assert_eq!(fake.whole(1..=16), 16);
    let cluster = fake.with(|state| view(state));
    let on = |name: u8| {
        let rows = cluster.partitions.iter();
        rows.filter(|row| row.current.contains(&disk(name))).count()
    };
    let shares: Vec<usize> = (1..=6).map(on).collect();
    // Four partitions are too few for even shares; placement has its own tests for those.
    let some = shares.iter().all(|share| (1..=4).contains(share));
    assert!(some, "{shares:?}");
    assert!(cluster.moves.is_empty());
}

#[tokio::test]
async fn another_leadership_finds_out_for_itself() {
    let clock = SimClock::new();
    let fake = tight();
    let mut repair = fake.repair(&clock);
    let session = fake.with(State::begin);
    fake.put(session, 1, &[]);
    fake.with(|state| state.done(end(session)));
    join(&fake, 6);
    fake.with(|state| state.done(leave(2, false)));
    repair.step().await.unwrap();
    assert_eq!(fake.with(|state| view(state)).moves.len(), 4);
    repair.step().await.unwrap();
    repair.forget();
    // What the other leader had verified is gone from the disk it had verified it on.
    fake.disks.lock().unwrap().get_mut(&id(6)).unwrap().clear();
    settle(&mut repair, &clock).await;
    assert_eq!(fake.whole(1..=1), 1);
}

#[tokio::test]
async fn before_there_is_a_table_there_is_nothing_to_do() {
    let clock = SimClock::new();
    let fake = Fake::new(State::default());
    assert!(!fake.repair(&clock).step().await.unwrap());
}
