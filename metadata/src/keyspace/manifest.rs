//! `0x40` reference counts of shared manifests, `0x41` pages, `0x43` manifests being released.

use cairn_wire::metadata::{Checksum, Content, ExtentWrite};

use super::{KeyKind, read_stamp, read_u32, read_u64};

/// A manifest. No row means exactly one reference: the object, part or page that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestKey(pub [u8; 16]);

/// How many rows name a manifest, where it is more than one.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ManifestRow {
    /// At least 2.
    #[prost(uint64, tag = "1")]
    pub refs: u64,
}

impl KeyKind for ManifestKey {
    const PREFIX: u8 = 0x40;
    type Row = ManifestRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn read(fields: &[u8]) -> Option<Self> {
        read_stamp(fields)
            .filter(|(_, rest)| rest.is_empty())
            .map(|(manifest, _)| Self(manifest))
    }
}

/// A page of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageKey {
    /// The manifest.
    pub manifest: [u8; 16],
    /// From 0.
    pub page: u32,
}

/// Either extents (at most `limits::PAGE_EXTENTS_MAX`) or parts (at most
/// `limits::PAGE_PARTS_MAX`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct PageRow {
    /// Extents in order.
    #[prost(message, repeated, tag = "1")]
    pub extents: Vec<ExtentWrite>,
    /// Parts in order.
    #[prost(message, repeated, tag = "2")]
    pub parts: Vec<PagePart>,
}

/// A part of a completed upload.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PagePart {
    /// Its number in the upload.
    #[prost(uint32, tag = "1")]
    pub number: u32,
    /// Bytes.
    #[prost(uint64, tag = "2")]
    pub length: u64,
    /// Where the bytes are.
    #[prost(message, optional, tag = "3")]
    pub content: Option<Content>,
    /// Checksums of the part.
    #[prost(message, repeated, tag = "4")]
    pub checksums: Vec<Checksum>,
}

impl KeyKind for PageKey {
    const PREFIX: u8 = 0x41;
    type Row = PageRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.manifest);
        out.extend_from_slice(&self.page.to_be_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        let (manifest, rest) = read_stamp(fields)?;
        let (page, rest) = read_u32(rest)?;
        rest.is_empty().then_some(Self { manifest, page })
    }
}

/// A manifest whose last reference is gone, released page by page. Oldest epoch first, so that what
/// must still wait is behind all that need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReleaseKey {
    /// The newest session when its last reference went: reads in it and those before it may still
    /// need the pages. 0 where no read could ever see them.
    pub epoch: u64,
    /// The manifest.
    pub manifest: [u8; 16],
}

/// How far the release is.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ReleaseRow {
    /// The next page to release.
    #[prost(uint32, tag = "1")]
    pub next: u32,
    /// Pages in all.
    #[prost(uint32, tag = "2")]
    pub pages: u32,
    /// The domain of its chunks.
    #[prost(uint64, tag = "3")]
    pub domain: u64,
}

impl KeyKind for ReleaseKey {
    const PREFIX: u8 = 0x43;
    type Row = ReleaseRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&self.manifest);
    }

    fn read(fields: &[u8]) -> Option<Self> {
        let (epoch, rest) = read_u64(fields)?;
        let (manifest, rest) = read_stamp(rest)?;
        rest.is_empty().then_some(Self { epoch, manifest })
    }
}
