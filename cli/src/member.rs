//! A process as a member of a cluster: who it is, whom it knows, and how it calls them.
//!
//! ```text
//!   home (its folder) ─> identity ─> endpoint ─> pool ─┬─> MetadataGroup over the voters
//!                                       ^              ├─> disks of other nodes
//!     roster: admits ───────────────────┘              └─> Raft, where it votes
//!        ^─ learns the members from the metadata every second, writes them down for the next start
//! ```

mod door;
pub(crate) mod home;
mod joining;
mod lines;
mod roster;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cairn_model::NodeId;
use cairn_rpc::quic::{Dispatcher, Endpoint, Party, Pool, Versions};
use cairn_rpc::{MetadataError, MetadataGroup, MetadataService};
use cairn_storage_node::StorageNode;
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{DiskStatus, GetMembers, MembersAnswer, Query};
use cairn_world::{Clock, Entropy};

use crate::Fatal;
use home::Home;

pub(crate) use door::{Door, digest};
pub(crate) use joining::{TokenSource, join};
pub(crate) use lines::{
    ConsensusHandler, DiskLines, GROUP, LateDiskLines, RaftLines, ReplicaLines,
};
pub(crate) use roster::Roster;

/// How often a node tells the voters how its disks are, and how long one has to hear it.
const REPORT_EVERY: Duration = Duration::from_secs(2);
const REPORT_PATIENCE: Duration = Duration::from_millis(1_500);
/// How often the members are asked for.
const LEARN_EVERY: Duration = Duration::from_secs(1);

/// The members as the metadata knows them.
pub(crate) async fn members_of(
    metadata: &dyn MetadataService,
) -> Result<MembersAnswer, MetadataError> {
    let query = Query {
        query: Some(Asked::GetMembers(GetMembers {})),
    };
    match metadata.query(query).await?.answer {
        Some(Kind::Members(members)) => Ok(members),
        _ => Err(MetadataError::Refused("another answer than asked")),
    }
}

/// A member on the network.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) node: NodeId,
    pub(crate) home: Mutex<Home>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) metadata: Arc<dyn MetadataService>,
    endpoint: Arc<Endpoint>,
    clock: Arc<dyn Clock>,
}

/// The seams of a process to the outside.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Member {
    /// Goes on the network at `listen`, serving what `dispatcher` says; without one it only calls. `own` is the replica of the metadata in this process.
    pub(crate) fn connect(
        home: Home,
        listen: SocketAddr,
        dispatcher: Option<Dispatcher>,
        own: Option<Arc<dyn MetadataService>>,
        roster: Arc<Roster>,
        world: &World,
    ) -> Result<Self, Fatal> {
        let node = home.profile.node;
        let party = Party {
            identity: home.identity()?,
            members: Arc::clone(&roster) as _,
            versions: Versions::HERE,
            clock: Arc::clone(&world.clock),
            entropy: Arc::clone(&world.entropy),
        };
        let endpoint = Endpoint::bind(listen, party, dispatcher)
            .map_err(|error| Fatal::new(format!("cannot listen on {listen} (UDP)"), error))?;
        let endpoint = Arc::new(endpoint);
        let pool = Arc::new(Pool::new(Arc::clone(&endpoint), Arc::clone(&world.clock)));
        pool.learn(&roster.addresses());
        let replicas = ReplicaLines {
            me: roster.me(),
            roster: Arc::clone(&roster),
            pool: Arc::clone(&pool),
            own,
        };
        Ok(Self {
            node,
            home: Mutex::new(home),
            roster,
            pool,
            metadata: Arc::new(MetadataGroup::new(Arc::new(replicas))),
            endpoint,
            clock: Arc::clone(&world.clock),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Result<SocketAddr, Fatal> {
        let address = self.endpoint.local_addr();
        address.map_err(|error| Fatal::new("listen", error))
    }

    /// Its folder.
    pub(crate) fn home<T>(&self, with: impl FnOnce(&mut Home) -> T) -> T {
        with(&mut self.home.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Watches who answers and learns who belongs, for as long as it is polled. `then` runs after
    /// every time the members were heard. Where nobody leads, `applied` says what is known here: voters
    /// must know each other before they can elect anybody.
    pub(crate) async fn keep(
        &self,
        applied: impl Fn() -> Option<MembersAnswer>,
        then: impl AsyncFn(&MembersAnswer),
    ) {
        tokio::join!(self.pool.watch(), self.learn(applied, then));
    }

    async fn learn(
        &self,
        applied: impl Fn() -> Option<MembersAnswer>,
        then: impl AsyncFn(&MembersAnswer),
    ) {
        loop {
            match members_of(self.metadata.as_ref()).await {
                Ok(members) => {
                    self.take(&members);
                    then(&members).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "the members could not be read");
                    if let Some(members) = applied() {
                        self.take(&members);
                    }
                }
            }
            self.clock.sleep(LEARN_EVERY).await;
        }
    }

    /// Takes in who belongs to the cluster. An answer from before it was founded says nothing.
    pub(crate) fn take(&self, members: &MembersAnswer) {
        if members.nodes.is_empty() {
            return;
        }
        if self.roster.learn(members.clone())
            && let Err(error) = self.home(|home| home.keep_members(members))
        {
            tracing::error!(%error, "the members could not be written down");
        }
        // Also where the roster knew it already: somebody was just admitted here.
        self.pool.learn(&self.roster.addresses());
    }

    /// The ways to the cluster's disks; `own` are those of this process.
    pub(crate) fn disks(&self, own: Option<Arc<StorageNode>>) -> DiskLines {
        DiskLines {
            me: self.node,
            roster: Arc::clone(&self.roster),
            pool: Arc::clone(&self.pool),
            own,
            clock: Arc::clone(&self.clock),
        }
    }

    /// Tells the voters how the disks of this node are, for as long as it is polled.
    pub(crate) async fn report(&self, status: impl Fn() -> Vec<DiskStatus>) {
        let mut number = 0;
        loop {
            number += 1;
            let others = self.roster.voters().into_iter();
            for lines in others.filter_map(|voter| self.pool.lines(voter)) {
                let disks = status();
                tokio::spawn(async move {
                    let told = lines.commands.report(number, disks, REPORT_PATIENCE).await;
                    if let Err(error) = told {
                        tracing::debug!(%error, "a voter does not hear how the disks are");
                    }
                });
            }
            self.clock.sleep(REPORT_EVERY).await;
        }
    }

    /// Says goodbye.
    pub(crate) async fn leave(&self) {
        self.endpoint.close().await;
    }
}
