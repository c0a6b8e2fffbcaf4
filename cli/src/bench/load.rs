//! The load: as many connections as there are clients, each with one request at a time.
//!
//! ```text
//!   plan.next(client) ─> request ─> signer ─> connection ─> answer ─┬─> latencies, where it is measured
//!        └ which object is asked for next                           └─> the first refusal
//! ```
//!
//! Everything runs on one thread: what the load costs stays off the server's other processors.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use cairn_s3::Timestamp;
use cairn_world::Clock as _;
use cairn_world::real::RealClock;
use tokio::task::JoinSet;

use super::connection::{Answer, Connection};
use super::latency::Latencies;
use super::plan::{Plan, Request};
use super::signer::{Asked, EMPTY, Signer, UNSIGNED};
use crate::Fatal;
use crate::credentials::Credentials;

/// Where the load goes, and how it is signed.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// host:port.
    pub(super) host: String,
    pub(super) region: String,
    pub(super) keys: Credentials,
    pub(super) clients: u16,
    /// Whether bodies are signed.
    pub(super) signed: bool,
}

/// When answers count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) begin: Duration,
    /// No request begins later.
    pub(super) end: Duration,
}

impl Window {
    /// As long as there is something to do.
    pub(super) const OPEN: Self = Self {
        begin: Duration::ZERO,
        end: Duration::MAX,
    };
}

/// What was measured.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) latencies: Latencies,
    /// Object bytes sent and received.
    pub(super) bytes: u64,
    pub(super) failed: u64,
    /// What was said of the first failure.
    pub(super) first: Option<String>,
    /// When the last answer that counts was there.
    pub(super) last: Duration,
}

impl Tally {
    fn new() -> Self {
        Self {
            latencies: Latencies::new(),
            bytes: 0,
            failed: 0,
            first: None,
            last: Duration::ZERO,
        }
    }

    fn note(&mut self, asked: &Request, answer: &Answer, took: Duration) {
        if answer.status >= 300 {
            self.failed += 1;
            let said = answer.refusal.as_deref().unwrap_or_default();
            let Request { method, path, .. } = asked;
            let what = || format!("{method} {path}: {} {said}", answer.status);
            self.first.get_or_insert_with(what);
            return;
        }
        self.latencies.note(took);
        self.bytes += asked.body.map_or(answer.len, |(_, len)| len);
    }
}

/// Carries out a plan.
pub(super) async fn run(
    target: &Target,
    plan: Rc<Plan>,
    window: Window,
    clock: &RealClock,
) -> Result<Tally, Fatal> {
    let tally = Rc::new(RefCell::new(Tally::new()));
    let broken = Rc::new(Cell::new(false));
    let mut clients = JoinSet::new();
    for number in 0..target.clients {
        let (plan, tally, broken) = (Rc::clone(&plan), Rc::clone(&tally), Rc::clone(&broken));
        let target = target.clone();
        let clock = *clock;
        clients.spawn_local(async move {
            let done = client(&target, number, &plan, window, &tally, &broken, &clock).await;
            if done.is_err() {
                broken.set(true);
            }
            done.map_err(|error| Fatal::new(&target.host, error))
        });
    }
    while let Some(done) = clients.join_next().await {
        done.map_err(|error| Fatal::new("a client", error))??;
    }
    drop(clients);
    Ok(tally.borrow().clone())
}

async fn client(
    target: &Target,
    number: u16,
    plan: &Plan,
    window: Window,
    tally: &RefCell<Tally>,
    broken: &Cell<bool>,
    clock: &RealClock,
) -> Result<(), std::io::Error> {
    let mut connection = Connection::open(&target.host).await?;
    let mut signer = Signer::new(&target.host, &target.region, &target.keys);
    let mut turn = plan.client(number);
    while clock.monotonic() < window.end && !broken.get() {
        let Some(asked) = plan.next(&mut turn) else {
            return Ok(());
        };
        let (body, len) = asked.body.unwrap_or_default();
        let digest = match asked.body {
            None => EMPTY.to_owned(),
            Some(_) if target.signed => connection.digest(body, len),
            Some(_) => UNSIGNED.to_owned(),
        };
        let signed = Asked {
            method: asked.method,
            path: &asked.path,
            query: &asked.query,
            digest: &digest,
            len,
        };
        let head = signer.head(&signed, Timestamp::from_millis(clock.wall()));
        let begun = clock.monotonic();
        let answer = connection
            .call(head, body, len, asked.method == "HEAD")
            .await?;
        let now = clock.monotonic();
        if now >= window.begin && now < window.end {
            let mut tally = tally.borrow_mut();
            tally.note(&asked, &answer, now.saturating_sub(begun));
            tally.last = now;
        }
    }
    Ok(())
}
