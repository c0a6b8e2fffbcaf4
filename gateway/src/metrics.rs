//! What the gateway counts.

use std::sync::Arc;
use std::time::Duration;

use cairn_telemetry::{Buckets, Counter, Gauge, Histogram, Registry};

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
    took: Histogram,
}

impl Metrics {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        let received = "Object bytes received.";
        let sent = "Object bytes announced in answers.";
        let open = "Open client connections.";
        let took = "Time from a request's head to its answer's.";
        Self {
            bytes_in: registry.counter("cairn_received_bytes_total", received, &[]),
            bytes_out: registry.counter("cairn_sent_bytes_total", sent, &[]),
            connections: registry.gauge("cairn_connections", open, &[]),
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

    /// Everything the process counts.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }
}
