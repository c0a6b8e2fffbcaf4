//! What the model looks at of a store's rows.

use std::fmt;

use bytes::Bytes;
use cairn_metadata::keyspace::KeyKind;
use cairn_metadata::keyspace::chunk::{ChunkKey, ChunkState};
use cairn_metadata::keyspace::cluster::CountersKey;
use cairn_metadata::keyspace::condemned::CondemnedKey;
use cairn_metadata::keyspace::object::ObjectKey;
use cairn_metadata::keyspace::pin::PinKey;
use cairn_metadata::keyspace::session::SessionKey;
use cairn_wire::metadata::content::Place;

use crate::say::{Key, Writing};

/// The chunk's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) writing: Writing,
    pub(crate) refs: u64,
    pub(crate) state: ChunkState,
    pub(crate) suspect: bool,
}

/// A condemned writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Condemned {
    pub(crate) epoch: u8,
    pub(crate) writing: Writing,
    pub(crate) deleting: bool,
}

/// Rows, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The last session begun.
    pub(crate) last: u8,
    /// Open sessions, bit 0 is session 1.
    pub(crate) open: u8,
    /// Rows of sessions, ended ones included.
    pub(crate) sessions: u8,
    /// The keys that are there, as a mask.
    pub(crate) keys: u8,
    /// Extents of all rows that name the chunk.
    pub(crate) references: u64,
    pub(crate) chunk: Option<Chunk>,
    pub(crate) condemned: Vec<Condemned>,
    pub(crate) pins: u8,
}

impl Facts {
    pub(crate) fn read<'a>(rows: impl Iterator<Item = &'a (Bytes, Bytes)>) -> Self {
        let mut facts = Self::default();
        for (key, value) in rows {
            facts.take(key, value);
        }
        facts
    }

    fn take(&mut self, key: &Bytes, value: &Bytes) {
        match key.first() {
            Some(&CountersKey::PREFIX) => {
                let row = CountersKey::decode_row(value).unwrap();
                self.last = u8::try_from(row.session).unwrap();
            }
            Some(&SessionKey::PREFIX) => {
                let (key, row) = read::<SessionKey>(key, value);
                self.sessions += 1;
                if !row.ended {
                    self.open |= session_bit(u8::try_from(key.0).unwrap());
                }
            }
            Some(&ObjectKey::PREFIX) => self.take_object(key, value),
            Some(&ChunkKey::PREFIX) => {
                let (_, row) = read::<ChunkKey>(key, value);
                self.chunk = Some(Chunk {
                    writing: Writing::of_bytes(&row.incarnation),
                    refs: row.refs,
                    state: row.state(),
                    suspect: row.suspect,
                });
            }
            Some(&CondemnedKey::PREFIX) => {
                let (key, row) = read::<CondemnedKey>(key, value);
                self.condemned.push(Condemned {
                    epoch: u8::try_from(key.epoch).unwrap(),
                    writing: Writing::of(key.incarnation),
                    deleting: row.deleting,
                });
            }
            Some(&PinKey::PREFIX) => self.pins += 1,
            _ => {}
        }
    }

    fn take_object(&mut self, key: &Bytes, value: &Bytes) {
        let (key, row) = read::<ObjectKey>(key, value);
        let name = Key::ALL.into_iter().find(|one| one.name().as_bytes() == key.key);
        let bit = name.map(Key::bit).unwrap();
        assert_eq!(self.keys & bit, 0, "two versions of one key");
        self.keys |= bit;
        match row.content.and_then(|content| content.place) {
            Some(Place::Extents(list)) => {
                self.references += u64::try_from(list.extents.len()).unwrap();
            }
            other => panic!("content of another kind: {other:?}"),
        }
    }

    pub(crate) fn is_open(&self, session: u8) -> bool {
        self.open & session_bit(session) != 0
    }

    pub(crate) fn open_sessions(&self) -> impl Iterator<Item = u8> + use<> {
        let open = self.open;
        (1..=8).filter(move |session| open & session_bit(*session) != 0)
    }

    pub(crate) fn has(&self, key: Key) -> bool {
        self.keys & key.bit() != 0
    }

    /// The writing that rows rely on.
    pub(crate) fn live(&self) -> Option<Writing> {
        let chunk = self.chunk.filter(|chunk| chunk.state == ChunkState::Live);
        chunk.map(|chunk| chunk.writing)
    }
}

fn read<K: KeyKind>(key: &Bytes, value: &Bytes) -> (K, K::Row) {
    (K::decode(key).unwrap(), K::decode_row(value).unwrap())
}

fn session_bit(session: u8) -> u8 {
    1 << (session - 1)
}

impl fmt::Debug for Writing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open: Vec<u8> = self.open_sessions().collect();
        write!(out, "open {open:?} of {}", self.last)?;
        for key in Key::ALL.into_iter().filter(|key| self.has(*key)) {
            write!(out, ", {}", key.name())?;
        }
        if let Some(chunk) = &self.chunk {
            write!(out, ", chunk {} {:?}({})", chunk.writing, chunk.state, chunk.refs)?;
            write!(out, "{}", if chunk.suspect { " suspect" } else { "" })?;
        }
        for one in &self.condemned {
            let state = if one.deleting { "deleting" } else { "condemned" };
            write!(out, ", {} {state}({})", one.writing, one.epoch)?;
        }
        if self.pins > 0 {
            write!(out, ", {} pins", self.pins)?;
        }
        Ok(())
    }
}
