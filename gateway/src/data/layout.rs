//! From an object's row to the runs of bytes a reader wants, page by page.
//!
//! ```text
//!   object ── inline bytes
//!          ├─ extents
//!          ├─ pages ────────> page ── extents
//!          └─ part pages ───> page ── parts ── inline | extents | pages
//! ```
//!
//! A cursor walks this tree for one byte range. It holds at most one page of each kind, whatever the
//! object's length; what lies wholly before the range is passed over without being read where its
//! length is known.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use cairn_model::{ChunkId, Coding, DomainId, Sha256};
use cairn_wire::metadata as wire;

use crate::metadata::{Metadata, QueryError};

/// Bytes a reader wants, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// Whole inline content and the part of it that is wanted.
    Inline {
        /// All of it.
        bytes: Bytes,
        /// What of it is wanted.
        wanted: Range<usize>,
        /// The CRC-64/NVME its row tells, where it does.
        crc64nvme: Option<u64>,
    },
    /// A part of a chunk.
    Chunk(ChunkRun),
}

/// A part of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRun {
    pub(crate) chunk: ChunkId,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) chunk_length: u64,
}

/// A malformed row: the sides do not understand each other, or the row is damaged.
const MALFORMED: QueryError = QueryError::Protocol("a malformed manifest");

#[derive(Debug)]
enum Item {
    Inline {
        bytes: Bytes,
        crc64nvme: Option<u64>,
    },
    Extent(wire::ExtentRead),
    Pages {
        manifest: Bytes,
        next: u32,
        pages: u32,
        /// Known before any page was read.
        length: Option<u64>,
    },
    Part(wire::PartRead),
    PartPages {
        manifest: Bytes,
        next: u32,
        pages: u32,
    },
}

impl Item {
    /// Its length where it is known without reading on.
    fn length(&self) -> Option<u64> {
        match self {
            Self::Inline { bytes, .. } => u64::try_from(bytes.len()).ok(),
            Self::Extent(extent) => Some(extent.length.into()),
            Self::Pages { length, .. } => *length,
            Self::Part(part) => Some(part.length),
            Self::PartPages { .. } => None,
        }
    }
}

/// A cursor over the runs of one byte range of an object.
#[derive(Debug)]
pub(crate) struct Layout {
    metadata: Metadata,
    domain: DomainId,
    ahead: VecDeque<Item>,
    /// Bytes to pass over before the next run.
    skip: u64,
    /// Bytes still to give.
    left: u64,
}

impl Layout {
    /// The runs of `range` of `object`, whose chunks lie in `domain`. The range must be inside the
    /// object.
    pub(crate) fn new(
        metadata: Metadata,
        domain: DomainId,
        object: &wire::Object,
        range: Range<u64>,
    ) -> Self {
        let mut ahead = VecDeque::new();
        match object.place.clone() {
            None => {}
            Some(wire::object::Place::Inline(bytes)) => ahead.push_back(Item::Inline {
                bytes,
                crc64nvme: object
                    .attributes
                    .as_ref()
                    .and_then(|row| crc64nvme(&row.checksums)),
            }),
            Some(wire::object::Place::Extents(list)) => {
                ahead.extend(list.extents.into_iter().map(Item::Extent));
            }
            Some(wire::object::Place::Pages(pages)) => ahead.push_back(from_pages(pages)),
            Some(wire::object::Place::PartPages(list)) => ahead.push_back(Item::PartPages {
                manifest: list.manifest,
                next: 0,
                pages: list.pages,
            }),
        }
        Self {
            metadata,
            domain,
            ahead,
            skip: range.start,
            left: range.end.saturating_sub(range.start),
        }
    }

    /// The next run, or none at the end of the range.
    ///
    /// # Errors
    /// `Unavailable`; `Protocol` for a manifest that makes no sense or ends before its range.
    pub(crate) async fn next(&mut self) -> Result<Option<Run>, QueryError> {
        while self.left > 0 {
            let item = self.ahead.pop_front().ok_or(MALFORMED)?;
            if let Some(length) = item.length()
                && length <= self.skip
            {
                self.skip -= length;
                continue;
            }
            match item {
                Item::Inline { bytes, crc64nvme } => {
                    return self.inline(bytes, crc64nvme).map(Some);
                }
                Item::Extent(extent) => return self.extent(&extent).map(Some),
                item => self.unfold(item).await?,
            }
        }
        Ok(None)
    }

    /// Takes what is wanted of an item of `length` bytes.
    fn take(&mut self, length: u64) -> Range<u64> {
        let start = std::mem::take(&mut self.skip);
        let end = length.min(start.saturating_add(self.left));
        self.left -= end - start;
        start..end
    }

    fn inline(&mut self, bytes: Bytes, crc64nvme: Option<u64>) -> Result<Run, QueryError> {
        let wanted = self.take(u64::try_from(bytes.len()).map_err(|_| MALFORMED)?);
        let index = |at: u64| usize::try_from(at).map_err(|_| MALFORMED);
        let wanted = index(wanted.start)?..index(wanted.end)?;
        Ok(Run::Inline {
            bytes,
            wanted,
            crc64nvme,
        })
    }

    fn extent(&mut self, extent: &wire::ExtentRead) -> Result<Run, QueryError> {
        let sha256 = extent.sha256.as_ref().try_into().map_err(|_| MALFORMED)?;
        let (offset, length) = (u64::from(extent.offset), u64::from(extent.length));
        let chunk_length = u64::from(extent.chunk_length);
        if offset + length > chunk_length {
            return Err(MALFORMED);
        }
        let wanted = self.take(length);
        Ok(Run::Chunk(ChunkRun {
            chunk: ChunkId {
                domain: self.domain,
                sha256: Sha256(sha256),
            },
            offset: offset + wanted.start,
            length: wanted.end - wanted.start,
            chunk_length,
        }))
    }

    /// Puts in front what an item is made of.
    async fn unfold(&mut self, item: Item) -> Result<(), QueryError> {
        match item {
            // Every page has been given: what follows stands behind.
            Item::Pages { next, pages, .. } | Item::PartPages { next, pages, .. }
                if next >= pages => {}
            Item::Part(part) => self.ahead.push_front_all(from_part(part)?),
            Item::Pages {
                manifest,
                next,
                pages,
                ..
            } => {
                let page = page(&self.metadata, &manifest, next).await?;
                self.ahead.push_front(Item::Pages {
                    manifest,
                    next: next + 1,
                    pages,
                    length: None,
                });
                self.ahead
                    .push_front_all(page.extents.into_iter().map(Item::Extent).collect());
            }
            Item::PartPages {
                manifest,
                next,
                pages,
            } => {
                let page = page(&self.metadata, &manifest, next).await?;
                self.ahead.push_front(Item::PartPages {
                    manifest,
                    next: next + 1,
                    pages,
                });
                self.ahead
                    .push_front_all(page.parts.into_iter().map(Item::Part).collect());
            }
            leaf => self.ahead.push_front(leaf),
        }
        Ok(())
    }
}

/// One page of a manifest.
async fn page(metadata: &Metadata, manifest: &Bytes, at: u32) -> Result<wire::Page, QueryError> {
    let query = wire::GetPages {
        manifest: manifest.clone(),
        from: at,
        count: 1,
    };
    let mut answer = metadata.pages(query).await?;
    answer.pages.pop().ok_or(MALFORMED)
}

/// Where part `number` of a multipart object lies in it, and its row; none if it has no such part.
///
/// # Errors
/// As [`Layout::next`].
pub(crate) async fn find_part(
    metadata: &Metadata,
    list: &wire::PartPages,
    number: u32,
) -> Result<Option<(Range<u64>, wire::PartRead)>, QueryError> {
    let mut start = 0;
    for at in 0..list.pages {
        for part in page(metadata, &list.manifest, at).await?.parts {
            let end = start + part.length;
            if part.number == number {
                return Ok(Some((start..end, part)));
            }
            start = end;
        }
    }
    Ok(None)
}

/// The parts of a multipart object behind number `after`, at most `limit`; and whether there are
/// more.
///
/// # Errors
/// As [`Layout::next`].
pub(crate) async fn parts_after(
    metadata: &Metadata,
    list: &wire::PartPages,
    after: u32,
    limit: usize,
) -> Result<(Vec<wire::PartRead>, bool), QueryError> {
    // The first page whose last part lies behind the marker: numbers rise.
    let (mut at, mut end) = (0, list.pages);
    while at < end {
        let middle = at + (end - at) / 2;
        let page = page(metadata, &list.manifest, middle).await?;
        if page.parts.last().is_some_and(|part| part.number > after) {
            end = middle;
        } else {
            at = middle + 1;
        }
    }
    let mut found = Vec::new();
    for at in at..list.pages {
        for part in page(metadata, &list.manifest, at).await?.parts {
            if part.number <= after {
                continue;
            }
            if found.len() == limit {
                return Ok((found, true));
            }
            found.push(part);
        }
    }
    Ok((found, false))
}

/// The full-object CRC-64/NVME among the checksums of a row.
pub(crate) fn crc64nvme(checksums: &[wire::Checksum]) -> Option<u64> {
    let found = checksums
        .iter()
        .find(|sum| sum.algorithm == "crc64nvme" && !sum.composite)?;
    found.value.as_ref().try_into().ok().map(u64::from_be_bytes)
}

fn from_pages(pages: wire::Pages) -> Item {
    Item::Pages {
        manifest: pages.manifest,
        next: 0,
        pages: pages.pages,
        length: Some(pages.length),
    }
}

fn from_part(part: wire::PartRead) -> Result<Vec<Item>, QueryError> {
    let crc64nvme = crc64nvme(&part.checksums);
    Ok(match part.place.ok_or(MALFORMED)? {
        wire::part_read::Place::Inline(bytes) => vec![Item::Inline { bytes, crc64nvme }],
        wire::part_read::Place::Extents(list) => {
            list.extents.into_iter().map(Item::Extent).collect()
        }
        wire::part_read::Place::Pages(pages) => vec![from_pages(pages)],
    })
}

trait PushFrontAll {
    fn push_front_all(&mut self, items: Vec<Item>);
}

impl PushFrontAll for VecDeque<Item> {
    fn push_front_all(&mut self, items: Vec<Item>) {
        for item in items.into_iter().rev() {
            self.push_front(item);
        }
    }
}

/// The coding a row names.
///
/// # Errors
/// None where this version cannot read it.
pub(crate) fn coding(row: Option<wire::Coding>) -> Option<Coding> {
    row?.read()
}

#[cfg(test)]
mod tests;
