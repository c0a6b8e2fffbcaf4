//! Which commands a round of garbage work proposes. Pure.

use std::collections::{BTreeMap, BTreeSet};

use cairn_model::{DiskId, Incarnation, limits};
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{
    AbortUpload, BeginDelete, ClusterAnswer, Condemned, EndSession, ForgetBucket, GarbageAnswer,
    ReleasePage,
};

use super::placement;

/// Commands in the order they should be proposed.
#[must_use]
pub fn plan(work: &GarbageAnswer) -> Vec<Command> {
    let mut commands = Vec::new();
    for end in &work.ends {
        commands.push(Command::EndSession(EndSession {
            target: end.session,
            expired: false,
        }));
    }
    for abort in &work.aborts {
        commands.push(Command::AbortUpload(AbortUpload {
            bucket: abort.bucket,
            key: abort.key.clone(),
            upload: abort.upload.clone(),
        }));
    }
    for bucket in &work.dead_buckets {
        if !work.aborts.iter().any(|abort| abort.bucket == *bucket) {
            commands.push(Command::ForgetBucket(ForgetBucket { bucket: *bucket }));
        }
    }
    for release in &work.releases {
        commands.push(Command::ReleasePage(ReleasePage {
            manifest: release.manifest.clone(),
            page: release.page,
            epoch: release.epoch,
        }));
    }
    for items in work.deletable.chunks(limits::DELETE_CHUNKS_PER_ENTRY) {
        let named = |item: &Condemned| Condemned {
            disks: Vec::new(),
            ..item.clone()
        };
        commands.push(Command::BeginDelete(BeginDelete {
            items: items.iter().map(named).collect(),
        }));
    }
    commands
}

/// Which committed deletes each disk is to carry out, by their places in the list: on every disk that
/// the writing's partition names, and on those it may lie on besides. Not on disks that are lost.
#[must_use]
pub fn by_disk(cluster: &ClusterAnswer, deleting: &[Condemned]) -> BTreeMap<DiskId, Vec<usize>> {
    let lost = placement::lost(cluster);
    let mut by_disk: BTreeMap<DiskId, Vec<usize>> = BTreeMap::new();
    for (place, item) in deleting.iter().enumerate() {
        let Some(incarnation) = Incarnation::from_bytes(&item.incarnation) else {
            continue;
        };
        let mut disks = disks_of(cluster, incarnation);
        disks.extend(item.disks.iter().filter_map(placement::disk_id));
        for disk in disks.difference(&lost) {
            by_disk.entry(*disk).or_default().push(place);
        }
    }
    by_disk
}

/// Current and next disks of a writing's partition.
#[must_use]
pub fn disks_of(cluster: &ClusterAnswer, incarnation: Incarnation) -> BTreeSet<DiskId> {
    let number = incarnation.partition(cluster.partition_bits.max(1));
    let row = usize::try_from(number)
        .ok()
        .and_then(|number| cluster.partitions.get(number));
    let named = row
        .into_iter()
        .flat_map(|row| row.current.iter().chain(&row.next));
    named.filter_map(placement::disk_id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_wire::metadata::{AbortWork, EndWork, ReleaseWork};

    #[test]
    fn a_delete_goes_to_current_and_next_and_the_disks_it_names() {
        let bytes = |name: u8| bytes::Bytes::from(vec![name; 16]);
        let row = |current: u8, next: Option<u8>| cairn_wire::metadata::PartitionRow {
            epoch: 1,
            current: vec![bytes(current), bytes(9)],
            next: vec![next.map(bytes).unwrap_or_default(), bytes::Bytes::new()],
        };
        let cluster = ClusterAnswer {
            partition_bits: 1,
            partitions: vec![row(1, Some(2)), row(3, None)],
            leaving: vec![cairn_wire::metadata::LeavingDisk {
                disk: bytes(9),
                lost: true,
            }],
            ..ClusterAnswer::default()
        };
        let stamps = (1_u128..).map(|number| Incarnation::from_bytes(&number.to_be_bytes()));
        let stamp = stamps
            .flatten()
            .find(|stamp| stamp.partition(1) == 0)
            .unwrap();
        let item = Condemned {
            incarnation: stamp.to_bytes().to_vec().into(),
            disks: vec![bytes(5), bytes(9), bytes::Bytes::new()],
            ..Condemned::default()
        };
        let nonsense = Condemned::default();
        let to = by_disk(&cluster, &[nonsense, item]);
        let expected = [1, 2, 5].map(|name| (DiskId([name; 16]), vec![1]));
        assert_eq!(to.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_empty_round_proposes_nothing() {
        assert!(plan(&GarbageAnswer::default()).is_empty());
    }

    #[test]
    fn a_dead_bucket_is_forgotten_only_after_its_uploads() {
        let mut work = GarbageAnswer {
            dead_buckets: vec![7],
            ..GarbageAnswer::default()
        };
        work.aborts.push(AbortWork {
            bucket: 7,
            ..AbortWork::default()
        });
        assert!(matches!(plan(&work).as_slice(), [Command::AbortUpload(_)]));
        work.aborts.clear();
        assert!(matches!(
            plan(&work).as_slice(),
            [Command::ForgetBucket(ForgetBucket { bucket: 7 })]
        ));
    }

    #[test]
    fn deletes_are_cut_to_the_size_of_an_entry() {
        let work = GarbageAnswer {
            deletable: vec![Condemned::default(); limits::DELETE_CHUNKS_PER_ENTRY + 1],
            ends: vec![EndWork { session: 1 }],
            releases: vec![ReleaseWork::default()],
            ..GarbageAnswer::default()
        };
        let sizes: Vec<usize> = plan(&work)
            .iter()
            .filter_map(|command| match command {
                Command::BeginDelete(delete) => Some(delete.items.len()),
                _ => None,
            })
            .collect();
        assert_eq!(sizes, [limits::DELETE_CHUNKS_PER_ENTRY, 1]);
    }
}
