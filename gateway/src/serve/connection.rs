//! A client's socket with patience: what neither hyper nor TCP limits.
//!
//! ```text
//!   Idle ──first byte──> Head ──request parsed──> Busy ──answer sent──> Idle
//!   60 s                 10 s                     the body's own rate
//! ```
//!
//! A client that sends nothing, sends its head too slowly, or does not take what is written is cut
//! off. While a head passes it is also scanned for `Content-Length` beside `Transfer-Encoding`: hyper
//! drops one of the two silently, and nobody could tell afterwards.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cairn_model::limits;
use cairn_world::Clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long a client may leave hyper's full write buffer untouched.
const WRITE_PATIENCE: Duration = Duration::from_secs(
    limits::BODY_RATE_WINDOW_SECS + super::BUFFER_LEN as u64 / limits::BODY_RATE_MIN,
);

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Busy,
}

/// What a connection and its requests know of each other.
#[derive(Debug)]
struct State {
    phase: Phase,
    scan: HeadScan,
    /// Who waits to read. hyper asks for the next head before the answer to the last is sent, so
    /// the patience for it must be begun anew when it is.
    reader: Option<Waker>,
}

/// The requests' side of a connection.
#[derive(Clone, Debug)]
pub(super) struct Exchange(Arc<Mutex<State>>);

impl Exchange {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::Idle,
            scan: HeadScan::default(),
            reader: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request's head is complete. Tells whether its framing is beyond doubt: not if it gave both
    /// a length and a transfer encoding, and not if it could not be seen whole.
    pub(super) fn begin(&self, has_transfer_encoding: bool) -> bool {
        let mut state = self.state();
        state.phase = Phase::Busy;
        let scan = std::mem::take(&mut state.scan);
        !has_transfer_encoding || (scan.done && !scan.length)
    }

    /// Its answer has been sent, or given up.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.phase = Phase::Idle;
        state.scan = HeadScan::default();
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }
}

/// Looks for `Content-Length` in a head as it comes off the wire.
#[derive(Debug, Default)]
struct HeadScan {
    /// The beginning of the current line.
    line: Vec<u8>,
    started: bool,
    length: bool,
    done: bool,
}

impl HeadScan {
    /// Longer than any name looked for.
    const LINE_KEPT: usize = 24;

    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                _ if self.done => return,
                b'\n' => self.end_line(),
                byte if self.line.len() < Self::LINE_KEPT => self.line.push(*byte),
                _ => {}
            }
        }
    }

    fn end_line(&mut self) {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        if line.is_empty() {
            // Empty lines before the request line are skipped, as hyper does.
            self.done = self.started;
        } else {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            self.length |=
                self.started && name.trim_ascii().eq_ignore_ascii_case(b"content-length");
            self.started = true;
        }
        self.line.clear();
    }
}

/// The socket.
pub(super) struct Connection<S> {
    inner: S,
    exchange: Exchange,
    clock: Arc<dyn Clock>,
    reading: Option<(Phase, Sleep)>,
    writing: Option<Sleep>,
}

impl<S> Connection<S> {
    pub(super) fn new(inner: S, exchange: Exchange, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            exchange,
            clock,
            reading: None,
            writing: None,
        }
    }

    /// The deadline of the phase: one for the whole of it, not one per byte.
    fn read_deadline(&mut self, phase: Phase, context: &mut Context<'_>) -> Poll<io::Error> {
        let patience = match phase {
            Phase::Busy => {
                self.reading = None;
                return Poll::Pending;
            }
            Phase::Head => limits::HEADER_TIMEOUT_SECS,
            Phase::Idle => limits::IDLE_TIMEOUT_SECS,
        };
        if self.reading.as_ref().is_none_or(|(of, _)| *of != phase) {
            self.reading = Some((phase, self.clock.sleep(Duration::from_secs(patience))));
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
        let clock = &self.clock;
        let sleep = self
            .writing
            .get_or_insert_with(|| clock.sleep(WRITE_PATIENCE));
        sleep
            .as_mut()
            .poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(context, buffer);
        let read = buffer.filled().get(before..).unwrap_or_default();
        let phase = {
            let mut state = this.exchange.state();
            if state.phase != Phase::Busy && !read.is_empty() {
                state.phase = Phase::Head;
                state.scan.feed(read);
            }
            state.reader = polled.is_pending().then(|| context.waker().clone());
            state.phase
        };
        if polled.is_ready() {
            return polled;
        }
        this.read_deadline(phase, context).map(Err)
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(pieces: &[&[u8]]) -> HeadScan {
        let mut scan = HeadScan::default();
        pieces.iter().for_each(|piece| scan.feed(piece));
        scan
    }

    #[test]
    fn a_length_is_found_wherever_it_stands() {
        let head = b"\r\nPUT /content-length:1 HTTP/1.1\r\nHost: a\r\ncOntent-length : 5\r\n\r\n";
        assert!(scan(&[head]).length);
        for cut in 0..head.len() {
            let (one, two) = head.split_at(cut);
            let scan = scan(&[one, two]);
            assert!(scan.length && scan.done, "cut at {cut}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        let path = b"content-length: 1 HTTP/1.1\nX: content-length: 5\n\nContent-Length: 5\n\n";
        let scan = scan(&[path]);
        assert!(scan.done && !scan.length);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_in_bounded_memory(bytes: Vec<u8>) {
            let scan = scan(&[&bytes]);
            prop_assert!(scan.line.len() <= HeadScan::LINE_KEPT);
        }
    }

    #[test]
    fn framing_in_doubt_is_told() {
        let exchange = Exchange::new();
        assert!(exchange.begin(false), "no transfer encoding: no doubt");
        exchange.end();
        assert!(!exchange.begin(true), "a head that was not seen");
        exchange.end();
        exchange
            .state()
            .scan
            .feed(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(exchange.begin(true));
        exchange.end();
        exchange
            .state()
            .scan
            .feed(b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(!exchange.begin(true));
    }
}
