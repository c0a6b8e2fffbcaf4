//! Whether every node takes its shards again, seen from its disk.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::content::Piece;
use crate::damage;
use crate::patience::eventually;
use crate::s3;

use super::Cluster;

const BUCKET: &str = "whole";
/// A cell for every data shard.
const LENGTH: usize = 300_000;
/// How long nodes that were started again may take to be in use again.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the slowest shard of an acknowledged object may still be on its way.
const LAST_SHARD: Duration = Duration::from_secs(2);
/// Objects in a row that every node must take a shard of.
const IN_A_ROW: u32 = 2;

impl Cluster {
    /// Waits until a new object puts a shard on every node, through every gateway.
    ///
    /// # Panics
    /// Where that does not come to pass.
    pub fn wait_whole(&mut self) {
        for index in 0..self.gateways.len() {
            self.wait_ready(index);
        }
        let mut row = 0;
        eventually("every node takes its shards", PATIENCE, || {
            let taken = self.gateways.iter().try_for_each(|gateway| {
                let client = gateway.client.with_patience(Duration::from_secs(20));
                self.probe(&client)
            });
            row = if taken.is_ok() { row + 1 } else { 0 };
            taken?;
            if row < IN_A_ROW {
                Err("not twice in a row".to_owned())
            } else {
                Ok(())
            }
        });
    }

    /// Puts an object and says which node took no shard of it.
    fn probe(&self, client: &cairn_compat_suite::Client) -> Result<(), String> {
        let before = self.last_writes();
        let bucket = client.send(&cairn_compat_suite::Call::new("PUT", BUCKET));
        bucket.map_err(|why| why.to_string())?;
        let piece = Piece {
            seed: 1,
            length: LENGTH,
        };
        let call = s3::put(&format!("{BUCKET}/probe"), piece.bytes());
        let put = client.send(&call).map_err(|why| why.to_string())?;
        if put.status != 200 {
            return Err(format!("{} {}", put.status, put.text()));
        }
        let watch = crate::patience::Stopwatch::start();
        loop {
            let after = self.last_writes();
            let mut idle = self.nodes.iter().zip(before.iter().zip(&after));
            let idle = idle.find(|(_, (before, after))| before == after);
            match idle {
                None => return Ok(()),
                Some((node, _)) if watch.elapsed() > LAST_SHARD => {
                    return Err(format!("{} took no shard", node.process.name));
                }
                Some(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    fn last_writes(&self) -> Vec<Option<SystemTime>> {
        let nodes = self.nodes.iter();
        nodes.map(|node| last_write(&node.directory)).collect()
    }
}

/// When a segment below a directory was last written to.
fn last_write(directory: &Path) -> Option<SystemTime> {
    let segments = damage::segments(directory).into_iter();
    let written = segments.filter_map(|path| path.metadata().ok()?.modified().ok());
    written.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_to_a_segment_is_seen() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(last_write(home.path()), None);
        let folder = home.path().join("shards/segments");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("0"), b"a").unwrap();
        let first = last_write(home.path());
        assert!(first.is_some());
        std::thread::sleep(Duration::from_millis(20));
        std::fs::write(folder.join("0"), b"b").unwrap();
        assert!(last_write(home.path()) > first);
    }
}
