//! Threads that run blocking jobs in the order they came.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use cairn_rpc::ShardError;
use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// A small pool with one bounded queue.
#[derive(Debug)]
pub(crate) struct Lanes {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    queue: Mutex<VecDeque<Work>>,
    arrived: Condvar,
    stopped: AtomicBool,
    bound: usize,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lanes")
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Work>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let mut queue = self.queue();
            let work = loop {
                if let Some(work) = queue.pop_front() {
                    break work;
                }
                if self.stopped.load(Ordering::SeqCst) {
                    return;
                }
                queue = self
                    .arrived
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            };
            drop(queue);
            work();
        }
    }
}

impl Lanes {
    /// Starts `threads` threads; at most `bound` jobs wait.
    pub(crate) fn start(name: &str, threads: usize, bound: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            arrived: Condvar::new(),
            stopped: AtomicBool::new(false),
            bound,
        });
        let lanes = Self {
            shared: Arc::clone(&shared),
            threads: Mutex::default(),
        };
        for _ in 0..threads {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || shared.run())?;
            lanes.threads().push(thread);
        }
        Ok(lanes)
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues `work`; its result comes through the receiver.
    ///
    /// # Errors
    /// `Unavailable` where too much is waiting or the lanes have stopped.
    pub(crate) fn send<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, ShardError> {
        let (sender, receiver) = oneshot::channel();
        let mut queue = self.shared.queue();
        if self.shared.stopped.load(Ordering::SeqCst) {
            return Err(ShardError::Unavailable("disk is closing".to_owned()));
        }
        if queue.len() >= self.shared.bound {
            return Err(ShardError::Unavailable(
                "too much is waiting for the disk".to_owned(),
            ));
        }
        queue.push_back(Box::new(move || {
            // Whoever stopped waiting does not care; the work is done all the same.
            let _gone = sender.send(work());
        }));
        drop(queue);
        self.shared.arrived.notify_one();
        Ok(receiver)
    }

    /// Finishes what is queued and ends the threads.
    pub(crate) fn stop(&self) {
        let queue = self.shared.queue();
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.arrived.notify_all();
        drop(queue);
        let threads: Vec<JoinHandle<()>> = self.threads().drain(..).collect();
        for thread in threads {
            // A lane that is dropped by its own job must not wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _panicked = thread.join();
            }
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_in_order_and_before_stopping() {
        let lanes = Lanes::start("test", 1, 100).unwrap();
        let done = Arc::new(Mutex::new(Vec::new()));
        let waits: Vec<_> = (0..50)
            .map(|number| {
                let done = Arc::clone(&done);
                lanes
                    .send(move || done.lock().unwrap().push(number))
                    .unwrap()
            })
            .collect();
        lanes.stop();
        assert_eq!(*done.lock().unwrap(), (0..50).collect::<Vec<_>>());
        assert!(waits.into_iter().all(|wait| wait.blocking_recv().is_ok()));
        assert!(matches!(lanes.send(|| ()), Err(ShardError::Unavailable(_))));
    }

    #[test]
    fn a_full_queue_refuses() {
        let lanes = Lanes::start("test", 1, 1).unwrap();
        let (block, blocked) = std::sync::mpsc::channel::<()>();
        let (began, begun) = std::sync::mpsc::channel::<()>();
        let first = lanes
            .send(move || {
                began.send(()).unwrap();
                blocked.recv()
            })
            .unwrap();
        begun.recv().unwrap();
        assert!(lanes.send(|| ()).is_ok());
        assert!(matches!(lanes.send(|| ()), Err(ShardError::Unavailable(_))));
        block.send(()).unwrap();
        first.blocking_recv().unwrap().unwrap();
    }
}
