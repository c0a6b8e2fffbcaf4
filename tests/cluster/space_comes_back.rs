//! The space of deleted objects comes back on the disks of all nodes.

use std::time::Duration;

use cairn_tests::cluster::{Cluster, disk_usage};
use cairn_tests::objects::Objects;
use cairn_tests::patience::eventually;

/// Together 200 MiB.
const LENGTHS: [usize; 13] = [
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    8 << 20,
];
/// Sessions last a minute, and what was deleted waits for those begun before.
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
fn deleted_objects_give_their_space_back() {
    let cluster = Cluster::start();
    let client = cluster.client(0);
    let mut objects = Objects::new(&client, "space");
    objects.write(&client, &LENGTHS);
    let written = usage(&cluster);
    objects.delete(&client);
    let bytes = LENGTHS.iter().map(|length| *length as u64).sum::<u64>();
    // Six shards of a fourth each; the last tenth is segments still open and metadata.
    let wanted = bytes * 6 / 4 * 9 / 10;
    eventually("space comes back", PATIENCE, || {
        std::thread::sleep(Duration::from_secs(1));
        let now = usage(&cluster);
        let back: Vec<u64> = written
            .iter()
            .zip(&now)
            .map(|(before, after)| before.saturating_sub(*after) >> 20)
            .collect();
        let all: u64 = back.iter().sum();
        if all << 20 >= wanted {
            Ok(())
        } else {
            Err(format!(
                "{back:?} of {} MiB, from {written:?}",
                wanted >> 20
            ))
        }
    });
    for (node, (before, after)) in written.iter().zip(usage(&cluster)).enumerate() {
        assert!(after < *before, "node {} gave nothing back", node + 1);
    }
}

fn usage(cluster: &Cluster) -> Vec<u64> {
    let nodes = cluster.nodes.iter();
    nodes.map(|node| disk_usage(&node.directory)).collect()
}
