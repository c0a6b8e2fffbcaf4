//! Room for one record, given back when nobody holds it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cairn_rpc::ShardError;

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
    /// A trailer may have been written: the commit step settles what becomes of the room.
    sealed: AtomicBool,
}

impl Reservation {
    /// Room for a client's record of `units`; may make a segment, so it may block.
    pub(crate) fn new(volume: &Arc<Volume>, units: u32) -> Result<Arc<Self>, ShardError> {
        let place = volume.reserve(Purpose::Client(units))?;
        Self::at(volume, place)
    }

    /// The same without any IO: `None` where a segment has to be made first.
    pub(crate) fn quickly(
        volume: &Arc<Volume>,
        units: u32,
    ) -> Result<Option<Arc<Self>>, ShardError> {
        volume.check()?;
        let place = volume.ledger().reserve(Purpose::Client(units));
        place.map(|place| Self::at(volume, place)).transpose()
    }

    fn at(volume: &Arc<Volume>, place: Place) -> Result<Arc<Self>, ShardError> {
        let salt = volume
            .ledger()
            .segments
            .get(&place.segment)
            .map(|segment| segment.salt);
        let salt = salt.ok_or(ShardError::Refused("reserved in an unknown segment"))?;
        Ok(Arc::new(Self {
            volume: Arc::clone(volume),
            place,
            salt,
            sealed: AtomicBool::new(false),
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

    /// From here on the room is not given out again by letting go.
    pub(super) fn seal(&self) {
        self.sealed.store(true, Ordering::SeqCst);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.sealed.load(Ordering::SeqCst) {
            self.volume.ledger().released(self.place);
        }
    }
}
