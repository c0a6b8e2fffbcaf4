//! What is shown of a measurement.

use std::time::Duration;

use serde::Serialize;

use super::load::Tally;
use super::processes::Usage;

/// What a measurement was of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured<'a> {
    pub(super) work: &'static str,
    pub(super) size: u64,
    pub(super) clients: u16,
    pub(super) objects: u64,
    pub(super) took: Duration,
    pub(super) tally: &'a Tally,
    /// Of the server's processes, where they are known.
    pub(super) server: Option<Usage>,
    /// Processor time of the load.
    pub(super) load: Duration,
}

/// One measurement in numbers. Times are microseconds, except `seconds`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Report {
    work: &'static str,
    size: u64,
    clients: u16,
    objects: u64,
    seconds: f64,
    requests: u64,
    failed: u64,
    per_second: f64,
    /// Object bytes, in 10^6 per second.
    megabytes_per_second: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    longest: f64,
    /// Processor time of the server for one request.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_micros_per_request: Option<f64>,
    /// The same for one byte, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_nanos_per_byte: Option<f64>,
    /// Most memory that the server's processes ever had, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_peak_mebibytes: Option<f64>,
    load_micros_per_request: f64,
}

impl Report {
    pub(super) fn of(measured: &Measured<'_>) -> Self {
        let Measured { tally, took, .. } = measured;
        let seconds = took.as_secs_f64();
        let requests = tally.latencies.count();
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let quantile = |thousandths| micros(tally.latencies.quantile(thousandths));
        let per = |total: f64, count: u64| {
            if count == 0 {
                0.0
            } else {
                total / float(count)
            }
        };
        let nanos = |usage: Usage| per(micros(usage.cpu) * 1e3, tally.bytes);
        Self {
            work: measured.work,
            size: measured.size,
            clients: measured.clients,
            objects: measured.objects,
            seconds,
            requests,
            failed: tally.failed,
            per_second: float(requests) / seconds,
            megabytes_per_second: float(tally.bytes) / seconds / 1e6,
            p50: quantile(500),
            p90: quantile(900),
            p99: quantile(990),
            p999: quantile(999),
            longest: micros(tally.latencies.longest()),
            server_micros_per_request: measured
                .server
                .map(|usage| per(micros(usage.cpu), requests)),
            server_nanos_per_byte: measured.server.map(nanos),
            server_peak_mebibytes: measured.server.map(|usage| float(usage.peak) / 1_048_576.0),
            load_micros_per_request: per(micros(measured.load), requests),
        }
    }

    /// The names of a line's columns.
    pub(super) fn header() -> String {
        format!(
            "{:<7}{:>9}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>12}{:>10}{:>10}",
            "work",
            "size",
            "clients",
            "req/s",
            "MB/s",
            "p50 us",
            "p99 us",
            "p99.9 us",
            "max us",
            "cpu us/req",
            "cpu ns/B",
            "peak MiB"
        )
    }

    /// One line below [`Report::header`].
    pub(super) fn line(&self) -> String {
        let shown = |number: Option<f64>, digits: usize| {
            number.map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}"))
        };
        format!(
            "{:<7}{:>9}{:>9}{:>10.0}{:>10.1}{:>10.0}{:>10.0}{:>10.0}{:>10.0}{:>12}{:>10}{:>10}",
            self.work,
            self.size,
            self.clients,
            self.per_second,
            self.megabytes_per_second,
            self.p50,
            self.p99,
            self.p999,
            self.longest,
            shown(self.server_micros_per_request, 1),
            shown(self.server_nanos_per_byte, 2),
            shown(self.server_peak_mebibytes, 0),
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts that people read")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::latency::Latencies;

    #[test]
    fn figures_are_what_was_counted() {
        let mut latencies = Latencies::new();
        for _ in 0..100 {
            latencies.note(Duration::from_micros(200));
        }
        let tally = Tally {
            latencies,
            bytes: 400_000,
            failed: 3,
            first: None,
            last: Duration::ZERO,
        };
        let measured = Measured {
            work: "put",
            size: 4_000,
            clients: 16,
            objects: 9,
            took: Duration::from_secs(2),
            tally: &tally,
            server: Some(Usage {
                cpu: Duration::from_millis(10),
                peak: 3 << 20,
            }),
            load: Duration::from_millis(1),
        };
        let report = Report::of(&measured);
        assert!((report.per_second - 50.0).abs() < 1e-9);
        assert!((report.megabytes_per_second - 0.2).abs() < 1e-9);
        assert_eq!(report.server_micros_per_request, Some(100.0));
        assert_eq!(report.server_nanos_per_byte, Some(25.0));
        assert_eq!(report.server_peak_mebibytes, Some(3.0));
        assert_eq!((report.requests, report.failed), (100, 3));
        assert_eq!(
            Report::header()
                .split("  ")
                .filter(|name| !name.is_empty())
                .count(),
            12
        );
        assert_eq!(report.line().split_whitespace().count(), 12);
        let unknown = Report::of(&Measured {
            server: None,
            ..measured
        });
        assert!(unknown.line().contains(" - "));
        assert!(!serde_json::to_string(&unknown).unwrap().contains("server"));
    }
}
