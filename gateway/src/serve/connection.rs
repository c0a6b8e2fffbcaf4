//! A client's socket with patience: what neither hyper nor TCP limits.
//!
//! ```text
//!   HTTP/1   Idle ──first byte──> Head ──request parsed──> Busy ──answer sent──> Idle
//!            60 s                 10 s                     the body's own rate
//!   HTTP/2   Idle ──first request──> Busy ──last answer sent──> Idle
//! ```
//!
//! A client that sends nothing, sends its head too slowly, or does not take what is written is cut
//! off. HTTP/1 is also watched for its [`Framing`]: hyper is given one request at a time.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use cairn_model::limits;
use cairn_world::Clock;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::framing::{Doubt, Framing};
use crate::tuning;

/// How long a client may leave hyper's full write buffer untouched.
const WRITE_PATIENCE: Duration = Duration::from_secs(
    limits::BODY_RATE_WINDOW_SECS + super::BUFFER_LEN as u64 / limits::BODY_RATE_MIN,
);
/// What an HTTP/2 client says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The first byte of a TLS handshake.
pub(super) const TLS_HANDSHAKE: u8 = 0x16;

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Busy,
}

/// What a client speaks, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Nothing,
    Http1,
    Http2,
    Tls,
}

impl Spoken {
    /// `None` while it could still be either.
    fn of(first: &[u8]) -> Option<Self> {
        if first.first() == Some(&TLS_HANDSHAKE) {
            return Some(Self::Tls);
        }
        match (first.starts_with(PREFACE), PREFACE.starts_with(first)) {
            (true, _) => Some(Self::Http2),
            (false, true) => None,
            (false, false) => Some(Self::Http1),
        }
    }
}

/// What is watched as it is read.
#[derive(Debug)]
enum Protocol {
    Unknown,
    Http1(Framing),
    /// It frames its requests beyond doubt.
    Http2,
}

/// What a connection and its requests know of each other.
#[derive(Debug)]
struct State {
    phase: Phase,
    protocol: Protocol,
    /// Requests whose answers are not sent yet, and since when there is none.
    open: usize,
    idle_since: Duration,
    /// Who waits to read: hyper asks for the next head before the answer to the last is sent.
    reader: Option<Waker>,
}

impl State {
    /// How many of the bytes that come next hyper may see now.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let passed = match &mut self.protocol {
            Protocol::Http1(framing) => framing.pass(bytes),
            Protocol::Unknown => bytes.len(),
            Protocol::Http2 => return bytes.len(),
        };
        if self.phase == Phase::Idle && passed > 0 {
            self.phase = Phase::Head;
        }
        passed
    }
}

/// The requests' side of a connection.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
}

impl Exchange {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let state = State {
            phase: Phase::Idle,
            protocol: Protocol::Unknown,
            open: 0,
            idle_since: clock.monotonic(),
            reader: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            clock,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it is HTTP/1: one request at a time. Time spent on its first bytes counts.
    pub(super) fn http1(&self) {
        self.state().protocol = Protocol::Http1(Framing::default());
    }

    /// From now on it is HTTP/2: many requests at once.
    pub(super) fn http2(&self) {
        let mut state = self.state();
        state.phase = Phase::Idle;
        state.protocol = Protocol::Http2;
    }

    /// A request's head is complete. Tells what is doubtful about its framing.
    pub(super) fn begin(&self) -> Option<Doubt> {
        let mut state = self.state();
        state.phase = Phase::Busy;
        state.open += 1;
        match &mut state.protocol {
            Protocol::Http1(framing) => framing.begin(),
            Protocol::Unknown | Protocol::Http2 => None,
        }
    }

    /// Its answer has been sent, or given up.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.open = state.open.saturating_sub(1);
        if state.open > 0 {
            return;
        }
        state.phase = Phase::Idle;
        state.idle_since = self.clock.monotonic();
        if let Protocol::Http1(framing) = &mut state.protocol {
            framing.end();
            if framing.in_head() {
                state.phase = Phase::Head;
            }
        }
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Completes once there has been no request for the idle time, or a little longer.
    pub(super) async fn idle(&self) {
        let patience = Duration::from_secs(limits::IDLE_TIMEOUT_SECS);
        loop {
            let left = {
                let state = self.state();
                let idle = self.clock.monotonic().saturating_sub(state.idle_since);
                match state.open {
                    0 => patience.saturating_sub(idle),
                    _ => patience,
                }
            };
            if left.is_zero() {
                return;
            }
            self.clock.sleep(left).await;
        }
    }
}

/// The socket.
pub(super) struct Connection<S> {
    inner: S,
    exchange: Exchange,
    /// Read, and not yet passed on.
    kept: BytesMut,
    reading: Option<(Phase, Sleep)>,
    writing: Option<Sleep>,
}

impl<S> Connection<S> {
    pub(super) fn new(inner: S, exchange: Exchange) -> Self {
        Self {
            inner,
            exchange,
            kept: BytesMut::new(),
            reading: None,
            writing: None,
        }
    }

    /// The deadline of the phase: one for the whole of it, not one per byte.
    fn read_deadline(
        &mut self,
        phase: Phase,
        is_h2: bool,
        context: &mut Context<'_>,
    ) -> Poll<io::Error> {
        let patience = match phase {
            Phase::Busy => {
                self.reading = None;
                return Poll::Pending;
            }
            Phase::Head => limits::HEADER_TIMEOUT_SECS,
            // HTTP/2 is told first that it is over.
            Phase::Idle if is_h2 => limits::IDLE_TIMEOUT_SECS + tuning::GOAWAY_PATIENCE.as_secs(),
            Phase::Idle => limits::IDLE_TIMEOUT_SECS,
        };
        if self.reading.as_ref().is_none_or(|(of, _)| *of != phase) {
            let sleep = self.exchange.clock.sleep(Duration::from_secs(patience));
            self.reading = Some((phase, sleep));
        }
        match &mut self.reading {
            Some((_, sleep)) => sleep
                .as_mut()
                .poll(context)
                .map(|()| io::ErrorKind::TimedOut.into()),
            None => Poll::Pending,
        }
    }

    fn written<T>(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.writing = None;
            return outcome;
        }
        let clock = &self.exchange.clock;
        let sleep = self
            .writing
            .get_or_insert_with(|| clock.sleep(WRITE_PATIENCE));
        sleep
            .as_mut()
            .poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> Connection<S> {
    /// What the client speaks. Its bytes stay to be read.
    pub(super) async fn sniff(&mut self) -> io::Result<Spoken> {
        let mut first = BytesMut::new();
        let spoken = loop {
            if let Some(spoken) = Spoken::of(&first) {
                break spoken;
            }
            let mut limited = (&mut *self).take((PREFACE.len() - first.len()) as u64);
            if limited.read_buf(&mut first).await? == 0 {
                break Spoken::Nothing;
            }
        };
        self.kept = first;
        Ok(spoken)
    }

    /// Reads, and keeps back what hyper may not see yet. `None`: nothing may pass before the answer
    /// to the last request is sent.
    fn poll_passing(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Option<io::Result<()>>> {
        if self.kept.is_empty() {
            let before = buffer.filled().len();
            let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
            let read = buffer.filled().get(before..).unwrap_or_default();
            if read.is_empty() {
                return polled.map(Some);
            }
            let passed = self.exchange.state().pass(read);
            self.kept
                .extend_from_slice(read.get(passed..).unwrap_or_default());
            buffer.set_filled(before + passed);
            return Poll::Ready((passed > 0).then_some(Ok(())));
        }
        let shown = self.kept.len().min(buffer.remaining());
        let shown = self.kept.get(..shown).unwrap_or_default();
        let passed = self.exchange.state().pass(shown);
        buffer.put_slice(shown.get(..passed).unwrap_or_default());
        self.kept.advance(passed);
        if self.kept.is_empty() {
            self.kept = BytesMut::new();
        }
        Poll::Ready((passed > 0).then_some(Ok(())))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Poll::Ready(Some(outcome)) = this.poll_passing(context, buffer) {
            return Poll::Ready(outcome);
        }
        let (phase, is_h2) = {
            let mut state = this.exchange.state();
            state.reader = Some(context.waker().clone());
            (state.phase, matches!(state.protocol, Protocol::Http2))
        };
        this.read_deadline(phase, is_h2, context).map(Err)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.written(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.written(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(context);
        self.written(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_shutdown(context);
        self.written(context, outcome)
    }
}

#[cfg(test)]
mod tests;
