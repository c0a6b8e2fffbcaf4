//! A run from its founding to its last look.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn_tests::simulated::door::Door;
use cairn_tests::simulated::history::History;
use cairn_tests::simulated::workload::{Options as WorkloadOptions, Run, Workload};
use cairn_world::buggify;
use cairn_world::sim::SeededRng;
use tokio::task::JoinHandle;

use crate::clients::Clients;
use crate::clock::TrueTime;
use crate::cluster::Cluster;
use crate::faults::Faults;
use crate::focus::Focus;
use crate::options::Options;
use crate::trace::Trace;
use crate::{late, look, observe, outlived, restore, ruin, seeded};

/// How long a time without faults lasts: two slow reads behind each other.
const CALM: Duration = Duration::from_secs(240);
/// Rare branches of which no client may notice anything but that they take long.
const CALM_POINTS: &[&str] = &[
    "read-pauses",
    "read-moves-on",
    "read-lingers",
    "upload-moves-on",
    "session-rotated",
    "garbage-round-repeats",
    "hedge-at-once",
    "orphans-early",
    "snapshot-now",
    "compact-now",
    "punch-one",
];

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Report {
    seed: u64,
    pub(crate) violations: Vec<String>,
    simulated: Duration,
    trace: (u64, u64),
    calls: u64,
    operations: u64,
    acknowledged: BTreeMap<&'static str, u64>,
    faults: BTreeMap<&'static str, u64>,
    rare: BTreeMap<&'static str, u64>,
}

impl Report {
    pub(crate) fn json(&self) -> String {
        serde_json::json!({
            "seed": self.seed,
            "violations": self.violations,
            "simulated_seconds": self.simulated.as_secs(),
            "trace": format!("{:016x}", self.trace.0),
            "notes": self.trace.1,
            "calls": self.calls,
            "operations": self.operations,
            "acknowledged": self.acknowledged,
            "drawn": seeded::drawn(),
            "faults": self.faults,
            "rare": self.rare,
        })
        .to_string()
    }
}

pub(crate) async fn run(options: &Options) -> Report {
    let time = TrueTime::begin();
    let file = options
        .trace
        .as_ref()
        .map(|path| File::create(path).unwrap());
    let trace = Trace::new(time, file);
    let mut cluster = Cluster::new(options.seed, time, trace.clone());
    let focus = options.plant.map(Focus::of).unwrap_or_default();
    let mut faults = Faults::draw(options.seed ^ 0xFA, &focus);
    let stage = Stage {
        options,
        focus,
        history: Arc::new(History::new()),
        violations: Mutex::default(),
    };
    if let Err(error) = drive(&mut cluster, &mut faults, &stage).await {
        // What clients saw tells more than where the run got stuck.
        stage.note(stage.history.violations());
        stage.note(vec![error]);
    }
    let Stage {
        history,
        violations,
        ..
    } = stage;
    history.fold_into(&mut |bytes| trace.note_bytes(bytes));
    let counts = history.counts().into_iter();
    let acknowledged: BTreeMap<&str, u64> = counts
        .map(|(kind, count)| (kind, count.acknowledged))
        .collect();
    let messages = cluster.network.counts();
    let counts = [
        ("message lost", messages.lost),
        ("message repeated", messages.repeated),
        ("message at a cut line", messages.cut),
    ];
    faults.counts.extend(counts);
    Report {
        seed: options.seed,
        violations: violations.into_inner().unwrap(),
        simulated: time.elapsed(),
        trace: trace.result(),
        calls: messages.calls,
        operations: acknowledged.values().sum(),
        acknowledged,
        faults: faults.counts,
        rare: buggify::fired(),
    }
}

async fn drive(
    cluster: &mut Cluster,
    faults: &mut Faults,
    stage: &Stage<'_>,
) -> Result<(), String> {
    let options = stage.options;
    cluster.found().await?;
    let door: Arc<dyn Door> = Arc::new(Clients {
        gateways: Arc::clone(&cluster.gateways),
        time: cluster.time,
    });
    let mut rng = SeededRng::new(options.seed ^ 0xC1);
    let mut restoring = SeededRng::new(options.seed ^ 0x4E);
    let asked = WorkloadOptions {
        // What takes more than an hour of simulated time is worth it now and then.
        slow: rng.chance(1, 6) || stage.focus.slow,
        large: rng.chance(1, 12),
        parts: rng.chance(1, 5) || stage.focus.parts,
        often: stage.focus.calls,
        small: stage.focus.small,
        ..WorkloadOptions::default()
    };
    let workload = Workload::draw(&mut rng, &asked);
    tracing::info!(%workload, faults = ?faults.kinds(), "drawn");
    let work = Run::new(workload, Arc::clone(&door), Arc::clone(&stage.history));
    work.prepare().await;
    for round in 0..options.rounds {
        buggify::begin_with(
            options.seed ^ (round << 32),
            stage.focus.points,
            stage.focus.pressed,
        );
        let clients = Working::begin(&work, &mut rng);
        if options.calm {
            tokio::time::sleep(options.storm).await;
        } else {
            faults.storm(cluster, options.storm).await;
        }
        clients.say_end();
        buggify::end();
        if faults.heal(cluster).await? {
            stage.history.clock_leapt(door.now_secs());
        }
        clients.ended().await?;
        if stage.focus.restore || options.restore || restoring.chance(1, 5) {
            stage.note(restore::phase(cluster, &work, &mut restoring).await?);
            *faults.counts.entry("restore").or_default() += 1;
        }
        observe::until_mended(cluster).await?;
        work.audit(&mut rng).await;
        stage.note(look::healed(cluster).await?);
        stage.note(look::bounds(cluster).await?);
        stage.note(std::mem::take(&mut faults.violations));
        if stage.is_over() {
            return Ok(());
        }
        if rng.chance(1, 3) || stage.focus.calm {
            calm(stage, &work, &mut rng).await?;
            if stage.is_over() {
                return Ok(());
            }
        }
    }
    if at_rest(cluster, faults, stage, &mut rng, door.as_ref()).await? {
        return Ok(());
    }
    stage.note(look::quiet(cluster).await?);
    stage.note(look::healed(cluster).await?);
    work.audit(&mut rng).await;
    stage.is_over();
    Ok(())
}

/// What is done to a cluster at rest, where one knows what must come of it; true where it did not.
async fn at_rest(
    cluster: &mut Cluster,
    faults: &mut Faults,
    stage: &Stage<'_>,
    rng: &mut SeededRng,
    door: &dyn Door,
) -> Result<bool, String> {
    if rng.chance(1, 4) || stage.focus.ruin {
        *faults.counts.entry("ruin").or_default() += 1;
        stage.note(ruin::phase(cluster, door, rng).await?);
        if stage.is_over() {
            return Ok(true);
        }
        observe::until_mended(cluster).await?;
    }
    if rng.chance(1, 6) || stage.focus.late {
        *faults.counts.entry("late uploads").or_default() += 1;
        stage.note(late::phase(cluster, door, rng).await?);
        if stage.is_over() {
            return Ok(true);
        }
    }
    if rng.chance(1, 4) || stage.focus.outlived {
        *faults.counts.entry("outlived session").or_default() += 1;
        stage.note(outlived::phase(cluster, door, rng).await?);
    }
    Ok(stage.is_over())
}

/// A time without faults: what is slow for good reasons goes on, and every call must be answered.
async fn calm(stage: &Stage<'_>, work: &Run, rng: &mut SeededRng) -> Result<(), String> {
    buggify::begin_only(rng.next_u64(), CALM_POINTS);
    stage.history.set_calm(true);
    let clients = Working::begin(work, rng);
    tokio::time::sleep(CALM).await;
    clients.say_end();
    clients.ended().await?;
    stage.history.set_calm(false);
    buggify::end();
    Ok(())
}

/// Clients at work.
struct Working {
    ended: Arc<AtomicBool>,
    clients: JoinHandle<()>,
}

impl Working {
    fn begin(work: &Run, rng: &mut SeededRng) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (until, work) = (Arc::clone(&ended), work.clone());
        let mut drawn = SeededRng::new(rng.next_u64());
        let clients = tokio::spawn(async move {
            let until = move || until.load(Ordering::SeqCst);
            work.clients(&mut drawn, until).await;
        });
        Self { ended, clients }
    }

    fn say_end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// Each has had the answer to its last call.
    async fn ended(self) -> Result<(), String> {
        self.clients.await.map_err(|error| error.to_string())
    }
}

/// What a run notes down as it goes.
struct Stage<'o> {
    options: &'o Options,
    focus: Focus,
    history: Arc<History>,
    violations: Mutex<Vec<String>>,
}

impl Stage<'_> {
    fn note(&self, found: Vec<String>) {
        self.violations.lock().unwrap().extend(found);
    }

    /// Whether anything is wrong so far; then the run ends here.
    fn is_over(&self) -> bool {
        let mut violations = self.violations.lock().unwrap();
        if violations.is_empty() {
            violations.extend(self.history.violations());
        }
        !violations.is_empty()
    }
}
