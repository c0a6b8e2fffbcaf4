//! Frames on the two halves of a QUIC stream.

use std::sync::Arc;

use bytes::Bytes;
use cairn_model::limits;
use cairn_wire::frame::{FrameAssembler, FrameHeader, FrameType, Step};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{GONE, Refusal, StreamError};

/// A frame that came, and its share of the process's request bytes.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: FrameType,
    pub(crate) payload: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

/// Bytes of requests that a process holds at once. A reader waits before it takes a payload that
/// does not fit; whoever holds a frame must not wait for another one's.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Semaphore>);

/// Bytes of one permit.
const SHARE: usize = 4 << 10;

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        let shares = usize::try_from(bytes).unwrap_or(usize::MAX) / SHARE;
        Self(Arc::new(Semaphore::new(shares.min(Semaphore::MAX_PERMITS))))
    }

    async fn share(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let shares = u32::try_from(bytes.div_ceil(SHARE)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        Arc::clone(&self.0).acquire_many_owned(shares).await.ok()
    }
}

/// The receiving half.
#[derive(Debug)]
pub(crate) struct FrameReader {
    stream: quinn::RecvStream,
    assembler: FrameAssembler,
    budget: Option<Budget>,
}

impl FrameReader {
    /// For frames of the version agreed on.
    pub(crate) fn new(stream: quinn::RecvStream, version: u8) -> Self {
        Self {
            stream,
            assembler: FrameAssembler::new(version),
            budget: None,
        }
    }

    /// Payloads take their share of `budget`.
    pub(crate) fn within(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, StreamError> {
        let mut share = None;
        loop {
            let wanted = self.assembler.wanted();
            let Some(chunk) = self.stream.read_chunk(wanted, true).await? else {
                if self.assembler.is_between_frames() {
                    return Ok(None);
                }
                return Err(StreamError::Lost("the stream ended inside a frame".into()));
            };
            match self.assembler.take(chunk.bytes)? {
                Step::More => {}
                Step::Header(len) => {
                    if let Some(budget) = &self.budget {
                        share = budget.share(len).await;
                    }
                }
                Step::Frame(kind, payload) => {
                    return Ok(Some(Frame {
                        kind,
                        payload,
                        _share: share,
                    }));
                }
            }
        }
    }

    /// Tells the sender to stop.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        // An error means that it has ended already.
        let _ = self.stream.stop(refusal.code());
    }
}

/// The sending half. Dropped unfinished, it is reset, so that the other side never takes a part for
/// the whole.
#[derive(Debug)]
pub(crate) struct FrameWriter {
    stream: quinn::SendStream,
    version: u8,
    ended: bool,
}

impl FrameWriter {
    pub(crate) fn new(stream: quinn::SendStream, version: u8) -> Self {
        Self {
            stream,
            version,
            ended: false,
        }
    }

    /// Sends one frame; returns once it is in the send buffer.
    pub(crate) async fn send(
        &mut self,
        kind: FrameType,
        payload: Bytes,
    ) -> Result<(), StreamError> {
        self.send_pieces(kind, vec![payload]).await
    }

    /// Sends one frame whose payload lies in pieces, without putting them together.
    pub(crate) async fn send_pieces(
        &mut self,
        kind: FrameType,
        mut pieces: Vec<Bytes>,
    ) -> Result<(), StreamError> {
        let header = FrameHeader::of(self.version, kind, pieces.iter().map(AsRef::as_ref))?;
        pieces.retain(|piece| !piece.is_empty());
        pieces.insert(0, Bytes::copy_from_slice(&header.to_bytes()));
        self.stream.write_all_chunks(&mut pieces).await?;
        Ok(())
    }

    /// Sends a message in as many frames as it needs. Only FIN tells where it ends.
    pub(crate) async fn send_long(
        &mut self,
        kind: FrameType,
        mut message: Bytes,
    ) -> Result<(), StreamError> {
        let most = usize::try_from(limits::WIRE_PAYLOAD_MAX).unwrap_or(usize::MAX);
        loop {
            let piece = message.split_to(message.len().min(most));
            self.send(kind, piece).await?;
            if message.is_empty() {
                return Ok(());
            }
        }
    }

    /// Nothing more comes.
    pub(crate) fn finish(&mut self) {
        self.ended = true;
        // An error means that the other side has stopped it.
        let _ = self.stream.finish();
    }

    /// Nothing was done.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.ended = true;
        let _ = self.stream.reset(refusal.code());
    }

    /// Completes once the other side wants no more of it, or has gone.
    pub(crate) fn unwanted(&self) -> impl Future<Output = ()> + Send + 'static {
        let stopped = self.stream.stopped();
        async move {
            let _ = stopped.await;
        }
    }
}

impl Drop for FrameWriter {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.stream.reset(GONE);
        }
    }
}
