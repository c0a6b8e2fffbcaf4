//! A process on the network: one UDP socket, on which it both calls and is called.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use cairn_model::{NodeId, limits};
use cairn_world::{Clock, Entropy};
use quinn::rustls::pki_types::CertificateDer;
use quinn::{Connection, Incoming, TokioRuntime};
use tokio::sync::Semaphore;

use super::deadline::Deadline;
use super::dispatch::{Bounds, Desk, Dispatcher};
use super::error::Close;
use super::hello::{self, Agreed, Versions};
use super::identity::{Membership, Peer};
use super::peer::RemotePeer;
use super::tls::Identity;
use super::{join, transport, tuning};

/// Who a process is, whom it knows, and its seams to the outside.
#[derive(Clone, Debug)]
pub struct Party {
    /// Who it is.
    pub identity: Identity,
    /// Who belongs to the cluster.
    pub members: Arc<dyn Membership>,
    /// What it speaks: [`Versions::HERE`].
    pub versions: Versions,
    /// Deadlines and backoff.
    pub clock: Arc<dyn Clock>,
    /// Jitter of backoff.
    pub entropy: Arc<dyn Entropy>,
}

/// A connection after HELLO.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) connection: Connection,
    pub(crate) peer: Peer,
    pub(crate) agreed: Agreed,
}

/// Why a connection was not made. Nothing was asked of the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoLink(pub(crate) String);

/// The endpoint of a process. Dropped, its connections are closed.
#[derive(Debug)]
pub struct Endpoint {
    quic: quinn::Endpoint,
    party: Arc<Party>,
}

impl Endpoint {
    /// Opens the socket. With a dispatcher it also takes connections and serves their calls. Must be
    /// called inside a tokio runtime.
    ///
    /// # Errors
    /// What the operating system says of the socket.
    pub fn bind(address: SocketAddr, party: Party, serves: Option<Dispatcher>) -> io::Result<Self> {
        let clock = Arc::clone(&party.clock);
        let desk = serves.map(|dispatcher| Desk::new(dispatcher, clock, Bounds::HERE));
        Self::bind_desk(address, party, desk)
    }

    pub(crate) fn bind_desk(
        address: SocketAddr,
        party: Party,
        desk: Option<Desk>,
    ) -> io::Result<Self> {
        let server = desk.as_ref().map(|desk| {
            let crypto = match desk.admission {
                Some(_) => party.identity.admitting(),
                None => party.identity.server(),
            };
            let mut config = quinn::ServerConfig::with_crypto(crypto);
            config.transport_config(transport::transport());
            config
        });
        let quic = quinn::Endpoint::new(
            transport::endpoint(),
            server,
            transport::socket(address)?,
            Arc::new(TokioRuntime),
        )?;
        let party = Arc::new(party);
        if let Some(desk) = desk {
            tokio::spawn(accept(quic.clone(), Arc::clone(&party), Arc::new(desk)));
        }
        Ok(Self { quic, party })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.quic.local_addr()
    }

    /// A node to call at any of `addresses` (host:port), connected on the first call. Each has a
    /// connection of its own: give bulk and commands one each, and a slow disk holds up no vote.
    #[must_use]
    pub fn peer(&self, node: NodeId, addresses: &[impl ToString]) -> Arc<RemotePeer> {
        let dialer = Dialer {
            quic: self.quic.clone(),
            party: Arc::clone(&self.party),
        };
        let addresses = addresses.iter().map(ToString::to_string).collect();
        Arc::new(RemotePeer::new(dialer, node, addresses))
    }

    /// Closes all connections and waits a moment for the peers to hear it.
    pub async fn close(&self) {
        self.stop();
        let goodbye = Deadline::after(&self.party.clock, tuning::GOODBYE);
        if goodbye.bound(self.quic.wait_idle()).await.is_none() {
            tracing::debug!("not every peer heard the goodbye");
        }
    }

    fn stop(&self) {
        let why = Close::Ending;
        self.quic.close(why.code(), why.reason().as_bytes());
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Makes connections.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    quic: quinn::Endpoint,
    pub(crate) party: Arc<Party>,
}

impl Dialer {
    /// Connects to `node` at `address` and exchanges HELLO.
    pub(crate) async fn dial(&self, node: NodeId, address: SocketAddr) -> Result<Link, NoLink> {
        let deadline = Deadline::after(&self.party.clock, tuning::CONNECT);
        let failed = || NoLink(format!("{address}: no connection in time"));
        deadline
            .bound(self.handshake(node, address))
            .await
            .ok_or_else(failed)?
    }

    async fn handshake(&self, node: NodeId, address: SocketAddr) -> Result<Link, NoLink> {
        let failed = |why: &dyn std::fmt::Display| NoLink(format!("{address}: {why}"));
        let cluster = self.party.identity.me().cluster;
        let mut config = quinn::ClientConfig::new(self.party.identity.client());
        config.transport_config(transport::transport());
        let name = super::identity::node_name(node, cluster);
        let connection = self
            .quic
            .connect_with(config, address, &name)
            .map_err(|error| failed(&error))?
            .await
            .map_err(|error| failed(&error))?;
        let peer = peer_of(&connection)
            .filter(|peer| hello::is_node(peer, node, cluster) && self.party.members.admits(peer))
            .ok_or_else(|| {
                Close::NotMember.close(&connection);
                failed(&"its key is not that of this member")
            })?;
        let ours = hello::hello(&self.party.identity.me(), self.party.versions);
        let theirs = hello::connecting(&connection, ours)
            .await
            .map_err(|error| failed(&error))?;
        let agreed =
            hello::judge(&theirs, &peer, cluster, self.party.versions).map_err(|close| {
                close.close(&connection);
                failed(&close.reason())
            })?;
        Ok(Link {
            connection,
            peer,
            agreed,
        })
    }
}

/// Who the certificate of the other side names; TLS has verified it.
fn peer_of(connection: &Connection) -> Option<Peer> {
    let chain = connection.peer_identity()?;
    let chain = chain.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    Peer::of_certificate(chain.first()?).ok()
}

async fn accept(quic: quinn::Endpoint, party: Arc<Party>, desk: Arc<Desk>) {
    let places = Arc::new(Semaphore::new(limits::RPC_CONNECTIONS_MAX));
    let joins = Arc::new(Semaphore::new(limits::JOINS_AT_ONCE));
    while let Some(incoming) = quic.accept().await {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        let (party, desk) = (Arc::clone(&party), Arc::clone(&desk));
        let joins = Arc::clone(&joins);
        tokio::spawn(async move {
            let _place = place;
            let deadline = Deadline::after(&party.clock, tuning::CONNECT);
            match deadline.bound(welcome(incoming, &party)).await {
                Some(Ok(Guest::Member(link))) => serve(link, party, desk).await,
                Some(Ok(Guest::Joiner(connection))) => admit(connection, party, desk, joins).await,
                Some(Err(NoLink(why))) => tracing::info!(why, "a connection was refused"),
                None => tracing::info!("a connection was not made in time"),
            }
        });
    }
}

/// Who has come.
enum Guest {
    Member(Link),
    /// Somebody without a certificate.
    Joiner(Connection),
}

/// Hears somebody who wants to become a member; few at once, and not for long.
async fn admit(connection: Connection, party: Arc<Party>, desk: Arc<Desk>, joins: Arc<Semaphore>) {
    let (Some(admission), Ok(_place)) = (&desk.admission, joins.try_acquire()) else {
        Close::Busy.close(&connection);
        return;
    };
    let deadline = Deadline::after(&party.clock, tuning::JOIN);
    let heard = join::serve(connection.clone(), admission.as_ref());
    if deadline.bound(heard).await.is_none() {
        Close::Busy.close(&connection);
    }
}

/// The accepting side of the handshake and of HELLO.
async fn welcome(incoming: Incoming, party: &Party) -> Result<Guest, NoLink> {
    let from = incoming.remote_address();
    let failed = |why: &dyn std::fmt::Display| NoLink(format!("{from}: {why}"));
    let connection = incoming
        .accept()
        .map_err(|error| failed(&error))?
        .await
        .map_err(|error| failed(&error))?;
    let close = |close: Close| {
        close.close(&connection);
        failed(&close.reason())
    };
    if join::is_join(&connection) {
        return Ok(Guest::Joiner(connection));
    }
    let peer = peer_of(&connection)
        .filter(|peer| party.members.admits(peer))
        .ok_or_else(|| close(Close::NotMember))?;
    let (theirs, answer) = hello::accepting(&connection)
        .await
        .map_err(|_| close(Close::Hello))?;
    let me = party.identity.me();
    let agreed = hello::judge(&theirs, &peer, me.cluster, party.versions).map_err(close)?;
    hello::say(answer, hello::hello(&me, party.versions))
        .await
        .map_err(|error| failed(&error))?;
    Ok(Guest::Member(Link {
        connection,
        peer,
        agreed,
    }))
}

/// Serves the calls of a connection until it ends.
async fn serve(link: Link, party: Arc<Party>, desk: Arc<Desk>) {
    while let Ok(stream) = link.connection.accept_bi().await {
        if !party.members.admits(&link.peer) {
            Close::NotMember.close(&link.connection);
            tracing::info!(node = link.peer.node.0, "the peer is a member no longer");
            return;
        }
        let (desk, peer, version) = (Arc::clone(&desk), link.peer, link.agreed.version);
        tokio::spawn(async move { desk.serve(peer, version, stream).await });
    }
}
