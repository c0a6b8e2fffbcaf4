//! The directory of snapshots: the newest ones, whole.

use cairn_model::limits;
use cairn_store::View;
use cairn_world::{Access, Bug, Disk, DiskFile, OpenMode, planted};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{SnapshotError, SnapshotHandle, SnapshotMeta, writer};

const PREFIX: &str = "snapshot-";
const INCOMING: &str = "incoming-";

/// Snapshots of one voter. Clones share them.
#[derive(Clone, Debug)]
pub struct Shelf {
    disk: Arc<dyn Disk>,
    dir: String,
    cluster_id: [u8; 16],
    stock: Arc<Mutex<Stock>>,
}

#[derive(Debug, Default)]
struct Stock {
    /// Oldest first.
    snapshots: Vec<SnapshotHandle>,
    next_incoming: u64,
}

impl Shelf {
    /// Opens the directory; unfinished files are removed, files without a readable header stay where
    /// they are and are not used.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &str,
        cluster_id: [u8; 16],
    ) -> Result<Self, SnapshotError> {
        let io = |error: io::Error| SnapshotError::Io {
            name: dir.to_owned(),
            error,
        };
        disk.create_dir(dir).map_err(io)?;
        disk.sync_dir("").map_err(io)?;
        // What is found below may be all that is left of the log: its name must not be in a cache alone.
        disk.sync_dir(dir).map_err(io)?;
        let mut snapshots = Vec::new();
        for file in disk.list(dir).map_err(io)? {
            let name = format!("{dir}/{file}");
            if file.starts_with(INCOMING) {
                disk.remove(&name).map_err(io)?;
            } else if file.starts_with(PREFIX) {
                let opened = disk
                    .open(&name, OpenMode::Existing, Access::Buffered)
                    .map_err(|error| SnapshotError::Io {
                        name: name.clone(),
                        error,
                    })
                    .and_then(|handle| SnapshotHandle::open(name, handle, cluster_id));
                match opened {
                    Ok(snapshot) => snapshots.push(snapshot),
                    Err(error) => tracing::warn!(%error, "a snapshot is not used"),
                }
            }
        }
        snapshots.sort_by_key(|snapshot| snapshot.meta().position);
        let stock = Arc::new(Mutex::new(Stock {
            snapshots,
            next_incoming: 0,
        }));
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            cluster_id,
            stock,
        })
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All usable snapshots, newest first.
    #[must_use]
    pub fn snapshots(&self) -> Vec<SnapshotHandle> {
        self.stock().snapshots.iter().rev().cloned().collect()
    }

    /// The newest usable snapshot.
    #[must_use]
    pub fn newest(&self) -> Option<SnapshotHandle> {
        self.stock().snapshots.last().cloned()
    }

    /// Does not use `snapshot` any more: it turned out to be damaged. The file stays for inspection.
    pub fn distrust(&self, snapshot: &SnapshotHandle) {
        self.stock()
            .snapshots
            .retain(|other| other.name() != snapshot.name());
    }

    /// Writes the rows of `view` (but the host's) to a new snapshot, re-reads and publishes it.
    ///
    /// # Errors
    /// The disk's and the store's; [`SnapshotError::Damaged`] where what was written does not read
    /// back.
    pub fn build(
        &self,
        meta: &SnapshotMeta,
        view: &dyn View,
    ) -> Result<SnapshotHandle, SnapshotError> {
        let mut incoming = self.receive()?;
        let written = writer::write(
            &incoming.name,
            incoming.file.as_ref(),
            self.cluster_id,
            meta,
            view,
        );
        incoming.at = written?;
        incoming.finish()
    }

    /// Begins a snapshot that comes from elsewhere.
    ///
    /// # Errors
    /// The disk's.
    pub fn receive(&self) -> Result<Incoming, SnapshotError> {
        let number = {
            let mut stock = self.stock();
            stock.next_incoming += 1;
            stock.next_incoming
        };
        let name = format!("{}/{INCOMING}{number}", self.dir);
        let file = self
            .disk
            .open(&name, OpenMode::CreateNew, Access::Buffered)
            .map_err(|error| SnapshotError::Io {
                name: name.clone(),
                error,
            })?;
        Ok(Incoming {
            shelf: self.clone(),
            name,
            file,
            at: 0,
            finished: false,
        })
    }

    /// A snapshot of this shelf with the bytes of `snapshot`, which may lie on another one.
    ///
    /// # Errors
    /// As [`Incoming::finish`].
    pub fn adopt(&self, snapshot: &SnapshotHandle) -> Result<SnapshotHandle, SnapshotError> {
        let ours = self
            .stock()
            .snapshots
            .iter()
            .find(|ours| ours.is(snapshot))
            .cloned();
        if let Some(ours) = ours {
            ours.verify()?;
            return Ok(ours);
        }
        let mut incoming = self.receive()?;
        loop {
            let piece = snapshot.read(incoming.at)?;
            if piece.is_empty() {
                return incoming.finish();
            }
            incoming.write(&piece)?;
        }
    }

    /// Keeps the newest `keep` snapshots.
    ///
    /// # Errors
    /// The disk's.
    pub fn prune(&self, keep: usize) -> Result<(), SnapshotError> {
        let mut stock = self.stock();
        let surplus = stock.snapshots.len().saturating_sub(keep);
        for snapshot in stock.snapshots.drain(..surplus) {
            let name = snapshot.name().to_owned();
            self.disk
                .remove(&name)
                .map_err(|error| SnapshotError::Io { name, error })?;
        }
        if surplus > 0 {
            let io = |error| SnapshotError::Io {
                name: self.dir.clone(),
                error,
            };
            self.disk.sync_dir(&self.dir).map_err(io)?;
        }
        Ok(())
    }

    fn publish(
        &self,
        incoming: &str,
        file: Arc<dyn DiskFile>,
    ) -> Result<SnapshotHandle, SnapshotError> {
        let snapshot = SnapshotHandle::open(incoming.to_owned(), file, self.cluster_id)?;
        snapshot.verify()?;
        let name = match snapshot.meta().position {
            Some(at) => {
                format!(
                    "{}/{PREFIX}{:020}-{:020}-{:020}",
                    self.dir, at.index, at.term, at.leader
                )
            }
            None => format!("{}/{PREFIX}empty", self.dir),
        };
        let io = |error: io::Error| SnapshotError::Io {
            name: name.clone(),
            error,
        };
        self.disk.rename(incoming, &name).map_err(io)?;
        if let Err(error) = self.disk.sync_dir(&self.dir) {
            // No later sync proves the name, and the next start would count on it.
            let _ = self.disk.remove(&name);
            return Err(io(error));
        }
        let file = self
            .disk
            .open(&name, OpenMode::Existing, Access::Buffered)
            .map_err(io)?;
        let snapshot = SnapshotHandle::open(name, file, self.cluster_id)?;
        let mut stock = self.stock();
        stock
            .snapshots
            .retain(|other| other.name() != snapshot.name());
        stock.snapshots.push(snapshot.clone());
        stock
            .snapshots
            .sort_by_key(|snapshot| snapshot.meta().position);
        Ok(snapshot)
    }
}

/// A snapshot being written; dropped unfinished, it is gone.
#[derive(Debug)]
pub struct Incoming {
    shelf: Shelf,
    name: String,
    file: Arc<dyn DiskFile>,
    at: u64,
    finished: bool,
}

impl Incoming {
    /// Bytes written so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.at
    }

    /// Whether nothing is written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == 0
    }

    /// Adds bytes, at most one wire message.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        debug_assert!(bytes.len() as u64 <= limits::WIRE_PAYLOAD_MAX);
        let io = |error| SnapshotError::Io {
            name: self.name.clone(),
            error,
        };
        self.file.write_at(bytes, self.at).map_err(io)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Syncs, re-reads and verifies all of it, and puts it on the shelf; durable when it returns.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`] where it is not a whole snapshot of this cluster; the disk's.
    pub fn finish(mut self) -> Result<SnapshotHandle, SnapshotError> {
        let io = |error| SnapshotError::Io {
            name: self.name.clone(),
            error,
        };
        if !planted(Bug::SnapshotNotSynced) {
            self.file.sync().map_err(io)?;
        }
        let published = self.shelf.publish(&self.name, self.file.clone());
        self.finished = published.is_ok();
        published
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.finished {
            // Where this fails the next opening removes it.
            let _ = self.shelf.disk.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests;
