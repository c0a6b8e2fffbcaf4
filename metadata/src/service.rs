//! One replica of the metadata group as its callers see it: stamps entries, commits them, answers
//! queries from a view that holds every acknowledged entry.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::{DiskId, NodeId, limits};
use cairn_rpc::quic::HeartbeatSink;
use cairn_rpc::{MetadataError, MetadataService};
use cairn_store::View;
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{
    Answer, ClusterAnswer, DiskStatus, Entry, GetCluster, GetMembers, MarkStatus, MembersAnswer,
    Query, RaftStatus, Reply, StatusAnswer,
};
use cairn_world::{Bug, Clock, buggify, planted};
use prost::Message as _;

use crate::apply;
use crate::journal::LogPosition;
use crate::keyspace::KeyKind as _;
use crate::keyspace::cluster::{ClusterKey, LAYOUT};
use crate::query::{self, QueryError};
use crate::raft::{
    Applied, ApplyError, Committed, ProposeError, RaftHost, RaftMetrics, ReadError, StateMachine,
};
use crate::status::Reports;

/// The group every entry names so far.
pub(crate) const GROUP: u32 = 1;

/// The application's state machine behind the Raft host's trait.
#[derive(Debug, Default)]
pub struct Machine;

impl StateMachine for Machine {
    fn apply(
        &mut self,
        view: &dyn View,
        entries: &[Committed],
    ) -> Result<Vec<Applied>, ApplyError> {
        let payloads: Vec<Bytes> = entries.iter().map(|entry| entry.payload.clone()).collect();
        let applied =
            apply::apply(view, &payloads).map_err(|error| ApplyError(error.to_string()))?;
        Ok(applied
            .into_iter()
            .map(|one| Applied {
                changes: one.changes,
                reply: one.reply.encode_to_vec().into(),
            })
            .collect())
    }

    /// Keeps nothing between calls, but refuses rows that another build laid out: it would not find them.
    fn reset(&mut self, view: &dyn View) -> Result<(), ApplyError> {
        let row = view.get(&ClusterKey.encode());
        let row = row.map_err(|error| ApplyError(error.to_string()))?;
        let row = row.map(|row| ClusterKey::decode_row(&row)).transpose();
        let row = row.map_err(|error| ApplyError(error.to_string()))?;
        match row {
            Some(row) if row.layout != LAYOUT => Err(ApplyError(format!(
                "the metadata here is laid out as {} and this build reads {LAYOUT}: run the build that wrote it",
                row.layout
            ))),
            _ => Ok(()),
        }
    }
}

fn raft_status(metrics: &RaftMetrics) -> RaftStatus {
    let index = |position: Option<LogPosition>| position.map_or(0, |position| position.index);
    RaftStatus {
        term: metrics.term,
        last: metrics.last_index.unwrap_or_default(),
        applied: index(metrics.applied),
        snapshot: index(metrics.snapshot),
        purged: index(metrics.purged),
        journal_segments: metrics.journal.segments as u64,
        journal_groups: metrics.journal.groups,
    }
}

/// The service over a Raft host.
pub struct Metadata {
    host: RaftHost,
    clock: Arc<dyn Clock>,
    /// When each session was last heard of, on the monotonic face.
    heard: Mutex<BTreeMap<u64, Duration>>,
    reports: Reports,
    marked: Mutex<Option<MarkStatus>>,
}

impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metadata").finish_non_exhaustive()
    }
}

impl Metadata {
    /// A service over an open host.
    #[must_use]
    pub fn new(host: RaftHost, clock: Arc<dyn Clock>) -> Self {
        Self {
            host,
            clock,
            heard: Mutex::new(BTreeMap::new()),
            reports: Reports::default(),
            marked: Mutex::default(),
        }
    }

    /// The Raft host below.
    #[must_use]
    pub fn host(&self) -> &RaftHost {
        &self.host
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// `node` said how its disks are.
    pub fn note_status(&self, node: NodeId, disks: Vec<DiskStatus>) {
        self.reports.note(node.0, disks, self.clock.monotonic());
    }

    async fn status(&self) -> StatusAnswer {
        let view = self.host.stale_view();
        let counted = move || query::waiting(view.as_ref()).map_err(std::io::Error::other);
        // A store that cannot be read says so itself, to everybody.
        let work = self.host.blocking(counted).await.ok();
        let metrics = self.host.metrics();
        let now = self.clock.monotonic();
        let heard = self
            .reports
            .answer(self.host.members(), metrics.leader, now);
        StatusAnswer {
            mark: self.mark_status(),
            raft: Some(raft_status(&metrics)),
            work,
            ..heard
        }
    }

    /// The last full mark that this replica finished, as leader, since it was started.
    #[must_use]
    pub fn mark_status(&self) -> Option<MarkStatus> {
        *self.marked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A full mark is finished.
    pub(crate) fn note_mark(&self, status: MarkStatus) {
        *self.marked.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }

    /// Disks that may hold less than was written, with the opening since which that is so.
    pub(crate) fn doubts(&self) -> BTreeMap<DiskId, u64> {
        self.reports.doubts()
    }

    /// The generation that each disk last said it has fenced, as far as this replica heard.
    pub(crate) fn fences(&self) -> BTreeMap<DiskId, u32> {
        self.reports.fences()
    }

    /// Nodes and disks as far as this replica has applied them: for a voter that must know its peers
    /// before there can be a leader to ask. `None` where they cannot be read.
    #[must_use]
    pub fn members_applied(&self) -> Option<MembersAnswer> {
        let query = Query {
            query: Some(Asked::GetMembers(GetMembers {})),
        };
        let answer = query::answer(self.host.stale_view().as_ref(), query).ok()?;
        match answer.answer {
            Some(Kind::Members(members)) => Some(members),
            _ => None,
        }
    }

    /// An answer, linearizably; for work of the leader's.
    pub(crate) async fn ask(&self, asked: Asked) -> Result<Kind, MetadataError> {
        let answer = self.query(Query { query: Some(asked) }).await?.answer;
        answer.ok_or(MetadataError::Refused("an empty answer"))
    }

    /// Nodes and disks, linearizably.
    pub(crate) async fn members(&self) -> Result<MembersAnswer, MetadataError> {
        match self.ask(Asked::GetMembers(GetMembers {})).await? {
            Kind::Members(members) => Ok(members),
            _ => Err(MetadataError::Refused("another answer than asked")),
        }
    }

    /// Disks, classes, partitions, linearizably.
    pub(crate) async fn cluster(&self) -> Result<ClusterAnswer, MetadataError> {
        match self.ask(Asked::GetCluster(GetCluster {})).await? {
            Kind::Cluster(cluster) => Ok(cluster),
            _ => Err(MetadataError::Refused("another answer than asked")),
        }
    }

    /// Of `open`, the sessions nobody spoke for since `SESSION_EXPIRY_SECS`. One never heard of
    /// counts from this call on: a new leader gives every session its full time again.
    pub(crate) fn silent(&self, open: &[u64]) -> Vec<u64> {
        let now = self.clock.monotonic();
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.retain(|session, _| open.contains(session));
        let expiry = Duration::from_secs(limits::SESSION_EXPIRY_SECS);
        open.iter()
            .filter(|session| now.saturating_sub(*heard.entry(**session).or_insert(now)) > expiry)
            .copied()
            .collect()
    }

    /// A new leadership: everybody's time starts again.
    pub(crate) fn forget_heard(&self) {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn not_leader(&self) -> MetadataError {
        let metrics = self.host.metrics();
        MetadataError::NotLeader {
            leader: metrics.leader.filter(|leader| *leader != metrics.node_id),
        }
    }

    /// The stamp of an entry proposed now.
    fn stamp(&self) -> Result<u64, MetadataError> {
        match self.host.stamp() {
            Ok(stamp) => Ok(stamp),
            Err(error) if self.host.is_leader() => {
                Err(MetadataError::Unavailable(error.to_string()))
            }
            Err(_) => Err(self.not_leader()),
        }
    }

    fn hear(&self, sessions: &[u64]) {
        let now = self.clock.monotonic();
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        for session in sessions {
            heard.insert(*session, now);
        }
    }
}

/// What a replica may say at any time: nothing was done.
fn not_now() -> MetadataError {
    MetadataError::Unavailable("not now".into())
}

fn query_error(error: QueryError) -> MetadataError {
    match error {
        QueryError::Malformed(what) => MetadataError::Refused(what),
        QueryError::Store(error) => MetadataError::Unavailable(error.to_string()),
    }
}

/// Whether a planted bug answers this from whatever is applied here.
fn reads_stale(asked: Option<&Asked>) -> bool {
    match asked {
        Some(Asked::ListObjects(_) | Asked::ListBuckets(_)) => planted(Bug::StaleList),
        Some(Asked::GetObject(_) | Asked::FindObject(_)) => planted(Bug::StaleRead),
        _ => false,
    }
}

#[async_trait]
impl MetadataService for Metadata {
    async fn propose(
        &self,
        session: u64,
        operation: u64,
        command: Command,
    ) -> Result<Reply, MetadataError> {
        if buggify("commit-unavailable") {
            return Err(not_now());
        }
        let stamp_ms = self.stamp()?;
        let entry = Entry {
            group: GROUP,
            stamp_ms,
            session,
            operation,
            command: Some(command),
        };
        if u64::try_from(entry.encoded_len()).unwrap_or(u64::MAX) > limits::ENTRY_LEN_MAX {
            return Err(MetadataError::TooLarge);
        }
        if session != 0 {
            self.hear(&[session]);
        }
        let reply = self
            .host
            .propose(entry.encode_to_vec().into())
            .await
            .map_err(|error| match error {
                ProposeError::NotLeader { leader } => MetadataError::NotLeader {
                    leader: leader.map(|member| member.id),
                },
                ProposeError::TooLarge { .. } => MetadataError::TooLarge,
                ProposeError::Unknown => MetadataError::Unknown,
                ProposeError::Stopped => {
                    MetadataError::Unavailable("the replica has stopped".into())
                }
            })?;
        if buggify("commit-answer-lost") {
            return Err(MetadataError::Unknown);
        }
        Reply::decode(reply).map_err(|_| MetadataError::Unknown)
    }

    async fn query(&self, query: Query) -> Result<Answer, MetadataError> {
        if let Some(Asked::GetStatus(_)) = query.query {
            let answer = Some(Kind::Status(self.status().await));
            return Ok(Answer { answer });
        }
        if buggify("query-unavailable") {
            return Err(not_now());
        }
        if reads_stale(query.query.as_ref()) {
            let view = self.host.stale_view();
            return query::answer(view.as_ref(), query).map_err(query_error);
        }
        let view = self.host.read().await.map_err(|error| match error {
            ReadError::NotLeader { leader } => MetadataError::NotLeader {
                leader: leader.map(|member| member.id),
            },
            ReadError::Unavailable => MetadataError::Unavailable("no quorum".into()),
            ReadError::Stopped => MetadataError::Unavailable("the replica has stopped".into()),
        })?;
        query::answer(view.as_ref(), query).map_err(query_error)
    }

    async fn keep_alive(&self, sessions: &[u64]) -> Result<(), MetadataError> {
        if buggify("keep-alive-lost") {
            return Err(not_now());
        }
        // Only the leader's memory counts.
        if !self.host.is_leader() {
            return Err(self.not_leader());
        }
        self.hear(sessions);
        Ok(())
    }
}

impl HeartbeatSink for Metadata {
    fn heard(&self, node: NodeId, disks: Vec<DiskStatus>) {
        self.note_status(node, disks);
    }
}
