//! What an item that is not recorded as often as it is held means.

use cairn_model::ChunkId;
use cairn_store::{StoreError, View};

use super::tally::{Balance, Item};
use super::{Discrepancy, Fault, get};
use crate::keyspace::chunk::{ChunkKey, ChunkState};

/// The discrepancy; `None` where a row that cannot be read tells of it already.
pub(super) fn name(
    view: &dyn View,
    item: Item,
    balance: Balance,
) -> Result<Option<Discrepancy>, StoreError> {
    let Balance { held, recorded } = balance;
    Ok(Some(match item {
        Item::Chunk(chunk) => match references(view, chunk, balance) {
            Ok(found) => found,
            Err(Fault::Store(error)) => return Err(error),
            Err(Fault::Unreadable) => return Ok(None),
        },
        Item::Condemned(chunk, incarnation) => Discrepancy::NotCondemnedOnce {
            chunk,
            incarnation,
            times: recorded,
        },
        Item::Pages {
            manifest,
            first,
            end,
        } => match (held, recorded) {
            (0, _) => Discrepancy::PagesUnheld {
                manifest,
                first,
                end,
            },
            (_, 0) => Discrepancy::PagesMissing {
                manifest,
                first,
                end,
            },
            (times, _) => Discrepancy::PagesHeldTwice {
                manifest,
                first,
                end,
                times,
            },
        },
        Item::Part { upload, number } => Discrepancy::PartHolders {
            upload,
            number,
            times: held,
        },
    }))
}

fn references(view: &dyn View, chunk: ChunkId, balance: Balance) -> Result<Discrepancy, Fault> {
    let Balance { held, recorded } = balance;
    Ok(match get(view, &ChunkKey(chunk))? {
        None => Discrepancy::ChunkWithoutRow {
            chunk,
            counted: held,
        },
        Some(row) if recorded == 0 && row.state() != ChunkState::Live => {
            Discrepancy::HeldChunkDying {
                chunk,
                refs: held,
                state: row.state(),
            }
        }
        Some(_) => Discrepancy::ChunkReferences {
            chunk,
            counted: held,
            recorded,
        },
    })
}
