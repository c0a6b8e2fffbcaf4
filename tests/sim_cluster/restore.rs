//! A restore from a backup: all voters stop, and what one of them was, now or some minutes ago, becomes
//! the whole metadata of the cluster in its next generation. Clients are held meanwhile.
//!
//! ```text
//!   image of the leader ── garbage, moves, repairs go on ── voters stop ── image starts alone, bumped
//!        ── others go on as disks only, new voters join ── nothing may vanish from any disk while deletion
//!           is frozen ── lifted ── nobody takes a stamp of before
//! ```
//!
//! Nothing that clients were acknowledged lies between image and stop, so nothing of it may be lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cairn_metadata::raft::Member;
use cairn_metadata::restore::restore;
use cairn_model::{Coding, DiskId, Incarnation, SessionId};
use cairn_rpc::{ShardError, ShardFound, ShardHeader, ShardService as _};
use cairn_tests::simulated::workload::Run;
use cairn_wire::metadata::ClusterAnswer;
use cairn_world::Disk;
use cairn_world::sim::{SeededRng, SimEntropy};

use crate::cluster::{Cluster, VOTERS, address};
use crate::machine::{End, VoterDisk};
use crate::node::voter_settings;
use crate::observe;

/// The longest that mark and inventory may take once all nodes are there.
const THAW: Duration = Duration::from_secs(20 * 60);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longer than a call to a disk may take.
const SENT: Duration = Duration::from_secs(60);
/// The longest that a cluster without clients may have to find a leader.
const LEADER: Duration = Duration::from_secs(120);

/// Lets clients work for a while, so that there is garbage whose sessions are open, then restores; what
/// was wrong about it.
pub(crate) async fn phase(
    cluster: &mut Cluster,
    work: &Run,
    random: &mut SeededRng,
) -> Result<Vec<String>, String> {
    let ended = Arc::new(AtomicBool::new(false));
    let (until, working) = (Arc::clone(&ended), work.clone());
    let mut drawn = SeededRng::new(random.next_u64());
    let clients = tokio::spawn(async move {
        let until = move || until.load(Ordering::SeqCst);
        working.clients(&mut drawn, until).await;
    });
    tokio::time::sleep(Duration::from_secs(5 + random.below(30))).await;
    ended.store(true, Ordering::SeqCst);
    clients.await.map_err(|error| error.to_string())?;
    act(cluster, random).await
}

async fn act(cluster: &mut Cluster, random: &mut SeededRng) -> Result<Vec<String>, String> {
    let chosen = leader(cluster).await?;
    let generation = cluster.cluster().await?.generation;
    // Stopped in order: all that any majority acknowledged is in what the leader has written.
    cluster.stop(chosen).await;
    let image = image(cluster, chosen)?;
    cluster.start(chosen).await?;
    let gap = Duration::from_secs(random.below(2) * random.below(600));
    tracing::info!(chosen, ?gap, "an image is taken");
    tokio::time::sleep(gap).await;
    let voters = voters(cluster);
    for id in &voters {
        let how = [End::Kill, End::PowerCut];
        cluster.crash(*id, *random.pick(&how).unwrap_or(&End::Kill));
    }
    // What the old leader has sent to disks may arrive for so long.
    tokio::time::sleep(SENT).await;
    let before = lying(cluster)?;
    take_up(cluster, chosen, image, random)?;
    for id in voters {
        if id != chosen
            && let Some(machine) = cluster.machines.get_mut(&id)
        {
            // Its disk stays, its history goes.
            machine.voter = None;
        }
        cluster.start(id).await?;
    }
    let mut wrong = until_thawed(cluster, generation, &before).await?;
    for id in cluster.nodes.keys().copied().collect::<Vec<u64>>() {
        if random.chance(1, 3) {
            cluster.crash(id, End::PowerCut);
            cluster.start(id).await?;
        }
    }
    wrong.extend(unfenced(cluster, generation).await?);
    while voters_of(cluster) < usize::try_from(VOTERS).unwrap() {
        cluster.join(true).await?;
    }
    Ok(wrong)
}

async fn leader(cluster: &Cluster) -> Result<u64, String> {
    let begun = cluster.time.elapsed();
    loop {
        if let Some(leader) = cluster.leader() {
            return Ok(leader);
        }
        if cluster.time.elapsed() - begun > LEADER {
            return Err("nobody leads before the restore".to_owned());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn voters(cluster: &Cluster) -> Vec<u64> {
    let machines = cluster.machines.values();
    let voters = machines.filter(|machine| machine.voter.is_some());
    voters.map(|machine| machine.id).collect()
}

fn voters_of(cluster: &Cluster) -> usize {
    voters(cluster).len()
}

/// A copy of a stopped voter's directory.
fn image(cluster: &Cluster, id: u64) -> Result<VoterDisk, String> {
    let voter = cluster
        .machines
        .get(&id)
        .and_then(|machine| machine.voter.as_ref());
    voter
        .map(VoterDisk::copy)
        .ok_or_else(|| "the leader has no directory".to_owned())
}

/// What an operator does with the copy, by the product's own act.
fn take_up(
    cluster: &mut Cluster,
    id: u64,
    image: VoterDisk,
    random: &mut SeededRng,
) -> Result<(), String> {
    let tuning = cluster.tuning;
    let machine = cluster.machines.get_mut(&id).ok_or("no such machine")?;
    let settings = voter_settings(machine, &tuning, false);
    let disk: Arc<dyn Disk> = Arc::new(image.disk.clone());
    let alone = Member {
        id,
        address: address(id),
    };
    let entropy = SimEntropy::new(random.next_u64());
    restore(&settings, disk, &entropy, &alone, 0).map_err(|error| error.to_string())?;
    // The power goes before the first start, too.
    let end = if random.chance(1, 2) {
        End::PowerCut
    } else {
        End::Kill
    };
    machine.voter = Some(image);
    machine.end(end);
    Ok(())
}

type Lying = BTreeSet<(DiskId, ShardKey)>;
type ShardKey = (Incarnation, u8, cairn_model::ChunkId);

fn lying(cluster: &Cluster) -> Result<Lying, String> {
    let key = |shard: ShardFound| (shard.incarnation, shard.shard, shard.chunk);
    let all = observe::inventory(cluster)?.into_iter();
    Ok(all
        .flat_map(|(disk, shards)| shards.into_iter().map(move |shard| (disk, key(shard))))
        .collect())
}

/// Waits until deletion goes on; until then nothing may vanish.
async fn until_thawed(
    cluster: &Cluster,
    generation: u32,
    before: &Lying,
) -> Result<Vec<String>, String> {
    let begun = cluster.time.elapsed();
    let mut was_frozen = false;
    loop {
        let now = lying(cluster)?;
        let view = cluster.cluster().await?;
        if view.generation != generation + 1 {
            return Ok(vec![format!(
                "generation {} after a restore",
                view.generation
            )]);
        }
        if view.frozen_since == 0 && was_frozen {
            return Ok(Vec::new());
        }
        // Asked after the look: what is missing was missing while deletion was frozen.
        was_frozen = true;
        if let Some((disk, shard)) = before.difference(&now).next() {
            return Ok(vec![format!(
                "while deletion is frozen {shard:?} has vanished from {disk:?}"
            )]);
        }
        if cluster.time.elapsed() - begun > THAW {
            return Ok(vec![format!("deletion is frozen still after {THAW:?}")]);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Disks that take a write under a stamp of before, or deletes of then.
async fn unfenced(cluster: &Cluster, generation: u32) -> Result<Vec<String>, String> {
    let view: ClusterAnswer = cluster.cluster().await?;
    let members = view
        .disks
        .iter()
        .map(|row| row.node)
        .collect::<BTreeSet<u64>>();
    let before = u16::try_from(generation).unwrap();
    let mut wrong = Vec::new();
    for (id, node) in cluster.nodes.iter().filter(|(id, _)| members.contains(id)) {
        let header = ShardHeader {
            disk: node.disk,
            // As if of a table that the node has not heard of: its row does not matter then.
            epoch: u64::MAX,
            incarnation: Incarnation {
                group: 1,
                generation: before,
                session: SessionId(1),
                counter: 1,
            },
            shard: 0,
            coding: Coding::new(4, 2).unwrap(),
            chunk_len: 1_000_000,
        };
        match node.storage.prepare(header).await {
            Err(ShardError::Refused(_)) => {}
            Err(other) => tracing::info!(id, %other, "a fence is not seen"),
            Ok(_) => wrong.push(format!(
                "node {id} takes a write of generation {generation}"
            )),
        }
        match node.storage.delete(node.disk, before, &[]).await {
            Err(ShardError::Refused(_)) => {}
            Err(other) => tracing::info!(id, %other, "a fence is not seen"),
            Ok(()) => wrong.push(format!(
                "node {id} takes deletes of generation {generation}"
            )),
        }
    }
    Ok(wrong)
}
