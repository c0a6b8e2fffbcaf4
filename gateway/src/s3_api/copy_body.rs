//! The bytes of a copy's source as a body: checked as every read is, digested as every write is. In
//! memory are the stripes of one read and those of one write.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use cairn_model::Sha256;
use cairn_s3::chunked::Trailers;
use cairn_s3::digest::{Algorithm, Digests, Expect, Verified};
use cairn_s3::{Code, S3Error};

use crate::data::reader::Reader;
use crate::data::writer::Source;
use crate::error;

/// A body that is read from storage, a few stripes at a time.
#[derive(Debug)]
pub(super) struct CopyBody {
    reader: Reader,
    length: u64,
    digests: Digests,
    makes_sha256: bool,
    pieces: VecDeque<Bytes>,
}

impl CopyBody {
    /// `length` is that of the reader's range. MD5 and `algorithm` are computed.
    pub(super) fn new(reader: Reader, length: u64, algorithm: Algorithm) -> Self {
        Self {
            reader,
            length,
            digests: Digests::new(Expect::nothing(algorithm)),
            makes_sha256: algorithm == Algorithm::Sha256,
            pieces: VecDeque::new(),
        }
    }

    /// Reads all of it for its digests alone.
    ///
    /// # Errors
    /// What reading it gives.
    pub(super) async fn digest(mut self) -> Result<Verified, S3Error> {
        while let Some(piece) = self.piece().await? {
            self.digests.update(&piece);
        }
        self.end()
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, S3Error> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Ok(Some(piece));
            }
            match self.reader.next().await.map_err(error::of_read)? {
                Some(pieces) => self.pieces.extend(pieces),
                None => return Ok(None),
            }
        }
    }

    fn end(self) -> Result<Verified, S3Error> {
        if self.digests.length() != self.length {
            tracing::error!("the source of a copy is not as long as its row says");
            return Err(S3Error::new(Code::InternalError));
        }
        self.digests.finish(&Trailers::default())
    }
}

impl Source for CopyBody {
    type Proof = Verified;

    fn length(&self) -> u64 {
        self.length
    }

    fn makes_sha256(&self) -> bool {
        self.makes_sha256
    }

    async fn fill(&mut self, buffer: &mut BytesMut, wanted: usize) -> Result<(), S3Error> {
        let mut left = wanted;
        while left > 0 {
            let ended = || S3Error::new(Code::InternalError);
            let mut piece = self.piece().await?.ok_or_else(ended)?;
            let taken = piece.split_to(left.min(piece.len()));
            self.digests.update(&taken);
            buffer.extend_from_slice(&taken);
            left -= taken.len();
            if !piece.is_empty() {
                self.pieces.push_front(piece);
            }
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<(Verified, Option<Sha256>), S3Error> {
        // What should not be there any more counts against the length.
        while let Some(piece) = self.piece().await? {
            self.digests.update(&piece);
        }
        let verified = self.end()?;
        let sha256 = verified.sha256().map(Sha256);
        Ok((verified, sha256))
    }
}
