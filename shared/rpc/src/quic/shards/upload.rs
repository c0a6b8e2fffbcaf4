//! A shard on its way to another process.
//!
//! At most `limits::RPC_UPLOAD_WINDOW` bytes are sent ahead of what the node says it took, so a slow
//! disk slows its writers and fills no buffer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::limits;
use cairn_wire::storage::reply::Outcome;
use prost::Message as _;

use super::cells::raw_frames;
use super::client::outcome;
use super::convert;
use super::failure::{of_call, unexpected};
use crate::quic::error::CallError;
use crate::quic::peer::{ClientCall, RemotePeer};
use crate::{ShardError, ShardHeader, ShardReceipt, ShardTrailer, ShardUpload};

/// The exchange after `Accepted`. Dropped, its stream is reset and the node gives the space back.
#[derive(Debug)]
pub(super) struct Upload {
    peer: Arc<RemotePeer>,
    within: Duration,
    call: ClientCall,
    header: ShardHeader,
    total: u64,
    sent: u64,
    taken: u64,
}

impl Upload {
    pub(super) fn new(
        peer: Arc<RemotePeer>,
        within: Duration,
        call: ClientCall,
        header: ShardHeader,
    ) -> Self {
        Self {
            peer,
            within,
            call,
            header,
            total: header.coding.shard_len(header.chunk_len),
            sent: 0,
            taken: 0,
        }
    }

    /// Hears how far the node is.
    async fn hear(&mut self) -> Result<(), ShardError> {
        self.call.until(self.peer.deadline(self.within));
        match outcome(&mut self.call).await? {
            Outcome::Taken(taken) if (self.taken..=self.sent).contains(&taken) => {
                self.taken = taken;
                Ok(())
            }
            _ => Err(unexpected()),
        }
    }

    async fn send(&mut self, frame: Vec<Bytes>) -> Result<(), ShardError> {
        self.call.until(self.peer.deadline(self.within));
        match self.call.send_pieces(frame).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.why(error).await),
        }
    }

    /// A node that fails a shard says why and then takes no more of it: the reason waits behind the
    /// acks.
    async fn why(&mut self, error: CallError) -> ShardError {
        loop {
            match outcome(&mut self.call).await {
                Ok(Outcome::Taken(_)) => {}
                Ok(_) | Err(ShardError::Unavailable(_)) => return of_call(error),
                Err(said) => return said,
            }
        }
    }
}

#[async_trait]
impl ShardUpload for Upload {
    async fn write(&mut self, cells: &[Bytes]) -> Result<(), ShardError> {
        for frame in raw_frames(cells) {
            let len = frame.iter().map(Bytes::len).sum::<usize>();
            let sent = self.sent + u64::try_from(len).unwrap_or(u64::MAX);
            if sent > self.total {
                return Err(ShardError::Refused("more cells than the shard has"));
            }
            while sent > self.taken + limits::RPC_UPLOAD_WINDOW {
                self.hear().await?;
            }
            self.send(frame).await?;
            self.sent = sent;
        }
        Ok(())
    }

    async fn finish(
        mut self: Box<Self>,
        trailer: ShardTrailer,
    ) -> Result<ShardReceipt, ShardError> {
        if self.sent < self.total {
            return Err(ShardError::Refused("fewer cells than the shard has"));
        }
        let message: Bytes = convert::trailer_to(&trailer).encode_to_vec().into();
        self.send(vec![message]).await?;
        self.call.finish();
        while self.taken < self.total {
            self.hear().await?;
        }
        self.call.until(self.peer.deadline(self.within));
        let Outcome::Receipt(receipt) = outcome(&mut self.call).await? else {
            return Err(unexpected());
        };
        let ours = ShardReceipt {
            disk: self.header.disk,
            incarnation: self.header.incarnation,
            shard: self.header.shard,
        };
        convert::receipt_of(&receipt)
            .filter(|receipt| *receipt == ours)
            .ok_or_else(unexpected)
    }
}
