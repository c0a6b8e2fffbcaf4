//! `cairn server`: the whole store in one process, put together from the same parts as a cluster.
//!
//! ```text
//!  directories ─> identity ─> disks ─> storage node ──┐ ShardService
//!                                 └──> metadata ──────┤ MetadataService ─> cluster row, root, bootstrap
//!                                         planner <───┤
//!                                         gateway <───┘ ─> listen until SIGTERM, drain, close in reverse
//! ```

mod cluster;
mod parts;
mod users;

use std::net::SocketAddr;
use std::sync::Arc;

use cairn_world::real::{OsEntropy, RealClock};
use cairn_world::{Clock, Entropy};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::args::ServerArgs;
use crate::bootstrap::Bootstrap;
use crate::credentials::{Credentials, Origin};
use crate::identity::Directories;
use crate::{Fatal, console};

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
    let gateway = parts.gateway(Arc::clone(&clock), Arc::clone(&entropy));
    let address = listener
        .local_addr()
        .map_err(|error| Fatal::new("listen", error))?;
    greet(address, root.as_ref());
    let listen = |kind| signal(kind).map_err(|error| Fatal::new("signals", error));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let shutdown = async {
        wait_for_signal(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping: no new requests, those at work are finished");
    };
    let served = gateway.serve(listener, shutdown).await;
    stop.send_replace(true);
    if let Err(error) = planner.await {
        tracing::error!(%error, "the planner ended badly");
    }
    drop(gateway);
    parts.close().await?;
    served.map_err(|error| Fatal::new("serve", error))
}

/// Completes with SIGTERM or SIGINT.
async fn wait_for_signal(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// What a newcomer pastes next. Generated credentials are shown this once.
fn greet(address: SocketAddr, root: Option<&(Credentials, Origin)>) {
    let endpoint = format!("http://{address}");
    console::line(format_args!("cairn is ready on {endpoint}"));
    match root {
        None => console::line("root credentials: those the environment gave at an earlier start"),
        Some((_, Origin::Environment)) => console::line("root credentials: from the environment"),
        Some((_, Origin::File)) => {
            console::line(
                "root credentials: as printed at the first start (kept in the first directory)",
            );
        }
        Some((
            Credentials {
                access_key,
                secret_key,
            },
            Origin::Generated,
        )) => {
            console::line(format_args!(
                "\nroot credentials, generated and shown this once:\n\
                 \n  export AWS_ACCESS_KEY_ID={access_key} AWS_SECRET_ACCESS_KEY={secret_key} AWS_DEFAULT_REGION=us-east-1\n\
                 \n  aws --endpoint-url {endpoint} s3 mb s3://first && aws --endpoint-url {endpoint} s3 cp README.md s3://first/\
                 \n  curl --aws-sigv4 aws:amz:us-east-1:s3 --user $AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY {endpoint}/first/README.md\
                 \n  echo $AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY > ~/.passwd-s3fs && chmod 600 ~/.passwd-s3fs && s3fs first /mnt -o url={endpoint},use_path_request_style\n"
            ));
        }
    }
}
