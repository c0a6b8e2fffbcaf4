//! What the gateway counts.

use std::sync::Arc;
use std::time::Duration;

use cairn_telemetry::{Buckets, Counter, Gauge, Histogram, Registry};

use cairn_wire::metadata::MarkStatus;

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
        let took = "Time from a request's head to its answer's.";
        Self {
            bytes_in: registry.counter("cairn_received_bytes_total", received, &[]),
            bytes_out: registry.counter("cairn_sent_bytes_total", sent, &[]),
            connections: registry.gauge("cairn_connections", open, &[]),
            sessions: registry.gauge("cairn_sessions_open", sessions, &[]),
            held: registry.gauge("cairn_session_bytes", held, &[]),
            oldest: registry.gauge("cairn_session_oldest_seconds", oldest, &[]),
            oldest_held: registry.gauge("cairn_session_oldest_bytes", oldest_held, &[]),
            took: registry.histogram("cairn_request_seconds", took, Buckets::LATENCY, &[]),
            registry,
        }
    }

    /// Counts an answer. Operations are names of a closed table, so the series are bounded.
    pub(crate) fn answered(&self, operation: &'static str, status: u16, took: Duration) {
        let help = "Requests answered, by operation and status.";
        let status = status.to_string();
        let labels = [("operation", operation), ("status", status.as_str())];
        self.registry
            .counter("cairn_requests_total", help, &labels)
            .increment();
        self.took.observe_duration(took);
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

    /// Shows what a full mark found; before the first one there is nothing to show.
    pub(crate) fn show_mark(&self, mark: &MarkStatus) {
        let shown = |name, help, number: u64| {
            let gauge = self.registry.gauge(name, help, &[]);
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        };
        let wrong =
            "Counts that the last full mark of the metadata found wrong; its log names them.";
        let rows = "Rows that the last full mark of the metadata has read.";
        let ended = "When the last full mark of the metadata ended, in Unix time.";
        shown("cairn_mark_discrepancies", wrong, mark.discrepancies);
        shown("cairn_mark_rows", rows, mark.rows);
        shown(
            "cairn_mark_timestamp_seconds",
            ended,
            mark.finished_ms / 1_000,
        );
    }

    /// Everything the process counts.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }
}
