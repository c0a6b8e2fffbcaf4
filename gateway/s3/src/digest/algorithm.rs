//! Checksum algorithms and values.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;

/// A checksum algorithm of S3 that this server computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME, the default.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// `CRC32`, as in `x-amz-sdk-checksum-algorithm` and in XML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// `x-amz-checksum-crc32`: header and trailer.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// `ChecksumCRC32`: the XML element.
    #[must_use]
    pub fn element(self) -> &'static str {
        match self {
            Self::Crc32 => "ChecksumCRC32",
            Self::Crc32c => "ChecksumCRC32C",
            Self::Crc64Nvme => "ChecksumCRC64NVME",
            Self::Sha1 => "ChecksumSHA1",
            Self::Sha256 => "ChecksumSHA256",
        }
    }

    /// From its name, in any letter case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// From its header, in any letter case.
    #[must_use]
    pub fn from_header(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.header().eq_ignore_ascii_case(name))
    }

    /// Bytes of a value.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    pub(super) fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }
}

/// A checksum value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Checksum {
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

impl Checksum {
    /// From raw bytes, as stored; `None` if their number is wrong.
    #[must_use]
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        (bytes.len() == algorithm.length()).then(|| Self::from_digest(algorithm, bytes))
    }

    /// From base64, as in headers and XML; `None` if it is not exactly that.
    #[must_use]
    pub fn from_base64(algorithm: Algorithm, text: &str) -> Option<Self> {
        Self::new(algorithm, &STANDARD.decode(text).ok()?)
    }

    /// Its algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its bytes, big-endian for a CRC.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// In base64.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.bytes)
    }

    pub(super) fn from_digest(algorithm: Algorithm, bytes: &[u8]) -> Self {
        Self {
            algorithm,
            bytes: bytes.to_vec(),
        }
    }

    /// The low bytes of a CRC register.
    pub(super) fn from_crc(algorithm: Algorithm, crc: u64) -> Self {
        let all = crc.to_be_bytes();
        let skip = all.len().saturating_sub(algorithm.length());
        Self::from_digest(algorithm, all.get(skip..).unwrap_or_default())
    }

    /// The CRC register; `None` for a hash.
    pub(super) fn to_crc(&self) -> Option<u64> {
        self.algorithm.crc()?;
        Some(
            self.bytes
                .iter()
                .fold(0, |crc, byte| crc << 8 | u64::from(*byte)),
        )
    }
}

/// How the checksum of a multipart object relates to its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChecksumType {
    /// Checksum of the parts' checksums.
    Composite,
    /// Checksum of all bytes.
    FullObject,
}

impl ChecksumType {
    /// `COMPOSITE` or `FULL_OBJECT`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Composite => "COMPOSITE",
            Self::FullObject => "FULL_OBJECT",
        }
    }

    /// From its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Composite, Self::FullObject]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// The checksum of an object as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectChecksum {
    /// The value.
    pub checksum: Checksum,
    /// Its relation to the bytes.
    pub kind: ChecksumType,
    /// Number of parts, shown behind a composite value; 0 for an object of one PUT, and for the
    /// checksum of a single part.
    pub parts: u32,
}

impl ObjectChecksum {
    /// The checksum of an object of one PUT.
    #[must_use]
    pub fn full(checksum: Checksum) -> Self {
        Self {
            checksum,
            kind: ChecksumType::FullObject,
            parts: 0,
        }
    }

    /// As S3 shows it: base64, with `-parts` behind a composite.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self.kind {
            ChecksumType::Composite if self.parts > 0 => {
                format!("{}-{}", self.checksum.to_base64(), self.parts)
            }
            _ => self.checksum.to_base64(),
        }
    }
}
