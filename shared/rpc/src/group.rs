//! A metadata group as those outside it call it: several replicas, one of which leads.
//!
//! ```text
//!   call ─> the believed leader, if it answered lately ─ NotLeader{leader} ─> that one ─ ...
//!                │ Unavailable: nothing was done
//!                └─> the others, those that answered lately first ─ all tried ─> Unavailable
//! ```
//!
//! Only what is known to have done nothing is sent to another replica. An unknown outcome goes back
//! to the caller, who alone may send the same (session, operation) again.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{Answer, Query, Reply};
use cairn_world::buggify;

use crate::{MetadataError, MetadataService};

/// A replica of the group.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Its node.
    pub node: u64,
    /// The way to it.
    pub service: Arc<dyn MetadataService>,
    /// Whether it answered lately.
    pub is_reachable: bool,
}

/// Who the replicas are now.
pub trait Replicas: Send + Sync + std::fmt::Debug {
    /// All that are known, in any order.
    fn replicas(&self) -> Vec<Replica>;
}

impl Replicas for Vec<Replica> {
    fn replicas(&self) -> Vec<Replica> {
        self.clone()
    }
}

/// A metadata group.
#[derive(Debug)]
pub struct MetadataGroup {
    replicas: Arc<dyn Replicas>,
    leader: Mutex<Option<u64>>,
}

/// The order in which replicas are tried for one call: those that answered lately, the believed leader
/// first; all where none did. Each is tried once, a leader that is named
/// afterwards once more: who leads may have changed meanwhile.
struct Tour {
    ahead: VecDeque<Replica>,
    behind: Vec<Replica>,
    hints: u32,
}

/// Leaders named by others that are followed in one call.
const HINTS_MAX: u32 = 3;

impl Tour {
    fn new(mut replicas: Vec<Replica>, leader: Option<u64>) -> Self {
        // Who is silent is asked only where everybody is: a call would wait for each of them.
        if replicas.iter().any(|replica| replica.is_reachable) {
            replicas.retain(|replica| replica.is_reachable);
        }
        replicas.sort_by_key(|replica| Some(replica.node) != leader);
        Self {
            ahead: replicas.into(),
            behind: Vec::new(),
            hints: 0,
        }
    }

    fn next(&mut self) -> Option<Replica> {
        let next = self.ahead.pop_front()?;
        self.behind.push(next.clone());
        Some(next)
    }

    /// `leader` is said to lead.
    fn hint(&mut self, leader: u64) {
        if self.hints == HINTS_MAX {
            return;
        }
        self.hints += 1;
        let is_named = |replica: &Replica| replica.node == leader;
        let found = match self.ahead.iter().position(is_named) {
            Some(at) => self.ahead.remove(at),
            None => self
                .behind
                .iter()
                .find(|replica| is_named(replica))
                .cloned(),
        };
        if let Some(replica) = found {
            self.ahead.push_front(replica);
        }
    }
}

impl MetadataGroup {
    /// A group of these replicas.
    #[must_use]
    pub fn new(replicas: Arc<dyn Replicas>) -> Self {
        Self {
            replicas,
            leader: Mutex::default(),
        }
    }

    /// The replica that led when one last said so.
    #[must_use]
    pub fn leader(&self) -> Option<u64> {
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn believe(&self, leader: Option<u64>) {
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner) = leader;
    }

    async fn call<T, F>(
        &self,
        only_leader: bool,
        call: impl Fn(Arc<dyn MetadataService>) -> F,
    ) -> Result<T, MetadataError>
    where
        F: Future<Output = Result<T, MetadataError>>,
    {
        let mut tour = Tour::new(self.replicas.replicas(), self.leader());
        if !only_leader && buggify("query-asks-a-follower") {
            tour.ahead.rotate_left(1.min(tour.ahead.len()));
        }
        let mut why = "no replica is known".to_owned();
        while let Some(replica) = tour.next() {
            let error = match call(Arc::clone(&replica.service)).await {
                Ok(answer) => {
                    if only_leader {
                        self.believe(Some(replica.node));
                    }
                    return Ok(answer);
                }
                Err(error) => error,
            };
            match error {
                MetadataError::NotLeader { leader } => {
                    if let Some(leader) = leader {
                        tour.hint(leader);
                    }
                    self.believe(leader);
                    why = format!("node {:016x} does not lead", replica.node);
                }
                MetadataError::Unavailable(reason) => {
                    if self.leader() == Some(replica.node) {
                        self.believe(None);
                    }
                    why = reason;
                }
                MetadataError::Unknown | MetadataError::TooLarge | MetadataError::Refused(_) => {
                    if self.leader() == Some(replica.node) && error == MetadataError::Unknown {
                        self.believe(None);
                    }
                    return Err(error);
                }
            }
        }
        Err(MetadataError::Unavailable(why))
    }
}

#[async_trait]
impl MetadataService for MetadataGroup {
    async fn propose(
        &self,
        session: u64,
        operation: u64,
        command: Command,
    ) -> Result<Reply, MetadataError> {
        let send = |replica: Arc<dyn MetadataService>| {
            let command = command.clone();
            async move { replica.propose(session, operation, command).await }
        };
        self.call(true, send).await
    }

    async fn query(&self, query: Query) -> Result<Answer, MetadataError> {
        let send = |replica: Arc<dyn MetadataService>| {
            let query = query.clone();
            async move { replica.query(query).await }
        };
        self.call(false, send).await
    }

    async fn keep_alive(&self, sessions: &[u64]) -> Result<(), MetadataError> {
        let send =
            |replica: Arc<dyn MetadataService>| async move { replica.keep_alive(sessions).await };
        self.call(true, send).await
    }
}

#[cfg(test)]
mod tests;
