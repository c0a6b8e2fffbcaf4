//! What a lost node could not be given it is given when it is back: afterwards two others may be
//! lost.

use std::time::Duration;

use cairn_tests::cluster::Cluster;
use cairn_tests::damage;
use cairn_tests::objects::Objects;
use cairn_tests::patience::eventually;

const PATIENCE: Duration = Duration::from_secs(20);
/// How long all debt may take to be paid once the node is back.
const PAID: Duration = Duration::from_secs(90);
/// Written while the node was away.
const LENGTHS: [usize; 6] = [65_536, 300_001, 3 << 20, 3 << 20, 17 << 20, 17 << 20];
const BLOCK: usize = 4_096;

#[test]
fn a_node_that_comes_back_is_given_what_it_missed() {
    let mut cluster = Cluster::start();
    cluster.wait_whole();
    let client = cluster.client(0);
    let mut objects = Objects::new(&client, "debt");
    let plain = cluster.plain_nodes();
    let away = plain[0];
    cluster.node(away).process.kill_nine();
    let before = blocks(&mut cluster, away);
    objects.write(&client, &LENGTHS);
    objects.must_be_there(&client, PATIENCE, "a node is away");

    cluster.node(away).process.start();
    // A fourth of every object is missing on it.
    let missed = LENGTHS.iter().sum::<usize>() / 4 / BLOCK;
    eventually("the debt is paid", PAID, || {
        let given = blocks(&mut cluster, away).saturating_sub(before);
        if given >= missed {
            Ok(())
        } else {
            Err(format!("{given} of {missed} blocks are there"))
        }
    });
    // The last shards may have been written but not yet be known of.
    std::thread::sleep(Duration::from_secs(3));
    for node in &plain[1..3] {
        cluster.node(*node).process.kill_nine();
    }
    for client in cluster.clients() {
        objects.must_be_there(&client, PATIENCE, "two others are away");
    }
}

/// Blocks of a node's segments that hold anything.
fn blocks(cluster: &mut Cluster, node: usize) -> usize {
    let segments = damage::segments(&cluster.node(node).directory);
    segments
        .iter()
        .map(|path| damage::blocks_with_data(path).len())
        .sum()
}
