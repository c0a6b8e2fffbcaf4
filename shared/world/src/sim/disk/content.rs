//! The bytes of one simulated file: what readers see, what surely survives, and what lies between.
//!
//! A *doubt* is a sector (or the length) whose state after a crash is open: the platter's, or any
//! version written since. Writing makes doubt, a good sync ends it. A failed sync sets it aside,
//! where only writing the sector again and syncing that ends it.

use super::super::entropy::SeededRng;
use super::blocks::Blocks;
use super::mood::Mood;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The unit that tears.
pub(super) const SECTOR: u64 = 512;
/// The unit of space.
pub(super) const PAGE: u64 = 4_096;

type Page = [u8; PAGE as usize];
type Sector = [u8; SECTOR as usize];

/// A sparse file image; a missing page is zeros. Bytes past `len` are always zeros.
#[derive(Clone, Debug, Default)]
struct Image {
    pages: BTreeMap<u64, Arc<Page>>,
    len: u64,
}

/// Open states since the last good sync.
#[derive(Clone, Debug, Default)]
struct Doubt {
    /// By sector: versions that have been overwritten since, oldest first.
    sectors: BTreeMap<u64, Vec<Sector>>,
    /// Lengths the file has had.
    lens: Vec<u64>,
}

/// The bytes of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    now: Image,
    platter: Image,
    unsynced: Doubt,
    /// Left behind by failed syncs.
    doubtful: Doubt,
    blocks: Blocks,
    platter_blocks: Blocks,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.now.len
    }

    pub(super) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Fills `buf` from `offset` up to the end of the file.
    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let end = self.now.len.min(offset.saturating_add(buf.len() as u64));
        for (page, within, place) in pieces(offset..end, PAGE) {
            let Some(target) = buf.get_mut(place) else {
                continue;
            };
            match self.now.pages.get(&page).and_then(|page| page.get(within)) {
                Some(source) => target.copy_from_slice(source),
                None => target.fill(0),
            }
        }
        end.saturating_sub(offset) as usize
    }

    /// Writes `bytes` at `offset`; the caller has seen to the space.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        let range = offset..offset + bytes.len() as u64;
        self.blocks.insert(pages_of(&range));
        for (sector, _, _) in pieces(range.clone(), SECTOR) {
            self.put_in_doubt(sector);
        }
        for (page, within, place) in pieces(range.clone(), PAGE) {
            let page = self
                .now
                .pages
                .entry(page)
                .or_insert_with(|| Arc::new([0; PAGE as usize]));
            let target = Arc::make_mut(page).get_mut(within);
            if let (Some(target), Some(source)) = (target, bytes.get(place)) {
                target.copy_from_slice(source);
            }
        }
        self.grow_to(range.end);
    }

    /// Cuts or extends.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.now.len {
            self.zero(len..self.now.len);
            self.blocks.remove(len.div_ceil(PAGE)..u64::MAX);
            self.unsynced.lens.push(self.now.len);
            self.now.len = len;
        } else {
            self.grow_to(len);
        }
    }

    /// Reserves blocks; the caller has seen to the space.
    pub(super) fn allocate(&mut self, range: Range<u64>) {
        self.blocks.insert(pages_of(&range));
        self.grow_to(range.end);
    }

    /// Zeros a range and gives its whole pages back.
    pub(super) fn punch(&mut self, range: Range<u64>) {
        self.zero(range.clone());
        self.blocks
            .remove(range.start.div_ceil(PAGE)..range.end / PAGE);
    }

    /// A good sync: all doubt since the last one ends.
    pub(super) fn sync(&mut self) {
        let doubt = std::mem::take(&mut self.unsynced);
        let mut last = None;
        for sector in doubt.sectors.into_keys() {
            let page = sector * SECTOR / PAGE;
            if !self.doubts_on(page) {
                if last != Some(page) {
                    self.platter.share_page(&self.now, page);
                }
                last = Some(page);
            } else {
                self.platter.put_sector(sector, &self.now.sector(sector));
            }
        }
        if !doubt.lens.is_empty() {
            self.doubtful.lens.clear();
            self.platter.len = self.now.len;
        }
        self.platter_blocks = self.blocks.clone();
    }

    /// A failed sync: nobody will ever know about what it should have covered.
    pub(super) fn fail_sync(&mut self) {
        let doubt = std::mem::take(&mut self.unsynced);
        self.doubtful.sectors.extend(doubt.sectors);
        self.doubtful.lens.extend(doubt.lens);
    }

    /// Changes stored bytes behind everybody's back.
    pub(super) fn rot(&mut self, offset: u64, change: impl Fn(usize, u8) -> u8, len: u64) {
        for (page, within, place) in pieces(offset..offset + len, PAGE) {
            for image in [&mut self.now, &mut self.platter] {
                let page = image
                    .pages
                    .entry(page)
                    .or_insert_with(|| Arc::new([0; PAGE as usize]));
                let bytes = Arc::make_mut(page)
                    .get_mut(within.clone())
                    .unwrap_or_default();
                for (index, byte) in bytes.iter_mut().enumerate() {
                    *byte = change(place.start + index, *byte);
                }
            }
        }
    }

    /// What a crash leaves.
    pub(super) fn after_crash(&self, rng: &mut SeededRng) -> Self {
        let mut left = self.platter.clone();
        let mut open = self.doubtful.sectors.clone();
        open.extend(
            self.unsynced
                .sectors
                .iter()
                .map(|(at, older)| (*at, older.clone())),
        );
        let mut mood = Mood::draw(rng, open.len());
        for (sector, mut versions) in open {
            versions.push(self.now.sector(sector));
            if let Some(version) = mood
                .choose(rng, versions.len())
                .and_then(|i| versions.get(i))
            {
                left.put_sector(sector, version);
            }
        }
        // A prefix of the sectors says nothing about the length.
        if let Mood::UpTo { .. } = mood {
            mood = Mood::Each { times: 4 };
        }
        let changes = [&self.doubtful.lens[..], &self.unsynced.lens[..]].concat();
        let mut lens = changes.get(1..).unwrap_or_default().to_vec();
        lens.extend((!changes.is_empty()).then_some(self.now.len));
        let len = mood
            .choose(rng, lens.len())
            .and_then(|i| lens.get(i))
            .copied();
        let mut blocks = if rng.chance(1, 2) {
            &self.blocks
        } else {
            &self.platter_blocks
        }
        .clone();
        left.cut(len.unwrap_or(self.platter.len));
        left.pages
            .keys()
            .for_each(|page| blocks.insert(*page..page + 1));
        blocks.remove(left.len.div_ceil(PAGE)..u64::MAX);
        Self {
            now: left.clone(),
            platter: left,
            platter_blocks: blocks.clone(),
            blocks,
            ..Self::default()
        }
    }

    fn grow_to(&mut self, len: u64) {
        if len > self.now.len {
            self.unsynced.lens.push(self.now.len);
            self.now.len = len;
        }
    }

    fn zero(&mut self, range: Range<u64>) {
        let stored: Vec<u64> = self
            .now
            .pages
            .range(pages_of(&range))
            .map(|(page, _)| *page)
            .collect();
        for page in stored {
            let start = (page * PAGE).max(range.start);
            let end = ((page + 1) * PAGE).min(range.end);
            for (sector, _, _) in pieces(start..end, SECTOR) {
                self.put_in_doubt(sector);
            }
            if end - start == PAGE {
                self.now.pages.remove(&page);
            } else if let Some(bytes) = self.now.pages.get_mut(&page) {
                let within = (start - page * PAGE) as usize..(end - page * PAGE) as usize;
                Arc::make_mut(bytes)
                    .get_mut(within)
                    .unwrap_or_default()
                    .fill(0);
            }
        }
    }

    /// Notes the present version of a sector that is about to change.
    fn put_in_doubt(&mut self, sector: u64) {
        if let Some(versions) = self.unsynced.sectors.get_mut(&sector) {
            versions.push(self.now.sector(sector));
            return;
        }
        let aside = self.doubtful.sectors.remove(&sector);
        // The first change since a good sync needs no note: the platter has that version.
        let versions = aside.map(|mut versions| {
            versions.push(self.now.sector(sector));
            versions
        });
        self.unsynced
            .sectors
            .insert(sector, versions.unwrap_or_default());
    }

    fn doubts_on(&self, page: u64) -> bool {
        let first = page * PAGE / SECTOR;
        self.doubtful
            .sectors
            .range(first..first + PAGE / SECTOR)
            .next()
            .is_some()
    }
}

impl Image {
    fn sector(&self, sector: u64) -> Sector {
        let within = within_page(sector);
        let stored = self
            .pages
            .get(&(sector * SECTOR / PAGE))
            .and_then(|page| page.get(within));
        stored
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or([0; SECTOR as usize])
    }

    fn put_sector(&mut self, sector: u64, bytes: &Sector) {
        let page = self.pages.entry(sector * SECTOR / PAGE);
        let page = Arc::make_mut(page.or_insert_with(|| Arc::new([0; PAGE as usize])));
        page.get_mut(within_page(sector))
            .unwrap_or_default()
            .copy_from_slice(bytes);
    }

    fn share_page(&mut self, other: &Self, page: u64) {
        match other.pages.get(&page) {
            Some(bytes) => self.pages.insert(page, Arc::clone(bytes)),
            None => self.pages.remove(&page),
        };
    }

    fn cut(&mut self, len: u64) {
        self.len = len;
        self.pages.split_off(&len.div_ceil(PAGE));
        if let Some(page) = self.pages.get_mut(&(len / PAGE)) {
            Arc::make_mut(page)
                .get_mut((len % PAGE) as usize..)
                .unwrap_or_default()
                .fill(0);
        }
    }
}

fn within_page(sector: u64) -> Range<usize> {
    let start = (sector * SECTOR % PAGE) as usize;
    start..start + SECTOR as usize
}

fn pages_of(range: &Range<u64>) -> Range<u64> {
    range.start / PAGE..range.end.div_ceil(PAGE)
}

/// Cuts a byte range at multiples of `unit`: (number of the unit, bytes within it, bytes within the
/// range).
fn pieces(range: Range<u64>, unit: u64) -> impl Iterator<Item = (u64, Range<usize>, Range<usize>)> {
    let first = range.start / unit;
    let last = if range.is_empty() {
        first
    } else {
        range.end.div_ceil(unit)
    };
    (first..last).map(move |number| {
        let start = range.start.max(number * unit);
        let end = range.end.min((number + 1) * unit);
        let within = (start - number * unit) as usize..(end - number * unit) as usize;
        (
            number,
            within,
            (start - range.start) as usize..(end - range.start) as usize,
        )
    })
}
