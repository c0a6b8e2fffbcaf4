//! What actors say to the metadata, small enough to be part of a state, and as the product's entries.

use std::fmt;

use bytes::Bytes;
use cairn_model::{Incarnation, SessionId};
use cairn_wire::metadata::content::Place;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{
    BeginDelete, BeginSession, ChunkKey, Claim, Coding, Condemned, Content, DeleteItem,
    DeleteObjects, EndSession, Entry, ExtentWrite, Extents, FinishDelete, JudgeOrphans,
    MarkSuspect, Orphan, PinRead, PutObject,
};
use prost::Message as _;

/// Writings one session may make of the chunk.
pub(crate) const WRITINGS: u8 = 2;
/// Sessions there are at most; as many writings as fit the masks.
pub(crate) const SESSIONS: u8 = 6;
/// Requests one session may carry.
pub(crate) const OPERATIONS: u8 = 3;

const CHUNK_LEN: u32 = 100_000;
const SHA256: [u8; 32] = [7; 32];
const DOMAIN: u64 = 1;
const BUCKET: u64 = 1;

/// A writing of the chunk: the session that wrote it and its place among that session's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Writing(u8);

impl Writing {
    pub(crate) fn new(session: u8, counter: u8) -> Self {
        assert!((1..=SESSIONS).contains(&session) && (1..=WRITINGS).contains(&counter));
        Self((session - 1) * WRITINGS + counter - 1)
    }

    pub(crate) fn session(self) -> u8 {
        self.0 / WRITINGS + 1
    }

    /// In a mask of writings.
    pub(crate) fn bit(self) -> u16 {
        1 << self.0
    }

    /// Those in a mask.
    pub(crate) fn all_in(mask: u16) -> impl Iterator<Item = Self> {
        (0..16).map(Self).filter(move |one| mask & one.bit() != 0)
    }

    pub(crate) fn incarnation(self) -> Incarnation {
        Incarnation {
            group: 1,
            generation: 1,
            session: SessionId(self.session().into()),
            counter: u64::from(self.0 % WRITINGS) + 1,
        }
    }

    pub(crate) fn of(incarnation: Incarnation) -> Self {
        let session = u8::try_from(incarnation.session.0).unwrap();
        Self::new(session, u8::try_from(incarnation.counter).unwrap())
    }

    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Self::of(Incarnation::from_bytes(bytes).unwrap())
    }

    fn bytes(self) -> Bytes {
        self.incarnation().to_bytes().to_vec().into()
    }
}

impl fmt::Display for Writing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.session(), self.0 % WRITINGS + 1)
    }
}

/// One of the two keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    A,
    B,
}

impl Key {
    pub(crate) const ALL: [Self; 2] = [Self::A, Self::B];

    pub(crate) fn bit(self) -> u8 {
        match self {
            Self::A => 1,
            Self::B => 2,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// What a request wants.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Verb {
    /// The chunk under a key, written anew.
    Put(Key, Writing),
    /// The chunk under a key, without bytes: it is said to be stored and fit.
    Claim(Key),
    Delete(Key),
    /// Hold the chunk here for a read begun in an older session.
    Pin { from: u8 },
    /// A read failed on a writing.
    Suspect(Writing),
}

/// A command with its idempotency key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Request {
    pub(crate) session: u8,
    pub(crate) operation: u8,
    /// The request of a client that it serves: (session, operation) of its first attempt.
    pub(crate) origin: (u8, u8),
    pub(crate) verb: Verb,
}

/// Anything said.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Say {
    Begin,
    End(u8),
    Ask(Request),
    BeginDelete(u8, Writing),
    FinishDelete(u8, Writing),
    Judge(Writing),
}

impl Say {
    pub(crate) fn entry(self) -> Entry {
        match self {
            Self::Begin => entry(Command::BeginSession(BeginSession::default())),
            Self::End(target) => entry(Command::EndSession(EndSession {
                target: target.into(),
                expired: true,
            })),
            Self::Ask(request) => Entry {
                session: request.session.into(),
                operation: request.operation.into(),
                ..entry(request.command())
            },
            Self::BeginDelete(epoch, writing) => entry(Command::BeginDelete(BeginDelete {
                items: vec![condemned(epoch, writing)],
            })),
            Self::FinishDelete(epoch, writing) => entry(Command::FinishDelete(FinishDelete {
                items: vec![condemned(epoch, writing)],
            })),
            Self::Judge(writing) => entry(Command::JudgeOrphans(JudgeOrphans {
                orphans: vec![Orphan {
                    domain: DOMAIN,
                    sha256: sha256(),
                    incarnation: writing.bytes(),
                    disks: Vec::new(),
                }],
            })),
        }
    }
}

/// An entry outside any session.
pub(crate) fn entry(command: Command) -> Entry {
    Entry {
        group: 1,
        stamp_ms: 1,
        session: 0,
        operation: 0,
        command: Some(command),
    }
}

pub(crate) fn encode(entry: &Entry) -> Bytes {
    entry.encode_to_vec().into()
}

/// The chunk, as queries name it.
pub(crate) fn chunk_key() -> ChunkKey {
    ChunkKey {
        domain: DOMAIN,
        sha256: sha256(),
    }
}

pub(crate) fn chunk_id() -> cairn_model::ChunkId {
    cairn_model::ChunkId {
        domain: cairn_model::DomainId(DOMAIN),
        sha256: cairn_model::Sha256(SHA256),
    }
}

/// Copies of one: where a shard is, the chunk is.
pub(crate) fn coding() -> Coding {
    Coding {
        data: 1,
        parity: 0,
        cell: 65_536,
        layout: 1,
    }
}

fn sha256() -> Bytes {
    SHA256.to_vec().into()
}

fn condemned(epoch: u8, writing: Writing) -> Condemned {
    Condemned {
        epoch: epoch.into(),
        domain: DOMAIN,
        sha256: sha256(),
        incarnation: writing.bytes(),
        disks: Vec::new(),
    }
}

impl Request {
    fn command(self) -> Command {
        match self.verb {
            Verb::Put(key, writing) => {
                let mut extent = extent(Claim::Written);
                extent.incarnation = writing.bytes();
                self.put(key, extent)
            }
            Verb::Claim(key) => self.put(key, extent(Claim::Fit)),
            Verb::Delete(key) => Command::DeleteObjects(DeleteObjects {
                bucket: BUCKET,
                items: vec![DeleteItem {
                    key: key.name().into(),
                    conditions: None,
                }],
            }),
            Verb::Pin { from } => Command::PinRead(PinRead {
                from: from.into(),
                chunks: vec![chunk_key()],
                manifests: Vec::new(),
            }),
            Verb::Suspect(writing) => Command::MarkSuspect(MarkSuspect {
                domain: DOMAIN,
                sha256: sha256(),
                incarnation: writing.bytes(),
                reason: String::new(),
            }),
        }
    }

    fn put(self, key: Key, extent: ExtentWrite) -> Command {
        // A stamp that no writing has: manifests and writings draw from one counter.
        let manifest = Incarnation {
            counter: 100 + u64::from(self.operation),
            ..Writing::new(self.session, 1).incarnation()
        };
        let place = Place::Extents(Extents {
            manifest: manifest.to_bytes().to_vec().into(),
            extents: vec![extent],
        });
        Command::PutObject(PutObject {
            bucket: BUCKET,
            key: key.name().into(),
            attributes: None,
            content: Some(Content { place: Some(place) }),
            conditions: None,
        })
    }
}

fn extent(claim: Claim) -> ExtentWrite {
    ExtentWrite {
        sha256: sha256(),
        incarnation: Bytes::new(),
        chunk_length: CHUNK_LEN,
        offset: 0,
        length: CHUNK_LEN,
        crc64nvme: 7,
        table_digest: vec![7; 16].into(),
        coding: Some(coding()),
        epoch: 1,
        debt: Vec::new(),
        claim: claim.into(),
    }
}

impl fmt::Display for Say {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin => write!(out, "BeginSession"),
            Self::End(target) => write!(out, "EndSession {target}"),
            Self::Ask(request) => write!(out, "{request}"),
            Self::BeginDelete(epoch, writing) => write!(out, "BeginDelete {writing} of epoch {epoch}"),
            Self::FinishDelete(epoch, writing) => write!(out, "FinishDelete {writing} of epoch {epoch}"),
            Self::Judge(writing) => write!(out, "JudgeOrphans {writing}"),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verb {
            Verb::Put(key, writing) => write!(out, "Put {} of {writing}", key.name())?,
            Verb::Claim(key) => write!(out, "Put {} by claim", key.name())?,
            Verb::Delete(key) => write!(out, "Delete {}", key.name())?,
            Verb::Pin { from } => write!(out, "Pin from session {from}")?,
            Verb::Suspect(writing) => write!(out, "MarkSuspect {writing}")?,
        }
        write!(out, " as ({}, {})", self.session, self.operation)
    }
}
