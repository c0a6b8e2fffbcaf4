//! An ordered key-value store behind one small trait.
//!
//! The only crate that names fjall or sled. [`memory`] is the engine of the simulation, with
//! explicit persist points; [`fjall_engine`] is the real one. All engines pass one suite.
//!
//! What an engine promises: a [`Batch`] is applied whole or not at all; views are points in time;
//! after [`OrderedStore::persist`] returned, everything committed before it survives a crash; what
//! was committed after it may be lost, but only as a suffix: if a batch is lost, so is every later
//! one.
//!
//! Keys have 1 to [`KEY_LEN_MAX`] bytes; a batch with another is refused whole. Reading with another
//! is fine: it is never found, and bounds mean what their order says. A range whose bounds are the
//! wrong way round is empty.

mod bounds;
pub mod fjall_engine;
pub mod memory;
#[cfg(feature = "sled")]
pub mod sled_engine;
#[cfg(test)]
mod suite;

pub use fjall_engine::{FjallSettings, FjallStore};
pub use memory::MemoryStore;
#[cfg(feature = "sled")]
pub use sled_engine::SledStore;

use bytes::Bytes;
use std::ops::{Bound, ControlFlow};

/// Longest key in bytes; the shortest is 1.
pub const KEY_LEN_MAX: usize = u16::MAX as usize;
/// Longest value in bytes.
pub const VALUE_LEN_MAX: usize = u32::MAX as usize;

/// An error of a store: the caller can only stop using it.
#[derive(Debug, thiserror::Error)]
#[error("ordered store: {0}")]
pub struct StoreError(pub String);

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets the value.
    Put(Bytes),
    /// Removes the key.
    Delete,
}

/// Changes that become visible and durable together. Keys are unique and sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The changes by key.
    pub changes: std::collections::BTreeMap<Vec<u8>, Change>,
}

impl Batch {
    /// Sets `key`.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Bytes>) {
        self.changes.insert(key.into(), Change::Put(value.into()));
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.changes.insert(key.into(), Change::Delete);
    }

    /// Refuses what some engine could not keep, so that every engine refuses it.
    fn check(&self) -> Result<(), StoreError> {
        for (key, change) in &self.changes {
            if key.is_empty() || key.len() > KEY_LEN_MAX {
                return Err(StoreError(format!("key of {} bytes", key.len())));
            }
            if matches!(change, Change::Put(value) if value.len() > VALUE_LEN_MAX) {
                return Err(StoreError("value longer than 4 GiB".into()));
            }
        }
        Ok(())
    }
}

/// A key and its value.
pub type Row = (Bytes, Bytes);

/// A scan in progress.
pub type Scan<'a> = Box<dyn Iterator<Item = Result<Row, StoreError>> + Send + 'a>;

/// What looks at a key and its value where they lie, and may break off.
pub type See<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Reading, at one point in time.
pub trait View: Send + Sync {
    /// The value of `key`.
    ///
    /// # Errors
    /// The engine's; terminal.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Rows between two bounds in rising order. Lazy: a caller that stops early pays for what it saw.
    fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_>;

    /// Shows the rows of [`View::scan`] where they lie, until `see` breaks off: for who looks at many
    /// rows and keeps little of them.
    ///
    /// # Errors
    /// The engine's; terminal.
    fn visit(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        see: &mut See<'_>,
    ) -> Result<(), StoreError> {
        for row in self.scan(from, to) {
            let (key, value) = row?;
            if see(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The same rows in falling order.
    fn scan_back(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_>;
}

/// The store.
pub trait OrderedStore: Send + Sync + 'static {
    /// A view of everything committed so far.
    fn view(&self) -> Box<dyn View>;

    /// Applies a batch. Visible when it returns, durable after the next [`OrderedStore::persist`].
    ///
    /// # Errors
    /// The engine's; terminal.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Makes everything committed so far durable.
    ///
    /// # Errors
    /// The engine's; terminal.
    fn persist(&self) -> Result<(), StoreError>;
}

/// The bound just past every key that starts with `prefix`; unbounded where there is none.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}
