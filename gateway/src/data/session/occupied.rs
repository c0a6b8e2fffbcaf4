//! What requests hold in sessions: how much garbage may be waiting for whom.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Entered, Sessions};

/// The open sessions of this gateway as they are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Occupied {
    /// How many.
    pub(crate) sessions: usize,
    /// Bytes that requests read or have written in them.
    pub(crate) bytes: u64,
    /// How long the oldest has been open: what was condemned since then waits for it.
    pub(crate) oldest: Duration,
    /// Bytes held in that one.
    pub(crate) oldest_bytes: u64,
}

impl Entered {
    /// Counts bytes as held in the session for as long as this place is. A copy of it holds none.
    pub(crate) fn hold(&mut self, bytes: u64) {
        self.held += bytes;
        self.session.held.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Sessions {
    /// What is held now.
    pub(crate) fn occupied(&self) -> Occupied {
        let now = self.clock.monotonic();
        let held = self.held();
        let open = || held.retired.iter().chain(&held.current);
        let oldest = open().min_by_key(|session| session.id);
        let bytes = |session: &super::Session| session.held.load(Ordering::Relaxed);
        Occupied {
            sessions: open().count(),
            bytes: open().map(|one| bytes(one)).sum(),
            oldest: oldest.map_or(Duration::ZERO, |one| now.saturating_sub(one.begun)),
            oldest_bytes: oldest.map_or(0, |one| bytes(one)),
        }
    }
}
