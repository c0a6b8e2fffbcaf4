//! The table while it is being planned: rows with holes, and the search that fills them.
//!
//! Filling is a flow problem. A hole takes a disk that is short of slots, if the row may have one;
//! else some other row gives such a disk's place up for it, and so on along a chain:
//!
//! ```text
//!   row 7: _ ◄─ disk B          B has its share already, so
//!   row 3: B ◄─ disk D          row 3 takes D, which is short, and gives up B
//! ```
//!
//! A seat filled in this plan can be given to another disk for nothing, one that holds data costs
//! a move: the cheapest chain is taken.

use std::collections::BTreeSet;

use crate::chain::{Goal, Link, Search};
use crate::shares::{Share, shares};
use crate::topology::{Place, Topology};

/// Rounds of balancing in one plan.
const ROUNDS_MAX: usize = 8;

/// One slot of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    /// To be filled.
    Empty,
    /// Held by a disk of the view.
    Held(Place),
    /// Not to be touched: moving, to a disk that is (perhaps) in the view.
    Pinned(Option<Place>),
}

impl Seat {
    fn place(self) -> Option<Place> {
        match self {
            Self::Empty => None,
            Self::Held(place) => Some(place),
            Self::Pinned(place) => place,
        }
    }
}

/// One row.
#[derive(Clone, Debug, Default)]
pub(crate) struct BoardRow {
    pub(crate) seats: Vec<Seat>,
    /// Disks that slots of this row are moving away from.
    pub(crate) left: Vec<Place>,
}

impl BoardRow {
    /// A row with a move under way only has its holes filled.
    fn is_frozen(&self) -> bool {
        self.seats
            .iter()
            .any(|seat| matches!(seat, Seat::Pinned(_)))
    }
}

/// The rows, and what each disk holds of them.
#[derive(Debug)]
pub(crate) struct Board<'a> {
    topology: &'a Topology,
    rows: Vec<BoardRow>,
    held: Vec<u64>,
    /// Rows in which a disk holds data and its seat may be given to another.
    stored: Vec<BTreeSet<usize>>,
    /// Rows in which a disk was seated by this plan.
    fresh: Vec<BTreeSet<usize>>,
    shares: Vec<Share>,
    dice: Dice,
}

impl<'a> Board<'a> {
    pub(crate) fn new(topology: &'a Topology, rows: Vec<BoardRow>, seed: u64) -> Self {
        let disks = topology.members().len();
        let mut board = Self {
            topology,
            held: vec![0; disks],
            stored: vec![BTreeSet::new(); disks],
            fresh: vec![BTreeSet::new(); disks],
            shares: Vec::new(),
            dice: Dice(seed),
            rows: Vec::new(),
        };
        for (number, row) in rows.iter().enumerate() {
            for place in row.seats.iter().filter_map(|seat| seat.place()) {
                count(&mut board.held, place, 1);
                if let Some(stored) = board.stored.get_mut(place).filter(|_| !row.is_frozen()) {
                    stored.insert(number);
                }
            }
        }
        board.rows = rows;
        board.shares = board.divide();
        board
    }

    /// The disks' shares, given what they hold.
    fn divide(&self) -> Vec<Share> {
        let rows = u64::try_from(self.rows.len()).unwrap_or(0);
        let slots = self.rows.first().map_or(0, |row| row.seats.len());
        let slots = u64::try_from(slots).unwrap_or(0);
        shares(self.topology, rows, slots, &self.held)
    }

    /// The rows as planned.
    pub(crate) fn into_rows(self) -> Vec<BoardRow> {
        self.rows
    }

    /// Fills every hole that can be filled. What cannot be filled at once is a hole in a row with
    /// a move under way, whose two disks keep others out: it stays for the next plan.
    pub(crate) fn fill(&mut self) {
        let holes: Vec<(usize, usize)> = (self.rows.iter().enumerate())
            .flat_map(|(number, row)| {
                let empty = row
                    .seats
                    .iter()
                    .enumerate()
                    .filter(|(_, seat)| **seat == Seat::Empty);
                empty
                    .map(move |(seat, _)| (number, seat))
                    .collect::<Vec<_>>()
            })
            .collect();
        for (row, seat) in holes {
            if let Some(place) = self.taker(row) {
                self.seat(row, seat, place);
            }
        }
    }

    /// Balances until a plan for the outcome would change nothing: holes filled and slots moved can
    /// bring a domain to another place in its band.
    pub(crate) fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            self.balance();
            let next = self.divide();
            if next == self.shares {
                return;
            }
            self.shares = next;
        }
    }

    /// Moves slots from disks above their band, then to disks below theirs.
    fn balance(&mut self) {
        for disk in 0..self.held.len() {
            let goal = Goal {
                sink: None,
                hole: None,
                limit: usize::MAX,
            };
            let is_far = self.held(disk) > self.share(disk).high;
            while is_far && self.is_over(disk) && self.shift(&[disk], goal).is_some() {}
        }
        for disk in 0..self.held.len() {
            let goal = Goal {
                sink: Some(disk),
                hole: None,
                limit: usize::MAX,
            };
            let is_far = self.held(disk) < self.share(disk).low;
            while is_far && self.is_short(disk) {
                let over: Vec<Place> = (0..self.held.len()).filter(|d| self.is_over(*d)).collect();
                if self.shift(&over, goal).is_none() {
                    break;
                }
            }
        }
    }

    /// The disk to fill a hole of `row` with, at no other cost where that can be.
    fn taker(&mut self, row: usize) -> Option<Place> {
        let open = self.open(row, true);
        let short = self.weigh(&open, |share| share.target);
        if let Some(place) = self.dice.draw(&short) {
            return Some(place);
        }
        let goal = |limit| Goal {
            sink: None,
            hole: Some(row),
            limit,
        };
        if let Some(start) = self.shift(&open, goal(0)) {
            return Some(start);
        }
        let within = self.weigh(&open, |share| share.high);
        if let Some(place) = self.dice.draw(&within) {
            return Some(place);
        }
        if let Some(start) = self.shift(&open, goal(usize::MAX)) {
            return Some(start);
        }
        let open = if open.is_empty() {
            self.open(row, false)
        } else {
            open
        };
        let load = |place: &Place| (self.held(*place) << 32) / self.share(*place).target.max(1);
        open.into_iter().min_by_key(load)
    }

    fn weigh(&self, open: &[Place], up_to: impl Fn(Share) -> u64) -> Vec<(Place, u64)> {
        open.iter()
            .map(|place| {
                (
                    *place,
                    up_to(self.share(*place)).saturating_sub(self.held(*place)),
                )
            })
            .filter(|(_, short)| *short > 0)
            .collect()
    }

    /// Disks a hole of `row` may be filled with. `apart` also keeps it out of the domains that
    /// slots of the row are just leaving.
    fn open(&self, row: usize, apart: bool) -> Vec<Place> {
        let Some(row) = self.rows.get(row) else {
            return Vec::new();
        };
        (0..self.held.len())
            .filter(|place| self.topology.takes(*place) && !row.left.contains(place))
            .filter(|place| !self.clashes(row, *place, None))
            .filter(|place| !apart || !row.left.iter().any(|left| self.same_domain(*left, *place)))
            .collect()
    }

    /// Whether `place` shares a domain with a seat of the row other than `giving`'s.
    fn clashes(&self, row: &BoardRow, place: Place, giving: Option<Place>) -> bool {
        (row.seats.iter().filter_map(|seat| seat.place()))
            .any(|other| Some(other) != giving && self.same_domain(other, place))
    }

    fn same_domain(&self, a: Place, b: Place) -> bool {
        self.topology.domain(a) == self.topology.domain(b)
    }

    /// Moves one slot away from one of `from` along the cheapest chain to the goal. Gives the disk
    /// that now has one slot less.
    fn shift(&mut self, from: &[Place], goal: Goal) -> Option<Place> {
        let chain = self.chain(from, goal)?;
        for link in &chain {
            let held = Seat::Held(link.from);
            let seats = self.rows.get(link.row).map(|row| row.seats.iter());
            if let Some(seat) = seats.and_then(|mut seats| seats.position(|seat| *seat == held)) {
                self.seat(link.row, seat, link.to);
            }
        }
        chain.first().map(|link| link.from)
    }

    fn chain(&mut self, starts: &[Place], goal: Goal) -> Option<Vec<Link>> {
        let mut search = Search::new(self.held.len(), starts);
        while let Some((from, cost)) = search.next() {
            if search.has_found(cost) {
                break;
            }
            if let Some(rows) = self.fresh.get(from) {
                self.expand(&mut search, goal, (from, cost), rows.iter());
            }
            let first = self.dice.below(self.rows.len() as u64);
            let first = usize::try_from(first).unwrap_or(0);
            if let Some(rows) = self.stored.get(from).filter(|_| cost < goal.limit) {
                let rows = rows.range(first..).chain(rows.range(..first));
                self.expand(&mut search, goal, (from, cost + 1), rows);
            }
        }
        search.best()
    }

    /// Looks for swaps of `from` in these rows, at `cost`.
    fn expand<'r>(
        &self,
        search: &mut Search,
        goal: Goal,
        (from, cost): (Place, usize),
        rows: impl Iterator<Item = &'r usize>,
    ) {
        let used = search.path(from);
        for row in rows.copied() {
            if search.has_found(cost) || search.is_complete(cost) {
                return;
            }
            if goal.hole == Some(row) || used.iter().any(|link| link.row == row) {
                continue;
            }
            for to in self.swaps(row, from, |place| search.improves(place, cost)) {
                search.reach(Link { row, from, to }, cost);
                if goal
                    .sink
                    .map_or_else(|| self.is_short(to), |sink| sink == to)
                {
                    search.found(to, cost);
                }
            }
        }
    }

    /// Disks that `row` could have in place of `from`, the shortest of slots first.
    fn swaps(&self, row: usize, from: Place, wanted: impl Fn(Place) -> bool) -> Vec<Place> {
        let Some(row) = self.rows.get(row) else {
            return Vec::new();
        };
        let mut open: Vec<Place> = (0..self.held.len())
            .filter(|place| wanted(*place) && self.topology.takes(*place))
            .filter(|place| !self.clashes(row, *place, Some(from)))
            .collect();
        open.sort_by_key(|place| {
            std::cmp::Reverse(self.share(*place).target.saturating_sub(self.held(*place)))
        });
        open
    }

    fn seat(&mut self, number: usize, seat: usize, place: Place) {
        let Some(row) = self.rows.get_mut(number) else {
            return;
        };
        let frozen = row.is_frozen();
        let Some(entry) = row.seats.get_mut(seat) else {
            return;
        };
        let before = std::mem::replace(entry, Seat::Held(place)).place();
        if let Some(before) = before {
            count(&mut self.held, before, -1);
            for sets in [&mut self.stored, &mut self.fresh] {
                if let Some(rows) = sets.get_mut(before) {
                    rows.remove(&number);
                }
            }
        }
        count(&mut self.held, place, 1);
        if let Some(fresh) = self.fresh.get_mut(place).filter(|_| !frozen) {
            fresh.insert(number);
        }
    }

    fn is_short(&self, place: Place) -> bool {
        self.held(place) < self.share(place).target
    }

    fn is_over(&self, place: Place) -> bool {
        self.held(place) > self.share(place).target
    }

    fn held(&self, place: Place) -> u64 {
        self.held.get(place).copied().unwrap_or(0)
    }

    fn share(&self, place: Place) -> Share {
        self.shares.get(place).copied().unwrap_or_default()
    }
}

fn count(held: &mut [u64], place: Place, change: i64) {
    if let Some(held) = held.get_mut(place) {
        *held = held.saturating_add_signed(change);
    }
}

/// Splitmix64: the same numbers on every machine.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound` (0 where there is none).
    fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// One of the places, each as likely as its weight.
    fn draw(&mut self, weighted: &[(Place, u64)]) -> Option<Place> {
        let sum = weighted.iter().map(|(_, weight)| weight).sum();
        let mut at = self.below(sum);
        for (place, weight) in weighted {
            if at < *weight {
                return Some(*place);
            }
            at -= weight;
        }
        None
    }
}
