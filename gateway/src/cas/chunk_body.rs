//! The body of a chunk: exactly so many bytes, of exactly this SHA-256, or nothing.

use bytes::{Bytes, BytesMut};
use cairn_model::Sha256;
use cairn_s3::{Code, S3Error};
use sha2::Digest as _;

use crate::body::Incoming;
use crate::data::writer::Source;

/// A body that is digested as it passes.
#[derive(Debug)]
pub(super) struct ChunkBody {
    incoming: Incoming,
    length: u64,
    named: Sha256,
    made: sha2::Sha256,
    /// What is left of the frame at hand.
    frame: Bytes,
}

impl ChunkBody {
    pub(super) fn new(incoming: Incoming, length: u64, named: Sha256) -> Self {
        Self {
            incoming,
            length,
            named,
            made: sha2::Sha256::new(),
            frame: Bytes::new(),
        }
    }

    /// The next at most `most` bytes, digested.
    async fn next(&mut self, most: usize) -> Result<Bytes, S3Error> {
        if self.frame.is_empty() {
            let frame = self.incoming.frame().await?;
            self.frame = frame.ok_or_else(|| S3Error::new(Code::IncompleteBody))?;
        }
        let taken = self.frame.split_to(most.min(self.frame.len()));
        self.made.update(&taken);
        Ok(taken)
    }

    /// Reads and verifies all of it, and keeps nothing: its chunk is stored.
    ///
    /// # Errors
    /// As [`Source::fill`] and [`Source::finish`].
    pub(super) async fn verify(mut self) -> Result<(), S3Error> {
        let mut left = self.length;
        while left > 0 {
            let taken = self
                .next(usize::try_from(left).unwrap_or(usize::MAX))
                .await?;
            left = left.saturating_sub(u64::try_from(taken.len()).unwrap_or(u64::MAX));
        }
        self.finish().await?;
        Ok(())
    }
}

impl Source for ChunkBody {
    type Proof = ();

    fn length(&self) -> u64 {
        self.length
    }

    fn makes_sha256(&self) -> bool {
        true
    }

    async fn fill(&mut self, buffer: &mut BytesMut, wanted: usize) -> Result<(), S3Error> {
        let mut left = wanted;
        while left > 0 {
            let taken = self.next(left).await?;
            buffer.extend_from_slice(&taken);
            left -= taken.len();
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<((), Option<Sha256>), S3Error> {
        if !self.frame.is_empty() || self.incoming.frame().await?.is_some() {
            let message = "The body is longer than the length that was announced.";
            return Err(S3Error::because(Code::InvalidRequest, message));
        }
        let made = Sha256(self.made.finalize().into());
        if made != self.named {
            let message = format!("The SHA-256 of the body is {made}, not the one in the path.");
            return Err(S3Error::because(Code::BadDigest, message));
        }
        Ok(((), Some(made)))
    }
}
