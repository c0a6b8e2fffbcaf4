//! What the gateway counts, and what it shows of the cluster.
//!
//! ```text
//!   every answer ──> cairn_requests_total{operation,status}, cairn_request_seconds{operation}
//!   every 15 s ────> a replica's status ──> cluster.rs: Raft, nodes, disks, what waits
//! ```

mod cluster;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cairn_telemetry::{Buckets, Counter, Gauge, Histogram, Registry};

use cairn_wire::metadata::StatusAnswer;

use crate::data::session::Occupied;

/// The gateway's series in the process's registry.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    /// Object bytes taken in.
    pub(crate) bytes_in: Counter,
    /// Object bytes announced in answers.
    pub(crate) bytes_out: Counter,
    /// Connections that are open.
    pub(crate) connections: Gauge,
    sessions: Gauge,
    held: Gauge,
    oldest: Gauge,
    oldest_held: Gauge,
    /// By operation and status, so that a request takes no lock of the registry.
    answers: RwLock<BTreeMap<(&'static str, u16), Answers>>,
}

/// The series of one operation's answers with one status.
#[derive(Clone, Debug)]
struct Answers {
    count: Counter,
    /// The same one whatever the status.
    took: Histogram,
}

impl Metrics {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        let received = "Object bytes received.";
        let sent = "Object bytes announced in answers.";
        let open = "Open client connections.";
        let sessions = "Open sessions of this gateway.";
        let held = "Bytes that requests read or have written in open sessions.";
        let oldest = "Age of the oldest open session: garbage younger than it waits for it.";
        let oldest_held = "Bytes that requests read or have written in the oldest open session.";
        Self {
            bytes_in: registry.counter("cairn_received_bytes_total", received, &[]),
            bytes_out: registry.counter("cairn_sent_bytes_total", sent, &[]),
            connections: registry.gauge("cairn_connections", open, &[]),
            sessions: registry.gauge("cairn_sessions_open", sessions, &[]),
            held: registry.gauge("cairn_session_bytes", held, &[]),
            oldest: registry.gauge("cairn_session_oldest_seconds", oldest, &[]),
            oldest_held: registry.gauge("cairn_session_oldest_bytes", oldest_held, &[]),
            answers: RwLock::default(),
            registry,
        }
    }

    /// Counts an answer. Operations are names of a closed table, so the series are bounded.
    pub(crate) fn answered(&self, operation: &'static str, status: u16, took: Duration) {
        let key = (operation, status);
        let answers = self.known_answers(key).unwrap_or_else(|| {
            let made = self.answers_of(operation, status);
            let mut all = self.answers.write().unwrap_or_else(PoisonError::into_inner);
            all.entry(key).or_insert(made).clone()
        });
        answers.count.increment();
        answers.took.observe_duration(took);
    }

    fn known_answers(&self, key: (&'static str, u16)) -> Option<Answers> {
        let all = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&key).cloned()
    }

    fn answers_of(&self, operation: &'static str, status: u16) -> Answers {
        let counted = "Requests answered, by operation and status.";
        let timed = "Time from a request's head to its answer's, by operation.";
        let status = status.to_string();
        let labels = [("operation", operation), ("status", status.as_str())];
        let of = [("operation", operation)];
        let registry = &self.registry;
        Answers {
            count: registry.counter("cairn_requests_total", counted, &labels),
            took: registry.histogram("cairn_request_seconds", timed, Buckets::LATENCY, &of),
        }
    }

    /// Shows what is held in sessions.
    pub(crate) fn show(&self, now: &Occupied) {
        let shown = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.sessions
            .set(i64::try_from(now.sessions).unwrap_or(i64::MAX));
        self.held.set(shown(now.bytes));
        self.oldest.set(shown(now.oldest.as_secs()));
        self.oldest_held.set(shown(now.oldest_bytes));
    }

    /// Shows what a replica of the metadata says of the cluster.
    pub(crate) fn show_cluster(&self, status: &StatusAnswer) {
        cluster::show(&self.registry, status);
    }

    /// Everything the process counts.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }
}
