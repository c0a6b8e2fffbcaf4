//! From extents to what a commit carries: in the row while they are few, in staged pages when not.
//!
//! Pages are staged as they fill, so that a list of any length takes the memory of one page. An
//! upload that lasts long stages what it has, page by page, each time it leaves its session.

use bytes::Bytes;
use cairn_model::{Incarnation, limits};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::content::Place;
use cairn_wire::metadata::entry::Command;
use prost::Message;

use crate::data::layout::{ChunkRun, Layout, Run};
use crate::data::session::Entered;
use crate::data::writer::{Stored, Written};
use crate::metadata::{CommitError, QueryError};

/// Bytes of extents in one staging entry: the rest is the entry around them.
const PAGE_BYTES_MAX: usize = (limits::ENTRY_LEN_MAX - 8 * limits::KIB) as usize;

/// The content of a commit in `bucket`. Pages are staged here, in the session that commits: until
/// then nothing names them, and they fall with it.
///
/// # Errors
/// See [`CommitError`]; nothing is published.
pub(crate) async fn content(
    session: &Entered,
    stamp: Incarnation,
    bucket: u64,
    written: Written,
) -> Result<wire::Content, CommitError> {
    let (mut staged, extents) = match written.stored {
        Stored::Inline(bytes) => {
            return Ok(wire::Content {
                place: Some(Place::Inline(bytes)),
            });
        }
        Stored::Chunks(extents) => (Staged::new(stamp), extents),
        Stored::Staged(staged, rest) => (staged, rest),
    };
    let mut staging = Staging::new(session, bucket, &mut staged);
    for extent in extents {
        staging.push(extent).await?;
    }
    staging.finish().await
}

/// Moves an upload to bucket `bucket` to the current session: the `extents` that it has written, but
/// for those that are staged already, are staged in the session that wrote them, and the manifest
/// then changes hands. With nothing written nothing is staged.
///
/// # Errors
/// As [`Entered::carry`]; `staged` tells what is staged in any case.
pub(crate) async fn carry(
    session: &mut Entered,
    bucket: u64,
    staged: &mut Staged,
    extents: &[wire::ExtentWrite],
) -> Result<(), CommitError> {
    let rest = extents.get(staged.extents..).unwrap_or_default();
    let mut staging = Staging::new(session, bucket, staged);
    staging.persists = true;
    for extent in rest {
        staging.push(extent.clone()).await?;
    }
    staging.flush().await?;
    session.carry(staged.manifest()).await
}

/// Why stored bytes were not referred to. Nothing is published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReferError {
    /// The list that names them could not be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The references were not taken: `NoSuchChunk` where one of the chunks is no longer held.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// The content of a commit in `bucket` that holds stored bytes as they are: what `layout` gives, in
/// the bucket's own domain. No byte moves. None where some of them lie inline, or in more pieces
/// than a manifest has room for: those must be written again.
///
/// # Errors
/// See [`ReferError`].
pub(crate) async fn refer(
    session: &Entered,
    stamp: Incarnation,
    bucket: u64,
    mut layout: Layout,
) -> Result<Option<wire::Content>, ReferError> {
    let mut staged = Staged::new(stamp);
    let mut staging = Staging::new(session, bucket, &mut staged);
    while let Some(run) = layout.next().await? {
        match run {
            Run::Chunk(run) if staging.has_room() => staging.push(claim(&run)?).await?,
            Run::Chunk(_) | Run::Inline { .. } => return Ok(None),
        }
    }
    Ok(Some(staging.finish().await?))
}

/// An extent that takes a run of a chunk that others hold; what it does not say is the chunk row's.
fn claim(run: &ChunkRun) -> Result<wire::ExtentWrite, QueryError> {
    let number = |length: u64| {
        u32::try_from(length).map_err(|_| QueryError::Protocol("a chunk is longer than any"))
    };
    Ok(wire::ExtentWrite {
        sha256: Bytes::copy_from_slice(&run.chunk.sha256.0),
        chunk_length: number(run.chunk_length)?,
        offset: number(run.offset)?,
        length: number(run.length)?,
        claim: wire::Claim::Live.into(),
        ..Default::default()
    })
}

/// How much of a manifest is staged: whole pages, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Staged {
    manifest: Bytes,
    pages: u32,
    /// Extents and bytes on them.
    pub(crate) extents: usize,
    length: u64,
}

impl Staged {
    /// Nothing yet, under a stamp never used before.
    pub(crate) fn new(stamp: Incarnation) -> Self {
        Self {
            manifest: Bytes::copy_from_slice(&stamp.to_bytes()),
            pages: 0,
            extents: 0,
            length: 0,
        }
    }

    /// The manifest, where anything is staged.
    fn manifest(&self) -> Option<&Bytes> {
        (self.pages > 0).then_some(&self.manifest)
    }
}

/// A manifest being made: pages are staged as they fill.
struct Staging<'a> {
    session: &'a Entered,
    bucket: u64,
    staged: &'a mut Staged,
    page: Page,
    /// Nobody waits for an answer: see [`Entered::persist`].
    persists: bool,
}

impl<'a> Staging<'a> {
    fn new(session: &'a Entered, bucket: u64, staged: &'a mut Staged) -> Self {
        Self {
            session,
            bucket,
            staged,
            page: Page::default(),
            persists: false,
        }
    }

    /// Whether the page being filled may still be staged.
    fn has_room(&self) -> bool {
        usize::try_from(self.staged.pages).is_ok_and(|pages| pages < limits::MANIFEST_PAGES_MAX - 1)
    }

    async fn push(&mut self, extent: wire::ExtentWrite) -> Result<(), CommitError> {
        match self.page.push(extent) {
            Some(full) => self.stage(full).await,
            None => Ok(()),
        }
    }

    async fn stage(&mut self, extents: Vec<wire::ExtentWrite>) -> Result<(), CommitError> {
        let (count, lengths) = (extents.len(), extents.iter().map(|extent| extent.length));
        let length: u64 = lengths.map(u64::from).sum();
        let command = Command::StagePage(wire::StagePage {
            bucket: self.bucket,
            manifest: self.staged.manifest.clone(),
            page: self.staged.pages,
            extents,
        });
        if self.persists {
            self.session.persist(command).await?;
        } else {
            self.session.propose(command).await?;
        }
        self.staged.pages += 1;
        self.staged.extents += count;
        self.staged.length += length;
        Ok(())
    }

    /// Stages the page being filled, however short it is.
    async fn flush(&mut self) -> Result<(), CommitError> {
        let rest = std::mem::take(&mut self.page).extents;
        if rest.is_empty() {
            return Ok(());
        }
        self.stage(rest).await
    }

    async fn finish(mut self) -> Result<wire::Content, CommitError> {
        let place = if self.staged.pages == 0 && self.page.extents.len() <= limits::ROW_EXTENTS_MAX
        {
            Place::Extents(wire::Extents {
                manifest: self.staged.manifest.clone(),
                extents: self.page.extents,
            })
        } else {
            self.flush().await?;
            Place::Pages(wire::Pages {
                manifest: self.staged.manifest.clone(),
                pages: self.staged.pages,
                length: self.staged.length,
            })
        };
        Ok(wire::Content { place: Some(place) })
    }
}

/// A page being filled: it always fits its entry.
#[derive(Default)]
struct Page {
    extents: Vec<wire::ExtentWrite>,
    bytes: usize,
}

impl Page {
    const EXTENTS_MAX: usize = if limits::STAGE_EXTENTS_MAX < limits::PAGE_EXTENTS_MAX {
        limits::STAGE_EXTENTS_MAX
    } else {
        limits::PAGE_EXTENTS_MAX
    };

    /// Takes an extent. Gives the page before it, where it begins another.
    fn push(&mut self, extent: wire::ExtentWrite) -> Option<Vec<wire::ExtentWrite>> {
        // Its length, and at most six bytes of tag and length before it.
        let length = extent.encoded_len() + 6;
        let full = self.extents.len() == Self::EXTENTS_MAX || self.bytes + length > PAGE_BYTES_MAX;
        let before = full.then(|| std::mem::take(self).extents);
        self.bytes += length;
        self.extents.push(extent);
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn extent(debts: usize) -> wire::ExtentWrite {
        let debt = wire::Debt {
            shard: 7,
            disk: Bytes::from_static(&[9; 16]),
            found: Bytes::new(),
        };
        wire::ExtentWrite {
            sha256: Bytes::from_static(&[1; 32]),
            incarnation: Bytes::from_static(&[2; 16]),
            chunk_length: u32::MAX,
            offset: 1,
            length: u32::MAX,
            crc64nvme: u64::MAX,
            table_digest: Bytes::from_static(&[3; 16]),
            coding: Some(wire::Coding {
                data: 16,
                parity: 4,
                cell: 1 << 20,
                layout: 1,
            }),
            epoch: u64::MAX,
            debt: vec![debt; debts],
            claim: wire::Claim::Fit.into(),
        }
    }

    fn pages(extents: Vec<wire::ExtentWrite>) -> Vec<Vec<wire::ExtentWrite>> {
        let mut page = Page::default();
        let mut pages: Vec<_> = extents
            .into_iter()
            .filter_map(|extent| page.push(extent))
            .collect();
        pages.push(page.extents);
        pages
    }

    #[tokio::test]
    async fn a_manifest_has_room_for_so_many_pages_and_no_more() {
        let rig = crate::fakes::Rig::new(1, 0, 1).await;
        let session = rig.sessions.enter().await.unwrap();
        let mut staged = Staged::new(session.stamp(1));
        let staging = Staging::new(&session, rig.bucket.id, &mut staged);
        // With the page being filled and the last one, as many as apply takes.
        staging.staged.pages = u32::try_from(limits::MANIFEST_PAGES_MAX - 2).unwrap();
        assert!(staging.has_room());
        staging.staged.pages += 1;
        assert!(!staging.has_room());
    }

    proptest! {
        #[test]
        fn every_page_fits_its_entry_and_none_is_lost(
            debts in proptest::collection::vec(0_usize..20, 17..2_500),
        ) {
            let extents: Vec<_> = debts.iter().map(|debts| extent(*debts)).collect();
            let pages = pages(extents.clone());
            for extents in &pages {
                prop_assert!(!extents.is_empty() && extents.len() <= limits::PAGE_EXTENTS_MAX);
                let command = Command::StagePage(wire::StagePage {
                    bucket: u64::MAX,
                    manifest: Bytes::from_static(&[4; 16]),
                    page: u32::MAX,
                    extents: extents.clone(),
                });
                let entry = wire::Entry {
                    group: u32::MAX,
                    stamp_ms: u64::MAX,
                    session: u64::MAX,
                    operation: u64::MAX,
                    command: Some(command),
                };
                prop_assert!(entry.encoded_len() as u64 <= limits::ENTRY_LEN_MAX);
            }
            prop_assert_eq!(pages.concat(), extents);
        }
    }
}
