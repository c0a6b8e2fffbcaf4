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
fn one_dead_node_stops_no_write_and_two_are_answered_with_slow_down() {
    one_then_two(Loss::Killed);
}

#[test]
fn one_frozen_node_stops_no_write_and_two_are_answered_with_slow_down() {
    one_then_two(Loss::Frozen);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// SIGKILL: the kernel answers for them.
    Killed,
    /// SIGSTOP: nobody answers.
    Frozen,
}

/// A cluster with objects loses one node without a vote, then another, and gets both back.
fn one_then_two(loss: Loss) {
    let mut cluster = Cluster::start();
    cluster.wait_whole();
    let [first, second] = cluster.clients();
    let mut objects = Objects::new(&first, "kept");
    objects.write(&first, &LENGTHS);
    let [one, two, _] = cluster.plain_nodes()[..] else {
        panic!("three nodes without a vote");
    };
    lose(&mut cluster, one, loss);
    objects.write(&second, &LENGTHS);
    objects.write(&first, &CODED);
    for client in [&first, &second] {
        objects.must_be_there(client, PATIENCE, "one node lost");
    }
    lose(&mut cluster, two, loss);
    refuses(&cluster, &objects);
    for client in [&first, &second] {
        objects.must_be_there(client, PATIENCE, "two nodes lost");
    }
    for node in [one, two] {
        match loss {
            Loss::Killed => cluster.node(node).process.start(),
            Loss::Frozen => cluster.node(node).process.thaw(),
        }
    }
    cluster.wait_whole();
    objects.write(&first, &CODED);
    objects.must_be_there(&second, PATIENCE, "all nodes are back");
}

fn lose(cluster: &mut Cluster, node: usize, loss: Loss) {
    match loss {
        Loss::Killed => cluster.node(node).process.kill_nine(),
        Loss::Frozen => cluster.node(node).process.freeze(),
    }
}

fn refuses(cluster: &Cluster, objects: &Objects) {
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
