//! The members of a cluster as one process calls them, and which of them answered lately.
//!
//! ```text
//!   learn(members) ─> per member: bulk        shards
//!                                 commands    metadata, pings
//!                                 consensus   votes and appends, never behind the others
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
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
    heard: Arc<Mutex<Heard>>,
}

/// What pings have told of a member.
#[derive(Clone, Copy, Debug)]
struct Heard {
    /// When it was heard last. A new one has time to be heard first.
    at: Duration,
    /// When it was heard first after it had been away, the last time that happened.
    back: Option<Duration>,
    /// Connections for pings made until then. One more: the process is another, or was cut off.
    connections: u64,
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
            heard: Arc::new(Mutex::new(Heard::new(now))),
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
            .is_some_and(|line| now.saturating_sub(line.heard().at) <= tuning::SILENT)
    }

    /// Whether a member was away and has answered again later than `moment` of the monotonic clock.
    #[must_use]
    pub fn is_back_since(&self, node: NodeId, moment: Duration) -> bool {
        let back = self.lines(node).and_then(|line| line.heard().back);
        back.is_some_and(|back| back > moment)
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
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ping(&self, number: u64, clock: &dyn Clock) {
        match self.commands.heartbeat(number, tuning::PING_PATIENCE).await {
            Ok(_) => {
                let connections = self.commands.connections();
                self.heard().note(clock.monotonic(), connections);
            }
            Err(error) => tracing::debug!(node = self.commands.node().0, %error, "no heartbeat"),
        }
    }
}

impl Heard {
    fn new(now: Duration) -> Self {
        Self {
            at: now,
            back: None,
            connections: 0,
        }
    }

    /// A ping was answered just now. The member was away where one before was not, or was answered
    /// over another connection.
    fn note(&mut self, now: Duration, connections: u64) {
        let silent = now.saturating_sub(self.at);
        if silent > tuning::AWAY || connections != self.connections {
            self.back = Some(now);
        }
        self.at = now.max(self.at);
        self.connections = connections;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Answers at these times over so many connections: after which of them the member was back.
    fn backs(answers: &[(u64, u64)]) -> Vec<u64> {
        let mut heard = Heard::new(millis(1_000));
        let mut backs = Vec::new();
        for (at, connections) in answers {
            heard.note(millis(*at), *connections);
            if heard.back == Some(millis(*at)) {
                backs.push(*at);
            }
        }
        backs
    }

    #[test]
    fn a_member_is_back_after_a_ping_was_missed_or_another_connection_made() {
        assert_eq!(backs(&[]), []);
        assert_eq!(backs(&[(1_020, 1)]), [1_020], "heard for the first time");
        let steady = [(1_020, 1), (1_530, 1), (2_010, 1), (2_600, 1), (3_010, 1)];
        assert_eq!(backs(&steady), [1_020]);
        assert_eq!(backs(&[(1_020, 1), (2_020, 1), (2_520, 1)]), [1_020, 2_020]);
        assert_eq!(backs(&[(1_020, 1), (1_520, 2), (2_020, 2)]), [1_020, 1_520]);
    }

    #[test]
    fn answers_out_of_order_are_no_absence() {
        assert_eq!(
            backs(&[(1_020, 1), (1_600, 1), (1_590, 1), (2_050, 1)]),
            [1_020]
        );
    }
}
