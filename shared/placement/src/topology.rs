//! The view a plan is made for: disks in failure domains.

use std::collections::BTreeMap;
use std::fmt;

use cairn_model::{DiskId, NodeId};

use crate::plan::PlacementError;

/// What must not be shared by two shards of a chunk. Fixed per storage class at `init`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DomainLevel {
    /// Two shards may be on one node.
    Disk,
    /// Two shards may be in one zone.
    Node,
    /// Every shard is in another zone.
    Zone,
}

impl DomainLevel {
    /// Reads `disk`, `node` or `zone`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Disk, Self::Node, Self::Zone]
            .into_iter()
            .find(|level| level.name() == name)
    }

    /// `disk`, `node` or `zone`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Node => "node",
            Self::Zone => "zone",
        }
    }
}

impl fmt::Display for DomainLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A member disk as the planner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The disk.
    pub disk: DiskId,
    /// The node it is in.
    pub node: NodeId,
    /// The zone of that node.
    pub zone: String,
    /// Its share relative to the others', usually its size in GiB. 0 = leaving: it is given
    /// nothing, and what it holds moves away.
    pub weight: u32,
}

/// One failure domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Domain {
    Disk(DiskId),
    Node(NodeId),
    Zone(String),
}

/// A disk by its place in the topology.
pub(crate) type Place = usize;

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) disk: DiskId,
    pub(crate) domain: usize,
    pub(crate) weight: u32,
}

/// The view sorted by disk, domains numbered.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    members: Vec<Member>,
    places: BTreeMap<DiskId, Place>,
    domains: usize,
}

impl Topology {
    /// Refuses a view that cannot hold rows of `slots` shards.
    pub(crate) fn new(
        view: &[Candidate],
        level: DomainLevel,
        slots: usize,
    ) -> Result<Self, PlacementError> {
        let domain = |candidate: &Candidate| match level {
            DomainLevel::Disk => Domain::Disk(candidate.disk),
            DomainLevel::Node => Domain::Node(candidate.node),
            DomainLevel::Zone => Domain::Zone(candidate.zone.clone()),
        };
        let mut sorted: Vec<&Candidate> = view.iter().collect();
        sorted.sort_unstable_by_key(|candidate| candidate.disk);
        if let Some([twice, _]) = (sorted.windows(2)).find_map(|pair| match pair {
            [a, b] if a.disk == b.disk => Some([a, b]),
            _ => None,
        }) {
            return Err(PlacementError::Repeated(twice.disk));
        }
        let mut numbers: BTreeMap<Domain, usize> = sorted.iter().map(|c| (domain(c), 0)).collect();
        for (number, place) in numbers.values_mut().enumerate() {
            *place = number;
        }
        let members: Vec<Member> = (sorted.iter())
            .map(|candidate| Member {
                disk: candidate.disk,
                domain: numbers.get(&domain(candidate)).copied().unwrap_or(0),
                weight: candidate.weight,
            })
            .collect();
        let places = members.iter().map(|member| member.disk).zip(0..).collect();
        let domains = numbers.len();
        let topology = Self {
            members,
            places,
            domains,
        };
        topology.check_room(level, slots)?;
        Ok(topology)
    }

    fn check_room(&self, level: DomainLevel, need: usize) -> Result<(), PlacementError> {
        let weights = self.domain_weights();
        let have = weights.iter().filter(|weight| **weight > 0).count();
        if have < need {
            let leaving = weights.len() - have;
            return Err(PlacementError::TooFewDomains {
                level,
                need,
                have,
                leaving,
            });
        }
        Ok(())
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn place(&self, disk: DiskId) -> Option<Place> {
        self.places.get(&disk).copied()
    }

    pub(crate) fn disk(&self, place: Place) -> Option<DiskId> {
        self.members.get(place).map(|member| member.disk)
    }

    pub(crate) fn domain(&self, place: Place) -> Option<usize> {
        self.members.get(place).map(|member| member.domain)
    }

    /// Whether a disk may be given shards.
    pub(crate) fn takes(&self, place: Place) -> bool {
        self.members
            .get(place)
            .is_some_and(|member| member.weight > 0)
    }

    /// Weight of each domain.
    pub(crate) fn domain_weights(&self) -> Vec<u64> {
        let mut weights = vec![0_u64; self.domains];
        for member in &self.members {
            if let Some(weight) = weights.get_mut(member.domain) {
                *weight += u64::from(member.weight);
            }
        }
        weights
    }
}
