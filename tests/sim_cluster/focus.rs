//! What a planted bug needs in order to show: kinds of faults, rare branches and calls that are always
//! among what its runs draw. Everything else is drawn as ever.

use cairn_tests::simulated::workload::Kind as Call;
use cairn_world::Bug;

use crate::faults::Kind;

/// What is drawn for certain.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Focus {
    pub(crate) kinds: &'static [Kind],
    /// Points of `cairn_world::buggify`.
    pub(crate) points: &'static [&'static str],
    /// Those of them that fire more often.
    pub(crate) pressed: &'static [&'static str],
    /// Half of the calls.
    pub(crate) calls: &'static [Call],
    /// A time without faults, in which every call must be answered.
    pub(crate) calm: bool,
    /// Bodies in the metadata alone.
    pub(crate) small: bool,
    /// Uploads of parts.
    pub(crate) parts: bool,
    /// Uploads that take minutes.
    pub(crate) slow: bool,
    /// A restore from a backup after each storm.
    pub(crate) restore: bool,
    /// A chunk that rots beyond repair, once all is at rest.
    pub(crate) ruin: bool,
    /// Uploads of before a move that end after it, once all is at rest.
    pub(crate) late: bool,
    /// A command that outlives its session, once all is at rest.
    pub(crate) outlived: bool,
}

impl Focus {
    const NONE: Self = Self {
        kinds: &[],
        points: &[],
        pressed: &[],
        calls: &[],
        small: false,
        calm: false,
        parts: false,
        slow: false,
        restore: false,
        ruin: false,
        late: false,
        outlived: false,
    };

    const fn on(kinds: &'static [Kind], points: &'static [&'static str]) -> Self {
        Self {
            kinds,
            points,
            ..Self::NONE
        }
    }

    const fn pressing(self, pressed: &'static [&'static str]) -> Self {
        Self { pressed, ..self }
    }

    const fn with(self, calls: &'static [Call]) -> Self {
        Self { calls, ..self }
    }

    /// What `bug` needs.
    pub(crate) fn of(bug: Bug) -> Self {
        Self::of_voters(bug)
            .or_else(|| Self::of_commits(bug))
            .or_else(|| Self::of_garbage(bug))
            .unwrap_or_else(|| Self::of_shards(bug))
    }

    /// Bugs of journals, stores and reads.
    fn of_voters(bug: Bug) -> Option<Self> {
        Some(match bug {
            Bug::JournalAckBeforeFsync | Bug::PurgeBeforePersist => {
                Self::on(&[Kind::Outage, Kind::NodeEnds], &[])
            }
            Bug::JournalSyncErrorIgnored => {
                Self::on(&[Kind::JournalFails, Kind::Outage, Kind::NodeEnds], &[])
            }
            Bug::VoteNotSynced => Self::on(&[Kind::Elections, Kind::DiesAfterVoting], &[]),
            Bug::CorruptionTakenForTornTail => Self::on(&[Kind::JournalRot], &[]),
            Bug::LostJournalVotes => Self::on(&[Kind::JournalEmptied], &[]),
            Bug::MarkersUnchecked => Self::on(&[Kind::BatchLost], &[]),
            Bug::SnapshotNotSynced => Self::on(
                &[Kind::Outage, Kind::NodeEnds, Kind::Lag],
                &["snapshot-now", "purge-to-the-limit"],
            ),
            Bug::StaleList => {
                Self::on(&[Kind::Lag, Kind::LeaderCutOff], &["query-asks-a-follower"]).with(&[
                    Call::List,
                    Call::Put,
                    Call::Delete,
                ])
            }
            Bug::StaleRead | Bug::ReadsBeforeApplied => {
                Self::on(&[Kind::Lag, Kind::LeaderCutOff], &["query-asks-a-follower"])
                    .with(&[Call::Get, Call::Put])
            }
            _ => return None,
        })
    }

    /// Bugs of commands and their outcomes.
    fn of_commits(bug: Bug) -> Option<Self> {
        Some(match bug {
            Bug::ConditionOutsideApply => Self::on(&[Kind::Weather], &["put-pauses"]).with(&[
                Call::PutIfAbsent,
                Call::PutIfMatch,
                Call::Delete,
            ]),
            Bug::OutcomesForgotten | Bug::CommitRetriedInNewSession => Self::on(
                &[Kind::Weather, Kind::LeaderCutOff],
                &["commit-answer-lost", "outcome-asked-again"],
            )
            .with(&[Call::Put, Call::PutIfAbsent, Call::Delete, Call::Get]),
            Bug::EndedSessionAccepted => Self {
                small: true,
                outlived: true,
                ..Self::on(
                    &[Kind::GatewayCutOff],
                    &[
                        "commit-answer-lost",
                        "outcome-asked-late",
                        "keep-alive-lost",
                    ],
                )
            }
            .with(&[Call::Put, Call::Delete, Call::Get]),
            Bug::PartSetUnchecked => Self {
                parts: true,
                pressed: &["complete-pauses"],
                ..Self::NONE
            }
            .with(&[Call::UploadCreate, Call::UploadPart, Call::UploadRace]),
            Bug::IncarnationOfClosedSession => Self::on(&[Kind::GatewayCutOff], &[])
                .pressing(&["put-lingers", "orphans-early"])
                .with(&[Call::Put]),
            _ => return None,
        })
    }

    /// Bugs of references and garbage.
    fn of_garbage(bug: Bug) -> Option<Self> {
        Some(match bug {
            Bug::PinOfAnotherSession
            | Bug::DeletesPinned
            | Bug::DeletesUnderSessions
            | Bug::ManifestBeforeSession => Self {
                calm: true,
                ..Self::NONE
            }
            .with(&[Call::Get, Call::Put, Call::Delete]),
            Bug::AdoptsCondemned => Self::on(&[Kind::Pause], &[]),
            Bug::AdoptsSuspect => Self {
                ruin: true,
                ..Self::NONE
            },
            Bug::OrphanWithoutSessionCheck => {
                let lingering = Self::NONE.pressing(&["orphans-early", "put-lingers"]);
                lingering.with(&[Call::Put, Call::Delete])
            }
            Bug::DeletesByChunk | Bug::ReferencesLeak => Self::NONE,
            Bug::FreezeIgnored | Bug::FenceForgotten => Self {
                restore: true,
                ..Self::NONE
            },
            _ => return None,
        })
    }

    /// Bugs of places, repair, acknowledgements and bytes.
    fn of_shards(bug: Bug) -> Self {
        match bug {
            Bug::StoreAckBeforeFsync => Self::on(&[Kind::Outage, Kind::NodeEnds], &[]),
            Bug::DeleteWithoutTombstone => {
                Self::on(&[Kind::IndexLost], &[]).with(&[Call::Put, Call::Delete])
            }
            Bug::EpochWithoutDebt => Self {
                late: true,
                ..Self::NONE
            },
            Bug::CutOverWithoutSessions => Self::on(&[Kind::Growth], &[])
                .pressing(&["put-lingers", "view-late", "session-rotated", "pass-late"])
                .with(&[Call::Put]),
            Bug::CutOverUnverified => Self::on(&[Kind::Growth], &[])
                .pressing(&["rebuild-given-up", "rebuild-refused", "session-rotated"])
                .with(&[Call::Put]),
            Bug::WeakAck | Bug::DebtNotRecorded => Self::on(
                &[
                    Kind::NodeEnds,
                    Kind::SlowDisks,
                    Kind::ShardDiskFails,
                    Kind::MachineLost,
                ],
                &["disk-falls-out", "prepare-left-out", "grace-left-out"],
            ),
            Bug::CellsUnchecked | Bug::RebuildUnverified => {
                Self::on(&[Kind::Rot, Kind::Misdirected], &[])
            }
            _ => Self::NONE,
        }
    }
}
