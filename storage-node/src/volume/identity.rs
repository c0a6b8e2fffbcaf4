//! Whose directory this is, and which generations it refuses.
//!
//! `identity` is written once, before the first segment. A directory that has segments and no
//! readable identity is never taken over. `fence-NNNNN` carries its value in its name, so it cannot
//! be torn.

use std::io;
use std::sync::Arc;

use cairn_model::{DiskId, NodeId, format_version};
use cairn_world::{Access, Disk, Entropy, OpenMode};

use super::OpenError;
use super::files;
use crate::format::checksum::crc32c;
use crate::format::fields::Fields;

const FILE: &str = "identity";
const MAGIC: &[u8; 8] = b"CAIRNDSK";
const LEN: usize = 8 + 2 + 16 + 8 + 16 + 4;

/// Whose directory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeIdentity {
    /// The cluster's random name, drawn at `init`.
    pub cluster: [u8; 16],
    /// The node it belongs to.
    pub node: NodeId,
    /// The disk itself.
    pub disk: DiskId,
}

impl VolumeIdentity {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend(MAGIC);
        bytes.extend(format_version::DIRECTORY.to_be_bytes());
        bytes.extend(self.cluster);
        bytes.extend(self.node.0.to_be_bytes());
        bytes.extend(self.disk.0);
        bytes.extend(crc32c(&bytes).to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (summed, sum) = bytes.split_last_chunk::<4>()?;
        if bytes.len() != LEN || u32::from_be_bytes(*sum) != crc32c(summed) {
            return None;
        }
        let mut fields = Fields(summed);
        fields.expect(MAGIC)?;
        if fields.u16()? != format_version::DIRECTORY {
            return None;
        }
        Some(Self {
            cluster: fields.array()?,
            node: NodeId(fields.u64()?),
            disk: DiskId(fields.array()?),
        })
    }
}

/// Reads the identity, or writes one into a directory that holds nothing yet. Names that a killed process
/// may have left in a cache alone are made durable first, the fence's too.
pub(super) fn open_or_create(
    disk: &dyn Disk,
    cluster: [u8; 16],
    node: NodeId,
    entropy: &Arc<dyn Entropy>,
) -> Result<VolumeIdentity, OpenError> {
    disk.sync_dir("")?;
    if let Some(found) = read(disk)? {
        if found.cluster != cluster || found.node != node {
            return Err(OpenError::Foreign(found));
        }
        return Ok(found);
    }
    if disk.list(files::DIR).is_ok_and(|names| !names.is_empty()) {
        return Err(OpenError::Damaged("segments without a readable identity"));
    }
    let mut name = [0; 16];
    entropy.fill(&mut name);
    let identity = VolumeIdentity {
        cluster,
        node,
        disk: DiskId(name),
    };
    write(disk, &identity)?;
    Ok(identity)
}

/// The identity; `None` where there is none, or one torn before it was ever used.
fn read(disk: &dyn Disk) -> io::Result<Option<VolumeIdentity>> {
    let file = match disk.open(FILE, OpenMode::Existing, Access::Buffered) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = vec![0; LEN];
    let got = file.read_at(&mut bytes, 0)?;
    Ok(VolumeIdentity::decode(bytes.get(..got).unwrap_or_default()))
}

fn write(disk: &dyn Disk, identity: &VolumeIdentity) -> io::Result<()> {
    let file = match disk.open(FILE, OpenMode::CreateNew, Access::Buffered) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.open(FILE, OpenMode::Existing, Access::Buffered)?
        }
        opened => opened?,
    };
    file.set_len(0)?;
    file.write_at(&identity.encode(), 0)?;
    file.sync()?;
    sync_name(disk, FILE)
}

/// Makes the name of a new file durable. Where that fails no later sync proves it: it is taken away again.
fn sync_name(disk: &dyn Disk, name: &str) -> io::Result<()> {
    disk.sync_dir("").inspect_err(|_failed| {
        let _ = disk.remove(name);
    })
}

/// The oldest generation whose writes are taken.
pub(super) fn read_fence(disk: &dyn Disk) -> io::Result<u16> {
    let names = disk.list("")?;
    Ok(names
        .iter()
        .filter_map(|name| fence_of(name))
        .max()
        .unwrap_or(0))
}

fn fence_of(name: &str) -> Option<u16> {
    let digits = name.strip_prefix("fence-")?;
    (digits.len() == 5).then(|| digits.parse().ok()).flatten()
}

/// Raises the fence durably.
pub(super) fn write_fence(disk: &dyn Disk, generation: u16) -> io::Result<()> {
    let name = format!("fence-{generation:05}");
    match disk.open(&name, OpenMode::CreateNew, Access::Buffered) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _made => {}
    }
    sync_name(disk, &name)?;
    let names = disk.list("")?;
    for older in names
        .iter()
        .filter(|name| fence_of(name).is_some_and(|old| old < generation))
    {
        disk.remove(older)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_world::sim::{Fault, FaultOn, SimDisk, SimEntropy};

    fn draw(disk: &SimDisk, cluster: u8, node: u64) -> Result<VolumeIdentity, OpenError> {
        let entropy: Arc<dyn Entropy> = Arc::new(SimEntropy::new(3));
        open_or_create(disk, [cluster; 16], NodeId(node), &entropy)
    }

    #[test]
    fn a_directory_keeps_its_identity_and_refuses_others() {
        let disk = SimDisk::new(1);
        let made = draw(&disk, 1, 1).unwrap();
        assert_eq!(draw(&disk, 1, 1).unwrap(), made);
        assert!(matches!(draw(&disk, 2, 1), Err(OpenError::Foreign(_))));
        assert!(matches!(draw(&disk, 1, 2), Err(OpenError::Foreign(_))));
    }

    #[test]
    fn segments_without_identity_are_never_taken_over() {
        let disk = SimDisk::new(1);
        draw(&disk, 1, 1).unwrap();
        disk.create_dir(files::DIR).unwrap();
        disk.open(&files::name(1), OpenMode::CreateNew, Access::Buffered)
            .unwrap();
        disk.flip(FILE, 30, 1).unwrap();
        assert!(matches!(draw(&disk, 1, 1), Err(OpenError::Damaged(_))));
    }

    #[test]
    fn creation_survives_a_crash_at_every_operation() {
        for at in 1..8 {
            for seed in 0..6 {
                let disk = SimDisk::new(1);
                disk.crash_at(at);
                let made = draw(&disk, 1, 1);
                let again = disk.after_crash(seed);
                let found = draw(&again, 1, 1).unwrap();
                assert!(made.is_err() || found == made.unwrap());
            }
        }
    }

    /// Draws an identity and raises a fence in a process that is killed at one of its operations, or fails in
    /// a sync of the directory; what the next process finds must outlive a power cut.
    #[test]
    fn what_a_killed_process_left_is_durable_before_anybody_counts_on_it() {
        for (at, seed) in (1..40).flat_map(|at| (0..6).map(move |seed| (at, seed))) {
            let disk = SimDisk::new(1);
            if at < 30 {
                disk.crash_at(at);
            } else {
                disk.inject(Fault::new(FaultOn::SyncDir).nth(at - 29));
            }
            if draw(&disk, 1, 1).is_ok() {
                let _ = write_fence(&disk, 7);
            }
            let next = disk.after_kill();
            next.clear_faults();
            let made = draw(&next, 1, 1).unwrap();
            let fenced = read_fence(&next).unwrap();
            let later = next.after_crash(seed);
            assert_eq!(draw(&later, 1, 1).unwrap(), made, "{at} {seed}");
            assert_eq!(read_fence(&later).unwrap(), fenced, "{at} {seed}");
        }
    }

    #[test]
    fn a_fence_only_rises_and_lasts() {
        let disk = SimDisk::new(1);
        assert_eq!(read_fence(&disk).unwrap(), 0);
        for generation in [3, 7] {
            write_fence(&disk, generation).unwrap();
            assert_eq!(read_fence(&disk.after_crash(1)).unwrap(), generation);
        }
        assert_eq!(disk.list("").unwrap().len(), 1);
    }
}
