//! Room for one record, given back when nobody holds it any more.
//!
//! ```text
//!   open ──trailer may be written──► sealed                a client's: counts with its commit
//!     │                                └─durable─► held ──read back──► landed       a repair's
//!     └─let go: given out again                     └─let go: garbage
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cairn_rpc::ShardError;
use cairn_world::buggify;

use super::index::Entry;
use super::{Place, Purpose, Volume};
use crate::format::Salt;
use crate::format::writer::Run;

/// Room for a record. Whoever may still write into it holds it; only when the last one lets go is
/// the room given out again.
#[derive(Debug)]
pub(crate) struct Reservation {
    volume: Arc<Volume>,
    pub(crate) place: Place,
    pub(crate) salt: Salt,
    /// Its record does not count with its commit, only by [`Volume::land`].
    pub(crate) is_repair: bool,
    fate: Mutex<Fate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// No trailer was written.
    Open,
    /// A trailer may have been written: the commit step settles what becomes of the room.
    Sealed,
    /// The record is durable and does not count yet. Its segment stays unsealed meanwhile, so
    /// nothing moves or drops it.
    Held(Entry),
}

impl Reservation {
    /// Room for a record; may make a segment, so it may block.
    pub(crate) fn new(volume: &Arc<Volume>, purpose: Purpose) -> Result<Arc<Self>, ShardError> {
        volume.check()?;
        let place = volume.reserve(purpose)?;
        Self::at(volume, place, purpose)
    }

    /// The same for a client's record of `units` without any IO: `None` where a segment has to be
    /// made first.
    pub(crate) fn quickly(
        volume: &Arc<Volume>,
        units: u32,
    ) -> Result<Option<Arc<Self>>, ShardError> {
        volume.check()?;
        let purpose = Purpose::Client(units);
        if buggify("segment-rolled-early") {
            volume.roll(purpose);
        }
        let place = volume.ledger().reserve(purpose);
        let at = |place| Self::at(volume, place, purpose);
        place.map(at).transpose()
    }

    fn at(volume: &Arc<Volume>, place: Place, purpose: Purpose) -> Result<Arc<Self>, ShardError> {
        let salt = volume.salt(place.segment);
        let salt = salt.ok_or(ShardError::Refused("reserved in an unknown segment"))?;
        Ok(Arc::new(Self {
            volume: Arc::clone(volume),
            place,
            salt,
            is_repair: matches!(purpose, Purpose::Repair(_)),
            fate: Mutex::new(Fate::Open),
        }))
    }

    /// Writes a run to its place. Nothing counts before the commit.
    pub(crate) fn write(&self, run: &Run) -> Result<(), ShardError> {
        let volume = &self.volume;
        volume.check()?;
        volume
            .files
            .get(self.place.segment)
            .and_then(|file| file.write_at(run.bytes.as_slice(), self.place.offset() + run.offset))
            .map_err(|error| volume.write_failed("write", &error))
    }

    fn fate(&self) -> MutexGuard<'_, Fate> {
        self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on the room is not given out again by letting go.
    pub(super) fn seal(&self) {
        *self.fate() = Fate::Sealed;
    }

    /// Its record is durable and noted as one that does not count.
    pub(super) fn hold(&self, entry: Entry) {
        *self.fate() = Fate::Held(entry);
    }

    /// The record that is durable and does not count yet.
    pub(crate) fn held(&self) -> Option<Entry> {
        match *self.fate() {
            Fate::Held(entry) => Some(entry),
            Fate::Open | Fate::Sealed => None,
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let fate = *self.fate();
        match fate {
            Fate::Open => self.volume.ledger().released(self.place),
            Fate::Held(_) => self.volume.ledger().burnt(self.place),
            Fate::Sealed => {}
        }
    }
}

impl Volume {
    /// Lets the record held by `reservation` count in the place of `former`. The caller has read it
    /// back.
    pub(crate) fn land(
        &self,
        reservation: &Reservation,
        former: Option<&Entry>,
    ) -> Result<(), ShardError> {
        self.check()?;
        let entry = reservation
            .held()
            .ok_or(ShardError::Refused("nothing is held there"))?;
        let shape = &entry.shape;
        let mut overtaken = None;
        let effects = self
            .index
            .edit(|edit| {
                let tombstone = edit.tombstone(shape.incarnation, entry.chunk)?;
                let now = edit.live(shape.incarnation, shape.shard)?;
                // Compaction moves a record and keeps its sequence.
                let sequence = |entry: &Entry| entry.sequence;
                if tombstone.is_some_and(|tombstone| tombstone.sequence > entry.sequence) {
                    overtaken = Some("it was deleted meanwhile");
                } else if now.as_ref().map(sequence) != former.map(sequence) {
                    overtaken = Some("it was written or deleted meanwhile");
                } else {
                    edit.land(&entry)?;
                }
                Ok(())
            })
            .map_err(|error| self.index_failed(&error))?;
        if let Some(why) = overtaken {
            return Err(ShardError::Unavailable(why.to_owned()));
        }
        // Landed: its room is settled by the effects.
        reservation.seal();
        self.apply(effects);
        Ok(())
    }
}
