//! The workload of the simulated cluster on one healthy node: it finds nothing wrong there, makes
//! every kind of call, and finds a gateway that lies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_compat_suite::call::Call;
use cairn_metadata::Planner;
use cairn_rpc::DiskRoute;
use cairn_tests::simulated::door::{Answer, Door, Heard};
use cairn_tests::simulated::history::History;
use cairn_tests::simulated::workload::{Kind, Options, Run, Workload};
use cairn_world::Clock as _;
use cairn_world::sim::SeededRng;
use futures_util::StreamExt as _;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use sha2::{Digest as _, Sha256};

use crate::clock::{PausedClock, START};
use crate::machine::{Machine, Node};
use crate::s3::request;

/// One node, as two gateways.
struct OneNode {
    node: Node,
    clock: Arc<PausedClock>,
}

impl OneNode {
    async fn answer<B>(&self, request: Request<B>) -> Heard
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // A network that takes a moment, so that calls overlap.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let response = self.node.gateway.respond(request).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = headers
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect();
        match response.into_body().collect().await {
            Ok(body) => Heard::Answer(Answer {
                status,
                headers,
                body: body.to_bytes(),
            }),
            Err(_) => Heard::BrokenBody {
                status,
                headers,
                received: Bytes::new(),
            },
        }
    }
}

#[async_trait]
impl Door for OneNode {
    fn gateways(&self) -> usize {
        2
    }

    fn now_secs(&self) -> u64 {
        START / 1_000 + self.clock.monotonic().as_secs()
    }

    async fn send(&self, _gateway: usize, call: Call) -> Heard {
        self.answer(request(call, self.clock.monotonic().as_secs()))
            .await
    }

    async fn send_slowly(
        &self,
        _gateway: usize,
        call: Call,
        piece: usize,
        pause: Duration,
    ) -> Heard {
        let signed = request(call, self.clock.monotonic().as_secs());
        let (parts, whole) = signed.into_parts();
        let whole = whole.collect().await.unwrap().to_bytes();
        let pieces: Vec<Bytes> = whole.chunks(piece).map(Bytes::copy_from_slice).collect();
        let frames = futures_util::stream::iter(pieces).then(move |piece| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, std::io::Error>(Frame::data(piece))
        });
        let body = StreamBody::new(Box::pin(frames));
        self.answer(Request::from_parts(parts, body)).await
    }
}

/// What a door may do to a call or its answer.
type Trick = fn(&Liar, &str, &Call, Heard) -> Heard;

/// A door that does not let everything through as it was.
struct Liar {
    honest: OneNode,
    /// Whether this call is passed over, and answered as if it had been made.
    swallows: fn(u64, &Call) -> bool,
    trick: Trick,
    calls: AtomicU64,
    remembered: std::sync::Mutex<BTreeMap<String, Heard>>,
}

#[async_trait]
impl Door for Liar {
    fn gateways(&self) -> usize {
        2
    }

    fn now_secs(&self) -> u64 {
        self.honest.now_secs()
    }

    async fn send(&self, gateway: usize, call: Call) -> Heard {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let name = format!("{} {}", call.method, call.path);
        if (self.swallows)(number, &call) {
            return Heard::Answer(Answer {
                status: if call.method == "DELETE" { 204 } else { 200 },
                headers: vec![(
                    "etag".into(),
                    cairn_compat_suite::checksums::etag(&call.body),
                )],
                body: Bytes::new(),
            });
        }
        let heard = self.honest.send(gateway, call.clone()).await;
        (self.trick)(self, &name, &call, heard)
    }

    async fn send_slowly(
        &self,
        gateway: usize,
        call: Call,
        piece: usize,
        pause: Duration,
    ) -> Heard {
        self.honest.send_slowly(gateway, call, piece, pause).await
    }
}

struct Outcome {
    violations: Vec<String>,
    history: Arc<History>,
    trace: String,
}

/// Starts a node with its keepers, runs a workload through a door to it, and looks.
async fn simulate(
    seed: u64,
    calls: u64,
    options: &Options,
    door: impl FnOnce(OneNode) -> Arc<dyn Door>,
) -> Outcome {
    let clock = Arc::new(PausedClock::new());
    let machine = Machine::with_segments(seed, 64 << 20);
    let node = machine.start_at(clock.clone()).await.unwrap();
    let disk = node.storage.disks().first().unwrap().disk.unwrap();
    let route = DiskRoute {
        shards: node.storage.clone(),
        inventory: node.storage.clone(),
        rebuild: None,
    };
    let nodes = Arc::new(BTreeMap::from([(disk, route)]));
    let planner = Planner::new(Arc::clone(&node.metadata), nodes);
    let gateway = node.gateway.clone();
    let keepers = [
        tokio::spawn(async move { gateway.keep().await }),
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(10)).await;
                while planner.round().await.unwrap() {}
            }
        }),
    ];
    let mut rng = SeededRng::new(seed);
    let workload = Workload::draw(&mut rng, options);
    let history = Arc::new(History::new());
    let door = door(OneNode { node, clock });
    let run = Run::new(workload, door, Arc::clone(&history));
    run.prepare().await;
    let counted = Arc::clone(&history);
    let until = move || {
        let counts = counted.counts();
        let ended = |count: &cairn_tests::simulated::history::Count| {
            count.acknowledged + count.refused + count.unknown
        };
        counts.values().map(ended).sum::<u64>() >= calls
    };
    run.clients(&mut rng, until).await;
    run.audit(&mut rng).await;
    keepers.iter().for_each(tokio::task::JoinHandle::abort);
    let mut trace = Sha256::new();
    history.fold_into(&mut |bytes| trace.update(bytes));
    Outcome {
        violations: history.violations(),
        trace: hex::encode(trace.finalize()),
        history,
    }
}

fn paused<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}

fn honest(node: OneNode) -> Arc<dyn Door> {
    Arc::new(node)
}

fn everything() -> Options {
    Options {
        everything: true,
        ..Options::default()
    }
}

#[test]
fn a_healthy_node_is_right_and_every_kind_of_call_is_made() {
    let mut missing: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    for seed in 1..=3 {
        let outcome = paused(simulate(seed, 1_500, &everything(), honest));
        assert_eq!(outcome.violations, Vec::<String>::new(), "seed {seed}");
        let counts = outcome.history.counts();
        missing.retain(|kind| counts.get(kind).is_none_or(|count| count.acknowledged == 0));
        let unknown: u64 = counts.values().map(|count| count.unknown).sum();
        assert_eq!(unknown, 0, "seed {seed}: {counts:?}");
    }
    assert!(missing.is_empty(), "never acknowledged: {missing:?}");
}

#[test]
fn a_seed_is_a_run_and_another_is_another() {
    let run = |seed| paused(simulate(seed, 300, &Options::default(), honest)).trace;
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn drawn_workloads_find_nothing_on_a_healthy_node() {
    for seed in 100..110 {
        let outcome = paused(simulate(seed, 400, &Options::default(), honest));
        assert_eq!(outcome.violations, Vec::<String>::new(), "seed {seed}");
    }
}

/// Some calls have no answer, whether they were carried out or not.
#[test]
fn lost_answers_are_no_violation() {
    fn lose(liar: &Liar, _: &str, _: &Call, heard: Heard) -> Heard {
        match liar.calls.load(Ordering::Relaxed) % 7 {
            0 => Heard::Lost,
            _ => heard,
        }
    }
    for seed in 20..23 {
        let door = |node| lying(node, |_, _| false, lose);
        let outcome = paused(simulate(seed, 1_000, &everything(), door));
        assert_eq!(outcome.violations, Vec::<String>::new(), "seed {seed}");
        let counts = outcome.history.counts();
        assert!(counts["Put"].unknown > 0, "{counts:?}");
    }
}

fn lying(node: OneNode, swallows: fn(u64, &Call) -> bool, trick: Trick) -> Arc<dyn Door> {
    Arc::new(Liar {
        honest: node,
        swallows,
        trick,
        calls: AtomicU64::new(0),
        remembered: std::sync::Mutex::default(),
    })
}

fn as_it_is(_: &Liar, _: &str, _: &Call, heard: Heard) -> Heard {
    heard
}

fn wrong_byte(liar: &Liar, name: &str, _: &Call, heard: Heard) -> Heard {
    match heard {
        Heard::Answer(answer)
            if name.starts_with("GET /simulated-one/g")
                && answer.status == 200
                && !answer.body.is_empty()
                && liar.calls.load(Ordering::Relaxed).is_multiple_of(9) =>
        {
            let mut body = answer.body.to_vec();
            body.iter_mut()
                .next_back()
                .into_iter()
                .for_each(|last| *last ^= 1);
            let body = body.into();
            Heard::Answer(Answer { body, ..answer })
        }
        heard => heard,
    }
}

fn stale(liar: &Liar, name: &str, call: &Call, heard: Heard) -> Heard {
    let plain = call.headers.is_empty() && call.query.is_empty();
    if !plain || !name.starts_with("GET /simulated-one/g") {
        return heard;
    }
    let mut remembered = liar.remembered.lock().unwrap();
    remembered.entry(name.to_owned()).or_insert(heard).clone()
}

fn stale_list(liar: &Liar, name: &str, call: &Call, heard: Heard) -> Heard {
    if name != "GET /simulated-one" && name != "GET /simulated-two" {
        return heard;
    }
    let name = format!("{name} {:?}", call.query);
    let mut remembered = liar.remembered.lock().unwrap();
    remembered.entry(name).or_insert(heard).clone()
}

fn lost_chunk(liar: &Liar, name: &str, _: &Call, heard: Heard) -> Heard {
    match heard {
        Heard::Answer(answer)
            if name.starts_with("GET /cas/chunks/")
                && liar.calls.load(Ordering::Relaxed).is_multiple_of(3) =>
        {
            Heard::Answer(Answer {
                status: 404,
                ..answer
            })
        }
        heard => heard,
    }
}

/// Every lie on its own, told now and then.
#[test]
fn a_gateway_that_lies_is_found() {
    let lost_put = |number: u64, call: &Call| {
        number.is_multiple_of(11)
            && call.method == "PUT"
            && call.query.is_empty()
            && call.path.starts_with("/simulated-")
            && call.path.contains("/g")
            && !call
                .headers
                .iter()
                .any(|(name, _)| name != "x-amz-meta-value")
    };
    let lost_delete = |number: u64, call: &Call| {
        number.is_multiple_of(3)
            && call.method == "DELETE"
            && call.path.contains("/g")
            && call.query.is_empty()
    };
    let lost_abort = |number: u64, call: &Call| {
        number.is_multiple_of(2) && call.method == "DELETE" && !call.query.is_empty()
    };
    let none = |_: u64, _: &Call| false;
    type Lie = (&'static str, fn(u64, &Call) -> bool, Trick);
    let lies: [Lie; 7] = [
        ("a wrong byte", none, wrong_byte),
        ("stale reads", none, stale),
        ("stale listings", none, stale_list),
        ("a leased chunk that is gone", none, lost_chunk),
        ("a PUT that is not made", lost_put, as_it_is),
        ("a DELETE that is not made", lost_delete, as_it_is),
        ("an abort that is not made", lost_abort, as_it_is),
    ];
    for (lie, swallows, trick) in lies {
        let door = |node| lying(node, swallows, trick);
        let outcome = paused(simulate(31, 700, &everything(), door));
        assert!(!outcome.violations.is_empty(), "{lie} is not found");
    }
}
