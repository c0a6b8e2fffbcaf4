//! Recovers the journal that is there, or makes a new one.

use cairn_world::{Disk, Entropy};
use std::sync::Arc;

use super::format::BLOCK;
use super::identity::{self, Identity};
use super::index::Index;
use super::segments::Segments;
use super::writer::Writer;
use super::{JournalError, JournalSettings, recovery};

pub(super) fn open_or_create(
    disk: Arc<dyn Disk>,
    settings: &JournalSettings,
    entropy: &dyn Entropy,
) -> Result<(Writer, Index), JournalError> {
    let mut segments = Segments::open(disk.clone(), settings)?;
    let wipe = |error: std::io::Error| JournalError::failed("wipe an unfinished journal", &error);
    match identity::load(disk.as_ref(), settings)? {
        Identity::Ready(keeper) => return recovery::recover(keeper, segments, settings),
        Identity::Unfinished(slots, seed) => {
            if recovery::was_used(&seed, &mut segments) {
                return Err(no_identity(
                    settings,
                    "the identity says unfinished, the log does not",
                ));
            }
            segments.clear().map_err(wipe)?;
            drop(slots);
        }
        Identity::Missing | Identity::Unreadable => {
            if !segments.is_empty() {
                return Err(no_identity(
                    settings,
                    "there are segments and no readable identity",
                ));
            }
        }
    }
    let (slots, seed) = identity::begin(disk.as_ref(), settings, entropy)?;
    let mut writer = Writer::create(seed.clone(), segments, settings.group_len)?;
    writer.keeper = Some(identity::finish(slots, seed, writer.lap)?);
    Ok((writer, Index::new(settings.cache_len)))
}

fn no_identity(settings: &JournalSettings, reason: &str) -> JournalError {
    JournalError::Damaged {
        file: format!("{}/identity", settings.dir),
        from: 0,
        to: 2 * BLOCK as u64,
        reason: reason.to_owned(),
    }
}
