//! Two servers never share a directory.

use std::time::Duration;

use cairn_tests::s3::{make_bucket, must_put};
use cairn_tests::server::Site;

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let site = Site::new(1);
    let first = site.start();
    make_bucket(&first.client, "locked");
    let mut second = site.launch();
    let status = (0..500).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        second.exited()
    });
    let status = status.expect("the second server ends");
    assert!(!status.success(), "the second server was taken");
    must_put(&first.client, "locked/still", b"served");
    first.stop();
    let printed = site.printed();
    let disk = site
        .directories
        .first()
        .expect("a directory")
        .to_string_lossy()
        .into_owned();
    assert!(
        printed.contains(&disk),
        "the refusal names the directory:\n{printed}"
    );
    let again = site.start();
    assert_eq!(
        again.health("live"),
        Some(200),
        "the lock goes with its holder"
    );
}

#[test]
fn a_killed_server_leaves_no_lock_behind() {
    let site = Site::new(2);
    site.start().kill_nine();
    let server = site.start();
    assert_eq!(server.health("ready"), Some(200));
}
