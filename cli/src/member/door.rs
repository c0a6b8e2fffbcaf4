//! Admits new members: an entry spends the token, the authority's key certifies the node.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::NodeId;
use cairn_rpc::quic::join::Admission;
use cairn_rpc::quic::{ClusterCa, PublicKey, Role, Roles};
use cairn_rpc::{MetadataError, MetadataService};
use cairn_wire::control::{Join, Joined, NotAdmitted};
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{MembersAnswer, Node, Refusal, RegisterNode};
use sha2::{Digest as _, Sha256};

use super::lines::RaftLines;
use super::members_of;
use super::roster::Roster;

/// What admits on behalf of a voter.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) authority: ClusterCa,
    pub(crate) metadata: Arc<dyn MetadataService>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) lines: RaftLines,
}

/// What the cluster knows of a token.
pub(crate) fn digest(secret: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&Sha256::digest(secret))
}

fn refused(reason: impl std::fmt::Display) -> NotAdmitted {
    NotAdmitted {
        reason: reason.to_string(),
        later: false,
    }
}

fn later(reason: impl std::fmt::Display) -> NotAdmitted {
    NotAdmitted {
        reason: reason.to_string(),
        later: true,
    }
}

/// What a joiner is told of the state machine's refusal.
fn judge(refusal: Refusal, detail: &str) -> Result<(), NotAdmitted> {
    match refusal {
        Refusal::None => Ok(()),
        Refusal::NoSuchToken => Err(refused(
            "the token is not known: it was used, has ended, or is for other roles",
        )),
        Refusal::NodeConflict => Err(refused("its id or key is another node's")),
        Refusal::TooMany => Err(refused("the cluster has as many nodes as it may have")),
        Refusal::NotInitialized => Err(later("the cluster is being founded")),
        other => Err(refused(format!("{} {detail}", other.as_str_name()))),
    }
}

impl Door {
    async fn register(&self, secret: &[u8], node: Node) -> Result<(), NotAdmitted> {
        let command = Command::RegisterNode(RegisterNode {
            token: digest(secret),
            node: Some(node),
        });
        let sent = self.metadata.propose(0, 0, command).await;
        match sent {
            Ok(reply) => judge(reply.refusal(), &reply.detail),
            Err(MetadataError::Refused(why)) => Err(refused(why)),
            Err(error) => Err(later(error)),
        }
    }
}

#[async_trait]
impl Admission for Door {
    async fn admit(&self, join: Join) -> Result<Joined, NotAdmitted> {
        let node = join.node.unwrap_or_default();
        let key = <[u8; 32]>::try_from(node.public_key.as_ref());
        let (Ok(key), Some(roles)) = (key, Roles::of_bits(node.roles)) else {
            return Err(refused("its key or roles cannot be read"));
        };
        let id = NodeId(node.node);
        self.register(&join.secret, node).await?;
        let certificate = self.authority.issue(id, PublicKey(key), roles);
        let certificate = certificate.map_err(later)?;
        // The newcomer must be let in here from now on, not only once the roster is read again.
        let members: MembersAnswer = members_of(self.metadata.as_ref()).await.map_err(later)?;
        self.roster.learn(members.clone());
        self.lines.learn(&self.roster);
        let admits = roles.has(Role::MetadataVoter);
        Ok(Joined {
            certificate: certificate.pem().to_owned(),
            authority: self.authority.certificate().pem().to_owned(),
            authority_key: match admits {
                true => self.authority.key().to_pem().to_string(),
                false => String::new(),
            },
            members: members.nodes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_change_by_itself_is_asked_again_and_the_rest_is_not() {
        assert_eq!(judge(Refusal::None, ""), Ok(()));
        assert!(judge(Refusal::NotInitialized, "").unwrap_err().later);
        for last in [
            Refusal::NoSuchToken,
            Refusal::NodeConflict,
            Refusal::TooMany,
            Refusal::Malformed,
        ] {
            let not = judge(last, "why").unwrap_err();
            assert!(!not.later && !not.reason.is_empty(), "{last:?}");
        }
    }

    #[test]
    fn the_cluster_knows_a_token_by_its_sha256() {
        let empty = digest(b"");
        assert_eq!(empty[..4], [0xe3, 0xb0, 0xc4, 0x42]);
    }
}
