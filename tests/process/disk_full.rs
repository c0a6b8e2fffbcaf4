//! A disk that fills up: writes are refused, nothing else suffers, and space given back is used
//! again without a restart.

use std::time::Duration;

use cairn_compat_suite::{Call, Client};
use cairn_tests::content::{Content, Piece};
use cairn_tests::oracle::{Answer, Oracle};
use cairn_tests::s3::{self, make_bucket};
use cairn_tests::server::Site;
use cairn_tests::skip;
use cairn_tests::small_disk::SmallDisk;

const BUCKET: &str = "full";
const DISK_MIB: u32 = 1_400;
const OBJECT_LEN: usize = 16 << 20;
/// More than the disk can hold.
const OBJECTS_MAX: u64 = 100;
/// How long space may take to come back.
const RECLAIM_TRIES: u32 = 300;

#[test]
fn a_full_disk_refuses_writes_and_recovers_without_a_restart() {
    let home = tempfile::tempdir().expect("a home");
    let disk = match SmallDisk::mount(&home.path().join("disk"), DISK_MIB) {
        Ok(disk) => disk,
        Err(why) => return skip::machine(&why),
    };
    let site = Site::on(disk.path());
    let server = site.start();
    let client = &server.client;
    make_bucket(client, BUCKET);
    let mut oracle = Oracle::default();

    let filled = fill(client, &mut oracle);
    assert!(filled >= 4, "only {filled} objects fitted");
    assert_eq!(
        server.health("live"),
        Some(200),
        "a full disk is no reason to die"
    );
    judge(client, &mut oracle);

    for name in (0..filled).filter(|name| name % 4 != 0) {
        let call = Call::new("DELETE", &path(name));
        let answer = s3::answer(&client.send(&call));
        assert_eq!(
            answer,
            Answer::Acknowledged,
            "deletes must work on a full disk"
        );
        oracle.record(&key(name), None, answer);
    }
    judge(client, &mut oracle);

    wait_for_space(client, &mut oracle);
    let refilled = fill(client, &mut oracle);
    assert!(
        refilled > 0,
        "the space of the deleted objects did not come back"
    );
    judge(client, &mut oracle);
    server.stop();
    let server = site.start();
    judge(&server.client, &mut oracle);
}

fn key(name: u64) -> String {
    format!("o{name:04}")
}

fn path(name: u64) -> String {
    format!("{BUCKET}/{}", key(name))
}

#[test]
fn writes_leave_the_share_free_that_the_operator_says() {
    let home = tempfile::tempdir().expect("a home");
    let disk = match SmallDisk::mount(&home.path().join("disk"), DISK_MIB) {
        Ok(disk) => disk,
        Err(why) => return skip::machine(&why),
    };
    let mut site = Site::on(disk.path());
    let mut oracle = Oracle::default();
    let filled = ["50", "0"].map(|percent| {
        site.arguments = vec!["--keep-free".to_owned(), percent.to_owned()];
        let server = site.start();
        if oracle.keys().next().is_none() {
            make_bucket(&server.client, BUCKET);
        }
        let filled = fill(&server.client, &mut oracle);
        server.stop();
        filled
    });
    assert!(
        filled[0] >= 4 && filled[0] * 3 / 2 < filled[1],
        "{filled:?}"
    );
}

/// Puts objects until one is refused, and says how many were taken. A refusal is a 507, which clients
/// do not try again at once, and leaves nothing behind.
fn fill(client: &Client, oracle: &mut Oracle) -> u64 {
    for name in 0..OBJECTS_MAX {
        if oracle.certain(&key(name)).is_some_and(Option::is_some) {
            continue;
        }
        if !put(client, oracle, name, OBJECT_LEN) {
            let taken =
                (0..name).filter(|name| oracle.certain(&key(*name)).is_some_and(Option::is_some));
            return taken.count() as u64;
        }
    }
    panic!("{OBJECTS_MAX} objects of {OBJECT_LEN} bytes fitted on {DISK_MIB} MiB");
}

/// One PUT; false where it was refused for lack of space.
fn put(client: &Client, oracle: &mut Oracle, name: u64, length: usize) -> bool {
    let piece = Piece { seed: name, length };
    let response = client
        .send(&s3::put(&path(name), piece.bytes()))
        .expect("an answer");
    let state = Some(Content::Whole(piece));
    match response.status {
        200 => oracle.record(&key(name), state, Answer::Acknowledged),
        507 => oracle.record(&key(name), state, Answer::Refused),
        status => panic!("a full disk answers {status}: {}", response.text()),
    }
    response.status == 200
}

fn wait_for_space(client: &Client, oracle: &mut Oracle) {
    for _ in 0..RECLAIM_TRIES {
        if put(client, oracle, OBJECTS_MAX, OBJECT_LEN) {
            return;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("no space came back after deletes");
}

fn judge(client: &Client, oracle: &mut Oracle) {
    let keys: Vec<String> = oracle.keys().map(str::to_owned).collect();
    for key in keys {
        let seen = s3::observe(client, &format!("{BUCKET}/{key}")).expect("reads must work");
        oracle
            .observe(&key, &seen)
            .unwrap_or_else(|broken| panic!("{broken}"));
    }
    let listing = s3::list_all(client, BUCKET, 1_000).expect("listings must work");
    assert_eq!(oracle.judge_listing(&listing), []);
}
