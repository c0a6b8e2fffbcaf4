//! The accept loop: sockets in, requests to [`Gateway::respond`], answers out.
//!
//! axum's own server sets neither a header timeout nor a buffer size, so hyper's is driven here. Each
//! socket is wrapped in a [`Connection`](connection::Connection) that limits what hyper does not.

mod connection;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use cairn_model::limits;
use cairn_s3::{Code, S3Error};
use http::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use self::connection::{Connection, Exchange};
use crate::gateway::Gateway;
use crate::{app, tuning};

/// hyper's buffer per connection and direction.
pub(crate) const BUFFER_LEN: usize = 128 << 10;

impl Gateway {
    /// Serves connections until `shutdown` completes; then takes no new ones, lets requests in
    /// progress end for a bounded time, and ends this gateway's sessions.
    ///
    /// # Errors
    /// None today: a failing accept is logged and tried again.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let graceful = GracefulShutdown::new();
        let keeper = tokio::spawn({
            let gateway = self.clone();
            async move { gateway.keep().await }
        });
        tokio::select! {
            () = self.accept(&listener, &graceful) => {}
            () = shutdown => {}
        }
        drop(listener);
        tokio::select! {
            () = graceful.shutdown() => {}
            () = self.inner.clock.sleep(tuning::DRAIN) => {
                tracing::warn!("connections were still open at the end of the drain");
            }
        }
        tokio::select! {
            () = self.close() => {}
            () = self.inner.clock.sleep(tuning::DRAIN) => {
                tracing::warn!("sessions were still in use at the end; they will expire");
            }
        }
        keeper.abort();
        Ok(())
    }

    /// Accepts for ever, as many connections at once as the limit allows.
    async fn accept(&self, listener: &TcpListener, graceful: &GracefulShutdown) {
        let places = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, or a connection that was gone already.
                    tracing::warn!(%error, "accept failed");
                    self.inner.clock.sleep(tuning::ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let open = self.inner.metrics.connections.hold();
            let connection = graceful.watch(self.connection(stream));
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended");
                }
                drop((place, open));
            });
        }
    }

    fn connection(
        &self,
        stream: TcpStream,
    ) -> http1::Connection<
        TokioIo<Connection<TcpStream>>,
        impl hyper::service::Service<
            Request<Incoming>,
            Response = Response<Answer>,
            Error = Infallible,
            Future: Send,
        > + use<>,
    > {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let exchange = Exchange::new();
        let socket = Connection::new(stream, exchange.clone(), Arc::clone(&self.inner.clock));
        let gateway = self.clone();
        let service = service_fn(move |request| {
            let (gateway, exchange) = (gateway.clone(), exchange.clone());
            async move { Ok::<_, Infallible>(gateway.exchange(exchange, request).await) }
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            // The socket's own phases tell a slow head from an idle connection.
            .header_read_timeout(None::<Duration>)
            .max_buf_size(BUFFER_LEN)
            .max_headers(limits::HEADERS_COUNT_MAX)
            .serve_connection(TokioIo::new(socket), service)
    }

    /// One request of a connection.
    async fn exchange(&self, exchange: Exchange, request: Request<Incoming>) -> Response<Answer> {
        let framed = exchange.begin(request.headers().contains_key(TRANSFER_ENCODING));
        let ending = Ending(exchange);
        let response = if framed {
            self.respond(request).await
        } else {
            self.doubtful_framing(&request)
        };
        response.map(|body| Answer {
            body,
            _ending: ending,
        })
    }

    /// Two lengths for one body: whoever reads the other one sees another request in it.
    fn doubtful_framing(&self, request: &Request<Incoming>) -> Response<Body> {
        let message = "Content-Length and Transfer-Encoding must not be given together.";
        let refused = S3Error::because(Code::BadRequest, message);
        let mut response = app::refuse(&self.inner, request, &refused);
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
        response
    }
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
struct Answer {
    body: Body,
    _ending: Ending,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        pin!(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
