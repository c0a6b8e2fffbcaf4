//! One chunk on its way to k + m disks.
//!
//! ```text
//!   open   draw an incarnation until its partition is up, reserve a shard on every disk
//!   push   a stripe: SHA-256, CRC-64, codec; its cells to all disks at once
//!   seal   trailer to every disk, wait for receipts, judge by the ack rule
//! ```
//!
//! A disk that fails on the way is left out and becomes debt while the rule can still be met; after
//! that the chunk is given up. Whatever is dropped unsealed leaves nothing behind.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cairn_erasure::StripeEncoder;
use cairn_model::{ChunkId, Coding, DiskId, DomainId, Incarnation, Sha256};
use cairn_rpc::{ShardError, ShardHeader, ShardReceipt, ShardTrailer, ShardUpload};
use cairn_wire::metadata as wire;
use cairn_world::buggify;
use crc_fast::CrcAlgorithm::Crc64Nvme;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use sha2::Digest as _;

use crate::data::nodes::Failing;
use crate::data::session::Entered;
use crate::data::view::View;
use crate::data::{DataPath, WriteError, ack};
use crate::tuning;

/// A drawn incarnation and the disks its partition names.
#[derive(Debug)]
struct Draw {
    incarnation: Incarnation,
    epoch: u64,
    /// By shard; whether it is to be asked.
    disks: Vec<(DiskId, bool)>,
}

/// The shard of one disk.
#[derive(Debug)]
struct Lane {
    disk: DiskId,
    /// None once it has failed.
    upload: Option<Box<dyn ShardUpload>>,
    /// It failed for want of room.
    is_full: bool,
}

/// One chunk being written.
#[derive(Debug)]
pub(crate) struct ChunkWriter {
    path: Arc<DataPath>,
    view: Arc<View>,
    domain: DomainId,
    length: u64,
    coding: Coding,
    incarnation: Incarnation,
    epoch: u64,
    lanes: Vec<Lane>,
    encoder: StripeEncoder,
    sha256: Option<sha2::Sha256>,
    crc: crc_fast::Digest,
}

impl ChunkWriter {
    /// Reserves shards for a chunk of `length` bytes in `domain`. With `hash` it makes the chunk's
    /// SHA-256 itself; without, [`ChunkWriter::seal`] must be told.
    ///
    /// # Errors
    /// `NotEnoughDisks`, `Full`, or no view of the cluster.
    pub(crate) async fn open(
        path: &Arc<DataPath>,
        session: &Entered,
        domain: DomainId,
        length: u64,
        hash: bool,
    ) -> Result<Self, WriteError> {
        let mut view = path.views.get().await?;
        let deadline = path.clock.monotonic() + tuning::OPEN_PATIENCE;
        let mut rereads = tuning::VIEW_REREADS;
        let mut pause = tuning::PREPARE_PAUSE;
        let mut refusal = WriteError::NotEnoughDisks;
        for round in 1_u32.. {
            let coding = view.coding(length);
            let drawn = draw(path, &view, session, coding);
            let asked = drawn.disks.iter().filter(|(_, ask)| *ask).count();
            let left = deadline.saturating_sub(path.clock.monotonic());
            let patience = tuning::PREPARE_PATIENCE.min(left);
            let may_reread = rereads > 0;
            let prepared = prepare(path, &drawn, coding, length, patience, may_reread).await;
            if prepared.stale {
                rereads -= 1;
                view = path.views.newer_than(Some(&view)).await?;
                continue;
            }
            let lanes = prepared.lanes;
            let taken = lanes.iter().filter(|lane| lane.upload.is_some()).count();
            let left = deadline.saturating_sub(path.clock.monotonic());
            let last = round >= tuning::PREPARE_ROUNDS || left.is_zero();
            if could_be_met(&view, coding, &lanes) {
                if taken == asked || last {
                    let encoder = StripeEncoder::new(coding, length).map_err(internal)?;
                    return Ok(Self {
                        path: Arc::clone(path),
                        view,
                        domain,
                        length,
                        coding,
                        incarnation: drawn.incarnation,
                        epoch: drawn.epoch,
                        lanes,
                        encoder,
                        sha256: hash.then(sha2::Sha256::new),
                        crc: crc_fast::Digest::new(Crc64Nvme),
                    });
                }
                continue;
            }
            refusal = too_few(&view, coding, &lanes);
            if prepared.away && pause < left {
                path.clock.sleep(pause).await;
                pause = (pause * 2).min(tuning::PREPARE_PAUSE_MAX);
            } else if prepared.away || last {
                break;
            }
        }
        Err(refusal)
    }

    /// Takes the next whole stripes (the last as long as it is) and waits until every disk that
    /// still takes part has taken its cells.
    ///
    /// # Errors
    /// `NotEnoughDisks` or `Full` once the rule cannot be met any more.
    pub(crate) async fn push(&mut self, plain: BytesMut) -> Result<(), WriteError> {
        self.crc.update(&plain);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(&plain);
        }
        for stripe in self.encoder.push(plain).map_err(internal)? {
            let path = &self.path;
            let writes =
                (self.lanes.iter_mut())
                    .zip(&stripe.cells)
                    .map(|(lane, cell)| async move {
                        if let Some(upload) = &mut lane.upload {
                            let cells = std::slice::from_ref(cell);
                            let begun = path.clock.monotonic();
                            let call = upload.write(cells);
                            let mut outcome = path.within(tuning::SHARD_WRITE_PATIENCE, call).await;
                            if buggify("disk-falls-out") {
                                outcome = Err(ShardError::Unavailable("not now".to_owned()));
                            }
                            if let Err(error) = outcome {
                                lane.fail(path, &error, begun);
                            }
                        }
                    });
            join_all(writes).await;
        }
        if could_be_met(&self.view, self.coding, &self.lanes) {
            Ok(())
        } else {
            Err(too_few(&self.view, self.coding, &self.lanes))
        }
    }

    /// Seals the chunk and waits for receipts: all of them, or those the ack rule asks for and a
    /// moment more. The extent given covers the whole chunk.
    ///
    /// # Errors
    /// `NotEnoughDisks` where the rule is not met.
    pub(crate) async fn seal(self, told: Option<Sha256>) -> Result<wire::ExtentWrite, WriteError> {
        let made = self.sha256.map(|sha256| Sha256(sha256.finalize().into()));
        let sha256 = made.or(told);
        let sha256 = sha256.ok_or_else(|| WriteError::Internal("no SHA-256".to_owned()))?;
        let table = self.encoder.finish().map_err(internal)?;
        let trailer = ShardTrailer {
            chunk: ChunkId {
                domain: self.domain,
                sha256,
            },
            cell_table: Arc::clone(table.entries()),
        };
        let sealing = Sealing {
            path: &self.path,
            view: &self.view,
            coding: self.coding,
            incarnation: self.incarnation,
        };
        let met = sealing
            .receipts(self.lanes, trailer)
            .await
            .ok_or(WriteError::NotEnoughDisks)?;
        let length = u32::try_from(self.length).map_err(internal)?;
        Ok(wire::ExtentWrite {
            sha256: Bytes::copy_from_slice(&sha256.0),
            incarnation: Bytes::copy_from_slice(&self.incarnation.to_bytes()),
            chunk_length: length,
            offset: 0,
            length,
            crc64nvme: self.crc.finalize(),
            table_digest: Bytes::copy_from_slice(&table.digest()),
            coding: Some(self.coding.into()),
            epoch: self.epoch,
            debt: met.debt.into_iter().map(wire_debt).collect(),
            claim: wire::Claim::Written.into(),
        })
    }
}

/// What waiting for receipts needs to know.
struct Sealing<'a> {
    path: &'a DataPath,
    view: &'a View,
    coding: Coding,
    incarnation: Incarnation,
}

impl Sealing<'_> {
    async fn receipts(&self, lanes: Vec<Lane>, trailer: ShardTrailer) -> Option<ack::Met> {
        let mut durable: Vec<(DiskId, bool)> =
            lanes.iter().map(|lane| (lane.disk, false)).collect();
        // Of those that are not asked nothing new is known.
        let asked = lanes.iter().map(|lane| lane.upload.is_some());
        let mut failing: Vec<Option<Failing>> =
            asked.map(|asked| asked.then_some(Failing::Reach)).collect();
        let begun = self.path.clock.monotonic();
        let mut sealing: FuturesUnordered<_> = (0_u8..)
            .zip(lanes)
            .filter_map(|(shard, lane)| Some((shard, lane.upload?)))
            .map(|(shard, upload)| {
                let sealed = upload.finish(trailer.clone());
                async move { (shard, sealed.await) }
            })
            .collect();
        let mut deadline = self.path.clock.sleep(tuning::SHARD_FINISH_PATIENCE);
        let mut met = None;
        loop {
            tokio::select! {
                biased;
                sealed = sealing.next() => {
                    let Some((shard, outcome)) = sealed else { break };
                    let failed = self.note(&mut durable, shard, outcome);
                    if let Some(failing) = failing.get_mut(usize::from(shard)) {
                        *failing = failed;
                    }
                }
                () = &mut deadline => break,
            }
            let now_met = ack::judge(self.view, self.coding, &durable);
            if met.is_none() && now_met.is_some() {
                let grace = if buggify("grace-left-out") {
                    Duration::ZERO
                } else {
                    tuning::SHARD_FINISH_GRACE
                };
                deadline = self.path.clock.sleep(grace);
            }
            met = now_met;
        }
        for ((disk, _), failing) in durable.iter().zip(failing) {
            if let Some(failing) = failing {
                self.path.nodes.failed(*disk, failing, begun);
            }
        }
        met
    }

    /// Notes what a disk answered, and gives what it failed in.
    fn note(
        &self,
        durable: &mut [(DiskId, bool)],
        shard: u8,
        outcome: Result<ShardReceipt, ShardError>,
    ) -> Option<Failing> {
        let (disk, durable) = durable.get_mut(usize::from(shard))?;
        let expected = ShardReceipt {
            disk: *disk,
            incarnation: self.incarnation,
            shard,
        };
        match outcome {
            Ok(receipt) if receipt == expected => {
                *durable = true;
                None
            }
            Ok(receipt) => {
                tracing::error!(
                    ?receipt,
                    ?expected,
                    "a receipt for another shard counts for none"
                );
                Some(Failing::Everything)
            }
            Err(error) => {
                tracing::warn!(%disk, shard, %error, "a shard could not be sealed");
                Some(match Failing::of(&error) {
                    // Full under a shard that it had room for: it is not well.
                    Failing::Room => Failing::Everything,
                    failing => failing,
                })
            }
        }
    }
}

impl Lane {
    /// Leaves it out, since it failed a call that began at `begun`.
    fn fail(&mut self, path: &DataPath, error: &ShardError, begun: Duration) {
        tracing::warn!(disk = %self.disk, %error, "a disk fell out of an upload");
        path.nodes.failed(self.disk, Failing::of(error), begun);
        self.is_full = matches!(error, ShardError::Full);
        self.upload = None;
    }
}

/// Draws an incarnation whose partition is fully up, else one that meets the rule. Where none does,
/// all disks of the last are asked: they may be better than their memory.
fn draw(path: &DataPath, view: &View, session: &Entered, coding: Coding) -> Draw {
    let up = path.nodes.writable();
    let stamp = || session.stamp(view.group);
    let stamps = (0..tuning::INCARNATION_DRAWS).map(|_| stamp());
    let drawn = cairn_placement::draw(view.table(), &up, coding, stamps);
    let incarnation = drawn.map_or_else(stamp, |(incarnation, _)| incarnation);
    let row = view.partition(incarnation);
    let disks = row.slots.iter().take(coding.shards()).map(|slot| {
        let disk = slot.write_disk();
        (disk, drawn.is_none() || up.contains(&disk))
    });
    Draw {
        incarnation,
        epoch: row.epoch,
        disks: disks.collect(),
    }
}

/// What a round of reservations came to.
struct Prepared {
    lanes: Vec<Lane>,
    /// The view may be old, and is worth reading again.
    stale: bool,
    /// Some disk could not be reached or is too busy: it may take a shard in a moment.
    away: bool,
}

/// Reserves a shard on each disk that is to be asked. One that still knows another partition table
/// after the view was read again (`may_reread` no more) counts as failed, whoever is right: a node
/// that has lost one disk of two says "not mine" for good.
async fn prepare(
    path: &DataPath,
    drawn: &Draw,
    coding: Coding,
    chunk_len: u64,
    patience: Duration,
    may_reread: bool,
) -> Prepared {
    let begun = path.clock.monotonic();
    let calls = (0_u8..).zip(&drawn.disks).map(|(shard, (disk, ask))| {
        let header = ShardHeader {
            disk: *disk,
            epoch: drawn.epoch,
            incarnation: drawn.incarnation,
            shard,
            coding,
            chunk_len,
        };
        async move {
            let ask = *ask && !buggify("prepare-left-out");
            let service = path.nodes.service(header.disk).filter(|_| ask)?;
            Some(path.within(patience, service.prepare(header)).await)
        }
    });
    let outcomes = join_all(calls).await;
    let (mut stale, mut away) = (false, false);
    let lane = |((disk, _), outcome): (&(DiskId, bool), Option<_>)| {
        let mut lane = Lane {
            disk: *disk,
            upload: None,
            is_full: false,
        };
        match outcome {
            None => away = true,
            Some(Ok(upload)) => {
                path.nodes.took_write(*disk);
                lane.upload = Some(upload);
            }
            Some(Err(ShardError::StaleEpoch { .. } | ShardError::NotMine)) if may_reread => {
                stale = true;
            }
            Some(Err(error)) => {
                away |= matches!(error, ShardError::Unavailable(_));
                lane.fail(path, &error, begun);
            }
        }
        lane
    };
    let lanes = drawn.disks.iter().zip(outcomes).map(lane).collect();
    Prepared { lanes, stale, away }
}

fn could_be_met(view: &View, coding: Coding, lanes: &[Lane]) -> bool {
    meets(view, coding, lanes, |lane| lane.upload.is_some())
}

/// What to say where the rule cannot be met: that there is no room, where the disks without any are
/// what is missing.
fn too_few(view: &View, coding: Coding, lanes: &[Lane]) -> WriteError {
    match meets(view, coding, lanes, |lane| {
        lane.upload.is_some() || lane.is_full
    }) {
        true => WriteError::Full,
        false => WriteError::NotEnoughDisks,
    }
}

fn meets(view: &View, coding: Coding, lanes: &[Lane], takes: impl Fn(&Lane) -> bool) -> bool {
    let taking: Vec<(DiskId, bool)> = lanes.iter().map(|lane| (lane.disk, takes(lane))).collect();
    ack::judge(view, coding, &taking).is_some()
}

fn internal(error: impl std::fmt::Display) -> WriteError {
    WriteError::Internal(error.to_string())
}

fn wire_debt((shard, disk): (u8, DiskId)) -> wire::Debt {
    wire::Debt {
        shard: shard.into(),
        disk: Bytes::copy_from_slice(&disk.0),
        found: Bytes::new(),
    }
}
