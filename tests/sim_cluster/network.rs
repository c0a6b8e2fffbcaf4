//! The message network: calls between processes that are delayed, overtake each other, are lost, arrive
//! twice or after their caller has gone, and lines that are cut one way or both.
//!
//! ```text
//!   caller ── courier ──(delay, cut?)──> server process: a task of its own ──(delay, cut?)──> caller
//!      └─ waits as long as its patience; whether the courier then turns back is fate
//! ```

pub(crate) mod metadata;
pub(crate) mod raft;
pub(crate) mod shards;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cairn_metadata::Metadata;
use cairn_rpc::ShardRebuild;
use cairn_storage_node::StorageNode;
use cairn_world::sim::SeededRng;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::process::Process;
use crate::trace::Trace;

/// How bad the network is. Chances are of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Calls that never arrive; answers too.
    pub(crate) lost: u64,
    /// Calls that arrive twice, where the caller may send twice.
    pub(crate) repeated: u64,
    /// Calls that take a hundred times as long.
    pub(crate) late: u64,
    /// Longest usual delay of one way.
    pub(crate) delay: Duration,
}

impl Weather {
    pub(crate) fn fair() -> Self {
        Self {
            delay: Duration::from_millis(2),
            ..Self::default()
        }
    }
}

/// What a process answers to. A gateway answers nobody here.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) process: Process,
    pub(crate) metadata: Option<Arc<Metadata>>,
    pub(crate) storage: Option<Arc<StorageNode>>,
    pub(crate) rebuild: Option<Arc<dyn ShardRebuild>>,
}

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It was certainly not carried out.
    NotSent,
    /// It may have been.
    NoAnswer,
}

/// The network. Clones are the same.
#[derive(Clone)]
pub(crate) struct Network(Arc<Mutex<Lines>>);

struct Lines {
    there: BTreeMap<u64, Services>,
    /// From, to.
    cut: BTreeSet<(u64, u64)>,
    /// Nodes whose disks are slow, and how slow at most.
    slow: BTreeMap<u64, Duration>,
    /// Nodes that hear everything so much later.
    lag: BTreeMap<u64, Duration>,
    weather: Weather,
    random: SeededRng,
    trace: Trace,
    counts: Counts,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) cut: u64,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
struct Fate {
    lost: bool,
    answer_lost: bool,
    /// Where its line is cut it waits for the line instead of being lost.
    waits: bool,
    /// It ends where its caller goes away; else it is carried out all the same.
    turns_back: bool,
    there: Duration,
    back: Duration,
}

/// Asked again so often whether a line is there again.
const MENDED: Duration = Duration::from_millis(200);

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            there: BTreeMap::new(),
            cut: BTreeSet::new(),
            slow: BTreeMap::new(),
            lag: BTreeMap::new(),
            weather: Weather::fair(),
            random: SeededRng::new(seed),
            trace,
            counts: Counts::default(),
        })))
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap()
    }

    /// The process answers from now on.
    pub(crate) fn connect(&self, services: Services) {
        let id = services.process.id;
        self.lines().there.insert(id, services);
    }

    pub(crate) fn disconnect(&self, id: u64) {
        self.lines().there.remove(&id);
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        self.lines().weather = weather;
    }

    /// Nothing goes from `from` to `to`.
    pub(crate) fn cut_way(&self, from: u64, to: u64) {
        self.lines().cut.insert((from, to));
    }

    /// Every line is there again, and every disk as quick as it was.
    pub(crate) fn mend(&self) {
        let mut lines = self.lines();
        lines.cut.clear();
        lines.slow.clear();
        lines.lag.clear();
        lines.weather = Weather::fair();
    }

    /// Lines that were cut are there again.
    pub(crate) fn mend_lines(&self) {
        self.lines().cut.clear();
    }

    /// The disks of a node take up to so long.
    pub(crate) fn slow_disks(&self, node: u64, up_to: Duration) {
        self.lines().slow.insert(node, up_to);
    }

    /// A node hears everything so much later.
    pub(crate) fn lag(&self, node: u64, by: Duration) {
        self.lines().lag.insert(node, by);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lines().counts
    }

    /// How long the disks of a node take this time.
    fn disk_time(&self, node: u64) -> Duration {
        let mut lines = self.lines();
        let most = lines.slow.get(&node).copied().unwrap_or_default();
        let most = u64::try_from(most.as_micros()).unwrap();
        Duration::from_micros(lines.random.below(most + 1))
    }

    fn is_cut(&self, from: u64, to: u64) -> bool {
        self.lines().cut.contains(&(from, to))
    }

    fn is_repeated(&self) -> bool {
        let mut lines = self.lines();
        let times = lines.weather.repeated;
        let repeated = lines.random.chance(times, 1_000);
        lines.counts.repeated += u64::from(repeated);
        repeated
    }

    /// Calls process `to`: `serve` runs there, in a task of that process.
    pub(crate) async fn call<T, F>(
        &self,
        caller: &Process,
        to: u64,
        patience: Duration,
        serve: impl FnOnce(Services) -> F + Send + 'static,
    ) -> Result<T, Loss>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        if caller.is_dead() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Err(Loss::NoAnswer);
        }
        let fate = self.lines().fate(to);
        let (told, answer) = oneshot::channel();
        let courier = Courier {
            network: self.clone(),
            caller: caller.clone(),
            to,
            fate,
            patience,
        };
        let task = tokio::spawn(courier.run(serve, told));
        let _turning = TurnBack {
            task: fate.turns_back.then(|| task.abort_handle()),
        };
        let outcome = tokio::select! {
            biased;
            outcome = answer => outcome.unwrap_or(Err(Loss::NoAnswer)),
            () = tokio::time::sleep(patience) => Err(Loss::NoAnswer),
        };
        caller.running().await;
        outcome
    }
}

impl Lines {
    fn delay(&mut self) -> Duration {
        let longest = u64::try_from(self.weather.delay.as_micros()).unwrap();
        // Most are quick.
        let micros = 50 + self.random.below(longest + 1) * self.random.below(5) / 4;
        let late = self.random.chance(self.weather.late, 1_000);
        Duration::from_micros(if late { micros * 100 } else { micros })
    }

    fn fate(&mut self, to: u64) -> Fate {
        let lag = self.lag.get(&to).copied().unwrap_or_default();
        let lost = self.weather.lost;
        self.counts.calls += 1;
        Fate {
            lost: self.random.chance(lost, 1_000),
            answer_lost: self.random.chance(lost, 1_000),
            waits: self.random.chance(1, 2),
            turns_back: self.random.chance(1, 2),
            there: self.delay() + lag,
            back: self.delay(),
        }
    }
}

/// Ends the courier with its caller.
struct TurnBack {
    task: Option<AbortHandle>,
}

impl Drop for TurnBack {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// One call on its way.
struct Courier {
    network: Network,
    caller: Process,
    to: u64,
    fate: Fate,
    patience: Duration,
}

impl Courier {
    async fn run<T, F>(
        self,
        serve: impl FnOnce(Services) -> F + Send + 'static,
        told: oneshot::Sender<Result<T, Loss>>,
    ) where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let outcome = self.deliver(serve).await;
        // Who went away needs no answer.
        told.send(outcome).ok();
    }

    async fn deliver<T, F>(
        &self,
        serve: impl FnOnce(Services) -> F + Send + 'static,
    ) -> Result<T, Loss>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        tokio::time::sleep(self.fate.there).await;
        if self.fate.lost {
            self.network.lines().counts.lost += 1;
            tokio::time::sleep(self.patience).await;
            return Err(Loss::NotSent);
        }
        self.wait_for_line(self.caller.id, self.to).await?;
        let services = {
            let lines = self.network.lines();
            let services = lines.there.get(&self.to).cloned();
            let (from, to) = (self.caller.id, self.to);
            lines
                .trace
                .note(&[1, from, to, u64::from(services.is_some())]);
            services.ok_or(Loss::NotSent)?
        };
        let process = services.process.clone();
        let served = process.spawn(serve(services));
        // A process that dies with the call in its hands answers nothing.
        let answer = served.await.map_err(|_| Loss::NoAnswer)?;
        tokio::time::sleep(self.fate.back).await;
        if self.fate.answer_lost || process.is_dead() {
            self.network.lines().counts.lost += 1;
            tokio::time::sleep(self.patience).await;
            return Err(Loss::NoAnswer);
        }
        let back = self.wait_for_line(self.to, self.caller.id).await;
        back.map_err(|_| Loss::NoAnswer)?;
        Ok(answer)
    }

    /// Waits for a line that is cut, or is lost in it.
    async fn wait_for_line(&self, from: u64, to: u64) -> Result<(), Loss> {
        let mut waited = Duration::ZERO;
        while self.network.is_cut(from, to) {
            if waited.is_zero() {
                self.network.lines().counts.cut += 1;
            }
            if !self.fate.waits || waited >= self.patience {
                tokio::time::sleep(self.patience).await;
                return Err(Loss::NotSent);
            }
            tokio::time::sleep(MENDED).await;
            waited += MENDED;
        }
        Ok(())
    }
}
