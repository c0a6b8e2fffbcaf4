//! An open file of a simulated disk.

use super::super::faults::FaultOn;
use super::state::{Power, State, check_range};
use super::tree::FileNumber;
use crate::alignment;
use crate::disk::{Access, DiskFile};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An open file.
pub(super) struct SimFile {
    pub(super) state: Arc<Mutex<State>>,
    pub(super) file: FileNumber,
    pub(super) name: String,
    pub(super) access: Access,
}

impl std::fmt::Debug for SimFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimFile({})", self.name)
    }
}

impl SimFile {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, state: &State, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self.access {
            Access::Buffered => Ok(()),
            Access::Direct => alignment::check(state.capabilities.alignment, offset, bytes),
        }
    }

    /// Begins a change of `bytes` of the file.
    fn change(&self, state: &mut State, bytes: Range<u64>) -> io::Result<Power> {
        let power = state.act()?;
        state.faults.meet(FaultOn::Write, &self.name, bytes)?;
        Ok(power)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state();
        state.look()?;
        self.check(&state, offset, buf)?;
        let end = check_range(offset, buf.len() as u64)?;
        state.faults.meet(FaultOn::Read, &self.name, offset..end)?;
        Ok(state.content(self.file)?.read(buf, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state();
        state.look()?;
        self.check(&state, offset, bytes)?;
        let end = check_range(offset, bytes.len() as u64)?;
        let power = state.act()?;
        if let Err(error) = state.faults.meet(FaultOn::Write, &self.name, offset..end) {
            state.write_some(self.file, bytes, offset);
            return Err(error);
        }
        // A write cut short by the power is an unsynced write: the crash tears it.
        let written = state.write(self.file, bytes, offset);
        power.then(())?;
        written
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        let power = state.act()?;
        state.sync(self.file, &self.name, power)
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.state();
        state.look()?;
        Ok(state.content(self.file)?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.look()?;
        check_range(len, 0)?;
        let before = state.content(self.file)?.len();
        let power = self.change(&mut state, before.min(len)..before.max(len))?;
        state.change(self.file, |content| content.set_len(len))?;
        power.then(())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.look()?;
        let end = check_range(offset, len)?;
        if len == 0 {
            return Ok(());
        }
        let power = self.change(&mut state, offset..end)?;
        let reserved = state.allocate(self.file, offset, len);
        power.then(())?;
        reserved
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.look()?;
        if !state.capabilities.punch {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let end = check_range(offset, len)?;
        if len == 0 {
            return Ok(());
        }
        let power = self.change(&mut state, offset..end)?;
        state.change(self.file, |content| content.punch(offset..end))?;
        power.then(())
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.state().close(self.file);
    }
}
