//! The signature chain of an aws-chunked body.

use sha2::{Digest, Sha256};

use super::keys::SigningKey;
use super::{EMPTY_SHA256, Presented};
use crate::error::{Code, S3Error};

/// Checks one chunk after the other: each signature covers the one before, the first covers the
/// request's.
#[derive(Clone, Debug)]
pub struct ChunkSigner {
    key: SigningKey,
    /// Time and scope: the second and third line of every string to sign.
    context: String,
    previous: String,
}

impl ChunkSigner {
    /// Starts the chain at a verified request.
    pub(super) fn new(key: SigningKey, presented: &Presented<'_>) -> Self {
        let context = format!("{}\n{}", presented.at.to_basic(), presented.scope);
        Self {
            key,
            context,
            previous: presented.signature.to_owned(),
        }
    }

    /// Checks the chunk whose payload has this hash.
    ///
    /// # Errors
    /// `SignatureDoesNotMatch`.
    pub(crate) fn check_chunk(
        &mut self,
        payload: [u8; 32],
        signature: &str,
    ) -> Result<(), S3Error> {
        let message = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{EMPTY_SHA256}\n{}",
            self.context,
            self.previous,
            hex::encode(payload)
        );
        self.check(&message, signature)
    }

    /// Checks the trailer, given as `name:value\n` per line.
    ///
    /// # Errors
    /// `SignatureDoesNotMatch`.
    pub(crate) fn check_trailer(&mut self, trailer: &[u8], signature: &str) -> Result<(), S3Error> {
        let hash = hex::encode(Sha256::digest(trailer));
        let message = format!(
            "AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{hash}",
            self.context, self.previous
        );
        self.check(&message, signature)
    }

    fn check(&mut self, message: &str, signature: &str) -> Result<(), S3Error> {
        if !self.key.accepts(message.as_bytes(), signature) {
            return Err(S3Error::new(Code::SignatureDoesNotMatch));
        }
        signature.clone_into(&mut self.previous);
        Ok(())
    }
}
