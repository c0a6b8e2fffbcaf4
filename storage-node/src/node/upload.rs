//! One shard on its way to a disk: at most one run being filled and one being written.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_rpc::{ShardError, ShardReceipt, ShardTrailer, ShardUpload};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{OpenDisk, lost};
use crate::format::Shape;
use crate::format::writer::{RecordWriter, Run};
use crate::volume::{Job, Reservation};

/// An open upload. Dropped, its room is given back once no write is under way.
#[derive(Debug)]
pub(super) struct Upload {
    disk: Arc<OpenDisk>,
    shape: Shape,
    reservation: Arc<Reservation>,
    writer: RecordWriter,
    /// The run being written.
    pending: Option<oneshot::Receiver<Result<(), ShardError>>>,
    /// The first failure: nothing more is taken.
    failed: Option<ShardError>,
    _permit: OwnedSemaphorePermit,
}

impl Upload {
    pub(super) fn new(
        disk: Arc<OpenDisk>,
        shape: Shape,
        reservation: Arc<Reservation>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let writer = RecordWriter::new(shape, reservation.salt, reservation.place.unit);
        Self {
            disk,
            shape,
            reservation,
            writer,
            pending: None,
            failed: None,
            _permit: permit,
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

    async fn finish(
        mut self: Box<Self>,
        trailer: ShardTrailer,
    ) -> Result<ShardReceipt, ShardError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.settle().await?;
        let Self {
            disk,
            shape,
            reservation,
            writer,
            _permit,
            ..
        } = *self;
        let finished = writer
            .finish(trailer.chunk, trailer.cell_table)
            .map_err(ShardError::Refused)?;
        let finished = Box::new(finished);
        disk.commit(|ack| Job::Finish {
            reservation,
            finished,
            ack,
        })
        .await?;
        Ok(ShardReceipt {
            disk: disk.volume.id(),
            incarnation: shape.incarnation,
            shard: shape.shard,
        })
    }
}
