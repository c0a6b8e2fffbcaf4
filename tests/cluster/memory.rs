//! What the members of a cluster hold while little is asked of them.

use cairn_tests::cluster::Cluster;

/// Of one process, in KiB: what is its own, files it has mapped not counted.
const HELD_MAX: u64 = 130 << 10;

#[test]
fn members_that_have_little_to_do_hold_little_memory() {
    let mut cluster = Cluster::start();
    cluster.wait_whole();
    let held: Vec<(String, u64)> = cluster
        .processes()
        .map(|member| (member.name.clone(), held(member.pid().expect("it runs"))))
        .collect();
    assert!(held.iter().all(|(_, kib)| *kib > 0), "{held:?}");
    assert!(held.iter().all(|(_, kib)| *kib <= HELD_MAX), "{held:?}");
}

/// `RssAnon` of a process (proc(5)).
fn held(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let words = line.expect("a size").split_whitespace();
    words
        .rev()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("in kB")
}
