//! `cairn gateway`: S3 and the chunk API on a cluster's metadata and disks. It keeps nothing but who it
//! is.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use cairn_gateway::{Gateway, Settings};
use cairn_rpc::quic::{Role, Roles};
use cairn_world::real::{OsEntropy, RealClock};
use tokio::net::TcpListener;

use crate::args::GatewayArgs;
use crate::certificate;
use crate::member::{Member, Roster, World, join};
use crate::signals::Signals;
use crate::{Fatal, console};

/// Runs a gateway until it is told to stop.
pub(crate) async fn run(args: GatewayArgs) -> Result<(), Fatal> {
    let world = World {
        clock: Arc::new(RealClock::new()),
        entropy: Arc::new(OsEntropy),
    };
    let mut signals = Signals::listen()?;
    // Before anything is asked: a port that is taken is the commonest mistake.
    let listen = args.serve.listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Fatal::new(format!("cannot listen on {listen}"), error))?;
    let roles = Roles::of(&[Role::Gateway]);
    let token = args.join.token();
    let home = tokio::select! {
        home = join(&args.dir, roles, &args.zone, "", token.as_ref(), &world) => home?,
        () = signals.until_stop(None) => return Ok(()),
    };
    let certificate = certificate::asked(&args.serve, &listener, &args.dir, world.clock.as_ref())?;
    let roster = Arc::new(Roster::new(home.profile.node, home.members()?));
    let anywhere: SocketAddr = (Ipv4Addr::UNSPECIFIED, 0).into();
    let member = Member::connect(home, anywhere, None, None, roster, &world)?;
    let gateway = open(&args, &member, &world);
    let address = listener.local_addr();
    let address = address.map_err(|error| Fatal::new("listen", error))?;
    let scheme = if certificate.is_some() {
        "https"
    } else {
        "http"
    };
    console::line(format_args!("cairn gateway is on {scheme}://{address}"));
    let shutdown = async {
        signals.until_stop(certificate.as_ref()).await;
        tracing::info!("stopping: no new requests, those at work are finished");
    };
    let served = async {
        match certificate.as_ref().map(|kept| Arc::clone(&kept.tls)) {
            Some(tls) => gateway.serve_tls(listener, tls, shutdown).await,
            None => gateway.serve(listener, shutdown).await,
        }
    };
    let served = tokio::select! {
        served = served => served,
        () = member.keep(|| None, async |_| ()) => Ok(()),
    };
    member.leave().await;
    served.map_err(|error| Fatal::new("serve", error))
}

fn open(args: &GatewayArgs, member: &Member, world: &World) -> Gateway {
    let disks = member.disks(None);
    let settings = Settings {
        domains: args.serve.domains.clone(),
        name: format!("gateway-{:016x}", member.node.0),
        ..Settings::default()
    };
    Gateway::new(
        settings,
        Arc::clone(&world.clock),
        Arc::clone(&world.entropy),
        Arc::clone(&member.metadata),
        Arc::new(disks),
    )
}
