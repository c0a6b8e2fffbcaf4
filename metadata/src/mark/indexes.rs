//! What each row must be by itself, and beside the one row it belongs to. The index of debt is derived
//! here a second time: a mistake of the code that writes it must not hide itself.

use std::collections::BTreeSet;

use bytes::Bytes;
use cairn_model::ChunkId;
use cairn_store::View;

use super::holders::stamp_of;
use super::{Discrepancy, Fault, Mark, decode, get, has};
use crate::keyspace::KeyKind;
use crate::keyspace::bucket::{BucketKey, BucketNameKey};
use crate::keyspace::chunk::{ChunkKey, ChunkRow, ChunkState};
use crate::keyspace::condemned::CondemnedKey;
use crate::keyspace::debt::{DebtKey, DebtMark, DiskDebtKey, SlotDebtKey};
use crate::keyspace::lease::{LeaseEndKey, LeaseKey};
use crate::keyspace::manifest::ManifestKey;
use crate::keyspace::pin::{PinKey, SessionPinKey};

impl Mark {
    pub(super) fn judge_row(
        &mut self,
        view: &dyn View,
        kind: u8,
        key: &Bytes,
        value: &Bytes,
    ) -> Result<(), Fault> {
        match kind {
            BucketNameKey::PREFIX => {
                let (name, row) = decode::<BucketNameKey>(key, value)?;
                let bucket = get(view, &BucketKey(row.id))?;
                if bucket.is_none_or(|bucket| bucket.name != name.0) {
                    self.wrong(Discrepancy::BucketName { id: row.id });
                }
            }
            BucketKey::PREFIX => {
                let (BucketKey(id), row) = decode::<BucketKey>(key, value)?;
                let name = get(view, &BucketNameKey(row.name))?;
                if row.id != id || name.is_none_or(|name| name.id != id) {
                    self.wrong(Discrepancy::BucketName { id });
                }
            }
            ManifestKey::PREFIX => drop(decode::<ManifestKey>(key, value)?),
            ChunkKey::PREFIX => {
                let (ChunkKey(chunk), row) = decode::<ChunkKey>(key, value)?;
                self.judge_chunk(view, chunk, &row)?;
            }
            CondemnedKey::PREFIX => self.judge_condemned(view, key, value)?,
            LeaseKey::PREFIX => {
                let (LeaseKey(chunk), row) = decode::<LeaseKey>(key, value)?;
                let end_ms = row.end_ms;
                if !has(view, &LeaseEndKey { end_ms, chunk })? {
                    self.wrong(Discrepancy::LeaseNotInOrder { chunk, end_ms });
                }
            }
            LeaseEndKey::PREFIX => {
                let LeaseEndKey { end_ms, chunk } = LeaseEndKey::decode(key)?;
                let lease = get(view, &LeaseKey(chunk))?;
                if lease.is_none_or(|lease| lease.end_ms != end_ms) {
                    self.wrong(Discrepancy::LeaseEndAlone { chunk, end_ms });
                }
            }
            PinKey::PREFIX => {
                let PinKey { target, session } = PinKey::decode(key)?;
                if !has(view, &SessionPinKey { session, target })? {
                    self.wrong(Discrepancy::PinAlone { target, session });
                }
            }
            SessionPinKey::PREFIX => {
                let SessionPinKey { session, target } = SessionPinKey::decode(key)?;
                if !has(view, &PinKey { target, session })? {
                    self.wrong(Discrepancy::PinAlone { target, session });
                }
            }
            _ => self.judge_debt(view, kind, key)?,
        }
        Ok(())
    }

    /// The state follows from the count, and the index from the debt.
    fn judge_chunk(
        &mut self,
        view: &dyn View,
        chunk: ChunkId,
        row: &ChunkRow,
    ) -> Result<(), Fault> {
        match (row.state(), row.refs) {
            (ChunkState::Live, 0) => self.wrong(Discrepancy::LiveWithoutReferences { chunk }),
            (ChunkState::Live, _) | (_, 0) => {}
            (state, refs) => self.wrong(Discrepancy::HeldChunkDying { chunk, refs, state }),
        }
        let owed = owed(chunk, row)?;
        if let Some(shard) = owed.twice {
            self.wrong(Discrepancy::DebtTwice { chunk, shard });
        }
        for mark in owed.marks {
            let indexed = match &mark {
                DebtMark::Chunk(key) => has(view, key)?,
                DebtMark::Slot(key) => has(view, key)?,
                DebtMark::Disk(key) => has(view, key)?,
            };
            if !indexed {
                self.wrong(Discrepancy::DebtNotIndexed { mark });
            }
        }
        Ok(())
    }

    /// A current writing is condemned only where nothing holds its chunk; both rows say how far it is.
    fn judge_condemned(
        &mut self,
        view: &dyn View,
        key: &Bytes,
        value: &Bytes,
    ) -> Result<(), Fault> {
        let (key, condemned) = decode::<CondemnedKey>(key, value)?;
        let (chunk, incarnation) = (key.chunk, key.incarnation);
        let Some(row) = get(view, &ChunkKey(chunk))? else {
            return Ok(());
        };
        if stamp_of(&row.incarnation)? != incarnation {
            return Ok(());
        }
        let (refs, state, deleting) = (row.refs, row.state(), condemned.deleting);
        if refs > 0 {
            self.wrong(Discrepancy::CondemnedButHeld {
                chunk,
                incarnation,
                refs,
            });
        } else if deleting != (state == ChunkState::Deleting) {
            self.wrong(Discrepancy::DeletionDiffers {
                chunk,
                state,
                deleting,
            });
        }
        Ok(())
    }

    /// A key of the index follows from its chunk's row.
    fn judge_debt(&mut self, view: &dyn View, kind: u8, key: &Bytes) -> Result<(), Fault> {
        let (chunk, mark) = match kind {
            DebtKey::PREFIX => {
                let key = DebtKey::decode(key)?;
                (key.chunk, DebtMark::Chunk(key))
            }
            SlotDebtKey::PREFIX => {
                let key = SlotDebtKey::decode(key)?;
                (key.chunk, DebtMark::Slot(key))
            }
            DiskDebtKey::PREFIX => {
                let key = DiskDebtKey::decode(key)?;
                (key.chunk, DebtMark::Disk(key))
            }
            _ => return Ok(()),
        };
        let owed = match get(view, &ChunkKey(chunk))? {
            Some(row) => owed(chunk, &row)?.marks.contains(&mark),
            None => false,
        };
        if !owed {
            self.wrong(Discrepancy::DebtNotOwed { mark });
        }
        Ok(())
    }
}

/// What a chunk's row owes.
#[derive(Default)]
struct Owed {
    marks: BTreeSet<DebtMark>,
    /// A shard that it owes more than once.
    twice: Option<u32>,
}

fn owed(chunk: ChunkId, row: &ChunkRow) -> Result<Owed, Fault> {
    let mut owed = Owed::default();
    let missing = row.debt.len() + usize::from(row.suspect);
    if row.state() != ChunkState::Live || missing == 0 {
        return Ok(owed);
    }
    let coding = row.coding.ok_or(Fault::Unreadable)?;
    let parity = usize::try_from(coding.parity).map_err(|_| Fault::Unreadable)?;
    let spare = parity.saturating_sub(missing);
    let spare = u8::try_from(spare).map_err(|_| Fault::Unreadable)?;
    owed.marks.insert(DebtMark::Chunk(DebtKey { spare, chunk }));
    let place = stamp_of(&row.incarnation)?.partition(32);
    for debt in &row.debt {
        let slot = SlotDebtKey {
            shard: u8::try_from(debt.shard).map_err(|_| Fault::Unreadable)?,
            place,
            chunk,
        };
        if !owed.marks.insert(DebtMark::Slot(slot)) {
            owed.twice = Some(debt.shard);
        }
        for disk in [&debt.disk, &debt.found] {
            if !disk.is_empty() {
                let disk = disk.as_ref().try_into().map_err(|_| Fault::Unreadable)?;
                owed.marks
                    .insert(DebtMark::Disk(DiskDebtKey { disk, chunk }));
            }
        }
    }
    Ok(owed)
}
