//! Plain stand-ins for the other houses, for tests of the gateway alone.

pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod disks;
pub(crate) mod log;
pub(crate) mod metadata;
pub(crate) mod rig;
pub(crate) mod site;

pub(crate) use client::Signer;
pub(crate) use clock::HandClock;
pub(crate) use disks::{DiskFault, FakeDisks};
pub(crate) use log::Log;
pub(crate) use metadata::{FakeMetadata, Fault};
pub(crate) use rig::{Ending, Rig, Script, pattern};
pub(crate) use site::{Got, Site};
