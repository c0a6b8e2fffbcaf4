//! What was seen of a machine.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cairn_world::{Capabilities, Space};

/// A machine, as far as it was asked about.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) clock: Clock,
    pub(super) ports: Vec<Port>,
    pub(super) directories: Vec<Directory>,
    /// Open files a process may have: now, and at most once it asks for more. `None`: any number.
    pub(super) open_files: (Option<u64>, Option<u64>),
    /// Bytes of memory that processes may still take, by the machine and by the control group.
    pub(super) memory: (Option<u64>, Option<u64>),
    /// Bytes a UDP socket may buffer: received, sent.
    pub(super) udp_buffers: (Option<u64>, Option<u64>),
    /// Instructions that digests and codes are fast with, and whether the processor has them.
    pub(super) instructions: Vec<(&'static str, bool)>,
}

/// The wall clock.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// Unix time, seconds.
    pub(super) now: u64,
    /// A program that sets it, where one is seen to run.
    pub(super) kept_by: Option<&'static str>,
    /// Seconds by which it is ahead of another machine's, or why that did not say.
    pub(super) ahead: Option<(String, Result<i64, String>)>,
}

/// What may be listened on.
#[derive(Clone, Debug)]
pub(super) struct Port {
    pub(super) option: &'static str,
    pub(super) address: SocketAddr,
    pub(super) protocol: &'static str,
    pub(super) bound: Result<(), std::io::ErrorKind>,
}

/// A data directory.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    /// Where it is not there yet: the directory above it that is, which was looked at in its stead.
    pub(super) above: Option<PathBuf>,
    pub(super) probed: Result<Probed, String>,
}

/// What a file system was seen to do.
#[derive(Clone, Debug)]
pub(super) struct Probed {
    pub(super) capabilities: Capabilities,
    pub(super) space: Space,
    /// Bytes of it that writes leave free.
    pub(super) headroom: u64,
    /// Number of the device, the same where two directories lie on one.
    pub(super) device: u64,
    /// The kernel's number of its kind.
    pub(super) kind: u64,
    /// How long a write of 4 KiB takes until it is durable: the middle of several.
    pub(super) flush: Duration,
}
