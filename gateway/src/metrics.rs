//! Counters of the gateway, in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Requests answered, by operation and status; bytes each way.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    /// Object bytes taken in.
    pub(crate) bytes_in: Counter,
    /// Object bytes announced in answers.
    pub(crate) bytes_out: Counter,
    /// Connections accepted.
    pub(crate) connections: Counter,
}

/// A number that only rises.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Metrics {
    /// Counts an answer. Operations are names of a closed table, so the series are bounded.
    pub(crate) fn answered(&self, operation: &'static str, status: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((operation, status)).or_default() += 1;
    }

    /// The scrape.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let line = |text: &mut String, line: std::fmt::Arguments<'_>| {
            // Writing to a string does not fail.
            text.write_fmt(line).ok();
            text.push('\n');
        };
        line(
            &mut text,
            format_args!("# TYPE cairn_requests_total counter"),
        );
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for ((operation, status), count) in requests.iter() {
            line(
                &mut text,
                format_args!(
                    "cairn_requests_total{{operation=\"{operation}\",status=\"{status}\"}} {count}"
                ),
            );
        }
        let totals = [
            ("cairn_received_bytes_total", &self.bytes_in),
            ("cairn_sent_bytes_total", &self.bytes_out),
            ("cairn_connections_total", &self.connections),
        ];
        for (name, counter) in totals {
            line(&mut text, format_args!("# TYPE {name} counter"));
            line(&mut text, format_args!("{name} {}", counter.get()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_rendered_as_prometheus_reads_them() {
        let metrics = Metrics::default();
        metrics.answered("GetObject", 200);
        metrics.answered("GetObject", 200);
        metrics.bytes_in.add(7);
        let text = metrics.render();
        assert!(text.contains("cairn_requests_total{operation=\"GetObject\",status=\"200\"} 2\n"));
        assert!(text.contains("\ncairn_received_bytes_total 7\n"));
    }
}
