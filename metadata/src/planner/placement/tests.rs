use cairn_wire::metadata::StorageClass;

use super::*;

/// A cluster coded 2+1 over nodes with two disks each.
fn cluster(disks: u8, domain: &str) -> ClusterAnswer {
    let class = StorageClass {
        name: "STANDARD".into(),
        coding: Some(Coding::new(2, 1).unwrap().into()),
        domain: domain.into(),
    };
    ClusterAnswer {
        cluster: vec![7; 16].into(),
        disks: (0..disks).map(disk).collect(),
        classes: vec![class],
        partition_bits: 4,
        ..ClusterAnswer::default()
    }
}

fn disk(name: u8) -> Disk {
    Disk {
        disk: vec![name + 1; 16].into(),
        node: u64::from(name / 2),
        zone: format!("zone {}", name / 4),
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_first_table_waits_until_joining_is_quiet() {
    let mut quiet = Quiet::default();
    let three = cluster(3, "disk");
    assert_eq!(quiet.place(&three, secs(100)), None);
    assert_eq!(quiet.place(&three, secs(102)), None);
    let four = cluster(4, "disk");
    assert_eq!(quiet.place(&four, secs(103)), None, "one more has joined");
    assert_eq!(quiet.place(&four, secs(105)), None);
    let placed = quiet.place(&four, secs(106)).unwrap();
    assert_eq!(placed.slots.len(), 2 * 3 * 16);
    assert_eq!(first(&four).unwrap(), Some(placed), "the same every time");
}

#[test]
fn it_waits_for_enough_failure_domains() {
    for (disks, domain, placed) in [
        (2, "disk", false),
        (3, "disk", true),
        (4, "node", false),
        (5, "node", true),
        (8, "zone", false),
        (9, "zone", true),
        (9, "shelf", false),
    ] {
        let mut quiet = Quiet::default();
        let cluster = cluster(disks, domain);
        assert_eq!(quiet.place(&cluster, secs(10)), None);
        let table = quiet.place(&cluster, secs(1_000));
        assert_eq!(table.is_some(), placed, "{disks} disks, {domain}");
    }
}

#[test]
fn a_row_spreads_over_failure_domains() {
    let cluster = cluster(8, "node");
    let slots = first(&cluster).unwrap().unwrap().slots;
    for row in slots.chunks(6) {
        let mut nodes: Vec<u64> = row
            .chunks(2)
            .map(|slot| cluster.disks[usize::from(slot[1])].node)
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        assert_eq!(nodes.len(), 3, "{row:?}");
    }
}

#[test]
fn a_cluster_that_is_none_or_has_a_table_gets_none() {
    let mut quiet = Quiet::default();
    let unborn = ClusterAnswer::default();
    let placed = ClusterAnswer {
        partitions: vec![cairn_wire::metadata::PartitionRow::default()],
        ..cluster(4, "disk")
    };
    for cluster in [unborn, placed] {
        assert_eq!(quiet.place(&cluster, secs(1)), None);
        assert_eq!(quiet.place(&cluster, secs(100)), None);
    }
}
