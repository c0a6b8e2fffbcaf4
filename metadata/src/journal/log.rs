//! The handle that callers hold.
//!
//! A change is visible to readers when the call returns and durable when its `done` is called.
//! Changes become durable in the order of the calls.

use cairn_world::{Bug, Disk, Entropy, planted};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use tokio::sync::watch;

use super::driver::{self, Back, Front, Shared, lock};
use super::format::Record;
use super::writer::Pending;
use super::{Driver, JournalError, JournalSettings, LogEntry, LogPosition, Vote, opening};

/// Told once whether a change is durable. Runs on the journal's thread: it must not block.
pub type Done = Box<dyn FnOnce(Result<(), JournalError>) + Send>;

/// Vote, pointers and ends of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalState {
    /// The vote.
    pub vote: Option<Vote>,
    /// Last committed position that was noted.
    pub committed: Option<LogPosition>,
    /// Last position removed from the front.
    pub purged: Option<LogPosition>,
    /// Index of the first entry held.
    pub first_index: Option<u64>,
    /// Last entry held, else what was purged.
    pub last: Option<LogPosition>,
    /// Entries held.
    pub entries: usize,
}

/// Space of the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalUsage {
    /// Segment files.
    pub segments: usize,
    /// Segment files that hold part of the log.
    pub live: usize,
    /// The file system had no room for a spare segment: purge.
    pub short_of_space: bool,
    /// Groups written since it was opened.
    pub groups: u64,
}

/// An open journal. Clones share it; the last one dropped stops it without sealing.
#[derive(Clone)]
pub struct Journal {
    pub(super) shared: Arc<Shared>,
    thread: Arc<Thread>,
}

struct Thread {
    shared: Arc<Shared>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Thread {
    fn stop(&self) {
        lock(&self.shared.front).closing = true;
        self.shared.wake.notify_all();
        if let Some(handle) = lock(&self.handle).take()
            && handle.thread().id() != std::thread::current().id()
        {
            let _ = handle.join();
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal, or makes it where there never was one.
    ///
    /// # Errors
    /// [`JournalError::Locked`], [`JournalError::Foreign`], [`JournalError::Settings`];
    /// [`JournalError::Damaged`] where acknowledged changes are lost; [`JournalError::Failed`].
    pub fn open(
        disk: Arc<dyn Disk>,
        settings: JournalSettings,
        entropy: &dyn Entropy,
    ) -> Result<Self, JournalError> {
        if let Some(fault) = settings.fault() {
            return Err(JournalError::Settings(fault));
        }
        let failed = |error: std::io::Error| JournalError::failed("open the journal", &error);
        disk.create_dir(&settings.dir).map_err(failed)?;
        disk.sync_dir("").map_err(failed)?;
        let held = disk
            .lock(&format!("{}/lock", settings.dir))
            .map_err(|error| {
                if error.kind() == std::io::ErrorKind::WouldBlock {
                    JournalError::Locked
                } else {
                    failed(error)
                }
            })?;
        let (mut writer, index) = opening::open_or_create(disk, &settings, entropy)?;
        writer.segments.fill().map_err(failed)?;
        let front = Front {
            index,
            queue: VecDeque::new(),
            files: driver::files(&writer),
            failed: None,
            closing: false,
            usage: JournalUsage::default(),
            committed_written: true,
        };
        let back = Back {
            writer,
            staged: VecDeque::new(),
            sealed: false,
            lock: Some(held),
        };
        let shared = Arc::new(Shared {
            settings,
            front: Mutex::new(front),
            wake: Condvar::new(),
            back: Mutex::new(back),
            groups: watch::Sender::new(0),
        });
        shared.note_usage(&lock(&shared.back).writer);
        let handle = match shared.settings.driver {
            Driver::Inline => None,
            Driver::Thread => Some(driver::spawn(&shared)?),
        };
        let thread = Thread {
            shared: shared.clone(),
            handle: Mutex::new(handle),
        };
        Ok(Self {
            shared,
            thread: Arc::new(thread),
        })
    }

    /// Adds entries that follow the last one.
    ///
    /// # Errors
    /// [`JournalError::TooLong`] and [`JournalError::Gap`], with nothing written; after a failure,
    /// that. On an error `done` is dropped without being called.
    pub fn append(&self, entries: Vec<LogEntry>, done: Done) -> Result<(), JournalError> {
        let max = self.shared.settings.entry_len_max;
        if let Some(entry) = entries.iter().find(|entry| entry.payload.len() > max) {
            return Err(JournalError::TooLong {
                len: entry.payload.len(),
            });
        }
        for (entry, next) in entries.iter().zip(entries.iter().skip(1)) {
            let expected = entry.position.index.saturating_add(1);
            if next.position.index != expected {
                return Err(JournalError::Gap {
                    expected,
                    found: next.position.index,
                });
            }
        }
        self.submit(|front| {
            let count = entries.len();
            let mut done = Some(done);
            if count == 0 {
                // Nothing to write, but it must not overtake what is before it.
                let keep = front.index.last().map(|last| last.index);
                front.queue.push_back(Pending {
                    record: Record::Truncate(keep),
                    serial: 0,
                    done,
                });
                return Ok(());
            }
            for (at, entry) in entries.into_iter().enumerate() {
                let record = Record::Entry(entry.position, entry.payload.clone());
                let serial = front.index.push(entry)?;
                let done = if at + 1 == count { done.take() } else { None };
                front.queue.push_back(Pending {
                    record,
                    serial,
                    done,
                });
            }
            Ok(())
        })
    }

    /// Replaces the vote.
    ///
    /// # Errors
    /// After a failure, that.
    pub fn save_vote(&self, vote: Vote, done: Done) -> Result<(), JournalError> {
        if planted(Bug::VoteNotSynced) {
            self.note_vote(vote)?;
            done(Ok(()));
            return Ok(());
        }
        self.submit(|front| {
            front.index.pointers.vote = Some(vote);
            let record = Record::Vote(vote);
            front.queue.push_back(Pending {
                record,
                serial: 0,
                done: Some(done),
            });
            Ok(())
        })
    }

    /// The planted way to save a vote: it waits for the next group.
    fn note_vote(&self, vote: Vote) -> Result<(), JournalError> {
        let mut front = self.usable()?;
        front.index.pointers.vote = Some(vote);
        front.queue.push_back(Pending {
            record: Record::Vote(vote),
            serial: 0,
            done: None,
        });
        Ok(())
    }

    /// Drops entries above `keep`, all of them where `None`.
    ///
    /// # Errors
    /// After a failure, that.
    pub fn truncate(&self, keep: Option<u64>, done: Done) -> Result<(), JournalError> {
        self.submit(|front| {
            front.index.truncate(keep);
            let record = Record::Truncate(keep);
            front.queue.push_back(Pending {
                record,
                serial: 0,
                done: Some(done),
            });
            Ok(())
        })
    }

    /// Drops entries up to `upto`; beyond the last entry too, where a snapshot took their place.
    ///
    /// # Errors
    /// After a failure, that.
    pub fn purge(&self, upto: LogPosition, done: Done) -> Result<(), JournalError> {
        self.submit(|front| {
            front.index.purge(upto);
            let record = Record::Purged(upto);
            front.queue.push_back(Pending {
                record,
                serial: 0,
                done: Some(done),
            });
            Ok(())
        })
    }

    /// Notes what is committed. It reaches the disk with the next group.
    ///
    /// # Errors
    /// After a failure, that.
    pub fn set_committed(&self, committed: LogPosition) -> Result<(), JournalError> {
        let mut front = self.usable()?;
        if front.index.pointers.committed < Some(committed) {
            front.index.pointers.committed = Some(committed);
            front.committed_written = false;
        }
        Ok(())
    }

    /// Vote, pointers and ends.
    #[must_use]
    pub fn state(&self) -> JournalState {
        let front = lock(&self.shared.front);
        let pointers = front.index.pointers;
        JournalState {
            vote: pointers.vote,
            committed: pointers.committed,
            purged: pointers.purged,
            first_index: front.index.first_index(),
            last: front.index.last(),
            entries: front.index.len(),
        }
    }

    /// Space of the ring.
    #[must_use]
    pub fn usage(&self) -> JournalUsage {
        lock(&self.shared.front).usage
    }

    /// Why it stopped, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<JournalError> {
        lock(&self.shared.front).failed.clone()
    }

    /// The place of the entry at `index`, if it is held.
    #[must_use]
    pub fn position(&self, index: u64) -> Option<LogPosition> {
        lock(&self.shared.front).index.position(index)
    }

    /// Whether the entry at `index` is durable, or purged.
    #[must_use]
    pub fn is_durable(&self, index: u64) -> bool {
        let front = lock(&self.shared.front);
        front
            .index
            .pointers
            .purged
            .is_some_and(|purged| index <= purged.index)
            || front.index.is_durable(index)
    }

    /// Waits until the entry at `index`, which was appended, is durable.
    ///
    /// # Errors
    /// After a failure, that.
    pub async fn wait_durable(&self, index: u64) -> Result<(), JournalError> {
        let mut groups = self.shared.groups.subscribe();
        loop {
            groups.borrow_and_update();
            if self.is_durable(index) {
                return Ok(());
            }
            drop(self.usable()?);
            if groups.changed().await.is_err() {
                return Err(JournalError::Closed);
            }
        }
    }

    /// Makes everything durable, seals the journal and gives its lock back.
    ///
    /// # Errors
    /// After a failure, that.
    pub fn close(&self) -> Result<(), JournalError> {
        self.thread.stop();
        let mut back = lock(&self.shared.back);
        while self.shared.step(&mut back) {}
        let unwritten = {
            let front = lock(&self.shared.front);
            if let Some(error) = &front.failed {
                return Err(error.clone());
            }
            !front.committed_written
        };
        if unwritten {
            self.shared.write(&mut back);
        }
        self.shared.seal(&mut back);
        back.lock = None;
        let mut front = lock(&self.shared.front);
        match front.failed.replace(JournalError::Closed) {
            Some(error) => {
                front.failed = Some(error.clone());
                Err(error)
            }
            None => Ok(()),
        }
    }

    pub(super) fn usable(&self) -> Result<MutexGuard<'_, Front>, JournalError> {
        let front = lock(&self.shared.front);
        match &front.failed {
            Some(error) => Err(error.clone()),
            None if front.closing => Err(JournalError::Closed),
            None => Ok(front),
        }
    }

    fn submit(
        &self,
        change: impl FnOnce(&mut Front) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        change(&mut *self.usable()?)?;
        match self.shared.settings.driver {
            Driver::Thread => self.shared.wake.notify_one(),
            Driver::Inline => {
                let mut back = lock(&self.shared.back);
                while self.shared.step(&mut back) {}
                self.shared.tidy(&mut back);
            }
        }
        Ok(())
    }
}
