//! What a process listens to besides its ports.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Fatal;
use crate::certificate::Certificate;

/// SIGTERM, SIGINT, SIGHUP.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Fatal> {
        let listen = |kind| signal(kind).map_err(|error| Fatal::new("signals", error));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Completes with SIGTERM or SIGINT; at SIGHUP the certificate is read again.
    pub(crate) async fn until_stop(&mut self, certificate: Option<&Certificate>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => reload(certificate).await,
            }
        }
    }
}

async fn reload(certificate: Option<&Certificate>) {
    let Some(certificate) = certificate.cloned() else {
        tracing::info!("SIGHUP: there is nothing to read again");
        return;
    };
    let reading = tokio::task::spawn_blocking(move || {
        certificate.reload().map(|()| certificate.tls.fingerprint())
    });
    match reading.await {
        Ok(Ok(sha256)) => {
            tracing::info!(sha256, "new connections get the certificate as it is now")
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "the certificate before it is still served");
        }
        Err(error) => tracing::error!(%error, "the certificate was not read"),
    }
}
