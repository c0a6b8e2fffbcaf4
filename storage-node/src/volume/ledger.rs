//! Which units of which segment are free, being written, live or dead; pure.
//!
//! ```text
//!   Filling(class) --no room--> Draining --last upload ends--> sealed --compaction--> gone
//!
//!   | header | live | hole | open | live | dead | punched |  next ->            end |
//! ```
//!
//! Units are given out by a rising pointer; holes of uploads that ended before they wrote a trailer
//! are given out again. A place where a trailer may have been written is never given out again:
//! whatever lies there could pass for a record, and a record is skipped whole by recovery.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::Salt;
use crate::format::tombstone::ENTRY_LEN;
use crate::tuning::{SMALL_UNITS, TOMBSTONE_RESERVE, UNIT_U64};

/// Streams of records kept apart, so that what dies together lies together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Records of clients up to [`SMALL_UNITS`], and tombstones.
    Small,
    /// Larger records of clients.
    Large,
    /// What compaction carries and repair makes anew; never a client's, so headroom stays headroom.
    Care,
}

impl Class {
    /// The class of a client's record.
    pub(crate) fn of(units: u32) -> Self {
        if units <= SMALL_UNITS {
            Self::Small
        } else {
            Self::Large
        }
    }
}

/// A run of units in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) unit: u32,
    pub(crate) units: u32,
}

impl Place {
    /// First byte in the file.
    pub(crate) fn offset(&self) -> u64 {
        u64::from(self.unit) * UNIT_U64
    }

    /// Bytes.
    pub(crate) fn len(&self) -> u64 {
        u64::from(self.units) * UNIT_U64
    }
}

/// Where a segment is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Filling(Class),
    Draining,
    Sealed,
}

/// One segment.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) salt: Salt,
    /// Units of the file, the header included.
    pub(crate) units: u32,
    pub(crate) phase: Phase,
    /// First unit never given out.
    pub(crate) next: u32,
    /// Units of live records.
    pub(crate) live: u64,
    /// Units whose blocks went back to the file system.
    pub(crate) punched: u64,
    /// Tombstones here that still shadow something.
    pub(crate) tombstones: u64,
    /// Reservations not yet ended.
    open: u32,
    holes: BTreeMap<u32, u32>,
    /// Compaction could not read it all: left alone until the next start.
    pub(crate) stuck: bool,
}

impl Segment {
    /// A new segment with only its header.
    pub(crate) fn new(salt: Salt, units: u32, phase: Phase) -> Self {
        Self {
            salt,
            units,
            phase,
            next: 1,
            live: 0,
            punched: 0,
            tombstones: 0,
            open: 0,
            holes: BTreeMap::new(),
            stuck: false,
        }
    }

    /// Units a copy of what is needed here would take.
    pub(crate) fn needed(&self) -> u64 {
        self.live + (self.tombstones * ENTRY_LEN as u64).div_ceil(UNIT_U64)
    }

    /// Units held and not needed.
    pub(crate) fn garbage(&self) -> u64 {
        u64::from(self.next.saturating_sub(1))
            .saturating_sub(self.punched)
            .saturating_sub(self.needed())
    }

    fn take(&mut self, units: u32, end: u32) -> Option<u32> {
        let hole = self
            .holes
            .iter()
            .find(|(_, len)| **len >= units)
            .map(|(unit, len)| (*unit, *len));
        let unit = if let Some((unit, len)) = hole {
            self.holes.remove(&unit);
            if len > units {
                self.holes.insert(unit + units, len - units);
            }
            unit
        } else {
            let after = self.next.checked_add(units)?;
            if after > end {
                return None;
            }
            std::mem::replace(&mut self.next, after)
        };
        self.open += 1;
        Some(unit)
    }

    fn give_back(&mut self, unit: u32, units: u32) {
        let mut hole = (unit, units);
        if let Some((before, len)) = self.holes.range(..unit).next_back().map(|(a, b)| (*a, *b))
            && before + len == unit
        {
            self.holes.remove(&before);
            hole = (before, len + units);
        }
        if let Some(len) = self.holes.remove(&(unit + units)) {
            hole.1 += len;
        }
        if hole.0 + hole.1 == self.next {
            self.next = hole.0;
        } else {
            self.holes.insert(hole.0, hole.1);
        }
    }
}

/// Who asks for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A client's record of that many units.
    Client(u32),
    /// A unit of tombstones.
    Tombstone,
    /// A record compaction carries.
    Care(u32),
    /// A record made anew, of that many units.
    Repair(u32),
}

/// All segments of a disk.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) segments: BTreeMap<u64, Segment>,
    active: BTreeMap<Class, u64>,
    /// Number of the next segment.
    pub(crate) next_segment: u64,
    /// Numbers on disk that cannot be read: never touched, never drawn again.
    pub(crate) unreadable: BTreeSet<u64>,
}

impl Ledger {
    /// Room in a filling segment; `None` where a new one is needed.
    pub(crate) fn reserve(&mut self, purpose: Purpose) -> Option<Place> {
        match purpose {
            Purpose::Client(units) => {
                let class = Class::of(units);
                let kept = if class == Class::Small {
                    TOMBSTONE_RESERVE
                } else {
                    0
                };
                self.take(class, units, kept)
            }
            Purpose::Tombstone => self
                .take(Class::Small, 1, 0)
                .or_else(|| self.take(Class::Care, 1, 0)),
            Purpose::Care(units) | Purpose::Repair(units) => self.take(Class::Care, units, 0),
        }
    }

    fn take(&mut self, class: Class, units: u32, kept: u32) -> Option<Place> {
        let number = *self.active.get(&class)?;
        let segment = self.segments.get_mut(&number)?;
        let unit = segment.take(units, segment.units.saturating_sub(kept))?;
        Some(Place {
            segment: number,
            unit,
            units,
        })
    }

    /// Adds a segment; a filling one replaces the filling one of its class.
    pub(crate) fn install(&mut self, number: u64, segment: Segment) {
        if let Phase::Filling(class) = segment.phase
            && let Some(former) = self.active.insert(class, number)
        {
            self.drain(former);
        }
        self.next_segment = self.next_segment.max(number + 1);
        self.segments.insert(number, segment);
    }

    fn drain(&mut self, number: u64) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.phase = Phase::Draining;
        }
    }

    /// Stops all filling: what is left drains and is sealed.
    pub(crate) fn drain_all(&mut self) {
        for number in std::mem::take(&mut self.active).into_values() {
            self.drain(number);
        }
    }

    /// An upload ended before its trailer was written: its room may be given out again.
    pub(crate) fn released(&mut self, place: Place) {
        if let Some(segment) = self.segments.get_mut(&place.segment) {
            segment.open = segment.open.saturating_sub(1);
            segment.give_back(place.unit, place.units);
        }
    }

    /// A record was written, or may have been, and does not count: garbage.
    pub(crate) fn burnt(&mut self, place: Place) {
        if let Some(segment) = self.segments.get_mut(&place.segment) {
            segment.open = segment.open.saturating_sub(1);
        }
    }

    /// A record became durable and counts.
    pub(crate) fn landed(&mut self, place: Place) {
        if let Some(segment) = self.segments.get_mut(&place.segment) {
            segment.open = segment.open.saturating_sub(1);
            segment.live += u64::from(place.units);
        }
    }

    /// A record stopped counting.
    pub(crate) fn died(&mut self, place: Place) {
        if let Some(segment) = self.segments.get_mut(&place.segment) {
            segment.live = segment.live.saturating_sub(u64::from(place.units));
        }
    }

    /// A dead record's blocks went back.
    pub(crate) fn punched(&mut self, place: Place) {
        if let Some(segment) = self.segments.get_mut(&place.segment) {
            segment.punched += u64::from(place.units);
        }
    }

    /// Segments that can be sealed now: no longer filling, nothing open.
    pub(crate) fn drained(&self) -> Vec<u64> {
        self.segments
            .iter()
            .filter(|(_, segment)| segment.phase == Phase::Draining && segment.open == 0)
            .map(|(number, _)| *number)
            .collect()
    }

    /// The sealed segment with the largest wasted share, if that is at least `percent` of the
    /// blocks it holds.
    pub(crate) fn most_wasted(&self, percent: u64) -> Option<u64> {
        self.segments
            .iter()
            .filter(|(_, segment)| segment.phase == Phase::Sealed && !segment.stuck)
            .filter_map(|(number, segment)| {
                let held = segment.garbage() + segment.needed();
                let share = (segment.garbage() * 100).checked_div(held).unwrap_or(100);
                (share >= percent).then_some((share, *number))
            })
            .max()
            .map(|(_, number)| number)
    }

    /// The shortest of the sealed segments below `units`, where there are at least `crowd` of them:
    /// what frequent restarts leave behind.
    pub(crate) fn crowded(&self, units: u32, crowd: usize) -> Option<u64> {
        let short: Vec<(u32, u64)> = self
            .segments
            .iter()
            .filter(|(_, segment)| segment.phase == Phase::Sealed && !segment.stuck)
            .filter(|(_, segment)| segment.units < units)
            .map(|(number, segment)| (segment.units, *number))
            .collect();
        let shortest = short.iter().min()?;
        (short.len() >= crowd).then_some(shortest.1)
    }

    /// Bytes that clients may still take from filling segments.
    pub(crate) fn client_room(&self) -> u64 {
        [(Class::Small, TOMBSTONE_RESERVE), (Class::Large, 0)]
            .into_iter()
            .filter_map(|(class, kept)| Some((self.active.get(&class)?, kept)))
            .filter_map(|(number, kept)| Some((self.segments.get(number)?, kept)))
            .map(|(segment, kept)| {
                let tail = segment
                    .units
                    .saturating_sub(kept)
                    .saturating_sub(segment.next);
                u64::from(tail) * UNIT_U64
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ledger(units: u32) -> Ledger {
        let mut ledger = Ledger::default();
        for (number, class) in [(1, Class::Small), (2, Class::Large), (3, Class::Care)] {
            ledger.install(
                number,
                Segment::new(Salt([0; 16]), units, Phase::Filling(class)),
            );
        }
        ledger
    }

    proptest! {
        #[test]
        fn open_places_never_overlap(steps in proptest::collection::vec((1_u32..6, 0_usize..8, 0_u8..3), 1..120)) {
            let mut ledger = ledger(64);
            let mut open: Vec<Place> = Vec::new();
            let mut fixed: Vec<Place> = Vec::new();
            for (units, pick, act) in steps {
                if act > 0 && !open.is_empty() {
                    let place = open.remove(pick % open.len());
                    if act == 1 { ledger.released(place) } else { ledger.landed(place); fixed.push(place) }
                    continue;
                }
                let Some(place) = ledger.reserve(Purpose::Client(units)) else { continue };
                prop_assert!(place.unit >= 1 && place.unit + place.units <= 64 - TOMBSTONE_RESERVE);
                for other in open.iter().chain(&fixed) {
                    prop_assert!(
                        place.unit + place.units <= other.unit || other.unit + other.units <= place.unit
                    );
                }
                open.push(place);
            }
        }
    }

    #[test]
    fn released_room_is_given_out_again_and_burnt_room_never() {
        let mut ledger = ledger(16);
        let first = ledger.reserve(Purpose::Client(5)).unwrap();
        let second = ledger.reserve(Purpose::Client(5)).unwrap();
        assert_eq!(ledger.reserve(Purpose::Client(5)), None);
        ledger.released(first);
        assert_eq!(ledger.reserve(Purpose::Client(5)), Some(first));
        ledger.burnt(second);
        assert_eq!(ledger.reserve(Purpose::Client(5)), None);
    }

    #[test]
    fn tombstones_find_room_where_clients_do_not() {
        let mut ledger = ledger(16);
        assert!(ledger.reserve(Purpose::Client(11)).is_some());
        assert_eq!(ledger.reserve(Purpose::Client(1)), None);
        for _ in 0..TOMBSTONE_RESERVE {
            assert_eq!(ledger.reserve(Purpose::Tombstone).unwrap().segment, 1);
        }
        assert_eq!(ledger.reserve(Purpose::Tombstone).unwrap().segment, 3);
    }

    #[test]
    fn a_segment_drains_before_it_is_sealed() {
        let mut ledger = ledger(16);
        let place = ledger.reserve(Purpose::Client(1)).unwrap();
        ledger.install(
            9,
            Segment::new(Salt([0; 16]), 16, Phase::Filling(Class::Small)),
        );
        assert_eq!(ledger.drained(), Vec::<u64>::new());
        ledger.landed(place);
        assert_eq!(ledger.drained(), vec![1]);
    }

    #[test]
    fn the_most_wasted_sealed_segment_is_found() {
        let mut ledger = Ledger::default();
        for (number, live, tombstones) in [(1, 9, 0), (2, 2, 0), (3, 0, 600)] {
            let mut segment = Segment::new(Salt([0; 16]), 32, Phase::Sealed);
            segment.next = 11;
            segment.live = live;
            segment.tombstones = tombstones;
            ledger.install(number, segment);
        }
        assert_eq!(ledger.most_wasted(50), Some(2));
        ledger.segments.get_mut(&2).unwrap().stuck = true;
        assert_eq!(ledger.most_wasted(50), None);
    }
}
