//! A one-voter host with a small state machine: restarted, crashed, robbed and refused.

#[cfg(test)]
#[path = "raft_host/crashes.rs"]
mod crashes;
#[cfg(test)]
#[path = "raft_host/fjall.rs"]
mod fjall;
#[cfg(test)]
#[path = "raft_host/losses.rs"]
mod losses;
#[cfg(test)]
#[path = "raft_host/serving.rs"]
mod serving;
#[cfg(test)]
#[path = "raft_host/world.rs"]
mod world;
