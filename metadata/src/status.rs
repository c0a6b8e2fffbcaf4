//! What the nodes said of themselves lately: memory of this replica, lost with it, asked for by people
//! and metrics. Nothing is decided by it but that deletion stays frozen while a disk has not said
//! that it fenced.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cairn_model::{DiskId, limits};
use cairn_wire::metadata::{DiskStatus, NodeStatus, StatusAnswer};

use crate::raft::{Member, Members};

/// A node that said nothing for so long is forgotten.
const FORGET: Duration = Duration::from_secs(24 * 3_600);

#[derive(Clone, Debug)]
struct Report {
    at: Duration,
    disks: Vec<DiskStatus>,
}

/// The last word of every node.
#[derive(Debug, Default)]
pub(crate) struct Reports(Mutex<BTreeMap<u64, Report>>);

impl Reports {
    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, Report>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `node` said how its disks are.
    pub(crate) fn note(&self, node: u64, disks: Vec<DiskStatus>, now: Duration) {
        let mut all = self.all();
        all.retain(|_, report| now.saturating_sub(report.at) < FORGET);
        if all.len() < limits::NODES_MAX || all.contains_key(&node) {
            all.insert(node, Report { at: now, disks });
        }
    }

    /// Disks that say they may hold less than was written.
    pub(crate) fn doubts(&self) -> BTreeMap<DiskId, u64> {
        let all = self.all();
        let disks = all.values().flat_map(|report| &report.disks);
        let doubt = |status: &DiskStatus| {
            let disk = status.disk.as_ref().try_into().ok().map(DiskId)?;
            (status.doubt != 0 && status.ready).then_some((disk, status.doubt))
        };
        disks.filter_map(doubt).collect()
    }

    /// What each disk last said of its fence.
    pub(crate) fn fences(&self) -> BTreeMap<DiskId, u32> {
        let all = self.all();
        let disks = all.values().flat_map(|report| &report.disks);
        let fence = |status: &DiskStatus| {
            let disk = status.disk.as_ref().try_into().ok().map(DiskId)?;
            Some((disk, status.fenced))
        };
        disks.filter_map(fence).collect()
    }

    /// All of it, with who votes and leads.
    pub(crate) fn answer(
        &self,
        members: Members,
        leader: Option<u64>,
        now: Duration,
    ) -> StatusAnswer {
        let ids = |members: Vec<Member>| members.into_iter().map(|member| member.id).collect();
        let node = |(node, report): (&u64, &Report)| NodeStatus {
            node: *node,
            silent_ms: millis(now.saturating_sub(report.at)),
            disks: report.disks.clone(),
        };
        StatusAnswer {
            nodes: self.all().iter().map(node).collect(),
            voters: ids(members.voters),
            learners: ids(members.learners),
            leader: leader.unwrap_or_default(),
            ..StatusAnswer::default()
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(free: u64) -> Vec<DiskStatus> {
        vec![DiskStatus {
            free,
            ready: true,
            ..DiskStatus::default()
        }]
    }

    fn answer(reports: &Reports, secs: u64) -> StatusAnswer {
        let members = Members {
            voters: vec![Member {
                id: 1,
                address: String::new(),
            }],
            learners: Vec::new(),
        };
        reports.answer(members, Some(1), Duration::from_secs(secs))
    }

    #[test]
    fn the_last_word_counts_and_its_age_is_told() {
        let reports = Reports::default();
        reports.note(7, disk(5), Duration::from_secs(1));
        reports.note(7, disk(4), Duration::from_secs(3));
        let told = answer(&reports, 5);
        assert_eq!((told.voters.as_slice(), told.leader), ([1].as_slice(), 1));
        let [node] = told.nodes.as_slice() else {
            panic!("{told:?}");
        };
        assert_eq!(
            (node.node, node.silent_ms, node.disks[0].free),
            (7, 2_000, 4)
        );
    }

    #[test]
    fn who_is_gone_for_a_day_is_forgotten_and_there_is_a_bound() {
        let reports = Reports::default();
        reports.note(1, disk(1), Duration::ZERO);
        reports.note(2, disk(1), FORGET);
        assert_eq!(answer(&reports, FORGET.as_secs()).nodes.len(), 1);
        for node in 0..2 * limits::NODES_MAX as u64 {
            reports.note(node, disk(1), FORGET);
        }
        let nodes = answer(&reports, FORGET.as_secs()).nodes;
        assert_eq!(nodes.len(), limits::NODES_MAX);
    }
}
