//! Planners.
pub mod garbage;
