//! One request of a connection, from its head to the last byte of its answer.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use cairn_s3::{Code, S3Error};
use cairn_world::Clock;
use http::header::{CONNECTION, HeaderValue};
use http::{Method, Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Exchange;
use super::expectation::{self, Announced, Came};
use super::http2::Pace;
use crate::gateway::Gateway;
use crate::{app, tuning};

/// How the client reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Plain,
    Secure,
    /// Plain HTTP on the port of HTTPS.
    Mistaken,
}

/// What the requests of one connection share.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) gateway: Gateway,
    pub(super) exchange: Exchange,
    pub(super) port: Port,
    /// Places for HTTP/2 requests, of all connections.
    pub(super) places: Arc<Semaphore>,
}

impl Line {
    /// A request over HTTP/1.
    pub(super) async fn answer(self, request: Request<Incoming>) -> Response<Answer> {
        let doubt = self.exchange.begin();
        let ending = Ending(self.exchange.clone());
        let response = match doubt {
            Some(doubt) => self.close(&request, doubt.message()),
            None if is_no_path(&request) => {
                self.close(&request, "The request target must be a path.")
            }
            None if self.port == Port::Mistaken => {
                let message = "This port speaks HTTPS, and the request came over plain HTTP.";
                self.close(&request, message)
            }
            None => self.respond_in_turn(request).await,
        };
        response.map(|body| Answer {
            body,
            _ending: ending,
            stream: None,
        })
    }

    /// A request over HTTP/2.
    pub(super) async fn answer_stream(
        self,
        request: Request<Incoming>,
        pace: Pace,
    ) -> Response<Answer> {
        self.exchange.begin();
        let ending = Ending(self.exchange.clone());
        let place = Arc::clone(&self.places).try_acquire_owned();
        let (response, place) = match place {
            Ok(place) => (self.respond(request).await, Some(Arc::new(place))),
            Err(_) => {
                let refused = S3Error::new(Code::SlowDown);
                (app::refuse(&self.gateway.inner, &request, &refused), None)
            }
        };
        let stream = Stream {
            pace,
            clock: Arc::clone(&self.gateway.inner.clock),
            place,
            rest: Bytes::new(),
        };
        response.map(|body| Answer {
            body,
            _ending: ending,
            stream: Some(stream),
        })
    }

    /// Answers a request that others may follow on its connection.
    async fn respond_in_turn(&self, request: Request<Incoming>) -> Response<Body> {
        if !expectation::is_stated(&request) {
            return self.respond(request).await;
        }
        let came = Came::default();
        let request = request.map(|body| Announced::new(body, came.clone()));
        let response = self.respond(request).await;
        if came.any() {
            response
        } else {
            closing(response)
        }
    }

    async fn respond<B>(&self, mut request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if self.port == Port::Secure {
            request.extensions_mut().insert(app::Secure);
        }
        self.gateway.respond(request).await
    }

    /// Refuses a request after which the connection cannot go on.
    fn close(&self, request: &Request<Incoming>, message: &'static str) -> Response<Body> {
        let refused = S3Error::because(Code::BadRequest, message);
        closing(app::refuse(&self.gateway.inner, request, &refused))
    }
}

/// The last answer on its connection.
fn closing(mut response: Response<Body>) -> Response<Body> {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// Something else in the place of a path, as CONNECT has it: nothing is connected here.
fn is_no_path<B>(request: &Request<B>) -> bool {
    let path = request.uri().path();
    let is_star = request.method() == Method::OPTIONS && path == "*";
    !path.starts_with('/') && !is_star
}

/// Tells the connection that an answer has been sent, or given up.
#[derive(Debug)]
struct Ending(Exchange);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The body of an answer, with the end of its exchange.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    _ending: Ending,
    stream: Option<Stream>,
}

/// What an answer over HTTP/2 needs besides.
#[derive(Debug)]
struct Stream {
    pace: Pace,
    clock: Arc<dyn Clock>,
    place: Option<Arc<OwnedSemaphorePermit>>,
    /// What is left of the body's last frame.
    rest: Bytes,
}

impl Stream {
    /// The next piece of the rest. It holds the request's place until it is sent.
    fn piece(&mut self) -> Bytes {
        let length = self.rest.len().min(tuning::STREAM_PIECE_LEN);
        let bytes = self.rest.split_to(length);
        self.pace.gave(length, self.clock.monotonic());
        Bytes::from_owner(Piece {
            bytes,
            _place: self.place.clone(),
        })
    }
}

/// Bytes on their way, and the place they take up.
struct Piece {
    bytes: Bytes,
    _place: Option<Arc<OwnedSemaphorePermit>>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(stream) = &mut this.stream else {
            return pin!(&mut this.body).poll_frame(context);
        };
        stream.pace.asked();
        if stream.rest.is_empty() {
            let frame = match ready!(pin!(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            match frame.into_data() {
                Ok(data) => stream.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(stream.piece()))))
    }

    fn is_end_stream(&self) -> bool {
        let rest = self.stream.as_ref().map(|stream| stream.rest.as_ref());
        rest.is_none_or(<[u8]>::is_empty) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.stream.as_ref().map_or(0, |stream| stream.rest.len()) as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}
