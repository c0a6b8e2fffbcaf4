//! A flipped bit in the journal of a stopped server: either the server refuses to start, or every
//! acknowledged write is there. Never a start with something silently missing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cairn_compat_suite::Call;
use cairn_tests::content::{Content, Piece};
use cairn_tests::damage;
use cairn_tests::oracle::{Answer, Oracle};
use cairn_tests::random::{self, Random};
use cairn_tests::s3::{self, make_bucket};
use cairn_tests::server::Site;
use cairn_tests::skip::long_run;

const BUCKET: &str = "judged";

#[test]
fn a_flipped_bit_is_refused_or_harmless() {
    let site = Site::new(1);
    let mut oracle = Oracle::default();
    write_and_kill(&site, &mut oracle);
    let disk = site.directories.first().expect("a directory");
    let blocks: Vec<(PathBuf, u64)> = damage::journal(disk)
        .into_iter()
        .flat_map(|file| {
            let blocks = damage::blocks_with_data(&file);
            blocks.into_iter().map(move |at| (file.clone(), at))
        })
        .collect();
    assert!(!blocks.is_empty(), "no journal under {}", disk.display());
    let whole = site.home().join("whole");
    copy(disk, &whole);
    let mut random = Random::new(random::seed(0x10c4));
    let flips = if long_run() { 400 } else { 12 };
    let mut verdicts: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..flips {
        std::fs::remove_dir_all(disk).expect("the damaged copy goes");
        copy(&whole, disk);
        let (file, at) = random.pick(&blocks);
        damage::flip_bit_in_block(file, *at, &mut random);
        let what = format!("a bit flipped in {} at {at}", file.display());
        *verdicts
            .entry(judge(&site, &mut oracle.clone(), &what))
            .or_default() += 1;
    }
    assert!(
        verdicts.contains_key("refused"),
        "no flip was noticed: {verdicts:?}"
    );
}

/// Puts and deletes of inline and larger objects, acknowledged, then kill -9.
fn write_and_kill(site: &Site, oracle: &mut Oracle) {
    let server = site.start();
    make_bucket(&server.client, BUCKET);
    for number in 0..60 {
        let key = format!("{:02}", number % 40);
        let path = format!("{BUCKET}/{key}");
        let piece = Piece {
            seed: number,
            length: if number % 7 == 0 { 9_000 } else { 300 },
        };
        let (call, state) = if number % 5 == 4 {
            (Call::new("DELETE", &path), None)
        } else {
            (s3::put(&path, piece.bytes()), Some(Content::Whole(piece)))
        };
        let answer = s3::answer(&server.client.send(&call));
        assert_eq!(answer, Answer::Acknowledged);
        oracle.record(&key, state, answer);
    }
    // The journal's last group cannot be told from a torn write, so it may be cut: nothing rests on
    // what it holds.
    let piece = Piece {
        seed: 1,
        length: 10,
    };
    let last = s3::answer(
        &server
            .client
            .send(&s3::put(&format!("{BUCKET}/last"), piece.bytes())),
    );
    assert_eq!(last, Answer::Acknowledged);
    oracle.record("last", Some(Content::Whole(piece)), Answer::Unknown);
    server.kill_nine();
}

/// `refused`, or `served` with everything there.
fn judge(site: &Site, oracle: &mut Oracle, what: &str) -> &'static str {
    let mut server = site.launch();
    loop {
        if let Some(status) = server.exited() {
            assert!(!status.success(), "{what}: a refusal ends with an error");
            return "refused";
        }
        if server.health("ready") == Some(200) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let keys: Vec<String> = oracle.keys().map(str::to_owned).collect();
    for key in keys {
        let seen = s3::observe(&server.client, &format!("{BUCKET}/{key}"));
        let seen = seen.unwrap_or_else(|why| panic!("{what}: {why}"));
        oracle
            .observe(&key, &seen)
            .unwrap_or_else(|broken| panic!("{what}: {broken}"));
    }
    let listing = s3::list_all(&server.client, BUCKET, 1_000).expect("a listing");
    assert_eq!(oracle.judge_listing(&listing), [], "{what}");
    server.kill_nine();
    "served"
}

/// Copies a folder, holes included.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    let mut command = std::process::Command::new("cp");
    command
        .args(["--archive", "--sparse=always"])
        .arg(from)
        .arg(to);
    assert!(
        command.status().expect("cp runs").success(),
        "cp {} failed",
        from.display()
    );
}
