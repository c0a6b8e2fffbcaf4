//! The frame header before every message.
//!
//! ```text
//!  0         1      2                6          8
//!  | version | type | payload length | checksum | payload, at most 1 MiB     numbers big-endian
//! ```
//!
//! The checksum is CRC-32C over bytes 0..6 and the payload, its halves exclusive-or'd. TLS keeps
//! strangers out; this finds a sender or receiver that lost its place in a stream.

mod assembler;

use cairn_model::limits;
use crc_fast::{CrcAlgorithm, Digest};

pub use assembler::{FrameAssembler, Step};

/// Bytes of a header.
pub const HEADER_LEN: usize = 8;

/// Whose message it is, and so who may send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrameType {
    /// A signed change between sites.
    Delta,
    /// A question of anti-entropy.
    SyncRequest,
    /// Its answer.
    SyncResponse,
    /// Raft.
    Consensus,
    /// Shards, raw bytes of shards included.
    Storage,
    /// Commands to and queries of metadata.
    Metadata,
    /// HELLO, HEARTBEAT.
    Control,
}

impl FrameType {
    /// All there are, in the order of their numbers from 1.
    pub const ALL: [Self; 7] = [
        Self::Delta,
        Self::SyncRequest,
        Self::SyncResponse,
        Self::Consensus,
        Self::Storage,
        Self::Metadata,
        Self::Control,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Delta => 0x01,
            Self::SyncRequest => 0x02,
            Self::SyncResponse => 0x03,
            Self::Consensus => 0x04,
            Self::Storage => 0x05,
            Self::Metadata => 0x06,
            Self::Control => 0x07,
        }
    }

    /// The type of this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// Why bytes are no frame. The stream they came on is lost: there is no next frame to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The version is not the one agreed on.
    #[error("frame of version {found}, {expected} was agreed on")]
    Version {
        /// What the header says.
        found: u8,
        /// What HELLO agreed on.
        expected: u8,
    },
    /// A type this version does not know.
    #[error("frame of unknown type {0:#04x}")]
    Type(u8),
    /// Longer than [`limits::WIRE_PAYLOAD_MAX`].
    #[error("frame of {0} bytes is too long")]
    TooLong(u64),
    /// Header or payload is not what was sent.
    #[error("frame checksum does not match")]
    Checksum,
}

/// A header as read; the payload is still to be checked against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    version: u8,
    kind: FrameType,
    len: u32,
    checksum: u16,
}

impl FrameHeader {
    /// The header of a payload that lies in `pieces`.
    ///
    /// # Errors
    /// [`FrameError::TooLong`].
    pub fn of<'a, P>(version: u8, kind: FrameType, pieces: P) -> Result<Self, FrameError>
    where
        P: IntoIterator<Item = &'a [u8]> + Clone,
    {
        let total = pieces.clone().into_iter().map(<[u8]>::len).sum::<usize>();
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        let len = u32::try_from(total)
            .ok()
            .filter(|_| total <= limits::WIRE_PAYLOAD_MAX)
            .ok_or(FrameError::TooLong(total))?;
        Ok(Self {
            version,
            kind,
            len,
            checksum: checksum(version, kind, len, pieces),
        })
    }

    /// The eight bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [a, b, c, d] = self.len.to_be_bytes();
        let [e, f] = self.checksum.to_be_bytes();
        [self.version, self.kind.number(), a, b, c, d, e, f]
    }

    /// Reads a header of the version agreed on.
    ///
    /// # Errors
    /// Any but [`FrameError::Checksum`], which [`FrameHeader::check`] finds.
    pub fn from_bytes(bytes: [u8; HEADER_LEN], expected: u8) -> Result<Self, FrameError> {
        let [version, kind, a, b, c, d, e, f] = bytes;
        if version != expected {
            return Err(FrameError::Version {
                found: version,
                expected,
            });
        }
        let len = u32::from_be_bytes([a, b, c, d]);
        if u64::from(len) > limits::WIRE_PAYLOAD_MAX {
            return Err(FrameError::TooLong(u64::from(len)));
        }
        Ok(Self {
            version,
            kind: FrameType::from_number(kind).ok_or(FrameError::Type(kind))?,
            len,
            checksum: u16::from_be_bytes([e, f]),
        })
    }

    /// Whose message follows.
    #[must_use]
    pub fn kind(self) -> FrameType {
        self.kind
    }

    /// Bytes of the payload, at most [`limits::WIRE_PAYLOAD_MAX`].
    #[must_use]
    pub fn payload_len(self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }

    /// Whether this is the payload the header was made for.
    ///
    /// # Errors
    /// [`FrameError::Checksum`].
    pub fn check(self, payload: &[u8]) -> Result<(), FrameError> {
        let same = payload.len() == self.payload_len()
            && checksum(self.version, self.kind, self.len, [payload]) == self.checksum;
        if same {
            Ok(())
        } else {
            Err(FrameError::Checksum)
        }
    }
}

fn checksum<'a>(
    version: u8,
    kind: FrameType,
    len: u32,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> u16 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(&[version, kind.number()]);
    digest.update(&len.to_be_bytes());
    for piece in pieces {
        digest.update(piece);
    }
    let [_, _, _, _, a, b, c, d] = digest.finalize().to_be_bytes();
    u16::from_be_bytes([a ^ c, b ^ d])
}

#[cfg(test)]
mod tests;
