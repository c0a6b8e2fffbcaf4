//! A metadata group in memory: plain, obvious, one lock.

mod answer;
mod apply;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::{Coding, DiskId};
use cairn_rpc::{MetadataError, MetadataService};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::Refusal;
use cairn_wire::metadata::entry::Command;

/// What goes wrong with one of the next commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: a later command is meant.
    Spared,
    /// Carried out, but nobody hears of it.
    DoneButUnknown,
    /// Not carried out, and nobody knows.
    LostAndUnknown,
    /// Nobody there.
    Unavailable,
    /// No answer ever.
    Hangs,
    /// Refused.
    Refuse(Refusal),
}

/// A multipart upload and its parts.
#[derive(Clone, Debug)]
struct UploadRow {
    upload: wire::Upload,
    parts: BTreeMap<u32, (wire::Part, wire::part_read::Place)>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    cluster: wire::ClusterAnswer,
    users: BTreeMap<String, wire::User>,
    buckets: BTreeMap<String, wire::Bucket>,
    objects: BTreeMap<(u64, Bytes), wire::Object>,
    uploads: BTreeMap<(u64, Bytes, Bytes), UploadRow>,
    chunks: BTreeMap<(u64, Bytes), wire::Chunk>,
    /// When each was last renewed.
    leases: BTreeMap<(u64, Bytes), u64>,
    refuse_lease: bool,
    pages: BTreeMap<Bytes, Vec<Vec<wire::ExtentWrite>>>,
    /// Manifests staged and not attached, and the session each would fall with.
    staged: BTreeMap<Bytes, u64>,
    part_lists: BTreeMap<Bytes, Vec<wire::PartRead>>,
    open: BTreeSet<u64>,
    last_session: u64,
    outcomes: BTreeMap<(u64, u64), wire::Reply>,
    log: Vec<Command>,
    faults: VecDeque<Fault>,
    down: bool,
    kept_alive: Vec<Vec<u64>>,
    /// Queries answered so far.
    asked: u64,
    /// How long the next reading of a user takes.
    slow_user: Option<(Arc<super::HandClock>, Duration)>,
    /// An object that is written when pages are next asked for, which takes them away.
    overwrite: Option<(u64, wire::Object)>,
    sequence: u64,
}

/// The fake.
#[derive(Debug)]
pub(crate) struct FakeMetadata(Mutex<State>);

impl FakeMetadata {
    /// A cluster of one class over `disks` disks of one node, 2^4 partitions, and a root user.
    pub(crate) fn new(coding: Coding, disks: u8) -> Self {
        let (data, parity, cell, layout) = coding.parts();
        let ids: Vec<DiskId> = (0..disks).map(super::FakeDisks::id).collect();
        let row = |shift: usize| wire::PartitionRow {
            epoch: 1,
            current: (0..coding.shards())
                .map(|slot| Bytes::copy_from_slice(&ids[(slot + shift) % ids.len()].0))
                .collect(),
            next: Vec::new(),
        };
        let cluster = wire::ClusterAnswer {
            cluster: Bytes::from_static(&[7; 16]),
            generation: 1,
            group: 1,
            disks: ids
                .iter()
                .map(|id| wire::Disk {
                    disk: Bytes::copy_from_slice(&id.0),
                    node: 1,
                    zone: String::new(),
                })
                .collect(),
            classes: vec![wire::StorageClass {
                name: "STANDARD".to_owned(),
                coding: Some(wire::Coding {
                    data: data.into(),
                    parity: parity.into(),
                    cell,
                    layout: layout.into(),
                }),
                domain: "disk".to_owned(),
            }],
            partition_bits: 4,
            partitions: (0..16).map(row).collect(),
            ..Default::default()
        };
        let state = State {
            cluster,
            ..Default::default()
        };
        let fake = Self(Mutex::new(state));
        fake.add_user("root", "rootkey", "rootsecret", true);
        fake
    }

    pub(crate) fn add_user(&self, id: &str, access_key: &str, secret_key: &str, root: bool) {
        let mut state = self.0.lock().unwrap();
        let domain = state.users.len() as u64 + 1;
        let user = wire::User {
            id: id.to_owned(),
            display_name: id.to_owned(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            root,
            domain,
            ..Default::default()
        };
        state.users.insert(access_key.to_owned(), user);
    }

    pub(crate) fn edit<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        edit(&mut self.0.lock().unwrap())
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.edit(|state| state.faults.push_back(fault));
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.edit(|state| state.down = down);
    }

    /// The commands carried out, in order.
    pub(crate) fn log(&self) -> Vec<Command> {
        self.edit(|state| state.log.clone())
    }

    pub(crate) fn open_sessions(&self) -> Vec<u64> {
        self.edit(|state| state.open.iter().copied().collect())
    }
}

impl State {
    pub(crate) fn cluster(&mut self) -> &mut wire::ClusterAnswer {
        &mut self.cluster
    }

    pub(crate) fn objects(&mut self) -> &mut BTreeMap<(u64, Bytes), wire::Object> {
        &mut self.objects
    }

    pub(crate) fn buckets(&mut self) -> &mut BTreeMap<String, wire::Bucket> {
        &mut self.buckets
    }

    pub(crate) fn users(&mut self) -> &mut BTreeMap<String, wire::User> {
        &mut self.users
    }

    pub(crate) fn chunks(&mut self) -> &mut BTreeMap<(u64, Bytes), wire::Chunk> {
        &mut self.chunks
    }

    pub(crate) fn leases(&self) -> &BTreeMap<(u64, Bytes), u64> {
        &self.leases
    }

    /// Lets go of the chunks of the next lease just before it.
    pub(crate) fn refuse_next_lease(&mut self) {
        self.refuse_lease = true;
    }

    /// Stages a manifest by hand.
    pub(crate) fn put_pages(&mut self, manifest: Bytes, pages: Vec<Vec<wire::ExtentRead>>) {
        let write = |read: wire::ExtentRead| wire::ExtentWrite {
            sha256: read.sha256,
            incarnation: read.incarnation,
            chunk_length: read.chunk_length,
            offset: read.offset,
            length: read.length,
            coding: read.coding,
            ..Default::default()
        };
        let pages = pages
            .into_iter()
            .map(|page| page.into_iter().map(write).collect())
            .collect();
        self.pages.insert(manifest, pages);
    }

    /// Stores a part list by hand; gives its pages.
    pub(crate) fn put_part_list(&mut self, manifest: Bytes, parts: Vec<wire::PartRead>) -> u32 {
        let pages = u32::try_from(parts.len().div_ceil(answer::PARTS_PER_PAGE)).unwrap();
        self.part_lists.insert(manifest, parts);
        pages
    }

    /// Overwrites an object of `bucket` as its pages are read: they are gone before they are seen.
    pub(crate) fn overwrite_under_reader(&mut self, bucket: u64, by: wire::Object) {
        self.overwrite = Some((bucket, by));
    }

    /// Lets the next reading of a user take so long.
    pub(crate) fn slow_user(&mut self, clock: &Arc<super::HandClock>, by: Duration) {
        self.slow_user = Some((Arc::clone(clock), by));
    }

    /// Ends a session as the leader does.
    pub(crate) fn expire(&mut self, session: u64) {
        self.open.remove(&session);
        let owned = |owner: &u64| *owner == session;
        self.pages
            .retain(|manifest, _| !self.staged.get(manifest).is_some_and(owned));
        self.staged.retain(|_, owner| *owner != session);
    }

    pub(crate) fn staged(&self) -> &BTreeMap<Bytes, u64> {
        &self.staged
    }

    /// Queries answered so far.
    pub(crate) fn asked(&self) -> u64 {
        self.asked
    }

    pub(crate) fn kept_alive(&mut self) -> &mut Vec<Vec<u64>> {
        &mut self.kept_alive
    }

    fn carry_out(&mut self, session: u64, operation: u64, command: Command) -> wire::Reply {
        if session != 0 {
            if !self.open.contains(&session) {
                return refusal(Refusal::SessionEnded);
            }
            if let Some(reply) = self.outcomes.get(&(session, operation)) {
                return reply.clone();
            }
        }
        self.sequence += 1;
        let mut reply = match self.apply(session, &command) {
            Ok(reply) => reply,
            Err(refused) => refusal(refused),
        };
        reply.modified_ms = self.now();
        if reply.refusal == 0 {
            self.log.push(command);
        }
        if session != 0 {
            self.outcomes.insert((session, operation), reply.clone());
        }
        reply
    }

    fn now(&self) -> u64 {
        1_795_000_000_000 + self.sequence
    }
}

fn refusal(refusal: Refusal) -> wire::Reply {
    wire::Reply {
        refusal: refusal.into(),
        detail: "by the fake".to_owned(),
        ..Default::default()
    }
}

#[async_trait]
impl MetadataService for FakeMetadata {
    async fn propose(
        &self,
        session: u64,
        operation: u64,
        command: Command,
    ) -> Result<wire::Reply, MetadataError> {
        // Faults strike what clients ask for, not the keeping of sessions.
        let fault = self.edit(|state| {
            if session == 0 {
                None
            } else {
                state.faults.pop_front()
            }
        });
        if fault == Some(Fault::Hangs) {
            std::future::pending::<()>().await;
        }
        let mut state = self.0.lock().unwrap();
        if state.down {
            return Err(MetadataError::Unavailable("down".to_owned()));
        }
        match fault {
            Some(Fault::LostAndUnknown) => return Err(MetadataError::Unknown),
            Some(Fault::Unavailable) => return Err(MetadataError::Unavailable("fault".to_owned())),
            Some(Fault::Refuse(refused)) => return Ok(refusal(refused)),
            Some(Fault::DoneButUnknown) => {
                state.carry_out(session, operation, command);
                return Err(MetadataError::Unknown);
            }
            Some(Fault::Hangs | Fault::Spared) | None => {}
        }
        Ok(state.carry_out(session, operation, command))
    }

    async fn query(&self, query: wire::Query) -> Result<wire::Answer, MetadataError> {
        let mut state = self.0.lock().unwrap();
        if state.down {
            return Err(MetadataError::Unavailable("down".to_owned()));
        }
        state.asked += 1;
        let query = query.query.unwrap();
        if matches!(query, wire::query::Query::GetUser(_))
            && let Some((clock, by)) = state.slow_user.take()
        {
            clock.advance(by);
        }
        if matches!(query, wire::query::Query::GetPages(_))
            && let Some((bucket, by)) = state.overwrite.take()
        {
            state.pages.clear();
            state.objects.insert((bucket, by.key.clone()), by);
        }
        Ok(wire::Answer {
            answer: Some(state.answer(query)),
        })
    }

    async fn keep_alive(&self, sessions: &[u64]) -> Result<(), MetadataError> {
        self.edit(|state| state.kept_alive.push(sessions.to_vec()));
        Ok(())
    }
}
