//! The design's rules, each of which can be taken away: from what apply gets to see, from an entry, or
//! from an actor.

use bytes::Bytes;
use cairn_metadata::keyspace::KeyKind;
use cairn_metadata::keyspace::chunk::{ChunkKey, ChunkRow, ChunkState};
use cairn_metadata::keyspace::pin::PinKey;
use cairn_metadata::keyspace::session::{OutcomeKey, SessionKey, SessionRow};
use cairn_wire::metadata::Entry;
use cairn_wire::metadata::entry::Command;

use crate::say::{Request, Say, Verb};

/// Which rule is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Without {
    // Apply's.
    /// Condemned -> Deleting waits for sessions.
    SessionGate,
    /// Condemned -> Deleting waits for pins.
    PinGate,
    /// A commit adopts Live writings only.
    AdoptingLiveOnly,
    /// A commit does not adopt a suspect writing.
    RefusingSuspects,
    /// A claim takes Live writings only.
    ClaimingLiveOnly,
    /// A commit of an ended session is refused.
    RefusingEndedSessions,
    /// A writing counts only from the session in its stamp.
    OwnStamps,
    /// Outcomes are kept until the session ends.
    Outcomes,
    /// An orphan's session has ended.
    OrphansOfEndedSessions,
    /// An orphan is known to no row.
    OrphansUnknown,
    /// A pin is taken from a session that is still open.
    PinsFromOpenSessions,
    /// Every reference counts.
    CountingEachReference,
    // The actors'.
    /// A read enters its session before it reads the manifest.
    EnteringFirst,
    /// The old session of a read is left only when the pin has been committed.
    PinningBeforeLeaving,
    /// An answer waits for the commit.
    AnsweringAfterCommit,
    /// A commit waits for the shard to be durable.
    DurableFirst,
    /// What stayed unknown is not tried again in a new session.
    NoRetryInNewSession,
    /// Nodes delete what a committed entry names.
    CommittedDeletes,
    /// Nodes delete what an entry names, not what they find no row for.
    NamedDeletes,
    /// A delete names the incarnation.
    DeletesByIncarnation,
    /// Sessions of the dead expire.
    Expiry,
    /// Orphans are looked for.
    LookingForOrphans,
}

impl Without {
    /// The entry as apply gets it.
    pub(crate) fn entry(self, say: Say) -> Entry {
        match (self, say) {
            // Apply compares the stamp's session with the entry's, so the entry takes the stamp's.
            (Self::OwnStamps, Say::Ask(request)) => match request.verb {
                Verb::Put(_, writing) if writing.session() != request.session => {
                    let session = writing.session();
                    let operation = 10 * request.session + request.operation;
                    Say::Ask(Request { session, operation, ..request }).entry()
                }
                _ => say.entry(),
            },
            _ => say.entry(),
        }
    }

    /// Rows as apply gets to see them, sorted by key as they came.
    pub(crate) fn blind(self, entry: &Entry, rows: &mut Vec<(Bytes, Bytes)>) {
        let Some(command) = &entry.command else { return };
        let is_put = matches!(command, Command::PutObject(_));
        let is_begin_delete = matches!(command, Command::BeginDelete(_));
        let is_judge = matches!(command, Command::JudgeOrphans(_));
        match self {
            Self::SessionGate if is_begin_delete => hide::<SessionKey>(rows),
            Self::PinGate if is_begin_delete => hide::<PinKey>(rows),
            Self::AdoptingLiveOnly if is_put && !claims(command) => {
                rewrite(rows, |row| row.set_state(ChunkState::Live));
            }
            Self::ClaimingLiveOnly if is_put && claims(command) => {
                rewrite(rows, |row| row.set_state(ChunkState::Live));
            }
            Self::RefusingSuspects if is_put => rewrite(rows, |row| row.suspect = false),
            Self::RefusingEndedSessions | Self::OwnStamps if entry.session != 0 => {
                open(rows, entry.session);
            }
            Self::Outcomes => hide::<OutcomeKey>(rows),
            Self::OrphansOfEndedSessions if is_judge => hide::<SessionKey>(rows),
            Self::OrphansUnknown if is_judge => hide::<ChunkKey>(rows),
            Self::PinsFromOpenSessions => {
                if let Command::PinRead(pin) = command {
                    open(rows, pin.from);
                }
            }
            Self::CountingEachReference if is_put => {
                rewrite(rows, |row| row.refs = row.refs.saturating_sub(1));
            }
            _ => {}
        }
    }
}

fn claims(command: &Command) -> bool {
    use cairn_wire::metadata::Claim;
    use cairn_wire::metadata::content::Place;
    let Command::PutObject(put) = command else {
        return false;
    };
    let place = put.content.as_ref().and_then(|content| content.place.as_ref());
    matches!(place, Some(Place::Extents(list)) if list.extents.iter().any(|one| one.claim() == Claim::Fit))
}

fn hide<K: KeyKind>(rows: &mut Vec<(Bytes, Bytes)>) {
    rows.retain(|(key, _)| key.first() != Some(&K::PREFIX));
}

fn rewrite(rows: &mut [(Bytes, Bytes)], change: impl Fn(&mut ChunkRow)) {
    for (key, value) in rows {
        if key.first() == Some(&ChunkKey::PREFIX) {
            let mut row = ChunkKey::decode_row(value).unwrap();
            change(&mut row);
            *value = ChunkKey::encode_row(&row);
        }
    }
}

fn open(rows: &mut Vec<(Bytes, Bytes)>, session: u64) {
    let key = Bytes::from(SessionKey(session).encode());
    let row = SessionKey::encode_row(&SessionRow::default());
    match rows.binary_search_by(|(other, _)| other.cmp(&key)) {
        Ok(place) => rows.get_mut(place).unwrap().1 = row,
        Err(place) => rows.insert(place, (key, row)),
    }
}
