//! Promise 1 and 2: a server that is killed again and again under mixed load loses nothing that it
//! acknowledged, brings nothing back, and lists exactly what is there.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cairn_compat_suite::Client;
use cairn_tests::random::{self, Random};
use cairn_tests::s3::make_bucket;
use cairn_tests::server::Site;
use cairn_tests::skip::long_run;
use cairn_tests::workload::Worker;

const BUCKET: &str = "storm";
const WORKERS: u64 = 4;

#[test]
fn twenty_kills_under_mixed_load_lose_nothing() {
    let kills = if long_run() { 300 } else { 20 };
    storm(&Site::new(1), kills, random::seed(0xca1a));
}

#[test]
fn kills_of_a_coded_server_lose_nothing() {
    let kills = if long_run() { 100 } else { 5 };
    storm(&Site::new(6), kills, random::seed(0xca1b));
}

fn storm(site: &Site, kills: u64, seed: u64) {
    let mut random = Random::new(seed);
    let mut workers: Vec<Worker> = (0..WORKERS)
        .map(|name| Worker::new(name, BUCKET, seed))
        .collect();
    let mut in_doubt = 0;
    for kill in 0..kills {
        let mut server = site.start();
        let client = server.client.clone();
        if kill == 0 {
            make_bucket(&client, BUCKET);
        }
        judge(
            &mut workers,
            &client,
            &format!("seed {seed}, after kill {kill}"),
        );
        let patience = Duration::from_millis(150 + random.below(1_200));
        let stop = AtomicBool::new(false);
        let gave_up = std::thread::scope(|scope| {
            let running: Vec<_> = workers
                .iter_mut()
                .map(|worker| scope.spawn(|| worker.run(&client, &stop)))
                .collect();
            std::thread::sleep(patience);
            let gave_up = running
                .iter()
                .any(std::thread::ScopedJoinHandle::is_finished);
            server.kill_nine_now();
            gave_up
        });
        let last: Vec<&str> = workers
            .iter()
            .map(|worker| worker.last_unknown.as_str())
            .collect();
        assert!(
            !gave_up,
            "an operation had no clear answer before kill {kill}: {last:#?}"
        );
        in_doubt += workers
            .iter()
            .map(|worker| worker.oracle.uncertain())
            .sum::<usize>();
    }
    let server = site.start();
    judge(
        &mut workers,
        &server.client,
        &format!("seed {seed}, at the end"),
    );
    server.stop();
    let server = site.start();
    judge(
        &mut workers,
        &server.client,
        &format!("seed {seed}, after a clean restart"),
    );
    let acknowledged: u64 = workers.iter().map(|worker| worker.acknowledged).sum();
    let present: usize = workers.iter().map(|worker| worker.oracle.present()).sum();
    assert!(
        acknowledged > 5 * kills,
        "only {acknowledged} operations: no storm"
    );
    assert!(in_doubt > 0, "no kill hit an operation in flight: no storm");
    assert!(present > 0, "nothing left to look at: no storm");
}

/// Looks at every key and every listing, all workers at once.
fn judge(workers: &mut [Worker], client: &Client, when: &str) {
    let looks: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let running: Vec<_> = workers
            .iter_mut()
            .map(|worker| scope.spawn(|| worker.look_at_everything(client)))
            .collect();
        running
            .into_iter()
            .map(|look| look.join().expect("a look"))
            .collect()
    });
    for (look, worker) in looks.into_iter().zip(workers) {
        let broken: Vec<String> = worker.broken.iter().map(ToString::to_string).collect();
        assert!(
            look.is_ok() && broken.is_empty(),
            "{when}: {look:?} {broken:#?}"
        );
    }
}
