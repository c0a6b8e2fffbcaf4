//! Promise 2 for conditional requests: of many creators of one key exactly one wins, and a
//! compare-and-swap counter loses no step.

use std::sync::atomic::{AtomicU64, Ordering};

use cairn_compat_suite::checksums::etag;
use cairn_compat_suite::{Call, Client};
use cairn_tests::s3::{self, make_bucket, must_put};
use cairn_tests::server::Site;

const RIVALS: u64 = 8;
const ROUNDS: u64 = 10;
const STEPS: u64 = 5;

#[test]
fn of_many_creators_one_wins() {
    let site = Site::new(1);
    let server = site.start();
    make_bucket(&server.client, "rivals");
    for round in 0..ROUNDS {
        let path = format!("rivals/{round}");
        let winners: Vec<u64> = std::thread::scope(|scope| {
            let (client, path) = (&server.client, &path);
            let rivals: Vec<_> = (0..RIVALS)
                .map(|rival| scope.spawn(move || create(client, path, rival).then_some(rival)))
                .collect();
            rivals
                .into_iter()
                .filter_map(|rival| rival.join().expect("a rival"))
                .collect()
        });
        assert_eq!(winners.len(), 1, "round {round}: winners {winners:?}");
        let stored = server
            .client
            .send(&Call::new("GET", &path))
            .expect("an answer");
        let expected: Vec<u64> = stored.text().parse().into_iter().collect();
        assert_eq!(expected, winners, "round {round}");
    }
}

fn create(client: &Client, path: &str, rival: u64) -> bool {
    let call = s3::put(path, rival.to_string().into_bytes()).header("if-none-match", "*");
    let response = client.send(&call).expect("an answer");
    assert!(
        matches!(response.status, 200 | 409 | 412),
        "{}",
        response.text()
    );
    response.status == 200
}

#[test]
fn compare_and_swap_loses_no_step() {
    let site = Site::new(1);
    let server = site.start();
    make_bucket(&server.client, "counter");
    must_put(&server.client, "counter/k", b"0");
    let conflicts = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..RIVALS {
            scope.spawn(|| {
                for _ in 0..STEPS {
                    while !step(&server.client) {
                        conflicts.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let last = server
        .client
        .send(&Call::new("GET", "counter/k"))
        .expect("an answer");
    assert_eq!(last.text(), (RIVALS * STEPS).to_string());
    assert!(
        conflicts.load(Ordering::Relaxed) > 0,
        "nobody met a rival: the test shows nothing"
    );
}

/// Reads the counter and writes its successor if nobody else did meanwhile.
fn step(client: &Client) -> bool {
    let seen = client
        .send(&Call::new("GET", "counter/k"))
        .expect("an answer");
    let next = seen.text().parse::<u64>().expect("a number") + 1;
    let tag = seen.header("etag").expect("an ETag").to_owned();
    assert_eq!(tag, etag(&seen.body));
    let call = s3::put("counter/k", next.to_string().into_bytes()).header("if-match", &tag);
    let response = client.send(&call).expect("an answer");
    assert!(
        matches!(response.status, 200 | 409 | 412),
        "{}",
        response.text()
    );
    response.status == 200
}
