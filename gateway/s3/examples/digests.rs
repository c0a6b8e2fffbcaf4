//! What each digest of an upload costs on one core, in nanoseconds of processor time a byte.
//!
//! `cargo run --release -p cairn-s3 --example digests`

use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use cairn_s3::digest::md5::{self, Md5, Owed};
use crc_fast::CrcAlgorithm::Crc64Nvme;
use sha2::Digest as _;

/// Bytes of one body in one turn.
const PIECE: usize = 256 << 10;
/// Processor time each figure is measured; the best of [`ROUNDS`] counts.
const ROUND: Duration = Duration::from_millis(100);
const ROUNDS: usize = 5;

/// Processor time of this process, which another load on the machine does not lengthen.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

fn best(bytes: usize, mut work: impl FnMut()) -> f64 {
    let round = |work: &mut dyn FnMut()| {
        let (start, mut done) = (cpu(), 0_u32);
        while cpu() - start < ROUND {
            for _ in 0..8 {
                work();
            }
            done += 8;
        }
        (cpu() - start).as_nanos() as f64 / (f64::from(done) * bytes as f64)
    };
    (0..ROUNDS)
        .map(|_| round(&mut work))
        .fold(f64::MAX, f64::min)
}

fn main() -> std::io::Result<()> {
    let body: Vec<u8> = (0..PIECE).map(|at| (at * 31 % 251) as u8).collect();
    let body = Bytes::from(body);
    let mut out = std::io::stdout().lock();
    let mut show = |name: &str, nanos: f64| writeln!(out, "{name:<28} {nanos:.3} ns/B");
    show(
        "MD5, md-5 crate",
        best(PIECE, || {
            black_box(::md5::Md5::digest(black_box(&body)));
        }),
    )?;
    show(
        "MD5, one",
        best(PIECE, || {
            black_box(Md5::of(black_box(&body)));
        }),
    )?;
    for bodies in [2, 3, 4, 8, 9, 16, 32] {
        let nanos = best(PIECE * bodies, || {
            let mut all: Vec<Owed> = (0..bodies)
                .map(|_| {
                    let mut owed = Owed::new();
                    owed.push(body.clone());
                    owed
                })
                .collect();
            md5::advance(black_box(&mut all), 0);
        });
        show(&format!("MD5, {bodies} side by side"), nanos)?;
    }
    show(
        "SHA-256",
        best(PIECE, || {
            black_box(sha2::Sha256::digest(black_box(&body)));
        }),
    )?;
    show(
        "CRC-64/NVME",
        best(PIECE, || {
            black_box(crc_fast::checksum(Crc64Nvme, black_box(&body)));
        }),
    )
}
