//! Rebuilds on simulated disks, each with a node of its own.

mod crash;
mod liars;
mod orders;
mod quic;
mod real;
mod rig;
mod swap;
