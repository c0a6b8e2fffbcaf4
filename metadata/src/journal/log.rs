//! The handle that callers hold, and the thread behind it.
//!
//! A change is visible to readers when the call returns and durable when its `done` is called.
//! Changes become durable in the order of the calls.

use bytes::Bytes;
use cairn_world::{AlignedBuf, Disk, DiskFile, DiskLock, Entropy};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

use super::format::{BLOCK, Record};
use super::identity::{self, Identity};
use super::index::{Found, Index, Location};
use super::segments::Segments;
use super::settings::READ_AHEAD;
use super::writer::{Pending, Writer, Written};
use super::{Driver, JournalError, JournalSettings, LogEntry, LogPosition, Vote, recovery};

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

/// What callers and readers touch.
struct Front {
    index: Index,
    queue: VecDeque<Pending>,
    files: BTreeMap<u32, Arc<dyn DiskFile>>,
    failed: Option<JournalError>,
    closing: bool,
    usage: JournalUsage,
    /// Whether the newest committed position is on disk.
    committed_written: bool,
}

/// What only the driver touches.
struct Back {
    writer: Writer,
    staged: VecDeque<Pending>,
    sealed: bool,
    lock: Option<Box<dyn DiskLock>>,
}

struct Shared {
    settings: JournalSettings,
    front: Mutex<Front>,
    wake: Condvar,
    back: Mutex<Back>,
    groups: watch::Sender<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves the data as whole as its last statement did; the journal's own
    // failure latch says whether it may be used.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An open journal. Clones share it; the last one dropped stops it without sealing.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
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
        let (mut writer, index) = open_or_create(disk, &settings, entropy)?;
        writer.segments.fill().map_err(failed)?;
        let front = Front {
            index,
            queue: VecDeque::new(),
            files: files(&writer),
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
            Driver::Thread => Some(spawn(&shared)?),
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

    /// Entries of `range` that are held, in order, until `max_bytes` of payload are exceeded; at
    /// least one where there is one.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] where bytes on disk have changed; after a failure, that.
    pub fn entries(
        &self,
        range: Range<u64>,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>, JournalError> {
        let mut out = Vec::new();
        let mut bytes = 0;
        let mut window = Window::default();
        let mut next = range.start;
        while next < range.end {
            let found = {
                let front = self.usable()?;
                next = next.max(front.index.first_index().unwrap_or(range.end));
                if next >= range.end {
                    break;
                }
                front.index.find(next)
            };
            let entry = match found {
                None => break,
                Some(Found::Ready(entry)) => entry,
                Some(Found::OnDisk(position, serial, location)) => {
                    match self.load(&mut window, location) {
                        Ok(payload) => LogEntry { position, payload },
                        // It may have been purged, and its place used again, while we read.
                        Err(_) if !lock(&self.shared.front).index.holds(next, serial) => {
                            window = Window::default();
                            continue;
                        }
                        Err(error) => return Err(error),
                    }
                }
            };
            bytes += entry.payload.len();
            if bytes > max_bytes && !out.is_empty() {
                break;
            }
            out.push(entry);
            next += 1;
        }
        Ok(out)
    }

    fn load(&self, window: &mut Window, location: Location) -> Result<Bytes, JournalError> {
        let handle = lock(&self.shared.front).files.get(&location.file).cloned();
        let damaged = |reason: String| JournalError::Damaged {
            file: format!("{}/segment-{:06}", self.shared.settings.dir, location.file),
            from: location.offset,
            to: location.offset + u64::from(location.len),
            reason,
        };
        let Some(handle) = handle else {
            return Err(damaged("its file is gone".to_owned()));
        };
        let payload = window
            .read(handle.as_ref(), location)
            .map_err(|error| damaged(error.to_string()))?;
        match payload {
            Some(payload) if super::format::entry_sum(&payload) == location.sum => Ok(payload),
            _ => Err(damaged("an entry's bytes have changed".to_owned())),
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

    fn usable(&self) -> Result<MutexGuard<'_, Front>, JournalError> {
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

fn open_or_create(
    disk: Arc<dyn Disk>,
    settings: &JournalSettings,
    entropy: &dyn Entropy,
) -> Result<(Writer, Index), JournalError> {
    let mut segments = Segments::open(disk.clone(), settings)?;
    let wipe = |error: std::io::Error| JournalError::failed("wipe an unfinished journal", &error);
    match identity::load(disk.as_ref(), settings)? {
        Identity::Ready(keeper) => return recovery::recover(keeper, segments, settings),
        Identity::Unfinished(slots, seed) => {
            if recovery::was_used(&seed, &mut segments) {
                return Err(no_identity(
                    settings,
                    "the identity says unfinished, the log does not",
                ));
            }
            segments.clear().map_err(wipe)?;
            drop(slots);
        }
        Identity::Missing | Identity::Unreadable => {
            if !segments.is_empty() {
                return Err(no_identity(
                    settings,
                    "there are segments and no readable identity",
                ));
            }
        }
    }
    let (slots, seed) = identity::begin(disk.as_ref(), settings, entropy)?;
    let mut writer = Writer::create(seed.clone(), segments, settings.group_len)?;
    writer.keeper = Some(identity::finish(slots, seed, writer.lap)?);
    Ok((writer, Index::new(settings.cache_len)))
}

fn no_identity(settings: &JournalSettings, reason: &str) -> JournalError {
    JournalError::Damaged {
        file: format!("{}/identity", settings.dir),
        from: 0,
        to: 2 * BLOCK as u64,
        reason: reason.to_owned(),
    }
}

fn files(writer: &Writer) -> BTreeMap<u32, Arc<dyn DiskFile>> {
    writer
        .segments
        .iter()
        .map(|(number, segment)| (number, segment.file.clone()))
        .collect()
}

fn spawn(shared: &Arc<Shared>) -> Result<JoinHandle<()>, JournalError> {
    let shared = shared.clone();
    std::thread::Builder::new()
        .name("cairn-journal".to_owned())
        .spawn(move || shared.run())
        .map_err(|error| JournalError::failed("start the journal's thread", &error))
}

impl Shared {
    /// Writes one group if anything waits for it; whether it did.
    fn step(&self, back: &mut Back) -> bool {
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

    fn write(&self, back: &mut Back) -> bool {
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

    fn note_usage(&self, writer: &Writer) {
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

    fn seal(&self, back: &mut Back) {
        if back.sealed || lock(&self.front).failed.is_some() {
            return;
        }
        match back.writer.seal() {
            Ok(()) => back.sealed = true,
            Err(error) => self.fail(back, error),
        }
    }

    fn tidy(&self, back: &mut Back) {
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

/// Bytes read ahead while old entries are wanted one after another.
#[derive(Default)]
struct Window {
    file: u32,
    from: u64,
    bytes: Bytes,
}

impl Window {
    fn read(&mut self, file: &dyn DiskFile, location: Location) -> std::io::Result<Option<Bytes>> {
        if let Some(found) = self.slice(location) {
            return Ok(Some(found));
        }
        let from = location.offset - location.offset % BLOCK as u64;
        let needed = (location.offset - from) as usize + location.len as usize;
        let mut buf = AlignedBuf::zeroed(needed.max(READ_AHEAD));
        let read = file.read_at(buf.as_mut_slice(), from)?;
        let bytes = Bytes::from_owner(buf).slice(..read);
        *self = Self {
            file: location.file,
            from,
            bytes,
        };
        Ok(self.slice(location))
    }

    fn slice(&self, location: Location) -> Option<Bytes> {
        let start = usize::try_from(location.offset.checked_sub(self.from)?).ok()?;
        let end = start.checked_add(location.len as usize)?;
        (self.file == location.file && end <= self.bytes.len())
            .then(|| self.bytes.slice(start..end))
    }
}
