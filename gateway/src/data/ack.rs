//! The ack rule (design §6): receipts in, verdict out.

use std::collections::BTreeSet;

use cairn_model::{Coding, DiskId};
use cairn_world::{Bug, planted};

use crate::data::view::View;

/// A chunk may be committed: the rule is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Met {
    /// Shards that are not known to be durable, with the disks they belong on.
    pub(crate) debt: Vec<(u8, DiskId)>,
}

/// Judges one chunk: `disks` by shard, and which of them have acknowledged durable shards. At least
/// [`Coding::ack_shards`] must, on as many distinct failure domains; a disk that is no member counts
/// for nothing.
pub(crate) fn judge(view: &View, coding: Coding, disks: &[(DiskId, bool)]) -> Option<Met> {
    let durable = disks.iter().filter(|(_, durable)| *durable);
    let domains: BTreeSet<_> = durable.filter_map(|(disk, _)| view.domain(*disk)).collect();
    let enough = if planted(Bug::WeakAck) {
        coding.data()
    } else {
        coding.ack_shards()
    };
    if disks.len() != coding.shards() || domains.len() < enough {
        return None;
    }
    let debt = (0_u8..)
        .zip(disks)
        .filter(|(_, (_, durable))| !durable)
        .filter(|_| !planted(Bug::WeakAck) && !planted(Bug::DebtNotRecorded))
        .map(|(shard, (disk, _))| (shard, *disk))
        .collect();
    Some(Met { debt })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{FakeDisks, FakeMetadata};
    use proptest::prelude::*;

    fn view(coding: Coding, domain: &str, node_of: impl Fn(usize) -> u64) -> View {
        let fake = FakeMetadata::new(coding, 6);
        let mut cluster = fake.edit(|state| state.cluster().clone());
        cluster.classes[0].domain = domain.to_owned();
        for (at, disk) in cluster.disks.iter_mut().enumerate() {
            disk.node = node_of(at);
        }
        View::read(cluster).unwrap()
    }

    fn disks(durable: &[bool]) -> Vec<(DiskId, bool)> {
        (0..)
            .zip(durable)
            .map(|(at, durable)| (FakeDisks::id(at), *durable))
            .collect()
    }

    proptest! {
        #[test]
        fn an_ack_needs_k_and_half_of_m_and_lists_the_rest(durable in proptest::collection::vec(any::<bool>(), 6)) {
            let coding = Coding::new(4, 2).unwrap();
            let there = durable.iter().filter(|durable| **durable).count();
            let met = judge(&view(coding, "disk", |_| 1), coding, &disks(&durable));
            prop_assert_eq!(met.is_some(), there >= 5);
            if let Some(met) = met {
                prop_assert_eq!(met.debt.len(), 6 - there);
                prop_assert!(met.debt.iter().all(|(shard, _)| !durable[usize::from(*shard)]));
            }
        }
    }

    #[test]
    fn two_shards_in_one_domain_count_once() {
        let coding = Coding::new(4, 2).unwrap();
        let all = disks(&[true; 6]);
        assert!(judge(&view(coding, "node", |at| at as u64), coding, &all).is_some());
        assert!(judge(&view(coding, "node", |at| at as u64 / 2), coding, &all).is_none());
    }

    #[test]
    fn strangers_and_short_rows_count_for_nothing() {
        let coding = Coding::new(1, 1).unwrap();
        let view = view(coding, "disk", |_| 1);
        let stranger = (DiskId([0xee; 16]), true);
        assert!(judge(&view, coding, &[(FakeDisks::id(0), true), stranger]).is_none());
        assert!(judge(&view, coding, &[(FakeDisks::id(0), true)]).is_none());
        assert!(judge(&view, coding, &disks(&[true, true])).is_some());
    }
}
