//! How an upload leaves its session for a newer one.

use bytes::Bytes;
use cairn_wire::metadata as wire;
use cairn_wire::metadata::entry::Command;

use super::Entered;
use crate::metadata::CommitError;

impl Entered {
    /// Moves an upload to the current session, which adopts all that it has `staged`. Nothing that
    /// was written in the old session may be left unstaged.
    ///
    /// # Errors
    /// See [`CommitError`]. `Unavailable`: the upload is still in its old session and may try again.
    /// Others are its end, since which session owns what it wrote is not known.
    pub(crate) async fn carry(&mut self, staged: Option<&Bytes>) -> Result<(), CommitError> {
        let mut newer = self.sessions.enter().await?;
        if newer.session.id == self.session.id {
            return Ok(());
        }
        if let Some(manifest) = staged {
            let adopt = wire::AdoptStaged {
                from: self.session.id,
                manifest: manifest.clone(),
            };
            newer.persist(Command::AdoptStaged(adopt)).await?;
        }
        tracing::debug!(
            from = self.session.id,
            to = newer.session.id,
            "an upload moved on"
        );
        newer.hold(self.held);
        *self = newer;
        Ok(())
    }
}
