//! Writes while the ack rule can be met, and a quick 503 SlowDown that leaves nothing behind where
//! it cannot: of 4+2 on six nodes one may be lost, not two.

use std::time::Duration;

use cairn_compat_suite::{Client, Response, xml};
use cairn_tests::cluster::Cluster;
use cairn_tests::content::{Content, Piece};
use cairn_tests::objects::{LENGTHS, Objects};
use cairn_tests::oracle::Observation;
use cairn_tests::patience::Stopwatch;
use cairn_tests::s3;

/// A refusal must come within this time (issue 4, point 3).
const REFUSAL: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(20);
/// Bodies that need a shard on five nodes.
const CODED: [usize; 3] = [65_536, 300_001, 3 << 20];

#[test]
fn one_dead_node_stops_no_write() {
    with_nodes_lost(1, Loss::Killed, |cluster, _| {
        let mut later = Objects::new(&cluster.client(1), "later");
        for index in 0..2 {
            later.write(&cluster.client(index), &LENGTHS);
        }
        for client in cluster.clients() {
            later.must_be_there(&client, PATIENCE, "written without a node");
        }
    });
}

#[test]
fn one_frozen_node_stops_no_write() {
    with_nodes_lost(1, Loss::Frozen, |cluster, _| {
        let mut later = Objects::new(&cluster.client(1), "later");
        later.write(&cluster.client(0), &LENGTHS);
        later.must_be_there(&cluster.client(1), PATIENCE, "written past a frozen node");
    });
}

#[test]
fn two_dead_nodes_are_answered_with_slow_down() {
    with_nodes_lost(2, Loss::Killed, refuses);
}

#[test]
fn two_frozen_nodes_are_answered_with_slow_down() {
    with_nodes_lost(2, Loss::Frozen, refuses);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// SIGKILL: the kernel answers for them.
    Killed,
    /// SIGSTOP: nobody answers.
    Frozen,
}

/// Runs `then` on a cluster with objects that has lost nodes without a vote, and brings them back.
fn with_nodes_lost(count: usize, loss: Loss, then: impl FnOnce(&mut Cluster, &Objects)) {
    let mut cluster = Cluster::start();
    cluster.wait_whole();
    let mut objects = Objects::new(&cluster.client(0), "kept");
    objects.write(&cluster.client(0), &LENGTHS);
    let lost: Vec<usize> = cluster.plain_nodes().into_iter().take(count).collect();
    for node in &lost {
        match loss {
            Loss::Killed => cluster.node(*node).process.kill_nine(),
            Loss::Frozen => cluster.node(*node).process.freeze(),
        }
    }
    then(&mut cluster, &objects);
    for client in cluster.clients() {
        objects.must_be_there(&client, PATIENCE, "with nodes lost");
    }
    for node in &lost {
        match loss {
            Loss::Killed => cluster.node(*node).process.start(),
            Loss::Frozen => cluster.node(*node).process.thaw(),
        }
    }
    cluster.wait_whole();
    objects.write(&cluster.client(0), &CODED);
    objects.must_be_there(&cluster.client(1), PATIENCE, "with all nodes back");
}

fn refuses(cluster: &mut Cluster, objects: &Objects) {
    for client in cluster.clients() {
        // Who has just died is found out by the first who calls.
        let warm_up = refused(&client, "kept/warm-up", CODED[0]);
        assert_eq!(warm_up.0.status, 503, "{}", warm_up.0.text());
        for (number, length) in CODED.into_iter().enumerate() {
            for path in [format!("kept/fresh{number}"), objects.path("0003")] {
                let (response, took) = refused(&client, &path, length);
                let root = xml::parse(&response.text()).expect("an XML error");
                assert_eq!(
                    (response.status, root.child("Code")),
                    (503, Some("SlowDown")),
                    "PUT {path} of {length} bytes"
                );
                assert!(took < REFUSAL, "PUT {path} of {length} bytes took {took:?}");
            }
        }
        let inline = s3::put("kept/inline", b"needs no shard".to_vec());
        let inline = client.send(&inline).expect("an answer");
        assert_eq!(inline.status, 200, "{}", inline.text());
    }
    for client in cluster.clients() {
        for number in 0..CODED.len() {
            let seen = s3::observe(&client, &format!("kept/fresh{number}"));
            assert_eq!(seen, Ok(Observation::Absent));
        }
    }
    let gone = cairn_compat_suite::Call::new("DELETE", "kept/inline");
    let gone = cluster.client(0).send(&gone).expect("an answer");
    assert_eq!(gone.status, 204);
}

fn refused(client: &Client, path: &str, length: usize) -> (Response, Duration) {
    let content = Content::Whole(Piece { seed: 5, length });
    let call = s3::put(path, content.bytes());
    let watch = Stopwatch::start();
    let response = client.send(&call).expect("an answer");
    (response, watch.elapsed())
}
