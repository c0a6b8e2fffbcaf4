//! What only the simulated disk can show: crashes, faults, space, rot.

mod crash;
mod faults;

use super::*;

fn create(disk: &SimDisk, name: &str) -> Arc<dyn DiskFile> {
    disk.open(name, OpenMode::CreateNew, Access::Buffered)
        .unwrap()
}

/// A file durable in name and content.
fn durable(disk: &SimDisk, name: &str, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = create(disk, name);
    file.write_at(bytes, 0).unwrap();
    file.sync().unwrap();
    disk.sync_dir(name::parent(name)).unwrap();
    file
}

/// The whole content; `None` where there is no such file.
fn content(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    let file = disk.open(name, OpenMode::Existing, Access::Buffered).ok()?;
    Some(disk.peek(name, 0, file.len().unwrap()).unwrap())
}

/// The contents of `name` seen over many crashes.
fn outcomes(disk: &SimDisk, name: &str) -> std::collections::BTreeSet<Option<Vec<u8>>> {
    (0..200)
        .map(|seed| content(&disk.after_crash(seed), name))
        .collect()
}
