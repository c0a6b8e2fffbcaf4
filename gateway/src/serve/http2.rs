//! HTTP/2: hyper's builder with every bound set, and patience for each stream.
//!
//! A connection's own patience does not help where one stream of many stands still: a client may
//! open no window for an answer and keep the connection busy with others. So each stream runs in a
//! task that gives up an answer which is taken slower than the lowest rate.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use cairn_model::limits;
use cairn_world::Clock;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;

use crate::tuning;

/// Names, values and 32 bytes for each header (RFC 9113, 6.5.2), and the pseudo-headers.
const HEADER_LIST_MAX: usize =
    limits::HEADERS_LEN_MAX + limits::URI_LEN_MAX + 32 * (limits::HEADERS_COUNT_MAX + 4);

/// hyper's builder, bounded.
pub(super) fn builder(streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .adaptive_window(false)
        .max_concurrent_streams(limits::STREAMS_PER_CONNECTION_MAX)
        .max_header_list_size(u32::try_from(HEADER_LIST_MAX).unwrap_or(u32::MAX))
        .initial_stream_window_size(tuning::STREAM_WINDOW)
        .initial_connection_window_size(tuning::CONNECTION_WINDOW)
        .max_send_buf_size(tuning::STREAM_SEND_LEN)
        .max_pending_accept_reset_streams(tuning::RESET_STREAMS_PENDING)
        .max_local_error_reset_streams(tuning::RESET_STREAMS_LOCAL)
        .keep_alive_interval(tuning::PING_EVERY)
        .keep_alive_timeout(tuning::PING_PATIENCE);
    builder
}

/// How fast the client takes one answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace(Arc<Mutex<Taken>>);

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    /// Since when the client is waited for; `None` while it waits for us.
    since: Option<Duration>,
    /// The last piece given to hyper, and the one before it, which may not be sent yet.
    given: [usize; 2],
}

impl Pace {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// hyper asks for more.
    pub(super) fn asked(&self) {
        self.taken().since = None;
    }

    /// hyper was given a piece, and asks again once the client has taken the one before.
    pub(super) fn gave(&self, length: usize, now: Duration) {
        let mut taken = self.taken();
        let [_, last] = taken.given;
        *taken = Taken {
            since: Some(now),
            given: [last, length],
        };
    }

    /// When the client will have been too slow.
    fn deadline(&self) -> Option<Duration> {
        let taken = *self.taken();
        let bytes: usize = taken.given.iter().sum();
        let patience = limits::BODY_RATE_WINDOW_SECS + bytes as u64 / limits::BODY_RATE_MIN;
        Some(taken.since? + Duration::from_secs(patience))
    }
}

/// Where hyper's streams run.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    clock: Arc<dyn Clock>,
    /// The pace of the stream that was just called: hyper hands over its future next.
    called: Arc<Mutex<Option<Pace>>>,
}

impl Streams {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            called: Arc::default(),
        }
    }

    /// A stream is called: its future comes next, in the same poll of the connection.
    pub(super) fn call(&self) -> Pace {
        let pace = Pace::default();
        let mut called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        *called = Some(pace.clone());
        pace
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        let guarded = Guarded {
            stream: Box::pin(stream),
            pace: called.take().unwrap_or_default(),
            clock: Arc::clone(&self.clock),
            waiting: None,
        };
        tokio::spawn(guarded);
    }
}

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A stream that is dropped, and thereby reset, when its client is too slow.
struct Guarded<F> {
    stream: Pin<Box<F>>,
    pace: Pace,
    clock: Arc<dyn Clock>,
    waiting: Option<(Duration, Sleep)>,
}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.stream.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let Some(deadline) = self.pace.deadline() else {
            self.waiting = None;
            return Poll::Pending;
        };
        if self.waiting.as_ref().is_none_or(|(of, _)| *of != deadline) {
            let left = deadline.saturating_sub(self.clock.monotonic());
            self.waiting = Some((deadline, self.clock.sleep(left)));
        }
        match &mut self.waiting {
            Some((_, sleep)) => sleep.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests;
