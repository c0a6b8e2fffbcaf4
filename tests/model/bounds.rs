//! How much may happen.

use crate::rules::Rule;
use crate::without::Without;

/// The bounds of one search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Sessions begun in all.
    pub(crate) sessions: u8,
    /// Requests of each of the two writers.
    pub(crate) writers: [u8; 2],
    /// Whether writers claim the stored chunk as well.
    pub(crate) claims: bool,
    /// Whether a writer, wrongly, commits the same writing again: in its session for another key, or in
    /// a later session.
    pub(crate) reuse: bool,
    /// Objects read.
    pub(crate) reads: u8,
    /// Times a read moves to a newer session.
    pub(crate) moves: u8,
    /// Entries that are late: they are committed long after their proposer has given them up.
    pub(crate) strays: u8,
    /// Shards that arrive after their writer has given them up.
    pub(crate) late_writes: u8,
    /// Changes of the leader.
    pub(crate) leaders: u8,
    /// Shards that rot.
    pub(crate) rots: u8,
    /// A rule that is missing.
    pub(crate) without: Option<Without>,
    /// The rule whose breach is looked for; others are passed over.
    pub(crate) wanted: Option<Rule>,
}

impl Bounds {
    /// Two writers of one request each and nothing else: what the scenarios add to.
    pub(crate) const LEAST: Self = Self {
        sessions: 3,
        writers: [1, 1],
        claims: false,
        reuse: false,
        reads: 0,
        moves: 0,
        strays: 0,
        late_writes: 0,
        leaders: 0,
        rots: 0,
        without: None,
        wanted: None,
    };

    pub(crate) fn lacks(&self, without: Without) -> bool {
        self.without == Some(without)
    }
}
