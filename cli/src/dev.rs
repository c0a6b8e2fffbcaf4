//! `cairn dev`: things for people who want to see it work, and for tests that want real processes.

mod children;
mod plan;

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::args::DevClusterArgs;
use crate::credentials::Credentials;
use crate::member::home::Home;
use crate::{Fatal, console, files};
use children::Children;
use plan::{Plan, Record};

/// Set for children that must not outlive the process of this id.
const PARENT: &str = "CAIRN_PARENT_PID";
/// Name of the file that says where everything is.
const FILE: &str = "cluster.json";
/// How long the gateways may take to become ready.
const READY: Duration = Duration::from_secs(120);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Where this process was started by `cairn dev`: asks the kernel to end it with its parent.
pub(crate) fn follow_parent() -> Result<(), Fatal> {
    let Ok(parent) = std::env::var(PARENT) else {
        return Ok(());
    };
    let fail = |why: &dyn std::fmt::Display| Fatal::new(PARENT, why);
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| fail(&error))?;
    // It may have ended before we asked.
    let now = rustix::process::getppid().map(Pid::as_raw_nonzero);
    match now {
        Some(now) if now.to_string() == parent => Ok(()),
        _ => Err(fail(&"the process that started this one has ended")),
    }
}

/// Runs a whole cluster until it is told to stop.
pub(crate) fn cluster(args: &DevClusterArgs) -> Result<(), Fatal> {
    let dir = &args.dir;
    let fail = |error: std::io::Error| Fatal::new(dir.display(), error);
    std::fs::create_dir_all(dir).map_err(fail)?;
    let dir = &dir.canonicalize().map_err(fail)?;
    let file = dir.join(FILE);
    let before = recorded(&file)?;
    let plan = match &before {
        Some(record) => Plan::of_record(record),
        None => Plan::new(dir, args)?,
    };
    // Nobody is to take the file of an earlier run for this one's.
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    let credentials = match Credentials::from_environment()? {
        Some(given) => given,
        None => kept(dir)?,
    };
    let stop = children::stop_signals()?;
    let mut children = Children::new(dir)?;
    for process in plan.nodes.iter().chain(&plan.gateways) {
        children.start(process, &credentials)?;
    }
    let ready = plan.gateways.iter().all(|gateway| {
        console::line(format_args!("waiting for {}", gateway.name));
        wait_ready(gateway.url.as_deref().unwrap_or_default(), &stop)
    });
    if ready {
        let record = describe(&plan, &children, &credentials)?;
        let text = serde_json::to_vec_pretty(&record).map_err(|error| Fatal::new(FILE, error))?;
        files::replace(&file, &text, files::SECRET)
            .map_err(|error| Fatal::new(file.display(), error))?;
        show(&record, &credentials);
    } else if !stop.is_set() {
        children.stop();
        return Err(Fatal::new(
            "the gateways did not become ready",
            format!("see {}", dir.join("logs").display()),
        ));
    }
    while !stop.is_set() {
        children.note_deaths();
        std::thread::sleep(PAUSE);
    }
    console::line("stopping");
    children.stop();
    Ok(())
}

fn recorded(file: &Path) -> Result<Option<Record>, Fatal> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Fatal::new(file.display(), error)),
    };
    let read = serde_json::from_slice(&text);
    read.map(Some)
        .map_err(|error| Fatal::new(file.display(), error))
}

/// Root's credentials of an earlier run, or fresh ones.
fn kept(dir: &Path) -> Result<Credentials, Fatal> {
    if let Some(kept) = Credentials::read(dir)? {
        return Ok(kept);
    }
    let fresh = Credentials::generate(&cairn_world::real::OsEntropy);
    fresh.write(dir)?;
    Ok(fresh)
}

fn wait_ready(url: &str, stop: &children::Stop) -> bool {
    let tries = READY.as_millis() / PAUSE.as_millis();
    for _ in 0..tries {
        if stop.is_set() {
            return false;
        }
        if ureq::get(format!("{url}/health/ready")).call().is_ok() {
            return true;
        }
        std::thread::sleep(PAUSE);
    }
    false
}

fn describe(plan: &Plan, children: &Children, credentials: &Credentials) -> Result<Record, Fatal> {
    let mut record = plan.record(|name| children.pid(name));
    for node in &mut record.nodes {
        let home = Home::open(Path::new(&node.dir))?;
        let home = home.ok_or_else(|| Fatal::new(&node.dir, "the node did not join"))?;
        node.id = format!("{:016x}", home.profile.node.0);
    }
    record.credentials = plan::Keys {
        access_key: credentials.access_key.clone(),
        secret_key: credentials.secret_key.clone(),
    };
    Ok(record)
}

fn show(record: &Record, credentials: &Credentials) {
    for gateway in &record.gateways {
        console::line(format_args!("S3: {} (pid {})", gateway.url, gateway.pid));
    }
    for node in &record.nodes {
        let votes = if node.voter { ", votes" } else { "" };
        console::line(format_args!(
            "node {} in {} (pid {}{votes})",
            node.id, node.dir, node.pid
        ));
    }
    console::line(format_args!(
        "\n  export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={} AWS_DEFAULT_REGION=us-east-1\n",
        credentials.access_key, credentials.secret_key
    ));
    if let Some(gateway) = record.gateways.first() {
        console::line(format_args!(
            "  aws --endpoint-url {0} s3 mb s3://first\n\nTry: kill -9 a node, read on; start it again by its argv in cluster.json. Ctrl-C stops all.",
            gateway.url
        ));
    }
}
