//! From an accepted socket to hyper: what does the client speak?

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use cairn_model::limits;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::connection::{Connection, Exchange, Spoken, TLS_HANDSHAKE};
use super::http2::{self, Streams};
use super::request::{self, Line};
use super::{BUFFER_LEN, Port};

/// A whole head: hyper counts the request line too, and what separates the headers.
const HEAD_LEN_MAX: usize =
    limits::HEADERS_LEN_MAX + limits::URI_LEN_MAX + 4 * (limits::HEADERS_COUNT_MAX + 1) + 64;

/// Why a connection ended otherwise than by agreement.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the socket: {0}")]
    Socket(#[from] io::Error),
    #[error("TLS: {0}")]
    Handshake(io::Error),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("{0} was not done in time")]
    Slow(&'static str),
}

/// The word of the end of the process. Held until the connection is over.
type Stopping = watch::Receiver<bool>;

/// Waits for `work`, unless the process is to stop: nothing was asked for yet, so nothing is lost.
async fn unless_stopping<T>(stopping: &mut Stopping, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        _ = stopping.wait_for(|stop| *stop) => None,
    }
}

impl Port {
    /// A socket of the plain port.
    pub(super) async fn plain(self, stream: TcpStream, stopping: Stopping) -> Result<(), Ended> {
        self.speak(stream, request::Port::Plain, None, stopping)
            .await
    }

    /// A socket of the secure port.
    pub(super) async fn secure(
        self,
        tls: &crate::tls::Tls,
        stream: TcpStream,
        mut stopping: Stopping,
    ) -> Result<(), Ended> {
        let first = unless_stopping(&mut stopping, self.first_byte(&stream)).await;
        match first.transpose()?.flatten() {
            None => return Ok(()),
            Some(TLS_HANDSHAKE) => {}
            Some(_) => {
                self.mistaken("a client spoke plain HTTP to this port, which speaks HTTPS");
                let (port, agreed) = (request::Port::Mistaken, Some(Spoken::Http1));
                return self.speak(stream, port, agreed, stopping).await;
            }
        }
        let patience = Duration::from_secs(limits::TLS_HANDSHAKE_TIMEOUT_SECS);
        let handshake = self.within(patience, "the TLS handshake", tls.accept(stream));
        let Some(secured) = unless_stopping(&mut stopping, handshake).await else {
            return Ok(());
        };
        let secured = secured?.map_err(Ended::Handshake)?;
        let agreed = secured.is_h2.then_some(Spoken::Http2);
        self.speak(secured.stream, request::Port::Secure, agreed, stopping)
            .await
    }

    /// The first byte, which stays to be read; `None` where the client left without a word.
    async fn first_byte(&self, stream: &TcpStream) -> Result<Option<u8>, Ended> {
        let mut first = [0];
        let patience = Duration::from_secs(limits::IDLE_TIMEOUT_SECS);
        let peeked = self.within(patience, "a first byte", stream.peek(&mut first));
        let length = peeked.await??;
        Ok(first.first().copied().filter(|_| length > 0))
    }

    async fn within<T>(
        &self,
        patience: Duration,
        what: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T, Ended> {
        tokio::select! {
            done = work => Ok(done),
            () = self.gateway.inner.clock.sleep(patience) => Err(Ended::Slow(what)),
        }
    }

    /// Speaks HTTP with the client: what was agreed on, or what its first bytes are of.
    async fn speak<S>(
        self,
        socket: S,
        port: request::Port,
        agreed: Option<Spoken>,
        mut stopping: Stopping,
    ) -> Result<(), Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let exchange = Exchange::new(Arc::clone(&self.gateway.inner.clock));
        let mut socket = Connection::new(socket, exchange.clone());
        let spoken = match agreed {
            Some(agreed) => Some(agreed),
            None => unless_stopping(&mut stopping, socket.sniff())
                .await
                .transpose()?,
        };
        let line = Line {
            gateway: self.gateway.clone(),
            exchange,
            port,
            places: Arc::clone(&self.streams),
        };
        match spoken {
            None | Some(Spoken::Nothing) => Ok(()),
            Some(Spoken::Tls) => {
                self.mistaken("a client spoke TLS to this port, which speaks plain HTTP");
                Ok(())
            }
            Some(Spoken::Http1) => http1(socket, line, stopping).await,
            Some(Spoken::Http2) => http2(socket, line, stopping).await,
        }
    }
}

async fn http1<S>(socket: Connection<S>, line: Line, stopping: Stopping) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    line.exchange.http1();
    let service = service_fn(move |request| {
        let answer = line.clone().answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // The socket's own phases tell a slow head from an idle connection.
        .header_read_timeout(None::<Duration>)
        .max_buf_size(BUFFER_LEN)
        .max_header_size(HEAD_LEN_MAX)
        .max_headers(limits::HEADERS_COUNT_MAX)
        .serve_connection(TokioIo::new(socket), service);
    drive(connection, stopping, std::future::pending()).await
}

async fn http2<S>(socket: Connection<S>, line: Line, stopping: Stopping) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let exchange = line.exchange.clone();
    exchange.http2();
    let streams = Streams::new(Arc::clone(&line.gateway.inner.clock));
    let called = streams.clone();
    let service = service_fn(move |request| {
        let answer = line.clone().answer_stream(request, called.call());
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http2::builder(streams).serve_connection(TokioIo::new(socket), service);
    drive(connection, stopping, exchange.idle()).await
}

/// A connection of hyper's.
trait Drain: Future<Output = hyper::Result<()>> {
    /// Takes no more requests and ends after those at work.
    fn drain(self: Pin<&mut Self>);
}

impl<I, S> Drain for http1::Connection<I, S>
where
    Self: Future<Output = hyper::Result<()>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<hyper::body::Incoming>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::ResBody: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    fn drain(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, E> Drain for hyper::server::conn::http2::Connection<I, S, E>
where
    Self: Future<Output = hyper::Result<()>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<hyper::body::Incoming>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::ResBody: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, S::ResBody>,
{
    fn drain(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Runs a connection to its end; drains it when the process is to stop, or when it is `idle`.
async fn drive(
    connection: impl Drain,
    mut stopping: Stopping,
    idle: impl Future<Output = ()>,
) -> Result<(), Ended> {
    let mut connection = pin!(connection);
    tokio::select! {
        ended = &mut connection => return Ok(ended?),
        _ = stopping.wait_for(|stop| *stop) => {}
        () = idle => {}
    }
    connection.as_mut().drain();
    Ok(connection.await?)
}
