//! Every key kind of the metadata store, one per file. `docs/formats/keyspace.md` lists them all.
//!
//! ```text
//!  prefix u8 | key fields, big-endian, in an order that makes range scans useful
//!  value     = row format u8 (1) | protobuf
//! ```
//!
//! Prefix 0x00 is the Raft host's own (applied log id, membership, running hash, markers).
//! A prefix once used is never given another meaning.

use bytes::{Buf, Bytes};

pub mod bucket;
pub mod chunk;
pub mod cluster;
pub mod condemned;
pub mod debt;
pub mod lease;
pub mod manifest;
pub mod node;
pub mod object;
pub mod partition;
pub mod pin;
pub mod session;
pub mod upload;
pub mod user;

/// The version byte in front of every value.
const ROW_FORMAT: u8 = 1;

/// A stored value cannot be read: corruption, or a newer version's row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row under prefix {prefix:#04x} cannot be read: {reason}")]
pub struct RowError {
    /// The key kind.
    pub prefix: u8,
    /// What is wrong.
    pub reason: &'static str,
}

/// A kind of key and the row stored under it.
pub trait KeyKind: Sized {
    /// First byte of every key of this kind.
    const PREFIX: u8;
    /// What is stored.
    type Row: prost::Message + Default;

    /// Appends the fields after the prefix.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads the fields after the prefix; `None` where they are not of this form.
    fn read(fields: &[u8]) -> Option<Self>;

    /// The whole key.
    fn encode(&self) -> Vec<u8> {
        let mut key = vec![Self::PREFIX];
        self.write(&mut key);
        key
    }

    /// The inverse of [`KeyKind::encode`].
    ///
    /// # Errors
    /// Another kind's key, or fields of another form.
    fn decode(key: &[u8]) -> Result<Self, RowError> {
        key.split_first()
            .filter(|(prefix, _)| **prefix == Self::PREFIX)
            .and_then(|(_, fields)| Self::read(fields))
            .ok_or(RowError {
                prefix: Self::PREFIX,
                reason: "malformed key",
            })
    }

    /// The stored form of a row.
    fn encode_row(row: &Self::Row) -> Bytes {
        use prost::Message as _;
        let mut value = Vec::with_capacity(1 + row.encoded_len());
        value.push(ROW_FORMAT);
        row.encode_raw(&mut value);
        value.into()
    }

    /// The inverse of [`KeyKind::encode_row`].
    ///
    /// # Errors
    /// Another row format, or bytes that are no row.
    fn decode_row(value: &Bytes) -> Result<Self::Row, RowError> {
        read_row(Self::PREFIX, value.clone())
    }
}

/// Reads a row of the kind `prefix`. From [`Bytes`] long fields are shared, not copied.
fn read_row<R: prost::Message + Default>(prefix: u8, mut value: impl Buf) -> Result<R, RowError> {
    let refused = |reason| RowError { prefix, reason };
    if value.try_get_u8() != Ok(ROW_FORMAT) {
        return Err(refused("unknown row format"));
    }
    R::decode(value).map_err(|_| refused("malformed row"))
}

/// A row that says nothing but that its key is there.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Present {}

/// Appends `bytes` so that byte order is kept and no encoding is a prefix of another: 0x00 becomes
/// `00 FF`, and `00 01` ends the field.
pub(crate) fn write_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    write_escaped_open(bytes, out);
    out.extend_from_slice(&[0x00, 0x01]);
}

/// The same without the end: the start of every field that begins with `bytes`.
pub(crate) fn write_escaped_open(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0x00 {
            out.push(0xff);
        }
    }
}

/// Reads an escaped field; gives the bytes and the rest.
pub(crate) fn read_escaped(mut fields: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut bytes = Vec::with_capacity(fields.len());
    loop {
        match fields {
            [0x00, 0x01, rest @ ..] => return Some((bytes, rest)),
            [0x00, 0xff, rest @ ..] => {
                bytes.push(0x00);
                fields = rest;
            }
            [0x00, ..] | [] => return None,
            [byte, rest @ ..] => {
                bytes.push(*byte);
                fields = rest;
            }
        }
    }
}

pub(crate) fn read_u64(fields: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = fields.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*head), rest))
}

pub(crate) fn read_u32(fields: &[u8]) -> Option<(u32, &[u8])> {
    let (head, rest) = fields.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*head), rest))
}

pub(crate) fn read_stamp(fields: &[u8]) -> Option<([u8; 16], &[u8])> {
    let (head, rest) = fields.split_first_chunk::<16>()?;
    Some((*head, rest))
}

#[cfg(test)]
mod tests;
