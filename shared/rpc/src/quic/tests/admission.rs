//! Who gets in, and who does not.

use std::net::SocketAddr;
use std::sync::Arc;

use cairn_model::NodeId;
use cairn_world::real::OsEntropy;

use super::super::*;
use super::rig::{CALLER, Cluster, LONG, SERVER, call_as, heartbeats, serve};

/// What a heartbeat from `caller` to `node` at `address` gives.
async fn beat(caller: &Endpoint, node: NodeId, address: SocketAddr) -> Result<(), CallError> {
    let peer = caller.peer(node, &[address]);
    peer.heartbeat(7, LONG).await.map(|_| ())
}

/// The heartbeat must be refused before it was sent, for this reason.
async fn refused(caller: &Endpoint, address: SocketAddr, why: &str) {
    match beat(caller, SERVER, address).await {
        Err(CallError::NotReached(said)) => assert!(said.contains(why), "{said}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_member_is_heard() {
    let cluster = Cluster::new(1);
    let (_server, address) = cluster.server(heartbeats());
    let caller = cluster.caller(&[Role::Gateway]);
    assert_eq!(beat(&caller, SERVER, address).await, Ok(()));
}

#[tokio::test]
async fn refuses_a_caller_of_another_authority() {
    let (cluster, other) = (Cluster::new(1), Cluster::new(1));
    let (_server, address) = cluster.server(heartbeats());
    let key = NodeKey::draw(&OsEntropy).unwrap();
    // It trusts the server's authority and is pinned as a member, but nobody signed for it.
    cluster
        .members
        .pin(CALLER, key.public(), Roles::of(&[Role::Gateway]));
    let issued = other
        .ca
        .issue(CALLER, key.public(), Roles::of(&[Role::Gateway]))
        .unwrap();
    let identity = Identity::new(&issued, &key, cluster.ca.certificate()).unwrap();
    let caller = call_as(cluster.party(identity));
    refused(&caller, address, "aborted by peer").await;
}

#[tokio::test]
async fn refuses_a_server_of_another_authority() {
    let (cluster, other) = (Cluster::new(1), Cluster::new(1));
    let (_server, address) = other.server(heartbeats());
    let caller = cluster.caller(&[Role::Gateway]);
    refused(&caller, address, "certificate").await;
}

#[tokio::test]
async fn refuses_a_node_that_is_not_pinned() {
    let cluster = Cluster::new(1);
    let (_server, address) = cluster.server(heartbeats());
    let stranger = NodeKey::draw(&OsEntropy).unwrap();
    let identity = cluster.identity_of(CALLER, &[Role::Gateway], &stranger);
    let caller = call_as(cluster.party(identity));
    refused(&caller, address, "not a member").await;
}

#[tokio::test]
async fn refuses_a_pinned_node_with_another_key() {
    let cluster = Cluster::new(1);
    let (_server, address) = cluster.server(heartbeats());
    let member = cluster.identity(CALLER, &[Role::Gateway]);
    let thief = NodeKey::draw(&OsEntropy).unwrap();
    let identity = cluster.identity_of(CALLER, &[Role::Gateway], &thief);
    assert_eq!(identity.me().node, member.me().node);
    refused(&call_as(cluster.party(identity)), address, "not a member").await;
    let honest = call_as(cluster.party(member));
    assert_eq!(beat(&honest, SERVER, address).await, Ok(()));
}

#[tokio::test]
async fn refuses_roles_that_are_not_pinned() {
    let cluster = Cluster::new(1);
    let (_server, address) = cluster.server(heartbeats());
    let key = NodeKey::draw(&OsEntropy).unwrap();
    let identity = cluster.identity_of(CALLER, &[Role::Gateway, Role::MetadataVoter], &key);
    let pinned = Roles::of(&[Role::Gateway]);
    cluster.members.pin(CALLER, key.public(), pinned);
    refused(&call_as(cluster.party(identity)), address, "not a member").await;
}

#[tokio::test]
async fn refuses_a_server_that_is_another_node() {
    let cluster = Cluster::new(1);
    let (_server, address) = cluster.server(heartbeats());
    let caller = cluster.caller(&[Role::Gateway]);
    let other = NodeId(SERVER.0 + 1);
    let outcome = beat(&caller, other, address).await;
    assert!(
        matches!(outcome, Err(CallError::NotReached(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn refuses_a_server_whose_key_is_not_pinned() {
    let cluster = Cluster::new(1);
    let (_server, address) = cluster.server(heartbeats());
    let caller = cluster.caller(&[Role::Gateway]);
    cluster.members.remove(SERVER);
    refused(&caller, address, "not that of this member").await;
}

#[tokio::test]
async fn a_removed_member_is_refused_on_its_open_connection() {
    let cluster = Cluster::new(1);
    let (_server, address) = cluster.server(heartbeats());
    let caller = cluster.caller(&[Role::Gateway]);
    let peer = caller.peer(SERVER, &[address]);
    peer.heartbeat(1, LONG).await.unwrap();
    cluster.members.remove(CALLER);
    let outcome = peer.heartbeat(2, LONG).await;
    assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}");
    let outcome = peer.heartbeat(3, LONG).await;
    assert!(
        matches!(&outcome, Err(CallError::NotReached(why)) if why.contains("not a member")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn refuses_another_application_protocol() {
    let cluster = Cluster::new(1);
    let (_server, address) = cluster.server(heartbeats());
    let key = NodeKey::draw(&OsEntropy).unwrap();
    let roles = Roles::of(&[Role::Gateway]);
    cluster.members.pin(CALLER, key.public(), roles);
    let issued = cluster.ca.issue(CALLER, key.public(), roles).unwrap();
    let identity =
        Identity::with_alpn(&issued, &key, cluster.ca.certificate(), b"cairn/2").unwrap();
    let caller = call_as(cluster.party(identity));
    refused(&caller, address, "known protocol").await;
}

fn speaking(cluster: &Cluster, identity: Identity, min: u8, max: u8) -> Party {
    let versions = Versions {
        min,
        max,
        feature_level: u32::from(max),
    };
    Party {
        versions,
        ..cluster.party(identity)
    }
}

#[tokio::test]
async fn refuses_versions_without_a_protocol_in_common() {
    let cluster = Cluster::new(1);
    let server = cluster.identity(SERVER, &Role::ALL);
    let (_server, address) = serve(speaking(&cluster, server, 3, 4), heartbeats());
    let caller = cluster.identity(CALLER, &[Role::Gateway]);
    let old = call_as(speaking(&cluster, caller.clone(), 1, 2));
    refused(&old, address, "no protocol in common").await;
    let new = call_as(speaking(&cluster, caller, 5, 6));
    refused(&new, address, "no protocol in common").await;
}

#[tokio::test]
async fn neighbouring_versions_speak_the_highest_common_one() {
    let cluster = Cluster::new(1);
    let server = cluster.identity(SERVER, &Role::ALL);
    let (_server, address) = serve(speaking(&cluster, server, 2, 3), heartbeats());
    let caller = cluster.identity(CALLER, &[Role::Gateway]);
    for (min, max, feature) in [(1, 2, 2), (2, 3, 3), (3, 4, 3)] {
        let caller = call_as(speaking(&cluster, caller.clone(), min, max));
        let peer = caller.peer(SERVER, &[address]);
        assert_eq!(peer.feature_level(LONG).await, Ok(feature));
        peer.heartbeat(1, LONG).await.unwrap();
    }
}

#[tokio::test]
async fn two_clusters_of_one_authority_do_not_mix() {
    // Even with the same key a certificate is of one cluster.
    let key = NodeKey::draw(&OsEntropy).unwrap();
    let again = NodeKey::from_pem(&key.to_pem()).unwrap();
    let (one, two) = (ClusterId([1; 16]), ClusterId([2; 16]));
    let (one_ca, two_ca) = (
        ClusterCa::new(one, key).unwrap(),
        ClusterCa::new(two, again).unwrap(),
    );
    let members = Arc::new(PinnedMembers::default());
    let cluster = Cluster {
        ca: one_ca,
        id: one,
        members: Arc::clone(&members),
    };
    let other = Cluster {
        ca: two_ca,
        id: two,
        members,
    };
    assert_ne!(cluster.id, other.id);
    let (_server, address) = cluster.server(heartbeats());
    let caller = other.caller(&[Role::Gateway]);
    let outcome = beat(&caller, SERVER, address).await;
    assert!(
        matches!(outcome, Err(CallError::NotReached(_))),
        "{outcome:?}"
    );
}
