//! Tests that cannot run on this machine say why, and are counted as skipped.

use std::io::Write as _;

/// True under CI, where real clients and tools may not be missing.
#[must_use]
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// True where long runs were asked for (`cargo xtask test --long`).
#[must_use]
pub fn long_run() -> bool {
    std::env::var_os("CAIRN_LONG").is_some()
}

/// Says that the running test is skipped because the machine cannot do it; the caller returns.
pub fn machine(reason: &str) {
    let test = name_of_running_test();
    let line = format!("{test}\t{reason}\n");
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(format!("skipped: {line}").as_bytes());
    let Some(log) = std::env::var_os("CAIRN_SKIP_LOG") else {
        return;
    };
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log);
    let written = opened.and_then(|mut log| log.write_all(line.as_bytes()));
    written.expect("the skip log takes a line");
}

/// The same for a client or tool that `cargo xtask test` installs itself.
///
/// # Panics
/// In CI, where it may not be missing.
pub fn missing_tool(tool: &str) {
    assert!(!in_ci(), "{tool} is missing, and CI may not skip it");
    machine(&format!(
        "{tool} is not installed; cargo xtask test installs it"
    ));
}

fn name_of_running_test() -> String {
    std::env::var("NEXTEST_TEST_NAME").unwrap_or_else(|_| {
        std::thread::current()
            .name()
            .unwrap_or("a test without a name")
            .to_owned()
    })
}
