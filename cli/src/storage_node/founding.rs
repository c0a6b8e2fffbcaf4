//! The first node of a cluster: its ids and keys, the cluster row, root, and tokens for the others.
//! Every step may be repeated; only when all are done is the node a member.

use std::path::Path;

use bytes::Bytes;
use cairn_metadata::Metadata;
use cairn_metadata::raft::Member as Replica;
use cairn_model::{NodeId, limits};
use cairn_rpc::MetadataService;
use cairn_rpc::quic::join::JoinToken;
use cairn_rpc::quic::{ClusterCa, ClusterId, NodeKey, Roles};
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{InitCluster, Node as Row, PutJoinToken, RegisterNode, StorageClass};
use cairn_world::Entropy;
use zeroize::Zeroizing;

use super::Node;
use crate::args::{Issue, StorageNodeArgs};
use crate::credentials::{Credentials, Origin};
use crate::member::home::{Home, Profile, State};
use crate::member::{World, digest, members_of};
use crate::server::cluster::GENERATION;
use crate::{Fatal, calls, console, files, users};

/// How long a token is good that was made at the founding.
const TOKEN_MS: u64 = 24 * 3_600_000;

/// Draws the ids and keys of a new cluster and its first node.
pub(super) fn draw(first: &Path, roles: Roles, zone: &str, world: &World) -> Result<Home, Fatal> {
    let entropy = world.entropy.as_ref();
    let draw = || NodeKey::draw(entropy).map_err(|error| Fatal::new("key", error));
    let mut cluster = [0; 16];
    entropy.fill(&mut cluster);
    let cluster = ClusterId(cluster);
    let authority = ClusterCa::new(cluster, draw()?);
    let authority = authority.map_err(|error| Fatal::new("authority", error))?;
    let profile = Profile {
        cluster,
        node: NodeId(entropy.next_u64() | 1),
        roles,
        zone: zone.to_owned(),
    };
    Home::create(first, profile, State::Founding, &draw()?, Some(&authority))
}

/// Carries the founding on from wherever it was; nothing on any other node.
pub(super) async fn found(
    node: &Node,
    metadata: &Metadata,
    args: &StorageNodeArgs,
    world: &World,
) -> Result<(), Fatal> {
    if node.member.home(|home| home.state()) != State::Founding {
        return Ok(());
    }
    let host = metadata.host();
    if !host.is_initialized() {
        let alone = Replica {
            id: node.member.node.0,
            address: node.address.clone(),
        };
        let founded = host.initialize(vec![alone]).await;
        founded.map_err(|error| Fatal::new("metadata", error))?;
    }
    let cluster = calls::cluster(metadata).await?;
    if cluster.cluster.is_empty() {
        calls::command(metadata, Command::InitCluster(init(args, node))).await?;
    }
    introduce(node, metadata, world.entropy.as_ref()).await?;
    let first = node.directories.first()?;
    let has_root = users::has_root(metadata).await?;
    let root = Credentials::find(first, has_root, world.entropy.as_ref())?;
    if let Some((root, origin)) = &root {
        users::ensure_root(metadata, root).await?;
        if *origin == Origin::Generated {
            console::line(format_args!(
                "root credentials, generated and shown this once:\n  access key {}\n  secret key {}",
                root.access_key, root.secret_key
            ));
        }
    }
    if let Some(bootstrap) = &args.bootstrap {
        let bootstrap = crate::bootstrap::Bootstrap::read(bootstrap)?;
        users::apply_bootstrap(metadata, &bootstrap).await?;
    }
    for issue in &args.issue {
        write_token(node, metadata, issue, world.entropy.as_ref()).await?;
    }
    node.member.home(|home| home.advance(State::Member))
}

fn init(args: &StorageNodeArgs, node: &Node) -> InitCluster {
    InitCluster {
        cluster: Bytes::copy_from_slice(&node.directories.cluster),
        generation: GENERATION,
        disks: Vec::new(),
        classes: vec![StorageClass {
            name: "STANDARD".to_owned(),
            coding: Some(args.coding.into()),
            domain: args.domain.name().to_owned(),
        }],
        partition_bits: limits::PARTITION_BITS_DEFAULT,
        slots: Bytes::new(),
    }
}

/// Makes the first node a member like any other: by a token.
async fn introduce(
    node: &Node,
    metadata: &dyn MetadataService,
    entropy: &dyn Entropy,
) -> Result<(), Fatal> {
    let asked = members_of(metadata).await;
    let mut members = asked.map_err(|error| Fatal::new("metadata", error))?;
    let me = node.member.node.0;
    if !members.nodes.iter().any(|row| row.node == me) {
        let (roles, zone, key) = node.member.home(|home| {
            let profile = home.profile.clone();
            (profile.roles, profile.zone, home.key())
        });
        let mut secret = [0; 32];
        entropy.fill(&mut secret);
        put_token(metadata, &secret, roles, TOKEN_MS).await?;
        let row = Row {
            node: me,
            address: node.address.clone(),
            public_key: Bytes::copy_from_slice(&key?.public().0),
            zone,
            roles: roles.bits(),
            joined_ms: 0,
            left_disks: Vec::new(),
        };
        let command = Command::RegisterNode(RegisterNode {
            token: digest(&secret),
            node: Some(row),
        });
        calls::command(metadata, command).await?;
        let asked = members_of(metadata).await;
        members = asked.map_err(|error| Fatal::new("metadata", error))?;
    }
    node.member.take(&members);
    Ok(())
}

/// Has the cluster know a token.
pub(crate) async fn put_token(
    metadata: &dyn MetadataService,
    secret: &[u8; 32],
    roles: Roles,
    lifetime_ms: u64,
) -> Result<(), Fatal> {
    let command = Command::PutJoinToken(PutJoinToken {
        digest: digest(secret),
        roles: roles.bits(),
        lifetime_ms,
    });
    calls::command(metadata, command).await.map(drop)
}

/// Makes a token that names this cluster and where to ask.
pub(crate) async fn make_token(
    metadata: &dyn MetadataService,
    home: &Home,
    addresses: Vec<String>,
    roles: Roles,
    lifetime_ms: u64,
    entropy: &dyn Entropy,
) -> Result<Zeroizing<String>, Fatal> {
    let mut secret = Zeroizing::new([0; 32]);
    entropy.fill(secret.as_mut_slice());
    put_token(metadata, &secret, roles, lifetime_ms).await?;
    let token = JoinToken {
        cluster: home.profile.cluster,
        authority: home.authority()?.key().public(),
        secret,
        addresses,
    };
    Ok(token.text())
}

/// A token for somebody who waits for the file. One of this cluster that lies there already is left; one
/// of a cluster that was here before would let nobody in.
async fn write_token(
    node: &Node,
    metadata: &dyn MetadataService,
    issue: &Issue,
    entropy: &dyn Entropy,
) -> Result<(), Fatal> {
    let cluster = node.member.home(|home| home.profile.cluster);
    if is_token_of(&issue.file, cluster) {
        return Ok(());
    }
    let home = node.directories.first()?;
    let home = Home::open(home)?.ok_or_else(|| Fatal::new("token", "no cluster is here"))?;
    let addresses = vec![node.address.clone()];
    let text = make_token(metadata, &home, addresses, issue.roles, TOKEN_MS, entropy).await?;
    files::replace(&issue.file, text.as_bytes(), files::SECRET)
        .map_err(|error| Fatal::new(issue.file.display(), error))
}

fn is_token_of(file: &Path, cluster: ClusterId) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.parse::<JoinToken>()
        .is_ok_and(|token| token.cluster == cluster)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_rpc::quic::PublicKey;

    #[test]
    fn a_token_of_another_cluster_is_none_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("node2");
        let ours = ClusterId([1; 16]);
        assert!(!is_token_of(&file, ours), "there is none");
        let token = JoinToken {
            cluster: ours,
            authority: PublicKey([2; 32]),
            secret: Zeroizing::new([3; 32]),
            addresses: vec!["n1:9100".to_owned()],
        };
        std::fs::write(&file, token.text().as_bytes()).unwrap();
        assert!(is_token_of(&file, ours));
        assert!(!is_token_of(&file, ClusterId([9; 16])));
        std::fs::write(&file, "half of").unwrap();
        assert!(!is_token_of(&file, ours));
    }
}
