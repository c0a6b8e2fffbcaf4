//! What the way of a shard costs: a chunk of 64 MiB as 4 + 2 shards written side by side and read
//! back, in process and over QUIC on loopback, onto a disk and (QUIC) onto nothing.
//!
//! `cargo run --release -p cairn-storage-node --example shard_path [directory of the disk [part of a path's name]]`
//!
//! Caller and node are one process, so its CPU time is that of both sides. The cells are made
//! beforehand: no erasure code, no hashing of the body is in it.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_erasure::{CellTable, crc32c};
use cairn_model::{ChunkId, Coding, DiskId, DomainId, Incarnation, NodeId, SessionId, Sha256};
use cairn_rpc::quic::{
    ClusterCa, ClusterId, Dispatcher, Endpoint, Identity, NodeKey, Party, PinnedMembers, Role,
    Roles, ShardClient, ShardHandler, Versions,
};
use cairn_rpc::{
    ShardCells, ShardDelete, ShardError, ShardFound, ShardHeader, ShardInventory, ShardRead,
    ShardReceipt, ShardService, ShardTrailer, ShardUpload,
};
use cairn_storage_node::{DiskSource, Settings, StorageNode};
use cairn_store::MemoryStore;
use cairn_wire::frame::FrameType;
use cairn_world::real::{OsEntropy, RealClock, RealDisk};
use cairn_world::{Clock, Entropy};
use tokio::task::JoinSet;

type Fatal = Box<dyn std::error::Error + Send + Sync>;

const CHUNK: u64 = 64 << 20;
/// Chunks of one figure; one more before it is not counted.
const ROUNDS: u64 = 12;
/// Chunks on their way at once.
const TOGETHER: u64 = 2;
/// Cells handed over at once, as the gateway does.
const STRIPES: usize = 4;

/// Takes everything and keeps nothing; gives the same cell again and again.
#[derive(Debug)]
struct Nothing(Bytes);

#[derive(Debug)]
struct Swallow(ShardHeader);

#[async_trait]
impl ShardUpload for Swallow {
    async fn write(&mut self, _: &[Bytes]) -> Result<(), ShardError> {
        Ok(())
    }

    async fn finish(self: Box<Self>, _: ShardTrailer) -> Result<ShardReceipt, ShardError> {
        Ok(ShardReceipt {
            disk: self.0.disk,
            incarnation: self.0.incarnation,
            shard: self.0.shard,
        })
    }
}

#[async_trait]
impl ShardService for Nothing {
    async fn prepare(&self, header: ShardHeader) -> Result<Box<dyn ShardUpload>, ShardError> {
        Ok(Box::new(Swallow(header)))
    }

    async fn read(&self, read: ShardRead) -> Result<ShardCells, ShardError> {
        let cells = (0..read.cells).map(|_| self.0.clone()).collect();
        Ok(ShardCells {
            cells,
            checksums: None,
            cell_table: None,
        })
    }

    async fn delete(&self, _: DiskId, _: u16, _: &[ShardDelete]) -> Result<(), ShardError> {
        Ok(())
    }

    async fn space(&self, _: DiskId) -> Result<(u64, u64), ShardError> {
        Ok((1 << 40, 1 << 40))
    }
}

#[async_trait]
impl ShardInventory for Nothing {
    async fn inventory(
        &self,
        _: DiskId,
        _: Option<(Incarnation, u8)>,
        _: usize,
    ) -> Result<Vec<ShardFound>, ShardError> {
        Ok(Vec::new())
    }
}

/// What is written: every shard the same cells.
#[derive(Clone, Debug)]
struct Load {
    coding: Coding,
    cell: Bytes,
    table: Arc<[u32]>,
    disk: DiskId,
}

impl Load {
    fn new(disk: DiskId) -> Result<Self, Fatal> {
        let coding = Coding::new(4, 2)?;
        let mut cell = vec![0; usize::try_from(coding.cell())?];
        OsEntropy.fill(&mut cell);
        let entries = usize::try_from(CellTable::cells(coding, CHUNK))?;
        Ok(Self {
            coding,
            table: vec![crc32c(&cell); entries].into(),
            cell: cell.into(),
            disk,
        })
    }

    fn incarnation(&self, counter: u64) -> Incarnation {
        Incarnation {
            group: 0,
            generation: 1,
            session: SessionId(1),
            counter,
        }
    }

    fn chunk(&self) -> ChunkId {
        ChunkId {
            domain: DomainId(1),
            sha256: Sha256([7; 32]),
        }
    }

    fn shards(&self) -> impl Iterator<Item = u8> + use<> {
        0..u8::try_from(self.coding.shards()).unwrap_or(u8::MAX)
    }

    /// Bytes of one chunk's shards.
    fn bytes(&self) -> u64 {
        self.coding.shard_len(CHUNK) * self.shards().count() as u64
    }

    async fn put_shard(
        &self,
        service: &dyn ShardService,
        counter: u64,
        shard: u8,
    ) -> Result<(), ShardError> {
        let header = ShardHeader {
            disk: self.disk,
            epoch: 1,
            incarnation: self.incarnation(counter),
            shard,
            coding: self.coding,
            chunk_len: CHUNK,
        };
        let mut upload = service.prepare(header).await?;
        let stripes = usize::try_from(self.coding.stripes(CHUNK)).unwrap_or(0);
        let some = vec![self.cell.clone(); STRIPES];
        for _ in 0..stripes / STRIPES {
            upload.write(&some).await?;
        }
        let trailer = ShardTrailer {
            chunk: self.chunk(),
            cell_table: Arc::clone(&self.table),
        };
        upload.finish(trailer).await.map(drop)
    }

    async fn get_shard(
        &self,
        service: &dyn ShardService,
        counter: u64,
        shard: u8,
    ) -> Result<(), ShardError> {
        let stripes = self.coding.stripes(CHUNK);
        for first_cell in (0..stripes).step_by(STRIPES) {
            let read = ShardRead {
                disk: self.disk,
                epoch: 1,
                chunk: self.chunk(),
                incarnation: self.incarnation(counter),
                shard,
                first_cell,
                cells: u32::try_from(STRIPES).unwrap_or(1),
                with_table: false,
            };
            let found = service.read(read).await?;
            if found.cells.len() != STRIPES {
                return Err(ShardError::Missing);
            }
        }
        Ok(())
    }

    async fn move_chunk(
        &self,
        service: &Arc<dyn ShardService>,
        counter: u64,
        is_put: bool,
    ) -> Result<(), Fatal> {
        let mut shards = JoinSet::new();
        for shard in self.shards() {
            let (load, service) = (self.clone(), Arc::clone(service));
            shards.spawn(async move {
                match is_put {
                    true => load.put_shard(service.as_ref(), counter, shard).await,
                    false => load.get_shard(service.as_ref(), counter, shard).await,
                }
            });
        }
        while let Some(outcome) = shards.join_next().await {
            outcome??;
        }
        Ok(())
    }
}

/// User and system time of this process so far.
fn cpu() -> Result<(Duration, Duration), Fatal> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let behind_name = stat.rsplit_once(") ").ok_or("no stat")?.1;
    let mut fields = behind_name.split(' ').skip(11);
    let mut ticks = || -> Result<Duration, Fatal> {
        let ticks: u64 = fields.next().ok_or("short stat")?.parse()?;
        // A tick is 10 ms on every Linux that shows them here.
        Ok(Duration::from_millis(ticks * 10))
    };
    Ok((ticks()?, ticks()?))
}

/// Writes chunks, or reads what was written, and prints a row of the table.
async fn measure(
    name: &str,
    load: &Load,
    service: &Arc<dyn ShardService>,
    is_put: bool,
) -> Result<(), Fatal> {
    load.move_chunk(service, 0, is_put).await?;
    let clock = RealClock::new();
    let (began, (user, system)) = (clock.monotonic(), cpu()?);
    let mut running = JoinSet::new();
    for counter in 1..=ROUNDS {
        if counter > TOGETHER {
            running.join_next().await.ok_or("nothing runs")???;
        }
        let (load, service) = (load.clone(), Arc::clone(service));
        running.spawn(async move { load.move_chunk(&service, counter, is_put).await });
    }
    while let Some(outcome) = running.join_next().await {
        outcome??;
    }
    let wall = clock.monotonic() - began;
    let (user_after, system_after) = cpu()?;
    let bytes = (load.bytes() * ROUNDS) as f64;
    let each = |time: Duration| time.as_secs_f64() * 1e9 / bytes;
    let (user, system) = (each(user_after - user), each(system_after - system));
    writeln!(
        std::io::stdout(),
        "| {name} | {} | {:.2} | {:.2} | {user:.2} | {system:.2} |",
        if is_put { "write" } else { "read" },
        bytes / wall.as_secs_f64() / 1e9,
        user + system,
    )?;
    Ok(())
}

async fn both_ways(name: &str, load: &Load, service: &Arc<dyn ShardService>) -> Result<(), Fatal> {
    measure(name, load, service, true).await?;
    measure(name, load, service, false).await
}

fn join(
    ca: &ClusterCa,
    members: &Arc<PinnedMembers>,
    node: NodeId,
    dispatcher: Option<Dispatcher>,
) -> Result<Endpoint, Fatal> {
    let roles = Roles::of(&Role::ALL);
    let key = NodeKey::draw(&OsEntropy)?;
    members.pin(node, key.public(), roles);
    let issued = ca.issue(node, key.public(), roles)?;
    let members = Arc::clone(members);
    let party = Party {
        identity: Identity::new(&issued, &key, ca.certificate())?,
        members,
        versions: Versions::HERE,
        clock: Arc::new(RealClock::new()),
        entropy: Arc::new(OsEntropy),
    };
    let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    Ok(Endpoint::bind(any, party, dispatcher)?)
}

/// The same service, called over QUIC.
async fn over_quic<S>(name: &str, load: &Load, service: &Arc<S>) -> Result<(), Fatal>
where
    S: ShardService + ShardInventory + 'static,
{
    let ca = ClusterCa::new(ClusterId([1; 16]), NodeKey::draw(&OsEntropy)?)?;
    let members = Arc::new(PinnedMembers::default());
    let handler = ShardHandler::new(Arc::clone(service) as _, Arc::clone(service) as _);
    let dispatcher = Dispatcher::default().with(FrameType::Storage, Arc::new(handler));
    let (node, caller) = (NodeId(1), NodeId(2));
    let server = join(&ca, &members, node, Some(dispatcher))?;
    let caller = join(&ca, &members, caller, None)?;
    let peer = caller.peer(node, &[server.local_addr()?]);
    let client: Arc<dyn ShardService> = Arc::new(ShardClient::new(peer, Duration::from_secs(60)));
    both_ways(name, load, &client).await?;
    caller.close().await;
    server.close().await;
    Ok(())
}

fn disk(path: PathBuf) -> Result<Arc<StorageNode>, Fatal> {
    let source = DiskSource {
        disk: Arc::new(RealDisk::open(&path)?),
        index: Box::new(MemoryStore::new()),
    };
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let settings = Settings::default();
    let node = StorageNode::open([1; 16], NodeId(1), vec![source], &settings, &entropy)?;
    Ok(Arc::new(node))
}

/// Both ways of both paths, onto a disk in `path`.
async fn onto_disk(name: &str, path: PathBuf, is_quic: bool) -> Result<(), Fatal> {
    std::fs::create_dir(&path)?;
    let node = disk(path.clone())?;
    let id = node.disks().first().and_then(|status| status.disk);
    let load = Load::new(id.ok_or("no disk")?)?;
    match is_quic {
        true => over_quic(name, &load, &node).await?,
        false => both_ways(name, &load, &(Arc::clone(&node) as _)).await?,
    }
    node.close()?;
    std::fs::remove_dir_all(path)?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Fatal> {
    let mut arguments = std::env::args_os().skip(1);
    let place = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let only = arguments.next().unwrap_or_default();
    let only = only.to_string_lossy();
    let directory = tempfile::tempdir_in(place)?;
    writeln!(
        std::io::stdout(),
        "| path | | GB/s | CPU ns/B | user | system |\n|---|---|---|---|---|---|"
    )?;
    let load = Load::new(DiskId([1; 16]))?;
    let nothing = Arc::new(Nothing(load.cell.clone()));
    for (name, is_quic, has_disk) in [
        ("QUIC, onto nothing", true, false),
        ("in process, onto a disk", false, true),
        ("QUIC, onto a disk", true, true),
    ] {
        if !name.contains(only.as_ref()) {
            continue;
        }
        match has_disk {
            true => onto_disk(name, directory.path().join("disk"), is_quic).await?,
            false => over_quic(name, &load, &nothing).await?,
        }
    }
    Ok(())
}
