//! Store generations: a store is never emptied, it is replaced by the next one.
//!
//! A two-slot pointer says which generation is in use. The next one is made whole and synced under
//! its own name first; then the pointer moves; then the old one goes.

use cairn_store::{OrderedStore, StoreError};
use cairn_world::Disk;
use std::io;
use std::sync::Arc;

use crate::journal::two_slot::TwoSlot;

const KIND: &[u8] = b"cairn store generation 1";

/// Opens and removes store generations by name (`gen-1`, `gen-2`, ...).
pub trait StoreFactory: Send + Sync + 'static {
    /// Opens a store, making it where there is none.
    ///
    /// # Errors
    /// The engine's.
    fn open(&self, name: &str) -> Result<Arc<dyn OrderedStore>, StoreError>;

    /// Removes a store that nobody uses any more; fine where there is none.
    ///
    /// # Errors
    /// The engine's.
    fn remove(&self, name: &str) -> Result<(), StoreError>;
}

/// The pointer and what it points to.
pub(super) struct Generations {
    stores: Arc<dyn StoreFactory>,
    pointer: TwoSlot,
    number: u64,
}

fn name(number: u64) -> String {
    format!("gen-{number}")
}

fn io_error(error: StoreError) -> io::Error {
    io::Error::other(error)
}

impl Generations {
    /// Reads the pointer; where there is none that can be read, the first generation begins, empty.
    pub(super) fn open(
        disk: &dyn Disk,
        file: &str,
        stores: Arc<dyn StoreFactory>,
    ) -> io::Result<Self> {
        if let Some((pointer, Some(value))) = TwoSlot::open(disk, file, KIND)?
            && let Ok(number) = <[u8; 8]>::try_from(value.as_slice())
        {
            return Ok(Self {
                stores,
                pointer,
                number: u64::from_le_bytes(number),
            });
        }
        // Whatever lies under the first name is of nobody's choosing.
        stores.remove(&name(1)).map_err(io_error)?;
        let pointer = TwoSlot::create(disk, file, KIND, &1u64.to_le_bytes())?;
        Ok(Self {
            stores,
            pointer,
            number: 1,
        })
    }

    /// Opens the generation in use and clears away its neighbours, left over from a crash.
    pub(super) fn current(&self) -> Result<Arc<dyn OrderedStore>, StoreError> {
        for other in [self.number.wrapping_sub(1), self.number.wrapping_add(1)] {
            self.stores.remove(&name(other))?;
        }
        self.stores.open(&name(self.number))
    }

    /// An empty store under the next name, not in use yet.
    pub(super) fn prepare(&self) -> Result<Arc<dyn OrderedStore>, StoreError> {
        let next = name(self.number + 1);
        self.stores.remove(&next)?;
        self.stores.open(&next)
    }

    /// Takes the prepared store, made whole and synced, into use; durable when it returns.
    pub(super) fn switch(&mut self) -> io::Result<()> {
        let next = self.number + 1;
        self.pointer.write(&next.to_le_bytes())?;
        self.number = next;
        Ok(())
    }

    /// Removes the generation before the one in use; nobody may read it any more.
    pub(super) fn remove_previous(&self) -> Result<(), StoreError> {
        self.stores.remove(&name(self.number.wrapping_sub(1)))
    }

    /// Number of the generation in use.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

#[cfg(test)]
mod tests;
