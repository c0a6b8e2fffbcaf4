//! `cairn bench`: a load on any S3 endpoint, measured from outside.
//!
//! ```text
//!   bucket ─> objects that reads want (once) ─> warm-up ─> measured seconds ─> figures ─> clean up
//!                                                 └ /proc/PID of the server, before and after ┘
//! ```
//!
//! The load costs processor time too, on a machine that both share: what a server costs is its own
//! processor time for each request and byte, not what the clock on the wall says.

mod connection;
mod latency;
mod load;
mod plan;
mod processes;
mod report;
mod signer;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use cairn_world::Clock as _;
use cairn_world::real::RealClock;
use tokio::sync::Notify;

use self::load::{Tally, Target, Window};
use self::plan::{Each, Plan};
use self::processes::Usage;
use self::report::{Measured, Report};
use crate::args::{BenchArgs, Work};
use crate::credentials::Credentials;
use crate::{Fatal, console};

/// Runs everything that is asked for, one after another.
pub(crate) fn run(args: &BenchArgs) -> Result<(), Fatal> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fatal::new("runtime", error))?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let bench = Bench::new(args)?;
        bench.bucket().await?;
        if !args.json {
            console::line(Report::header());
        }
        for work in &args.work {
            bench.measure(*work).await?;
        }
        Ok(())
    })
}

struct Bench<'a> {
    args: &'a BenchArgs,
    target: Target,
    clock: RealClock,
}

impl<'a> Bench<'a> {
    fn new(args: &'a BenchArgs) -> Result<Self, Fatal> {
        let found = Credentials::kept(args.dir.as_deref())?;
        let missing = "none found: set CAIRN_ROOT_ACCESS_KEY and CAIRN_ROOT_SECRET_KEY, or --dir";
        let keys = found.ok_or_else(|| Fatal::new("credentials", missing))?;
        Ok(Self {
            args,
            target: Target {
                host: host(&args.endpoint)?,
                region: args.region.clone(),
                keys,
                clients: args.clients,
                signed: args.signed,
            },
            clock: RealClock::new(),
        })
    }

    /// Makes the bucket where it is not there.
    async fn bucket(&self) -> Result<(), Fatal> {
        let bucket = &self.args.bucket;
        if self.one("HEAD", "").await?.failed > 0 {
            let made = self.one("PUT", "").await?;
            must(made).map_err(|why| Fatal::new(format!("bucket {bucket}"), why))?;
        }
        Ok(())
    }

    /// One request; a refusal is counted, not an error.
    async fn one(&self, method: &'static str, key: &str) -> Result<Tally, Fatal> {
        let plan = Rc::new(Plan::once(&self.args.bucket, method, key));
        load::run(&self.target, plan, Window::OPEN, &self.clock).await
    }

    /// Does something with every object of a folder.
    async fn each(&self, what: Each, folder: &str, objects: u64) -> Result<Tally, Fatal> {
        let BenchArgs { bucket, size, .. } = self.args;
        let plan = Rc::new(Plan::each(bucket, what, folder, objects, *size));
        load::run(&self.target, plan, Window::OPEN, &self.clock).await
    }

    /// Puts the objects of a folder, unless an earlier run has left them.
    async fn prepare(&self, folder: &str) -> Result<(), Fatal> {
        if self.one("HEAD", &all_there(folder)).await?.failed == 0 {
            return Ok(());
        }
        must(self.each(Each::Put, folder, self.args.objects).await?)?;
        must(self.one("PUT", &all_there(folder)).await?)
    }

    async fn measure(&self, work: Work) -> Result<(), Fatal> {
        let BenchArgs {
            bucket,
            size,
            objects,
            ..
        } = self.args;
        let now = self.clock.wall();
        let folder = match work {
            Work::Delete => format!("delete-{now}"),
            _ => format!("{size}-{objects}"),
        };
        let fresh = format!("new-{now}");
        if work != Work::Put {
            self.prepare(&folder).await?;
        }
        let plan = match work {
            Work::Delete => Plan::each(bucket, Each::Delete, &folder, *objects, *size),
            _ => Plan::work(bucket, work, &folder, &fresh, *objects, *size),
        };
        let plan = Rc::new(plan);
        let window = self.window(work);
        let done = Notify::new();
        let load = async {
            let tally = load::run(&self.target, Rc::clone(&plan), window, &self.clock).await;
            done.notify_one();
            tally
        };
        let (tally, costs) = tokio::join!(load, self.costs(window, &done));
        let (tally, costs) = (tally?, costs?);
        self.show(work, window, &tally, costs);
        if !self.args.keep {
            self.clean_up(work, &folder, &fresh, &plan.put_by_client())
                .await?;
        }
        must(tally)
    }

    /// When answers count.
    fn window(&self, work: Work) -> Window {
        let warm_up = match work {
            // What is deleted is gone: there is nothing to warm up with.
            Work::Delete => 0,
            _ => self.args.warm_up,
        };
        let begin = self.clock.monotonic() + Duration::from_secs(warm_up);
        let end = begin + Duration::from_secs(self.args.seconds);
        Window { begin, end }
    }

    /// What the server and the load cost between the beginning and the end, or until all is done.
    async fn costs(&self, window: Window, done: &Notify) -> Result<Costs, Fatal> {
        let until = |time: Duration| {
            self.clock
                .sleep(time.saturating_sub(self.clock.monotonic()))
        };
        until(window.begin).await;
        let before = (
            processes::usage(&self.args.server_pid)?,
            processes::own_cpu(),
        );
        tokio::select! {
            () = until(window.end) => {}
            () = done.notified() => {}
        }
        let after = (
            processes::usage(&self.args.server_pid)?,
            processes::own_cpu(),
        );
        Ok(Costs {
            server: Usage {
                cpu: after.0.cpu.saturating_sub(before.0.cpu),
                peak: after.0.peak,
            },
            load: after.1.saturating_sub(before.1),
        })
    }

    fn show(&self, work: Work, window: Window, tally: &Tally, costs: Costs) {
        let end = match work {
            Work::Delete => tally.last,
            _ => window.end,
        };
        let report = Report::of(&Measured {
            work: work.name(),
            size: self.args.size,
            clients: self.args.clients,
            objects: self.args.objects,
            took: end.saturating_sub(window.begin),
            tally,
            server: (!self.args.server_pid.is_empty()).then_some(costs.server),
            load: costs.load,
        });
        match self.args.json {
            true => console::line(serde_json::json!(report)),
            false => console::line(report.line()),
        }
    }

    /// Removes what this run has made.
    async fn clean_up(
        &self,
        work: Work,
        folder: &str,
        fresh: &str,
        put: &BTreeMap<u16, u64>,
    ) -> Result<(), Fatal> {
        if work != Work::Put {
            must(self.one("DELETE", &all_there(folder)).await?)?;
            must(self.each(Each::Delete, folder, self.args.objects).await?)?;
        }
        for (client, count) in put {
            let folder = format!("{fresh}/{client}");
            must(self.each(Each::Delete, &folder, *count).await?)?;
        }
        Ok(())
    }
}

/// What a measurement cost.
#[derive(Clone, Copy, Debug)]
struct Costs {
    server: Usage,
    load: Duration,
}

/// An object that is put when all of a folder are.
fn all_there(folder: &str) -> String {
    format!("{folder}-all-there")
}

/// There were no failures.
fn must(tally: Tally) -> Result<(), Fatal> {
    match &tally.first {
        Some(first) => Err(Fatal::new(
            format!("{} requests failed", tally.failed),
            first,
        )),
        None => Ok(()),
    }
}

/// host:port of an endpoint.
fn host(endpoint: &str) -> Result<String, Fatal> {
    let why = "the load speaks http only: http://HOST:PORT";
    let host = endpoint
        .strip_prefix("http://")
        .map(|host| host.trim_end_matches('/'))
        .filter(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']))
        .ok_or_else(|| Fatal::new(endpoint, why))?;
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(if has_port {
        host.to_owned()
    } else {
        format!("{host}:80")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_speaks_http_only() {
        assert_eq!(host("http://127.0.0.1:9000/").unwrap(), "127.0.0.1:9000");
        assert_eq!(host("http://s3").unwrap(), "s3:80");
        for bad in [
            "https://127.0.0.1",
            "127.0.0.1:9000",
            "http://",
            "http://a/b",
            "http://u@a",
        ] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }
}
