//! The state machine against its rules, one refusal a test, and against a full mark of references
//! under random histories.

mod adoptions;
mod claims;
mod copies;
mod debts;
mod garbage;
mod generation;
mod history;
mod leases;
mod leaving;
pub(crate) mod mark;
pub(crate) mod moves;
mod nodes;
mod objects;
mod pins;
mod places;
mod sessions;
mod uploads;

use std::collections::BTreeMap;
use std::ops::Bound;

use cairn_model::{Incarnation, SessionId};
use cairn_store::{Change, Scan};
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::content::Place;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{
    BeginSession, Claim, Coding, Content, CreateBucket, DeleteItem, DeleteObjects, Disk,
    EndSession, ExtentWrite, Extents, GarbageAnswer, GetGarbage, InitCluster, PutObject, PutUser,
    Query, StorageClass, User,
};

use super::*;
use crate::keyspace::KeyKind;
use crate::query;

/// Rows in a plain map: the smallest store there is.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) rows: BTreeMap<Vec<u8>, Bytes>,
    pub(crate) now_ms: u64,
    operations: u64,
    stamps: u64,
}

impl View for State {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.rows.get(key).cloned())
    }

    fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        let range = self.rows.range::<[u8], _>((from, to));
        Box::new(range.map(|(key, value)| Ok((Bytes::copy_from_slice(key), value.clone()))))
    }

    fn scan_back(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        let range = self.rows.range::<[u8], _>((from, to)).rev();
        Box::new(range.map(|(key, value)| Ok((Bytes::copy_from_slice(key), value.clone()))))
    }
}

impl State {
    /// A cluster of three disks coded 2+1, a user `alice`, a bucket `photos` (id 1).
    pub(crate) fn with_bucket() -> Self {
        let mut state = Self {
            now_ms: 1_000_000,
            ..Self::default()
        };
        state.done(init());
        state.done(Command::PutUser(PutUser {
            user: Some(user("alice", "alice-key")),
        }));
        state.done(create_bucket("photos", "alice"));
        state
    }

    pub(crate) fn apply(&mut self, entries: &[Bytes]) -> Vec<Applied> {
        let applied = apply(self, entries).unwrap();
        for one in &applied {
            for (key, change) in &one.changes.changes {
                match change {
                    Change::Put(value) => drop(self.rows.insert(key.clone(), value.clone())),
                    Change::Delete => drop(self.rows.remove(key)),
                }
            }
        }
        applied
    }

    pub(crate) fn entry(&self, session: u64, operation: u64, command: Command) -> Bytes {
        let entry = Entry {
            group: 1,
            stamp_ms: self.now_ms,
            session,
            operation,
            command: Some(command),
        };
        entry.encode_to_vec().into()
    }

    pub(crate) fn run_as(&mut self, session: u64, operation: u64, command: Command) -> Reply {
        let entry = self.entry(session, operation, command);
        self.apply(&[entry]).remove(0).reply
    }

    pub(crate) fn run(&mut self, command: Command) -> Reply {
        self.run_as(0, 0, command)
    }

    /// Runs in a session under a fresh operation number.
    pub(crate) fn run_in(&mut self, session: u64, command: Command) -> Reply {
        self.operations += 1;
        self.run_as(session, self.operations, command)
    }

    pub(crate) fn done(&mut self, command: Command) -> Reply {
        let reply = self.run(command);
        assert_eq!(reply.refusal(), Refusal::None, "{}", reply.detail);
        reply
    }

    pub(crate) fn done_in(&mut self, session: u64, command: Command) -> Reply {
        let reply = self.run_in(session, command);
        assert_eq!(reply.refusal(), Refusal::None, "{}", reply.detail);
        reply
    }

    /// What the garbage planner is told.
    pub(crate) fn work(&self) -> GarbageAnswer {
        let asked = Asked::GetGarbage(GetGarbage { limit: 100 });
        let query = Query { query: Some(asked) };
        match query::answer(self, query).unwrap().answer {
            Some(Kind::Garbage(work)) => work,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn begin(&mut self) -> u64 {
        self.done(Command::BeginSession(BeginSession {
            gateway: "test".into(),
        }))
        .number
    }

    /// A stamp of `session` never given before.
    pub(crate) fn stamp(&mut self, session: u64) -> Bytes {
        self.stamps += 1;
        let counter = self.stamps;
        let stamp = Incarnation {
            group: 1,
            generation: 1,
            session: SessionId(session),
            counter,
        };
        stamp.to_bytes().to_vec().into()
    }

    /// A fresh writing, by `session`, of the chunk whose digest is all `name`.
    pub(crate) fn extent(&mut self, session: u64, name: u8) -> ExtentWrite {
        ExtentWrite {
            sha256: vec![name; 32].into(),
            incarnation: self.stamp(session),
            chunk_length: 100_000,
            offset: 0,
            length: 100_000,
            crc64nvme: u64::from(name),
            table_digest: vec![name; 16].into(),
            coding: Some(Coding {
                data: 2,
                parity: 1,
                cell: 65_536,
                layout: 1,
            }),
            epoch: 1,
            debt: Vec::new(),
            claim: Claim::Written.into(),
        }
    }

    pub(crate) fn put(&mut self, session: u64, key: &str, chunks: &[u8]) -> Command {
        let extents = chunks
            .iter()
            .map(|name| self.extent(session, *name))
            .collect();
        let manifest = self.stamp(session);
        put_content(key, Place::Extents(Extents { manifest, extents }))
    }

    pub(crate) fn row<K: KeyKind>(&self, key: &K) -> Option<K::Row> {
        self.rows
            .get(&key.encode())
            .map(|value| K::decode_row(value).unwrap())
    }

    pub(crate) fn rows_of<K: KeyKind>(&self) -> Vec<(K, K::Row)> {
        let kind = |key: &[u8]| key.first() == Some(&K::PREFIX);
        self.rows
            .iter()
            .filter(|(key, _)| kind(key))
            .map(|(key, value)| (K::decode(key).unwrap(), K::decode_row(value).unwrap()))
            .collect()
    }
}

/// Deletes a key of the bucket `photos`.
pub(crate) fn delete(key: &str) -> Command {
    let item = DeleteItem {
        key: Bytes::copy_from_slice(key.as_bytes()),
        conditions: None,
    };
    Command::DeleteObjects(DeleteObjects {
        bucket: 1,
        items: vec![item],
    })
}

/// A session's own end.
pub(crate) fn end(target: u64) -> Command {
    Command::EndSession(EndSession {
        target,
        expired: false,
    })
}

pub(crate) fn init() -> Command {
    let disks = (1..=3_u8)
        .map(|name| Disk {
            disk: vec![name; 16].into(),
            node: 1,
            zone: String::new(),
        })
        .collect();
    let class = StorageClass {
        name: "STANDARD".into(),
        coding: Some(Coding {
            data: 2,
            parity: 1,
            cell: 65_536,
            layout: 1,
        }),
        domain: "disk".into(),
    };
    Command::InitCluster(InitCluster {
        cluster: vec![9; 16].into(),
        generation: 1,
        disks,
        classes: vec![class],
        partition_bits: 2,
        slots: [0, 0, 0, 1, 0, 2].repeat(4).into(),
    })
}

pub(crate) fn user(id: &str, access_key: &str) -> User {
    User {
        id: id.into(),
        access_key: access_key.into(),
        secret_key: "a secret of some length".into(),
        ..User::default()
    }
}

pub(crate) fn create_bucket(name: &str, owner: &str) -> Command {
    Command::CreateBucket(CreateBucket {
        name: name.into(),
        owner: owner.into(),
        location: String::new(),
    })
}

pub(crate) fn put_content(key: &str, place: Place) -> Command {
    let attributes = cairn_wire::metadata::Attributes {
        etag: format!("etag of {key}"),
        ..Default::default()
    };
    Command::PutObject(PutObject {
        bucket: 1,
        key: Bytes::copy_from_slice(key.as_bytes()),
        attributes: Some(attributes),
        content: Some(Content { place: Some(place) }),
        conditions: None,
    })
}

pub(crate) fn put_inline(key: &str, bytes: &'static [u8]) -> Command {
    put_content(key, Place::Inline(Bytes::from_static(bytes)))
}
