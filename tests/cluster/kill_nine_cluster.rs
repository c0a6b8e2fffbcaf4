//! Promise 1 and 2: whatever processes of a cluster are killed under mixed load, all that was
//! acknowledged is there once they run again.

use std::time::Duration;

use cairn_compat_suite::Client;
use cairn_tests::cluster::Cluster;
use cairn_tests::patience::eventually;
use cairn_tests::random::{self, Random};
use cairn_tests::s3::make_bucket;
use cairn_tests::skip::long_run;
use cairn_tests::workload::Worker;

use crate::load::work;

const BUCKET: &str = "storm";
const WORKERS: u64 = 4;
/// How long a cluster may take until everything can be read again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who dies in a round.
#[derive(Debug, Clone, Copy)]
enum Blow {
    /// One process, a node or a gateway.
    One,
    /// Two nodes.
    TwoNodes,
    /// Every process at once: a power cut.
    All,
}

#[test]
fn kills_of_random_processes_under_mixed_load_lose_nothing() {
    let rounds = if long_run() { 100 } else { 7 };
    let seed = random::seed(0xca1c);
    let mut random = Random::new(seed);
    let mut cluster = Cluster::start();
    cluster.wait_whole();
    let clients = cluster.clients();
    make_bucket(&clients[0], BUCKET);
    let mut workers: Vec<Worker> = (0..WORKERS)
        .map(|name| Worker::new(name, BUCKET, seed))
        .collect();
    let mut in_doubt = 0;
    for round in 0..rounds {
        let blow = match round % 7 {
            2 | 4 => Blow::TwoNodes,
            5 => Blow::All,
            _ => Blow::One,
        };
        work(&mut workers, &clients, || {
            strike(&mut cluster, blow, &mut random);
        });
        in_doubt += workers
            .iter()
            .map(|worker| worker.oracle.uncertain())
            .sum::<usize>();
        start_the_dead(&mut cluster);
        let client = random.pick(&clients).clone();
        let when = format!("seed {seed}, round {round}, {blow:?}");
        judge(&mut workers, &client, &when);
    }
    let acknowledged: u64 = workers.iter().map(|worker| worker.acknowledged).sum();
    let present: usize = workers.iter().map(|worker| worker.oracle.present()).sum();
    assert!(
        acknowledged > 5 * rounds,
        "only {acknowledged} operations: no storm"
    );
    assert!(in_doubt > 0, "no kill hit an operation in flight: no storm");
    assert!(present > 0, "nothing left to look at: no storm");
}

/// Lets the load run, kills, and lets it run against what is left.
fn strike(cluster: &mut Cluster, blow: Blow, random: &mut Random) {
    let mut pause = || Duration::from_millis(300 + random.below(1_200));
    let (before, after) = (pause(), pause());
    std::thread::sleep(before);
    match blow {
        Blow::One => {
            let count = cluster.processes().count() as u64;
            let victim = usize::try_from(random.below(count)).expect("a small number");
            let process = cluster.processes().nth(victim).expect("a process");
            process.kill_nine();
        }
        Blow::TwoNodes => {
            let count = cluster.nodes.len() as u64;
            let first = random.below(count);
            let second = (first + 1 + random.below(count - 1)) % count;
            for node in [first, second] {
                let node = usize::try_from(node).expect("a small number");
                cluster.node(node).process.kill_nine();
            }
        }
        Blow::All => cluster.processes().for_each(|process| process.kill_nine()),
    }
    std::thread::sleep(after);
}

fn start_the_dead(cluster: &mut Cluster) {
    for process in cluster.processes() {
        if !process.is_running() {
            process.start();
        }
    }
    cluster.wait_whole();
}

/// Looks at every key and every listing, all workers at once.
fn judge(workers: &mut [Worker], client: &Client, when: &str) {
    let client = &client.with_patience(PATIENCE);
    std::thread::scope(|scope| {
        for worker in workers.iter_mut() {
            scope.spawn(|| {
                let what = format!("{when}: everything is read");
                eventually(&what, PATIENCE, || worker.look_at_everything(client));
            });
        }
    });
    let broken: Vec<String> = workers
        .iter()
        .flat_map(|worker| &worker.broken)
        .map(ToString::to_string)
        .collect();
    assert!(broken.is_empty(), "{when}: {broken:#?}");
}
