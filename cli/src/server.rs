//! `cairn server`: the whole store in one process, put together from the same parts as a cluster.
//!
//! ```text
//!  directories ─> identity ─> disks ─> storage node ──┐ ShardService
//!                                 └──> metadata ──────┤ MetadataService ─> cluster row, root, bootstrap
//!                                         planner <───┤
//!                                         gateway <───┘ ─> listen until SIGTERM, drain, close in reverse
//! ```

mod cluster;
mod greeting;
mod parts;
mod users;

use std::net::SocketAddr;
use std::sync::Arc;

use cairn_world::real::{OsEntropy, RealClock};
use cairn_world::{Clock, Entropy};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::Fatal;
use crate::args::ServerArgs;
use crate::bootstrap::Bootstrap;
use crate::certificate::{self, Certificate};
use crate::credentials::Credentials;
use crate::identity::Directories;

/// Runs a server until it is told to stop.
pub(crate) fn run(args: ServerArgs) -> Result<(), Fatal> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("cairn")
        .build()
        .map_err(|error| Fatal::new("runtime", error))?;
    runtime.block_on(serve(args))
}

async fn serve(args: ServerArgs) -> Result<(), Fatal> {
    let bootstrap = args.bootstrap.as_deref().map(Bootstrap::read).transpose()?;
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    // Before anything is made: a port that is taken is the commonest mistake.
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| Fatal::new(format!("cannot listen on {}", args.listen), error))?;
    let directories = Directories::open(&args.dirs, entropy.as_ref())?;
    let certificate = certificate(&args, &listener, &directories, clock.as_ref())?;
    let parts = parts::open(&directories, Arc::clone(&clock), Arc::clone(&entropy)).await?;
    let disks = parts.disks();
    cluster::ensure(parts.metadata.as_ref(), &directories, &disks, args.coding).await?;
    let has_root = users::has_root(parts.metadata.as_ref()).await?;
    let root = Credentials::find(directories.first()?, has_root, entropy.as_ref())?;
    if let Some((root, _)) = &root {
        users::ensure_root(parts.metadata.as_ref(), root).await?;
    }
    if let Some(bootstrap) = &bootstrap {
        users::apply_bootstrap(parts.metadata.as_ref(), bootstrap).await?;
    }

    let (stop, stopped) = watch::channel(false);
    let planner = parts.planner();
    let planner = tokio::spawn(planner.run(stopped.clone()));
    let gateway = parts.gateway(
        args.domains.clone(),
        Arc::clone(&clock),
        Arc::clone(&entropy),
    );
    let address = address(&listener)?;
    let mut signals = Signals::listen()?;
    greeting::show(address, &args.domains, certificate.as_ref(), root.as_ref());
    let shutdown = async {
        signals.until_stop(certificate.as_ref()).await;
        tracing::info!("stopping: no new requests, those at work are finished");
    };
    let tls = certificate.as_ref().map(|kept| Arc::clone(&kept.tls));
    let served = match tls {
        Some(tls) => gateway.serve_tls(listener, tls, shutdown).await,
        None => gateway.serve(listener, shutdown).await,
    };
    stop.send_replace(true);
    if let Err(error) = planner.await {
        tracing::error!(%error, "the planner ended badly");
    }
    drop(gateway);
    parts.close().await?;
    served.map_err(|error| Fatal::new("serve", error))
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Fatal> {
    let address = listener.local_addr();
    address.map_err(|error| Fatal::new("listen", error))
}

/// The certificate that was asked for; `None`: plain HTTP.
fn certificate(
    args: &ServerArgs,
    listener: &TcpListener,
    directories: &Directories,
    clock: &dyn Clock,
) -> Result<Option<Certificate>, Fatal> {
    match (&args.tls_cert, &args.tls_key) {
        (Some(chain), Some(key)) => Certificate::read(chain, key).map(Some),
        _ if args.tls_self_signed => {
            let names = certificate::names(address(listener)?, &args.domains);
            Certificate::self_signed(directories.first()?, &names, clock.wall()).map(Some)
        }
        _ => Ok(None),
    }
}

/// What the process listens to besides its port.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Fatal> {
        let listen = |kind| signal(kind).map_err(|error| Fatal::new("signals", error));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Completes with SIGTERM or SIGINT; at SIGHUP the certificate is read again.
    async fn until_stop(&mut self, certificate: Option<&Certificate>) {
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
