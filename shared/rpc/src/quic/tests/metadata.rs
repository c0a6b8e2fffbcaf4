//! Metadata over the network.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::limits;
use cairn_wire::frame::FrameType;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{
    AddDisks, Answer, BeginDelete, BeginSession, CutOver, Disk, JudgeOrphans, ListAnswer,
    ListedObject, MarkSuspect, MoveNode, Query, Reply, Request, SettleDebt, StagePage, answer,
    query, request,
};
use prost::Message;
use tokio::sync::Notify;

use super::super::*;
use super::rig::{CALLER, Cluster, LONG, SERVER, heartbeats, serve};
use crate::{MetadataError, MetadataService};

const GROUP: u32 = 3;

/// Writes down what it is asked and answers from a list.
#[derive(Debug, Default)]
struct Replica {
    asked: Mutex<Vec<String>>,
    fails: Mutex<Option<MetadataError>>,
    hangs: Mutex<bool>,
    begun: Notify,
}

impl Replica {
    async fn note(&self, what: String) -> Result<(), MetadataError> {
        self.asked.lock().unwrap().push(what);
        self.begun.notify_one();
        let hangs = *self.hangs.lock().unwrap();
        if hangs {
            std::future::pending::<()>().await;
        }
        self.fails.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl MetadataService for Replica {
    async fn propose(
        &self,
        session: u64,
        operation: u64,
        command: Command,
    ) -> Result<Reply, MetadataError> {
        self.note(format!("{session} {operation} {command:?}"))
            .await?;
        Ok(Reply {
            number: session + operation,
            detail: "done".to_owned(),
            ..Reply::default()
        })
    }

    async fn query(&self, query: Query) -> Result<Answer, MetadataError> {
        self.note(format!("{query:?}")).await?;
        let object = ListedObject {
            key: "k".repeat(limits::KEY_LEN_MAX).into(),
            ..ListedObject::default()
        };
        let list = ListAnswer {
            objects: vec![object; 4_000],
            ..ListAnswer::default()
        };
        Ok(Answer {
            answer: Some(answer::Answer::List(list)),
        })
    }

    async fn keep_alive(&self, sessions: &[u64]) -> Result<(), MetadataError> {
        self.note(format!("{} sessions", sessions.len())).await
    }
}

struct Scene {
    replica: Arc<Replica>,
    server: Endpoint,
    caller: Endpoint,
    peer: Arc<RemotePeer>,
    client: Arc<MetadataClient>,
}

fn scene(roles: &[Role], within: Duration) -> Scene {
    let cluster = Cluster::new(1);
    let replica = Arc::new(Replica::default());
    let handler = MetadataHandler::new(replica.clone(), GROUP);
    let dispatcher = heartbeats().with(FrameType::Metadata, Arc::new(handler));
    let (server, address) = serve(
        cluster.party(cluster.identity(SERVER, &Role::ALL)),
        dispatcher,
    );
    let caller = cluster.caller(roles);
    let peer = caller.peer(SERVER, &[address]);
    let client = Arc::new(MetadataClient::new(Arc::clone(&peer), GROUP, within));
    Scene {
        replica,
        server,
        caller,
        peer,
        client,
    }
}

fn begin() -> Command {
    Command::BeginSession(BeginSession {
        gateway: "g1".to_owned(),
    })
}

fn any_query() -> Query {
    Query {
        query: Some(query::Query::GetSessions(Default::default())),
    }
}

#[tokio::test]
async fn commands_queries_and_keep_alives_round_trip() {
    let scene = scene(&[Role::Gateway], LONG);
    let reply = scene.client.propose(40, 2, begin()).await.unwrap();
    assert_eq!((reply.number, reply.detail.as_str()), (42, "done"));
    // Longer than three frames.
    let answer = scene.client.query(any_query()).await.unwrap();
    assert!(answer.encoded_len() > 3 << 20);
    let Some(answer::Answer::List(list)) = answer.answer else {
        panic!("another answer");
    };
    assert!(list.objects.len() == 4_000 && list.objects.iter().all(|o| o.key.len() == 1_024));
    scene.client.keep_alive(&[1, 2, 3]).await.unwrap();
    let asked = scene.replica.asked();
    assert_eq!(asked[0], format!("40 2 {:?}", begin()));
    assert_eq!(asked[1], format!("{:?}", any_query()));
    assert_eq!(asked[2], "3 sessions");
    scene.caller.close().await;
    scene.server.close().await;
}

#[tokio::test]
async fn more_sessions_than_a_call_takes_are_several_calls() {
    let scene = scene(&[Role::Gateway], LONG);
    let many = vec![u64::MAX; limits::RPC_SESSIONS_MAX + 5];
    scene.client.keep_alive(&many).await.unwrap();
    assert_eq!(scene.replica.asked(), ["65536 sessions", "5 sessions"]);
}

#[tokio::test]
async fn the_replicas_errors_arrive() {
    let scene = scene(&[Role::Gateway], LONG);
    for error in [
        MetadataError::NotLeader { leader: Some(7) },
        MetadataError::Unavailable("no quorum".to_owned()),
        MetadataError::TooLarge,
        MetadataError::Unknown,
    ] {
        *scene.replica.fails.lock().unwrap() = Some(error.clone());
        assert_eq!(scene.client.propose(1, 1, begin()).await, Err(error));
    }
    // Asking again is free.
    let outcome = scene.client.query(any_query()).await;
    assert!(
        matches!(outcome, Err(MetadataError::Unavailable(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn refuses_another_group_before_the_replica_sees_it() {
    let scene = scene(&[Role::Gateway], LONG);
    let other = MetadataClient::new(Arc::clone(&scene.peer), GROUP + 1, LONG);
    let outcome = other.propose(1, 1, begin()).await;
    assert!(
        matches!(outcome, Err(MetadataError::Refused(_))),
        "{outcome:?}"
    );
    let outcome = other.query(any_query()).await;
    assert!(
        matches!(outcome, Err(MetadataError::Refused(_))),
        "{outcome:?}"
    );
    assert!(scene.replica.asked().is_empty());
}

#[tokio::test]
async fn a_storage_node_may_ask_and_not_propose() {
    let scene = scene(&[Role::StorageNode], LONG);
    assert!(scene.client.query(any_query()).await.is_ok());
    let role = Err(MetadataError::Refused("this role may not make this call"));
    assert_eq!(scene.client.propose(1, 1, begin()).await.map(|_| ()), role);
    assert_eq!(scene.client.keep_alive(&[1]).await, role);
    assert_eq!(scene.replica.asked().len(), 1);
}

#[tokio::test]
async fn a_storage_node_may_speak_for_itself_alone() {
    let scene = scene(&[Role::StorageNode], LONG);
    let moved = |node| {
        Command::MoveNode(MoveNode {
            node,
            address: "here:1".to_owned(),
        })
    };
    let added = |nodes: &[u64]| {
        let disk = |node: &u64| Disk {
            node: *node,
            ..Disk::default()
        };
        Command::AddDisks(AddDisks {
            disks: nodes.iter().map(disk).collect(),
        })
    };
    for own in [moved(CALLER.0), added(&[CALLER.0, CALLER.0])] {
        assert!(scene.client.propose(0, 0, own).await.is_ok());
    }
    let asked = scene.replica.asked().len();
    for others in [moved(1), added(&[CALLER.0, 1]), begin()] {
        let refused = scene.client.propose(0, 0, others).await;
        assert!(
            matches!(refused, Err(MetadataError::Refused(_))),
            "{refused:?}"
        );
    }
    assert_eq!(scene.replica.asked().len(), asked);
}

#[tokio::test]
async fn what_the_leaders_planners_decide_comes_over_no_wire() {
    for role in Role::ALL {
        let scene = scene(&[role], LONG);
        for command in [
            Command::BeginDelete(BeginDelete::default()),
            Command::CutOver(CutOver::default()),
            Command::SettleDebt(SettleDebt::default()),
            Command::JudgeOrphans(JudgeOrphans::default()),
        ] {
            let refused = scene.client.propose(0, 0, command).await;
            assert!(
                matches!(refused, Err(MetadataError::Refused(_))),
                "{role:?}: {refused:?}"
            );
        }
        assert!(scene.replica.asked().is_empty());
    }
}

#[tokio::test]
async fn gateways_and_storage_nodes_alike_say_what_is_damaged() {
    for role in [Role::Gateway, Role::StorageNode] {
        let scene = scene(&[role], LONG);
        let mark = Command::MarkSuspect(MarkSuspect::default());
        assert!(scene.client.propose(0, 0, mark).await.is_ok(), "{role:?}");
    }
}

#[tokio::test]
async fn refuses_commands_and_calls_that_are_not_known() {
    let scene = scene(&[Role::Gateway], LONG);
    // Field 999 of an entry: a command of tomorrow.
    let mut entry = Bytes::from_static(b"\x08\x03\xba\x3e\x00");
    let tomorrow: cairn_wire::metadata::Entry = Message::decode(&mut entry).unwrap();
    assert!(tomorrow.command.is_none());
    let request = Request {
        group: GROUP,
        call: Some(request::Call::Propose(tomorrow)),
    };
    let kind = FrameType::Metadata;
    let answer = scene
        .peer
        .call(kind, request.encode_to_vec().into(), LONG)
        .await;
    let answer = cairn_wire::metadata::Response::decode(answer.unwrap()).unwrap();
    assert!(format!("{answer:?}").contains("not known"), "{answer:?}");
    for bytes in [&b""[..], b"\x20\x03", b"\xff\xff\xff", b"\xba\x3e\x00"] {
        let outcome = scene.peer.call(kind, Bytes::from_static(bytes), LONG).await;
        assert_eq!(outcome, Err(CallError::Refused(Refusal::Malformed)));
    }
    assert!(scene.replica.asked().is_empty());
}

#[tokio::test]
async fn a_command_longer_than_a_frame_is_too_large_and_not_sent() {
    let scene = scene(&[Role::Gateway], LONG);
    let long = Command::StagePage(StagePage {
        manifest: vec![0; 1 << 20].into(),
        ..StagePage::default()
    });
    let outcome = scene.client.propose(1, 1, long).await;
    assert_eq!(outcome, Err(MetadataError::TooLarge));
    assert!(scene.replica.asked().is_empty());
}

#[tokio::test]
async fn a_voter_that_dies_leaves_a_proposal_unknown_and_a_query_unavailable() {
    for proposal in [true, false] {
        let scene = scene(&[Role::Gateway], LONG);
        *scene.replica.hangs.lock().unwrap() = true;
        let client = Arc::clone(&scene.client);
        let call = tokio::spawn(async move {
            if proposal {
                client.propose(1, 1, begin()).await.map(|_| ())
            } else {
                client.query(any_query()).await.map(|_| ())
            }
        });
        scene.replica.begun.notified().await;
        scene.server.close().await;
        match call.await.unwrap() {
            Err(MetadataError::Unknown) => assert!(proposal),
            Err(MetadataError::Unavailable(_)) => assert!(!proposal),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_proposal_past_its_deadline_is_unknown_and_one_never_sent_is_not() {
    let mut scene = scene(&[Role::Gateway], Duration::from_millis(300));
    scene.peer.heartbeat(1, LONG).await.unwrap();
    *scene.replica.hangs.lock().unwrap() = true;
    let outcome = scene.client.propose(1, 1, begin()).await;
    assert_eq!(outcome, Err(MetadataError::Unknown));
    let nowhere = scene.caller.peer(SERVER, &[] as &[String]);
    scene.client = Arc::new(MetadataClient::new(nowhere, GROUP, LONG));
    let outcome = scene.client.propose(1, 1, begin()).await;
    assert!(
        matches!(outcome, Err(MetadataError::Unavailable(_))),
        "{outcome:?}"
    );
}
