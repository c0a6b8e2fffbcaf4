//! Three voters in one process, over a network of function calls.

#[cfg(test)]
#[path = "raft_cluster/network.rs"]
mod network;
#[cfg(test)]
#[path = "raft_cluster/voters.rs"]
mod voters;
#[cfg(test)]
#[path = "raft_host/world.rs"]
#[expect(
    dead_code,
    reason = "shared with the one-voter tests, which use all of it"
)]
mod world;
