//! The runners, and how they are run.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use super::rows::{self, Outcome, Row};
use super::{OWN_CASES, SURVEY};
use crate::client::Client;
use crate::runner;

/// How many run at once, so that a slow one does not hold up the rest.
const AT_ONCE: usize = 2;
/// How long one may take.
const TICKS: u32 = 6_000;
const TICK: Duration = Duration::from_millis(100);

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Bench {
    /// Installed clients: `venv`, `minio-py`, `s5cmd`, `minio-js`.
    pub tools: PathBuf,
    /// `compat-suite/clients`.
    pub sources: PathBuf,
    /// The built runner of the Rust SDKs.
    pub rust_sdks: PathBuf,
    /// Where runners leave what they print.
    pub out: PathBuf,
}

/// Whom to ask, for what.
#[derive(Debug, Clone)]
pub struct Order {
    /// `cairn`, `moto` or `garage`.
    pub subject: String,
    /// `http://host:port`.
    pub endpoint: String,
    /// Who signs.
    pub access_key: String,
    /// See [`Order::access_key`].
    pub secret_key: String,
    /// Only these clients; all where it is empty.
    pub only: BTreeSet<String>,
}

/// One client's runner.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Runner {
    client: &'static str,
    /// The client's program or library: where it is missing, the client is not installed.
    needs: PathBuf,
    line: Vec<PathBuf>,
}

impl Bench {
    /// Every runner, the slow ones first.
    fn runners(&self) -> Vec<Runner> {
        let python = self.tools.join("venv/bin/python");
        let script = |name: &str| self.sources.join(name);
        // A program that a script in Python drives.
        let driven = |client: &'static str, name: &str, program: PathBuf| Runner {
            client,
            line: vec![python.clone(), script(name), client.into(), program.clone()],
            needs: program,
        };
        // A library that a script imports.
        let imported =
            |client: &'static str, name: &str, interpreter: PathBuf, needs: PathBuf| Runner {
                client,
                line: vec![interpreter, script(name), client.into()],
                needs,
            };
        let sdk = |client: &'static str| Runner {
            client,
            line: vec![self.rust_sdks.clone(), client.into()],
            needs: self.rust_sdks.clone(),
        };
        let minio_py = self.tools.join("minio-py/bin/python");
        let minio_js = self.tools.join("minio-js/run.mjs");
        let debian = PathBuf::from("/usr/lib/python3/dist-packages/boto3");
        vec![
            driven("aws-cli-2", "run_aws_cli.py", "/usr/bin/aws".into()),
            driven(
                "aws-cli-1",
                "run_aws_cli.py",
                self.tools.join("venv/bin/aws"),
            ),
            driven("s3fs", "run_s3fs.py", "/usr/bin/s3fs".into()),
            driven("s3cmd", "run_s3cmd.py", "/usr/bin/s3cmd".into()),
            driven("s5cmd", "run_s5cmd.py", self.tools.join("s5cmd/bin/s5cmd")),
            imported("boto3", "run_boto3.py", python.clone(), python.clone()),
            imported(
                "boto3-debian",
                "run_boto3.py",
                "/usr/bin/python3".into(),
                debian,
            ),
            imported("minio-py", "run_minio_py.py", minio_py.clone(), minio_py),
            Runner {
                client: "minio-js",
                line: vec!["/usr/bin/env".into(), "node".into(), minio_js.clone()],
                needs: minio_js,
            },
            driven("curl", "run_curl.py", "/usr/bin/curl".into()),
            sdk("aws-sdk-s3"),
            sdk("object_store"),
            imported(SURVEY, "run_survey.py", python.clone(), python.clone()),
        ]
    }

    /// Runs every client that was asked for, and the suite's own cases.
    ///
    /// # Errors
    /// Where the endpoint is none, or a client was asked for that there is not.
    pub fn run(&self, order: &Order) -> Result<Vec<Row>, String> {
        let runners = self.runners();
        let known: BTreeSet<&str> = runners
            .iter()
            .map(|runner| runner.client)
            .chain([OWN_CASES])
            .collect();
        if let Some(strange) = order
            .only
            .iter()
            .find(|name| !known.contains(name.as_str()))
        {
            return Err(format!("no client {strange}; there are {known:?}"));
        }
        let wanted = |client: &str| order.only.is_empty() || order.only.contains(client);
        std::fs::create_dir_all(&self.out)
            .map_err(|why| format!("{}: {why}", self.out.display()))?;
        let mut found = if wanted(OWN_CASES) {
            own_cases(order)?
        } else {
            Vec::new()
        };
        let asked: Vec<&Runner> = runners
            .iter()
            .filter(|runner| wanted(runner.client))
            .collect();
        let queue = Mutex::new(asked.clone().into_iter());
        let done: Mutex<Vec<(&str, Vec<Row>)>> = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        // The queue is free again before the runner starts.
                        let next = locked(&queue).next();
                        let Some(runner) = next else { return };
                        let rows = self.play(runner, order);
                        locked(&done).push((runner.client, rows));
                    }
                });
            }
        });
        let done = done
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut by_name: Vec<_> = done;
        by_name.sort_by_key(|(client, _)| *client);
        found.extend(by_name.into_iter().flat_map(|(_, rows)| rows));
        Ok(found)
    }

    /// The rows of one runner; one that says why, where it does not run to its end.
    fn play(&self, runner: &Runner, order: &Order) -> Vec<Row> {
        if !runner.needs.exists() {
            let why = format!("not installed: {}", runner.needs.display());
            return vec![Row::of_runner(runner.client, Outcome::Skipped, &why)];
        }
        let printed = self.printed(runner, order);
        let rows = printed.and_then(|printed| rows::of_runner(&printed));
        rows.unwrap_or_else(|why| {
            let said = std::fs::read_to_string(self.file(runner, "err")).unwrap_or_default();
            let last = said.lines().last().unwrap_or_default();
            let why = format!("{why} {last}");
            vec![Row::of_runner(runner.client, Outcome::Failed, &why)]
        })
    }

    fn file(&self, runner: &Runner, ending: &str) -> PathBuf {
        self.out.join(format!("{}.{ending}", runner.client))
    }

    fn printed(&self, runner: &Runner, order: &Order) -> Result<String, String> {
        let printed = self.file(runner, "jsonl");
        let (program, arguments) = runner.line.split_first().ok_or("no program")?;
        let file =
            |path: &Path| File::create(path).map_err(|why| format!("{}: {why}", path.display()));
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        command
            .stdout(file(&printed)?)
            .stderr(file(&self.file(runner, "err"))?);
        command
            .env("CAIRN_ENDPOINT", &order.endpoint)
            .env("CAIRN_SUBJECT", &order.subject);
        command
            .env("CAIRN_ACCESS_KEY", &order.access_key)
            .env("CAIRN_SECRET_KEY", &order.secret_key);
        for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
            command.env_remove(proxy);
        }
        let mut child = command
            .spawn()
            .map_err(|why| format!("{}: {why}", program.display()))?;
        ended(&mut child)?;
        std::fs::read_to_string(&printed).map_err(|why| why.to_string())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits for the end, and makes one where it takes too long.
fn ended(child: &mut Child) -> Result<(), String> {
    for _ in 0..TICKS {
        if child.try_wait().map_err(|why| why.to_string())?.is_some() {
            return Ok(());
        }
        std::thread::sleep(TICK);
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(format!("killed after {} s", TICKS / 10))
}

/// The cases of this crate, as rows.
fn own_cases(order: &Order) -> Result<Vec<Row>, String> {
    let client = Client::new(&order.endpoint, &order.access_key, &order.secret_key)?;
    let mut found = Vec::new();
    runner::play(&client, "", |case, played| {
        let failure = played.err().map(|failure| failure.0);
        let outcome = if failure.is_none() {
            Outcome::Passed
        } else {
            Outcome::Failed
        };
        found.push(Row {
            version: String::new(),
            operation: case.operation.to_owned(),
            case: case.behaviour.replace('_', " "),
            ..Row::of_runner(OWN_CASES, outcome, &failure.unwrap_or_default())
        });
    });
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(name: &str) -> Bench {
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        Bench {
            tools: folder.join("tools"),
            sources: folder.join("sources"),
            rust_sdks: folder.join("sdks"),
            out: folder.join("out"),
        }
    }

    fn order(only: &[&str]) -> Order {
        Order {
            subject: "cairn".to_owned(),
            endpoint: "http://127.0.0.1:9".to_owned(),
            access_key: "a".to_owned(),
            secret_key: "s".to_owned(),
            only: only.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    /// Puts a shell script in the place of the Rust SDKs.
    fn scripted(bench: &Bench, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::create_dir_all(&bench.out).unwrap();
        std::fs::write(&bench.rust_sdks, format!("#!/bin/sh\n{script}\n")).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&bench.rust_sdks, mode).unwrap();
    }

    #[test]
    fn what_is_not_installed_is_skipped_and_said() {
        let bench = bench("absent");
        let rows = bench.run(&order(&["object_store", "minio-py"])).unwrap();
        let found: Vec<_> = rows
            .iter()
            .map(|row| (row.client.as_str(), row.outcome))
            .collect();
        assert_eq!(
            found,
            [
                ("minio-py", Outcome::Skipped),
                ("object_store", Outcome::Skipped)
            ]
        );
        assert!(rows[0].why.contains("not installed"), "{rows:?}");
        assert!(
            bench
                .run(&order(&["word"]))
                .unwrap_err()
                .contains("no client word")
        );
        std::fs::remove_dir_all(bench.out.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_runner_is_told_the_endpoint_and_its_rows_are_taken() {
        let bench = bench("scripted");
        let line = r#"{"client":"'$1'","version":"2","operation":"o","case":"'$CAIRN_ENDPOINT'","outcome":"passed","why":""}"#;
        scripted(&bench, &format!("echo '{line}'; echo passed 1 of 1"));
        let rows = bench.run(&order(&["object_store"])).unwrap();
        assert_eq!(rows[0].name(), "o/http://127.0.0.1:9");
        assert_eq!(rows[0].outcome, Outcome::Passed);
        scripted(&bench, "echo why >&2; exit 1");
        let rows = bench.run(&order(&["object_store"])).unwrap();
        assert_eq!((rows[0].outcome, rows.len()), (Outcome::Failed, 1));
        assert!(rows[0].why.ends_with("why"), "{rows:?}");
        std::fs::remove_dir_all(bench.out.parent().unwrap()).unwrap();
    }

    #[test]
    fn the_suites_own_cases_stand_beside_the_clients() {
        let rows = own_cases(&order(&[])).unwrap();
        assert!(rows.len() > 100 && rows.iter().all(|row| row.outcome == Outcome::Failed));
    }
}
