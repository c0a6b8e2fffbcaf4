//! The serving side of calls: one task for each stream, one handler for each type of frame.
//!
//! ```text
//!   stream ─ a place? ─ still a member? ─ first frame ─ role? ─ handler of its type ─ answer, FIN
//!              │ Busy       │ close             │ Malformed │ Role  │ Unserved
//! ```
//!
//! A handler ends as soon as the caller wants its answer no more.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::limits;
use cairn_wire::frame::FrameType;
use cairn_world::Clock;
use tokio::sync::Semaphore;

use super::deadline::Deadline;
use super::error::{Refusal, StreamError};
use super::frames::{Budget, Frame, FrameReader, FrameWriter};
use super::identity::Peer;
use super::join::Admission;
use super::{roles, tuning};

/// Why a handler gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Abort {
    /// Nothing was done; the caller is told so.
    Refuse(Refusal),
    /// The caller has gone.
    Gone,
}

impl From<StreamError> for Abort {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Malformed(_) => Self::Refuse(Refusal::Malformed),
            StreamError::Refused(_) | StreamError::Lost(_) => Self::Gone,
        }
    }
}

/// Serves one type of frame.
#[async_trait]
pub trait Handler: Send + Sync + fmt::Debug {
    /// Answers one call. The peer may send this type of frame; whether it may make this call is for
    /// the handler to judge.
    ///
    /// # Errors
    /// [`Abort::Refuse`] only while nothing was done.
    async fn handle(&self, peer: &Peer, call: &mut ServerCall) -> Result<(), Abort>;
}

/// One call as its server sees it.
#[derive(Debug)]
pub struct ServerCall {
    kind: FrameType,
    first: Option<Frame>,
    reader: FrameReader,
    writer: FrameWriter,
}

impl ServerCall {
    /// The next frame that the caller sent, the request first; `None` after its last.
    pub(crate) async fn next_frame(&mut self) -> Result<Option<Frame>, Abort> {
        let next = match self.first.take() {
            Some(first) => Some(first),
            None => self.reader.next().await?,
        };
        match next {
            Some(frame) if frame.kind != self.kind => Err(Abort::Refuse(Refusal::Malformed)),
            next => Ok(next),
        }
    }

    /// The payload of the next frame; `None` after the last.
    ///
    /// # Errors
    /// Where what comes is no frame of this call's type, or the caller has gone.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Abort> {
        Ok(self.next_frame().await?.map(|frame| frame.payload))
    }

    /// Sends a frame of the answer, at most `limits::WIRE_PAYLOAD_MAX` bytes.
    ///
    /// # Errors
    /// [`Abort::Gone`].
    pub async fn send(&mut self, payload: Bytes) -> Result<(), Abort> {
        self.send_pieces(vec![payload]).await
    }

    /// Sends an answer of any length, in as many frames as it needs.
    ///
    /// # Errors
    /// [`Abort::Gone`].
    pub async fn send_long(&mut self, message: Bytes) -> Result<(), Abort> {
        let sent = self.writer.send_long(self.kind, message).await;
        sent.map_err(|_| Abort::Gone)
    }

    /// Sends one frame whose bytes lie in pieces.
    pub(crate) async fn send_pieces(&mut self, pieces: Vec<Bytes>) -> Result<(), Abort> {
        // Never a refusal, whatever went wrong: by now something may have been done.
        let sent = self.writer.send_pieces(self.kind, pieces).await;
        sent.map_err(|_| Abort::Gone)
    }
}

/// Who serves what in this process.
#[derive(Debug, Default)]
pub struct Dispatcher {
    handlers: BTreeMap<FrameType, Arc<dyn Handler>>,
    admission: Option<Arc<dyn Admission>>,
}

impl Dispatcher {
    /// Has `handler` serve frames of `kind`.
    #[must_use]
    pub fn with(mut self, kind: FrameType, handler: Arc<dyn Handler>) -> Self {
        self.handlers.insert(kind, handler);
        self
    }

    /// Has `admission` hear processes that have no certificate yet; without, they find no protocol.
    #[must_use]
    pub fn admitting(mut self, admission: Arc<dyn Admission>) -> Self {
        self.admission = Some(admission);
        self
    }
}

/// A dispatcher at work, with the bounds of its process.
#[derive(Debug)]
pub(crate) struct Desk {
    handlers: BTreeMap<FrameType, Arc<dyn Handler>>,
    pub(crate) admission: Option<Arc<dyn Admission>>,
    clock: Arc<dyn Clock>,
    places: Arc<Semaphore>,
    budget: Budget,
}

/// What a process takes at once, from all its peers together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Calls; more are turned away.
    pub(crate) calls: usize,
    /// Bytes of their requests; more wait.
    pub(crate) bytes: u64,
}

impl Bounds {
    pub(crate) const HERE: Self = Self {
        calls: limits::RPC_CALLS_MAX,
        bytes: limits::RPC_REQUEST_BYTES_MAX,
    };
}

impl Desk {
    pub(crate) fn new(dispatcher: Dispatcher, clock: Arc<dyn Clock>, bounds: Bounds) -> Self {
        Self {
            handlers: dispatcher.handlers,
            admission: dispatcher.admission,
            clock,
            places: Arc::new(Semaphore::new(bounds.calls)),
            budget: Budget::new(bounds.bytes),
        }
    }

    /// Serves one stream to its end.
    pub(crate) async fn serve(
        &self,
        peer: Peer,
        version: u8,
        (send, recv): (quinn::SendStream, quinn::RecvStream),
    ) {
        let mut writer = FrameWriter::new(send, version);
        let mut reader = FrameReader::new(recv, version).within(self.budget.clone());
        let Ok(_place) = Arc::clone(&self.places).try_acquire_owned() else {
            reader.refuse(Refusal::Busy);
            writer.refuse(Refusal::Busy);
            return;
        };
        let unwanted = writer.unwanted();
        let work = self.answer(&peer, reader, writer);
        tokio::select! {
            () = unwanted => tracing::debug!(node = peer.node.0, "the caller gave a call up"),
            () = work => {}
        }
    }

    async fn answer(&self, peer: &Peer, mut reader: FrameReader, mut writer: FrameWriter) {
        let first = Deadline::after(&self.clock, tuning::FIRST_FRAME)
            .bound(reader.next())
            .await;
        let frame = match first {
            Some(Ok(Some(frame))) => frame,
            Some(Err(StreamError::Lost(_) | StreamError::Refused(_))) => return,
            Some(Ok(None) | Err(StreamError::Malformed(_))) => {
                reader.refuse(Refusal::Malformed);
                writer.refuse(Refusal::Malformed);
                return;
            }
            // The caller stalls, or the process has no room for its request.
            None => {
                reader.refuse(Refusal::Busy);
                writer.refuse(Refusal::Busy);
                return;
            }
        };
        let kind = frame.kind;
        let mut call = ServerCall {
            kind,
            first: Some(frame),
            reader,
            writer,
        };
        let outcome = match self.handlers.get(&kind) {
            _ if !roles::may_send(peer.roles, kind) => Err(Abort::Refuse(Refusal::Role)),
            None => Err(Abort::Refuse(Refusal::Unserved)),
            Some(handler) => handler.handle(peer, &mut call).await,
        };
        match outcome {
            Ok(()) => call.writer.finish(),
            Err(Abort::Gone) => {}
            Err(Abort::Refuse(refusal)) => {
                tracing::warn!(node = peer.node.0, ?kind, %refusal, "a call was refused");
                call.reader.refuse(refusal);
                call.writer.refuse(refusal);
            }
        }
    }
}
