//! Concurrent clients on a few shared names.
//!
//! ```text
//! Workload::draw   which kinds of calls, how often, of what sizes, how fast: another mix for each seed
//!    │
//!    ▼
//! Client × 6..12 ── draws a kind ── Call ── Door ── a gateway at random
//!    │  names of one generation; a new one every 150 calls, so that no name's history grows long
//!    ▼
//! History
//! ```

mod ask;
mod audit;
mod buckets;
mod chunks;
mod client;
mod copies;
mod document;
mod kind;
mod lists;
mod objects;
mod reads;
mod uploads;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use cairn_world::sim::SeededRng;

use super::content::Class;
use super::door::Door;
use super::history::History;
use client::{Client, Shared};
pub use kind::Kind;

/// The buckets that stay.
pub const BUCKETS: [&str; 2] = ["simulated-one", "simulated-two"];

/// What a workload may have.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many clients.
    pub clients: RangeInclusive<u64>,
    /// Bodies of more than one chunk, at most twice in a run.
    pub large: bool,
    /// Multipart uploads with parts of 5 MiB.
    pub parts: bool,
    /// Uploads that take minutes to more than an hour.
    pub slow: bool,
    /// Every kind of call with the same weight, instead of a drawn few.
    pub everything: bool,
    /// Bodies that need no disks, and no others.
    pub small: bool,
    /// Kinds of calls that are drawn for certain, and often.
    pub often: &'static [Kind],
    /// Steps of all clients after which they take their time, to keep a run affordable.
    pub brisk: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clients: 6..=12,
            large: false,
            parts: true,
            slow: true,
            everything: false,
            small: false,
            often: &[],
            brisk: 3_000,
        }
    }
}

/// The drawn workload of a run.
#[derive(Debug, Clone)]
pub struct Workload {
    clients: u64,
    weights: BTreeMap<Kind, u64>,
    classes: BTreeMap<Class, u64>,
    /// Names of one generation, 2 to 4: bucket and key within the generation.
    names: Vec<(&'static str, &'static str)>,
    /// Contents of one class in use at one time.
    contents: u64,
    /// Most bodies of more than one chunk.
    large: u64,
    /// Whether some uploads have parts of 5 MiB.
    parts: bool,
    /// Longest slow upload.
    slowest: Duration,
    /// Mean rest between two calls of a client.
    rest: Duration,
    /// Steps of all clients after which they take their time.
    brisk: u64,
}

impl Workload {
    /// Draws a workload.
    #[must_use]
    pub fn draw(rng: &mut SeededRng, options: &Options) -> Self {
        let (least, most) = (*options.clients.start(), *options.clients.end());
        let clients = least + rng.below(most.saturating_sub(least) + 1);
        let [one, two] = BUCKETS;
        let all = [
            (one, "a"),
            (one, "d/b"),
            (two, "a"),
            (two, "d/c"),
            (one, "d/e"),
        ];
        let skipped = rng.below(all.len() as u64) as usize;
        let count = 2 + rng.below(3) as usize;
        let names = all.iter().cycle().skip(skipped).take(count).copied();
        Self {
            clients,
            weights: kind::draw(rng, options),
            classes: classes(rng, options),
            names: names.collect(),
            contents: 2 + rng.below(5),
            large: if options.large { 1 + rng.below(2) } else { 0 },
            parts: (options.everything || rng.chance(1, 2)) && options.parts,
            slowest: Duration::from_secs(match rng.below(6) {
                0..=2 => 180,
                3 | 4 => 900,
                _ => 4_200,
            }),
            rest: Duration::from_millis(20 << (2 * rng.below(5))),
            brisk: options.brisk,
        }
    }
}

/// A workload on its way: the clients share what they know.
#[derive(Clone)]
pub struct Run {
    shared: Arc<Shared>,
}

impl Run {
    /// A run that has not begun.
    #[must_use]
    pub fn new(workload: Workload, door: Arc<dyn Door>, history: Arc<History>) -> Self {
        let shared = Arc::new(Shared::new(workload, door, history));
        Self { shared }
    }

    /// Makes the buckets that stay; tries until it is told that they are made.
    pub async fn prepare(&self) {
        let client = Client::new(0, SeededRng::new(0), Arc::clone(&self.shared));
        for bucket in BUCKETS {
            client.make_main_bucket(bucket).await;
        }
    }

    /// Runs all clients on the current runtime until each has seen `until` and ended its last call.
    pub async fn clients(
        &self,
        rng: &mut SeededRng,
        until: impl Fn() -> bool + Clone + Send + 'static,
    ) {
        self.shared.start_brisk();
        let mut tasks = Vec::new();
        for name in 1..=self.shared.workload.clients {
            let rng = SeededRng::new(rng.next_u64());
            let mut client = Client::new(name, rng, Arc::clone(&self.shared));
            let until = until.clone();
            tasks.push(tokio::spawn(async move {
                while !until() {
                    client.step().await;
                }
            }));
        }
        for task in tasks {
            if let Err(failed) = task.await {
                let fault = format!("a client ended: {failed}");
                self.shared.history.fault(fault);
            }
        }
    }

    /// After the cluster has healed: reads every name, listing, upload and leased chunk once more.
    /// What cannot be read in many attempts is a fault.
    pub async fn audit(&self, rng: &mut SeededRng) {
        let rng = SeededRng::new(rng.next_u64());
        Client::new(u64::MAX, rng, Arc::clone(&self.shared))
            .audit()
            .await;
    }
}

/// Sizes: all but the rare ones, each with a weight.
fn classes(rng: &mut SeededRng, options: &Options) -> BTreeMap<Class, u64> {
    let common = [
        Class::Empty,
        Class::Inline,
        Class::Copies,
        Class::Stripe,
        Class::Stripes,
    ];
    if options.small {
        return BTreeMap::from([(Class::Empty, 1), (Class::Inline, 4)]);
    }
    let mut weights = BTreeMap::new();
    for class in common {
        let weight = if options.everything { 1 } else { rng.below(6) };
        weights.insert(class, weight);
    }
    // So that something is written whatever was drawn.
    *weights.entry(Class::Copies).or_default() += 1;
    *weights.entry(Class::Stripe).or_default() += 1;
    weights
}

impl fmt::Display for Workload {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            clients,
            weights,
            classes,
            names,
            contents,
            large,
            parts,
            slowest: _,
            rest,
            brisk: _,
        } = self;
        write!(
            out,
            "{clients} clients, rest {rest:?}, {contents} contents of a size, "
        )?;
        write!(
            out,
            "{large} of more than a chunk, parts of 5 MiB: {parts}, "
        )?;
        write!(out, "names {names:?}, sizes")?;
        for (class, weight) in classes.iter().filter(|(_, weight)| **weight > 0) {
            write!(out, " {class:?}:{weight}")?;
        }
        write!(out, ", calls")?;
        weights
            .iter()
            .try_for_each(|(kind, weight)| write!(out, " {}:{weight}", kind.name()))
    }
}

#[cfg(test)]
mod tests;
