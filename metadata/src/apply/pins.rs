//! Pins: how a read that lasts long moves to a newer session without losing what it reads.
//!
//! Nothing that the read can reach has begun to be deleted while the session it is in is open, so
//! the pin is taken without looking at what it holds; from then on it stands in the way itself.

use cairn_model::limits;
use cairn_wire::metadata::{PinRead, Refusal, Reply};
use cairn_world::{Bug, planted};

use super::chunks::chunk_id;
use super::{Context, Stop, Transaction, malformed, refuse, sessions};
use crate::keyspace::Present;
use crate::keyspace::pin::{PinKey, PinTarget, SessionPinKey};
use crate::keyspace::session::SessionKey;

/// Pins for the committing session what a read in the older session `from` holds.
pub(super) fn pin(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &PinRead,
) -> Result<Reply, Stop> {
    let session = sessions::require(context)?;
    if command.chunks.len() + command.manifests.len() > limits::PIN_TARGETS_MAX {
        return malformed("too many pins for one read");
    }
    let open = txn.get(&SessionKey(command.from))?;
    if command.from >= session || open.is_none_or(|row| row.ended) {
        return refuse(Refusal::SessionEnded);
    }
    let session = if planted(Bug::PinOfAnotherSession) {
        command.from
    } else {
        session
    };
    for chunk in &command.chunks {
        let id = chunk_id(chunk.domain, &chunk.sha256)?;
        put(txn, session, PinTarget::Chunk(id));
    }
    for manifest in &command.manifests {
        let Ok(manifest) = <[u8; 16]>::try_from(manifest.as_ref()) else {
            return malformed("a stamp is 16 bytes");
        };
        put(txn, session, PinTarget::Manifest(manifest));
    }
    Ok(Reply::default())
}

fn put(txn: &mut Transaction<'_>, session: u64, target: PinTarget) {
    txn.put(&PinKey { target, session }, &Present {});
    txn.put(&SessionPinKey { session, target }, &Present {});
}

/// Whether any session pins the target.
pub(super) fn pinned(txn: &Transaction<'_>, target: &PinTarget) -> Result<bool, Stop> {
    Ok(!txn.scan::<PinKey>(&PinKey::of(target), 1)?.is_empty())
}

/// Takes away at most `budget` pins of an ended session; tells how many.
pub(super) fn unpin(
    txn: &mut Transaction<'_>,
    session_prefix: &[u8],
    budget: usize,
) -> Result<usize, Stop> {
    let pins = txn.scan::<SessionPinKey>(session_prefix, budget)?;
    for (pin, _) in &pins {
        txn.delete(pin);
        txn.delete(&PinKey {
            target: pin.target,
            session: pin.session,
        });
    }
    Ok(pins.len())
}
