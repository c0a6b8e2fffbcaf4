//! The background mark on a voter of one, by a clock that jumps to the next timer.

use std::future::Future;
use std::ops::Bound;
use std::pin::Pin;

use cairn_rpc::MetadataService as _;
use cairn_store::{Batch, MemoryStore, OrderedStore, StoreError};
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{BeginSession, GetStatus, PutUser, Query};
use cairn_world::Clock;
use cairn_world::sim::{SimDisk, SimEntropy};

use super::*;
use crate::Machine;
use crate::apply::tests::{create_bucket, init, user};
use crate::keyspace::KeyKind as _;
use crate::keyspace::bucket::BucketNameKey;
use crate::raft::network::NoPeers;
use crate::raft::{Member, RaftHost, RaftSettings, StoreFactory};

/// A clock on tokio's paused one.
#[derive(Debug)]
pub(in crate::planner) struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn wall(&self) -> u64 {
        1_000_000 + u64::try_from(self.monotonic().as_millis()).unwrap()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// The one store of every generation.
#[derive(Clone, Debug, Default)]
struct OneStore(MemoryStore);

impl StoreFactory for OneStore {
    fn open(&self, _name: &str) -> Result<Arc<dyn OrderedStore>, StoreError> {
        Ok(Arc::new(self.0.clone()))
    }

    fn remove(&self, _name: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// A voter of one.
pub(in crate::planner) struct World {
    pub(in crate::planner) metadata: Arc<Metadata>,
    store: MemoryStore,
    pub(in crate::planner) clock: Arc<PausedClock>,
}

pub(in crate::planner) async fn world(inline: bool) -> World {
    // Tokio's paused clock is the simulated one.
    let now = tokio::time::sleep(Duration::ZERO).deadline();
    let clock = Arc::new(PausedClock(now));
    let mut settings = RaftSettings::new([9; 16], 1).inline();
    settings.journal.segment_len = 512 << 10;
    settings.inline = inline;
    let store = OneStore::default();
    let entropy = Arc::new(SimEntropy::new(7));
    let disk = Arc::new(SimDisk::new(7));
    let stores = Arc::new(store.clone());
    let machine = Box::new(Machine);
    let host = RaftHost::open(
        settings,
        disk,
        clock.clone(),
        entropy,
        stores,
        machine,
        NoPeers,
    );
    let host = host.await.unwrap();
    let member = Member {
        id: 1,
        address: String::new(),
    };
    host.initialize(vec![member]).await.unwrap();
    assert!(host.wait_ready(MINUTE).await);
    let metadata = Arc::new(Metadata::new(host, clock.clone()));
    let user = PutUser {
        user: Some(user("alice", "alice-key")),
    };
    let commands = [
        init(),
        Command::PutUser(user),
        create_bucket("photos", "alice"),
    ];
    for command in commands {
        metadata.propose(0, 0, command).await.unwrap();
    }
    World {
        metadata,
        store: store.0,
        clock,
    }
}

impl World {
    /// A bucket's name that leads nowhere, by no entry.
    pub(in crate::planner) fn damage(&self) {
        let mut batch = Batch::default();
        let row = BucketNameKey::encode_row(&crate::keyspace::bucket::BucketNameRow { id: 77 });
        batch.put(BucketNameKey("nowhere".into()).encode(), row);
        self.store.commit(&batch).unwrap();
    }

    /// All but the host's own.
    fn rows(&self) -> Vec<(bytes::Bytes, bytes::Bytes)> {
        let view = self.store.view();
        let rows = view.scan(Bound::Included(&[1]), Bound::Unbounded);
        rows.map(|row| row.unwrap()).collect()
    }

    /// Runs the loop for a while, then stops it.
    async fn run(&self, time: Duration) {
        let (stop, stopping) = watch::channel(false);
        let marking = Marking::new(Arc::clone(&self.metadata));
        let running = tokio::spawn(marking.run(stopping));
        self.clock.sleep(time).await;
        stop.send_replace(true);
        running.await.unwrap();
    }

    async fn told(&self) -> Option<MarkStatus> {
        let asked = Some(Asked::GetStatus(GetStatus {}));
        let answer = self.metadata.query(Query { query: asked }).await.unwrap();
        match answer.answer {
            Some(Kind::Status(status)) => status.mark,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_leader_marks_an_hour_after_its_election_and_says_so() {
    let world = world(true).await;
    world.run(FIRST - MINUTE).await;
    assert_eq!(world.told().await, None, "not yet");
    let began = world.clock.wall();
    world.run(FIRST + MINUTE).await;
    let told = world.told().await.unwrap();
    assert_eq!(Some(told), world.metadata.mark_status());
    assert_eq!(told.discrepancies, 0);
    let report = crate::mark::full_mark(world.store.view().as_ref()).unwrap();
    assert_eq!(told.rows, report.rows_seen());
    assert!(told.rows > 8, "{told:?}");
    let hour = u64::try_from(FIRST.as_millis()).unwrap();
    assert!((began + hour..began + hour + 60_000).contains(&told.finished_ms));
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_told_and_nothing_is_changed() {
    let world = world(true).await;
    world.damage();
    let before = world.rows();
    let applied = world.metadata.host().metrics().applied;
    world.run(FIRST + MINUTE).await;
    let told = world.told().await.unwrap();
    assert_eq!(told.discrepancies, 1);
    assert_eq!(world.rows(), before);
    assert_eq!(world.metadata.host().metrics().applied, applied);
}

#[tokio::test(start_paused = true)]
async fn it_is_done_again_a_day_later() {
    let world = world(true).await;
    let mut marking = Marking::new(Arc::clone(&world.metadata));
    marking.tick().await;
    tokio::time::advance(FIRST).await;
    marking.tick().await;
    let first = world.metadata.mark_status().unwrap();
    assert_eq!(first.discrepancies, 0);
    world.damage();
    tokio::time::advance(EVERY - MINUTE).await;
    marking.tick().await;
    assert_eq!(world.metadata.mark_status(), Some(first), "not yet");
    tokio::time::advance(MINUTE).await;
    marking.tick().await;
    let second = world.metadata.mark_status().unwrap();
    assert_eq!((second.rows, second.discrepancies), (first.rows + 1, 1));
}

/// More rows than a step reads: sessions, one row each.
#[tokio::test(start_paused = true)]
async fn a_long_mark_goes_step_by_step_at_one_point_in_time() {
    let world = world(true).await;
    let mut batch = Batch::default();
    for session in 1_000..1_000 + 2 * STEP_ROWS as u64 {
        let key = crate::keyspace::session::SessionKey(session);
        let row = crate::keyspace::session::SessionRow::default();
        let row = crate::keyspace::session::SessionKey::encode_row(&row);
        batch.put(key.encode(), row);
    }
    world.store.commit(&batch).unwrap();
    let rows = crate::mark::full_mark(world.store.view().as_ref()).unwrap();
    let mut marking = Marking::new(Arc::clone(&world.metadata));
    assert!(!marking.tick().await, "an hour first");
    tokio::time::advance(FIRST).await;
    assert!(marking.tick().await, "begun");
    world.damage();
    let begin = Command::BeginSession(BeginSession::default());
    world.metadata.propose(0, 0, begin).await.unwrap();
    let mut steps = 1;
    loop {
        world.clock.sleep(PAUSE).await;
        steps += 1;
        if !marking.tick().await {
            break;
        }
    }
    assert_eq!(steps, 3);
    let told = world.metadata.mark_status().unwrap();
    assert_eq!((told.rows, told.discrepancies), (rows.rows_seen(), 0));
    assert_eq!(u128::from(told.took_ms), 2 * PAUSE.as_millis());
    assert!(!marking.tick().await, "done for a day");
}

/// On blocking threads the outcome is the same.
#[tokio::test(start_paused = true)]
async fn the_async_threads_are_not_needed() {
    let world = world(false).await;
    world.damage();
    let mut marking = Marking::new(Arc::clone(&world.metadata));
    marking.tick().await;
    tokio::time::advance(FIRST).await;
    assert!(!marking.tick().await, "one step is enough");
    assert_eq!(world.metadata.mark_status().unwrap().discrepancies, 1);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_lead_marks_nothing_and_another_term_begins_anew() {
    let world = world(true).await;
    let mut marking = Marking::new(Arc::clone(&world.metadata));
    marking.tick().await;
    // A term that is over by now.
    marking.term = Some(u64::MAX);
    tokio::time::advance(FIRST).await;
    assert!(!marking.tick().await);
    assert_eq!(world.metadata.mark_status(), None, "an hour again");
    tokio::time::advance(FIRST).await;
    marking.tick().await;
    assert!(world.metadata.mark_status().is_some());
    world.metadata.host().shutdown().await.unwrap();
    let last = world.metadata.mark_status();
    tokio::time::advance(2 * EVERY).await;
    assert!(!marking.tick().await);
    assert_eq!(world.metadata.mark_status(), last);
}
