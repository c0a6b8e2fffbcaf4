//! `0x20` bucket name -> id, `0x21` id -> bucket, `0x22` ids of deleted buckets with uploads left.

use cairn_wire::metadata::Bucket;

use super::{KeyKind, Present, read_u64};

/// A bucket's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketNameKey(pub String);

/// The id behind a name.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct BucketNameRow {
    /// Never reused.
    #[prost(uint64, tag = "1")]
    pub id: u64,
}

impl KeyKind for BucketNameKey {
    const PREFIX: u8 = 0x20;
    type Row = BucketNameRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        String::from_utf8(fields.to_vec()).ok().map(Self)
    }
}

/// A bucket's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BucketKey(pub u64);

impl KeyKind for BucketKey {
    const PREFIX: u8 = 0x21;
    type Row = Bucket;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        read_u64(fields)
            .filter(|(_, rest)| rest.is_empty())
            .map(|(id, _)| Self(id))
    }
}

/// A deleted bucket whose uploads are still to be aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadBucketKey(pub u64);

impl KeyKind for DeadBucketKey {
    const PREFIX: u8 = 0x22;
    type Row = Present;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        read_u64(fields)
            .filter(|(_, rest)| rest.is_empty())
            .map(|(id, _)| Self(id))
    }
}
