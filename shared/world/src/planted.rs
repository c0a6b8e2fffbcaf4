//! Bugs on purpose: each removes one rule, and the simulation must see it.
//!
//! A checker that never went red proves nothing. So every rule the promises rest on has a *planted
//! bug*: `if planted(Bug::X) {..}` at the place that keeps the rule. A simulation of many seeds
//! runs with one bug planted and must fail; with none, it must not.
//!
//! Without the feature `simulation`, [`planted()`] is a constant `false`: the optimiser drops the
//! switch and what it guards, so no shipped binary holds a bug that could be turned on. With the
//! feature, at most one bug is planted per process, once, before the run.

/// Names every bug once: its variant, its name in kebab-case, and what it removes.
macro_rules! bugs {
    ($($(#[$doc:meta])+ $bug:ident = $name:literal,)+) => {
        /// A rule that can be switched off. Names are in kebab-case, as [`Bug::name`] gives them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Bug {
            $($(#[$doc])+ $bug,)+
        }

        impl Bug {
            /// Every bug, in the order of the design.
            pub const ALL: &'static [Self] = &[$(Self::$bug,)+];

            /// The bug's name, as `--bug` and the tables of `docs/simulation.md` have it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$bug => $name,)+
                }
            }
        }
    };
}

bugs! {
    // The journal and the store of a metadata member.
    /// The journal answers before its fdatasync returned.
    JournalAckBeforeFsync = "journal-ack-before-fsync",
    /// A failed fdatasync of the journal is passed over instead of being the end of it.
    JournalSyncErrorIgnored = "journal-sync-error-ignored",
    /// A vote is answered before it is on disk.
    VoteNotSynced = "vote-not-synced",
    /// A bad record below `durable_upto` is cut off like a torn tail.
    CorruptionTakenForTornTail = "corruption-taken-for-torn-tail",
    /// A voter whose directory is empty, and so whose journal is lost, answers under its old id.
    LostJournalVotes = "lost-journal-votes",
    /// The journal is purged by what is applied instead of by the last completed full sync.
    PurgeBeforePersist = "purge-before-persist",
    /// The store's marker rows are not checked as it opens.
    MarkersUnchecked = "markers-unchecked",
    /// An installed snapshot is not synced before the pointer switches to it.
    SnapshotNotSynced = "snapshot-not-synced",

    // Reads and commits.
    /// A list asks the local state without ReadIndex.
    StaleList = "stale-list",
    /// GET and HEAD ask the local state without ReadIndex.
    StaleRead = "stale-read",
    /// A reader does not wait until its replica has applied what ReadIndex names.
    ReadsBeforeApplied = "reads-before-applied",
    /// A conditional PUT is decided on the gateway before the commit, not inside apply.
    ConditionOutsideApply = "condition-outside-apply",
    /// Outcomes are not kept: a commit sent again is executed again.
    OutcomesForgotten = "outcomes-forgotten",
    /// A commit of an unknown outcome, or of an ended session, is sent again in a new session.
    CommitRetriedInNewSession = "commit-retried-in-new-session",
    /// Apply takes the proposals of an ended session.
    EndedSessionAccepted = "ended-session-accepted",
    /// Complete takes the parts there are, not the ones its sender saw.
    PartSetUnchecked = "part-set-unchecked",

    // References and garbage.
    /// Apply takes an incarnation of another session than the committing one, which may have ended.
    IncarnationOfClosedSession = "incarnation-of-closed-session",
    /// A pin is taken in the name of the session that the read leaves.
    PinOfAnotherSession = "pin-of-another-session",
    /// Deduplication adopts an incarnation that is condemned or being deleted.
    AdoptsCondemned = "adopts-condemned",
    /// Deduplication adopts an incarnation that is marked suspect.
    AdoptsSuspect = "adopts-suspect",
    /// Condemned becomes Deleting while a session of its epoch is open.
    DeletesUnderSessions = "deletes-under-sessions",
    /// Condemned becomes Deleting while it is pinned.
    DeletesPinned = "deletes-pinned",
    /// A read takes its manifest before it enters a session.
    ManifestBeforeSession = "manifest-before-session",
    /// A node deletes whatever it has of a chunk, not the incarnation named.
    DeletesByChunk = "deletes-by-chunk",
    /// The orphan verdict does not ask whether the stamp's session has ended.
    OrphanWithoutSessionCheck = "orphan-without-session-check",
    /// An overwritten version's references are not lowered.
    ReferencesLeak = "references-leak",

    // Restore from a backup.
    /// Deletion goes on after the generation was bumped.
    FreezeIgnored = "freeze-ignored",
    /// A node takes writings of generations before the one it has heard of.
    FenceForgotten = "fence-forgotten",

    // Placement.
    /// A commit under a changed epoch records no move debt.
    EpochWithoutDebt = "epoch-without-debt",
    /// A cut-over does not wait for the sessions begun before `next` appeared, and forgets where
    /// they may have written.
    CutOverWithoutSessions = "cut-over-without-sessions",
    /// A cut-over does not wait for the verified pass.
    CutOverUnverified = "cut-over-unverified",
    /// A rebuild believes what lies on its disk, and what it wrote, without reading it.
    RebuildUnverified = "rebuild-unverified",

    // The data path and the nodes.
    /// A gateway commits with k receipts and names no debt.
    WeakAck = "weak-ack",
    /// Shards that were not written are not recorded as debt.
    DebtNotRecorded = "debt-not-recorded",
    /// The segment store answers before its fdatasync returned.
    StoreAckBeforeFsync = "store-ack-before-fsync",
    /// The index forgets a shard without a durable tombstone.
    DeleteWithoutTombstone = "delete-without-tombstone",
    /// Cells are served by nodes and gateways without any check.
    CellsUnchecked = "cells-unchecked",
    /// Data cells are given out in each other's place, unchecked.
    ShardsPermuted = "shards-permuted",
}

/// Whether `bug` is planted: never, without the feature `simulation`.
#[cfg(not(feature = "simulation"))]
#[inline(always)]
#[must_use]
pub const fn planted(_bug: Bug) -> bool {
    false
}

// What is known when it is compiled is dropped by the optimiser.
#[cfg(not(feature = "simulation"))]
const _: () = assert!(!planted(Bug::WeakAck), "a shipped binary holds no bug");

/// Whether `bug` is planted in this process.
#[cfg(feature = "simulation")]
#[inline(always)]
#[must_use]
pub fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(&bug)
}

#[cfg(feature = "simulation")]
static PLANTED: std::sync::OnceLock<Bug> = std::sync::OnceLock::new();

/// Plants `bug` in this process for good.
///
/// # Panics
/// Where another bug is planted already: a run with two bugs says nothing about either.
#[cfg(feature = "simulation")]
pub fn plant(bug: Bug) {
    let planted = *PLANTED.get_or_init(|| bug);
    assert_eq!(planted, bug, "one bug per process");
}

/// No bug has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownBug(pub String);

impl std::fmt::Display for UnknownBug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no planted bug is called {:?}", self.0)
    }
}

impl std::error::Error for UnknownBug {}

impl std::fmt::Display for Bug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Bug {
    type Err = UnknownBug;

    fn from_str(name: &str) -> Result<Self, UnknownBug> {
        let mut named = Self::ALL.iter().filter(|bug| bug.name() == name);
        named
            .next()
            .copied()
            .ok_or_else(|| UnknownBug(name.to_owned()))
    }
}

#[cfg(test)]
mod tests;
