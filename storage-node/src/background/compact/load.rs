//! Records and tombstones on their way out of a segment.

use std::collections::BTreeSet;

use cairn_rpc::ShardError;
use cairn_world::DiskFile;

use super::{Setback, gone};
use crate::format::writer::{RecordWriter, Run};
use crate::format::{Salt, Tombstone, tombstone};
use crate::volume::{Entry, Place, Purpose, Verdict, Volume, verify};

/// A record and its copy.
#[derive(Debug)]
struct Copy {
    from: Entry,
    to: Entry,
    bad_cells: u64,
}

/// What one step carries. Ends with [`Load::deliver`] or [`Load::abandon`].
#[derive(Debug)]
pub(super) struct Load<'a> {
    volume: &'a Volume,
    copies: Vec<Copy>,
    tombstones: Vec<(Tombstone, Place)>,
    units: Vec<Place>,
}

impl<'a> Load<'a> {
    pub(super) fn new(volume: &'a Volume) -> Self {
        Self {
            volume,
            copies: Vec::new(),
            tombstones: Vec::new(),
            units: Vec::new(),
        }
    }

    /// Writes the record again in a care segment, damaged cells as they are. Not yet durable.
    pub(super) fn copy(
        &mut self,
        from: &Entry,
        file: &dyn DiskFile,
        salt: Salt,
    ) -> Result<(), Setback> {
        let trailer = verify::read_ends(file, salt, from).map_err(Setback::Stuck)?;
        let volume = self.volume;
        let place = volume.reserve(Purpose::Care(from.place.units))?;
        let to = Entry { place, ..*from };
        self.copies.push(Copy {
            from: *from,
            to,
            bad_cells: 0,
        });
        let new_salt = volume.salt(place.segment).ok_or_else(gone)?;
        let mut writer = RecordWriter::new(from.shape, new_salt, place.unit);
        let mut bad_cells = 0;
        verify::each_cell(file, salt, from, |_number, stored| {
            bad_cells += u64::from(!stored.fits);
            let runs = writer
                .carry(&stored.bytes, stored.plain)
                .map_err(ShardError::Refused)?;
            runs.iter().try_for_each(|run| self.write(place, run))
        })?
        .map_err(Setback::Stuck)?;
        let finished = writer
            .finish_carried(trailer.chunk, trailer.table)
            .map_err(ShardError::Refused)?;
        for run in finished.seal(from.sequence) {
            self.write(place, &run)?;
        }
        if let Some(copy) = self.copies.last_mut() {
            copy.bad_cells = bad_cells;
        }
        Ok(())
    }

    /// Writes a unit of tombstones. Not yet durable.
    pub(super) fn carry(&mut self, unit: Vec<Tombstone>) -> Result<(), Setback> {
        let place = self.volume.reserve(Purpose::Care(1))?;
        self.units.push(place);
        let salt = self.volume.salt(place.segment).ok_or_else(gone)?;
        let run = Run {
            offset: 0,
            bytes: tombstone::encode(&unit, salt, place.unit),
        };
        self.write(place, &run)?;
        self.tombstones
            .extend(unit.into_iter().map(|tombstone| (tombstone, place)));
        Ok(())
    }

    fn write(&self, place: Place, run: &Run) -> Result<(), ShardError> {
        let volume = self.volume;
        volume
            .files
            .get(place.segment)
            .and_then(|file| file.write_at(run.bytes.as_slice(), place.offset() + run.offset))
            .map_err(|error| volume.write_failed("write", &error))
    }

    /// Makes everything durable, reads the copies back, and only then lets the index name them.
    pub(super) fn deliver(self) -> Result<(), Setback> {
        let volume = self.volume;
        let copied = self.copies.iter().map(|copy| copy.to.place.segment);
        let carried = self.units.iter().map(|place| place.segment);
        for number in copied.chain(carried).collect::<BTreeSet<u64>>() {
            volume
                .files
                .get(number)
                .and_then(|file| file.sync())
                .map_err(|error| volume.poison("sync", &error))?;
        }
        if !self.copies.iter().all(|copy| is_proven(volume, copy)) {
            self.abandon()?;
            return Err(Setback::Stuck("a copy does not read back".to_owned()));
        }
        let effects = volume
            .index
            .edit(|edit| {
                for copy in &self.copies {
                    let shape = &copy.from.shape;
                    // Deleted or written again meanwhile: the copy shares the old record's fate.
                    if edit.live(shape.incarnation, shape.shard)? == Some(copy.from) {
                        edit.land(&copy.to)?;
                    } else {
                        edit.burn(&copy.to)?;
                    }
                }
                self.tombstones
                    .iter()
                    .try_for_each(|(tombstone, place)| edit.delete(tombstone, place.segment))
            })
            .map_err(|error| volume.index_failed(&error))?;
        volume.apply(effects);
        self.end_units();
        Ok(())
    }

    /// Leaves everything as it was. The copies may be whole on disk, so they are noted as dead:
    /// a delete must shadow them too.
    pub(super) fn abandon(self) -> Result<(), ShardError> {
        let volume = self.volume;
        if volume.fault().is_some() {
            return Ok(());
        }
        let effects = volume
            .index
            .edit(|edit| self.copies.iter().try_for_each(|copy| edit.burn(&copy.to)))
            .map_err(|error| volume.index_failed(&error))?;
        volume.apply(effects);
        self.end_units();
        Ok(())
    }

    fn end_units(&self) {
        let mut ledger = self.volume.ledger();
        self.units.iter().for_each(|place| ledger.burnt(*place));
    }
}

fn is_proven(volume: &Volume, copy: &Copy) -> bool {
    let number = copy.to.place.segment;
    let verdict = match (volume.salt(number), volume.files.get(number)) {
        (Some(salt), Ok(file)) => verify::record(file.as_ref(), salt, &copy.to),
        _ => Verdict::default(),
    };
    verdict.readable && verdict.bad_cells == copy.bad_cells
}
