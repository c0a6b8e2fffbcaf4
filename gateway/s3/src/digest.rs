//! Digests of a body: what is computed, what the client said they would be, and the proof that both
//! agree.
//!
//! ```text
//!   head ──► Expect ──► Digests::new ── update ── update ── … ── finish(trailers) ──► Verified
//!            Content-MD5, x-amz-checksum-*, x-amz-trailer, x-amz-content-sha256
//! ```
//!
//! MD5 is always computed (it is the ETag); SHA-256 only where the signature or a checksum asks for
//! it; one checksum is stored with every object, CRC-64/NVME if the client names none. [`Verified`]
//! cannot be made in any other way, so nothing that was not checked can be committed.

mod algorithm;
mod expect;
pub mod md5;
mod multipart;

use bytes::Bytes;
use sha1::Sha1;
use sha2::{Digest, Sha256};

pub use algorithm::{Algorithm, Checksum, ChecksumType, ObjectChecksum};
pub use expect::Expect;
pub use multipart::{MultipartChecksum, multipart_etag};

use self::md5::Owed;
use crate::chunked::Trailers;
use crate::error::{Code, S3Error};

/// Bytes of a body that are kept until their MD5 is made.
pub const OWED_MAX: usize = 1 << 20;

/// Running digests of one body.
#[derive(Clone, Debug)]
pub struct Digests {
    expect: Expect,
    length: u64,
    md5: Owed,
    /// One of each wanted algorithm. SHA-256 serves signature and checksum alike.
    checksums: Vec<Hasher>,
}

#[derive(Clone, Debug)]
enum Hasher {
    Crc(Algorithm, crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

/// Proof that a body is the one the client meant, and its digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    length: u64,
    md5: [u8; 16],
    sha256: Option<[u8; 32]>,
    stored: Checksum,
    declared: Option<Algorithm>,
}

impl Digests {
    /// Starts the digests that `expect` needs.
    #[must_use]
    pub fn new(expect: Expect) -> Self {
        let checksums = expect.algorithms().into_iter().map(Hasher::new).collect();
        Self {
            expect,
            length: 0,
            md5: Owed::new(),
            checksums,
        }
    }

    /// Adds the next bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.add(bytes);
    }

    /// The same, but the MD5 of it is owed: [`Digests::md5`] gives it away to be made beside others. Up to
    /// [`OWED_MAX`] bytes are kept for it.
    pub fn update_later(&mut self, run: Bytes) {
        self.add(&run);
        if self.md5.len() + run.len() > OWED_MAX {
            self.md5.add_all();
        }
        self.md5.push(run);
    }

    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        for hasher in &mut self.checksums {
            hasher.update(bytes);
        }
    }

    /// The MD5 so far. Whoever takes it puts it back, with the same bytes added or owed: else
    /// [`Digests::finish`] refuses.
    pub fn md5(&mut self) -> &mut Owed {
        &mut self.md5
    }

    /// Bytes added so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Compares with what the client said.
    ///
    /// # Errors
    /// `InternalError` where the MD5 was taken and not put back; `BadDigest` for MD5 and checksums, `XAmzContentSHA256Mismatch`, `MalformedTrailerError` for
    /// trailers that were not announced or did not come.
    pub fn finish(self, trailers: &Trailers) -> Result<Verified, S3Error> {
        if self.md5.total() != self.length {
            return Err(S3Error::new(Code::InternalError));
        }
        let md5 = self.md5.finish();
        let sums: Vec<Checksum> = self.checksums.into_iter().map(Hasher::finish).collect();
        let of = |algorithm| sums.iter().find(|sum| sum.algorithm() == algorithm);
        self.expect.check_sha256(of(Algorithm::Sha256))?;
        self.expect.check_md5(&md5)?;
        let declared = self.expect.declared_value(trailers)?;
        if let Some(declared) = &declared
            && of(declared.algorithm()) != Some(declared)
        {
            let name = declared.algorithm().name();
            let message =
                format!("The {name} you specified did not match the calculated checksum.");
            return Err(S3Error::because(Code::BadDigest, message));
        }
        let stored = of(self.expect.stored()).cloned();
        Ok(Verified {
            length: self.length,
            md5,
            sha256: of(Algorithm::Sha256).and_then(|sum| sum.bytes().try_into().ok()),
            stored: stored.ok_or_else(|| S3Error::new(Code::InternalError))?,
            declared: declared.map(|sum| sum.algorithm()),
        })
    }
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm.crc() {
            Some(crc) => Self::Crc(algorithm, crc_fast::Digest::new(crc)),
            None if algorithm == Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            None => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc(_, digest) => digest.update(bytes),
            Self::Sha1(digest) => digest.update(bytes),
            Self::Sha256(digest) => digest.update(bytes),
        }
    }

    fn finish(self) -> Checksum {
        match self {
            Self::Crc(algorithm, digest) => Checksum::from_crc(algorithm, digest.finalize()),
            Self::Sha1(digest) => Checksum::from_digest(Algorithm::Sha1, &digest.finalize()),
            Self::Sha256(digest) => Checksum::from_digest(Algorithm::Sha256, &digest.finalize()),
        }
    }
}

impl Verified {
    /// Bytes of the body.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Its MD5.
    #[must_use]
    pub fn md5(&self) -> [u8; 16] {
        self.md5
    }

    /// The ETag of an object of one PUT, without quotes.
    #[must_use]
    pub fn etag(&self) -> String {
        hex::encode(self.md5)
    }

    /// Its SHA-256, where it was computed.
    #[must_use]
    pub fn sha256(&self) -> Option<[u8; 32]> {
        self.sha256
    }

    /// The checksum to store with the object or part.
    #[must_use]
    pub fn checksum(&self) -> &Checksum {
        &self.stored
    }

    /// The algorithm the client gave a value of.
    #[must_use]
    pub fn declared(&self) -> Option<Algorithm> {
        self.declared
    }
}

#[cfg(test)]
mod tests;
