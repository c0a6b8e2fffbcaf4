//! The state machine over a real store: small objects put, overwritten and deleted, and a session of so many
//! commands ended. The store's own threads are in the times.

use std::path::Path;

use bytes::Bytes;
use cairn_metadata::apply;
use cairn_store::{Batch, FjallSettings, FjallStore, OrderedStore};
use cairn_wire::metadata::content::Place;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{
    Attributes, BeginSession, Coding, Content, CreateBucket, DeleteItem, DeleteObjects, Disk,
    EndSession, Entry, InitCluster, PutObject, PutUser, Refusal, Reply, StorageClass, User,
};
use cairn_world::real::RealClock;
use prost::Message as _;

use crate::{Fatal, Measured};

/// Commands of a session: a minute of a small server's PUTs.
const COMMANDS: u64 = 200_000;
/// Entries applied at once, as with so many clients.
const TOGETHER: u64 = 16;
/// Bytes of an object, which lie in its row.
const OBJECT: usize = 1 << 10;

/// A state machine on its store.
struct Machine {
    store: FjallStore,
    session: u64,
    operation: u64,
}

impl Machine {
    fn apply(&self, entries: &[Bytes]) -> Result<Vec<Reply>, Fatal> {
        let view = self.store.view();
        let applied = apply::apply(view.as_ref(), entries)?;
        let mut batch = Batch::default();
        let mut replies = Vec::with_capacity(entries.len());
        for one in applied {
            batch.changes.extend(one.changes.changes);
            if one.reply.refusal() != Refusal::None {
                return Err(one.reply.detail.into());
            }
            replies.push(one.reply);
        }
        self.store.commit(&batch)?;
        Ok(replies)
    }

    fn entry(session: u64, operation: u64, command: Command) -> Bytes {
        let entry = Entry {
            group: 1,
            stamp_ms: 1_000_000,
            session,
            operation,
            command: Some(command),
        };
        entry.encode_to_vec().into()
    }

    fn one(&self, command: Command) -> Result<Reply, Fatal> {
        let replies = self.apply(&[Self::entry(0, 0, command)])?;
        replies.into_iter().next().ok_or("no reply".into())
    }

    /// A cluster of one disk, a user and a bucket.
    fn found(&mut self) -> Result<(), Fatal> {
        let class = StorageClass {
            name: "STANDARD".into(),
            coding: Some(Coding {
                data: 1,
                parity: 0,
                cell: 65_536,
                layout: 1,
            }),
            domain: "disk".into(),
        };
        let disk = Disk {
            disk: vec![1; 16].into(),
            node: 1,
            zone: String::new(),
        };
        self.one(Command::InitCluster(InitCluster {
            cluster: vec![9; 16].into(),
            generation: 1,
            disks: vec![disk],
            classes: vec![class],
            partition_bits: 1,
            slots: vec![0; 4].into(),
        }))?;
        self.one(Command::PutUser(PutUser {
            user: Some(User {
                id: "alice".into(),
                access_key: "alice".into(),
                secret_key: "a secret of some length".into(),
                ..User::default()
            }),
        }))?;
        self.one(Command::CreateBucket(CreateBucket {
            name: "photos".into(),
            owner: "alice".into(),
            location: String::new(),
        }))?;
        let begun = self.one(Command::BeginSession(BeginSession {
            gateway: "here".into(),
        }))?;
        self.session = begun.number;
        Ok(())
    }

    /// So many commands of the session, some at once.
    fn commands(&mut self, make: impl Fn(u64) -> Command) -> Result<u64, Fatal> {
        for first in (0..COMMANDS).step_by(TOGETHER as usize) {
            let entries: Vec<Bytes> = (first..first + TOGETHER)
                .map(|number| {
                    self.operation += 1;
                    Self::entry(self.session, self.operation, make(number))
                })
                .collect();
            self.apply(&entries)?;
        }
        Ok(COMMANDS)
    }

    /// Ends the session: as many entries as that takes. How many outcomes that forgot.
    fn end(&mut self) -> Result<u64, Fatal> {
        let end = EndSession {
            target: self.session,
            expired: false,
        };
        while self.one(Command::EndSession(end))?.number == 1 {}
        Ok(self.operation)
    }
}

fn key(number: u64) -> Bytes {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("{mixed:016x}/{number:010}").into_bytes().into()
}

fn put(number: u64) -> Command {
    Command::PutObject(PutObject {
        bucket: 1,
        key: key(number),
        attributes: Some(Attributes {
            etag: "9e107d9d372bb6826bd81d3542a419d6".into(),
            ..Attributes::default()
        }),
        content: Some(Content {
            place: Some(Place::Inline(vec![7; OBJECT].into())),
        }),
        conditions: None,
    })
}

fn delete(number: u64) -> Command {
    Command::DeleteObjects(DeleteObjects {
        bucket: 1,
        items: vec![DeleteItem {
            key: key(number),
            ..DeleteItem::default()
        }],
    })
}

/// Each kind of command by itself.
pub(crate) fn measure(clock: &RealClock, home: &Path) -> Result<(), Fatal> {
    let mut machine = Machine {
        store: FjallStore::open(home.join("machine"), FjallSettings::default())?,
        session: 0,
        operation: 0,
    };
    machine.found()?;
    let show =
        |what, work: &mut dyn FnMut() -> Result<u64, Fatal>| Measured::of(clock, work)?.show(what);
    show("machine, a new object of 1 KiB", &mut || {
        machine.commands(put)
    })?;
    show("machine, an object overwritten", &mut || {
        machine.commands(put)
    })?;
    show("machine, an object deleted", &mut || {
        machine.commands(delete)
    })?;
    show("machine, an outcome forgotten", &mut || machine.end())
}
