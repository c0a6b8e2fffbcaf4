//! Becoming a member: the one thing that a process without a certificate may ask for.
//!
//! ```text
//!   joiner                                    member that admits
//!   token: cluster, authority's key, secret
//!     │── TLS, ALPN cairn-join/1 ──────────────> certificate of a metadata node, under that key
//!     │── Join: secret, node (its own id, key, address, roles) ──> Admission: an entry spends the token
//!     │<── Joined: certificate, authority, members ── or NotAdmitted
//! ```
//!
//! The joiner knows who answers by the authority's key in its token; the member knows who asks by the
//! secret, which it compares by digest. A certificate for a key that the joiner does not hold is of no
//! use to it. Asked again with the same id and key, a member answers the same.

mod token;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use cairn_model::format_version;
use cairn_wire::control::{Control, Join, Joined, NotAdmitted, control::Body};
use cairn_wire::frame::FrameType;
use cairn_world::Clock;
use prost::Message as _;
use quinn::{Connection, TokioRuntime};

use super::deadline::Deadline;
use super::error::{Close, StreamError};
use super::frames::{FrameReader, FrameWriter};
use super::identity::{Role, role_name};
use super::{tls, transport, tuning};

pub use token::{JoinToken, TokenError};

/// Decides who becomes a member.
#[async_trait]
pub trait Admission: Send + Sync + fmt::Debug {
    /// Takes the node in, or not.
    ///
    /// # Errors
    /// Why not; `later` only where nothing was decided.
    async fn admit(&self, join: Join) -> Result<Joined, NotAdmitted>;
}

/// Why a process did not become a member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// Ask again, or elsewhere.
    #[error("{0}")]
    Later(String),
    /// The cluster said no.
    #[error("the cluster does not admit this node: {0}")]
    Refused(String),
}

/// Asks the member at `address` (host:port) for membership.
///
/// # Errors
/// As [`JoinError`] says.
pub async fn join(
    address: &str,
    token: &JoinToken,
    join: Join,
    clock: &Arc<dyn Clock>,
) -> Result<Joined, JoinError> {
    let later = |why: &dyn fmt::Display| JoinError::Later(format!("{address}: {why}"));
    let found = tokio::net::lookup_host(address).await;
    let mut why = later(&"no such host");
    for to in found.map_err(|error| later(&error))? {
        let deadline = Deadline::after(clock, tuning::JOIN);
        match deadline.bound(ask(to, token, join.clone())).await {
            Some(Ok(Body::Joined(joined))) => return Ok(joined),
            Some(Ok(Body::NotAdmitted(NotAdmitted {
                reason,
                later: true,
            }))) => {
                why = later(&reason);
            }
            Some(Ok(Body::NotAdmitted(NotAdmitted { reason, .. }))) => {
                return Err(JoinError::Refused(reason));
            }
            Some(Ok(_)) => why = later(&"another answer than to Join"),
            Some(Err(error)) => why = later(&error),
            None => why = later(&"no answer in time"),
        }
    }
    Err(why)
}

async fn ask(to: SocketAddr, token: &JoinToken, join: Join) -> Result<Body, StreamError> {
    let lost = |error: &dyn fmt::Display| StreamError::Lost(error.to_string());
    let crypto = tls::joining(token.cluster, token.authority).map_err(|error| lost(&error))?;
    let from: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = transport::socket(from).map_err(|error| lost(&error))?;
    let endpoint =
        quinn::Endpoint::new(transport::endpoint(), None, socket, Arc::new(TokioRuntime))
            .map_err(|error| lost(&error))?;
    let mut config = quinn::ClientConfig::new(crypto);
    config.transport_config(transport::transport());
    let name = role_name(Role::MetadataVoter, token.cluster);
    let connection = endpoint
        .connect_with(config, to, &name)
        .map_err(|error| lost(&error))?
        .await
        .map_err(|error| lost(&error))?;
    let (send, recv) = connection.open_bi().await.map_err(|error| lost(&error))?;
    let mut writer = FrameWriter::new(send, format_version::WIRE);
    let body = Some(Body::Join(join));
    writer
        .send(FrameType::Control, Control { body }.encode_to_vec().into())
        .await?;
    writer.finish();
    let answer = hear(FrameReader::new(recv, format_version::WIRE)).await;
    Close::Ending.close(&connection);
    endpoint.wait_idle().await;
    answer
}

async fn hear(mut reader: FrameReader) -> Result<Body, StreamError> {
    let frame = reader.next().await?;
    let control = frame
        .filter(|frame| frame.kind == FrameType::Control)
        .and_then(|frame| Control::decode(frame.payload).ok());
    control
        .and_then(|control| control.body)
        .ok_or_else(|| StreamError::Malformed("no control message".to_owned()))
}

/// Whether a connection is that of a process without a certificate.
pub(crate) fn is_join(connection: &Connection) -> bool {
    connection
        .handshake_data()
        .and_then(|data| data.downcast::<quinn::crypto::rustls::HandshakeData>().ok())
        .is_some_and(|data| data.protocol.as_deref() == Some(tls::ALPN_JOIN))
}

/// Hears the one request of such a connection and answers it.
pub(crate) async fn serve(connection: Connection, admission: &dyn Admission) {
    if let Err(error) = answer(&connection, admission).await {
        tracing::info!(from = %connection.remote_address(), %error, "a join was not answered");
        Close::Hello.close(&connection);
    }
}

async fn answer(connection: &Connection, admission: &dyn Admission) -> Result<(), StreamError> {
    let stream = connection.accept_bi().await;
    let (send, recv) = stream.map_err(|error| StreamError::Lost(error.to_string()))?;
    let Body::Join(join) = hear(FrameReader::new(recv, format_version::WIRE)).await? else {
        return Err(StreamError::Malformed("no Join came first".to_owned()));
    };
    let from = connection.remote_address();
    let node = join.node.as_ref().map(|node| node.node);
    let body = match admission.admit(join).await {
        Ok(joined) => {
            tracing::info!(%from, ?node, "a node was admitted");
            Body::Joined(joined)
        }
        Err(refused) => {
            tracing::warn!(%from, ?node, reason = refused.reason, "a node was not admitted");
            Body::NotAdmitted(refused)
        }
    };
    let mut writer = FrameWriter::new(send, format_version::WIRE);
    let answer = Control { body: Some(body) };
    writer
        .send(FrameType::Control, answer.encode_to_vec().into())
        .await?;
    writer.finish();
    // The joiner closes once it has the answer.
    connection.closed().await;
    Ok(())
}
