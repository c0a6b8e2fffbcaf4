//! Checksums and ETags of multipart objects.

use super::md5::Md5;
use super::{Algorithm, Checksum, ChecksumType, Hasher, ObjectChecksum};
use crate::error::{Code, S3Error};

/// The checksum rule of a multipart upload, fixed when it is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultipartChecksum {
    algorithm: Algorithm,
    kind: ChecksumType,
    explicit: bool,
}

impl MultipartChecksum {
    /// The rule for what the client asked: by default CRC-64/NVME over the full object; composite
    /// for the other algorithms unless it asks for the full object, which a CRC can give.
    ///
    /// # Errors
    /// `InvalidRequest` for a combination AWS refuses.
    pub fn new(algorithm: Option<Algorithm>, kind: Option<ChecksumType>) -> Result<Self, S3Error> {
        let explicit = algorithm.is_some();
        let refuse = |message: String| Err(S3Error::because(Code::InvalidRequest, message));
        let Some(algorithm) = algorithm else {
            return match kind {
                None => Ok(Self {
                    algorithm: Algorithm::Crc64Nvme,
                    kind: ChecksumType::FullObject,
                    explicit,
                }),
                Some(_) => refuse(
                    "The x-amz-checksum-type header can only be used with the \
                     x-amz-checksum-algorithm header."
                        .to_owned(),
                ),
            };
        };
        let is_hash = algorithm.crc().is_none();
        let default = match algorithm {
            Algorithm::Crc64Nvme => ChecksumType::FullObject,
            _ => ChecksumType::Composite,
        };
        let kind = kind.unwrap_or(default);
        let impossible = match kind {
            ChecksumType::FullObject => is_hash,
            ChecksumType::Composite => algorithm == Algorithm::Crc64Nvme,
        };
        if impossible {
            return refuse(format!(
                "The {} checksum type cannot be used with the {} checksum algorithm.",
                kind.name(),
                algorithm.name().to_lowercase()
            ));
        }
        Ok(Self {
            algorithm,
            kind,
            explicit,
        })
    }

    /// The rule as it was stored.
    #[must_use]
    pub fn stored(algorithm: Algorithm, kind: ChecksumType, explicit: bool) -> Self {
        Self {
            algorithm,
            kind,
            explicit,
        }
    }

    /// The algorithm of the parts and of the whole.
    #[must_use]
    pub fn algorithm(self) -> Algorithm {
        self.algorithm
    }

    /// What the whole's checksum covers.
    #[must_use]
    pub fn kind(self) -> ChecksumType {
        self.kind
    }

    /// Whether the client chose the algorithm; only then are parts held to it and is it shown.
    #[must_use]
    pub fn is_explicit(self) -> bool {
        self.explicit
    }

    /// The checksum of the whole from those of its parts, with their lengths, in order.
    ///
    /// # Errors
    /// `InvalidPart` if a part's checksum is of another algorithm.
    pub fn combine(self, parts: &[(Checksum, u64)]) -> Result<ObjectChecksum, S3Error> {
        if parts
            .iter()
            .any(|(sum, _)| sum.algorithm() != self.algorithm)
        {
            return Err(S3Error::new(Code::InvalidPart));
        }
        let checksum = match (self.kind, self.algorithm.crc()) {
            (ChecksumType::FullObject, Some(crc)) => {
                let whole = parts.iter().fold(None, |whole, (sum, length)| {
                    let next = sum.to_crc()?;
                    match whole {
                        None => Some(next),
                        Some(whole) => Some(crc_fast::checksum_combine(crc, whole, next, *length)),
                    }
                });
                whole.map(|whole| Checksum::from_crc(self.algorithm, whole))
            }
            (ChecksumType::FullObject, None) => None,
            (ChecksumType::Composite, _) => {
                let mut hasher = Hasher::new(self.algorithm);
                parts.iter().for_each(|(sum, _)| hasher.update(sum.bytes()));
                Some(hasher.finish())
            }
        };
        Ok(ObjectChecksum {
            checksum: checksum.ok_or_else(|| S3Error::new(Code::InvalidPart))?,
            kind: self.kind,
            parts: u32::try_from(parts.len()).unwrap_or(u32::MAX),
        })
    }
}

/// The ETag of a multipart object, without quotes: MD5 of the parts' MD5s, and their number.
#[must_use]
pub fn multipart_etag(parts: &[[u8; 16]]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part);
    }
    format!("{}-{}", hex::encode(md5.finish()), parts.len())
}
