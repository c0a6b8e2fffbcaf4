//! Calls over QUIC.
//!
//! ```text
//!   ShardClient   MetadataClient          the traits of this crate ...      ShardHandler   MetadataHandler
//!        └──── RemotePeer ────┘           ... and what serves them                └── Dispatcher ──┘
//!    connect, back off, stream a call                                role, bounds, one handler a type
//!              └── frames ── TLS 1.3, both certificates, HELLO ── frames ──┘
//!                                       Endpoint: one UDP socket
//! ```
//!
//! A process has an [`Identity`] (node, cluster, roles; a certificate over its Ed25519 key) and a
//! [`Membership`] of pinned keys. A connection begins with HELLO; every call then has a stream, a
//! deadline, and an error that says what the caller can do ([`CallError`]): never reached, unknown,
//! refused. What travels is drawn in `docs/formats/wire.md`; dependencies are weighed in ADR 12.

mod deadline;
mod dispatch;
mod endpoint;
mod error;
mod frames;
mod heartbeat;
mod hello;
pub mod identity;
pub mod join;
mod metadata;
mod peer;
mod pool;
mod roles;
mod shards;
#[cfg(test)]
mod tests;
mod tls;
mod transport;
mod tuning;

pub use dispatch::{Abort, Dispatcher, Handler, ServerCall};
pub use endpoint::{Endpoint, Party};
pub use error::{CallError, Refusal, StreamError};
pub use heartbeat::{HeartbeatHandler, HeartbeatSink};
pub use hello::{Agreed, Versions};
pub use identity::{Certificate, ClusterCa, ClusterId, Membership, NodeKey, Peer, PinnedMembers};
pub use identity::{IdentityError, PublicKey, Role, Roles};
pub use metadata::{MetadataClient, MetadataHandler};
pub use peer::RemotePeer;
pub use pool::{Lines, Pool};
pub use shards::{ShardClient, ShardHandler};
pub use tls::Identity;
