//! Voters that applied the same entries must have the same state: they compare the running hash at
//! every multiple of 1,000 entries.
//!
//! ```text
//!  every 500 ms, where an index here was not compared:
//!    ask every other voter for its hashes --> per index: verdict --> Agree | Wait | Odd | Split
//! ```
//! Every member judges itself: it halts where a majority of voters has another value than it has, and
//! says so in a row of its store, so that it does not come back with that state. Where the voters are
//! all known, or enough of them for long enough, and no value has a majority, all stop.

use std::collections::BTreeMap;
use std::time::Duration;

use super::errors::Member;
use super::host::{RaftHost, WeakHost};
use super::messages::{Answer, Call, EmptyMessage};
use super::rows::{RunningHash, StateHash};
use super::settings::{COMPARE_EVERY, SPLIT_PATIENCE};
use super::transport::{TransportError, astray};

/// What an index says about this member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// A majority of the voters has what we have.
    Agree,
    /// Too little is known.
    Wait,
    /// A majority has something else.
    Odd,
    /// A majority answered, and no value can be told to be the right one. `certain` where nobody is
    /// left who could still decide it.
    Split { certain: bool },
}

/// Judges one index: `known` holds the values of voters that have one, ours included where we vote.
fn judge(voters: usize, ours: RunningHash, known: &BTreeMap<u64, RunningHash>) -> Verdict {
    let majority = voters / 2 + 1;
    let mut counts: BTreeMap<RunningHash, usize> = BTreeMap::new();
    for hash in known.values() {
        *counts.entry(*hash).or_default() += 1;
    }
    let most = counts.iter().max_by_key(|(_, count)| **count);
    match most {
        Some((hash, count)) if *count >= majority && *hash == ours => Verdict::Agree,
        Some((_, count)) if *count >= majority => Verdict::Odd,
        Some((_, count)) if counts.len() > 1 && known.len() >= majority => Verdict::Split {
            certain: count + (voters - known.len()) < majority,
        },
        _ => Verdict::Wait,
    }
}

/// Compares until the host goes.
pub(super) struct Comparer {
    host: WeakHost,
    /// Indexes up to here are compared.
    compared: u64,
    /// Since when voters were seen to differ without a majority.
    split_since: Option<Duration>,
}

impl Comparer {
    pub(super) fn new(host: WeakHost) -> Self {
        Self {
            host,
            compared: 0,
            split_since: None,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let Some(host) = self.host.get() else { return };
            let sleep = host.inner.clock.sleep(COMPARE_EVERY);
            drop(host);
            sleep.await;
            let Some(host) = self.host.get() else { return };
            if host.is_halted() {
                return;
            }
            self.round(&host).await;
        }
    }

    async fn round(&mut self, host: &RaftHost) {
        let members = host.members();
        let Ok(ours) = host.state_hashes() else {
            return;
        };
        let compared = self.compared;
        let ours: Vec<StateHash> = ours
            .into_iter()
            .filter(|state| state.position.index > compared)
            .collect();
        if ours.is_empty() || members.voters.len() < 2 {
            return;
        }
        let known = gather(host, &members.voters, &ours).await;
        let empty = BTreeMap::new();
        let mut split = false;
        for state in &ours {
            let index = state.position.index;
            let known = known.get(&index).unwrap_or(&empty);
            match judge(members.voters.len(), state.hash, known) {
                Verdict::Agree => self.compared = index,
                Verdict::Wait => {}
                Verdict::Odd => {
                    host.diverged(index).await;
                    return;
                }
                Verdict::Split { certain } => {
                    split = true;
                    if certain || self.is_patience_over(host) {
                        let reason = format!("no majority of voters agrees on entry {index}");
                        host.halt(reason).await;
                        return;
                    }
                }
            }
        }
        if !split {
            self.split_since = None;
        }
    }

    fn is_patience_over(&mut self, host: &RaftHost) -> bool {
        let now = host.inner.clock.monotonic();
        let since = *self.split_since.get_or_insert(now);
        now.saturating_sub(since) >= SPLIT_PATIENCE
    }
}

/// Values of the voters by index, then by voter.
async fn gather(
    host: &RaftHost,
    voters: &[Member],
    ours: &[StateHash],
) -> BTreeMap<u64, BTreeMap<u64, RunningHash>> {
    let me = host.inner.settings.node_id;
    let others = voters.iter().filter(|voter| voter.id != me);
    let asked = others.map(|voter| async move { (voter.id, ask(host, voter).await) });
    let mut answers = futures_util::future::join_all(asked).await;
    if voters.iter().any(|voter| voter.id == me) {
        answers.push((me, Ok(ours.to_vec())));
    }
    let mut known: BTreeMap<u64, BTreeMap<u64, RunningHash>> = BTreeMap::new();
    for (voter, answer) in answers {
        for state in answer.unwrap_or_default() {
            let index = known.entry(state.position.index).or_default();
            index.insert(voter, state.hash);
        }
    }
    known
}

async fn ask(host: &RaftHost, voter: &Member) -> Result<Vec<StateHash>, TransportError> {
    let call = Call::Hashes(EmptyMessage {});
    match host.inner.peers.ask(voter, call).await? {
        Answer::Hashes(message) => message
            .hashes
            .iter()
            .map(|hash| hash.state().map_err(|bad| TransportError(bad.to_string())))
            .collect(),
        _ => astray(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(voters: usize, ours: u8, known: &[u8]) -> Verdict {
        let known = (1..).zip(known.iter().map(|value| [*value; 32])).collect();
        judge(voters, [ours; 32], &known)
    }

    #[test]
    fn a_majority_decides() {
        assert_eq!(judged(3, 1, &[1, 1]), Verdict::Agree);
        assert_eq!(judged(3, 1, &[1, 1, 2]), Verdict::Agree);
        assert_eq!(judged(3, 2, &[1, 1, 2]), Verdict::Odd);
        assert_eq!(judged(5, 2, &[2, 1, 1, 1]), Verdict::Odd);
        assert_eq!(judged(3, 9, &[1, 1]), Verdict::Odd, "a learner");
    }

    #[test]
    fn a_minority_decides_nothing() {
        assert_eq!(judged(3, 1, &[1]), Verdict::Wait);
        assert_eq!(judged(3, 1, &[]), Verdict::Wait);
        assert_eq!(judged(5, 1, &[1, 2]), Verdict::Wait);
        assert_eq!(judged(5, 1, &[1, 1]), Verdict::Wait);
    }

    #[test]
    fn without_a_majority_value_nobody_is_right() {
        let certain = |certain| Verdict::Split { certain };
        assert_eq!(judged(2, 1, &[1, 2]), certain(true));
        assert_eq!(judged(3, 1, &[1, 2]), certain(false));
        assert_eq!(judged(3, 1, &[1, 2, 3]), certain(true));
        assert_eq!(judged(5, 1, &[1, 1, 2, 2]), certain(false));
        assert_eq!(judged(5, 1, &[1, 1, 2, 2, 3]), certain(true));
        assert_eq!(judged(4, 1, &[1, 1, 2, 2]), certain(true));
    }
}
