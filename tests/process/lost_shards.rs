//! Promise 3 under m+k coding: any m directories may lose or corrupt their shards and every byte
//! still comes back right; with more lost there is an error, never wrong bytes.

use std::path::Path;

use cairn_compat_suite::Client;
use cairn_tests::content::{Content, Piece};
use cairn_tests::damage;
use cairn_tests::oracle::Observation;
use cairn_tests::random::Random;
use cairn_tests::s3::{self, make_bucket, must_put};
use cairn_tests::server::Site;

/// Above inline: copies, one stripe, many stripes, two chunks.
const LENGTHS: [usize; 5] = [5_000, 65_536, 300_001, 3 << 20, 17 << 20];

#[derive(Debug, Clone, Copy)]
enum Damage {
    FlippedBits,
    LostFiles,
}

#[test]
fn two_directories_survive_flipped_bits_in_one() {
    survives(2, &[1], Damage::FlippedBits);
}

#[test]
fn two_directories_survive_lost_files_of_the_other() {
    survives(2, &[0], Damage::LostFiles);
}

#[test]
fn three_directories_survive_flipped_bits_in_one() {
    survives(3, &[2], Damage::FlippedBits);
}

#[test]
fn six_directories_survive_the_loss_of_two() {
    survives(6, &[0, 4], Damage::LostFiles);
}

#[test]
fn six_directories_survive_flipped_bits_in_two() {
    survives(6, &[1, 5], Damage::FlippedBits);
}

#[test]
fn more_loss_than_parity_is_an_error_and_never_wrong_bytes() {
    let site = written(2);
    for directory in &site.directories {
        harm(directory, Damage::FlippedBits);
    }
    let server = site.start();
    for (index, content) in contents().iter().enumerate() {
        match s3::observe(&server.client, &format!("shards/{index}")) {
            Err(_) => {}
            Ok(seen) => panic!("{} bytes came from nowhere: {seen:.100?}", content.length()),
        }
    }
}

#[test]
fn a_wrecked_index_is_made_anew_from_the_segments() {
    let site = written(1);
    let directory = site.directories.first().expect("a directory");
    for round in 0..2 {
        let files = damage::index(directory);
        assert!(files.len() > 3, "no index under {}", directory.display());
        for file in files {
            let mut bytes = std::fs::read(&file).expect("an index file");
            if round == 0 {
                bytes.iter_mut().for_each(|byte| *byte ^= 0x5a);
            } else {
                bytes.truncate(bytes.len() / 2);
            }
            std::fs::write(&file, bytes).expect("damage");
        }
        let server = site.start();
        read_back(&server.client);
        server.kill_nine();
    }
}

fn survives(directories: usize, harmed: &[usize], damage: Damage) {
    let site = written(directories);
    for index in harmed {
        harm(site.directories.get(*index).expect("a directory"), damage);
    }
    let server = site.start();
    read_back(&server.client);
    must_put(&server.client, "shards/after", b"writes go on");
    server.stop();
}

fn contents() -> Vec<Content> {
    let numbered = LENGTHS.iter().zip(100..);
    numbered
        .map(|(length, seed)| {
            Content::Whole(Piece {
                seed,
                length: *length,
            })
        })
        .collect()
}

/// A stopped server's site with one object of each length.
fn written(directories: usize) -> Site {
    let site = Site::new(directories);
    let server = site.start();
    make_bucket(&server.client, "shards");
    for (index, content) in contents().iter().enumerate() {
        must_put(&server.client, &format!("shards/{index}"), &content.bytes());
    }
    read_back(&server.client);
    server.stop();
    site
}

fn read_back(client: &Client) {
    for (index, content) in contents().iter().enumerate() {
        let seen = s3::observe(client, &format!("shards/{index}"));
        let expected = Observation::Present {
            bytes: content.bytes(),
            etag: content.etag(),
        };
        assert!(
            seen == Ok(expected),
            "object {index} of {} bytes",
            content.length()
        );
    }
}

fn harm(directory: &Path, damage: Damage) {
    let files = damage::segments(directory);
    assert!(
        !files.is_empty(),
        "no segments under {}",
        directory.display()
    );
    let mut random = Random::new(9);
    let mut harmed = 0;
    for file in files {
        harmed += damage::flip_bits(&file, &mut random);
        if matches!(damage, Damage::LostFiles) {
            std::fs::remove_file(&file).expect("a file can be removed");
        }
    }
    assert!(
        harmed > 10,
        "only {harmed} blocks with data under {}",
        directory.display()
    );
}
