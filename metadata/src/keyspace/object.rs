//! `0x30` (bucket, key) -> the newest version of a key, at a place of its own that one get finds (ADR 22). Older
//! versions will follow it under the same prefix, newest first.

use bytes::Bytes;
use cairn_wire::metadata::{Attributes, Content};

use super::{KeyKind, RowError, read_escaped, read_u64, write_escaped, write_escaped_open};

/// The newest version of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectKey {
    /// Bucket id.
    pub bucket: u64,
    /// The S3 key.
    pub key: Vec<u8>,
}

/// A stored version.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ObjectRow {
    /// Bytes of the object.
    #[prost(uint64, tag = "1")]
    pub length: u64,
    /// State-machine time of its commit.
    #[prost(uint64, tag = "2")]
    pub modified_ms: u64,
    /// Headers, checksums, ETag.
    #[prost(message, optional, tag = "3")]
    pub attributes: Option<Attributes>,
    /// Where the bytes are.
    #[prost(message, optional, tag = "4")]
    pub content: Option<Content>,
    /// Owner's user id.
    #[prost(string, tag = "5")]
    pub owner: String,
    /// The upload it was completed from (16 bytes), so that a repeated Complete is seen as one.
    #[prost(bytes = "bytes", tag = "6")]
    pub upload: Bytes,
    /// The row's version: [`RowVersion::to_bytes`](cairn_model::RowVersion::to_bytes).
    #[prost(bytes = "bytes", tag = "7")]
    pub version: Bytes,
}

/// What a listing shows of a row: the same fields, decoded without the content.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListedRow {
    /// As [`ObjectRow::length`].
    #[prost(uint64, tag = "1")]
    pub length: u64,
    /// As [`ObjectRow::modified_ms`].
    #[prost(uint64, tag = "2")]
    pub modified_ms: u64,
    /// Of [`ObjectRow::attributes`].
    #[prost(message, optional, tag = "3")]
    pub attributes: Option<ListedAttributes>,
}

/// What a listing shows of [`Attributes`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListedAttributes {
    /// As [`Attributes::storage_class`].
    #[prost(string, tag = "3")]
    pub storage_class: String,
    /// As [`Attributes::checksums`].
    #[prost(message, repeated, tag = "4")]
    pub checksums: Vec<ListedChecksum>,
    /// As [`Attributes::etag`].
    #[prost(string, tag = "5")]
    pub etag: String,
}

/// What a listing shows of a [`Checksum`](cairn_wire::metadata::Checksum).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ListedChecksum {
    /// As `Checksum::algorithm`.
    #[prost(string, tag = "1")]
    pub algorithm: String,
    /// As `Checksum::composite`.
    #[prost(bool, tag = "3")]
    pub composite: bool,
}

impl ListedRow {
    /// Of a stored [`ObjectRow`].
    ///
    /// # Errors
    /// As [`KeyKind::decode_row`].
    pub fn of(value: &[u8]) -> Result<Self, RowError> {
        super::read_row(ObjectKey::PREFIX, value)
    }
}

impl ObjectKey {
    /// The start of all versions of one key.
    #[must_use]
    pub fn versions_of(bucket: u64, key: &[u8]) -> Vec<u8> {
        let mut out = Self::bucket_start(bucket);
        write_escaped(key, &mut out);
        out
    }

    /// The start of all keys of a bucket that begin with `prefix`.
    #[must_use]
    pub fn keys_with(bucket: u64, prefix: &[u8]) -> Vec<u8> {
        let mut out = Self::bucket_start(bucket);
        write_escaped_open(prefix, &mut out);
        out
    }

    fn bucket_start(bucket: u64) -> Vec<u8> {
        let mut out = vec![Self::PREFIX];
        out.extend_from_slice(&bucket.to_be_bytes());
        out
    }
}

impl KeyKind for ObjectKey {
    const PREFIX: u8 = 0x30;
    type Row = ObjectRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bucket.to_be_bytes());
        write_escaped(&self.key, out);
    }

    fn read(fields: &[u8]) -> Option<Self> {
        let (bucket, rest) = read_u64(fields)?;
        let (key, rest) = read_escaped(rest)?;
        rest.is_empty().then_some(Self { bucket, key })
    }
}

#[cfg(test)]
mod tests {
    use cairn_wire::metadata::{Checksum, Header, content};

    use super::*;

    #[test]
    fn a_listing_sees_the_fields_of_the_row() {
        let checksum = Checksum {
            algorithm: "crc64nvme".to_owned(),
            value: Bytes::from_static(b"12345678"),
            composite: true,
        };
        let attributes = Attributes {
            headers: vec![Header::default()],
            user_metadata: vec![Header::default()],
            storage_class: "STANDARD_IA".to_owned(),
            checksums: vec![checksum],
            etag: "e".to_owned(),
            parts: 3,
        };
        let row = ObjectRow {
            length: 7,
            modified_ms: 8,
            attributes: Some(attributes),
            content: Some(Content {
                place: Some(content::Place::Inline(Bytes::from_static(b"content"))),
            }),
            owner: "o".to_owned(),
            upload: Bytes::from_static(b"u"),
            version: Bytes::from_static(b"twelve bytes"),
        };
        let value = ObjectKey::encode_row(&row);
        let listed = ListedRow {
            length: 7,
            modified_ms: 8,
            attributes: Some(ListedAttributes {
                storage_class: "STANDARD_IA".to_owned(),
                checksums: vec![ListedChecksum {
                    algorithm: "crc64nvme".to_owned(),
                    composite: true,
                }],
                etag: "e".to_owned(),
            }),
        };
        assert_eq!(ListedRow::of(&value), Ok(listed));
        let cut = value.get(..value.len() - 1).unwrap();
        assert!(ListedRow::of(cut).is_err());
        assert!(ListedRow::of(b"").is_err());
        assert!(ListedRow::of(b"\x02").is_err());
    }
}
