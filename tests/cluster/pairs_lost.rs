//! Promise 1 under 4+2 coding on six nodes: whichever two nodes are gone, every object is there.

use std::time::Duration;

use cairn_tests::cluster::{Cluster, NODES};
use cairn_tests::objects::{LENGTHS, Objects};

/// How long a read may take while the cluster finds out who is gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// Of five voters any two may go, so all fifteen pairs are alike.
#[test]
fn every_pair_of_six_nodes_may_be_lost() {
    let mut cluster = Cluster::with_voters(5);
    cluster.wait_whole();
    let clients = cluster.clients();
    let mut objects = Objects::new(&clients[0], "pairs");
    objects.write(&clients[0], &LENGTHS);
    objects.write(&clients[1], &[70_000, 1 << 20]);
    let mut pairs = 0;
    for first in 0..NODES {
        for second in first + 1..NODES {
            pairs += 1;
            let when = format!("nodes {} and {} are gone", first + 1, second + 1);
            lose(&mut cluster, &objects, &[first, second], &when);
        }
    }
    assert_eq!(pairs, 15);
    for client in &clients {
        objects.must_be_there(client, PATIENCE, "after all pairs");
    }
}

/// Kills nodes, reads everything through both gateways, and starts them again.
fn lose(cluster: &mut Cluster, objects: &Objects, nodes: &[usize], when: &str) {
    for node in nodes {
        cluster.node(*node).process.kill_nine();
    }
    std::thread::scope(|scope| {
        for client in cluster.clients() {
            scope.spawn(move || objects.must_be_there(&client, PATIENCE, when));
        }
    });
    for node in nodes {
        cluster.node(*node).process.start();
    }
    cluster.wait_whole();
}

/// With three nodes gone nothing can be read that lies in shards, and nothing wrong is said; once
/// one of them is back, all is there again.
#[test]
fn three_lost_nodes_are_an_error_and_never_wrong_bytes() {
    let mut cluster = Cluster::start();
    cluster.wait_whole();
    let client = cluster.client(0);
    let mut objects = Objects::new(&client, "three");
    objects.write(&client, &[300_001, 2 << 20]);
    let plain = cluster.plain_nodes();
    for node in &plain {
        cluster.node(*node).process.kill_nine();
    }
    for key in ["0000", "0001"] {
        let path = objects.path(key);
        let patient = client.with_patience(PATIENCE);
        let seen = cairn_tests::s3::observe(&patient, &path);
        assert!(seen.is_err(), "{path} cannot be known: {seen:.200?}");
    }
    cluster.node(plain[0]).process.start();
    objects.must_be_there(&client, PATIENCE, "one of three is back");
}
