//! The journal under openraft's log traits.

use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use tokio::sync::oneshot;

use super::settings::{APPEND_BYTES, READ_BYTES};
use super::types::{
    RaftEntry, RaftLogId, RaftVote, TypeConfig, entry_in, entry_out, log_id, position, vote_in,
    vote_out,
};
use crate::journal::{Done, Journal, JournalError};

/// openraft's view of a journal. Clones share it.
#[derive(Clone, Debug)]
pub struct LogStorage {
    journal: Journal,
}

impl LogStorage {
    /// Puts `journal` under openraft.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        Self { journal }
    }

    /// Runs a change and waits until it is durable.
    async fn durably(
        &self,
        change: impl FnOnce(&Journal, Done) -> Result<(), JournalError>,
    ) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        let done: Done = Box::new(move |result| {
            let _ = sender.send(result);
        });
        change(&self.journal, done).map_err(io::Error::other)?;
        match receiver.await {
            Ok(result) => result.map_err(io::Error::other),
            Err(_) => Err(io::Error::other(JournalError::Closed)),
        }
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> std::ops::Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

impl RaftLogReader<TypeConfig> for LogStorage {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<RaftEntry>, io::Error> {
        let entries = self
            .journal
            .entries(bounds(&range), usize::MAX)
            .map_err(io::Error::other)?;
        entries.iter().map(entry_in).collect()
    }

    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl futures_util::Stream<Item = Result<RaftEntry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let journal = self.journal.clone();
        let range = bounds(&range);
        let first = Pieces {
            journal,
            range,
            ready: Vec::new().into_iter(),
        };
        futures_util::stream::unfold(first, |mut pieces| async move {
            let item = pieces.next()?;
            Some((item, pieces))
        })
    }

    async fn read_vote(&mut self) -> Result<Option<RaftVote>, io::Error> {
        Ok(self.journal.state().vote.map(vote_in))
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<RaftEntry>, io::Error> {
        let entries = self
            .journal
            .entries(start..end, APPEND_BYTES)
            .map_err(io::Error::other)?;
        entries.iter().map(entry_in).collect()
    }
}

/// A range read a bounded piece at a time.
struct Pieces {
    journal: Journal,
    range: std::ops::Range<u64>,
    ready: std::vec::IntoIter<crate::journal::LogEntry>,
}

impl Pieces {
    fn next(&mut self) -> Option<io::Result<RaftEntry>> {
        if self.ready.len() == 0 {
            match self.journal.entries(self.range.clone(), READ_BYTES) {
                Ok(entries) => self.ready = entries.into_iter(),
                Err(error) => {
                    self.range = self.range.end..self.range.end;
                    return Some(Err(io::Error::other(error)));
                }
            }
        }
        let entry = self.ready.next()?;
        self.range.start = entry.position.index.saturating_add(1);
        Some(entry_in(&entry))
    }
}

impl RaftLogStorage<TypeConfig> for LogStorage {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let state = self.journal.state();
        Ok(LogState {
            last_purged_log_id: state.purged.map(log_id),
            last_log_id: state.last.map(log_id),
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &RaftVote) -> Result<(), io::Error> {
        let vote = vote_out(vote);
        self.durably(|journal, done| journal.save_vote(vote, done))
            .await
    }

    async fn save_committed(&mut self, committed: Option<RaftLogId>) -> Result<(), io::Error> {
        match committed {
            Some(committed) => self
                .journal
                .set_committed(position(&committed))
                .map_err(io::Error::other),
            None => Ok(()),
        }
    }

    async fn read_committed(&mut self) -> Result<Option<RaftLogId>, io::Error> {
        Ok(self.journal.state().committed.map(log_id))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries = entries.into_iter().map(|entry| entry_out(&entry)).collect();
        let done: Done =
            Box::new(move |result| callback.io_completed(result.map_err(io::Error::other)));
        self.journal.append(entries, done).map_err(io::Error::other)
    }

    async fn truncate_after(&mut self, last: Option<RaftLogId>) -> Result<(), io::Error> {
        let keep = last.map(|last| last.index);
        self.durably(|journal, done| journal.truncate(keep, done))
            .await
    }

    async fn purge(&mut self, upto: RaftLogId) -> Result<(), io::Error> {
        let upto = position(&upto);
        self.durably(|journal, done| journal.purge(upto, done))
            .await
    }
}

#[cfg(test)]
mod tests;
