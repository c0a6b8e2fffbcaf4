//! A run from its founding to its last look.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use cairn_compat_suite::Call;
use cairn_tests::simulated::door::{Door, Heard};
use cairn_world::buggify;

use crate::clients::Clients;
use crate::clock::TrueTime;
use crate::cluster::Cluster;
use crate::faults::Faults;
use crate::options::Options;
use crate::trace::Trace;
use crate::{observe, seeded};

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Report {
    seed: u64,
    pub(crate) violations: Vec<String>,
    simulated: Duration,
    trace: (u64, u64),
    calls: u64,
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
            "drawn": seeded::drawn(),
            "faults": self.faults,
            "rare": self.rare,
        })
        .to_string()
    }
}

pub(crate) async fn run(options: &Options) -> Report {
    let time = TrueTime::begin();
    let file = options.trace.as_ref().map(|path| File::create(path).unwrap());
    let trace = Trace::new(time, file);
    let mut cluster = Cluster::new(options.seed, time, trace.clone());
    let mut faults = Faults::draw(options.seed ^ 0xFA);
    let mut violations = Vec::new();
    if let Err(error) = drive(&mut cluster, &mut faults, options).await {
        violations.push(error);
    }
    Report {
        seed: options.seed,
        violations,
        simulated: time.elapsed(),
        trace: trace.result(),
        calls: cluster.network.counts().calls,
        faults: faults.counts,
        rare: buggify::fired(),
    }
}

async fn drive(
    cluster: &mut Cluster,
    faults: &mut Faults,
    options: &Options,
) -> Result<(), String> {
    cluster.found().await?;
    let clients = Arc::new(Clients {
        gateways: Arc::clone(&cluster.gateways),
        time: cluster.time,
    });
    let made = clients.send(0, Call::new("PUT", "/bucket")).await;
    println_debug(&made);
    for n in 0..20_usize {
        let call = Call::new("PUT", &format!("/bucket/{n}")).body(vec![n as u8; n * 30_000]);
        println_debug(&clients.send(n % 2, call).await);
    }
    for round in 0..options.rounds {
        buggify::begin(options.seed ^ (round << 32));
        if options.calm {
            tokio::time::sleep(options.storm).await;
        } else {
            faults.storm(cluster, options.storm).await;
        }
        buggify::end();
        faults.heal(cluster).await?;
        observe::until_mended(cluster).await?;
    }
    for n in 0..20_usize {
        println_debug(&clients.send(n % 2, Call::new("GET", &format!("/bucket/{n}"))).await);
    }
    Ok(())
}

fn println_debug(heard: &Heard) {
    match heard {
        Heard::Answer(answer) => crate::console::say(format_args!("{} {}", answer.status, answer.body.len())),
        other => crate::console::say(format_args!("{other:?}")),
    }
}
