//! Damage done to a stopped server's disk.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::random::Random;

/// Shard segments under a data directory: the files below its `segments` folders.
///
/// # Panics
/// Where a folder cannot be read.
#[must_use]
pub fn segments(directory: &Path) -> Vec<PathBuf> {
    files_of(directory, "segments")
}

/// The files of the shard index, a cache, under a data directory.
///
/// # Panics
/// Where a folder cannot be read.
#[must_use]
pub fn index(directory: &Path) -> Vec<PathBuf> {
    files_of(directory, "index")
}

/// The Raft journal's files under a data directory.
///
/// # Panics
/// Where a folder cannot be read.
#[must_use]
pub fn journal(directory: &Path) -> Vec<PathBuf> {
    files_of(directory, "journal")
}

fn files_of(directory: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(folder) = open.pop() {
        let inside = (folder
            .strip_prefix(directory)
            .expect("a folder in it")
            .iter())
        .any(|part| part == name);
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if inside {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Length of the blocks that damage is dealt out to.
const BLOCK: usize = 4_096;

/// Offsets of the blocks of a file that hold anything but zeros.
///
/// # Panics
/// Where the file cannot be read.
#[must_use]
pub fn blocks_with_data(path: &Path) -> Vec<u64> {
    let mut file = OpenOptions::new().read(true).open(path).expect("a file");
    let mut found = Vec::new();
    let mut block = Vec::with_capacity(BLOCK);
    for at in (0..).step_by(BLOCK) {
        block.clear();
        let read = (&mut file)
            .take(BLOCK as u64)
            .read_to_end(&mut block)
            .expect("a read");
        if read == 0 {
            break;
        }
        if block.iter().any(|byte| *byte != 0) {
            found.push(at);
        }
    }
    found
}

/// Flips one bit in each 4 KiB block of a file that holds anything but zeros; says how many.
///
/// # Panics
/// Where the file cannot be read and written.
pub fn flip_bits(path: &Path, random: &mut Random) -> usize {
    let blocks = blocks_with_data(path);
    for at in &blocks {
        flip_bit_in_block(path, *at, random);
    }
    blocks.len()
}

/// Flips one bit of the block at `at`, among its bytes that are not zero.
///
/// # Panics
/// Where the file cannot be read and written, or the block holds only zeros.
pub fn flip_bit_in_block(path: &Path, at: u64, random: &mut Random) {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("a file");
    file.seek(SeekFrom::Start(at)).expect("a seek");
    let mut block = Vec::with_capacity(BLOCK);
    (&mut file)
        .take(BLOCK as u64)
        .read_to_end(&mut block)
        .expect("a read");
    let used: Vec<usize> = block
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte != 0)
        .map(|(index, _)| index)
        .collect();
    let index = *random.pick(&used);
    *block.get_mut(index).expect("a byte") ^= 1 << random.below(8);
    file.seek(SeekFrom::Start(at)).expect("a seek");
    file.write_all(&block).expect("a write");
    file.sync_all().expect("a sync");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_one_bit_in_each_block_with_data() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/segments");
        fs::create_dir_all(&folder).unwrap();
        let before = [vec![7; 4_096], vec![0; 4_096], vec![1; 100]].concat();
        fs::write(folder.join("one"), &before).unwrap();
        fs::write(home.path().join("a/other"), b"x").unwrap();
        let files = segments(home.path());
        assert_eq!(files, [folder.join("one")]);
        assert_eq!(flip_bits(&files[0], &mut Random::new(1)), 2);
        let after = fs::read(&files[0]).unwrap();
        assert_eq!(after.len(), before.len());
        let differing: u32 = before
            .iter()
            .zip(&after)
            .map(|(before, after)| (before ^ after).count_ones())
            .sum();
        assert_eq!(differing, 2);
    }
}
