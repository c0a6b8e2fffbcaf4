//! Rows that hold something, followed down to chunks. Each kind that a pass counts.

use std::ops::Bound;

use bytes::Bytes;
use cairn_model::{ChunkId, DomainId, Incarnation, Sha256};
use cairn_store::{View, prefix_end};
use cairn_wire::metadata::Content;
use cairn_wire::metadata::content::Place;

use super::tally::Item;
use super::{Discrepancy, Fault, Mark, decode, get};
use crate::keyspace::KeyKind;
use crate::keyspace::bucket::BucketKey;
use crate::keyspace::chunk::ChunkKey;
use crate::keyspace::condemned::CondemnedKey;
use crate::keyspace::lease::LeaseKey;
use crate::keyspace::manifest::{PageKey, ReleaseKey};
use crate::keyspace::object::ObjectKey;
use crate::keyspace::session::StagedKey;
use crate::keyspace::upload::{DeadUploadKey, PartKey, UploadKey};

/// Pages of one manifest without a gap.
#[derive(Debug)]
pub(super) struct Run {
    manifest: [u8; 16],
    first: u32,
    end: u32,
}

impl Mark {
    /// Follows a row that holds manifests.
    pub(super) fn hold_row(
        &mut self,
        view: &dyn View,
        kind: u8,
        key: &Bytes,
        value: &Bytes,
    ) -> Result<(), Fault> {
        match kind {
            ObjectKey::PREFIX => {
                let (key, row) = decode::<ObjectKey>(key, value)?;
                match self.domain_of(view, key.bucket)? {
                    Some(domain) => self.hold(view, domain, row.content.as_ref(), false),
                    None => Ok(()),
                }
            }
            UploadKey::PREFIX => {
                let (key, row) = decode::<UploadKey>(key, value)?;
                self.hold_parts(view, row.domain, key.upload)
            }
            DeadUploadKey::PREFIX => {
                let (key, row) = decode::<DeadUploadKey>(key, value)?;
                self.hold_parts(view, row.domain, key.0)
            }
            StagedKey::PREFIX => {
                let (key, row) = decode::<StagedKey>(key, value)?;
                self.hold_pages(view, row.domain, key.manifest, 0..row.pages, false)
            }
            ReleaseKey::PREFIX => {
                let (key, row) = decode::<ReleaseKey>(key, value)?;
                self.hold_pages(view, row.domain, key.manifest, row.next..row.pages, false)
            }
            _ => Ok(()),
        }
    }

    /// Counts a row for what it says by itself.
    pub(super) fn count_row(
        &mut self,
        view: &dyn View,
        kind: u8,
        key: &Bytes,
        value: &Bytes,
    ) -> Result<(), Fault> {
        match kind {
            PartKey::PREFIX => {
                let PartKey { upload, number } = PartKey::decode(key)?;
                self.tally.record(Item::Part { upload, number }, 1);
            }
            PageKey::PREFIX => self.extend_run(PageKey::decode(key)?),
            LeaseKey::PREFIX => self.tally.hold(Item::Chunk(LeaseKey::decode(key)?.0)),
            ChunkKey::PREFIX => {
                let (ChunkKey(chunk), row) = decode::<ChunkKey>(key, value)?;
                self.tally.record(Item::Chunk(chunk), row.refs);
                if row.refs == 0 {
                    let writing = stamp_of(&row.incarnation)?;
                    self.tally.hold(Item::Condemned(chunk, writing));
                }
            }
            CondemnedKey::PREFIX => {
                let key = CondemnedKey::decode(key)?;
                // Writings that are not current any more are no row's: nothing says how many.
                let row = get(view, &ChunkKey(key.chunk))?;
                if let Some(row) = row.filter(|row| row.refs == 0)
                    && stamp_of(&row.incarnation)? == key.incarnation
                {
                    let writing = Item::Condemned(key.chunk, key.incarnation);
                    self.tally.record(writing, 1);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends the run of pages seen last.
    pub(super) fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            let Run {
                manifest,
                first,
                end,
            } = run;
            let pages = Item::Pages {
                manifest,
                first,
                end,
            };
            self.tally.record(pages, 1);
        }
    }

    fn extend_run(&mut self, key: PageKey) {
        let end = key.page.saturating_add(1);
        match &mut self.run {
            Some(run) if run.manifest == key.manifest && run.end == key.page => run.end = end,
            _ => {
                self.end_run();
                self.run = Some(Run {
                    manifest: key.manifest,
                    first: key.page,
                    end,
                });
            }
        }
    }

    /// The domain of a bucket; `None` where it is none, which is told once.
    fn domain_of(&mut self, view: &dyn View, id: u64) -> Result<Option<u64>, Fault> {
        if let Some((last, domain)) = self.bucket
            && last == id
        {
            return Ok(domain);
        }
        let domain = get(view, &BucketKey(id))?.map(|bucket| bucket.domain);
        self.bucket = Some((id, domain));
        if domain.is_none() {
            self.wrong(Discrepancy::NoBucket { id });
        }
        Ok(domain)
    }

    fn hold_parts(&mut self, view: &dyn View, domain: u64, upload: [u8; 16]) -> Result<(), Fault> {
        let prefix = [&[PartKey::PREFIX], upload.as_slice()].concat();
        let end = prefix_end(&prefix);
        let parts = view.scan(Bound::Included(&prefix), end.as_ref().map(Vec::as_slice));
        for part in parts {
            let (key, value) = part?;
            self.read += 1;
            match self.hold_part(view, domain, &key, &value) {
                Ok(()) => {}
                Err(Fault::Unreadable) => self.wrong(Discrepancy::Unreadable { key }),
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    fn hold_part(
        &mut self,
        view: &dyn View,
        domain: u64,
        key: &Bytes,
        value: &Bytes,
    ) -> Result<(), Fault> {
        let PartKey { upload, number } = PartKey::decode(key)?;
        if self.shared.is_first() {
            self.tally.hold(Item::Part { upload, number });
        }
        let row = PartKey::decode_row(value)?;
        self.hold(view, domain, row.content.as_ref(), false)
    }

    /// What is `nested` in a page has no other holder: copies share what a row names.
    fn hold(
        &mut self,
        view: &dyn View,
        domain: u64,
        content: Option<&Content>,
        nested: bool,
    ) -> Result<(), Fault> {
        let (manifest, pages) = match content.and_then(|content| content.place.as_ref()) {
            None | Some(Place::Inline(_)) => return Ok(()),
            Some(Place::Extents(list)) => {
                let manifest = stamp(&list.manifest)?;
                if nested || self.shared.hold(view, manifest)? {
                    for extent in &list.extents {
                        self.refer(domain, &extent.sha256)?;
                    }
                }
                return Ok(());
            }
            Some(Place::Pages(pages)) => (&pages.manifest, pages.pages),
            Some(Place::PartPages(pages)) => (&pages.manifest, pages.pages),
        };
        self.hold_pages(view, domain, stamp(manifest)?, 0..pages, nested)
    }

    fn hold_pages(
        &mut self,
        view: &dyn View,
        domain: u64,
        manifest: [u8; 16],
        pages: std::ops::Range<u32>,
        nested: bool,
    ) -> Result<(), Fault> {
        let counted = nested || self.shared.hold(view, manifest)?;
        if !counted || pages.is_empty() {
            return Ok(());
        }
        let (first, end) = (pages.start, pages.end);
        let item = Item::Pages {
            manifest,
            first,
            end,
        };
        self.tally.hold(item);
        let key = |page| PageKey { manifest, page }.encode();
        let (first, end) = (key(first), key(end));
        for page in view.scan(Bound::Included(&first), Bound::Excluded(&end)) {
            let (key, value) = page?;
            self.read += 1;
            match self.hold_page(view, domain, &value, nested) {
                Ok(()) => {}
                Err(Fault::Unreadable) => self.unreadable_page(key),
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    fn hold_page(
        &mut self,
        view: &dyn View,
        domain: u64,
        value: &Bytes,
        nested: bool,
    ) -> Result<(), Fault> {
        let row = PageKey::decode_row(value)?;
        for extent in &row.extents {
            self.refer(domain, &extent.sha256)?;
        }
        for part in &row.parts {
            if nested {
                return Err(Fault::Unreadable); // parts have no parts
            }
            self.hold(view, domain, part.content.as_ref(), true)?;
        }
        Ok(())
    }

    fn refer(&mut self, domain: u64, sha256: &[u8]) -> Result<(), Fault> {
        let chunk = ChunkId {
            domain: DomainId(domain),
            sha256: Sha256(sha256.try_into().map_err(|_| Fault::Unreadable)?),
        };
        self.tally.hold(Item::Chunk(chunk));
        Ok(())
    }
}

fn stamp(bytes: &[u8]) -> Result<[u8; 16], Fault> {
    bytes.try_into().map_err(|_| Fault::Unreadable)
}

pub(super) fn stamp_of(bytes: &[u8]) -> Result<Incarnation, Fault> {
    Incarnation::from_bytes(bytes).ok_or(Fault::Unreadable)
}
