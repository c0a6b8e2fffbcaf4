//! A node as its caller sees it: one connection, made again when it is lost.
//!
//! ```text
//!   call ─ connected? ──yes──────────────────────────────> stream
//!             │ no: one attempt at a time, which outlives the call that began it
//!             ├ failed less than `backoff` ago ──> NotReached at once
//!             └ all addresses in turn ── HELLO ──────────> stream
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cairn_model::{NodeId, limits};
use cairn_wire::control::{Control, Heartbeat, control::Body};
use cairn_wire::frame::FrameType;
use cairn_wire::metadata::DiskStatus;
use prost::Message as _;
use tokio::sync::Mutex;

use super::deadline::Deadline;
use super::endpoint::{Dialer, Link, NoLink};
use super::error::{CallError, StreamError};
use super::frames::{Frame, FrameReader, FrameWriter};
use super::tuning;

/// A node to call.
#[derive(Debug)]
pub struct RemotePeer {
    dialer: Dialer,
    node: NodeId,
    addresses: Arc<RwLock<Vec<String>>>,
    slot: Arc<Mutex<Slot>>,
    connections: Arc<AtomicU64>,
}

/// The connection, or how the last attempts at one went.
#[derive(Debug, Default)]
struct Slot {
    link: Option<Link>,
    failures: u32,
    not_before: Duration,
    why: String,
}

impl RemotePeer {
    pub(crate) fn new(dialer: Dialer, node: NodeId, addresses: Vec<String>) -> Self {
        Self {
            dialer,
            node,
            addresses: Arc::new(RwLock::new(addresses)),
            slot: Arc::default(),
            connections: Arc::default(),
        }
    }

    /// Who it is.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Where it is from now on. An open connection stays.
    pub fn moved(&self, addresses: Vec<String>) {
        *self
            .addresses
            .write()
            .unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// How many connections to it were made so far.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Acquire)
    }

    /// The feature level agreed with it, connecting where need be.
    ///
    /// # Errors
    /// [`CallError::NotReached`].
    pub async fn feature_level(&self, within: Duration) -> Result<u32, CallError> {
        let deadline = self.deadline(within);
        Ok(self.link(&deadline).await?.agreed.feature_level)
    }

    /// One request, one answer of at most `limits::RPC_ANSWER_LEN_MAX` bytes.
    ///
    /// # Errors
    /// As [`CallError`] says; `within` bounds all of it.
    pub async fn call(
        &self,
        kind: FrameType,
        request: Bytes,
        within: Duration,
    ) -> Result<Bytes, CallError> {
        let mut call = self.begin(kind, within).await?;
        call.send(request).await?;
        call.finish();
        call.whole_answer().await
    }

    /// Whether it is there: the time it took to say so.
    ///
    /// # Errors
    /// As [`RemotePeer::call`].
    pub async fn heartbeat(&self, number: u64, within: Duration) -> Result<Duration, CallError> {
        self.report(number, Vec::new(), within).await
    }

    /// The same, telling a metadata node how this node's disks are.
    ///
    /// # Errors
    /// As [`RemotePeer::call`].
    pub async fn report(
        &self,
        number: u64,
        disks: Vec<DiskStatus>,
        within: Duration,
    ) -> Result<Duration, CallError> {
        let node = self.dialer.party.identity.me().node.0;
        let body = Some(Body::Heartbeat(Heartbeat {
            node,
            number,
            disks,
        }));
        let begun = self.dialer.party.clock.monotonic();
        let question = Control { body }.encode_to_vec();
        let answer = self
            .call(FrameType::Control, question.into(), within)
            .await?;
        let body = Control::decode(answer).ok().and_then(|answer| answer.body);
        match body {
            Some(Body::Heartbeat(beat)) if beat.number == number && beat.node == self.node.0 => {
                Ok(self.dialer.party.clock.monotonic().saturating_sub(begun))
            }
            _ => Err(CallError::Unknown("no heartbeat came back".to_owned())),
        }
    }

    /// Opens a stream for a call that must end `within`.
    pub(crate) async fn begin(
        &self,
        kind: FrameType,
        within: Duration,
    ) -> Result<ClientCall, CallError> {
        let deadline = self.deadline(within);
        let link = self.link(&deadline).await?;
        let opened = deadline.bound(link.connection.open_bi()).await;
        let (send, recv) = match opened {
            Some(Ok(stream)) => stream,
            Some(Err(error)) => return Err(CallError::NotReached(error.to_string())),
            None => {
                let why = "too many calls are in progress on the connection";
                return Err(CallError::NotReached(why.to_owned()));
            }
        };
        Ok(ClientCall {
            kind,
            writer: FrameWriter::new(send, link.agreed.version),
            reader: FrameReader::new(recv, link.agreed.version),
            deadline,
            sent: false,
        })
    }

    pub(crate) fn deadline(&self, within: Duration) -> Deadline {
        Deadline::after(&self.dialer.party.clock, within)
    }

    pub(crate) async fn link(&self, deadline: &Deadline) -> Result<Link, CallError> {
        let linked = deadline.bound(self.connected()).await;
        linked
            .unwrap_or_else(|| Err(NoLink("no connection in time".to_owned())))
            .map_err(|NoLink(why)| CallError::NotReached(why))
    }

    async fn connected(&self) -> Result<Link, NoLink> {
        let mut slot = Arc::clone(&self.slot).lock_owned().await;
        if let Some(link) = slot.living() {
            return Ok(link);
        }
        let party = Arc::clone(&self.dialer.party);
        if slot.failures > 0 && party.clock.monotonic() < slot.not_before {
            return Err(NoLink(slot.why.clone()));
        }
        let addresses = self
            .addresses
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (dialer, node) = (self.dialer.clone(), self.node);
        let connections = Arc::clone(&self.connections);
        // A task of its own: a call that gives up does not undo the work for the next one.
        let attempt = tokio::spawn(async move {
            let made = dial_any(&dialer, node, &addresses).await;
            connections.fetch_add(u64::from(made.is_ok()), Ordering::AcqRel);
            let jitter = party.entropy.next_u64();
            slot.note(&made, party.clock.monotonic(), jitter);
            made
        });
        attempt
            .await
            .unwrap_or_else(|error| Err(NoLink(error.to_string())))
    }
}

/// Names are looked up anew for every attempt: a container comes back with another address.
async fn dial_any(dialer: &Dialer, node: NodeId, addresses: &[String]) -> Result<Link, NoLink> {
    let mut why = "no address is known".to_owned();
    for name in addresses {
        let found = match tokio::net::lookup_host(name).await {
            Ok(found) => found,
            Err(error) => {
                why = format!("{name}: {error}");
                continue;
            }
        };
        for address in found {
            match dialer.dial(node, address).await {
                Ok(link) => return Ok(link),
                Err(NoLink(error)) => why = error,
            }
        }
    }
    Err(NoLink(why))
}

impl Slot {
    fn living(&mut self) -> Option<Link> {
        let living = |link: &Link| link.connection.close_reason().is_none();
        self.link = self.link.take().filter(living);
        self.link.clone()
    }

    fn note(&mut self, made: &Result<Link, NoLink>, now: Duration, jitter: u64) {
        match made {
            Ok(link) => {
                *self = Self {
                    link: Some(link.clone()),
                    ..Self::default()
                };
            }
            Err(NoLink(why)) => {
                self.not_before = now.saturating_add(backoff(self.failures, jitter));
                self.failures = self.failures.saturating_add(1);
                self.why.clone_from(why);
            }
        }
    }
}

/// Between half and all of the doubled wait, so that callers do not come back together.
fn backoff(failures: u32, jitter: u64) -> Duration {
    let full = tuning::BACKOFF_FIRST
        .saturating_mul(1 << failures.min(16))
        .min(tuning::BACKOFF_MAX);
    let half = full / 2;
    let spread = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_nanos(jitter % spread)
}

/// One call as its caller sees it.
#[derive(Debug)]
pub(crate) struct ClientCall {
    kind: FrameType,
    writer: FrameWriter,
    reader: FrameReader,
    deadline: Deadline,
    sent: bool,
}

impl ClientCall {
    /// Another time limit from here on.
    pub(crate) fn until(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    pub(crate) async fn send(&mut self, payload: Bytes) -> Result<(), CallError> {
        self.send_pieces(vec![payload]).await
    }

    pub(crate) async fn send_pieces(&mut self, pieces: Vec<Bytes>) -> Result<(), CallError> {
        // The peer may act on the frame before the last of it has left this process.
        self.sent = true;
        let sending = self.writer.send_pieces(self.kind, pieces);
        match self.deadline.bound(sending).await {
            Some(done) => done.map_err(|error| error.into_call_error(true)),
            None => Err(late(true)),
        }
    }

    /// Nothing more is sent.
    pub(crate) fn finish(&mut self) {
        self.writer.finish();
    }

    /// The next frame of the answer; `None` at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        let kind = self.kind;
        let next = self
            .deadline
            .bound(self.reader.next())
            .await
            .ok_or_else(|| late(self.sent))?;
        let checked = next.and_then(|frame| match frame {
            Some(Frame {
                kind: found,
                payload,
                ..
            }) if found == kind => Ok(Some(payload)),
            None => Ok(None),
            Some(_) => Err(StreamError::Malformed("an answer of another type".into())),
        });
        checked.map_err(|error| error.into_call_error(self.sent))
    }

    /// A frame that must be there.
    pub(crate) async fn expect(&mut self) -> Result<Bytes, CallError> {
        let missing = || CallError::Unknown("the answer ended early".to_owned());
        self.next().await?.ok_or_else(missing)
    }

    /// All frames of the answer as one message.
    async fn whole_answer(&mut self) -> Result<Bytes, CallError> {
        let first = self.expect().await?;
        let Some(second) = self.next().await? else {
            return Ok(first);
        };
        let mut whole = BytesMut::from(first);
        let mut next = Some(second);
        while let Some(piece) = next {
            if whole.len() + piece.len() > limits::RPC_ANSWER_LEN_MAX {
                return Err(CallError::Unknown("the answer is too long".to_owned()));
            }
            whole.extend_from_slice(&piece);
            next = self.next().await?;
        }
        Ok(whole.freeze())
    }
}

fn late(sent: bool) -> CallError {
    StreamError::Lost("the deadline has passed".to_owned()).into_call_error(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_to_its_bound_and_is_spread() {
        for jitter in [0, 7, u64::MAX] {
            for failures in 0..40 {
                let wait = backoff(failures, jitter);
                let full =
                    (tuning::BACKOFF_FIRST * (1 << failures.min(10))).min(tuning::BACKOFF_MAX);
                assert!(full / 2 <= wait && wait <= full, "{failures}: {wait:?}");
            }
        }
        assert_ne!(backoff(3, 1), backoff(3, 1_000_000));
    }
}
