//! A cluster of endpoints on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use cairn_model::NodeId;
use cairn_world::real::{OsEntropy, RealClock};

use super::super::*;

/// Long enough for a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(20);
pub(crate) const SERVER: NodeId = NodeId(0x5e);
pub(crate) const CALLER: NodeId = NodeId(0xca);

/// A cluster's authority and its members.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) ca: ClusterCa,
    pub(crate) id: ClusterId,
    pub(crate) members: Arc<PinnedMembers>,
}

impl Cluster {
    pub(crate) fn new(id: u8) -> Self {
        let id = ClusterId([id; 16]);
        Self {
            ca: ClusterCa::new(id, NodeKey::draw(&OsEntropy).unwrap()).unwrap(),
            id,
            members: Arc::default(),
        }
    }

    /// An identity of a member.
    pub(crate) fn identity(&self, node: NodeId, roles: &[Role]) -> Identity {
        let key = NodeKey::draw(&OsEntropy).unwrap();
        self.members.pin(node, key.public(), Roles::of(roles));
        self.identity_of(node, roles, &key)
    }

    pub(crate) fn identity_of(&self, node: NodeId, roles: &[Role], key: &NodeKey) -> Identity {
        let issued = self.ca.issue(node, key.public(), Roles::of(roles)).unwrap();
        Identity::new(&issued, key, self.ca.certificate()).unwrap()
    }

    pub(crate) fn party(&self, identity: Identity) -> Party {
        Party {
            identity,
            members: self.members.clone(),
            versions: Versions::HERE,
            clock: Arc::new(RealClock::new()),
            entropy: Arc::new(OsEntropy),
        }
    }

    /// A server of all roles, and where it is.
    pub(crate) fn server(&self, dispatcher: Dispatcher) -> (Endpoint, SocketAddr) {
        let party = self.party(self.identity(SERVER, &Role::ALL));
        serve(party, dispatcher)
    }

    /// A member that only calls.
    pub(crate) fn caller(&self, roles: &[Role]) -> Endpoint {
        call_as(self.party(self.identity(CALLER, roles)))
    }
}

pub(crate) fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

pub(crate) fn serve(party: Party, dispatcher: Dispatcher) -> (Endpoint, SocketAddr) {
    let endpoint = Endpoint::bind(loopback(), party, Some(dispatcher)).unwrap();
    let address = endpoint.local_addr().unwrap();
    (endpoint, address)
}

pub(crate) fn call_as(party: Party) -> Endpoint {
    Endpoint::bind(loopback(), party, None).unwrap()
}

/// A dispatcher that answers heartbeats.
pub(crate) fn heartbeats() -> Dispatcher {
    let handler = Arc::new(HeartbeatHandler::new(SERVER));
    Dispatcher::default().with(cairn_wire::frame::FrameType::Control, handler)
}
