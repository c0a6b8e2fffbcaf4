//! One shard on its way to a disk: at most one run being filled and one being written.

use std::sync::Arc;
use std::sync::atomic::AtomicU16;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_rpc::{ShardError, ShardReceipt, ShardTrailer, ShardUpload};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{OpenDisk, fence, lost};
use crate::format::Shape;
use crate::format::writer::{RecordWriter, Run};
use crate::volume::{Job, Reservation};

/// An open upload. Dropped, its room is given back once no write is under way.
#[derive(Debug)]
pub(crate) struct Upload {
    disk: Arc<OpenDisk>,
    shape: Shape,
    reservation: Arc<Reservation>,
    writer: RecordWriter,
    /// The run being written.
    pending: Option<oneshot::Receiver<Result<(), ShardError>>>,
    /// The first failure: nothing more is taken.
    failed: Option<ShardError>,
    /// Of a client's: its place, and the fence it must still be before at its end. A rebuild has a
    /// place of its own, and writes what is older again.
    client: Option<(OwnedSemaphorePermit, Arc<AtomicU16>)>,
}

impl Upload {
    pub(super) fn new(
        disk: Arc<OpenDisk>,
        shape: Shape,
        reservation: Arc<Reservation>,
        client: Option<(OwnedSemaphorePermit, Arc<AtomicU16>)>,
    ) -> Self {
        let writer = RecordWriter::new(shape, reservation.salt, reservation.place.unit);
        Self {
            disk,
            shape,
            reservation,
            writer,
            pending: None,
            failed: None,
            client,
        }
    }

    /// Waits for the run being written.
    async fn settle(&mut self) -> Result<(), ShardError> {
        match self.pending.take() {
            Some(pending) => pending.await.map_err(|_| lost())?,
            None => Ok(()),
        }
    }

    /// Begins to write a run once the one before it is through: this is the backpressure.
    async fn send(&mut self, run: Run) -> Result<(), ShardError> {
        self.settle().await?;
        let Some(threads) = &self.disk.threads else {
            return self.reservation.write(&run);
        };
        let reservation = Arc::clone(&self.reservation);
        self.pending = Some(threads.writers.send(move || reservation.write(&run))?);
        Ok(())
    }

    async fn take(&mut self, cells: &[Bytes]) -> Result<(), ShardError> {
        for cell in cells {
            let runs = self.writer.push(cell).map_err(ShardError::Refused)?;
            for run in runs {
                self.send(run).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl ShardUpload for Upload {
    async fn write(&mut self, cells: &[Bytes]) -> Result<(), ShardError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let outcome = self.take(cells).await;
        self.failed = outcome.clone().err();
        outcome
    }

    async fn finish(self: Box<Self>, trailer: ShardTrailer) -> Result<ShardReceipt, ShardError> {
        let (disk, shape) = (self.disk.volume.id(), self.shape);
        let fence = self.client.as_ref().map(|(_, fence)| Arc::clone(fence));
        (*self).seal(trailer).await?;
        // No receipt for what began before the fence: it would be counted by a history given up.
        if let Some(fence) = fence {
            fence::check(&fence, shape.incarnation.generation)?;
        }
        Ok(ShardReceipt {
            disk,
            incarnation: shape.incarnation,
            shard: shape.shard,
        })
    }
}

impl Upload {
    /// Makes the record durable; it counts unless its room was a repair's.
    pub(super) async fn seal(
        mut self,
        trailer: ShardTrailer,
    ) -> Result<Arc<Reservation>, ShardError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.settle().await?;
        let Self {
            disk,
            reservation,
            writer,
            client: _client,
            ..
        } = self;
        let finished = writer
            .finish(trailer.chunk, trailer.cell_table)
            .map_err(ShardError::Refused)?;
        let finished = Box::new(finished);
        let sealed = Arc::clone(&reservation);
        disk.commit(|ack| Job::Finish {
            reservation,
            finished,
            ack,
        })
        .await?;
        Ok(sealed)
    }
}
