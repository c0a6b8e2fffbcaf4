//! Promise 7: every process of a cluster is stopped and started again, one after the other, under
//! load, and no client sees an error that one retry does not mend.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cairn_compat_suite::{Call, Client, HttpError, Response};
use cairn_tests::cluster::{Cluster, GATEWAYS, NODES};
use cairn_tests::content::Piece;
use cairn_tests::patience::Stopwatch;
use cairn_tests::random::Random;
use cairn_tests::s3::{self, make_bucket};

const BUCKET: &str = "rolling";
const CLIENTS: u64 = 4;
const KEYS: u64 = 6;
const LENGTHS: [usize; 4] = [100, 5_000, 90_000, 1 << 20];
/// What a client of S3 waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// What an SDK waits before it tries once more (up to a second, at random).
const BEFORE_RETRY: Duration = Duration::from_millis(250);

/// What all clients counted.
#[derive(Debug, Default)]
struct Counted {
    calls: AtomicU64,
    retried: AtomicU64,
}

#[test]
fn a_rolling_restart_costs_at_most_a_retry() {
    let mut cluster = Cluster::start();
    cluster.wait_whole();
    let clients = cluster.clients();
    make_bucket(&clients[0], BUCKET);
    let (stop, counted) = (AtomicBool::new(false), Counted::default());
    let errors: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..CLIENTS)
            .map(|name| {
                let (clients, stop, counted) = (&clients, &stop, &counted);
                scope.spawn(move || User::new(name).run(clients, stop, counted))
            })
            .collect();
        let rolled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| roll(&mut cluster)));
        stop.store(true, Ordering::Relaxed);
        let results = running.into_iter().map(|user| user.join().expect("a user"));
        let errors = results.filter_map(Result::err).collect();
        rolled.unwrap_or_else(|why| std::panic::resume_unwind(why));
        errors
    });
    assert_eq!(errors, Vec::<String>::new(), "{counted:?}");
    let calls = counted.calls.load(Ordering::Relaxed);
    assert!(calls > 300, "only {calls} calls: no load");
}

fn roll(cluster: &mut Cluster) {
    for node in 0..NODES {
        cluster.node(node).process.stop();
        cluster.node(node).process.start();
        cluster.wait_whole();
        let_retries_pass();
    }
    for gateway in 0..GATEWAYS {
        cluster.gateway(gateway).process.stop();
        cluster.gateway(gateway).process.start();
        cluster.wait_ready(gateway);
        let_retries_pass();
    }
}

/// Whoever was refused by the process that is back now tries the other one only after its pause: the
/// next is stopped after that, as an operator would who looks at each before the next.
fn let_retries_pass() {
    std::thread::sleep(4 * BEFORE_RETRY);
}

/// A client with keys of its own, which knows what they hold.
struct User {
    name: u64,
    random: Random,
    held: Vec<Option<Piece>>,
}

impl User {
    fn new(name: u64) -> Self {
        Self {
            name,
            random: Random::new(name + 77),
            held: (0..KEYS).map(|_| None).collect(),
        }
    }

    fn run(
        mut self,
        clients: &[Client],
        stop: &AtomicBool,
        counted: &Counted,
    ) -> Result<(), String> {
        while !stop.load(Ordering::Relaxed) {
            self.step(clients, counted)?;
        }
        Ok(())
    }

    fn step(&mut self, clients: &[Client], counted: &Counted) -> Result<(), String> {
        let key = usize::try_from(self.random.below(KEYS)).unwrap_or(0);
        let path = format!("{BUCKET}/u{}/{key}", self.name);
        let held = self.held.get_mut(key).ok_or("no such key")?;
        let (call, next, status) = match self.random.below(10) {
            0..=3 => {
                let piece = Piece {
                    seed: self.random.next_u64(),
                    length: *self.random.pick(&LENGTHS),
                };
                (s3::put(&path, piece.bytes()), Some(piece), 200)
            }
            4 => (Call::new("DELETE", &path), None, 204),
            _ => {
                let status = if held.is_some() { 200 } else { 404 };
                (Call::new("GET", &path), *held, status)
            }
        };
        let first = usize::try_from(self.random.below(2)).unwrap_or(0);
        let response = with_one_retry(clients, first, &call, counted)?;
        if response.status != status {
            let text = response.text();
            return Err(format!(
                "{} {path}: {} {text}",
                call.method, response.status
            ));
        }
        let expected = next.filter(|_| call.method == "GET").map(Piece::bytes);
        if expected.is_some_and(|bytes| bytes != response.body) {
            return Err(format!("GET {path}: other bytes"));
        }
        *held = next;
        Ok(())
    }
}

/// Sends a call; after an error and an SDK's pause, once more through the other gateway.
fn with_one_retry(
    clients: &[Client],
    first: usize,
    call: &Call,
    counted: &Counted,
) -> Result<Response, String> {
    counted.calls.fetch_add(1, Ordering::Relaxed);
    let why = match attempt(clients, first, call) {
        Ok(response) => return Ok(response),
        Err(why) => why,
    };
    counted.retried.fetch_add(1, Ordering::Relaxed);
    std::thread::sleep(BEFORE_RETRY);
    let again = attempt(clients, first + 1, call);
    again.map_err(|again| format!("{} {}: {why}, then {again}", call.method, call.path))
}

fn attempt(clients: &[Client], gateway: usize, call: &Call) -> Result<Response, String> {
    let client = clients.get(gateway % clients.len()).ok_or("no gateway")?;
    let watch = Stopwatch::start();
    let result: Result<Response, HttpError> = client.with_patience(PATIENCE).send(call);
    let why = match result {
        Ok(response) if response.status < 500 => return Ok(response),
        Ok(response) => format!("{} {}", response.status, response.text()),
        Err(why) => why.to_string(),
    };
    Err(format!("{why} after {:?}", watch.elapsed()))
}
