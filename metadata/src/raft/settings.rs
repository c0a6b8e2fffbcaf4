//! Tuning of the Raft host.

use cairn_model::limits;
use std::time::Duration;

use crate::journal::JournalSettings;

/// Bytes of log read at once.
pub(super) const READ_BYTES: usize = 4 * limits::MIB as usize;
/// Bytes of log read for one append.
pub(super) const APPEND_BYTES: usize = 512 << 10;
/// Entries applied with one store batch.
pub(super) const APPLY_ENTRIES: usize = 512;
/// Payload bytes applied with one store batch.
pub(super) const APPLY_BYTES: usize = 4 * limits::MIB as usize;
/// Rows of the ring of state hashes.
pub(super) const HASHES_KEPT: u64 = 64;
/// Reads that may wait for one confirmation.
pub(super) const READS_WAITING: usize = 65_536;
/// How often the housekeeper looks.
pub(super) const HOUSEKEEPING_EVERY: Duration = Duration::from_millis(500);

/// Bytes of a snapshot in one piece.
pub(super) const PIECE_BYTES: usize = 512 << 10;
/// The same where the simulation wants many.
pub(super) const PIECE_BYTES_TINY: usize = 1 << 10;
/// Bytes of entries in one append message; more are cut off and sent by the next.
pub(super) const APPEND_MESSAGE_BYTES: usize = 960 << 10;
/// Pieces in a row that bring a snapshot's receiver no further before its sender gives up.
pub(super) const PIECES_IN_VAIN: u32 = 8;
/// How often a sender asks whether the snapshot it has sent is installed.
pub(super) const POLL_INSTALL: Duration = Duration::from_millis(50);

/// Entries a learner may lack when it gets a vote.
pub(super) const PROMOTE_LAG: u64 = 1_000;
/// How often voters' hashes are compared, where there are new ones.
pub(super) const COMPARE_EVERY: Duration = Duration::from_millis(500);
/// How long voters may differ without a majority while others could still decide it.
pub(super) const SPLIT_PATIENCE: Duration = Duration::from_secs(30);
/// How often voters are asked what time it is.
pub(super) const CLOCKS_EVERY: Duration = Duration::from_secs(2);
/// How soon again where too few answered.
pub(super) const CLOCKS_RETRY: Duration = Duration::from_millis(500);
/// How long what they said is good for.
pub(super) const CLOCKS_VALID: Duration = Duration::from_secs(15);

const _: () = {
    // A message is its entries or its piece, and at most a few KiB around them.
    assert!(APPEND_MESSAGE_BYTES as u64 + 16 * limits::KIB <= limits::WIRE_PAYLOAD_MAX);
    assert!(PIECE_BYTES <= APPEND_MESSAGE_BYTES);
    // What is read at once and its frames are rarely cut.
    assert!(APPEND_BYTES + limits::ENTRY_LEN_MAX as usize + (160 << 10) <= APPEND_MESSAGE_BYTES);
};

/// How a voter runs.
#[derive(Clone, Debug)]
pub struct RaftSettings {
    /// The cluster.
    pub cluster_id: [u8; 16],
    /// This voter.
    pub node_id: u64,
    /// The journal.
    pub journal: JournalSettings,
    /// Directory of snapshots within the disk.
    pub snapshot_dir: String,
    /// File that says which store generation is in use.
    pub pointer: String,
    /// Entries after which the store is synced.
    pub sync_entries: u64,
    /// Time after which a changed store is synced.
    pub sync_after: Duration,
    /// Entries after which a snapshot is built; 0 for never.
    pub snapshot_entries: u64,
    /// Live journal segments that call for a snapshot even earlier.
    pub snapshot_segments: usize,
    /// Entries kept below the newest snapshot for followers that are a little behind, where there are
    /// several voters.
    pub log_kept: u64,
    /// Followers hear from the leader this often.
    pub heartbeat: Duration,
    /// A follower that hears nothing for a random time in this range stands for election.
    pub election: (Duration, Duration),
    /// A proposal without an answer for this long is unknown.
    pub propose_timeout: Duration,
    /// A call to another member without an answer for this long has none.
    pub call_timeout: Duration,
    /// This directory is a new member's, under an id that never had another one: while it is empty it
    /// lets itself be taken in. An empty directory that does not join has lost its journal, and
    /// neither votes nor acknowledges anything under its id.
    pub joining: bool,
    /// Everything happens on the calling task: for seeded simulations.
    pub inline: bool,
}

impl RaftSettings {
    /// The defaults for a voter.
    #[must_use]
    pub fn new(cluster_id: [u8; 16], node_id: u64) -> Self {
        Self {
            cluster_id,
            node_id,
            journal: JournalSettings::new(cluster_id, node_id),
            snapshot_dir: "snapshots".to_owned(),
            pointer: "generation".to_owned(),
            sync_entries: 20_000,
            sync_after: Duration::from_secs(30),
            snapshot_entries: 100_000,
            snapshot_segments: 8,
            log_kept: 5_000,
            heartbeat: Duration::from_millis(200),
            election: (Duration::from_millis(800), Duration::from_millis(1_600)),
            propose_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(1),
            joining: false,
            inline: false,
        }
    }

    /// Everything on the calling task, journal included.
    #[must_use]
    pub fn inline(mut self) -> Self {
        self.inline = true;
        self.journal.driver = crate::journal::Driver::Inline;
        self
    }
}
