//! The product's state machine over numbered stores.
//!
//! Apply is pure, so what an entry does to a store need be found out once: the search meets the same
//! few stores again and again, under ever new nodes and clients. A store is a sorted list of numbered
//! rows and is itself a number in the model's states.
//!
//! Stores that differ in row versions alone (and the sequences they come from) are one: nothing that is
//! asked here compares a version with anything, and a key has one row. The first met stands for all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::rc::Rc;

use bytes::Bytes;
use cairn_metadata::apply::apply;
use cairn_metadata::keyspace::KeyKind;
use cairn_metadata::keyspace::cluster::{CountersKey, CountersRow};
use cairn_metadata::keyspace::condemned::{CondemnedKey, CondemnedRow};
use cairn_metadata::keyspace::object::{ObjectKey, ObjectRow};
use cairn_metadata::keyspace::session::OutcomeKey;
use cairn_metadata::query;
use cairn_store::{Change, Scan, StoreError, View};
use cairn_tests::explore::QuickMap;
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{
    CreateBucket, Disk, Entry, InitCluster, PutUser, Query, Refusal, Reply, StorageClass, User,
};

use crate::facts::{Condemned, Facts};
use crate::say::{Say, coding, encode, entry};
use crate::without::Without;

/// A store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rows(u32);

/// What an entry did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) rows: Rows,
    pub(crate) told: Told,
    /// Whether any row changed, and whether an object's did.
    pub(crate) changed: bool,
    pub(crate) objects_changed: bool,
    /// Whether a deletion that was committed is not any more, and was not carried out.
    pub(crate) taken_back: bool,
}

/// What its proposer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Done,
    Refused(Refusal),
    /// The state machine found its rows contradicting each other and will not go on.
    Halted,
}

type Row = (Bytes, Bytes);

/// What an entry did to rows, whoever said it.
pub(crate) struct Done {
    pub(crate) rows: Rows,
    reply: Reply,
    changed: bool,
    objects_changed: bool,
}

/// All stores met.
pub(crate) struct Replica {
    without: Option<Without>,
    rows: Vec<Row>,
    row_numbers: HashMap<Row, u32>,
    /// Of each row the number of the one it is the same as but for versions.
    alike: Vec<u32>,
    stores: Vec<Rc<[u32]>>,
    /// By rows without versions.
    store_numbers: HashMap<Rc<[u32]>, Rows>,
    facts: Vec<Rc<Facts>>,
    memory: QuickMap<(Rows, Say), Outcome>,
    refusals: BTreeSet<&'static str>,
    first: Rows,
}

impl Replica {
    /// One with a cluster of one disk, and a bucket.
    pub(crate) fn new(without: Option<Without>) -> Self {
        let mut replica = Self {
            without,
            rows: Vec::new(),
            row_numbers: HashMap::new(),
            alike: Vec::new(),
            stores: Vec::new(),
            store_numbers: HashMap::new(),
            facts: Vec::new(),
            memory: QuickMap::default(),
            refusals: BTreeSet::new(),
            first: Rows(0),
        };
        replica.first = replica.number(BTreeMap::new());
        for command in foundation() {
            let done = replica.apply(replica.first, &entry(command)).unwrap();
            assert_eq!(done.reply.refusal(), Refusal::None, "{}", done.reply.detail);
            replica.first = done.rows;
        }
        replica
    }

    /// The store before anybody came.
    pub(crate) fn first(&self) -> Rows {
        self.first
    }

    pub(crate) fn facts(&self, rows: Rows) -> Rc<Facts> {
        Rc::clone(self.facts.get(index(rows.0)).unwrap())
    }

    /// Different stores met, and different applications of an entry to one.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.stores.len(), self.memory.len())
    }

    /// Names of the refusals ever given.
    pub(crate) fn refusals(&self) -> &BTreeSet<&'static str> {
        &self.refusals
    }

    /// Commits what is said.
    pub(crate) fn say(&mut self, rows: Rows, say: Say) -> Outcome {
        if let Some(known) = self.memory.get(&(rows, say)) {
            return *known;
        }
        let entry = match self.without {
            Some(without) => without.entry(say),
            None => say.entry(),
        };
        let outcome = match self.apply(rows, &entry) {
            Some(done) => Outcome {
                taken_back: self.takes_back(rows, done.rows),
                rows: done.rows,
                told: self.told(&done.reply),
                changed: done.changed,
                objects_changed: done.objects_changed,
            },
            None => Outcome {
                rows,
                told: Told::Halted,
                changed: false,
                objects_changed: false,
                taken_back: false,
            },
        };
        self.memory.insert((rows, say), outcome);
        outcome
    }

    fn takes_back(&self, before: Rows, after: Rows) -> bool {
        let (before, after) = (self.facts(before), self.facts(after));
        let mut deleting = before.condemned.iter().filter(|one| one.deleting);
        deleting.any(|one| {
            let condemned = Condemned {
                deleting: false,
                ..*one
            };
            after.condemned.contains(&condemned)
        })
    }

    fn told(&mut self, reply: &Reply) -> Told {
        let refused = (reply.deleted.iter())
            .map(|one| one.refusal())
            .find(|refusal| *refusal != Refusal::None)
            .unwrap_or(reply.refusal());
        if refused == Refusal::None {
            return Told::Done;
        }
        assert_ne!(refused, Refusal::Malformed, "{}", reply.detail);
        self.refusals.insert(refused.as_str_name());
        Told::Refused(refused)
    }

    /// Commits an entry as it is; `None` where the state machine halts.
    pub(crate) fn apply(&mut self, rows: Rows, entry: &Entry) -> Option<Done> {
        let numbers = Rc::clone(self.stores.get(index(rows.0)).unwrap());
        let mut view = self.view(&numbers);
        if let Some(without) = self.without {
            without.blind(entry, &mut view.0);
        }
        let applied = apply(&view, &[encode(entry)]).ok()?.pop().unwrap();
        let changes = applied.changes.changes;
        let changed = !changes.is_empty();
        let is_object = |key: &Vec<u8>| key.first() == Some(&ObjectKey::PREFIX);
        let objects_changed = changes.keys().any(is_object);
        let mut next: BTreeMap<Bytes, u32> = numbers
            .iter()
            .map(|number| (self.row(*number).0.clone(), *number))
            .collect();
        for (key, change) in changes {
            let key = Bytes::from(key);
            match change {
                Change::Put(value) => {
                    let number = self.number_row((key.clone(), value));
                    next.insert(key, number);
                }
                Change::Delete => {
                    next.remove(&key);
                }
            }
        }
        Some(Done {
            rows: if changed { self.number(next) } else { rows },
            reply: applied.reply,
            changed,
            objects_changed,
        })
    }

    /// What the product answers to a query of this store.
    pub(crate) fn ask(&self, rows: Rows, asked: Asked) -> Kind {
        let numbers = self.stores.get(index(rows.0)).unwrap();
        let query = Query { query: Some(asked) };
        query::answer(&self.view(numbers), query)
            .unwrap()
            .answer
            .unwrap()
    }

    fn view(&self, numbers: &[u32]) -> Seen {
        Seen(
            numbers
                .iter()
                .map(|number| self.row(*number).clone())
                .collect(),
        )
    }

    fn row(&self, number: u32) -> &Row {
        self.rows.get(index(number)).unwrap()
    }

    fn number_row(&mut self, row: Row) -> u32 {
        let next = u32::try_from(self.rows.len()).unwrap();
        let number = *self.row_numbers.entry(row.clone()).or_insert(next);
        if number == next {
            let plain = without_versions(&row);
            self.rows.push(row);
            self.alike.push(number);
            if let Some(plain) = plain {
                let alike = self.number_row(plain);
                *self.alike.get_mut(index(number)).unwrap() = alike;
            }
        }
        number
    }

    fn number(&mut self, rows: BTreeMap<Bytes, u32>) -> Rows {
        let numbers: Rc<[u32]> = rows.into_values().collect();
        let alike = |number: &u32| *self.alike.get(index(*number)).unwrap();
        let plain: Rc<[u32]> = numbers.iter().map(alike).collect();
        if let Some(known) = self.store_numbers.get(&plain) {
            return *known;
        }
        let number = Rows(u32::try_from(self.stores.len()).unwrap());
        let facts = Facts::read(numbers.iter().map(|number| self.row(*number)));
        self.facts.push(Rc::new(facts));
        self.store_numbers.insert(plain, number);
        self.stores.push(numbers);
        number
    }
}

/// The row without what is numbered by sequence; `None` where that is itself.
fn without_versions((key, value): &Row) -> Option<Row> {
    let plain = match key.first() {
        Some(&CountersKey::PREFIX) => {
            let row = CountersKey::decode_row(value).unwrap();
            let plain = CountersRow { sequence: 0, ..row };
            (key.clone(), CountersKey::encode_row(&plain))
        }
        Some(&OutcomeKey::PREFIX) => {
            let row = OutcomeKey::decode_row(value).unwrap();
            let plain = Reply {
                version: Bytes::new(),
                ..row
            };
            (key.clone(), OutcomeKey::encode_row(&plain))
        }
        Some(&CondemnedKey::PREFIX) => {
            let row = CondemnedKey::decode_row(value).unwrap();
            let plain = CondemnedRow { token: 0, ..row };
            (key.clone(), CondemnedKey::encode_row(&plain))
        }
        Some(&ObjectKey::PREFIX) => {
            let row = ObjectKey::decode_row(value).unwrap();
            let plain = ObjectRow {
                version: Bytes::new(),
                ..row
            };
            (key.clone(), ObjectKey::encode_row(&plain))
        }
        _ => return None,
    };
    (plain != (key.clone(), value.clone())).then_some(plain)
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap()
}

/// One disk, copies of one, a user and a bucket: what the chunk's story needs.
fn foundation() -> [Command; 3] {
    let init = InitCluster {
        cluster: vec![9; 16].into(),
        generation: 1,
        disks: vec![Disk {
            disk: vec![1; 16].into(),
            node: 1,
            zone: String::new(),
        }],
        classes: vec![StorageClass {
            name: "STANDARD".into(),
            coding: Some(coding()),
            domain: "disk".into(),
        }],
        partition_bits: 1,
        slots: vec![0; 4].into(),
    };
    let user = User {
        id: "alice".into(),
        access_key: "alice-key".into(),
        secret_key: "a secret of some length".into(),
        ..User::default()
    };
    let bucket = CreateBucket {
        name: "photos".into(),
        owner: "alice".into(),
        location: String::new(),
    };
    [
        Command::InitCluster(init),
        Command::PutUser(PutUser { user: Some(user) }),
        Command::CreateBucket(bucket),
    ]
}

/// Rows in order.
struct Seen(Vec<Row>);

impl Seen {
    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> &[Row] {
        let start = match from {
            Bound::Included(from) => self.0.partition_point(|(key, _)| key.as_ref() < from),
            Bound::Excluded(from) => self.0.partition_point(|(key, _)| key.as_ref() <= from),
            Bound::Unbounded => 0,
        };
        let end = match to {
            Bound::Included(to) => self.0.partition_point(|(key, _)| key.as_ref() <= to),
            Bound::Excluded(to) => self.0.partition_point(|(key, _)| key.as_ref() < to),
            Bound::Unbounded => self.0.len(),
        };
        self.0.get(start..end).unwrap_or_default()
    }
}

impl View for Seen {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let place = self
            .0
            .binary_search_by(|(other, _)| other.as_ref().cmp(key));
        Ok(place
            .ok()
            .and_then(|place| self.0.get(place))
            .map(|(_, value)| value.clone()))
    }

    fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        Box::new(self.range(from, to).iter().cloned().map(Ok))
    }

    fn scan_back(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        Box::new(self.range(from, to).iter().rev().cloned().map(Ok))
    }
}
