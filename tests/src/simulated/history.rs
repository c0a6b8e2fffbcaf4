//! What all clients of a run did and saw.
//!
//! ```text
//! registers   objects, buckets, uploads, parts: who wrote, removed, saw what, and when
//!    ▲ ▲ ▲
//!    │ │ └── listings   pages of keys, uploads, buckets
//!    │ └──── uploads    completions and aborts
//!    └────── copies     what a source held
//! forms       every body that may be stored, by ETag: what a read must give
//! chunks      what was sent, leased and found under /cas
//! faults      answers that no server may give, noted as they come
//! ```

mod chunks;
mod event;
mod forms;
mod listings;
mod registers;
mod uploads;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use chunks::When;
pub use event::{Ended, Event, Like, Made, Register, Sight, Thing, Time, What};
pub use forms::{Form, Forms};
pub use listings::{Asked, Page, Row};

use crate::linear::Value;
use chunks::Chunks;
use listings::{Listings, LostCreations};
use registers::Registers;
use uploads::Uploads;

/// How many calls of one kind ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Answered with success.
    pub acknowledged: u64,
    /// Refused: by the answer, or by a gateway that was down. Nothing happened.
    pub refused: u64,
    /// No answer, or one that does not say.
    pub unknown: u64,
}

/// How a call ended, for the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// With success.
    Acknowledged,
    /// Refused.
    Refused,
    /// Not known.
    Unknown,
}

/// One call, for the trace and for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// Who, when.
    pub when: When,
    /// What kind of call.
    pub kind: &'static str,
    /// Method, path and query.
    pub target: String,
    /// The gateway asked.
    pub gateway: usize,
    /// The status, 0 without an answer.
    pub status: u16,
}

impl fmt::Display for Called {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let When {
            time,
            called_secs,
            answered_secs,
        } = self.when;
        write!(
            out,
            "{called_secs}..{answered_secs} s, client {} [{}..{}] {} {} at gateway {}: {}",
            time.client,
            time.called,
            time.answered,
            self.kind,
            self.target,
            self.gateway,
            self.status
        )
    }
}

/// All of it. Shared by the clients of a run.
#[derive(Debug, Default)]
pub struct History(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    ticks: u64,
    values: u64,
    registers: Registers,
    listings: Listings,
    uploads: Uploads,
    lost_creations: LostCreations,
    chunks: Chunks,
    forms: Forms,
    labels: BTreeMap<u64, String>,
    counts: BTreeMap<&'static str, Count>,
    calls: Vec<Called>,
    faults: Vec<String>,
    /// Nothing goes wrong now, so every call must be answered.
    calm: bool,
}

impl History {
    /// Nothing has happened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing goes wrong, or may again. What is asked and answered in calm must be answered
    /// with what it asks for.
    pub fn set_calm(&self, calm: bool) {
        self.inner().calm = calm;
    }

    /// Whether nothing goes wrong now.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.inner().calm
    }

    /// The next tick: times are told by it.
    pub fn tick(&self) -> u64 {
        let mut inner = self.inner();
        inner.ticks += 1;
        inner.ticks
    }

    /// The number of the next write.
    pub fn value(&self) -> Value {
        let mut inner = self.inner();
        inner.values += 1;
        inner.values
    }

    /// Notes what happened to a register.
    pub fn keep(&self, register: Register, time: Time, what: What) {
        let mut inner = self.inner();
        let events = inner.registers.entry(register).or_default();
        events.push(Event { time, what });
    }

    /// Notes an answer that no server may give.
    pub fn fault(&self, what: String) {
        self.inner().faults.push(what);
    }

    /// Notes a call that ended.
    pub fn called(&self, called: Called, heard: Heard) {
        let mut inner = self.inner();
        let count = inner.counts.entry(called.kind).or_default();
        match heard {
            Heard::Acknowledged => count.acknowledged += 1,
            Heard::Refused => count.refused += 1,
            Heard::Unknown => count.unknown += 1,
        }
        inner.calls.push(called);
    }

    /// The forms, to ask or to add to.
    pub fn forms<T>(&self, ask: impl FnOnce(&mut Forms) -> T) -> T {
        ask(&mut self.inner().forms)
    }

    /// A label is seen with an ETag. It is that of one write, so it is never seen with another.
    ///
    /// # Errors
    /// In words.
    pub fn label(&self, label: u64, etag: &str) -> Result<(), String> {
        let mut inner = self.inner();
        let known = inner.labels.entry(label);
        let known = known.or_insert_with(|| etag.to_owned());
        if known == etag {
            return Ok(());
        }
        Err(format!(
            "value {label} with ETag {etag}, before with {known}"
        ))
    }

    /// A page of objects was listed.
    pub fn page(&self, time: Time, page: Page) {
        let faults = page.faults();
        let mut inner = self.inner();
        inner.faults.extend(faults);
        inner.listings.pages.push((time, page));
    }

    /// All uploads under a prefix were listed: key and id of each.
    pub fn uploads(&self, time: Time, asked: Asked, rows: Vec<(String, String)>) {
        let mut inner = self.inner();
        let count = rows.len();
        let rows: std::collections::BTreeSet<_> = rows.into_iter().collect();
        if rows.len() < count || rows.iter().any(|(key, _)| !key.starts_with(&asked.prefix)) {
            let fault = format!("uploads listed twice or of another prefix: {asked:?} {rows:?}");
            inner.faults.push(fault);
        }
        inner.listings.uploads.push((time, asked, rows));
    }

    /// All buckets were listed.
    pub fn buckets(&self, time: Time, names: impl IntoIterator<Item = String>) {
        let names = names.into_iter().collect();
        self.inner().listings.buckets.push((time, names));
    }

    /// An upload was created.
    pub fn created(&self, id: &str, bucket: &str, key: &str) {
        let mut inner = self.inner();
        let upload = inner.uploads.entry(id.to_owned()).or_default();
        upload.bucket = bucket.to_owned();
        upload.key = key.to_owned();
    }

    /// The creation of an upload was not answered.
    pub fn creation_lost(&self, called: u64, bucket: &str, key: &str) {
        let place = (bucket.to_owned(), key.to_owned());
        let mut inner = self.inner();
        inner.lost_creations.entry(place).or_default().push(called);
    }

    /// A part is about to be sent.
    pub fn part_started(&self, id: &str, number: u32) {
        if let Some(upload) = self.inner().uploads.get_mut(id) {
            upload.started.insert(number);
        }
    }

    /// An upload was completed of these parts, or it is not known.
    pub fn completed(&self, id: &str, time: Time, parts: Vec<u32>, ended: Ended) {
        if let Some(upload) = self.inner().uploads.get_mut(id) {
            upload.completions.push((time, parts, ended));
        }
    }

    /// An upload was aborted, or it is not known.
    pub fn aborted(&self, id: &str, time: Time, ended: Ended) {
        if let Some(upload) = self.inner().uploads.get_mut(id) {
            upload.aborts.push((time, ended));
        }
    }

    /// A request that carries these chunks is about to be called.
    pub fn chunks_sent(&self, called: u64, chunks: impl IntoIterator<Item = String>) {
        self.inner().chunks.sent(called, chunks);
    }

    /// A chunk was acknowledged, or said to be present.
    pub fn chunk_leased(&self, when: When, chunk: &str) {
        self.inner().chunks.leased(when, chunk);
    }

    /// A chunk was found, or not.
    pub fn chunk_looked(&self, when: When, chunk: &str, found: bool) {
        self.inner().chunks.looked(when, chunk, found);
    }

    /// An operator took a leap of the cluster's clock for time that passed.
    pub fn clock_leapt(&self, now_secs: u64) {
        self.inner().chunks.leapt(now_secs);
    }

    /// The chunks under a lease that lasts.
    #[must_use]
    pub fn chunks_held(&self, now_secs: u64) -> Vec<String> {
        self.inner().chunks.held(now_secs)
    }

    /// Every register there ever was.
    #[must_use]
    pub fn registers(&self) -> Vec<Register> {
        self.inner().registers.keys().cloned().collect()
    }

    /// Everything that is wrong: answers that no server may give, registers that no order explains,
    /// chunks that were lost or come from nowhere.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let inner = self.inner();
        let mut found = inner.faults.clone();
        let mut registers = inner.registers.clone();
        found.extend(uploads::settle(&inner.uploads, &mut registers));
        let lost = &inner.lost_creations;
        found.extend(listings::settle(&inner.listings, lost, &mut registers));
        found.extend(registers::violations(&registers));
        found.extend(inner.chunks.violations());
        found
    }

    /// Calls by kind and end.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, Count> {
        self.inner().counts.clone()
    }

    /// The last calls that touched a name, for messages: a key, an upload's id, a chunk.
    #[must_use]
    pub fn calls_about(&self, name: &str) -> Vec<String> {
        let inner = self.inner();
        let about = inner.calls.iter().filter(|call| call.target.contains(name));
        about.map(ToString::to_string).collect()
    }

    /// Feeds every call and every event, in an order of its own that is the same for the same run.
    pub fn fold_into(&self, fold: &mut dyn FnMut(&[u8])) {
        let inner = self.inner();
        for call in &inner.calls {
            fold(call.to_string().as_bytes());
        }
        for (register, events) in &inner.registers {
            fold(register.to_string().as_bytes());
            for event in events {
                fold(event.to_string().as_bytes());
            }
        }
        for (time, page) in &inner.listings.pages {
            fold(format!("{time:?} {page:?}").as_bytes());
        }
        for (time, asked, rows) in &inner.listings.uploads {
            fold(format!("{time:?} {asked:?} {rows:?}").as_bytes());
        }
        for (time, names) in &inner.listings.buckets {
            fold(format!("{time:?} {names:?}").as_bytes());
        }
        fold(format!("{:?} {:?}", inner.uploads, inner.chunks).as_bytes());
        inner.faults.iter().for_each(|fault| fold(fault.as_bytes()));
    }
}

#[cfg(test)]
mod tests;
