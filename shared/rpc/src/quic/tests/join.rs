//! Becoming a member over the wire.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_wire::control::{Join, Joined, NotAdmitted};
use cairn_wire::metadata::Node;
use cairn_world::Clock;
use cairn_world::real::{OsEntropy, RealClock};
use zeroize::Zeroizing;

use super::super::join::{Admission, JoinError, JoinToken, join};
use super::super::*;
use super::rig::*;

const SECRET: [u8; 32] = [5; 32];

/// Admits whoever knows the secret, and notes who asked.
#[derive(Debug, Default)]
struct Door {
    asked: Mutex<Vec<u64>>,
    not_now: bool,
}

#[async_trait]
impl Admission for Door {
    async fn admit(&self, join: Join) -> Result<Joined, NotAdmitted> {
        let node = join.node.unwrap_or_default();
        self.asked.lock().unwrap().push(node.node);
        if self.not_now || join.secret != SECRET.as_slice() {
            return Err(NotAdmitted {
                reason: "no".to_owned(),
                later: self.not_now,
            });
        }
        Ok(Joined {
            certificate: format!("of {}", node.node),
            ..Joined::default()
        })
    }
}

struct Scene {
    door: Arc<Door>,
    token: JoinToken,
    _server: Endpoint,
    clock: Arc<dyn Clock>,
}

fn scene_of(door: Door) -> Scene {
    let cluster = Cluster::new(1);
    let door = Arc::new(door);
    let (server, address) = cluster.server(heartbeats().admitting(door.clone()));
    Scene {
        door,
        token: JoinToken {
            cluster: cluster.id,
            authority: cluster.ca.key().public(),
            secret: Zeroizing::new(SECRET),
            addresses: vec![address.to_string()],
        },
        _server: server,
        clock: Arc::new(RealClock::new()),
    }
}

impl Scene {
    async fn join(&self, secret: &[u8]) -> Result<Joined, JoinError> {
        let asked = Join {
            secret: Bytes::copy_from_slice(secret),
            node: Some(Node {
                node: 77,
                ..Node::default()
            }),
        };
        join(&self.token.addresses[0], &self.token, asked, &self.clock).await
    }
}

#[tokio::test]
async fn who_knows_the_secret_is_admitted() {
    let scene = scene_of(Door::default());
    assert_eq!(scene.join(&SECRET).await.unwrap().certificate, "of 77");
    assert_eq!(*scene.door.asked.lock().unwrap(), [77]);
}

#[tokio::test]
async fn who_does_not_is_told_so() {
    let scene = scene_of(Door::default());
    let refused = scene.join(&[6; 32]).await;
    assert_eq!(refused, Err(JoinError::Refused("no".to_owned())));
}

#[tokio::test]
async fn a_member_that_cannot_decide_says_later() {
    let scene = scene_of(Door {
        not_now: true,
        ..Door::default()
    });
    assert!(matches!(
        scene.join(&SECRET).await,
        Err(JoinError::Later(_))
    ));
}

#[tokio::test]
async fn the_secret_is_not_said_to_a_stranger() {
    let mut scene = scene_of(Door::default());
    scene.token.authority = NodeKey::draw(&OsEntropy).unwrap().public();
    assert!(matches!(
        scene.join(&SECRET).await,
        Err(JoinError::Later(_))
    ));
    scene.token.authority = PublicKey([0; 32]);
    assert!(matches!(
        scene.join(&SECRET).await,
        Err(JoinError::Later(_))
    ));
    assert!(scene.door.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_member_that_does_not_admit_speaks_no_such_protocol() {
    let cluster = Cluster::new(1);
    let (_server, address) = cluster.server(heartbeats());
    let mut scene = scene_of(Door::default());
    scene.token.authority = cluster.ca.key().public();
    scene.token.addresses = vec![address.to_string()];
    assert!(matches!(
        scene.join(&SECRET).await,
        Err(JoinError::Later(_))
    ));
}

#[tokio::test]
async fn members_still_call_a_process_that_admits() {
    let cluster = Cluster::new(1);
    let door = Arc::new(Door::default());
    let (_server, address) = cluster.server(heartbeats().admitting(door));
    let caller = cluster.caller(&[Role::Gateway]);
    let peer = caller.peer(SERVER, &[address]);
    assert!(peer.heartbeat(1, LONG).await.is_ok());
}

#[tokio::test]
async fn without_a_certificate_there_are_no_calls() {
    let cluster = Cluster::new(1);
    let door = Arc::new(Door::default());
    let (_server, address) = cluster.server(heartbeats().admitting(door));
    // The right trust and the members' protocol, but nothing to show.
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cluster.ca.certificate().der().clone()).unwrap();
    let mut crypto = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_protocol_versions(&[&rustls::version::TLS13])
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth();
    crypto.alpn_protocols = vec![tls::ALPN.to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(crypto).unwrap();
    let endpoint = quinn::Endpoint::client(loopback()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let name = identity::node_name(SERVER, cluster.id);
    let connection = endpoint
        .connect_with(config, address, &name)
        .unwrap()
        .await
        .unwrap();
    let closed = connection.closed().await;
    let quinn::ConnectionError::ApplicationClosed(close) = closed else {
        panic!("{closed:?}");
    };
    assert_eq!(close.error_code, error::Close::NotMember.code());
}
