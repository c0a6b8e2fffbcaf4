//! Raft host, journal, state machine and planners.
pub mod apply;
pub mod keyspace;
pub mod planner;
pub mod query;
pub mod journal;
pub mod snapshot;
