//! Jobs that share their writes, syncs and index batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cairn_model::Incarnation;
use cairn_rpc::{ShardDelete, ShardError};
use cairn_store::StoreError;
use cairn_world::{AlignedBuf, Bug, planted};

use super::{Ack, Job, Turn};
use crate::format::writer::Finished;
use crate::format::{Tombstone, tombstone};
use crate::tuning::{MERGED_LEN, UNIT_U64};
use crate::volume::index::{Edit, Entry};
use crate::volume::ledger::{Place, Purpose};
use crate::volume::{Reservation, Volume};

/// One job and what became of it.
#[derive(Debug)]
struct Member {
    ack: Ack,
    verdict: Result<(), ShardError>,
    work: Work,
}

impl Member {
    /// A record that is durable and waits to be read back.
    fn is_held(&self) -> bool {
        match &self.work {
            Work::Finish { reservation, .. } => reservation.is_repair && self.verdict.is_ok(),
            Work::Delete(_) => false,
        }
    }
}

#[derive(Debug)]
enum Work {
    Finish {
        reservation: Arc<Reservation>,
        /// Taken when stamped.
        finished: Option<Box<Finished>>,
        /// Known when stamped.
        entry: Option<Entry>,
    },
    Delete(Vec<ShardDelete>),
}

/// Bytes for one place, and the members that fall with them.
#[derive(Debug)]
struct Write {
    segment: u64,
    offset: u64,
    bytes: AlignedBuf,
    members: Vec<usize>,
}

/// A tombstone on its way, and the member that brought it.
#[derive(Clone, Copy, Debug)]
struct Burial {
    tombstone: Tombstone,
    member: usize,
    segment: u64,
}

/// A group in progress.
#[derive(Debug)]
pub(super) struct Group {
    members: Vec<Member>,
    writes: Vec<Write>,
    burials: Vec<Burial>,
    tombstone_places: Vec<Place>,
}

impl Group {
    pub(super) fn new(jobs: Vec<Job>) -> Self {
        let members = jobs
            .into_iter()
            .map(|job| match job {
                Job::Finish {
                    reservation,
                    finished,
                    ack,
                } => Member {
                    ack,
                    verdict: Ok(()),
                    work: Work::Finish {
                        reservation,
                        finished: Some(finished),
                        entry: None,
                    },
                },
                Job::Delete { deletes, ack } => Member {
                    ack,
                    verdict: Ok(()),
                    work: Work::Delete(deletes),
                },
            })
            .collect();
        Self {
            members,
            writes: Vec::new(),
            burials: Vec::new(),
            tombstone_places: Vec::new(),
        }
    }

    /// Gives every record and tombstone its sequence, in the order of the jobs, and builds the
    /// bytes.
    pub(super) fn stamp(&mut self, volume: &Volume, turn: &mut Turn) -> Result<(), ShardError> {
        let mut arriving: BTreeSet<Incarnation> = BTreeSet::new();
        for (number, member) in self.members.iter_mut().enumerate() {
            match &mut member.work {
                Work::Finish {
                    reservation,
                    finished,
                    entry,
                } => {
                    let Some(finished) = finished.take() else {
                        continue;
                    };
                    let sequence = next(turn);
                    let shape = *finished.shape();
                    arriving.insert(shape.incarnation);
                    *entry = Some(Entry {
                        shape,
                        place: reservation.place,
                        sequence,
                        chunk: finished.chunk(),
                    });
                    reservation.seal();
                    self.writes
                        .extend(finished.seal(sequence).into_iter().map(|run| Write {
                            segment: reservation.place.segment,
                            offset: reservation.place.offset() + run.offset,
                            bytes: run.bytes,
                            members: vec![number],
                        }));
                }
                Work::Delete(deletes) => {
                    for delete in deletes.iter() {
                        // What is not here needs no tombstone.
                        let here = arriving.contains(&delete.incarnation)
                            || volume
                                .index
                                .needs_tombstone(delete.incarnation, delete.chunk)
                                .map_err(|error| volume.index_failed(&error))?;
                        if here {
                            self.burials.push(Burial {
                                tombstone: Tombstone {
                                    incarnation: delete.incarnation,
                                    chunk: delete.chunk,
                                    sequence: next(turn),
                                },
                                member: number,
                                segment: 0,
                            });
                        }
                    }
                }
            }
        }
        self.place_tombstones(volume);
        Ok(())
    }

    /// Fills units with the tombstones of all members together.
    fn place_tombstones(&mut self, volume: &Volume) {
        let Self {
            burials,
            members,
            writes,
            tombstone_places,
        } = self;
        for unit in burials.chunks_mut(tombstone::PER_UNIT) {
            let owners: Vec<usize> = unit.iter().map(|burial| burial.member).collect();
            let found = volume.reserve(Purpose::Tombstone).and_then(|place| {
                let salt = volume.ledger().segments.get(&place.segment).map(|s| s.salt);
                let salt = salt.ok_or(ShardError::Refused("reserved in an unknown segment"))?;
                Ok((place, salt))
            });
            let (place, salt) = match found {
                Ok(found) => found,
                Err(error) => {
                    condemn(members, &owners, &no_room(error));
                    continue;
                }
            };
            unit.iter_mut()
                .for_each(|burial| burial.segment = place.segment);
            let tombstones: Vec<Tombstone> = unit.iter().map(|burial| burial.tombstone).collect();
            if !planted(Bug::DeleteWithoutTombstone) {
                writes.push(Write {
                    segment: place.segment,
                    offset: place.offset(),
                    bytes: tombstone::encode(&tombstones, salt, place.unit),
                    members: owners,
                });
            }
            tombstone_places.push(place);
        }
    }

    /// Writes all bytes, neighbours together.
    pub(super) fn write(&mut self, volume: &Volume) -> Result<(), ShardError> {
        let mut writes = std::mem::take(&mut self.writes);
        writes.sort_by_key(|write| (write.segment, write.offset));
        for run in merge(writes) {
            let written = volume
                .files
                .get(run.segment)
                .and_then(|file| file.write_at(run.bytes.as_slice(), run.offset));
            if let Err(error) = written {
                match volume.write_failed("write", &error) {
                    ShardError::Full => condemn(&mut self.members, &run.members, &ShardError::Full),
                    failed => return Err(failed),
                }
            }
        }
        Ok(())
    }

    /// One sync per file that anybody here relies on. A failure is the end of the disk.
    pub(super) fn sync(&self, volume: &Volume) -> Result<(), ShardError> {
        if planted(Bug::StoreAckBeforeFsync) {
            return Ok(());
        }
        let finishes = self.members.iter().filter_map(|member| match &member.work {
            Work::Finish { reservation, .. } => Some(reservation.place.segment),
            Work::Delete(_) => None,
        });
        let touched: BTreeSet<u64> = finishes
            .chain(self.tombstone_places.iter().map(|place| place.segment))
            .collect();
        for number in touched {
            volume
                .files
                .get(number)
                .and_then(|file| file.sync())
                .map_err(|error| volume.poison("sync", &error))?;
        }
        Ok(())
    }

    /// The index rows of everything that is durable now. Order within a group does not matter:
    /// sequences decide.
    pub(super) fn settle(&self, edit: &mut Edit) -> Result<(), StoreError> {
        for member in &self.members {
            let Work::Finish {
                entry: Some(entry), ..
            } = &member.work
            else {
                continue;
            };
            if member.is_held() {
                // A delete must shadow it from now on; whether it counts is for later.
                edit.hold(entry);
            } else if member.verdict.is_ok() {
                edit.land(entry)?;
            } else {
                // Its bytes may all be there: a delete of this writing must still shadow them.
                edit.burn(entry)?;
            }
        }
        let durable = self.burials.iter().filter(|burial| {
            self.members
                .get(burial.member)
                .is_some_and(|member| member.verdict.is_ok())
        });
        for burial in durable {
            edit.delete(&burial.tombstone, burial.segment)?;
        }
        Ok(())
    }

    /// What waits to be read back is its reservation's to settle.
    pub(super) fn hand_over(&self) {
        for member in self.members.iter().filter(|member| member.is_held()) {
            if let Work::Finish {
                reservation,
                entry: Some(entry),
                ..
            } = &member.work
            {
                reservation.hold(*entry);
            }
        }
    }

    /// Tombstone units are never records: no index row ends their reservations.
    pub(super) fn release_tombstones(&self, volume: &Volume) {
        let mut ledger = volume.ledger();
        for place in &self.tombstone_places {
            ledger.burnt(*place);
        }
    }

    /// Answers everybody.
    pub(super) fn answer(self, outcome: Result<(), ShardError>) {
        for member in self.members {
            // Whoever stopped waiting does not care.
            let _gone = member.ack.send(outcome.clone().and(member.verdict));
        }
    }
}

fn next(turn: &mut Turn) -> u64 {
    let sequence = turn.next_sequence;
    turn.next_sequence += 1;
    sequence
}

/// A delete has no `Full`: the caller tries again later.
fn no_room(error: ShardError) -> ShardError {
    match error {
        ShardError::Full => ShardError::Unavailable("no room for a tombstone".to_owned()),
        other => other,
    }
}

/// Marks members as failed. A delete of which one tombstone is missing fails whole and is repeated
/// whole.
fn condemn(members: &mut [Member], numbers: &[usize], error: &ShardError) {
    for number in numbers {
        if let Some(member) = members.get_mut(*number) {
            member.verdict = Err(match &member.work {
                Work::Finish { .. } => error.clone(),
                Work::Delete(_) => no_room(error.clone()),
            });
        }
    }
}

/// Joins sorted writes that touch, up to [`MERGED_LEN`].
fn merge(writes: Vec<Write>) -> Vec<Write> {
    let mut runs: Vec<Vec<Write>> = Vec::new();
    let mut length = 0;
    for write in writes {
        let touches = runs.last().and_then(|run| run.last()).is_some_and(|last| {
            last.segment == write.segment && last.offset + last.bytes.len() as u64 == write.offset
        });
        match runs.last_mut() {
            Some(run) if touches && length + write.bytes.len() <= MERGED_LEN => {
                length += write.bytes.len();
                run.push(write);
            }
            _ => {
                length = write.bytes.len();
                runs.push(vec![write]);
            }
        }
    }
    runs.into_iter().filter_map(join).collect()
}

/// One write of several that lie one behind the other.
fn join(mut run: Vec<Write>) -> Option<Write> {
    if run.len() < 2 {
        return run.pop();
    }
    let length = run.iter().map(|write| write.bytes.len()).sum();
    // All of it is copied over.
    let mut bytes = AlignedBuf::unfilled(length);
    let (segment, offset) = run.first().map(|write| (write.segment, write.offset))?;
    debug_assert!(offset.is_multiple_of(UNIT_U64));
    let mut rest = bytes.as_mut_slice();
    for write in &run {
        let (now, later) = rest.split_at_mut_checked(write.bytes.len())?;
        now.copy_from_slice(write.bytes.as_slice());
        rest = later;
    }
    let members: BTreeMap<usize, ()> = run
        .into_iter()
        .flat_map(|write| write.members)
        .map(|member| (member, ()))
        .collect();
    Some(Write {
        segment,
        offset,
        bytes,
        members: members.into_keys().collect(),
    })
}
