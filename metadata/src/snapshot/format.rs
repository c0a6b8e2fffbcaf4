//! The bytes of a snapshot file: magic, then frames.

use bytes::{Buf, BufMut, Bytes};
use cairn_model::limits;
use crc_fast::{CrcAlgorithm, Digest};
use prost::Message;

use super::SnapshotMeta;
use crate::journal::LogPosition;

/// First bytes of the file.
pub(super) const MAGIC: [u8; 8] = *b"CAIRNSN1";
/// Version this code writes, and the only one it reads.
const VERSION: u32 = 1;
/// Bytes in front of a frame's body: length, kind, checksum.
pub(super) const FRAME_HEAD: usize = 13;
/// Longest frame, head included: one message of the wire.
pub(super) const FRAME_MAX: usize = limits::WIRE_PAYLOAD_MAX as usize;
/// A frame of rows is closed once it is this long.
pub(super) const FRAME_FULL: usize = 256 * limits::KIB as usize;
/// Longest key and value of a row together.
pub(super) const ROW_MAX: usize = FRAME_MAX - FRAME_HEAD - 8;

const KIND_HEADER: u8 = 1;
const KIND_ROWS: u8 = 2;
const KIND_TRAILER: u8 = 3;

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct HeaderMessage {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(bytes = "vec", tag = "2")]
    cluster_id: Vec<u8>,
    #[prost(bool, tag = "3")]
    applied: bool,
    #[prost(uint64, tag = "4")]
    term: u64,
    #[prost(uint64, tag = "5")]
    leader: u64,
    #[prost(uint64, tag = "6")]
    index: u64,
    #[prost(bytes = "vec", tag = "7")]
    membership: Vec<u8>,
    #[prost(bytes = "vec", tag = "8")]
    hash: Vec<u8>,
}

/// A frame's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Header {
        cluster_id: [u8; 16],
        meta: SnapshotMeta,
    },
    Rows(Bytes),
    Trailer {
        rows: u64,
        digest: [u8; 32],
    },
}

/// Seeded with the frame's offset, so that a frame elsewhere is no frame.
fn sum(offset: u64, kind: u8, body: &[u8]) -> u64 {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    digest.update(&MAGIC);
    digest.update(&offset.to_le_bytes());
    digest.update(&[kind]);
    digest.update(body);
    digest.finalize()
}

impl Frame {
    /// Appends the frame that starts at `offset` of the file.
    pub(super) fn encode(&self, offset: u64, out: &mut Vec<u8>) {
        let (kind, body) = match self {
            Self::Header { cluster_id, meta } => (KIND_HEADER, header_body(*cluster_id, meta)),
            Self::Rows(body) => (KIND_ROWS, body.clone()),
            Self::Trailer { rows, digest } => {
                let mut body = rows.to_le_bytes().to_vec();
                body.extend_from_slice(digest);
                (KIND_TRAILER, Bytes::from(body))
            }
        };
        out.put_u32_le(u32::try_from(body.len()).unwrap_or(u32::MAX));
        out.put_u8(kind);
        out.put_u64_le(sum(offset, kind, &body));
        out.put_slice(&body);
    }
}

fn header_body(cluster_id: [u8; 16], meta: &SnapshotMeta) -> Bytes {
    let position = meta.position.unwrap_or(LogPosition {
        term: 0,
        leader: 0,
        index: 0,
    });
    let message = HeaderMessage {
        version: VERSION,
        cluster_id: cluster_id.to_vec(),
        applied: meta.position.is_some(),
        term: position.term,
        leader: position.leader,
        index: position.index,
        membership: meta.membership.clone(),
        hash: meta.hash.to_vec(),
    };
    message.encode_to_vec().into()
}

/// A frame's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHead {
    pub(super) body_len: usize,
    kind: u8,
    sum: u64,
}

impl FrameHead {
    /// Reads a head; the body must fit in a frame.
    pub(super) fn decode(mut bytes: &[u8]) -> Result<Self, &'static str> {
        let short = "the file ends inside a frame";
        let body_len = bytes.try_get_u32_le().map_err(|_| short)? as usize;
        let kind = bytes.try_get_u8().map_err(|_| short)?;
        let sum = bytes.try_get_u64_le().map_err(|_| short)?;
        if body_len > FRAME_MAX - FRAME_HEAD {
            return Err("a frame is too long");
        }
        Ok(Self {
            body_len,
            kind,
            sum,
        })
    }

    /// Checks and reads the body of the frame that starts at `offset`.
    pub(super) fn body(self, offset: u64, body: Bytes) -> Result<Frame, &'static str> {
        if body.len() != self.body_len {
            return Err("the file ends inside a frame");
        }
        if sum(offset, self.kind, &body) != self.sum {
            return Err("a frame's checksum is wrong");
        }
        match self.kind {
            KIND_HEADER => header(body),
            KIND_ROWS => Ok(Frame::Rows(body)),
            KIND_TRAILER => trailer(body),
            _ => Err("a frame is of no known kind"),
        }
    }
}

fn header(body: Bytes) -> Result<Frame, &'static str> {
    let message = HeaderMessage::decode(body).map_err(|_| "the header is no header")?;
    if message.version != VERSION {
        return Err("the snapshot's version is not known here");
    }
    let cluster_id = message
        .cluster_id
        .try_into()
        .map_err(|_| "the header's cluster id is no id")?;
    let hash = message
        .hash
        .try_into()
        .map_err(|_| "the header's hash is no hash")?;
    let position = LogPosition {
        term: message.term,
        leader: message.leader,
        index: message.index,
    };
    let meta = SnapshotMeta {
        position: message.applied.then_some(position),
        membership: message.membership,
        hash,
    };
    Ok(Frame::Header { cluster_id, meta })
}

fn trailer(mut body: Bytes) -> Result<Frame, &'static str> {
    let bad = "the trailer is no trailer";
    let rows = body.try_get_u64_le().map_err(|_| bad)?;
    let digest = <[u8; 32]>::try_from(body.as_ref()).map_err(|_| bad)?;
    Ok(Frame::Trailer { rows, digest })
}

/// Appends a row to a frame's body.
pub(super) fn put_row(body: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    body.put_u32_le(u32::try_from(key.len()).unwrap_or(u32::MAX));
    body.put_u32_le(u32::try_from(value.len()).unwrap_or(u32::MAX));
    body.put_slice(key);
    body.put_slice(value);
}

/// Takes the next row off a frame's body; `None` at its end.
pub(super) fn take_row(body: &mut Bytes) -> Result<Option<(Bytes, Bytes)>, &'static str> {
    if body.is_empty() {
        return Ok(None);
    }
    let bad = "a row runs past its frame";
    let key_len = body.try_get_u32_le().map_err(|_| bad)? as usize;
    let value_len = body.try_get_u32_le().map_err(|_| bad)? as usize;
    if key_len
        .checked_add(value_len)
        .is_none_or(|len| len > body.len())
    {
        return Err(bad);
    }
    let key = body.split_to(key_len);
    let value = body.split_to(value_len);
    Ok(Some((key, value)))
}

#[cfg(test)]
mod tests;
