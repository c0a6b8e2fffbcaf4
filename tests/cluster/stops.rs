//! A cluster of the harness leaves nothing behind, whichever way it ends.

use std::path::Path;
use std::time::Duration;

use cairn_tests::cluster::Cluster;
use cairn_tests::patience::eventually;

#[test]
fn told_to_stop_it_ends_every_process() {
    let mut cluster = Cluster::start();
    let lost = cluster.plain_nodes()[0];
    cluster.node(lost).process.kill_nine();
    cluster.node(lost).process.start();
    let pids = cluster.stop();
    assert_eq!(pids.len(), 8);
    must_be_gone(&pids);
}

#[test]
fn a_test_that_fails_leaves_no_process() {
    let (tell, told) = std::sync::mpsc::channel();
    let failed = std::thread::spawn(move || {
        let mut cluster = Cluster::start();
        cluster.node(0).process.kill_nine();
        cluster.node(0).process.start();
        cluster.node(5).process.freeze();
        let pids: Vec<u32> = cluster.processes().filter_map(|one| one.pid()).collect();
        tell.send(pids).expect("somebody listens");
        panic!("a test fails here, as it should");
    })
    .join();
    assert!(failed.is_err());
    let pids = told.recv().expect("the processes");
    assert_eq!(pids.len(), 8);
    must_be_gone(&pids);
}

fn must_be_gone(pids: &[u32]) {
    for pid in pids {
        let stat = format!("/proc/{pid}/cmdline");
        eventually("a process ends", Duration::from_secs(20), || {
            // A process that has ended and was not yet reaped has no command line.
            match std::fs::read(Path::new(&stat)) {
                Ok(line) if !line.is_empty() => Err(format!("{pid} runs")),
                _ => Ok(()),
            }
        });
    }
}
