//! What the metadata says of itself, of nodes and of disks, as series.
//!
//! One replica answers, mostly the leader; its own position in the log is shown as `cairn_raft_*`. What
//! a disk's node said last is shown with its age, so that a node that fell silent is seen as such.

use std::collections::BTreeSet;

use cairn_telemetry::Registry;
use cairn_wire::metadata::{
    DiskStatus, MarkStatus, NodeStatus, RaftStatus, StatusAnswer, WorkStatus,
};

/// (name, help, value).
type Plain = (&'static str, &'static str, u64);

/// Gauges of disks: ready, free, total.
const DISKS: [(&str, &str); 3] = [
    (
        "cairn_disk_ready",
        "1 where the disk takes part, 0 where it failed; as its node said last.",
    ),
    ("cairn_disk_free_bytes", "Room left on the disk."),
    ("cairn_disk_total_bytes", "Size of the disk's file system."),
];
const SILENT: (&str, &str) = (
    "cairn_node_silent_seconds",
    "Time since the node was heard by the replica that answered.",
);

/// Shows an answer; what it does not hold stays as it was last seen.
pub(super) fn show(registry: &Registry, status: &StatusAnswer) {
    let mut plain = members(status);
    plain.extend(status.raft.as_ref().into_iter().flat_map(raft));
    plain.extend(status.work.as_ref().into_iter().flat_map(work));
    // A new leader has no mark for an hour: what the one before it found stays, with its time.
    plain.extend(status.mark.as_ref().into_iter().flat_map(mark));
    for (name, help, value) in plain {
        registry.gauge(name, help, &[]).set(shown(value));
    }
    show_nodes(registry, &status.nodes);
}

fn shown(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn members(status: &StatusAnswer) -> Vec<Plain> {
    vec![
        (
            "cairn_raft_has_leader",
            "1 where the replica that answered knows who leads.",
            u64::from(status.leader != 0),
        ),
        (
            "cairn_raft_voters",
            "Members of the metadata that vote.",
            status.voters.len() as u64,
        ),
        (
            "cairn_raft_learners",
            "Members of the metadata that follow without a vote.",
            status.learners.len() as u64,
        ),
    ]
}

fn raft(raft: &RaftStatus) -> [Plain; 7] {
    [
        (
            "cairn_raft_term",
            "Term of the metadata's group.",
            raft.term,
        ),
        ("cairn_raft_last_index", "Last entry in the log.", raft.last),
        (
            "cairn_raft_applied_index",
            "Last entry applied.",
            raft.applied,
        ),
        (
            "cairn_raft_snapshot_index",
            "Last entry in the newest snapshot.",
            raft.snapshot,
        ),
        (
            "cairn_raft_purged_index",
            "Last entry that is gone from the log.",
            raft.purged,
        ),
        (
            "cairn_journal_segments",
            "Segment files of the journal.",
            raft.journal_segments,
        ),
        (
            "cairn_journal_groups",
            "Groups of entries written since the replica was started: one flush each.",
            raft.journal_groups,
        ),
    ]
}

fn work(work: &WorkStatus) -> [Plain; 6] {
    [
        (
            "cairn_cluster_sessions_open",
            "Open sessions of all gateways.",
            work.sessions,
        ),
        (
            "cairn_chunks_owed",
            "Chunks that owe a shard or are suspect, to be repaired; counted up to 10000.",
            work.owed,
        ),
        (
            "cairn_chunks_condemned",
            "Chunks nothing needs that wait for sessions; counted up to 10000.",
            work.condemned,
        ),
        (
            "cairn_chunks_deleting",
            "Chunks whose deletion is committed and not carried out everywhere.",
            work.deleting,
        ),
        (
            "cairn_manifests_releasing",
            "Manifests of large objects that are being let go of.",
            work.releases,
        ),
        (
            "cairn_uploads_aborting",
            "Aborted multipart uploads that still hold parts.",
            work.uploads,
        ),
    ]
}

fn mark(mark: &MarkStatus) -> [Plain; 3] {
    [
        (
            "cairn_mark_discrepancies",
            "Counts that the last full mark of the metadata found wrong; its log names them.",
            mark.discrepancies,
        ),
        (
            "cairn_mark_rows",
            "Rows that the last full mark of the metadata has read.",
            mark.rows,
        ),
        (
            "cairn_mark_timestamp_seconds",
            "When the last full mark of the metadata ended, in Unix time.",
            mark.finished_ms / 1_000,
        ),
    ]
}

/// Nodes and disks come and go: series of those that are gone would tell of them for ever.
fn show_nodes(registry: &Registry, nodes: &[NodeStatus]) {
    let (mut named, mut held) = (BTreeSet::new(), BTreeSet::new());
    for node in nodes {
        let name = format!("{:016x}", node.node);
        let (series, help) = SILENT;
        let silent = registry.gauge(series, help, &[("node", &name)]);
        silent.set(shown(node.silent_ms / 1_000));
        for disk in node.disks.iter().filter(|disk| !disk.disk.is_empty()) {
            let id = hex(disk);
            let values = [u64::from(disk.ready), disk.free, disk.total];
            for ((series, help), value) in DISKS.into_iter().zip(values) {
                let labels = [("node", name.as_str()), ("disk", id.as_str())];
                registry.gauge(series, help, &labels).set(shown(value));
            }
            held.insert(vec![name.clone(), id]);
        }
        named.insert(vec![name]);
    }
    registry.retain(SILENT.0, &named);
    for (series, _) in DISKS {
        registry.retain(series, &held);
    }
}

fn hex(disk: &DiskStatus) -> String {
    disk.disk.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn rendered(registry: &Registry) -> String {
        cairn_telemetry::prometheus::render(registry)
    }

    fn status() -> StatusAnswer {
        let disk = |id: u8, ready| DiskStatus {
            disk: Bytes::copy_from_slice(&[id; 16]),
            free: 5,
            total: 9,
            ready,
            ..DiskStatus::default()
        };
        StatusAnswer {
            nodes: vec![NodeStatus {
                node: 0x2a,
                silent_ms: 61_500,
                disks: vec![disk(1, true), disk(2, false), DiskStatus::default()],
            }],
            voters: vec![1, 2, 3],
            leader: 2,
            raft: Some(RaftStatus {
                term: 4,
                last: 10,
                applied: 9,
                ..RaftStatus::default()
            }),
            work: Some(WorkStatus {
                owed: 7,
                ..WorkStatus::default()
            }),
            mark: Some(MarkStatus {
                finished_ms: 5_999,
                discrepancies: 2,
                ..MarkStatus::default()
            }),
            ..StatusAnswer::default()
        }
    }

    #[test]
    fn everything_a_replica_says_is_a_series() {
        let registry = Registry::new();
        show(&registry, &status());
        let text = rendered(&registry);
        let one = "01".repeat(16);
        let two = "02".repeat(16);
        for line in [
            "cairn_raft_has_leader 1".to_owned(),
            "cairn_raft_voters 3".to_owned(),
            "cairn_raft_learners 0".to_owned(),
            "cairn_raft_term 4".to_owned(),
            "cairn_raft_last_index 10".to_owned(),
            "cairn_raft_applied_index 9".to_owned(),
            "cairn_chunks_owed 7".to_owned(),
            "cairn_mark_discrepancies 2".to_owned(),
            "cairn_mark_timestamp_seconds 5".to_owned(),
            "cairn_node_silent_seconds{node=\"000000000000002a\"} 61".to_owned(),
            format!("cairn_disk_ready{{node=\"000000000000002a\",disk=\"{one}\"}} 1"),
            format!("cairn_disk_ready{{node=\"000000000000002a\",disk=\"{two}\"}} 0"),
            format!("cairn_disk_free_bytes{{node=\"000000000000002a\",disk=\"{one}\"}} 5"),
            format!("cairn_disk_total_bytes{{node=\"000000000000002a\",disk=\"{two}\"}} 9"),
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line}: {text}");
        }
        let disks = text
            .lines()
            .filter(|line| line.starts_with("cairn_disk_ready{"));
        assert_eq!(disks.count(), 2, "one that could not be opened has no name");
    }

    #[test]
    fn who_is_gone_is_shown_no_more_and_a_mark_stays() {
        let registry = Registry::new();
        show(&registry, &status());
        show(&registry, &StatusAnswer::default());
        let text = rendered(&registry);
        let series = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(series("cairn_disk_ready{"), 0, "{text}");
        assert_eq!(series("cairn_node_silent_seconds{"), 0, "{text}");
        assert!(text.contains("cairn_raft_has_leader 0\n"), "{text}");
        assert!(text.contains("cairn_mark_discrepancies 2\n"), "{text}");
    }
}
