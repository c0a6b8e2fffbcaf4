//! Reads a journal back: what is whole, what is a torn tail, what is damage.

use bytes::Bytes;
use cairn_world::{AlignedBuf, Bug, DiskFile, planted};
use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::format::{self, BLOCK, GroupHeader, HEADER_LEN, Place, Record, Seed};
use super::identity::Keeper;
use super::index::{Index, LapRuns, Location};
use super::segments::Segments;
use super::settings::SWEEP_LEN;
use super::writer::Writer;
use super::{JournalError, JournalSettings};

/// Valid headers of one file by offset; only those of the file's newest lap.
type Headers = BTreeMap<u64, GroupHeader>;

/// A file that holds part of the log.
struct Link {
    file: u32,
    lap: u64,
    headers: Headers,
}

/// Reads everything and seals what is whole, which cuts a torn tail: in place the seal covers its
/// header; at the start of another file its number stays behind the log's, and a lap that does not go
/// on where the last one ended is no part of it.
///
/// # Errors
/// [`JournalError::Damaged`] where something acknowledged is not there any more.
pub(super) fn recover(
    keeper: Keeper,
    mut segments: Segments,
    settings: &JournalSettings,
) -> Result<(Writer, Index), JournalError> {
    let seed = keeper.seed.clone();
    let scanned = scan(&seed, &mut segments);
    let newest_lap = segments.newest_lap();
    let chain = chain(&seed, &segments, scanned, settings)?;
    if chain.last().is_none_or(|link| link.lap < keeper.newest_lap) {
        let reason = format!("the segment of lap {} is missing", keeper.newest_lap);
        return Err(lost(&segments, settings, &reason));
    }
    let mut walk = Walk::new(&seed, &segments, settings.cache_len);
    for link in &chain {
        walk.follow(link)?;
        if walk.expected == 0 {
            // The oldest lap needed must begin with its first group: nothing later stands in for it.
            return Err(walk.damage(&chain));
        }
    }
    let durable_upto = chain
        .iter()
        .flat_map(|link| link.headers.values())
        .map(|header| header.durable_upto)
        .max()
        .unwrap_or(0);
    if walk.expected <= durable_upto && !planted(Bug::CorruptionTakenForTornTail) {
        return Err(walk.damage(&chain));
    }
    let Walk {
        expected,
        end,
        last,
        index,
        runs,
        ..
    } = walk;
    let (Some((current, lap, at)), Some(last)) = (end, last) else {
        return Err(lost(&segments, settings, "no group is whole"));
    };
    if durable_upto + 1 < expected {
        write_again(&segments, last, at)
            .map_err(|error| JournalError::failed("write the last group again", &error))?;
    }
    let pointers = index.pointers;
    let mut writer = Writer {
        seed,
        keeper: Some(keeper),
        segments,
        group_len: settings.group_len,
        current,
        lap,
        at,
        next_number: expected,
        newest_lap,
        pointers,
        durable_oldest: 0,
        runs,
        sealed: false,
        short_of_space: false,
    };
    // It says of the last group what is so by now: proven by what stands after it, or written again.
    writer.seal()?;
    writer.durable_oldest = writer.runs.oldest(lap);
    Ok((writer, index))
}

/// Writes the group from `place` to `end` again, as it was read. Its sync may have failed, and what is
/// read now come from a cache that counts as clean since then: no later sync would write it out.
///
/// It has a sync of its own. The seal that follows says that this group is durable: one that shared a failed
/// sync with it could be read by the next start, which would believe it.
fn write_again(segments: &Segments, place: Place, end: u64) -> std::io::Result<()> {
    let gone = || std::io::Error::new(std::io::ErrorKind::NotFound, "segment is gone");
    let segment = segments.get(place.file).ok_or_else(gone)?;
    let len = usize::try_from(end.saturating_sub(place.offset)).map_err(std::io::Error::other)?;
    let mut buf = AlignedBuf::zeroed(len);
    if !read_whole(
        segment.file.as_ref(),
        buf.as_mut_slice(),
        place.offset,
        segment.len,
    ) {
        return Err(std::io::Error::other("it cannot be read any more"));
    }
    segment.file.write_at(buf.as_slice(), place.offset)?;
    segment.file.sync()
}

/// Whether any group but the very first was ever written: then an unfinished identity lies.
pub(super) fn was_used(seed: &Seed, segments: &mut Segments) -> bool {
    scan(seed, segments)
        .values()
        .flat_map(BTreeMap::values)
        .any(|header| header.number > 1 || header.payload_len > 0)
}

fn scan(seed: &Seed, segments: &mut Segments) -> BTreeMap<u32, Headers> {
    let files: Vec<_> = segments
        .iter()
        .map(|(number, segment)| (number, segment.clone()))
        .collect();
    let mut scanned = BTreeMap::new();
    for (number, segment) in files {
        let mut headers = scan_file(seed, number, segment.file.as_ref(), segment.len);
        let lap = headers.values().map(|header| header.lap).max().unwrap_or(0);
        headers.retain(|_, header| header.lap == lap);
        segments.set_lap(number, lap);
        scanned.insert(number, headers);
    }
    scanned
}

fn scan_file(seed: &Seed, number: u32, file: &dyn DiskFile, len: u64) -> Headers {
    let mut headers = BTreeMap::new();
    let sweep = usize::try_from(len)
        .unwrap_or(SWEEP_LEN)
        .clamp(BLOCK, SWEEP_LEN);
    let mut buf = AlignedBuf::zeroed(sweep);
    let mut offset = 0;
    while offset < len {
        let mut step = buf.len();
        if !read_whole(file, buf.as_mut_slice(), offset, len) {
            // Blocks that cannot be read are bad groups, or nothing at all; which, the walk says.
            step = BLOCK;
            let block = buf.as_mut_slice().get_mut(..BLOCK).unwrap_or_default();
            if !read_whole(file, block, offset, len) {
                block.fill(0);
            }
        }
        let bytes = buf.as_slice().get(..step).unwrap_or_default();
        for (block, at) in bytes.chunks(BLOCK).zip((offset..len).step_by(BLOCK)) {
            let place = Place {
                file: number,
                offset: at,
            };
            if let Some(header) = GroupHeader::decode(seed, place, block) {
                headers.insert(at, header);
            }
        }
        offset += step as u64;
    }
    headers
}

/// Reads up to the end of the file; bytes past it are zeros.
fn read_whole(file: &dyn DiskFile, buf: &mut [u8], offset: u64, len: u64) -> bool {
    let wanted = usize::try_from(len - offset)
        .unwrap_or(usize::MAX)
        .min(buf.len());
    let (head, tail) = buf.split_at_mut(wanted);
    tail.fill(0);
    matches!(file.read_at(head, offset), Ok(read) if read == wanted)
}

/// The payload of a group if it is whole.
fn payload(seed: &Seed, segments: &Segments, place: Place, header: &GroupHeader) -> Option<Bytes> {
    let segment = segments.get(place.file)?;
    let len = header.disk_len();
    if place.offset.checked_add(len)? > segment.len {
        return None;
    }
    let mut buf = AlignedBuf::zeroed(usize::try_from(len).ok()?);
    if !read_whole(
        segment.file.as_ref(),
        buf.as_mut_slice(),
        place.offset,
        segment.len,
    ) {
        return None;
    }
    let end = HEADER_LEN + header.payload_len as usize;
    let payload = Bytes::copy_from_slice(buf.as_slice().get(HEADER_LEN..end)?);
    let sum = seed.payload_sum(place, header.lap, header.number, &payload);
    (sum == header.payload_sum).then_some(payload)
}

/// The files that matter, oldest lap first.
///
/// The newest whole group says which lap is the oldest one needed; a file below it is free whatever
/// is in it.
fn chain(
    seed: &Seed,
    segments: &Segments,
    scanned: BTreeMap<u32, Headers>,
    settings: &JournalSettings,
) -> Result<Vec<Link>, JournalError> {
    let mut candidates: Vec<(Place, GroupHeader)> = scanned
        .iter()
        .flat_map(|(file, headers)| {
            headers.iter().map(|(at, header)| {
                (
                    Place {
                        file: *file,
                        offset: *at,
                    },
                    *header,
                )
            })
        })
        .collect();
    candidates.sort_by_key(|(_, header)| Reverse((header.number, !header.seal)));
    let top = candidates
        .iter()
        .find(|(place, header)| header.seal || payload(seed, segments, *place, header).is_some());
    let Some((_, top)) = top else {
        return Err(lost(segments, settings, "no group is whole"));
    };
    let mut links: Vec<Link> = scanned
        .into_iter()
        .filter_map(|(file, headers)| {
            let lap = headers.values().next()?.lap;
            (lap >= top.oldest_lap).then_some(Link { file, lap, headers })
        })
        .collect();
    links.sort_by_key(|link| link.lap);
    if links.first().is_none_or(|link| link.lap != top.oldest_lap) {
        let reason = format!("the segment of lap {} is missing", top.oldest_lap);
        return Err(lost(segments, settings, &reason));
    }
    Ok(links)
}

fn lost(segments: &Segments, settings: &JournalSettings, reason: &str) -> JournalError {
    JournalError::Damaged {
        file: settings.dir.clone(),
        from: 0,
        to: segments.iter().map(|(_, segment)| segment.len).sum(),
        reason: reason.to_owned(),
    }
}

/// Takes the groups in order of their numbers.
struct Walk<'a> {
    seed: &'a Seed,
    segments: &'a Segments,
    /// Number of the next group; 0 before the first.
    expected: u64,
    /// Segment, lap and offset behind the last group.
    end: Option<(u32, u64, u64)>,
    /// Where the last group begins.
    last: Option<Place>,
    index: Index,
    runs: LapRuns,
}

impl<'a> Walk<'a> {
    fn new(seed: &'a Seed, segments: &'a Segments, cache_len: usize) -> Self {
        Self {
            seed,
            segments,
            expected: 0,
            end: None,
            last: None,
            index: Index::new(cache_len),
            runs: LapRuns::default(),
        }
    }

    fn follow(&mut self, link: &Link) -> Result<(), JournalError> {
        let mut at = 0;
        while let Some(header) = link.headers.get(&at) {
            if self.expected == 0 && at == 0 && header.first {
                self.expected = header.number;
            }
            if header.seal || header.number != self.expected || header.first != (at == 0) {
                break;
            }
            let place = Place {
                file: link.file,
                offset: at,
            };
            let Some(payload) = payload(self.seed, self.segments, place, header) else {
                break;
            };
            if !self.replay(place, header, &payload) {
                return Err(self.damaged(place, at + header.disk_len(), "its records make no log"));
            }
            at += header.disk_len();
            self.expected += 1;
            self.end = Some((link.file, link.lap, at));
            self.last = Some(place);
        }
        Ok(())
    }

    fn replay(&mut self, place: Place, header: &GroupHeader, payload: &Bytes) -> bool {
        let Some(records) = format::decode_records(payload) else {
            return false;
        };
        for (record, end) in records {
            self.runs.apply(&record, header.lap);
            match &record {
                Record::Entry(position, bytes) => {
                    let Ok(len) = u32::try_from(bytes.len()) else {
                        return false;
                    };
                    let location = Location {
                        file: place.file,
                        offset: place.offset + (HEADER_LEN + end - bytes.len()) as u64,
                        len,
                        sum: format::entry_sum(bytes),
                    };
                    if !self.index.restore(*position, location) {
                        return false;
                    }
                }
                Record::Truncate(keep) => self.index.truncate(*keep),
                Record::Purged(upto) => self.index.purge(*upto),
                Record::Vote(_) | Record::Committed(_) => self.index.pointers.apply(&record),
            }
        }
        true
    }

    /// Says where the group that should be next is missing.
    fn damage(&self, chain: &[Link]) -> JournalError {
        let beyond = |link: &Link, from: u64| {
            let mut rest = link.headers.range(from..);
            rest.find(|(_, header)| header.number > self.expected || header.seal)
                .map(|(at, _)| *at)
        };
        let stuck = self.end.map_or((0, 0), |(_, lap, at)| (lap, at));
        for link in chain.iter().filter(|link| link.lap >= stuck.0) {
            let from = if link.lap == stuck.0 { stuck.1 } else { 0 };
            let here = link
                .headers
                .get(&from)
                .is_some_and(|header| header.number == self.expected && !header.seal);
            let next = beyond(link, from + BLOCK as u64);
            if here || next.is_some() {
                let len = self
                    .segments
                    .get(link.file)
                    .map_or(from, |segment| segment.len);
                let place = Place {
                    file: link.file,
                    offset: from,
                };
                return self.damaged(place, next.unwrap_or(len), "an acknowledged group is bad");
            }
        }
        let (file, _, at) = self.end.unwrap_or((0, 0, 0));
        let to = self.segments.get(file).map_or(at, |segment| segment.len);
        self.damaged(
            Place { file, offset: at },
            to,
            "acknowledged groups are missing",
        )
    }

    fn damaged(&self, place: Place, to: u64, reason: &str) -> JournalError {
        JournalError::Damaged {
            file: self.segments.name(place.file),
            from: place.offset,
            to,
            reason: format!("{reason} (group {})", self.expected),
        }
    }
}
