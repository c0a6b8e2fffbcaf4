//! One line of `cairn bench --json`, as far as it is looked at here.

use serde_json::Value;

/// A measurement. Times are microseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) work: String,
    /// Bytes of an object.
    pub(crate) size: u64,
    pub(crate) clients: u64,
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Processor time of the server for one request.
    pub(crate) server: f64,
    /// Processor time of the load for one request.
    pub(crate) load: f64,
}

impl Measured {
    /// `None` for a line that is none, or of a run without the server's process.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let report: Value = serde_json::from_str(line).ok()?;
        let number = |name: &str| report.get(name)?.as_f64();
        Some(Self {
            work: report.get("work")?.as_str()?.to_owned(),
            size: report.get("size")?.as_u64()?,
            clients: report.get("clients")?.as_u64()?,
            per_second: number("per_second")?,
            p50: number("p50")?,
            p99: number("p99")?,
            server: number("server_micros_per_request")?,
            load: number("load_micros_per_request")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_bench_is_read_and_another_is_not() {
        let line = r#"{"work":"head","size":4096,"clients":8,"per_second":10.0,"p50":1.0,"p99":2.0,"server_micros_per_request":30.0,"load_micros_per_request":12.0}"#;
        let measured = Measured::parse(line).unwrap();
        assert_eq!(
            (measured.work.as_str(), measured.size, measured.clients),
            ("head", 4_096, 8)
        );
        assert_eq!(
            (measured.server, measured.load, measured.p99),
            (30.0, 12.0, 2.0)
        );
        for bad in [
            "",
            "work",
            "{}",
            r#"{"work":"head","size":1,"load_micros_per_request":12.0}"#,
        ] {
            assert_eq!(Measured::parse(bad), None, "{bad}");
        }
    }
}
