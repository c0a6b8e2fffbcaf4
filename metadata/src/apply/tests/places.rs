//! Random histories against a model of what lies on the disks: whatever is written, moved, lost and
//! deleted, in whatever order, a row never claims a shard that is not where readers or its debt look.

use std::collections::{BTreeMap, BTreeSet};

use cairn_model::{ChunkId, DiskId};
use cairn_rpc::{Rebuild, ShardFound};
use cairn_wire::metadata::{
    Chunk, ChunkPage, ClusterAnswer, Debt, FinishDelete, GetChunkRows, GetSessions, JudgeOrphans,
    MarkSuspect, Orphan, RemoveDisk, SessionsAnswer,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::moves::{abandon, begin_move, disk, leave, partition_of, row, upload, view, wide};
use super::*;
use crate::keyspace::chunk::{ChunkKey, ChunkRow, ChunkState};
use crate::planner::moves::{Pass, Progress, under_way};
use crate::planner::orders::{Seats, Subject};
use crate::planner::{garbage, orphans};

#[derive(Clone, Debug)]
enum Step {
    Begin,
    End(usize),
    /// Shards go to disks, by a view that may be old; a shard may be missing.
    Write(usize, u8, usize, Option<u32>),
    Commit(usize),
    Delete(u8),
    /// A shard rots and a reader notices.
    Rot(u8, u8),
    Move(u32, u32, u8),
    /// One page of the pass.
    Pass,
    Cut,
    Abandon(u32, u32),
    Pay(u8),
    Mark(u8, bool),
    Remove(u8),
    /// What lies where nothing names it is gone.
    Wipe(u8),
    Collect,
}

/// Two partitions are enough, and the more happens to each of them.
fn step() -> impl Strategy<Value = Step> {
    let missing = prop_oneof![4 => Just(None), 1 => (0_u32..4).prop_map(Some)];
    prop_oneof![
        3 => Just(Step::Begin),
        3 => any::<usize>().prop_map(Step::End),
        10 => (any::<usize>(), 0_u8..6, 0_usize..3, missing)
            .prop_map(|(s, n, age, missing)| Step::Write(s, n, age, missing)),
        10 => any::<usize>().prop_map(Step::Commit),
        1 => (0_u8..6).prop_map(Step::Delete),
        1 => (0_u8..6, 0_u8..4).prop_map(|(n, shard)| Step::Rot(n, shard)),
        8 => (0_u32..2, 0_u32..4, 1_u8..7).prop_map(|(p, s, to)| Step::Move(p, s, to)),
        12 => Just(Step::Pass),
        8 => Just(Step::Cut),
        2 => (0_u32..2, 0_u32..4).prop_map(|(p, s)| Step::Abandon(p, s)),
        3 => (0_u8..6).prop_map(Step::Pay),
        1 => (1_u8..7, any::<bool>()).prop_map(|(disk, lost)| Step::Mark(disk, lost)),
        1 => (1_u8..7).prop_map(Step::Remove),
        4 => (1_u8..7).prop_map(Step::Wipe),
        1 => Just(Step::Collect),
    ]
}

/// A shard of a writing of a chunk.
type Record = (Bytes, Bytes, u32);

struct World {
    state: State,
    sessions: Vec<u64>,
    /// What lies on each disk: chunk digest, incarnation, shard.
    disks: BTreeMap<Bytes, BTreeSet<Record>>,
    /// Uploaded and not committed.
    written: Vec<(u64, ExtentWrite)>,
    views: Vec<ClusterAnswer>,
    progress: Progress,
    pass: Option<Pass>,
}

impl World {
    fn new() -> Self {
        let state = wide();
        Self {
            views: vec![view(&state)],
            state,
            sessions: vec![],
            disks: BTreeMap::new(),
            written: vec![],
            progress: Progress::default(),
            pass: None,
        }
    }

    fn holds(&self, disk: &Bytes, record: &Record) -> bool {
        self.disks
            .get(disk)
            .is_some_and(|held| held.contains(record))
    }

    fn store(&mut self, disk: &Bytes, record: Record) {
        self.disks.entry(disk.clone()).or_default().insert(record);
    }

    fn seats(&self) -> Seats {
        let members = (1..=6).map(|name| DiskId([name; 16])).collect();
        Seats::read(&view(&self.state), members).unwrap()
    }

    fn is_lost(&self, disk: &Bytes) -> bool {
        let cluster = view(&self.state);
        cluster
            .leaving
            .iter()
            .any(|one| one.lost && one.disk == disk)
            || !cluster.disks.iter().any(|one| one.disk == disk)
    }

    /// A member that never comes back.
    fn gave_up(&self, disk: &Bytes) -> bool {
        let cluster = view(&self.state);
        cluster
            .leaving
            .iter()
            .any(|one| one.lost && one.disk == disk)
    }

    fn chunk_row(&self, name: u8) -> Option<ChunkRow> {
        let rows = self.state.rows_of::<ChunkKey>().into_iter();
        rows.filter(|(key, _)| key.0.sha256.0[0] == name)
            .map(|(_, row)| row)
            .next()
    }

    /// Runs a command on the table; remembers the view it gives.
    fn change(&mut self, command: Command) {
        self.state.run(command);
        self.views.push(view(&self.state));
    }

    fn write(&mut self, session: u64, name: u8, age: usize, missing: Option<u32>) {
        let old = self.views[self.views.len().saturating_sub(1 + age)].clone();
        let partition = u32::from(name) % 2;
        let place = &old.partitions[partition as usize];
        let mut missing: BTreeSet<u32> = missing.into_iter().collect();
        let target = |slot: usize| match &place.next[slot] {
            next if next.is_empty() => place.current[slot].clone(),
            next => next.clone(),
        };
        let targets: Vec<Bytes> = (0..4).map(target).collect();
        missing.extend((0_u32..4).filter(|shard| self.is_lost(&targets[*shard as usize])));
        if missing.len() > 1 {
            return;
        }
        let missing: Vec<u32> = missing.into_iter().collect();
        let at = (partition, name);
        let extent = upload(&mut self.state, session, at, place.epoch, &missing);
        for shard in (0..4).filter(|shard| !missing.contains(shard)) {
            let record = (extent.sha256.clone(), extent.incarnation.clone(), shard);
            self.store(&targets[shard as usize], record);
        }
        self.written.push((session, extent));
    }

    /// A storage node obeys: from the wanted shard itself, or any two others.
    fn rebuild(&mut self, order: &Rebuild) -> bool {
        let bytes = |disk: DiskId| Bytes::copy_from_slice(&disk.0);
        let record = |shard: u8| {
            let sha256 = Bytes::copy_from_slice(&order.chunk.sha256.0);
            let stamp = Bytes::copy_from_slice(&order.incarnation.to_bytes());
            (sha256, stamp, u32::from(shard))
        };
        let target = bytes(order.disk);
        let good: BTreeSet<u8> = (order.sources.iter())
            .filter(|(shard, disk)| self.holds(&bytes(*disk), &record(*shard)))
            .map(|(shard, _)| *shard)
            .collect();
        let there = self.holds(&target, &record(order.shard));
        let made = there || good.contains(&order.shard) || good.len() >= 2;
        if made {
            self.store(&target, record(order.shard));
        }
        made
    }

    fn pay(&mut self, name: u8) {
        let Some(row) = self
            .chunk_row(name)
            .filter(|row| row.state() == ChunkState::Live)
        else {
            return;
        };
        let (seats, row) = (self.seats(), told(name, row));
        let subject = Subject::read(&row, &seats).unwrap();
        let orders = subject.wanted().into_iter();
        let orders: Vec<Rebuild> = orders.filter_map(|shard| subject.order(shard)).collect();
        let good = orders.iter().filter(|order| self.rebuild(order));
        let good: BTreeSet<u8> = good.map(|order| order.shard).collect();
        for command in subject.settle(&good) {
            self.state.done(command);
        }
    }

    fn sessions(&self) -> SessionsAnswer {
        let asked = Some(Asked::GetSessions(GetSessions {}));
        match query::answer(&self.state, Query { query: asked })
            .unwrap()
            .answer
        {
            Some(Kind::Sessions(sessions)) => sessions,
            other => panic!("{other:?}"),
        }
    }

    fn page(&self, pass: &Pass) -> ChunkPage {
        let asked = Some(Asked::GetChunkRows(GetChunkRows {
            limit: 2,
            after: pass.after.clone(),
            partitions: pass.partitions(),
        }));
        match query::answer(&self.state, Query { query: asked })
            .unwrap()
            .answer
        {
            Some(Kind::ChunkPage(page)) => page,
            other => panic!("{other:?}"),
        }
    }

    fn look(&mut self) {
        let seats = self.seats();
        let moving = under_way(&view(&self.state), &seats);
        self.progress.keep(&moving);
        let under_way = self.pass.take();
        let next = || self.progress.pass(&moving, &self.sessions(), &seats);
        let Some(mut pass) = under_way.or_else(next) else {
            return;
        };
        let page = self.page(&pass);
        for chunk in &page.chunks {
            let subject = Subject::read(chunk, &seats).unwrap();
            for slot in pass.slots(subject.partition(), &moving) {
                if !subject
                    .order(slot)
                    .is_some_and(|order| self.rebuild(&order))
                {
                    pass.fail(subject.partition(), slot);
                }
            }
        }
        pass.after = page.next;
        if pass.after.is_empty() {
            self.progress.finish(pass);
        } else {
            self.pass = Some(pass);
        }
    }

    /// Everything on a disk that no row and no debt says is there, and no open session may commit.
    fn wipe(&mut self, name: u8) {
        let target = disk(name);
        let mut held = self.disks.remove(&target).unwrap_or_default();
        let gone = !view(&self.state).disks.iter().any(|one| one.disk == target);
        let rows = self.state.rows_of::<ChunkKey>();
        held.retain(|(_, stamp, _)| {
            let open = Incarnation::from_bytes(stamp).unwrap().session.0;
            let place = row(&self.state, partition_of(stamp));
            let named = place.disks().any(|one| *one == target);
            let mut rows = rows.iter().filter(|(_, row)| row.incarnation == stamp);
            let owed = rows.any(|(_, row)| row.debt.iter().any(|debt| debt.found == target));
            !gone && (self.sessions.contains(&open) || named || owed)
        });
        self.disks.insert(target, held);
    }

    /// Orphans are judged, garbage is planned, nodes obey: until there is nothing to do.
    fn collect(&mut self) {
        let sessions = self.sessions();
        let mut suspects = orphans::Suspects::new();
        for (at, held) in &self.disks {
            for (sha256, stamp, shard) in held {
                let found = found(sha256, stamp, *shard);
                let row = self.chunk_row(sha256[0]).map(|row| told(sha256[0], row));
                let rows: Vec<Chunk> = row.into_iter().collect();
                for writing in orphans::suspects(&[found], &sessions, &rows) {
                    let named = row_names(&self.state, stamp, at);
                    let at = DiskId(at.as_ref().try_into().unwrap());
                    let strange = (!named).then_some(at);
                    suspects.entry(writing).or_default().extend(strange);
                }
            }
        }
        for verdict in orphans::verdicts(&suspects, &suspects) {
            self.state.done(Command::JudgeOrphans(verdict));
        }
        loop {
            let work = self.state.work();
            let mut commands = garbage::plan(&work);
            for item in &work.deleting {
                let place = row(&self.state, partition_of(&item.incarnation));
                for at in place.disks().chain(&item.disks) {
                    let held = self.disks.entry(at.clone()).or_default();
                    held.retain(|(_, stamp, _)| *stamp != item.incarnation);
                }
            }
            if !work.deleting.is_empty() {
                commands.push(Command::FinishDelete(FinishDelete {
                    items: work.deleting,
                }));
            }
            if commands.is_empty() {
                return;
            }
            for command in commands {
                self.state.done(command);
            }
        }
    }

    fn play(&mut self, step: &Step) {
        let pick = |sessions: &[u64], pick: usize| {
            (!sessions.is_empty()).then(|| sessions[pick % sessions.len()])
        };
        match step {
            Step::Begin => {
                let session = self.state.begin();
                self.sessions.push(session);
            }
            Step::End(which) => {
                if let Some(session) = pick(&self.sessions, *which) {
                    self.state.done(end(session));
                    self.sessions.retain(|open| *open != session);
                }
            }
            Step::Write(which, name, age, missing) => {
                if let Some(session) = pick(&self.sessions, *which) {
                    self.write(session, *name, *age, *missing);
                }
            }
            Step::Commit(which) if !self.written.is_empty() => {
                let (session, extent) = self.written.remove(which % self.written.len());
                let key = format!("{}", extent.sha256[0]);
                let manifest = self.state.stamp(session);
                let extents = vec![extent];
                let place = Place::Extents(Extents { manifest, extents });
                self.state.run_in(session, put_content(&key, place));
            }
            Step::Commit(_) => {}
            Step::Delete(name) => drop(self.state.run(delete(&name.to_string()))),
            Step::Rot(name, shard) => self.rot(*name, u32::from(*shard)),
            other => self.play_table(other),
        }
    }

    fn rot(&mut self, name: u8, shard: u32) {
        let Some(row) = self.chunk_row(name) else {
            return;
        };
        let record = (vec![name; 32].into(), row.incarnation.clone(), shard);
        for held in self.disks.values_mut() {
            held.remove(&record);
        }
        self.state.done(Command::MarkSuspect(MarkSuspect {
            domain: 1,
            sha256: vec![name; 32].into(),
            incarnation: row.incarnation,
            reason: "rot".into(),
        }));
    }

    fn play_table(&mut self, step: &Step) {
        match step {
            Step::Move(partition, slot, to) => {
                let command = begin_move(&self.state, *partition, *slot, *to);
                self.change(command);
            }
            Step::Pass => self.look(),
            Step::Cut => {
                let seats = self.seats();
                self.progress.keep(&under_way(&view(&self.state), &seats));
                for command in self.progress.cut_overs(&seats) {
                    self.change(command);
                }
            }
            Step::Abandon(partition, slot) => {
                let command = abandon(&self.state, *partition, *slot);
                self.change(command);
            }
            Step::Pay(name) => self.pay(*name),
            Step::Mark(name, lost) => {
                self.state.run(leave(*name, *lost));
                if self.is_lost(&disk(*name)) {
                    self.disks.remove(&disk(*name));
                }
            }
            Step::Remove(name) => {
                let remove = RemoveDisk { disk: disk(*name) };
                self.state.run(Command::RemoveDisk(remove));
                self.wipe(*name);
            }
            Step::Wipe(name) => self.wipe(*name),
            Step::Collect => self.collect(),
            _ => unreachable!("played already"),
        }
    }

    /// Every shard of every row is where the row says: owed, found where its debt says, or on a disk
    /// that readers try. What was on a lost disk is excused until its slot has moved away.
    fn check(&self) {
        mark::check(&self.state);
        for (key, chunk) in self.state.rows_of::<ChunkKey>() {
            if chunk.state() != ChunkState::Live || chunk.suspect {
                continue;
            }
            let place = row(&self.state, partition_of(&chunk.incarnation));
            let mut readers_find = 0;
            for shard in 0..4 {
                let record = (
                    Bytes::copy_from_slice(&key.0.sha256.0),
                    chunk.incarnation.clone(),
                    shard,
                );
                let debt = chunk.debt.iter().find(|debt| debt.shard == shard);
                let slot = shard as usize;
                let usual = std::iter::once(&place.current[slot]).chain(place.next_of(slot));
                let at_hand = usual.clone().any(|at| self.holds(at, &record));
                let there = match debt {
                    None => at_hand,
                    Some(Debt { found, .. }) if found.is_empty() => true,
                    Some(Debt { found, .. }) => self.holds(found, &record) || self.gave_up(found),
                };
                let excused = usual.clone().any(|at| self.gave_up(at));
                assert!(there || excused, "shard {shard} of {chunk:?} in {place:?}");
                readers_find += usize::from(at_hand || excused);
            }
            assert!(
                readers_find >= 3,
                "{readers_find} of {chunk:?} in {place:?}"
            );
        }
    }
}

fn row_names(state: &State, stamp: &Bytes, at: &Bytes) -> bool {
    row(state, partition_of(stamp)).disks().any(|one| one == at)
}

fn found(sha256: &Bytes, stamp: &Bytes, shard: u32) -> ShardFound {
    ShardFound {
        chunk: ChunkId {
            domain: cairn_model::DomainId(1),
            sha256: cairn_model::Sha256(sha256.as_ref().try_into().unwrap()),
        },
        incarnation: Incarnation::from_bytes(stamp).unwrap(),
        shard: u8::try_from(shard).unwrap(),
    }
}

fn told(name: u8, row: ChunkRow) -> Chunk {
    Chunk {
        domain: 1,
        sha256: vec![name; 32].into(),
        live: row.state() == ChunkState::Live,
        incarnation: row.incarnation,
        coding: row.coding,
        length: row.length,
        table_digest: row.table_digest,
        suspect: row.suspect,
        suspicions: row.suspicions,
        debt: row.debt,
        ..Chunk::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_row_claims_a_shard_that_is_not_there(steps in vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            world.play(step);
            world.check();
        }
        for session in std::mem::take(&mut world.sessions) {
            world.state.done(end(session));
        }
        world.written.clear();
        for round in 1..40 {
            world.play(if round % 9 == 0 { &Step::Cut } else { &Step::Pass });
        }
        for name in 1..7 {
            world.play(&Step::Wipe(name));
        }
        world.check();
        for name in 0..6 {
            world.play(&Step::Delete(name));
        }
        world.collect();
        world.collect();
        for (at, held) in &world.disks {
            let member = view(&world.state).disks.iter().any(|one| one.disk == at);
            prop_assert!(!member || held.is_empty(), "{at:?} keeps {held:?}");
        }
        let left: [usize; 1] = [world.state.rows_of::<ChunkKey>().len()];
        prop_assert_eq!(left, [0]);
    }
}

/// The model's own eyes: a row that claims a shard nobody has is seen.
#[test]
#[should_panic(expected = "shard 2 of")]
fn the_model_sees_a_missing_shard() {
    let mut world = World::new();
    world.play(&Step::Begin);
    world.play(&Step::Write(0, 1, 0, None));
    world.play(&Step::Commit(0));
    world.check();
    world.disks.get_mut(&disk(3)).unwrap().clear();
    world.check();
}

#[test]
fn an_orphan_on_a_disk_its_row_has_left_is_deleted_there() {
    let mut world = World::new();
    for step in [Step::Begin, Step::Write(0, 1, 0, None), Step::End(0)] {
        world.play(&step);
    }
    for step in [Step::Move(1, 0, 5), Step::Pass, Step::Cut] {
        world.play(&step);
    }
    assert_eq!(row(&world.state, 1).current[0], disk(5));
    assert_eq!(world.disks[&disk(1)].len(), 1);
    let stamp = world.disks[&disk(1)].first().unwrap().1.clone();
    // Found, but without a word of where: it stays.
    let orphan = Orphan {
        domain: 1,
        sha256: vec![1; 32].into(),
        incarnation: stamp,
        disks: vec![disk(1); limits::ORPHAN_DISKS_MAX + 1],
    };
    let orphans = vec![orphan];
    let many = world
        .state
        .run(Command::JudgeOrphans(JudgeOrphans { orphans }));
    assert_eq!(many.refusal(), Refusal::Malformed);
    world.collect();
    assert!(world.disks.values().all(BTreeSet::is_empty));
}
