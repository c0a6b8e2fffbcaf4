//! `cairn storage-node`: disks of a cluster, and where it was told so, a voter on its metadata.
//!
//! ```text
//!   home ── none yet ──> found the cluster, or join it by a token
//!     └─> directories ─> storage node ──┐ shards      ┌──> others over QUIC
//!                  └──> metadata replica ┤ consensus ─┤
//!                       planners <───────┘ admission  └──> the cluster learns its disks and address
//! ```

mod founding;
mod registration;

use std::sync::Arc;
use std::time::Duration;

use cairn_metadata::planner::voters;
use cairn_metadata::raft::{RaftHost, RaftSettings};
use cairn_metadata::{Metadata, Planner};
use cairn_model::NodeId;
use cairn_rpc::MetadataService;
use cairn_rpc::quic::{Dispatcher, HeartbeatHandler, MetadataHandler, Role, Roles, ShardHandler};
use cairn_storage_node::{Rebuilder, StorageNode, upkeep};
use cairn_wire::frame::FrameType;
use cairn_world::real::{OsEntropy, RealClock};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::args::StorageNodeArgs;
use crate::identity::Directories;
use crate::member::home::{Home, State};
use crate::member::{
    ConsensusHandler, Door, GROUP, LateDiskLines, Member, RaftLines, Roster, World, join,
};
use crate::signals::Signals;
use crate::{Fatal, console, houses};

pub(crate) use founding::make_token;

/// How long a leader that stops waits for another to lead.
const HAND_OVER: Duration = Duration::from_secs(3);

/// Runs a node until it is told to stop.
pub(crate) async fn run(args: StorageNodeArgs) -> Result<(), Fatal> {
    let world = World {
        clock: Arc::new(RealClock::new()),
        entropy: Arc::new(OsEntropy),
    };
    let mut signals = Signals::listen()?;
    let home = tokio::select! {
        home = home(&args, &world) => home?,
        () = signals.until_stop(None) => return Ok(()),
    };
    let node = Node::open(&args, home, &world).await?;
    let (stop, stopped) = watch::channel(false);
    let tasks = node.work(&stopped);
    let served = tokio::select! {
        served = node.serve(&args, &world) => served,
        () = signals.until_stop(None) => Ok(()),
    };
    tracing::info!("stopping");
    node.close(stop, tasks, &world).await?;
    served
}

/// Its folder; made where there is none yet.
async fn home(args: &StorageNodeArgs, world: &World) -> Result<Home, Fatal> {
    let first = args.first()?;
    let address = args.advertised()?;
    let mut roles = vec![Role::StorageNode];
    if args.metadata || args.init {
        roles.push(Role::MetadataVoter);
    }
    let roles = Roles::of(&roles);
    if args.init && Home::open(first)?.is_none() {
        return founding::draw(first, roles, &args.zone, world);
    }
    let token = args.join.token();
    join(first, roles, &args.zone, &address, token.as_ref(), world).await
}

/// An open node.
struct Node {
    member: Arc<Member>,
    storage: Arc<StorageNode>,
    metadata: Option<Arc<Metadata>>,
    directories: Directories,
    address: String,
}

impl Node {
    async fn open(args: &StorageNodeArgs, home: Home, world: &World) -> Result<Self, Fatal> {
        let profile = home.profile.clone();
        let directories = Directories::of_member(&args.dirs, profile.cluster.0, profile.node)?;
        let storage = Arc::new(houses::storage_node(
            &directories,
            &args.store,
            &world.entropy,
        )?);
        let lines = RaftLines::default();
        let metadata = match profile.roles.has(Role::MetadataVoter) {
            true => Some(replica(&directories, &home, &lines, world).await?),
            false => None,
        };
        let roster = Arc::new(Roster::new(profile.node, home.members()?));
        let disks = LateDiskLines::default();
        let mut dispatcher = shards(&storage, &disks, world);
        if let Some(metadata) = &metadata {
            dispatcher = voter(dispatcher, metadata, &home, &roster, &lines)?;
        }
        dispatcher = heartbeats(dispatcher, profile.node, metadata.as_ref());
        let own = metadata.clone().map(|own| own as Arc<dyn MetadataService>);
        let member = Member::connect(home, args.listen, Some(dispatcher), own, roster, world)?;
        // Set once: the process has one pool.
        let _ = lines.0.set(Arc::clone(&member.pool));
        let _ = disks.0.set(member.disks(Some(Arc::clone(&storage))));
        Ok(Self {
            member: Arc::new(member),
            storage,
            metadata,
            directories,
            address: args.advertised()?,
        })
    }

    /// Starts what runs beside the calls of others.
    fn work(&self, stopped: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        let Some(metadata) = &self.metadata else {
            return Vec::new();
        };
        let disks = self.member.disks(Some(Arc::clone(&self.storage)));
        let planner = Planner::new(Arc::clone(metadata), Arc::new(disks));
        vec![
            tokio::spawn(planner.run(stopped.clone())),
            tokio::spawn(voters::keep(Arc::clone(metadata), stopped.clone())),
        ]
    }

    /// Serves until it is dropped.
    async fn serve(&self, args: &StorageNodeArgs, world: &World) -> Result<(), Fatal> {
        let keep = async {
            let register = async |members: &_| registration::register(self, members).await;
            let applied = || self.metadata.as_ref()?.members_applied();
            self.member.keep(applied, register).await;
            Ok(())
        };
        let start = async {
            if let Some(metadata) = &self.metadata {
                founding::found(self, metadata, args, world).await?;
            }
            let (node, address) = (self.member.node.0, self.member.address()?);
            console::line(format_args!(
                "cairn storage node {node:016x} is ready on {address} (UDP), known as {}",
                self.address
            ));
            Ok(())
        };
        let report = async {
            let status = || upkeep::status(&self.storage);
            let mine = async {
                if let Some(metadata) = &self.metadata {
                    let (node, clock) = (self.member.node, world.clock.as_ref());
                    houses::note_status(metadata, node, &self.storage, clock).await;
                }
            };
            tokio::join!(self.member.report(status), mine)
        };
        let metadata = self.member.metadata.as_ref();
        let upkeep = upkeep::keep(&self.storage, metadata, world.clock.as_ref());
        let beside = async {
            tokio::join!(report, upkeep);
            Ok(())
        };
        tokio::try_join!(keep, start, beside).map(drop)
    }

    /// Stops in reverse: another leads, no more calls, then the houses.
    async fn close(
        self,
        stop: watch::Sender<bool>,
        tasks: Vec<JoinHandle<()>>,
        world: &World,
    ) -> Result<(), Fatal> {
        stop.send_replace(true);
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "background work ended badly");
            }
        }
        if let Some(metadata) = &self.metadata {
            hand_over(metadata.host(), world).await;
        }
        self.member.leave().await;
        let host = self.metadata.as_ref().map(|metadata| metadata.host());
        houses::close(host, self.storage).await
    }
}

/// Opens the replica of the metadata on this node.
async fn replica(
    directories: &Directories,
    home: &Home,
    lines: &RaftLines,
    world: &World,
) -> Result<Arc<Metadata>, Fatal> {
    let mut settings = RaftSettings::new(directories.cluster, directories.node.0);
    settings.joining = home.state() == State::Joining;
    let entropy = Arc::clone(&world.entropy);
    let host =
        houses::raft_host(directories, settings, &world.clock, entropy, lines.clone()).await?;
    if home.state() == State::Member && !host.is_initialized() {
        return Err(Fatal::new(
            directories.first()?.display(),
            "its metadata is lost: it can be nobody's voter under this id any more. Remove the node from the cluster, empty the directory, and join again",
        ));
    }
    Ok(Arc::new(Metadata::new(host, Arc::clone(&world.clock))))
}

/// What every storage node serves.
fn shards(storage: &Arc<StorageNode>, disks: &LateDiskLines, world: &World) -> Dispatcher {
    let clock = || Arc::clone(&world.clock);
    let rebuilder = Rebuilder::new(Arc::clone(storage), Arc::new(disks.clone()), clock());
    let handler = ShardHandler::new(storage.clone(), storage.clone());
    let handler = handler.with_rebuild(Arc::new(rebuilder), clock());
    Dispatcher::default().with(FrameType::Storage, Arc::new(handler))
}

/// Every node says that it is there; a voter also remembers how the others' disks are.
fn heartbeats(
    dispatcher: Dispatcher,
    node: NodeId,
    metadata: Option<&Arc<Metadata>>,
) -> Dispatcher {
    let mut handler = HeartbeatHandler::new(node);
    if let Some(metadata) = metadata {
        handler = handler.reporting(Arc::clone(metadata) as _);
    }
    dispatcher.with(FrameType::Control, Arc::new(handler))
}

/// What a voter serves besides shards.
fn voter(
    dispatcher: Dispatcher,
    metadata: &Arc<Metadata>,
    home: &Home,
    roster: &Arc<Roster>,
    lines: &RaftLines,
) -> Result<Dispatcher, Fatal> {
    let service: Arc<dyn MetadataService> = Arc::clone(metadata) as _;
    let door = Door {
        authority: home.authority()?,
        metadata: Arc::clone(&service),
        roster: Arc::clone(roster),
        lines: lines.clone(),
    };
    Ok(dispatcher
        .with(
            FrameType::Consensus,
            Arc::new(ConsensusHandler(metadata.host().clone())),
        )
        .with(
            FrameType::Metadata,
            Arc::new(MetadataHandler::new(service, GROUP)),
        )
        .admitting(Arc::new(door)))
}

/// Lets somebody else lead, so that nobody waits for an election.
async fn hand_over(host: &RaftHost, world: &World) {
    let me = host.metrics().node_id;
    let heir = host
        .members()
        .voters
        .into_iter()
        .find(|member| member.id != me);
    let Some(heir) = heir.filter(|_| host.is_leader()) else {
        return;
    };
    if let Err(error) = host.hand_over(heir.id).await {
        tracing::warn!(%error, "the lead was not handed over");
        return;
    }
    let deadline = world.clock.monotonic() + HAND_OVER;
    while host.is_leader() && world.clock.monotonic() < deadline {
        world.clock.sleep(Duration::from_millis(10)).await;
    }
}
