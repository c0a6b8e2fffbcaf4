//! What the state machine costs over a real store: small objects put, overwritten and deleted, and a session of so
//! many commands ended.
//!
//! `cargo run --release -p cairn-metadata --example apply_path [directory of the disk]`
//!
//! Times are processor time of the process, the store's own threads included.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use cairn_metadata::apply;
use cairn_store::{Batch, FjallSettings, FjallStore, OrderedStore};
use cairn_wire::metadata::content::Place;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{
    Attributes, BeginSession, Coding, Content, CreateBucket, DeleteItem, DeleteObjects, Disk,
    EndSession, Entry, InitCluster, PutObject, PutUser, Refusal, Reply, StorageClass, User,
};
use prost::Message as _;

type Fatal = Box<dyn std::error::Error + Send + Sync>;

/// Commands of a session: a minute of a small server's PUTs.
const COMMANDS: u64 = 200_000;
/// Entries applied at once, as with so many clients.
const TOGETHER: u64 = 16;
/// Bytes of an object, which lie in its row.
const OBJECT: usize = 1 << 10;

/// User and system time of this process; proc(5), in hundredths of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat
        .rsplit_once(')')
        .map(|(_, after)| after)
        .unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u32 = ticks.filter_map(|field| field.parse::<u32>().ok()).sum();
    Duration::from_millis(10) * ticks
}

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
        while self.one(Command::EndSession(end.clone()))?.number == 1 {}
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

fn show(what: &str, work: impl FnOnce() -> Result<u64, Fatal>) -> Result<(), Fatal> {
    let before = cpu();
    let count = work()?;
    let micros = (cpu() - before).as_secs_f64() * 1e6 / count as f64;
    writeln!(std::io::stdout(), "{what:<44}{micros:>9.2} us")?;
    Ok(())
}

fn measure(home: &Path) -> Result<(), Fatal> {
    let mut machine = Machine {
        store: FjallStore::open(home.join("store"), FjallSettings::default())?,
        session: 0,
        operation: 0,
    };
    machine.found()?;
    show("a new object", || machine.commands(put))?;
    show("an object overwritten", || machine.commands(put))?;
    show("an object deleted", || machine.commands(delete))?;
    show("an outcome forgotten", || machine.end())
}

fn main() -> Result<(), Fatal> {
    let parent = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let home = Path::new(&parent).join(format!("apply-path-{}", std::process::id()));
    std::fs::create_dir(&home)?;
    let measured = measure(&home);
    std::fs::remove_dir_all(&home)?;
    measured
}
