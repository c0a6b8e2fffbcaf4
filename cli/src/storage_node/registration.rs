//! What a node says about itself: its disks, where it is, and that it has what a member needs.

use cairn_storage_node::registration::unsaid;
use cairn_wire::metadata::{MembersAnswer, Refusal};

use super::Node;
use crate::houses;
use crate::member::home::State;

/// Says it, where the members as just heard do not know it yet; it is said again until they do.
pub(super) async fn register(node: &Node, members: &MembersAnswer) {
    let disks = houses::disks(&node.storage);
    for command in unsaid(members, node.member.node.0, &node.address, &disks) {
        match node.member.metadata.propose(0, 0, command).await {
            Ok(reply) if reply.refusal() == Refusal::None => {}
            Ok(reply) => {
                let refusal = reply.refusal().as_str_name();
                tracing::error!(
                    refusal,
                    detail = reply.detail,
                    "the cluster does not take what this node says of itself"
                );
            }
            Err(error) => tracing::warn!(%error, "this node could not say what it has"),
        }
    }
    settle(node);
}

/// A replica that has come to have a log is a member, and must never again be found without one.
fn settle(node: &Node) {
    let has_log = node
        .metadata
        .as_ref()
        .is_some_and(|metadata| metadata.host().is_initialized());
    let settled = node.member.home(|home| match home.state() {
        State::Joining if has_log => home.advance(State::Member),
        _ => Ok(()),
    });
    if let Err(error) = settled {
        tracing::error!(%error, "this node could not note that it is a member");
    }
}
