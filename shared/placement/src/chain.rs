//! The search for a chain of swaps: Dijkstra's over disks, with costs of 0 and 1.

use std::collections::VecDeque;

use crate::topology::Place;

/// One link of a chain: in `row`, the seat of `from` goes to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) row: usize,
    pub(crate) from: Place,
    pub(crate) to: Place,
}

/// What a chain is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    /// The disk to get to; any that is short of slots where there is none.
    pub(crate) sink: Option<Place>,
    /// The row being filled: it swaps nothing.
    pub(crate) hole: Option<usize>,
    /// Most moves the chain may cost.
    pub(crate) limit: usize,
}

/// A search in progress.
#[derive(Debug)]
pub(crate) struct Search {
    /// What it costs to free each disk of a slot, and the last link to it.
    reached: Vec<Option<(usize, Option<Link>)>>,
    waiting: VecDeque<(Place, usize)>,
    best: Option<(Place, usize)>,
}

impl Search {
    pub(crate) fn new(disks: usize, starts: &[Place]) -> Self {
        let mut reached = vec![None; disks];
        for start in starts {
            if let Some(entry) = reached.get_mut(*start) {
                *entry = Some((0, None));
            }
        }
        Self {
            reached,
            waiting: starts.iter().map(|start| (*start, 0)).collect(),
            best: None,
        }
    }

    /// The next disk to look at, the cheapest first.
    pub(crate) fn next(&mut self) -> Option<(Place, usize)> {
        loop {
            let (place, cost) = self.waiting.pop_front()?;
            if self.cost(place) == cost {
                return Some((place, cost));
            }
        }
    }

    /// Whether `cost` is less than what is known of `place`.
    pub(crate) fn improves(&self, place: Place, cost: usize) -> bool {
        cost < self.cost(place)
    }

    /// Whether nothing can be improved at `cost`.
    pub(crate) fn is_complete(&self, cost: usize) -> bool {
        (0..self.reached.len()).all(|place| !self.improves(place, cost))
    }

    /// Notes a link whose end costs `cost`.
    pub(crate) fn reach(&mut self, link: Link, cost: usize) {
        let is_free = self.cost(link.from) == cost;
        if let Some(entry) = self.reached.get_mut(link.to) {
            *entry = Some((cost, Some(link)));
        }
        if is_free {
            self.waiting.push_front((link.to, cost));
        } else {
            self.waiting.push_back((link.to, cost));
        }
    }

    /// Notes that the search may end at `place`.
    pub(crate) fn found(&mut self, place: Place, cost: usize) {
        if self.best.is_none_or(|(_, best)| cost < best) {
            self.best = Some((place, cost));
        }
    }

    /// Whether an end was found that costs no more than `cost`.
    pub(crate) fn has_found(&self, cost: usize) -> bool {
        self.best.is_some_and(|(_, best)| best <= cost)
    }

    /// The links to the best end found.
    pub(crate) fn best(&self) -> Option<Vec<Link>> {
        self.best.map(|(place, _)| self.path(place))
    }

    /// The links that lead to a disk, first link first.
    pub(crate) fn path(&self, to: Place) -> Vec<Link> {
        let mut links = Vec::new();
        let mut at = to;
        while let Some((_, Some(link))) = self.reached.get(at).copied().flatten() {
            links.push(link);
            at = link.from;
        }
        links.reverse();
        links
    }

    fn cost(&self, place: Place) -> usize {
        let entry = self.reached.get(place).copied().flatten();
        entry.map_or(usize::MAX, |(cost, _)| cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(row: usize, from: Place, to: Place) -> Link {
        Link { row, from, to }
    }

    #[test]
    fn free_links_come_before_dear_ones_and_the_path_leads_back() {
        let mut search = Search::new(5, &[0]);
        assert_eq!(search.next(), Some((0, 0)));
        search.reach(link(7, 0, 1), 1);
        search.reach(link(8, 0, 2), 0);
        assert_eq!(search.next(), Some((2, 0)));
        assert!(search.improves(1, 0) && !search.improves(1, 1));
        search.reach(link(9, 2, 1), 0);
        search.found(1, 0);
        assert!(search.has_found(0));
        assert_eq!(search.best(), Some(vec![link(8, 0, 2), link(9, 2, 1)]));
        assert_eq!(search.next(), Some((1, 0)));
        assert_eq!(
            search.next(),
            None,
            "the dearer way to disk 1 is passed over"
        );
    }

    #[test]
    fn a_dear_end_waits_for_a_cheaper_one() {
        let mut search = Search::new(3, &[0]);
        search.reach(link(1, 0, 1), 1);
        search.found(1, 1);
        assert!(search.has_found(1) && !search.has_found(0));
        search.reach(link(2, 0, 2), 0);
        search.found(2, 0);
        search.found(1, 1);
        assert_eq!(search.best(), Some(vec![link(2, 0, 2)]));
        assert!(search.is_complete(1) && !search.is_complete(0));
    }
}
