//! `cairn server`: the whole store in one process, put together from the same parts as a cluster.
//!
//! ```text
//!  directories ─> identity ─> disks ─> storage node ──┐ ShardService
//!                                 └──> metadata ──────┤ MetadataService ─> cluster row, root, bootstrap
//!                                         planner <───┤
//!                                         gateway <───┘ ─> listen until SIGTERM, drain, close in reverse
//! ```

pub(crate) mod cluster;
mod greeting;
mod parts;

use std::net::SocketAddr;
use std::sync::Arc;

use cairn_world::real::{OsEntropy, RealClock};
use cairn_world::{Clock, Entropy};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::Fatal;
use crate::args::ServerArgs;
use crate::bootstrap::Bootstrap;
use crate::certificate;
use crate::credentials::Credentials;
use crate::identity::Directories;
use crate::signals::Signals;
use crate::users;

/// Runs a server until it is told to stop.
pub(crate) async fn run(args: ServerArgs) -> Result<(), Fatal> {
    let bootstrap = args.bootstrap.as_deref().map(Bootstrap::read).transpose()?;
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    // Before anything is made: a port that is taken is the commonest mistake.
    let listener = TcpListener::bind(args.serve.listen)
        .await
        .map_err(|error| Fatal::new(format!("cannot listen on {}", args.serve.listen), error))?;
    let directories = Directories::open(&args.dirs, entropy.as_ref())?;
    let dir = directories.first()?;
    let certificate = certificate::asked(&args.serve, &listener, dir, clock.as_ref())?;
    let parts = parts::open(
        &directories,
        &args.store,
        Arc::clone(&clock),
        Arc::clone(&entropy),
    )
    .await?;
    let disks = parts.disks();
    cluster::ensure(parts.metadata.as_ref(), &directories, &disks, args.coding).await?;
    directories.note_founded()?;
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
        args.serve.domains.clone(),
        Arc::clone(&clock),
        Arc::clone(&entropy),
    );
    let address = address(&listener)?;
    let mut signals = Signals::listen()?;
    greeting::show(
        address,
        &args.serve.domains,
        certificate.as_ref(),
        root.as_ref(),
    );
    let shutdown = async {
        signals.until_stop(certificate.as_ref()).await;
        tracing::info!("stopping: no new requests, those at work are finished");
    };
    let tls = certificate.as_ref().map(|kept| Arc::clone(&kept.tls));
    let served = async {
        match tls {
            Some(tls) => gateway.serve_tls(listener, tls, shutdown).await,
            None => gateway.serve(listener, shutdown).await,
        }
    };
    let served = tokio::select! {
        served = served => served,
        () = parts.keep() => Ok(()),
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
