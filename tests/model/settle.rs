//! What is left when everybody has gone: the product's own plans, on a node that obeys, until there is
//! nothing more to do.

use cairn_metadata::planner::{garbage, orphans};
use cairn_rpc::ShardFound;
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{
    Condemned, FinishDelete, GarbageAnswer, GetChunks, GetGarbage, GetSessions,
};

use crate::replica::Rows;
use crate::rules::Rule;
use crate::say::{Say, Writing, chunk_id, chunk_key, entry};
use crate::without::Without;
use crate::world::World;

const ROUNDS: usize = 64;

impl World {
    /// The rule that is broken after all sessions have ended and the planner has done its work.
    pub(crate) fn settle(&mut self, rows: Rows, shards: u16) -> Option<Rule> {
        let mut quiet = rows;
        if !self.lacks(Without::Expiry) {
            for session in self.replica.facts(rows).open_sessions() {
                quiet = self.replica.say(quiet, Say::End(session)).rows;
            }
        }
        if let Some(known) = self.settled.get(&(quiet, shards)) {
            return *known;
        }
        let left = self.left_over(quiet, shards);
        self.settled.insert((quiet, shards), left);
        left
    }

    fn left_over(&mut self, mut rows: Rows, mut shards: u16) -> Option<Rule> {
        for _ in 0..ROUNDS {
            let Some((next, kept)) = self.round(rows, shards) else {
                return Some(Rule::Halted);
            };
            if (next, kept) == (rows, shards) {
                return self.is_dirty(rows, shards).then_some(Rule::Garbage);
            }
            (rows, shards) = (next, kept);
        }
        Some(Rule::Garbage)
    }

    fn is_dirty(&self, rows: Rows, shards: u16) -> bool {
        let facts = self.replica.facts(rows);
        let live = facts.live().map_or(0, Writing::bit);
        shards != live
            || facts.chunk.is_some() != (live != 0)
            || !facts.condemned.is_empty()
            || facts.sessions != 0
            || facts.pins != 0
    }

    /// One round of the planner; `None` where the state machine halts.
    fn round(&mut self, mut rows: Rows, mut shards: u16) -> Option<(Rows, u16)> {
        let Kind::Garbage(work) = self.replica.ask(rows, Asked::GetGarbage(GetGarbage { limit: 100 }))
        else {
            unreachable!("another answer than asked");
        };
        let commands = garbage::plan(&work);
        let busy = !commands.is_empty() || !work.deleting.is_empty();
        for command in commands {
            rows = self.order(rows, command)?;
        }
        for one in &work.deleting {
            shards &= !Writing::of_bytes(&one.incarnation).bit();
        }
        if !work.deleting.is_empty() {
            rows = self.order(rows, finish(work))?;
        }
        // Rounds come twice a second, looks for orphans every ten minutes.
        if !busy && !self.lacks(Without::LookingForOrphans) {
            rows = self.judge_orphans(rows, shards)?;
        }
        Some((rows, shards))
    }

    fn judge_orphans(&mut self, mut rows: Rows, shards: u16) -> Option<Rows> {
        let found: Vec<ShardFound> = Writing::all_in(shards)
            .map(|writing| ShardFound {
                chunk: chunk_id(),
                incarnation: writing.incarnation(),
                shard: 0,
            })
            .collect();
        let chunks = vec![chunk_key()];
        let sessions = self.replica.ask(rows, Asked::GetSessions(GetSessions {}));
        let chunks = self.replica.ask(rows, Asked::GetChunks(GetChunks { chunks }));
        let (Kind::Sessions(sessions), Kind::Chunks(chunks)) = (sessions, chunks) else {
            unreachable!("another answer than asked");
        };
        let suspects: orphans::Suspects = orphans::suspects(&found, &sessions, &chunks.chunks)
            .into_iter()
            .map(|writing| (writing, Default::default()))
            .collect();
        // Nothing changes between two looks any more.
        for verdict in orphans::verdicts(&suspects, &suspects) {
            rows = self.order(rows, Command::JudgeOrphans(verdict))?;
        }
        Some(rows)
    }

    fn order(&mut self, rows: Rows, command: Command) -> Option<Rows> {
        self.replica.apply(rows, &entry(command)).map(|done| done.rows)
    }
}

fn finish(work: GarbageAnswer) -> Command {
    let items = work.deleting.into_iter();
    let items = items.map(|item| Condemned {
        disks: Vec::new(),
        ..item
    });
    Command::FinishDelete(FinishDelete {
        items: items.collect(),
    })
}
