//! Several members in one process, on simulated clocks and disks, over a network that is as bad as
//! a test wants it.

#[cfg(test)]
#[path = "raft_cluster/agreement.rs"]
mod agreement;
#[cfg(test)]
#[path = "raft_cluster/cluster.rs"]
mod cluster;
#[cfg(test)]
#[path = "raft_cluster/faults.rs"]
mod faults;
#[cfg(test)]
#[path = "raft_cluster/forced.rs"]
mod forced;
#[cfg(test)]
#[path = "raft_cluster/membership.rs"]
mod membership;
#[cfg(test)]
#[path = "raft_cluster/network.rs"]
mod network;
#[cfg(test)]
#[path = "raft_cluster/refusals.rs"]
mod refusals;
#[cfg(test)]
#[path = "raft_cluster/voters.rs"]
mod voters;
#[cfg(test)]
#[path = "raft_cluster/votes.rs"]
mod votes;
#[cfg(test)]
#[path = "raft_host/world.rs"]
#[expect(
    dead_code,
    reason = "shared with the one-voter tests, which use all of it"
)]
mod world;
