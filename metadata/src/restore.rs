//! Restore from a backup: a stopped voter's directory, or a copy of one, becomes a cluster of one voter
//! in the next generation. See `docs/adr/0019-restore.md`.

use std::sync::Arc;

use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{BumpGeneration, Entry};
use cairn_world::{Disk, Entropy};
use prost::Message as _;

use crate::raft::{ForceError, LogPosition, Member, RaftSettings, go_on_alone};
use crate::service::GROUP;

/// Makes a cluster of the voter `alone`, whose directory `disk` is. Its generation is the next one, and
/// not below `at_least`. Where its log ended.
///
/// # Errors
/// See [`ForceError`].
pub fn restore(
    settings: &RaftSettings,
    disk: Arc<dyn Disk>,
    entropy: &dyn Entropy,
    alone: &Member,
    at_least: u16,
) -> Result<LogPosition, ForceError> {
    let bump = BumpGeneration {
        at_least: at_least.into(),
        voter: alone.id,
    };
    let entry = Entry {
        group: GROUP,
        // No leader's word: time stands still until there is one.
        stamp_ms: 0,
        command: Some(Command::BumpGeneration(bump)),
        ..Entry::default()
    };
    go_on_alone(settings, disk, entropy, alone, entry.encode_to_vec().into())
}
