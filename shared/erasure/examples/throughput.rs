//! Throughput of every kernel of this machine, in GB of data per second on one core.
//!
//! `cargo run --release -p cairn-erasure --example throughput`

#![allow(
    clippy::disallowed_methods,
    reason = "a measurement reads the machine's own clock"
)]

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use cairn_erasure::{Codec, CodecError, Kernel, StripeEncoder};
use cairn_model::Coding;

/// Data bytes of the stripe measured.
const STRIPE: usize = 1 << 20;
/// How long each figure is measured; the best of [`ROUNDS`] counts.
const ROUND: Duration = Duration::from_millis(150);
const ROUNDS: usize = 5;

fn best_rate(bytes: usize, mut work: impl FnMut()) -> f64 {
    let round = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        let mut done = 0_u32;
        while start.elapsed() < ROUND {
            work();
            done += 1;
        }
        f64::from(done) * bytes as f64 / start.elapsed().as_secs_f64() / 1e9
    };
    (0..ROUNDS).map(|_| round(&mut work)).fold(0.0, f64::max)
}

/// Encode, and reconstruct of the first `parity` data shards.
fn codec_rates(data: usize, parity: usize, kernel: Kernel) -> Result<(f64, f64), CodecError> {
    let codec = Codec::with_kernel(data, parity, kernel)?;
    let len = STRIPE / data / 64 * 64;
    let bytes: Vec<u8> = (0..len * data).map(|at| (at * 31 % 251) as u8).collect();
    let shards: Vec<&[u8]> = bytes.chunks_exact(len).collect();
    let mut out = vec![0; len * parity];
    let mut encode = || {
        let mut places: Vec<&mut [u8]> = out.chunks_exact_mut(len).collect();
        codec.encode(black_box(&shards), &mut places)
    };
    encode()?;
    let encoded = best_rate(len * data, || {
        black_box(encode().is_ok());
    });
    let given: Vec<(u8, &[u8])> = (0_u8..)
        .zip(shards.iter().copied().chain(out.chunks_exact(len)))
        .skip(parity)
        .collect();
    let mut back = vec![0; len * parity];
    let mut decode = || {
        let mut places: Vec<(u8, &mut [u8])> = (0..).zip(back.chunks_exact_mut(len)).collect();
        codec.reconstruct(black_box(&given), &mut places)
    };
    decode()?;
    let decoded = best_rate(len * data, || {
        black_box(decode().is_ok());
    });
    Ok((encoded, decoded))
}

/// The whole encoder of a 1 MiB chunk: buffers, cell checksums, parity.
fn encoder_rate(coding: Coding) -> f64 {
    let len = 1 << 20;
    best_rate(len, || {
        let stripe = usize::try_from(coding.stripe_len()).unwrap_or(len);
        let mut buffer = BytesMut::with_capacity(len.next_multiple_of(stripe));
        buffer.resize(len, 1);
        if let Ok(mut encoder) = StripeEncoder::new(coding, len as u64) {
            drop(black_box(encoder.push(buffer)));
        }
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    for (data, parity) in [(2_u8, 1_u8), (4, 2), (8, 4)] {
        for kernel in Kernel::available() {
            let (encode, decode) = codec_rates(data.into(), parity.into(), kernel)?;
            let name = kernel.name();
            writeln!(
                out,
                "{data}+{parity} {name:12} encode {encode:6.1}  reconstruct {parity} lost {decode:6.1}"
            )?;
        }
        let rate = encoder_rate(Coding::new(data, parity)?);
        writeln!(
            out,
            "{data}+{parity} StripeEncoder (fill, CRC-32C, parity) {rate:6.1}"
        )?;
    }
    Ok(())
}
