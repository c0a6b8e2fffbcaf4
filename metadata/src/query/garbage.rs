//! Work for the garbage planner, oldest first.

use cairn_wire::metadata::{
    AbortWork, Condemned, EndWork, GarbageAnswer, GetGarbage, LeaseWork, ReleaseWork,
};
use cairn_world::{Bug, planted};

use super::{QueryError, Rows, page_size};
use crate::keyspace::KeyKind as _;
use crate::keyspace::bucket::DeadBucketKey;
use crate::keyspace::cluster::{ClusterKey, CountersKey};
use crate::keyspace::condemned::CondemnedKey;
use crate::keyspace::lease::LeaseEndKey;
use crate::keyspace::manifest::ReleaseKey;
use crate::keyspace::pin::{PinKey, PinTarget};
use crate::keyspace::session::SessionKey;
use crate::keyspace::upload::{DeadUploadKey, UploadKey};

/// Most rows of each kind one answer holds.
const WORK_MAX: u32 = 4_096;

pub(super) fn work(rows: &Rows<'_>, query: &GetGarbage) -> Result<GarbageAnswer, QueryError> {
    let limit = page_size(query.limit, WORK_MAX);
    let mut answer = GarbageAnswer::default();
    let mut oldest = None;
    for row in rows.scan::<SessionKey>(&[SessionKey::PREFIX]) {
        let (key, row) = row?;
        if row.ended {
            answer.ends.push(EndWork { session: key.0 });
        } else {
            oldest = oldest.or(Some(key.0));
        }
    }
    answer.ends.truncate(limit);
    let cluster = rows.get(&ClusterKey)?.unwrap_or_default();
    answer.frozen = cluster.is_frozen() && !planted(Bug::FreezeIgnored);
    condemned(rows, oldest, limit, &mut answer)?;
    answer.leases = Some(leases(rows)?);
    for row in rows.scan::<ReleaseKey>(&[ReleaseKey::PREFIX]) {
        let (key, row) = row?;
        if answer.releases.len() == limit || in_use(oldest, key.epoch) {
            break;
        }
        if pinned(rows, &PinTarget::Manifest(key.manifest))? {
            continue;
        }
        answer.releases.push(ReleaseWork {
            manifest: key.manifest.to_vec().into(),
            page: row.next,
            epoch: key.epoch,
        });
    }
    for row in rows
        .scan::<DeadUploadKey>(&[DeadUploadKey::PREFIX])
        .take(limit)
    {
        let (key, _) = row?;
        answer.aborts.push(AbortWork {
            upload: key.0.to_vec().into(),
            ..AbortWork::default()
        });
    }
    for row in rows
        .scan::<DeadBucketKey>(&[DeadBucketKey::PREFIX])
        .take(limit)
    {
        let (bucket, _) = row?;
        answer.dead_buckets.push(bucket.0);
        for row in rows
            .scan::<UploadKey>(&UploadKey::keys_with(bucket.0, b""))
            .take(limit)
        {
            let (key, _) = row?;
            answer.aborts.push(AbortWork {
                bucket: key.bucket,
                key: key.key.into(),
                upload: key.upload.to_vec().into(),
            });
        }
    }
    Ok(answer)
}

/// Whether an open session may need what was let go of at `epoch`, and at any later one.
fn in_use(oldest_open: Option<u64>, epoch: u64) -> bool {
    oldest_open.is_some_and(|session| session <= epoch)
}

fn pinned(rows: &Rows<'_>, target: &PinTarget) -> Result<bool, QueryError> {
    let pin = rows.scan::<PinKey>(&PinKey::of(target)).next();
    Ok(pin.transpose()?.is_some())
}

/// The head of the index by end, and what its judge goes by.
fn leases(rows: &Rows<'_>) -> Result<LeaseWork, QueryError> {
    let first = rows.scan::<LeaseEndKey>(&[LeaseEndKey::PREFIX]).next();
    let counters = rows.get(&CountersKey)?.unwrap_or_default();
    Ok(LeaseWork {
        next_end_ms: first.transpose()?.map_or(0, |(key, _)| key.end_ms),
        time_ms: counters.time_ms,
        clock_suspended: counters.clock_suspended,
    })
}

/// Writings whose sessions have all ended may be deleted; those being deleted must be finished. While
/// deletion is frozen they are counted and not named.
fn condemned(
    rows: &Rows<'_>,
    oldest_open: Option<u64>,
    limit: usize,
    answer: &mut GarbageAnswer,
) -> Result<(), QueryError> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    for row in rows.scan::<CondemnedKey>(&[CondemnedKey::PREFIX]) {
        let (key, row) = row?;
        // A few pinned ones at the front must not hide what is behind them.
        let pinned = !row.deleting && pinned(rows, &PinTarget::Chunk(key.chunk))?;
        if pinned && !planted(Bug::DeletesPinned) {
            continue;
        }
        if answer.condemned == most {
            break;
        }
        answer.condemned += 1;
        let item = Condemned {
            epoch: key.epoch,
            domain: key.chunk.domain.0,
            sha256: key.chunk.sha256.0.to_vec().into(),
            incarnation: key.incarnation.to_bytes().to_vec().into(),
            disks: row.disks,
        };
        if answer.frozen {
            continue;
        }
        if row.deleting {
            answer.deleting.push(item);
        } else if !in_use(oldest_open, key.epoch) || planted(Bug::DeletesUnderSessions) {
            answer.deletable.push(item);
        }
    }
    Ok(())
}
