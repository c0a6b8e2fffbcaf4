//! The threads of one disk: thin shells around steps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::care::Care;
use crate::background::Progress;
use crate::lanes::Lanes;
use crate::tuning::{GIVE_WAY, IDLE_PAUSE, OPEN_UPLOADS, READ_QUEUE, ROOM_PAUSE, SCRUB_REST};
use crate::volume::Volume;

/// Readers, writers, the committer and the caretaker.
#[derive(Debug)]
pub(super) struct DiskThreads {
    pub(super) readers: Lanes,
    pub(super) writers: Lanes,
    volume: Arc<Volume>,
    committing: Arc<AtomicBool>,
    caring: Arc<Signal>,
    committer: Mutex<Option<JoinHandle<()>>>,
    caretaker: Mutex<Option<JoinHandle<()>>>,
}

/// A stop sign one can sleep on.
#[derive(Debug, Default)]
struct Signal {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    /// Sleeps for `pause` at most; true once stopped.
    fn pause(&self, pause: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let (stopped, _) = self
            .changed
            .wait_timeout_while(stopped, pause, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        *stopped
    }

    fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

impl DiskThreads {
    pub(super) fn start(volume: &Arc<Volume>, care: &Arc<Care>) -> std::io::Result<Self> {
        let settings = &volume.settings;
        // Each upload has at most one run and one reservation waiting.
        let threads = Self {
            readers: Lanes::start("cairn-read", settings.readers, READ_QUEUE)?,
            writers: Lanes::start("cairn-write", settings.writers, 2 * OPEN_UPLOADS)?,
            volume: Arc::clone(volume),
            committing: Arc::new(AtomicBool::new(true)),
            caring: Arc::default(),
            committer: Mutex::default(),
            caretaker: Mutex::default(),
        };
        let (committed, go_on) = (Arc::clone(volume), Arc::clone(&threads.committing));
        let committer = std::thread::Builder::new()
            .name("cairn-commit".to_owned())
            .spawn(move || commit(&committed, &go_on))?;
        keep(&threads.committer, committer);
        let (cared, care) = (Arc::clone(volume), Arc::clone(care));
        let signal = Arc::clone(&threads.caring);
        let caretaker = std::thread::Builder::new()
            .name("cairn-care".to_owned())
            .spawn(move || take_care(&cared, &care, &signal))?;
        keep(&threads.caretaker, caretaker);
        Ok(threads)
    }

    /// Ends background work and lets queued reads and writes run out; commits go on.
    pub(super) fn stop_work(&self) {
        self.caring.stop();
        join(&self.caretaker);
        self.readers.stop();
        self.writers.stop();
    }

    /// Ends all threads.
    pub(super) fn stop(&self) {
        self.stop_work();
        self.committing.store(false, Ordering::SeqCst);
        self.volume.wake();
        join(&self.committer);
    }
}

impl Drop for DiskThreads {
    fn drop(&mut self) {
        self.stop();
    }
}

fn keep(slot: &Mutex<Option<JoinHandle<()>>>, thread: JoinHandle<()>) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
}

fn join(slot: &Mutex<Option<JoinHandle<()>>>) {
    let thread = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(thread) = thread {
        let _panicked = thread.join();
    }
}

fn commit(volume: &Volume, go_on: &AtomicBool) {
    while go_on.load(Ordering::SeqCst) {
        volume.wait_for_jobs(&|| !go_on.load(Ordering::SeqCst));
        while volume.step() > 0 {}
    }
}

/// Steps with pauses between them; gives way to foreground work, but not for ever.
fn take_care(volume: &Volume, care: &Care, signal: &Signal) {
    let settings = &volume.settings;
    let mut pause = settings.care_pause;
    let mut until_scrub = settings.scrub_pause.unwrap_or(IDLE_PAUSE);
    let mut until_look = ROOM_PAUSE;
    let mut gave_way = 0;
    while !signal.pause(pause) {
        until_look = until_look.saturating_sub(pause);
        if until_look.is_zero() {
            volume.look_at_room();
            until_look = ROOM_PAUSE;
        }
        until_scrub = until_scrub.saturating_sub(pause);
        if volume.busy() && gave_way < GIVE_WAY {
            gave_way += 1;
            pause = settings.care_pause;
            continue;
        }
        gave_way = 0;
        pause = match care.step() {
            Progress::Worked(_) => settings.care_pause,
            Progress::Idle | Progress::Stopped => IDLE_PAUSE,
        };
        let Some(scrub_pause) = settings.scrub_pause else {
            continue;
        };
        if until_scrub.is_zero() {
            until_scrub = match care.scrub_step().0 {
                Progress::Worked(_) => scrub_pause,
                Progress::Idle | Progress::Stopped => SCRUB_REST,
            };
        }
        pause = pause.min(until_scrub.max(settings.care_pause));
    }
}
