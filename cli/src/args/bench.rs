//! Arguments of `cairn bench`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// What is asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// New objects.
    Put,
    /// Whole objects.
    Get,
    /// What is known of an object.
    Head,
    /// A page of up to 1,000 keys.
    List,
    /// Objects that are there.
    Delete,
    /// 45 % GET, 30 % HEAD, 15 % PUT, 10 % DELETE.
    Mixed,
}

impl Work {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Head => "head",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Mixed => "mixed",
        }
    }
}

/// Puts a load on any S3 endpoint and measures it from outside.
#[derive(Clone, Debug, Parser)]
pub(crate) struct BenchArgs {
    /// What to do; more than one are done one after another.
    #[arg(value_enum, required = true)]
    pub(crate) work: Vec<Work>,
    /// The store's address, http://HOST:PORT. Of TLS the load would pay one half.
    #[arg(long, default_value = "http://127.0.0.1:9000", env = "CAIRN_ENDPOINT")]
    pub(crate) endpoint: String,
    /// Region that requests are signed for.
    #[arg(long, default_value = "us-east-1")]
    pub(crate) region: String,
    /// Directory of a server, for the root's keys that are kept there; else `CAIRN_ROOT_ACCESS_KEY` and
    /// `CAIRN_ROOT_SECRET_KEY` (or `_FILE`).
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Bucket to work in; made where it is not there.
    #[arg(long, default_value = "cairn-bench")]
    pub(crate) bucket: String,
    /// Bytes of an object, as in 4096, 4KiB or 64MiB.
    #[arg(long, value_parser = parse_size, default_value = "4KiB")]
    pub(crate) size: u64,
    /// Connections, each with one request at a time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) clients: u16,
    /// Objects that are there beforehand, for everything but put.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) objects: u64,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// Seconds before those, that are not.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub(crate) warm_up: u64,
    /// Sign the digest of every body, as clients do over http; else `UNSIGNED-PAYLOAD`.
    #[arg(long)]
    pub(crate) signed: bool,
    /// Processes of the server, where they run here: their processor time and memory are shown.
    #[arg(
        long,
        value_name = "PID",
        value_delimiter = ',',
        env = "CAIRN_SERVER_PID"
    )]
    pub(crate) server_pid: Vec<u32>,
    /// Leave the objects; a later run with the same size and number finds them.
    #[arg(long)]
    pub(crate) keep: bool,
    /// One JSON object per work instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A number of bytes: digits, and KiB, MiB, GiB, or nothing after them.
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => {
            return Err(format!(
                "{unit}: a size ends in KiB, MiB, GiB or in a digit"
            ));
        }
    };
    let number: u64 = digits.parse().map_err(|_| "a size begins with digits")?;
    let bytes = number.checked_mul(1 << shift);
    bytes
        .filter(|bytes| *bytes <= LARGEST)
        .ok_or_else(|| "one PUT takes 5 GiB at most".to_owned())
}

/// Of one PUT.
const LARGEST: u64 = 5 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_refused() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("4KiB", 4096),
            ("64MiB", 64 << 20),
            ("5GiB", 5 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in [
            "",
            "KiB",
            "4kb",
            "4 KiB",
            "-1",
            "6GiB",
            "99999999999999999999",
            "18446744073709551615GiB",
        ] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn work_is_named() {
        let parsed = BenchArgs::try_parse_from([
            "bench",
            "put",
            "get",
            "--size",
            "1MiB",
            "--server-pid",
            "1,2",
        ])
        .unwrap();
        assert_eq!(parsed.work, [Work::Put, Work::Get]);
        assert_eq!((parsed.size, parsed.server_pid), (1 << 20, vec![1, 2]));
        assert!(BenchArgs::try_parse_from(["bench"]).is_err());
        assert!(BenchArgs::try_parse_from(["bench", "post"]).is_err());
        assert!(BenchArgs::try_parse_from(["bench", "put", "--clients", "0"]).is_err());
    }
}
