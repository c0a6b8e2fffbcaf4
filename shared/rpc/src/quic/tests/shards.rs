//! Shards over the network.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_model::{ChunkId, Coding, DiskId, DomainId, Incarnation, SessionId, Sha256, limits};
use cairn_wire::frame::FrameType;
use cairn_wire::storage as wire;
use prost::Message as _;
use tokio::time::timeout;

use super::super::*;
use super::rig::{Cluster, LONG, SERVER, heartbeats, serve};
use super::store::{Store, Stored};
use crate::*;

const DISK: DiskId = DiskId([8; 16]);
const MIB: u64 = 1 << 20;

struct Scene {
    store: Arc<Store>,
    server: Endpoint,
    caller: Endpoint,
    peer: Arc<RemotePeer>,
    client: ShardClient,
}

fn scene_of(roles: &[Role], within: Duration) -> Scene {
    let cluster = Cluster::new(1);
    let store = Arc::new(Store::new());
    let handler = ShardHandler::new(store.clone(), store.clone());
    let dispatcher = heartbeats().with(FrameType::Storage, Arc::new(handler));
    let server = cluster.party(cluster.identity(SERVER, &Role::ALL));
    let (server, address) = serve(server, dispatcher);
    let caller = cluster.caller(roles);
    let peer = caller.peer(SERVER, &[address]);
    Scene {
        store,
        server,
        caller,
        client: ShardClient::new(Arc::clone(&peer), within),
        peer,
    }
}

fn scene() -> Scene {
    scene_of(&Role::ALL, LONG)
}

fn chunk() -> ChunkId {
    ChunkId {
        domain: DomainId(3),
        sha256: Sha256([9; 32]),
    }
}

fn header(coding: Coding, chunk_len: u64) -> ShardHeader {
    ShardHeader {
        disk: DISK,
        epoch: 11,
        incarnation: Incarnation {
            group: 1,
            generation: 2,
            session: SessionId(3),
            counter: 4,
        },
        shard: 0,
        coding,
        chunk_len,
    }
}

fn trailer(header: &ShardHeader) -> ShardTrailer {
    let cells = header.coding.stripes(header.chunk_len) * header.coding.data() as u64;
    ShardTrailer {
        chunk: chunk(),
        cell_table: (0..cells as u32).collect(),
    }
}

fn cells(header: &ShardHeader) -> Vec<Bytes> {
    let stripes = 0..header.coding.stripes(header.chunk_len);
    let cell = |stripe| {
        let len = header.coding.cell_len(header.chunk_len, stripe);
        (0..len).map(|at| (at * 7 + stripe * 13) as u8).collect()
    };
    stripes.map(cell).collect()
}

async fn store(client: &ShardClient, header: ShardHeader) -> Result<ShardReceipt, ShardError> {
    let mut upload = client.prepare(header).await?;
    for some in cells(&header).chunks(3) {
        upload.write(some).await?;
    }
    upload.finish(trailer(&header)).await
}

fn read(header: &ShardHeader, first_cell: u64, count: u32) -> ShardRead {
    ShardRead {
        disk: DISK,
        epoch: 11,
        chunk: chunk(),
        incarnation: header.incarnation,
        shard: header.shard,
        first_cell,
        cells: count,
        with_table: true,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_of_any_shape_round_trip() {
    let scene = scene();
    let large_cells = Coding::from_parts(1, 0, 1 << 20, 1).unwrap();
    for (coding, len) in [
        (Coding::new(1, 0).unwrap(), 0),
        (Coding::new(1, 1).unwrap(), 1),
        (Coding::new(4, 2).unwrap(), 16 * MIB),
        (Coding::new(3, 2).unwrap(), 5 * MIB + 77),
        (Coding::new(1, 0).unwrap(), 64 * MIB),
        (large_cells, 9 * MIB + 1),
    ] {
        let header = header(coding, len);
        let receipt = store(&scene.client, header).await.unwrap();
        assert_eq!(receipt.incarnation, header.incarnation);
        let stored = scene.store.stored();
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].header, header);
        assert!(stored[0].cells == cells(&header), "{coding:?} {len}");
        assert_eq!(stored[0].trailer, trailer(&header));

        let all = scene.client.read(read(&header, 0, u32::MAX)).await.unwrap();
        assert!(all.cells == cells(&header), "{coding:?} {len}");
        assert_eq!(all.cell_table, Some(trailer(&header).cell_table));
        let some = ShardRead {
            with_table: false,
            ..read(&header, 1, 2)
        };
        let some = scene.client.read(some).await.unwrap();
        let expected: Vec<Bytes> = cells(&header).into_iter().skip(1).take(2).collect();
        assert!(some.cells == expected && some.cell_table.is_none());
    }
    scene.caller.close().await;
    scene.server.close().await;
}

#[tokio::test]
async fn deletes_space_and_inventory_round_trip() {
    let scene = scene();
    let header = header(Coding::new(1, 0).unwrap(), 10);
    store(&scene.client, header).await.unwrap();
    assert_eq!(scene.client.space(DISK).await, Ok((u64::MAX - 1, u64::MAX)));
    let found = ShardFound {
        chunk: chunk(),
        incarnation: header.incarnation,
        shard: 0,
    };
    let listed = scene.client.inventory(DISK, None, 10).await;
    assert_eq!(listed, Ok(vec![found]));
    let behind = Some((header.incarnation, 0));
    assert_eq!(scene.client.inventory(DISK, behind, 10).await, Ok(vec![]));
    let delete = ShardDelete {
        chunk: chunk(),
        incarnation: header.incarnation,
    };
    scene.client.delete(DISK, 7, &[delete]).await.unwrap();
    assert_eq!(scene.store.stored(), []);
    let gone = scene.client.read(read(&header, 0, 1)).await;
    assert_eq!(gone, Err(ShardError::Missing));
}

#[tokio::test]
async fn lists_longer_than_a_call_are_several() {
    let scene = scene();
    let header = header(Coding::new(1, 0).unwrap(), 0);
    let template = Stored {
        header,
        cells: vec![],
        trailer: trailer(&header),
    };
    let page = limits::RPC_INVENTORY_MAX;
    scene.store.fill(&template, page as u64 * 2 + 100);
    let listed = scene.client.inventory(DISK, None, page * 2 + 50).await;
    let counters: Vec<u64> = listed
        .unwrap()
        .iter()
        .map(|found| found.incarnation.counter)
        .collect();
    assert_eq!(counters, (0..page as u64 * 2 + 50).collect::<Vec<_>>());
    let all = scene
        .client
        .inventory(DISK, None, usize::MAX)
        .await
        .unwrap();
    assert_eq!(all.len(), page * 2 + 100);

    let delete = ShardDelete {
        chunk: chunk(),
        incarnation: header.incarnation,
    };
    let many = vec![delete; limits::RPC_DELETES_MAX + 3];
    scene.client.delete(DISK, 7, &many).await.unwrap();
    assert_eq!(
        scene.store.deletes(),
        [(7, limits::RPC_DELETES_MAX), (7, 3)]
    );
}

#[tokio::test]
async fn the_nodes_errors_arrive() {
    let scene = scene();
    let header = header(Coding::new(1, 0).unwrap(), 10);
    for error in [
        ShardError::StaleEpoch { current: 12 },
        ShardError::NotMine,
        ShardError::Missing,
        ShardError::Corrupt("cell 3".to_owned()),
        ShardError::Full,
        ShardError::Failed("EIO".to_owned()),
        ShardError::Unavailable("too many".to_owned()),
    ] {
        scene.store.fail(Some(error.clone()));
        let client = &scene.client;
        assert_eq!(store(client, header).await, Err(error.clone()));
        assert_eq!(client.read(read(&header, 0, 1)).await, Err(error.clone()));
        assert_eq!(client.space(DISK).await, Err(error.clone()));
        assert_eq!(client.inventory(DISK, None, 1).await, Err(error));
    }
}

#[tokio::test]
async fn a_failed_write_says_why_however_much_was_sent_ahead() {
    for after in [0, 1, 40, 200] {
        let scene = scene();
        scene.store.fail_writes(after, ShardError::Full);
        let header = header(Coding::new(1, 0).unwrap(), 64 * MIB);
        assert_eq!(
            store(&scene.client, header).await,
            Err(ShardError::Full),
            "{after}"
        );
        timeout(LONG, scene.store.dropped.notified()).await.unwrap();
        assert_eq!(scene.store.stored(), []);
    }
}

#[tokio::test]
async fn no_more_than_the_window_is_sent_ahead_of_a_slow_disk() {
    let scene = scene_of(&Role::ALL, Duration::from_millis(400));
    scene.peer.heartbeat(1, LONG).await.unwrap();
    scene.store.gate.forget_permits(1 << 20);
    let header = header(Coding::new(1, 0).unwrap(), 16 * MIB);
    let mut upload = scene.client.prepare(header).await.unwrap();
    let mut written = 0;
    for cell in cells(&header) {
        match upload.write(&[cell]).await {
            Ok(()) => written += u64::from(limits::CELL_LEN),
            Err(ShardError::Unavailable(_)) => break,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(written, limits::RPC_UPLOAD_WINDOW);
    assert_eq!(scene.store.taken(), 0);
}

#[tokio::test]
async fn acks_open_the_window_again() {
    let scene = scene();
    scene.store.gate.forget_permits(1 << 20);
    let header = header(Coding::new(1, 0).unwrap(), 16 * MIB);
    let client = ShardClient::new(Arc::clone(&scene.peer), LONG);
    let storing = tokio::spawn(async move { store(&client, header).await });
    timeout(LONG, scene.store.begun.notified()).await.unwrap();
    for _ in 0..256 {
        scene.store.gate.add_permits(1);
        tokio::task::yield_now().await;
    }
    assert!(storing.await.unwrap().is_ok());
    assert_eq!(scene.store.taken(), 16 * MIB);
}

#[tokio::test]
async fn an_upload_dropped_or_cut_off_gives_its_space_back() {
    let scene = scene();
    let header = header(Coding::new(1, 0).unwrap(), MIB);
    let mut upload = scene.client.prepare(header).await.unwrap();
    upload.write(&cells(&header)).await.unwrap();
    drop(upload);
    timeout(LONG, scene.store.dropped.notified()).await.unwrap();

    let mut upload = scene.client.prepare(header).await.unwrap();
    upload.write(&cells(&header)[..3]).await.unwrap();
    scene.caller.close().await;
    timeout(LONG, scene.store.dropped.notified()).await.unwrap();
    let failed = upload.finish(trailer(&header)).await;
    assert!(failed.is_err());
    assert_eq!(scene.store.stored(), []);
}

#[tokio::test]
async fn a_node_that_dies_is_unavailable_in_every_call() {
    let scene = scene();
    let header = header(Coding::new(1, 0).unwrap(), MIB);
    let mut upload = scene.client.prepare(header).await.unwrap();
    upload.write(&cells(&header)[..3]).await.unwrap();
    scene.server.close().await;
    let is_unavailable = |error| matches!(error, ShardError::Unavailable(_));
    let rest = &cells(&header)[3..];
    let written = upload.write(rest).await;
    let finished = match written {
        Ok(()) => upload.finish(trailer(&header)).await.map(|_| ()),
        failed => failed,
    };
    assert!(is_unavailable(finished.unwrap_err()));
    let client = ShardClient::new(Arc::clone(&scene.peer), Duration::from_millis(200));
    assert!(is_unavailable(
        client.prepare(header).await.map(|_| ()).unwrap_err()
    ));
    assert!(is_unavailable(
        client.read(read(&header, 0, 1)).await.unwrap_err()
    ));
    assert!(is_unavailable(client.space(DISK).await.unwrap_err()));
}

#[tokio::test]
async fn refuses_cells_that_are_too_many_or_too_few() {
    let scene = scene();
    let header = header(Coding::new(1, 0).unwrap(), MIB);
    let mut upload = scene.client.prepare(header).await.unwrap();
    let few = &cells(&header)[1..];
    upload.write(few).await.unwrap();
    let refused = upload.finish(trailer(&header)).await;
    assert!(
        matches!(refused, Err(ShardError::Refused(_))),
        "{refused:?}"
    );
    let mut upload = scene.client.prepare(header).await.unwrap();
    upload.write(&cells(&header)).await.unwrap();
    let refused = upload.write(&[Bytes::from_static(b"x")]).await;
    assert!(
        matches!(refused, Err(ShardError::Refused(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn each_role_has_its_storage_calls() {
    let role = || ShardError::Refused("this role may not make this call");
    let header = header(Coding::new(1, 0).unwrap(), 10);
    let gateway = scene_of(&[Role::Gateway], LONG);
    assert!(store(&gateway.client, header).await.is_ok());
    let delete = ShardDelete {
        chunk: chunk(),
        incarnation: header.incarnation,
    };
    assert_eq!(gateway.client.delete(DISK, 7, &[delete]).await, Err(role()));
    assert_eq!(gateway.client.inventory(DISK, None, 1).await, Err(role()));
    assert_eq!(gateway.store.stored().len(), 1, "nothing was deleted");
    let voter = scene_of(&[Role::MetadataVoter], LONG);
    assert_eq!(store(&voter.client, header).await, Err(role()));
    assert_eq!(voter.client.read(read(&header, 0, 1)).await, Err(role()));
    assert!(voter.client.delete(DISK, 7, &[delete]).await.is_ok());
}

#[tokio::test]
async fn refuses_calls_that_break_the_format() {
    let scene = scene();
    let good = {
        let (data, parity, cell, layout) = (4, 2, limits::CELL_LEN, 1);
        wire::Prepare {
            disk: vec![1; 16].into(),
            incarnation: vec![1; 16].into(),
            chunk_length: MIB,
            coding: Some(cairn_wire::metadata::Coding {
                data,
                parity,
                cell,
                layout,
            }),
            ..wire::Prepare::default()
        }
    };
    let broken = |change: fn(&mut wire::Prepare)| {
        let mut prepare = good.clone();
        change(&mut prepare);
        wire::request::Call::Prepare(prepare)
    };
    let delete = wire::Delete {
        generation: 7,
        disk: vec![1; 16].into(),
        writings: vec![wire::Writing::default()],
    };
    let inventory = wire::Inventory {
        disk: vec![1; 16].into(),
        limit: limits::RPC_INVENTORY_MAX as u32 + 1,
        after: None,
    };
    for asked in [
        broken(|prepare| prepare.disk = vec![1; 15].into()),
        broken(|prepare| prepare.incarnation = vec![1; 17].into()),
        broken(|prepare| prepare.shard = 6),
        broken(|prepare| prepare.shard = 256),
        broken(|prepare| prepare.coding = None),
        broken(|prepare| prepare.coding.as_mut().unwrap().data = 0),
        broken(|prepare| prepare.coding.as_mut().unwrap().layout = 2),
        broken(|prepare| prepare.chunk_length = limits::CHUNK_LEN_MAX + 1),
        wire::request::Call::Delete(delete),
        wire::request::Call::Inventory(inventory),
        wire::request::Call::Space(wire::Space::default()),
        wire::request::Call::Read(wire::Read::default()),
    ] {
        let call = Some(asked.clone());
        let request = wire::Request { call }.encode_to_vec();
        let outcome = scene
            .peer
            .call(FrameType::Storage, request.into(), LONG)
            .await;
        let refused = Err(CallError::Refused(Refusal::Malformed));
        assert_eq!(outcome, refused, "{asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_uploads_at_once_each_arrive() {
    let scene = scene();
    let client = Arc::new(scene.client);
    let mut storing = tokio::task::JoinSet::new();
    for counter in 0..64 {
        let client = Arc::clone(&client);
        let mut header = header(Coding::new(2, 1).unwrap(), MIB + counter);
        header.incarnation.counter = counter;
        storing.spawn(async move { store(&client, header).await.map(|_| header) });
    }
    let mut done = 0;
    while let Some(outcome) = storing.join_next().await {
        let header = outcome.unwrap().unwrap();
        let all = client.read(read(&header, 0, u32::MAX)).await.unwrap();
        assert!(all.cells == cells(&header));
        done += 1;
    }
    assert_eq!((done, scene.store.stored().len()), (64, 64));
}
