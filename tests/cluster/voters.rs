//! Each voter is killed in turn under load, the leader among them: another takes over, and no
//! acknowledged write is lost or done twice.

use std::time::Duration;

use cairn_tests::cluster::Cluster;
use cairn_tests::history::History;
use cairn_tests::patience::{Stopwatch, eventually};
use cairn_tests::random;
use cairn_tests::s3::{self, make_bucket};
use cairn_tests::skip::long_run;

use crate::load::play;

/// How long writes may stop when the leader is lost.
const TAKEOVER: Duration = Duration::from_secs(10);

#[test]
fn every_voter_in_turn_may_be_killed_or_hang_under_load() {
    let mut cluster = Cluster::start();
    cluster.wait_whole();
    let clients = cluster.clients();
    make_bucket(&clients[0], "voters");
    let history = History::new("voters");
    let seed = random::seed(0x707e);
    let rounds = if long_run() { 20 } else { 1 };
    let (score, ()) = play(&history, 6, &clients, seed, || {
        for _ in 0..rounds {
            for voter in cluster.voters() {
                std::thread::sleep(Duration::from_millis(700));
                kill(&mut cluster, voter);
                cluster.wait_whole();
                hang(&mut cluster, voter);
                cluster.wait_whole();
            }
        }
    });
    for client in &clients {
        eventually("all is read", TAKEOVER, || history.read_everything(client));
    }
    assert_eq!(history.violations(), Vec::<String>::new(), "seed {seed}");
    assert!(
        score.written > 100 && score.mismatched > 20 && score.read > 100,
        "too little was played: {score:?}"
    );
}

fn kill(cluster: &mut Cluster, voter: usize) {
    cluster.node(voter).process.kill_nine();
    writes_go_on(cluster, "a voter is killed");
    std::thread::sleep(Duration::from_secs(1));
    cluster.node(voter).process.start();
}

/// A voter that hangs for a while, and then goes on as if nothing had been.
fn hang(cluster: &mut Cluster, voter: usize) {
    cluster.node(voter).process.freeze();
    writes_go_on(cluster, "a voter hangs");
    std::thread::sleep(Duration::from_secs(1));
    cluster.node(voter).process.thaw();
}

/// Through both gateways a new object is taken.
fn writes_go_on(cluster: &Cluster, when: &str) {
    let watch = Stopwatch::start();
    for client in cluster.clients() {
        let client = client.with_patience(TAKEOVER);
        let left = TAKEOVER.saturating_sub(watch.elapsed());
        eventually(when, left, || {
            let call = s3::put("whole/goes-on", vec![7; 100_000]);
            let response = client.send(&call).map_err(|why| why.to_string())?;
            match response.status {
                200 => Ok(()),
                status => Err(format!("{status} {}", response.text())),
            }
        });
    }
}
