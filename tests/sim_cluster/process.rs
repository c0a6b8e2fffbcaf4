//! A process of the cluster: it runs, stands still, or is dead.
//!
//! Tasks begun through it run only while it runs. What the product begins by itself is not held up;
//! but its clock, its calls and those it answers are, and once it is dead its disks and lines are dead
//! too, so nothing it still does can be seen by anybody.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tokio::task::{AbortHandle, JoinHandle};

/// Tasks noted before the ended ones are forgotten.
const SWEEP_AT: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    Paused,
    Dead,
}

#[derive(Debug)]
struct State {
    life: Life,
    waiting: Vec<Waker>,
    tasks: Vec<AbortHandle>,
    sweep_at: usize,
}

/// One incarnation of a process. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// The node or gateway it is.
    pub(crate) id: u64,
    state: Arc<Mutex<State>>,
}

impl Process {
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            state: Arc::new(Mutex::new(State {
                life: Life::Running,
                waiting: Vec::new(),
                tasks: Vec::new(),
                sweep_at: SWEEP_AT,
            })),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state().life == Life::Dead
    }

    /// Nothing of it goes on until it is resumed.
    pub(crate) fn pause(&self) {
        let mut state = self.state();
        if state.life == Life::Running {
            state.life = Life::Paused;
        }
    }

    pub(crate) fn resume(&self) {
        let waiting = {
            let mut state = self.state();
            if state.life == Life::Paused {
                state.life = Life::Running;
            }
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Its tasks end where they are.
    pub(crate) fn kill(&self) {
        let (waiting, tasks) = {
            let mut state = self.state();
            state.life = Life::Dead;
            let waiting = std::mem::take(&mut state.waiting);
            (waiting, std::mem::take(&mut state.tasks))
        };
        waiting.into_iter().for_each(Waker::wake);
        tasks.into_iter().for_each(|task| task.abort());
    }

    /// Begins a task of this process. It ends without a result where the process dies.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let task = tokio::spawn(Gated {
            process: self.clone(),
            work: Box::pin(work),
        });
        let mut state = self.state();
        if state.life == Life::Dead {
            task.abort();
            return task;
        }
        state.tasks.push(task.abort_handle());
        if state.tasks.len() >= state.sweep_at {
            state.tasks.retain(|task| !task.is_finished());
            state.sweep_at = SWEEP_AT.max(2 * state.tasks.len());
        }
        task
    }

    /// Returns once the process runs; at once where it does, or where it is dead.
    pub(crate) async fn running(&self) {
        std::future::poll_fn(|context| self.poll_running(context)).await;
    }

    fn poll_running(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.life != Life::Paused {
            return Poll::Ready(());
        }
        state.waiting.push(context.waker().clone());
        Poll::Pending
    }
}

/// A future that is polled only while its process runs.
struct Gated<F> {
    process: Process,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for Gated<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.process.poll_running(context) {
            Poll::Pending => Poll::Pending,
            // A dead one is aborted; until that is carried out it does nothing.
            Poll::Ready(()) if self.process.is_dead() => Poll::Pending,
            Poll::Ready(()) => self.work.as_mut().poll(context),
        }
    }
}
