//! Whose journal it is, whether it was ever finished, and the newest lap that was begun: a segment
//! that is lost with everything in it leaves no other trace.

use bytes::{Buf, BufMut};
use cairn_world::{Disk, Entropy};

use super::format::Seed;
use super::two_slot::TwoSlot;
use super::{JournalError, JournalSettings};

const KIND: &[u8] = b"cairn journal identity 1";

/// What the identity file says.
#[derive(Debug)]
pub(super) enum Identity {
    /// There is none.
    Missing,
    /// The file is there without a whole value.
    Unreadable,
    /// The journal was being made and has acknowledged nothing.
    Unfinished(TwoSlot, Seed),
    /// The journal is in use.
    Ready(Keeper),
}

/// The identity of a journal in use.
#[derive(Debug)]
pub(super) struct Keeper {
    slots: TwoSlot,
    pub(super) seed: Seed,
    /// A lap that was begun and durable; later ones may be too.
    pub(super) newest_lap: u64,
}

impl Keeper {
    /// Notes a lap whose first group is durable.
    pub(super) fn note_lap(&mut self, lap: u64) -> std::io::Result<()> {
        self.slots.write(&encode(true, &self.seed, lap))?;
        self.newest_lap = lap;
        Ok(())
    }
}

fn name(settings: &JournalSettings) -> String {
    format!("{}/identity", settings.dir)
}

/// Reads the identity and checks that it is ours.
pub(super) fn load(disk: &dyn Disk, settings: &JournalSettings) -> Result<Identity, JournalError> {
    let opened = TwoSlot::open(disk, &name(settings), KIND)
        .map_err(|error| JournalError::failed("open identity", &error))?;
    let Some((slots, value)) = opened else {
        return Ok(Identity::Missing);
    };
    let Some((ready, seed, newest_lap)) = value.as_deref().and_then(decode) else {
        return Ok(Identity::Unreadable);
    };
    if seed.cluster_id != settings.cluster_id || seed.node_id != settings.node_id {
        let cluster = seed
            .cluster_id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        return Err(JournalError::Foreign {
            cluster,
            node: seed.node_id,
        });
    }
    Ok(if ready {
        Identity::Ready(Keeper {
            slots,
            seed,
            newest_lap,
        })
    } else {
        Identity::Unfinished(slots, seed)
    })
}

/// Begins a new journal: draws its salt and notes that it is unfinished.
pub(super) fn begin(
    disk: &dyn Disk,
    settings: &JournalSettings,
    entropy: &dyn Entropy,
) -> Result<(TwoSlot, Seed), JournalError> {
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    let seed = Seed {
        salt,
        cluster_id: settings.cluster_id,
        node_id: settings.node_id,
    };
    let slots = TwoSlot::create(disk, &name(settings), KIND, &encode(false, &seed, 0))
        .map_err(|error| JournalError::failed("write identity", &error))?;
    Ok((slots, seed))
}

/// Notes that the journal is ready, in both slots: no single bad block may make it look unfinished.
pub(super) fn finish(slots: TwoSlot, seed: Seed, lap: u64) -> Result<Keeper, JournalError> {
    let mut keeper = Keeper {
        slots,
        seed,
        newest_lap: lap,
    };
    for _ in 0..2 {
        keeper
            .note_lap(lap)
            .map_err(|error| JournalError::failed("write identity", &error))?;
    }
    Ok(keeper)
}

fn encode(ready: bool, seed: &Seed, newest_lap: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(49);
    out.put_u8(u8::from(ready));
    out.put_slice(&seed.cluster_id);
    out.put_u64_le(seed.node_id);
    out.put_slice(&seed.salt);
    out.put_u64_le(newest_lap);
    out
}

fn decode(mut value: &[u8]) -> Option<(bool, Seed, u64)> {
    let ready = match value.try_get_u8().ok()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let mut seed = Seed {
        salt: [0; 16],
        cluster_id: [0; 16],
        node_id: 0,
    };
    value.try_copy_to_slice(&mut seed.cluster_id).ok()?;
    seed.node_id = value.try_get_u64_le().ok()?;
    value.try_copy_to_slice(&mut seed.salt).ok()?;
    let newest_lap = value.try_get_u64_le().ok()?;
    value.is_empty().then_some((ready, seed, newest_lap))
}
