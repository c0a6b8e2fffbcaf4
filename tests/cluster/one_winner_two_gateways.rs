//! Promise 2 through two gateways: of many creators of one key exactly one wins, a compare-and-swap
//! counter loses no step, and one order explains what all clients saw.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cairn_compat_suite::{Call, Client};
use cairn_tests::cluster::{Cluster, GATEWAYS};
use cairn_tests::history::History;
use cairn_tests::random;
use cairn_tests::s3::{self, make_bucket, must_put};

use crate::load::play;

const RIVALS: usize = 8;
const ROUNDS: usize = 10;
const STEPS: usize = 5;

#[test]
fn of_many_creators_one_wins_no_step_is_lost_and_one_order_explains_all() {
    let cluster = Cluster::start();
    let clients = cluster.clients();
    make_bucket(&clients[0], "rivals");
    for round in 0..ROUNDS {
        // Inline bodies and bodies in shards by turns.
        let length = if round % 2 == 0 { 1 } else { 80_000 };
        creations(&clients, &format!("rivals/{round}"), length);
    }
    counter(&clients);
    order(&clients);
}

fn creations(clients: &[Client; GATEWAYS], path: &str, length: usize) {
    let winners: Vec<usize> = std::thread::scope(|scope| {
        let rivals: Vec<_> = (0..RIVALS)
            .zip(clients.iter().cycle())
            .map(|(rival, client)| {
                scope.spawn(move || create(client, path, rival, length).then_some(rival))
            })
            .collect();
        rivals
            .into_iter()
            .filter_map(|rival| rival.join().expect("a rival"))
            .collect()
    });
    let [winner] = winners.as_slice() else {
        panic!("{path}: winners {winners:?}");
    };
    for client in clients {
        let stored = client.send(&Call::new("GET", path)).expect("an answer");
        assert!(stored.body == body(*winner, length), "{path}");
    }
}

fn body(rival: usize, length: usize) -> Vec<u8> {
    vec![b'a' + u8::try_from(rival).expect("a small number"); length]
}

fn create(client: &Client, path: &str, rival: usize, length: usize) -> bool {
    let call = s3::put(path, body(rival, length)).header("if-none-match", "*");
    let response = client.send(&call).expect("an answer");
    assert!(
        matches!(response.status, 200 | 409 | 412),
        "{}",
        response.text()
    );
    response.status == 200
}

fn counter(clients: &[Client; GATEWAYS]) {
    must_put(&clients[0], "rivals/counter", b"0");
    let conflicts = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for client in clients.iter().cycle().take(RIVALS) {
            let conflicts = &conflicts;
            scope.spawn(move || {
                for _ in 0..STEPS {
                    while !step(client) {
                        conflicts.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let last = clients[1].send(&Call::new("GET", "rivals/counter"));
    assert_eq!(
        last.expect("an answer").text(),
        (RIVALS * STEPS).to_string()
    );
    assert!(
        conflicts.load(Ordering::Relaxed) > 0,
        "nobody met a rival: the test shows nothing"
    );
}

/// Reads the counter and writes its successor if nobody else did meanwhile.
fn step(client: &Client) -> bool {
    let seen = client.send(&Call::new("GET", "rivals/counter"));
    let seen = seen.expect("an answer");
    let next = seen.text().parse::<u64>().expect("a number") + 1;
    let tag = seen.header("etag").expect("an ETag");
    let call = s3::put("rivals/counter", next.to_string().into_bytes()).header("if-match", tag);
    let response = client.send(&call).expect("an answer");
    assert!(
        matches!(response.status, 200 | 409 | 412),
        "{}",
        response.text()
    );
    response.status == 200
}

fn order(clients: &[Client; GATEWAYS]) {
    make_bucket(&clients[0], "order");
    let history = History::new("order");
    let seed = random::seed(0x0de);
    let (score, ()) = play(&history, 8, clients, seed, || {
        std::thread::sleep(Duration::from_secs(8));
    });
    for client in clients {
        history.read_everything(client).expect("a read");
    }
    assert_eq!(history.violations(), Vec::<String>::new(), "seed {seed}");
    assert_eq!(score.unknown, 0, "nobody died: {score:?}");
    assert!(
        score.written > 100 && score.mismatched > 20 && score.read > 100,
        "too little was played: {score:?}"
    );
}
