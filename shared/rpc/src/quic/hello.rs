//! HELLO: the first words on a connection.
//!
//! ```text
//!   ours [min, max]      theirs [min, max]      agreed: the highest both speak, else none
//!   feature level                               agreed: the lower
//! ```

use bytes::Bytes;
use cairn_model::{NodeId, format_version};
use cairn_wire::control::{Control, Hello, control::Body};
use cairn_wire::frame::FrameType;
use prost::Message as _;

use super::error::{Close, StreamError};
use super::frames::{FrameReader, FrameWriter};
use super::identity::{ClusterId, Peer};

/// HELLO's own frames always have this version.
const HELLO_VERSION: u8 = 1;

/// What a process speaks. N and N-1 must have a protocol in common, so a process of a release speaks
/// its own and the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// Oldest protocol.
    pub min: u8,
    /// Newest protocol.
    pub max: u8,
    /// Highest feature level this process knows.
    pub feature_level: u32,
}

impl Versions {
    /// This version of Cairn. There is no protocol before the first.
    pub const HERE: Self = Self {
        min: format_version::WIRE,
        max: format_version::WIRE,
        feature_level: 1,
    };
}

/// What two processes use with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The protocol, which every frame header says.
    pub version: u8,
    /// The feature level.
    pub feature_level: u32,
}

pub(crate) fn hello(me: &Peer, versions: Versions) -> Hello {
    Hello {
        protocol_min: u32::from(versions.min),
        protocol_max: u32::from(versions.max),
        feature_level: versions.feature_level,
        node: me.node.0,
        cluster: Bytes::copy_from_slice(&me.cluster.0),
    }
}

/// Judges the HELLO of `peer`, known by its certificate.
pub(crate) fn judge(
    theirs: &Hello,
    peer: &Peer,
    cluster: ClusterId,
    ours: Versions,
) -> Result<Agreed, Close> {
    let true_words = theirs.node == peer.node.0
        && theirs.cluster.as_ref() == cluster.0.as_slice()
        && peer.cluster == cluster
        && theirs.protocol_min <= theirs.protocol_max;
    if !true_words {
        return Err(Close::Hello);
    }
    let highest = theirs.protocol_max.min(u32::from(ours.max));
    let lowest = theirs.protocol_min.max(u32::from(ours.min));
    let version = u8::try_from(highest).map_err(|_| Close::Version)?;
    if highest < lowest {
        return Err(Close::Version);
    }
    Ok(Agreed {
        version,
        feature_level: theirs.feature_level.min(ours.feature_level),
    })
}

/// Says HELLO and hears the other's, on the connecting side.
pub(crate) async fn connecting(
    connection: &quinn::Connection,
    ours: Hello,
) -> Result<Hello, StreamError> {
    let (send, recv) = connection
        .open_bi()
        .await
        .map_err(|error| StreamError::Lost(error.to_string()))?;
    say(send, ours).await?;
    hear(recv).await
}

/// Hears HELLO on the accepting side. What it returns takes the answer.
pub(crate) async fn accepting(
    connection: &quinn::Connection,
) -> Result<(Hello, quinn::SendStream), StreamError> {
    let (send, recv) = connection
        .accept_bi()
        .await
        .map_err(|error| StreamError::Lost(error.to_string()))?;
    Ok((hear(recv).await?, send))
}

pub(crate) async fn say(send: quinn::SendStream, hello: Hello) -> Result<(), StreamError> {
    let body = Some(Body::Hello(hello));
    let message = Control { body }.encode_to_vec();
    let mut writer = FrameWriter::new(send, HELLO_VERSION);
    writer.send(FrameType::Control, message.into()).await?;
    writer.finish();
    Ok(())
}

async fn hear(recv: quinn::RecvStream) -> Result<Hello, StreamError> {
    let mut reader = FrameReader::new(recv, HELLO_VERSION);
    let first = reader.next().await?;
    let control = first
        .filter(|frame| frame.kind == FrameType::Control)
        .and_then(|frame| Control::decode(frame.payload).ok());
    match control.and_then(|control| control.body) {
        Some(Body::Hello(hello)) => Ok(hello),
        _ => Err(StreamError::Malformed("no HELLO came first".to_owned())),
    }
}

/// Whether the other side is who was called.
pub(crate) fn is_node(peer: &Peer, node: NodeId, cluster: ClusterId) -> bool {
    peer.node == node && peer.cluster == cluster
}

#[cfg(test)]
mod tests {
    use super::super::identity::{PublicKey, Roles};
    use super::*;

    const CLUSTER: ClusterId = ClusterId([7; 16]);
    const PEER: Peer = Peer {
        cluster: CLUSTER,
        node: NodeId(9),
        key: PublicKey([1; 32]),
        roles: Roles::NONE,
    };

    fn speaks(min: u8, max: u8, feature_level: u32) -> Versions {
        Versions {
            min,
            max,
            feature_level,
        }
    }

    fn agreed(theirs: Versions, ours: Versions) -> Result<(u8, u32), Close> {
        judge(&hello(&PEER, theirs), &PEER, CLUSTER, ours)
            .map(|agreed| (agreed.version, agreed.feature_level))
    }

    #[test]
    fn the_highest_protocol_both_speak_and_the_lower_feature_level() {
        assert_eq!(agreed(speaks(1, 1, 5), speaks(1, 1, 5)), Ok((1, 5)));
        assert_eq!(agreed(speaks(1, 2, 4), speaks(2, 3, 6)), Ok((2, 4)), "N-1");
        assert_eq!(agreed(speaks(2, 3, 6), speaks(1, 2, 4)), Ok((2, 4)), "N+1");
        assert_eq!(agreed(speaks(1, 9, 0), speaks(3, 4, 1)), Ok((4, 0)));
    }

    #[test]
    fn refuses_versions_without_a_protocol_in_common() {
        assert_eq!(
            agreed(speaks(1, 1, 1), speaks(2, 3, 1)),
            Err(Close::Version)
        );
        assert_eq!(
            agreed(speaks(4, 5, 1), speaks(2, 3, 1)),
            Err(Close::Version)
        );
    }

    #[test]
    fn refuses_words_that_are_not_the_certificates() {
        let judged = |change: fn(&mut Hello)| {
            let mut words = hello(&PEER, Versions::HERE);
            change(&mut words);
            judge(&words, &PEER, CLUSTER, Versions::HERE)
        };
        assert!(judged(|_| ()).is_ok());
        assert_eq!(judged(|words| words.node = 8), Err(Close::Hello));
        assert_eq!(
            judged(|words| words.cluster = Bytes::from_static(&[7; 15])),
            Err(Close::Hello)
        );
        assert_eq!(judged(|words| words.protocol_min = 2), Err(Close::Hello));
        let far = |words: &mut Hello| (words.protocol_min, words.protocol_max) = (900, 900);
        assert_eq!(judged(far), Err(Close::Version));
    }
}
