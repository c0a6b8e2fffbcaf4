//! The members of a cluster as one process calls them, and which of them answered lately.
//!
//! ```text
//!   learn(members) ─> per member: bulk        shards
//!                                 commands    metadata, pings
//!                                 consensus   votes and appends, never behind the others
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use cairn_model::NodeId;
use cairn_world::Clock;

use super::endpoint::Endpoint;
use super::peer::RemotePeer;
use super::tuning;

/// The connections to one member, made when they are first used.
#[derive(Clone, Debug)]
pub struct Lines {
    /// Shards: may be full of them for seconds.
    pub bulk: Arc<RemotePeer>,
    /// Commands and queries.
    pub commands: Arc<RemotePeer>,
    /// Raft.
    pub consensus: Arc<RemotePeer>,
    /// When it was heard last. A new one has time to be heard first.
    heard: Arc<Mutex<Duration>>,
}

/// All members that are called.
#[derive(Debug)]
pub struct Pool {
    endpoint: Arc<Endpoint>,
    clock: Arc<dyn Clock>,
    lines: RwLock<BTreeMap<NodeId, (String, Lines)>>,
}

impl Pool {
    /// Calls through `endpoint`.
    #[must_use]
    pub fn new(endpoint: Arc<Endpoint>, clock: Arc<dyn Clock>) -> Self {
        Self {
            endpoint,
            clock,
            lines: RwLock::default(),
        }
    }

    /// The members are these, each at an address (host:port). Who is not named is called no more.
    pub fn learn(&self, members: &[(NodeId, String)]) {
        let now = self.clock.monotonic();
        let mut lines = self.lines.write().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|node, _| members.iter().any(|(member, _)| member == node));
        for (node, address) in members {
            match lines.get_mut(node) {
                None => {
                    lines.insert(*node, (address.clone(), self.lines_to(*node, address, now)));
                }
                Some((known, line)) if known != address => {
                    for peer in [&line.bulk, &line.commands, &line.consensus] {
                        peer.moved(vec![address.clone()]);
                    }
                    known.clone_from(address);
                }
                Some(_) => {}
            }
        }
    }

    fn lines_to(&self, node: NodeId, address: &str, now: Duration) -> Lines {
        let peer = || self.endpoint.peer(node, &[address]);
        Lines {
            bulk: peer(),
            commands: peer(),
            consensus: peer(),
            heard: Arc::new(Mutex::new(now)),
        }
    }

    /// The lines to a member.
    #[must_use]
    pub fn lines(&self, node: NodeId) -> Option<Lines> {
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        lines.get(&node).map(|(_, line)| line.clone())
    }

    /// Whether a member answered lately. It only steers.
    #[must_use]
    pub fn is_reachable(&self, node: NodeId) -> bool {
        let now = self.clock.monotonic();
        self.lines(node)
            .is_some_and(|line| now.saturating_sub(line.heard_at()) <= tuning::SILENT)
    }

    /// Asks every member, again and again, whether it is there, for as long as it is polled.
    pub async fn watch(&self) {
        let mut number = 0;
        loop {
            number += 1;
            let all: Vec<Lines> = {
                let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
                lines.values().map(|(_, line)| line.clone()).collect()
            };
            for line in all {
                let clock = Arc::clone(&self.clock);
                tokio::spawn(async move { line.ping(number, clock.as_ref()).await });
            }
            self.clock.sleep(tuning::PING_EVERY).await;
        }
    }
}

impl Lines {
    fn heard_at(&self) -> Duration {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ping(&self, number: u64, clock: &dyn Clock) {
        match self.commands.heartbeat(number, tuning::PING_PATIENCE).await {
            Ok(_) => {
                let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
                *heard = clock.monotonic().max(*heard);
            }
            Err(error) => tracing::debug!(node = self.commands.node().0, %error, "no heartbeat"),
        }
    }
}
