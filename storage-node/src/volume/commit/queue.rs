//! Jobs waiting for the committer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use cairn_rpc::ShardError;
use cairn_world::buggify;

use super::Job;
use crate::tuning::{GROUP_JOBS, QUEUE_JOBS};

/// A bounded queue.
#[derive(Debug, Default)]
pub(in crate::volume) struct Queue {
    jobs: Mutex<VecDeque<Job>>,
    arrived: Condvar,
}

impl Queue {
    fn jobs(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job; a full queue refuses it.
    pub(super) fn push(&self, job: Job) -> Result<(), ShardError> {
        let mut jobs = self.jobs();
        if jobs.len() >= QUEUE_JOBS {
            return Err(ShardError::Unavailable(
                "too many commits are waiting".to_owned(),
            ));
        }
        jobs.push_back(job);
        drop(jobs);
        self.arrived.notify_one();
        Ok(())
    }

    /// The next group.
    pub(super) fn take(&self) -> Vec<Job> {
        let mut jobs = self.jobs();
        let most = if buggify("commit-group-of-one") {
            1
        } else {
            GROUP_JOBS
        };
        let count = jobs.len().min(most);
        jobs.drain(..count).collect()
    }

    pub(in crate::volume) fn is_empty(&self) -> bool {
        self.jobs().is_empty()
    }

    /// Sleeps until there is a job or `stop`; who sets `stop` calls [`Queue::wake`] afterwards.
    pub(super) fn wait(&self, stop: &dyn Fn() -> bool) {
        let mut jobs = self.jobs();
        while jobs.is_empty() && !stop() {
            jobs = self
                .arrived
                .wait(jobs)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn wake(&self) {
        // Taken so that nobody is between looking at `stop` and sleeping.
        let jobs = self.jobs();
        self.arrived.notify_all();
        drop(jobs);
    }
}
