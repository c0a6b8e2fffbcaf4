//! Rebuilds on simulated disks, each with a node of its own.

mod crash;
mod liars;
mod orders;
mod real;
mod rig;
mod swap;
