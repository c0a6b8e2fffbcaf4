//! Opening a disk.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock};

use cairn_model::NodeId;
use cairn_store::StoreError;
use cairn_world::{Disk, Entropy};

use super::commit::{Queue, Turn};
use super::damage::DamageLog;
use super::files::{self, Files};
use super::index::{Index, IndexEngine};
use super::{Volume, VolumeIdentity, identity, recovery};
use crate::settings::{Settings, SettingsError};

const LOCK: &str = "lock";

/// Why a disk cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("directory is in use by another process")]
    InUse,
    /// It belongs to another cluster or node.
    #[error("directory belongs to node {} of another cluster or this one", .0.node.0)]
    Foreign(VolumeIdentity),
    /// It holds segments but what should name it cannot be read; nothing was touched.
    #[error("directory is damaged: {0}")]
    Damaged(&'static str),
    /// Two directories carry one disk id: a copy.
    #[error("the same disk is given twice")]
    Twice,
    /// The settings cannot be worked with.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The file system.
    #[error("disk: {0}")]
    Io(#[from] std::io::Error),
    /// The index engine, which could not be replaced by an empty one either.
    #[error("index: {0}")]
    Index(#[from] StoreError),
}

impl Volume {
    /// Opens or creates the store of one disk.
    ///
    /// # Errors
    /// Whatever makes the disk unusable; other disks of the node are not concerned.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        engine: &dyn IndexEngine,
        cluster: [u8; 16],
        node: NodeId,
        settings: Settings,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Arc<Self>, OpenError> {
        settings.check()?;
        let lock = disk.lock(LOCK).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => OpenError::InUse,
            _ => OpenError::Io(error),
        })?;
        let identity = identity::open_or_create(disk.as_ref(), cluster, node, &entropy)?;
        let fenced = identity::read_fence(disk.as_ref())?;
        disk.create_dir(files::DIR)?;
        warn_of_fallbacks(disk.as_ref(), &identity);
        let files = Files::new(Arc::clone(&disk));
        let recover =
            |index: &Index| recovery::recover(disk.as_ref(), &files, index, identity.disk);
        let opened = open_index(engine).and_then(|index| Ok((recover(&index)?, index)));
        let (found, index) = match opened {
            // Nothing in it is the truth, and the lock says that nobody else uses it.
            Err(OpenError::Index(error)) => {
                tracing::warn!(disk = %identity.disk, %error, "index is discarded and made anew");
                engine.discard()?;
                let index = open_index(engine)?;
                (recover(&index)?, index)
            }
            opened => opened?,
        };
        Ok(Arc::new(Self {
            identity,
            settings,
            index,
            files,
            disk,
            entropy,
            ledger: Mutex::new(found.ledger),
            growth: Mutex::default(),
            queue: Queue::default(),
            turn: Mutex::new(Turn {
                next_sequence: found.next_sequence,
            }),
            fault: OnceLock::new(),
            damage: DamageLog::default(),
            room_seen: Mutex::default(),
            punches: Mutex::new(VecDeque::from(found.punches)),
            reading: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            fenced: AtomicU16::new(fenced),
            blind: found.blind,
            doubt: found.doubt,
            _lock: lock,
        }))
    }
}

fn open_index(engine: &dyn IndexEngine) -> Result<Index, OpenError> {
    Ok(Index::new(engine.open()?))
}

fn warn_of_fallbacks(disk: &dyn Disk, identity: &VolumeIdentity) {
    let can = disk.capabilities();
    if !(can.direct && can.allocate && can.punch) {
        tracing::warn!(
            disk = %identity.disk, direct = can.direct, allocate = can.allocate, punch = can.punch,
            "the file system lacks features, working without them"
        );
    }
}
