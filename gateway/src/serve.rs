//! The accept loop: sockets in, requests to [`Gateway::respond`], answers out.
//!
//! ```text
//!   socket ─┬─ plain port ─────────────────────────┬─ first bytes ─┬─ HTTP/1 ─┬─> request ─> respond
//!           └─ secure port ── TLS handshake, ALPN ─┘               └─ HTTP/2 ─┘
//! ```
//!
//! axum's own server sets neither a header timeout nor a buffer size, so hyper's is driven here. Each
//! socket is wrapped in a [`Connection`](connection::Connection) that limits what hyper does not.

mod connection;
mod expectation;
mod framing;
mod http2;
mod protocol;
mod request;

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cairn_model::limits;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::gateway::Gateway;
use crate::tls::Tls;
use crate::tuning;

/// hyper's buffer per connection and direction.
pub(crate) const BUFFER_LEN: usize = 128 << 10;

/// An open port.
#[derive(Clone, Debug)]
struct Port {
    gateway: Gateway,
    /// Of a port that speaks HTTPS.
    tls: Option<Arc<Tls>>,
    /// Places for connections, and for HTTP/2 requests on all of them.
    connections: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// When a client's mistake about the protocol was last logged.
    mistake: Arc<Mutex<Option<Duration>>>,
}

impl Gateway {
    /// Serves HTTP connections until `shutdown` completes; then takes no new ones, lets requests in
    /// progress end for a bounded time, and ends this gateway's sessions.
    ///
    /// # Errors
    /// None today: a failing accept is logged and tried again.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        self.serve_port(listener, None, shutdown).await
    }

    /// The same over TLS. What `tls` is given meanwhile is for connections that come after.
    ///
    /// # Errors
    /// As [`Gateway::serve`].
    pub async fn serve_tls(
        &self,
        listener: TcpListener,
        tls: Arc<Tls>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        self.serve_port(listener, Some(tls), shutdown).await
    }

    async fn serve_port(
        &self,
        listener: TcpListener,
        tls: Option<Arc<Tls>>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let port = Port {
            gateway: self.clone(),
            tls,
            connections: Arc::new(Semaphore::new(limits::CONNECTIONS_MAX)),
            streams: Arc::new(Semaphore::new(limits::STREAMS_MAX)),
            mistake: Arc::default(),
        };
        let (stop, stopping) = watch::channel(false);
        let keeper = tokio::spawn({
            let gateway = self.clone();
            async move { gateway.keep().await }
        });
        tokio::select! {
            () = port.accept(&listener, &stopping) => {}
            () = shutdown => {}
        }
        drop((listener, stopping));
        stop.send_replace(true);
        tokio::select! {
            // Each connection holds a receiver until it ends.
            () = stop.closed() => {}
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
}

impl Port {
    /// Accepts for ever, as many connections at once as the limit allows.
    async fn accept(&self, listener: &TcpListener, stopping: &watch::Receiver<bool>) {
        let inner = &self.gateway.inner;
        loop {
            let Ok(place) = Arc::clone(&self.connections).acquire_owned().await else {
                return;
            };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, or a connection that was gone already.
                    tracing::warn!(%error, "accept failed");
                    inner.clock.sleep(tuning::ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let open = inner.metrics.connections.hold();
            let connection = self.clone().connection(stream, stopping.clone());
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended");
                }
                drop((place, open));
            });
        }
    }

    async fn connection(
        self,
        stream: TcpStream,
        stopping: watch::Receiver<bool>,
    ) -> Result<(), protocol::Ended> {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        match self.tls.clone() {
            None => self.plain(stream, stopping).await,
            Some(tls) => self.secure(&tls, stream, stopping).await,
        }
    }

    /// Logs a client's mistake about what this port speaks; not each, lest clients fill the log.
    fn mistaken(&self, message: &'static str) {
        let now = self.gateway.inner.clock.monotonic();
        let mut last = self.mistake.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| now.saturating_sub(last) >= tuning::MISTAKE_LOG_EVERY) {
            *last = Some(now);
            tracing::warn!("{message}");
        }
    }
}

#[cfg(test)]
mod tests;
