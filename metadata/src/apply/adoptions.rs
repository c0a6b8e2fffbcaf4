//! Adoption: how an upload that lasts long moves to a newer session without losing what it wrote.
//!
//! ```text
//!   session 7   chunk chunk chunk ── StagePage ──> (7, manifest)      references are held
//!                                                       │ AdoptStaged { from: 7 } of session 90
//!   session 90                                     (90, manifest) <── StagePage ── chunk chunk ...
//!                                                       └── PutObject of session 90
//! ```
//!
//! A writing counts only while the session in its stamp is open, so the upload stages what it has
//! written in the session that wrote it; only then does the staged manifest change hands. At every
//! moment exactly one open session owns it, and its end is what lets it go.

use cairn_wire::metadata::{AdoptStaged, Refusal, Reply};

use super::{Context, Stop, Transaction, manifests, refuse, sessions};
use crate::keyspace::session::{SessionKey, StagedKey};

/// Makes the committing session the owner of what the older session `from` staged under a manifest.
/// Refused where that one has ended or staged no such thing: its chunks may be on their way out.
pub(super) fn adopt(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &AdoptStaged,
) -> Result<Reply, Stop> {
    let session = sessions::require(context)?;
    let manifest = manifests::stamp_here(context, &command.manifest)?.to_bytes();
    let open = txn.get(&SessionKey(command.from))?;
    if command.from >= session || open.is_none_or(|row| row.ended) {
        return refuse(Refusal::SessionEnded);
    }
    let old = StagedKey {
        session: command.from,
        manifest,
    };
    let Some(staged) = txn.get(&old)? else {
        return refuse(Refusal::RetryUpload);
    };
    txn.delete(&old);
    txn.put(&StagedKey { session, manifest }, &staged);
    Ok(Reply::default())
}
