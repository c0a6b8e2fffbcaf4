//! What a journal should hold, kept beside a real one.

use bytes::Bytes;
use cairn_metadata::journal::{
    Driver, Journal, JournalError, JournalSettings, JournalState, LogEntry, LogPosition, Vote,
};
use cairn_world::Disk;
use cairn_world::sim::{SeededRng, SimDisk, SimEntropy};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

/// Segments of four blocks: three groups and a seal, so that rings turn fast.
pub(crate) fn settings() -> JournalSettings {
    JournalSettings {
        segment_len: 16 << 10,
        segments: 2,
        entry_len_max: 8_000,
        group_len: 8_192,
        cache_len: 10_000,
        driver: Driver::Inline,
        ..JournalSettings::new([7; 16], 3)
    }
}

pub(crate) fn open(disk: &SimDisk) -> Result<Journal, JournalError> {
    open_with(disk, settings())
}

pub(crate) fn open_with(
    disk: &SimDisk,
    settings: JournalSettings,
) -> Result<Journal, JournalError> {
    Journal::open(
        Arc::new(disk.clone()) as Arc<dyn Disk>,
        settings,
        &SimEntropy::new(99),
    )
}

/// Content of a journal.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) vote: Option<Vote>,
    pub(crate) purged: Option<LogPosition>,
    pub(crate) entries: BTreeMap<u64, LogEntry>,
}

fn brief(entry: &LogEntry) -> String {
    format!(
        "{}@{}x{}",
        entry.position.index,
        entry.position.term,
        entry.payload.len()
    )
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entries: Vec<String> = self.entries.values().map(brief).collect();
        write!(
            f,
            "{:?} purged {:?} {}",
            self.vote,
            self.purged,
            entries.join(" ")
        )
    }
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Append(entries) => {
                let entries: Vec<String> = entries.iter().map(brief).collect();
                write!(f, "append {}", entries.join(" "))
            }
            Self::Vote(vote) => write!(f, "{vote:?}"),
            Self::Truncate(keep) => write!(f, "truncate after {keep:?}"),
            Self::Purge(upto) => write!(f, "purge {upto:?}"),
            Self::Committed(at) => write!(f, "committed {at:?}"),
        }
    }
}

impl Content {
    /// Reads everything back through the public face.
    pub(crate) fn of(journal: &Journal) -> Self {
        let state = journal.state();
        let entries = journal.entries(0..u64::MAX, usize::MAX).unwrap();
        assert_eq!(entries.len(), state.entries);
        assert_eq!(
            entries.first().map(|entry| entry.position.index),
            state.first_index
        );
        let entries: BTreeMap<u64, LogEntry> = entries
            .into_iter()
            .map(|entry| (entry.position.index, entry))
            .collect();
        assert_eq!(
            state.last,
            entries
                .last_key_value()
                .map(|(_, e)| e.position)
                .or(state.purged)
        );
        Self {
            vote: state.vote,
            purged: state.purged,
            entries,
        }
    }

    pub(crate) fn last(&self) -> Option<LogPosition> {
        self.entries
            .last_key_value()
            .map(|(_, entry)| entry.position)
            .or(self.purged)
    }

    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Append(entries) => {
                for entry in entries {
                    self.entries.insert(entry.position.index, entry.clone());
                }
            }
            Change::Vote(vote) => self.vote = Some(*vote),
            Change::Truncate(keep) => {
                self.entries
                    .retain(|index, _| keep.is_some_and(|keep| *index <= keep));
            }
            Change::Purge(upto) => {
                self.purged = self.purged.max(Some(*upto));
                self.entries.retain(|index, _| *index > upto.index);
            }
            Change::Committed(_) => {}
        }
    }
}

/// One call.
#[derive(Clone)]
pub(crate) enum Change {
    Append(Vec<LogEntry>),
    Vote(Vote),
    Truncate(Option<u64>),
    Purge(LogPosition),
    Committed(LogPosition),
}

/// Makes the call; the receiver hears whether it is durable.
pub(crate) fn submit(
    journal: &Journal,
    change: &Change,
) -> Result<mpsc::Receiver<Result<(), JournalError>>, JournalError> {
    let (sender, receiver) = mpsc::channel();
    let done = Box::new(move |result| sender.send(result).unwrap());
    match change {
        Change::Append(entries) => journal.append(entries.clone(), done)?,
        Change::Vote(vote) => journal.save_vote(*vote, done)?,
        Change::Truncate(keep) => journal.truncate(*keep, done)?,
        Change::Purge(upto) => journal.purge(*upto, done)?,
        Change::Committed(position) => {
            journal.set_committed(*position)?;
            done(Ok(()));
        }
    }
    Ok(receiver)
}

/// Makes the call on an inline journal; whether it is durable.
pub(crate) fn run(journal: &Journal, change: &Change) -> Result<(), JournalError> {
    submit(journal, change)?
        .try_recv()
        .expect("an inline journal answers at once")
}

pub(crate) fn entry(term: u64, index: u64, len: usize) -> LogEntry {
    let payload: Vec<u8> = (0..len)
        .map(|at| (at as u64 ^ index.wrapping_mul(31) ^ term) as u8)
        .collect();
    LogEntry {
        position: LogPosition {
            term,
            leader: 3,
            index,
        },
        payload: Bytes::from(payload),
    }
}

/// A random but legal history that wraps the ring several times.
pub(crate) struct Workload {
    rng: SeededRng,
    content: Content,
    committed: Option<LogPosition>,
    term: u64,
}

impl Workload {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: SeededRng::new(seed),
            content: Content::default(),
            committed: None,
            term: 1,
        }
    }

    /// One that goes on with a journal that holds this; nothing of it is known to be committed.
    pub(crate) fn going_on(content: &Content, seed: u64) -> Self {
        let last = content.last().map_or(0, |last| last.term);
        let voted = content.vote.map_or(0, |vote| vote.term);
        Self {
            content: content.clone(),
            committed: content.purged,
            term: 1 + last.max(voted),
            ..Self::new(seed)
        }
    }

    pub(crate) fn next(&mut self) -> Change {
        let change = match self.rng.below(10) {
            0 => {
                self.term += 1;
                Change::Vote(Vote {
                    term: self.term,
                    leader: 3,
                    committed: self.rng.chance(1, 2),
                })
            }
            1 => self.truncation(),
            2 | 3 => self.purge(),
            4 => match self.content.last() {
                Some(last) => {
                    self.committed = self.committed.max(Some(last));
                    Change::Committed(last)
                }
                None => self.append(),
            },
            _ => self.append(),
        };
        self.content.apply(&change);
        change
    }

    fn append(&mut self) -> Change {
        let first = self.content.last().map_or(0, |last| last.index + 1);
        let count = 1 + self.rng.below(4);
        let entries = (first..first + count)
            .map(|index| {
                let len = [0, 10, 300, 4_000, 7_900][self.rng.below(5) as usize];
                entry(self.term, index, len)
            })
            .collect();
        Change::Append(entries)
    }

    /// Never below what is committed or purged.
    fn truncation(&mut self) -> Change {
        let floor = self
            .committed
            .max(self.content.purged)
            .map(|floor| floor.index);
        let last = self.content.last().map(|last| last.index);
        self.term += 1;
        match (floor, last) {
            (None, _) if self.rng.chance(1, 3) => Change::Truncate(None),
            (_, Some(last)) => {
                let low = floor.unwrap_or(0);
                Change::Truncate(Some(low + self.rng.below(last - low.min(last) + 1)))
            }
            _ => Change::Truncate(None),
        }
    }

    fn purge(&mut self) -> Change {
        let indexes: Vec<u64> = self.content.entries.keys().copied().collect();
        match self.rng.pick(&indexes) {
            Some(index) => {
                let upto = self.content.entries[index].position;
                self.committed = self.committed.max(Some(upto));
                Change::Purge(upto)
            }
            None => self.append(),
        }
    }
}

/// All contents an unfinished call may leave behind: its effect whole, or a prefix of an append.
pub(crate) fn outcomes(before: &Content, unfinished: Option<&Change>) -> Vec<Content> {
    let mut outcomes = vec![before.clone()];
    match unfinished {
        Some(Change::Append(entries)) => {
            for count in 1..=entries.len() {
                let mut content = before.clone();
                content.apply(&Change::Append(entries[..count].to_vec()));
                outcomes.push(content);
            }
        }
        Some(change) => {
            let mut content = before.clone();
            content.apply(change);
            outcomes.push(content);
        }
        None => {}
    }
    outcomes
}

/// Pointers that recovery brings back must have been set, and be covered by the log.
pub(crate) fn check_committed(state: &JournalState, set: &[LogPosition]) {
    if let Some(committed) = state.committed {
        assert!(
            set.contains(&committed),
            "{committed:?} was never committed"
        );
        assert!(
            state.last.is_some_and(|last| committed.index <= last.index),
            "{committed:?} is beyond {:?}",
            state.last
        );
    }
}

/// Counts what a test has seen, to prove that it saw it.
#[derive(Debug, Default)]
pub(crate) struct Seen(AtomicUsize);

impl Seen {
    pub(crate) fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
