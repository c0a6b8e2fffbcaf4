//! A failed flush of the journal is final: nothing is acknowledged after it, not even if the next
//! flush would succeed, and everything acknowledged before it is there after a restart.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use cairn_tests::content::{Content, Piece};
use cairn_tests::flushes;
use cairn_tests::oracle::{Answer, Oracle};
use cairn_tests::s3::{self, make_bucket};
use cairn_tests::server::{Server, Site};
use cairn_tests::skip;
use cairn_tests::tools::Tool;

const BUCKET: &str = "flushes";
const PUTS_MAX: u64 = 120;
/// PUTs tried after the failure was seen.
const PUTS_AFTER: u64 = 5;

#[test]
fn nothing_is_acknowledged_after_one_failed_flush() {
    sabotage("6");
}

#[test]
fn nothing_is_acknowledged_while_all_flushes_fail() {
    sabotage("4+");
}

fn sabotage(nth: &str) {
    let Some(strace) = Tool::Strace.find() else {
        return skip::missing_tool("strace");
    };
    let site = Site::new(1);
    let mut server = site.start();
    make_bucket(&server.client, BUCKET);
    let trace = site.home().join("sabotage.out");
    let mut saboteur = flushes::saboteur(&strace, server.pid(), nth, &trace.to_string_lossy());
    let saboteur = saboteur.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut saboteur = saboteur.expect("strace starts");
    if !is_traced(server.pid()) {
        end(&mut saboteur);
        return skip::machine("strace may not attach to a process here");
    }
    let mut oracle = Oracle::default();
    let failed = put_until_failure(&server, &trace, &mut oracle);
    assert!(failed, "no flush of the journal failed in {PUTS_MAX} PUTs");
    for number in 0..PUTS_AFTER {
        let answer = put(&server, &mut oracle, PUTS_MAX + number);
        assert_ne!(
            answer,
            Answer::Acknowledged,
            "a PUT was acknowledged after a failed flush"
        );
    }
    let ready = server
        .exited()
        .is_none()
        .then(|| server.health("ready"))
        .flatten();
    assert_ne!(
        ready,
        Some(200),
        "a server that cannot flush says it is ready"
    );
    end(&mut saboteur);
    server.kill_nine();
    look_at_everything(&site, &mut oracle);
}

/// Puts inline objects until a flush of the journal has failed.
fn put_until_failure(server: &Server<'_>, trace: &Path, oracle: &mut Oracle) -> bool {
    for number in 0..PUTS_MAX {
        put(server, oracle, number);
        let seen = std::fs::read_to_string(trace).unwrap_or_default();
        let in_journal = |file: &String| file.split('/').any(|part| part == "journal");
        if flushes::sabotaged(&seen).iter().any(in_journal) {
            return true;
        }
    }
    false
}

fn put(server: &Server<'_>, oracle: &mut Oracle, number: u64) -> Answer {
    let (key, piece) = (
        format!("{number:03}"),
        Piece {
            seed: number,
            length: 200,
        },
    );
    let patient = server.client.with_patience(Duration::from_secs(15));
    let answer = s3::answer(&patient.send(&s3::put(&format!("{BUCKET}/{key}"), piece.bytes())));
    oracle.record(&key, Some(Content::Whole(piece)), answer);
    answer
}

fn look_at_everything(site: &Site, oracle: &mut Oracle) {
    let server = site.start();
    let keys: Vec<String> = oracle.keys().map(str::to_owned).collect();
    for key in keys {
        let seen = s3::observe(&server.client, &format!("{BUCKET}/{key}")).expect("a read");
        oracle
            .observe(&key, &seen)
            .unwrap_or_else(|broken| panic!("{broken}"));
    }
    let listing = s3::list_all(&server.client, BUCKET, 50).expect("a listing");
    assert_eq!(oracle.judge_listing(&listing), []);
}

/// Whether strace has attached to every thread of the process; waits for it.
fn is_traced(pid: u32) -> bool {
    (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
        let threads: Vec<_> = threads.into_iter().flatten().flatten().collect();
        !threads.is_empty()
            && threads.iter().all(|thread| {
                let status = std::fs::read_to_string(thread.path().join("status"));
                let status = status.unwrap_or_default();
                let tracer = status
                    .lines()
                    .find_map(|line| line.strip_prefix("TracerPid:"));
                tracer.is_some_and(|tracer| tracer.trim() != "0")
            })
    })
}

/// Ends strace, which lets go of the server first.
fn end(saboteur: &mut Child) {
    let id = i32::try_from(saboteur.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let id = id.expect("a process id");
    let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    let _ = saboteur.wait();
}
