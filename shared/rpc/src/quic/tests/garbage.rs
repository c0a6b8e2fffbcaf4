//! Members that talk nonsense: the other side refuses, holds nothing, and goes on.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::{ChunkId, Coding, DiskId, DomainId, Incarnation, SessionId, Sha256, limits};
use cairn_wire::frame::{FrameHeader, FrameType, HEADER_LEN};
use cairn_wire::storage::reply::Outcome;
use cairn_wire::storage::{Accepted, Cells, Receipt, Reply};
use cairn_world::sim::SeededRng;
use prost::Message as _;

use super::super::*;
use super::rig::{Cluster, LONG, SERVER, heartbeats};
use super::store::Store;
use crate::*;

/// What the server does with these bytes as a whole stream: its answer, or the code of its reset.
async fn say(peer: &RemotePeer, bytes: &[u8]) -> Result<Vec<u8>, u64> {
    let link = peer.link(&peer.deadline(LONG)).await.unwrap();
    let (mut send, mut recv) = link.connection.open_bi().await.unwrap();
    // The server may stop the stream before all is written.
    let _ = send.write_all(bytes).await;
    let _ = send.finish();
    match recv.read_to_end(1 << 20).await {
        Ok(answer) => Ok(answer),
        Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(code))) => Err(code.into_inner()),
        Err(other) => panic!("the connection must live on: {other}"),
    }
}

fn frame(version: u8, kind: FrameType, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader::of(version, kind, [payload]).unwrap();
    [&header.to_bytes()[..], payload].concat()
}

const MALFORMED: u64 = 3;
const GONE: u64 = 0;

#[tokio::test]
async fn streams_that_are_no_frames_are_refused() {
    let cluster = Cluster::new(1);
    let (_server, address) = cluster.server(heartbeats());
    let caller = cluster.caller(&[Role::Gateway]);
    let peer = caller.peer(SERVER, &[address]);
    let good = frame(1, FrameType::Control, b"payload");
    let mut unknown = good.clone();
    unknown[1] = 0x55;
    let mut long = good.clone();
    long[2] = 0xff;
    let mut changed = good.clone();
    changed[HEADER_LEN] ^= 1;
    let version = frame(2, FrameType::Control, b"payload");
    for bytes in [vec![], unknown, long, changed, version, good.clone()] {
        assert_eq!(say(&peer, &bytes).await, Err(MALFORMED), "{bytes:?}");
    }
    // Cut inside the frame: nobody is left to be told anything but that.
    for cut in 1..good.len() {
        assert_eq!(say(&peer, &good[..cut]).await, Err(GONE), "{cut}");
    }
    peer.heartbeat(1, LONG).await.unwrap();
}

#[tokio::test]
async fn random_streams_never_harm_the_server() {
    let cluster = Cluster::new(1);
    let store = Arc::new(Store::new());
    let handler = ShardHandler::new(store.clone(), store.clone());
    let dispatcher = heartbeats().with(FrameType::Storage, Arc::new(handler));
    let (_server, address) = cluster.server(dispatcher);
    let caller = cluster.caller(&Role::ALL);
    let peer = caller.peer(SERVER, &[address]);
    let mut rng = SeededRng::new(7);
    for round in 0..300 {
        let len = rng.next_u64() % 200;
        let noise: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
        let bytes = match round % 3 {
            0 => noise,
            1 => frame(1, FrameType::Storage, &noise),
            _ => [frame(1, FrameType::Storage, &noise), noise].concat(),
        };
        let _ = say(&peer, &bytes).await;
    }
    peer.heartbeat(1, LONG).await.unwrap();
    assert_eq!(store.stored(), []);
}

#[tokio::test]
async fn a_connection_that_does_not_begin_with_hello_is_closed() {
    let cluster = Cluster::new(1);
    let (_server, address) = cluster.server(heartbeats());
    let identity = cluster.identity(super::rig::CALLER, &[Role::Gateway]);
    let quic = quinn::Endpoint::client(super::rig::loopback()).unwrap();
    let config = quinn::ClientConfig::new(identity.client());
    let name = identity::node_name(SERVER, cluster.id);
    let connection = quic
        .connect_with(config, address, &name)
        .unwrap()
        .await
        .unwrap();
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    let words = frame(1, FrameType::Metadata, b"propose this");
    send.write_all(&words).await.unwrap();
    match connection.closed().await {
        quinn::ConnectionError::ApplicationClosed(close) => {
            assert_eq!(close.error_code.into_inner(), 3);
        }
        other => panic!("{other}"),
    }
}

/// Answers every call with the frames it is given, and FIN: the first at once, the others once the
/// caller has said all.
#[derive(Debug, Default)]
struct Liar {
    frames: Mutex<Vec<Bytes>>,
}

#[async_trait]
impl Handler for Liar {
    async fn handle(&self, _: &Peer, call: &mut ServerCall) -> Result<(), Abort> {
        call.next().await?;
        let frames = self.frames.lock().unwrap().clone();
        for (at, frame) in frames.into_iter().enumerate() {
            while at == 1 && call.next().await?.is_some() {}
            call.send(frame).await?;
        }
        Ok(())
    }
}

struct Lied {
    liar: Arc<Liar>,
    client: ShardClient,
    metadata: MetadataClient,
    _ends: (Endpoint, Endpoint),
}

fn lied_to() -> Lied {
    let cluster = Cluster::new(1);
    let liar = Arc::new(Liar::default());
    let dispatcher = heartbeats()
        .with(FrameType::Storage, liar.clone())
        .with(FrameType::Metadata, liar.clone());
    let (server, address) = cluster.server(dispatcher);
    let caller = cluster.caller(&Role::ALL);
    let peer = caller.peer(SERVER, &[address]);
    Lied {
        liar,
        client: ShardClient::new(Arc::clone(&peer), LONG),
        metadata: MetadataClient::new(peer, 1, LONG),
        _ends: (server, caller),
    }
}

fn reply(outcome: Outcome) -> Bytes {
    let outcome = Some(outcome);
    Reply { outcome }.encode_to_vec().into()
}

fn header() -> ShardHeader {
    ShardHeader {
        disk: DiskId([1; 16]),
        epoch: 1,
        incarnation: stamp(4),
        shard: 0,
        coding: Coding::new(1, 0).unwrap(),
        chunk_len: 100,
    }
}

fn stamp(counter: u64) -> Incarnation {
    Incarnation {
        group: 1,
        generation: 1,
        session: SessionId(1),
        counter,
    }
}

fn chunk() -> ChunkId {
    ChunkId {
        domain: DomainId(1),
        sha256: Sha256([1; 32]),
    }
}

fn read() -> ShardRead {
    ShardRead {
        disk: DiskId([1; 16]),
        epoch: 1,
        chunk: chunk(),
        incarnation: stamp(4),
        shard: 0,
        first_cell: 0,
        cells: 4,
        with_table: false,
    }
}

fn cells(lengths: Vec<u32>, has_table: bool) -> Bytes {
    reply(Outcome::Cells(Cells {
        lengths,
        has_table,
        cell_table: vec![],
    }))
}

#[tokio::test]
async fn answers_that_are_not_what_was_asked_are_unavailable() {
    let lied = lied_to();
    let raw = Bytes::from(vec![1; 64]);
    let most = limits::CELL_LEN_MAX;
    for frames in [
        vec![],
        vec![Bytes::from_static(b"\xff\xff\xff")],
        vec![Bytes::new()],
        vec![reply(Outcome::Accepted(Accepted {}))],
        vec![cells(vec![64; 5], false), Bytes::from(vec![1; 320])],
        vec![cells(vec![most + 1], false), raw.clone()],
        vec![cells(vec![0], false)],
        vec![cells(vec![64], true), raw.clone()],
        vec![cells(vec![64, 64], false), raw.clone()],
        vec![cells(vec![63], false), raw.clone()],
        vec![cells(vec![64], false), Bytes::new(), raw.clone()],
    ] {
        *lied.liar.frames.lock().unwrap() = frames.clone();
        let outcome = lied.client.read(read()).await;
        let unavailable = matches!(outcome, Err(ShardError::Unavailable(_)));
        assert!(unavailable, "{frames:?} gave {outcome:?}");
    }
    *lied.liar.frames.lock().unwrap() = vec![cells(vec![64], false), raw.clone()];
    assert_eq!(lied.client.read(read()).await.unwrap().cells, [raw]);
}

#[tokio::test]
async fn a_receipt_for_another_shard_is_none() {
    let lied = lied_to();
    for (counter, shard) in [(4, 0), (5, 0), (4, 1), (4, 256)] {
        let receipt = Receipt {
            disk: vec![1; 16].into(),
            incarnation: stamp(counter).to_bytes().to_vec().into(),
            shard,
        };
        *lied.liar.frames.lock().unwrap() = vec![
            reply(Outcome::Accepted(Accepted {})),
            reply(Outcome::Taken(128)),
            reply(Outcome::Receipt(receipt)),
        ];
        let mut upload = lied.client.prepare(header()).await.unwrap();
        let cell = Bytes::from(vec![0; 128]);
        upload.write(&[cell]).await.unwrap();
        let trailer = ShardTrailer {
            chunk: chunk(),
            cell_table: [1].into(),
        };
        let outcome = upload.finish(trailer).await;
        if (counter, shard) == (4, 0) {
            assert!(outcome.is_ok(), "{outcome:?}");
            continue;
        }
        let unavailable = matches!(outcome, Err(ShardError::Unavailable(_)));
        assert!(unavailable, "{counter} {shard} gave {outcome:?}");
    }
}

#[tokio::test]
async fn nonsense_about_a_proposal_leaves_it_unknown() {
    use cairn_wire::metadata::entry::Command;
    use cairn_wire::metadata::{BeginSession, Query};
    let lied = lied_to();
    for frames in [
        vec![],
        vec![Bytes::from_static(b"\xff\xff\xff")],
        vec![Bytes::new()],
        // An outcome of tomorrow.
        vec![Bytes::from_static(b"\xba\x3e\x00")],
        // Kept, for a proposal.
        vec![Bytes::from_static(b"\x22\x00")],
    ] {
        *lied.liar.frames.lock().unwrap() = frames.clone();
        let command = Command::BeginSession(BeginSession::default());
        let outcome = lied.metadata.propose(1, 1, command).await;
        assert_eq!(outcome, Err(MetadataError::Unknown), "{frames:?}");
        let outcome = lied.metadata.query(Query::default()).await;
        let unavailable = matches!(outcome, Err(MetadataError::Unavailable(_)));
        assert!(unavailable, "{frames:?} gave {outcome:?}");
    }
}
