//! `0x31` multipart uploads, `0x32` their parts, `0x33` uploads being taken apart.

use cairn_wire::metadata::{Attributes, Checksum, Content};

use super::{
    KeyKind, read_escaped, read_stamp, read_u32, read_u64, write_escaped, write_escaped_open,
};

/// An open upload: sorts by key, then by the upload's stamp (oldest first).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadKey {
    /// Bucket id.
    pub bucket: u64,
    /// The S3 key.
    pub key: Vec<u8>,
    /// The upload's stamp.
    pub upload: [u8; 16],
}

/// What an upload was begun with.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UploadRow {
    /// State-machine time.
    #[prost(uint64, tag = "1")]
    pub initiated_ms: u64,
    /// Headers for the object to be.
    #[prost(message, optional, tag = "2")]
    pub attributes: Option<Attributes>,
    /// Owner's user id.
    #[prost(string, tag = "3")]
    pub owner: String,
    /// Rises with every change of the part set.
    #[prost(uint64, tag = "4")]
    pub revision: u64,
    /// The checksum algorithm named at its begin; empty for none.
    #[prost(string, tag = "5")]
    pub checksum_algorithm: String,
    /// Checksum of checksums rather than of the whole object.
    #[prost(bool, tag = "6")]
    pub checksum_composite: bool,
    /// The bucket's domain, which outlives the bucket.
    #[prost(uint64, tag = "7")]
    pub domain: u64,
}

impl UploadKey {
    /// The start of all uploads of keys that begin with `prefix`.
    #[must_use]
    pub fn keys_with(bucket: u64, prefix: &[u8]) -> Vec<u8> {
        let mut out = vec![Self::PREFIX];
        out.extend_from_slice(&bucket.to_be_bytes());
        write_escaped_open(prefix, &mut out);
        out
    }

    /// The start of all uploads of one key.
    #[must_use]
    pub fn uploads_of(bucket: u64, key: &[u8]) -> Vec<u8> {
        let mut out = vec![Self::PREFIX];
        out.extend_from_slice(&bucket.to_be_bytes());
        write_escaped(key, &mut out);
        out
    }
}

impl KeyKind for UploadKey {
    const PREFIX: u8 = 0x31;
    type Row = UploadRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bucket.to_be_bytes());
        write_escaped(&self.key, out);
        out.extend_from_slice(&self.upload);
    }

    fn read(fields: &[u8]) -> Option<Self> {
        let (bucket, rest) = read_u64(fields)?;
        let (key, rest) = read_escaped(rest)?;
        let (upload, rest) = read_stamp(rest)?;
        rest.is_empty().then_some(Self {
            bucket,
            key,
            upload,
        })
    }
}

/// A part of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartKey {
    /// The upload's stamp.
    pub upload: [u8; 16],
    /// 1 to 10,000.
    pub number: u32,
}

/// A stored part.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PartRow {
    /// Bytes.
    #[prost(uint64, tag = "1")]
    pub length: u64,
    /// State-machine time of its commit.
    #[prost(uint64, tag = "2")]
    pub modified_ms: u64,
    /// Without quotes.
    #[prost(string, tag = "3")]
    pub etag: String,
    /// Checksums of the part.
    #[prost(message, repeated, tag = "4")]
    pub checksums: Vec<Checksum>,
    /// Where the bytes are.
    #[prost(message, optional, tag = "5")]
    pub content: Option<Content>,
}

impl KeyKind for PartKey {
    const PREFIX: u8 = 0x32;
    type Row = PartRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.upload);
        out.extend_from_slice(&self.number.to_be_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        let (upload, rest) = read_stamp(fields)?;
        let (number, rest) = read_u32(rest)?;
        rest.is_empty().then_some(Self { upload, number })
    }
}

/// An upload that is no longer to be seen, with parts still to release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadUploadKey(pub [u8; 16]);

/// What taking it apart needs.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct DeadUploadRow {
    /// The domain of its chunks.
    #[prost(uint64, tag = "1")]
    pub domain: u64,
}

impl KeyKind for DeadUploadKey {
    const PREFIX: u8 = 0x33;
    type Row = DeadUploadRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn read(fields: &[u8]) -> Option<Self> {
        read_stamp(fields)
            .filter(|(_, rest)| rest.is_empty())
            .map(|(upload, _)| Self(upload))
    }
}
