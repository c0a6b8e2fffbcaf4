//! The whole node on simulated disks, stepped by hand.

mod compaction;
mod crash;
mod damage;
mod faults;
mod groups;
mod real;
mod recovery;
mod rig;
mod room;
mod service;
