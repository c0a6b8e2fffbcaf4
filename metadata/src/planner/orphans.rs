//! Shards that no row names: what uploads leave behind that died before their commit, and what a
//! disk kept that was away while its shards were deleted.
//!
//! ```text
//!  inventory page ──> session ended, chunk row names another writing or none ──> suspect
//!  suspect in this round and in the one before (a quarantine of a whole interval) ──> JudgeOrphans
//! ```
//!
//! A disk that the writing's partition does not name (any more) is told with the verdict: no deletion
//! would reach it otherwise.
//!
//! Suspicion decides nothing: the verdict is the entry, which looks again. Absence from a listing is
//! never evidence; only a linearizable read of an ended session together with an unknown writing is.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use cairn_model::{ChunkId, DiskId, Incarnation, limits};
use cairn_rpc::ShardFound;
use cairn_wire::metadata::{Chunk, JudgeOrphans, Orphan, SessionsAnswer};
use cairn_world::{Bug, planted};

/// One writing on a disk.
pub type Writing = (ChunkId, Incarnation);

/// What may be orphans, and on which disks each was found besides those of its partition.
pub type Suspects = BTreeMap<Writing, BTreeSet<DiskId>>;

/// Of one page of an inventory, the writings that may be orphans, given a state read later.
#[must_use]
pub fn suspects(
    found: &[ShardFound],
    sessions: &SessionsAnswer,
    rows: &[Chunk],
) -> BTreeSet<Writing> {
    let named: BTreeSet<(u64, &[u8], &[u8])> = rows
        .iter()
        .map(|row| (row.domain, row.sha256.as_ref(), row.incarnation.as_ref()))
        .collect();
    let ended = |incarnation: Incarnation| {
        let session = incarnation.session.0;
        let generation = u32::from(incarnation.generation);
        let open = sessions.open.contains(&session) && !planted(Bug::OrphanWithoutSessionCheck);
        let ended = generation == sessions.generation && session <= sessions.last && !open;
        // Every session of an older generation has ended, whichever history allotted it.
        ended || generation < sessions.generation
    };
    found
        .iter()
        .filter(|shard| ended(shard.incarnation))
        .filter(|shard| {
            let (chunk, incarnation) = (shard.chunk, shard.incarnation.to_bytes());
            !named.contains(&(
                chunk.domain.0,
                chunk.sha256.0.as_slice(),
                incarnation.as_slice(),
            ))
        })
        .map(|shard| (shard.chunk, shard.incarnation))
        .collect()
}

/// Suspects of two rounds, as the entries that judge them.
#[must_use]
pub fn verdicts(before: &Suspects, now: &Suspects) -> Vec<JudgeOrphans> {
    let both: Vec<Orphan> = now
        .iter()
        .filter(|(writing, _)| before.contains_key(writing))
        .map(|((chunk, incarnation), disks)| orphan(*chunk, *incarnation, disks))
        .collect();
    both.chunks(limits::DELETE_CHUNKS_PER_ENTRY)
        .map(|orphans| JudgeOrphans {
            orphans: orphans.to_vec(),
        })
        .collect()
}

fn orphan(chunk: ChunkId, incarnation: Incarnation, disks: &BTreeSet<DiskId>) -> Orphan {
    // Where there are more, they are found again the next time.
    let named = disks.iter().take(limits::ORPHAN_DISKS_MAX);
    Orphan {
        disks: named.map(|disk| Bytes::copy_from_slice(&disk.0)).collect(),
        domain: chunk.domain.0,
        sha256: Bytes::copy_from_slice(&chunk.sha256.0),
        incarnation: Bytes::copy_from_slice(&incarnation.to_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::{DomainId, SessionId, Sha256};

    fn found(name: u8, session: u64, counter: u64) -> ShardFound {
        ShardFound {
            chunk: ChunkId {
                domain: DomainId(1),
                sha256: Sha256([name; 32]),
            },
            incarnation: Incarnation {
                group: 1,
                generation: 1,
                session: SessionId(session),
                counter,
            },
            shard: 0,
        }
    }

    fn row(shard: ShardFound) -> Chunk {
        Chunk {
            domain: shard.chunk.domain.0,
            sha256: shard.chunk.sha256.0.to_vec().into(),
            incarnation: shard.incarnation.to_bytes().to_vec().into(),
            ..Chunk::default()
        }
    }

    #[test]
    fn only_unknown_writings_of_ended_sessions_are_suspect() {
        let sessions = SessionsAnswer {
            open: vec![5],
            last: 6,
            generation: 1,
        };
        let (known, lost, young, never) = (
            found(1, 3, 1),
            found(2, 3, 2),
            found(3, 5, 1),
            found(4, 7, 1),
        );
        let superseded = found(1, 3, 9);
        let all = [known, lost, young, never, superseded];
        let expected: BTreeSet<Writing> = [lost, superseded]
            .iter()
            .map(|shard| (shard.chunk, shard.incarnation))
            .collect();
        assert_eq!(suspects(&all, &sessions, &[row(known)]), expected);
    }

    #[test]
    fn a_verdict_needs_two_rounds() {
        let writing = |name| (found(name, 1, 1).chunk, found(name, 1, 1).incarnation);
        let strange: BTreeSet<DiskId> = (0..20).map(|name| DiskId([name; 16])).collect();
        let one = Suspects::from([(writing(1), BTreeSet::new())]);
        let both = Suspects::from([(writing(1), strange), (writing(2), BTreeSet::new())]);
        assert!(verdicts(&Suspects::new(), &both).is_empty());
        let judged = verdicts(&one, &both);
        assert_eq!(judged.len(), 1);
        assert_eq!(judged[0].orphans.len(), 1);
        let disks = &judged[0].orphans[0].disks;
        assert_eq!(disks.len(), limits::ORPHAN_DISKS_MAX, "{disks:?}");
    }
}
