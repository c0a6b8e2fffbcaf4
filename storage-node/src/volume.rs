//! One disk: its segments, its index, and the order in which they change.
//!
//! ```text
//!  prepare  reserve units ------------------------------.          (a new segment: made, synced)
//!  write    full runs straight to their place            } nothing counts yet
//!  finish   job --> commit: last run, sync, index row, ack         the record counts
//!  delete   job --> commit: tombstone, sync, index rows, ack       the record is dead
//!                        later: punch or compaction                the bytes go
//! ```
//!
//! Everything here blocks and owns no thread; the same calls run inline in simulation. A failed
//! write or sync poisons the disk for writing until it is opened again: nothing is retried. Reads
//! go on, each byte checked.

mod commit;
mod damage;
mod files;
mod identity;
mod index;
mod ledger;
mod open;
mod read;
mod recovery;
mod reservation;
mod scanner;
mod segments;
mod span;
mod txn;
pub(crate) mod verify;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use cairn_model::{DiskId, Incarnation};
use cairn_rpc::{ShardDelete, ShardError, ShardFound};
use cairn_store::StoreError;
use cairn_world::{Bug, Disk, DiskLock, Entropy, planted};

use crate::settings::Settings;
pub(crate) use commit::Job;
use commit::{Queue, Turn};
pub use damage::Damage;
use damage::DamageLog;
use files::Files;
pub use identity::VolumeIdentity;
pub(crate) use index::Entry;
pub use index::IndexEngine;
use index::{Effect, Index};
pub(crate) use ledger::{Ledger, Phase, Place, Purpose};
pub use open::OpenError;
pub(crate) use reservation::Reservation;
pub(crate) use scanner::{Item, Scanner};
pub use verify::ScrubCounts;
pub(crate) use verify::Verdict;

/// The shard store of one disk.
pub(crate) struct Volume {
    pub(crate) identity: VolumeIdentity,
    pub(crate) settings: Settings,
    pub(crate) index: Index,
    pub(crate) files: Files,
    disk: Arc<dyn Disk>,
    entropy: Arc<dyn Entropy>,
    ledger: Mutex<Ledger>,
    /// Held while a segment is made.
    growth: Mutex<()>,
    queue: Queue,
    /// Held during a commit step.
    turn: Mutex<Turn>,
    fault: OnceLock<String>,
    damage: DamageLog,
    /// Bytes of the file system that clients may take, and bytes in all, when last looked at.
    room_seen: Mutex<(u64, u64)>,
    /// Dead large records whose blocks are still held.
    punches: Mutex<VecDeque<Entry>>,
    /// Reads in progress: background work waits for none of them to be left.
    reading: AtomicUsize,
    closed: AtomicBool,
    /// As noted on the disk.
    fenced: AtomicU16,
    /// Some region could not be read at open: every tombstone is kept.
    pub(crate) blind: bool,
    /// Not 0 where what it holds was found by scanning, and may be less than what was written.
    pub(crate) doubt: u64,
    _lock: Box<dyn DiskLock>,
}

impl std::fmt::Debug for Volume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Volume({})", self.identity.disk)
    }
}

impl Volume {
    /// The disk's name.
    pub(crate) fn id(&self) -> DiskId {
        self.identity.disk
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn punches(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.punches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the disk takes no more writes.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.get().map(String::as_str)
    }

    /// Whether it takes writes.
    pub(crate) fn check(&self) -> Result<(), ShardError> {
        if let Some(fault) = self.fault() {
            return Err(ShardError::Failed(fault.to_owned()));
        }
        if self.closed.load(Ordering::SeqCst) {
            return Err(ShardError::Unavailable("disk is closing".to_owned()));
        }
        Ok(())
    }

    /// Ends all writing: whatever failed is never tried again.
    pub(crate) fn poison(&self, what: &str, error: &dyn std::fmt::Display) -> ShardError {
        let fault = self.fault.get_or_init(|| {
            tracing::error!(disk = %self.id(), what, %error, "disk failed, no more writes");
            format!("{what}: {error}")
        });
        ShardError::Failed(fault.clone())
    }

    /// A failed write: no room is not a failure of the disk.
    pub(crate) fn write_failed(&self, what: &str, error: &std::io::Error) -> ShardError {
        if is_full(error) {
            ShardError::Full
        } else {
            self.poison(what, error)
        }
    }

    /// A broken index ends everything that needs it.
    pub(crate) fn index_failed(&self, error: &StoreError) -> ShardError {
        self.poison("index", error)
    }

    /// Brings the ledger behind the index.
    pub(crate) fn apply(&self, effects: Vec<Effect>) {
        let punch = self.disk.capabilities().punch;
        let mut ledger = self.ledger();
        for effect in effects {
            match effect {
                Effect::Landed(place) => ledger.landed(place),
                Effect::Burnt(place) => ledger.burnt(place),
                Effect::Died(entry) => {
                    ledger.died(entry.place);
                    if punch && is_punched(&entry.place) {
                        self.punches().push_back(entry);
                    }
                }
                Effect::TombstoneKept(number) => {
                    if let Some(segment) = ledger.segments.get_mut(&number) {
                        segment.tombstones += 1;
                    }
                }
                Effect::TombstoneDropped(number) => {
                    if let Some(segment) = ledger.segments.get_mut(&number) {
                        segment.tombstones = segment.tombstones.saturating_sub(1);
                    }
                }
            }
        }
    }

    /// Live shards behind `after`, at most `limit`, in order of (incarnation, shard).
    pub(crate) fn inventory(
        &self,
        after: Option<(Incarnation, u8)>,
        limit: usize,
    ) -> Result<Vec<ShardFound>, ShardError> {
        let mut rows = Vec::new();
        if limit == 0 {
            return Ok(rows);
        }
        self.index
            .each_live(after, |entry| {
                rows.push(ShardFound {
                    incarnation: entry.shape.incarnation,
                    shard: entry.shape.shard,
                    chunk: entry.chunk,
                });
                rows.len() < limit
            })
            .map_err(|error| self.index_failed(&error))?;
        Ok(rows)
    }

    /// The planted way to delete: every writing here of the chunks that are named.
    pub(crate) fn all_writings(
        &self,
        deletes: &[ShardDelete],
    ) -> Result<Vec<ShardDelete>, ShardError> {
        let named = |chunk| deletes.iter().any(|delete| delete.chunk == chunk);
        let found = self.inventory(None, usize::MAX)?.into_iter();
        let found = found.filter(|shard| named(shard.chunk));
        Ok(found
            .map(|shard| ShardDelete {
                chunk: shard.chunk,
                incarnation: shard.incarnation,
            })
            .collect())
    }

    /// Takes the damage seen so far.
    pub(crate) fn take_damage(&self) -> Vec<Damage> {
        self.damage.take()
    }

    /// Whether foreground work is waiting or running.
    pub(crate) fn busy(&self) -> bool {
        self.reading.load(Ordering::Relaxed) > 0 || !self.queue.is_empty()
    }

    /// Durably refuses writes of generations before `generation`.
    pub(crate) fn fence(&self, generation: u16) -> Result<(), ShardError> {
        self.check()?;
        if self.fenced() >= generation {
            return Ok(());
        }
        if !planted(Bug::FenceForgotten) {
            identity::write_fence(self.disk(), generation)
                .map_err(|error| self.write_failed("fence", &error))?;
        }
        self.fenced.fetch_max(generation, Ordering::SeqCst);
        Ok(())
    }

    /// The generation before which it durably refuses writes.
    pub(crate) fn fenced(&self) -> u16 {
        self.fenced.load(Ordering::SeqCst)
    }
}

/// No room, or no quota.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    )
}

/// Whether a dead record there gives its blocks back by a punch.
pub(crate) fn is_punched(place: &Place) -> bool {
    place.units > crate::tuning::SMALL_UNITS
}
