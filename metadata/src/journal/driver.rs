//! What writes: takes what waits, makes one group of it, tells who waited. By a thread, or inline.
//!
//! The front is what callers and readers touch, the back what only the writing touches. Whoever needs
//! both takes the back first.

use cairn_world::{DiskFile, DiskLock};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

use super::index::Index;
use super::log::JournalUsage;
use super::writer::{Pending, Writer, Written};
use super::{JournalError, JournalSettings, LogPosition};

/// What callers and readers touch.
pub(super) struct Front {
    pub(super) index: Index,
    pub(super) queue: VecDeque<Pending>,
    pub(super) files: BTreeMap<u32, Arc<dyn DiskFile>>,
    pub(super) failed: Option<JournalError>,
    pub(super) closing: bool,
    pub(super) usage: JournalUsage,
    /// Whether the newest committed position is on disk.
    pub(super) committed_written: bool,
}

/// What only the driver touches.
pub(super) struct Back {
    pub(super) writer: Writer,
    pub(super) staged: VecDeque<Pending>,
    pub(super) sealed: bool,
    pub(super) lock: Option<Box<dyn DiskLock>>,
}

pub(super) struct Shared {
    pub(super) settings: JournalSettings,
    pub(super) front: Mutex<Front>,
    pub(super) wake: Condvar,
    pub(super) back: Mutex<Back>,
    pub(super) groups: watch::Sender<u64>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves the data as whole as its last statement did; the journal's own
    // failure latch says whether it may be used.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Writes one group if anything waits for it; whether it did.
    pub(super) fn step(&self, back: &mut Back) -> bool {
        let failed = {
            let mut front = lock(&self.front);
            back.staged.append(&mut front.queue);
            front.failed.clone()
        };
        if back.staged.is_empty() {
            return false;
        }
        if let Some(error) = failed {
            self.fail(back, error);
            return false;
        }
        self.write(back)
    }

    pub(super) fn write(&self, back: &mut Back) -> bool {
        let committed = lock(&self.front).index.pointers.committed;
        back.sealed = false;
        let mut written = Written::default();
        match back
            .writer
            .write_group(&mut back.staged, committed, &mut written)
        {
            Ok(()) => {
                self.publish(&back.writer, written, committed);
                true
            }
            Err(error) => {
                self.fail(back, error.clone());
                for done in written.done {
                    done(Err(error.clone()));
                }
                false
            }
        }
    }

    fn publish(&self, writer: &Writer, written: Written, committed: Option<LogPosition>) {
        {
            let mut front = lock(&self.front);
            for (index, serial, location) in written.entries {
                front.index.written(index, serial, location);
            }
            front.index.evict();
            front.committed_written =
                written.committed == committed && front.index.pointers.committed == committed;
            front.usage.groups += 1;
            if front.files.len() != writer.segments.count() {
                front.files = files(writer);
            }
        }
        self.note_usage(writer);
        self.groups.send_modify(|groups| *groups += 1);
        for done in written.done {
            done(Ok(()));
        }
    }

    pub(super) fn note_usage(&self, writer: &Writer) {
        let usage = &mut lock(&self.front).usage;
        usage.segments = writer.segments.count();
        usage.live = writer.segments.live(writer.durable_oldest);
        usage.short_of_space = writer.short_of_space;
    }

    /// The end: nothing is acknowledged any more.
    fn fail(&self, back: &mut Back, error: JournalError) {
        let mut waiting: VecDeque<Pending> = std::mem::take(&mut back.staged);
        {
            let mut front = lock(&self.front);
            waiting.append(&mut front.queue);
            if front.failed.is_none() {
                front.failed = Some(error.clone());
            }
        }
        self.groups.send_modify(|_| ());
        for done in waiting.into_iter().filter_map(|pending| pending.done) {
            done(Err(error.clone()));
        }
    }

    pub(super) fn seal(&self, back: &mut Back) {
        if back.sealed || lock(&self.front).failed.is_some() {
            return;
        }
        match back.writer.seal() {
            Ok(()) => back.sealed = true,
            Err(error) => self.fail(back, error),
        }
    }

    pub(super) fn tidy(&self, back: &mut Back) {
        if lock(&self.front).failed.is_some() {
            return;
        }
        if let Err(error) = back.writer.tidy() {
            self.fail(back, error);
            return;
        }
        let mut front = lock(&self.front);
        if front.files.len() != back.writer.segments.count() {
            front.files = files(&back.writer);
        }
        drop(front);
        self.note_usage(&back.writer);
    }

    fn run(&self) {
        loop {
            {
                let mut back = lock(&self.back);
                while self.step(&mut back) {}
            }
            match self.wait() {
                Next::Work => {}
                Next::Quiet => {
                    let mut back = lock(&self.back);
                    self.seal(&mut back);
                    self.tidy(&mut back);
                }
                Next::Stop => return,
            }
        }
    }

    fn wait(&self) -> Next {
        // Read before the front is locked: the front is never held while the back is taken.
        let sealed = lock(&self.back).sealed;
        let mut front = lock(&self.front);
        loop {
            if front.closing {
                return Next::Stop;
            }
            if !front.queue.is_empty() {
                return Next::Work;
            }
            let limit = if sealed || front.failed.is_some() {
                Duration::from_secs(3_600)
            } else {
                self.settings.seal_after
            };
            let (guard, timeout) = self
                .wake
                .wait_timeout(front, limit)
                .unwrap_or_else(PoisonError::into_inner);
            front = guard;
            if timeout.timed_out() && !sealed && front.queue.is_empty() && !front.closing {
                return Next::Quiet;
            }
        }
    }
}

enum Next {
    Work,
    Quiet,
    Stop,
}

pub(super) fn files(writer: &Writer) -> BTreeMap<u32, Arc<dyn DiskFile>> {
    writer
        .segments
        .iter()
        .map(|(number, segment)| (number, segment.file.clone()))
        .collect()
}

pub(super) fn spawn(shared: &Arc<Shared>) -> Result<JoinHandle<()>, JournalError> {
    let shared = shared.clone();
    std::thread::Builder::new()
        .name("cairn-journal".to_owned())
        .spawn(move || shared.run())
        .map_err(|error| JournalError::failed("start the journal's thread", &error))
}
