//! `Expect: 100-continue`: an answer that comes before any of the body was seen ends the connection.
//!
//! The client may or may not send the body that it announced: what it says next could be either.
//! RFC 9110 (10.1.1) has the server say so by `Connection: close`. Clients that go on nevertheless
//! are real: botocore to 1.29, as Debian and Ubuntu have it, would take the status of this answer
//! for that of its next request, and wait a minute for more.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http::header::EXPECT;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

/// Whether a request waits to be told to send its body.
pub(super) fn is_stated<B>(request: &Request<B>) -> bool {
    request.headers().contains_key(EXPECT)
}

/// Whether any of a body came. Until then, hyper may not have said `100 Continue`.
#[derive(Clone, Debug, Default)]
pub(super) struct Came(Arc<AtomicBool>);

impl Came {
    pub(super) fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A body that is watched.
#[derive(Debug)]
pub(super) struct Announced {
    body: Incoming,
    came: Came,
}

impl Announced {
    pub(super) fn new(body: Incoming, came: Came) -> Self {
        Self { body, came }
    }
}

impl http_body::Body for Announced {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(Some(Ok(_)))) {
            self.came.0.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
