//! A one-voter host with a small state machine: restarted, crashed, robbed and refused.

#[path = "raft_host/crashes.rs"]
mod crashes;
#[path = "raft_host/fjall.rs"]
mod fjall;
#[path = "raft_host/losses.rs"]
mod losses;
#[path = "raft_host/serving.rs"]
mod serving;
#[path = "raft_host/world.rs"]
mod world;
