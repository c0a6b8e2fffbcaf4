//! Against RFC 1321's own vectors, and against another implementation.

use md5::Digest as _;
use proptest::collection::vec;
use proptest::prelude::*;

use super::kernel::Lanes;
use super::*;

fn other(bytes: &[u8]) -> [u8; 16] {
    md5::Md5::digest(bytes).into()
}

/// RFC 1321, A.5.
#[test]
fn the_test_suite_of_the_rfc_holds() {
    for (text, digest) in [
        ("", "d41d8cd98f00b204e9800998ecf8427e"),
        ("a", "0cc175b9c0f1b6a831c399e269772661"),
        ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        (
            "abcdefghijklmnopqrstuvwxyz",
            "c3fcd3d76192e4007dfb496cca67e13b",
        ),
        (
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            "d174ab98d277d9f5a5611c2c9f419d9f",
        ),
        (
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "57edf4a22be3c955ac49da2e2107b67a",
        ),
    ] {
        assert_eq!(hex::encode(Md5::of(text.as_bytes())), digest, "{text}");
    }
}

#[test]
fn every_length_around_a_block_is_padded_right() {
    let bytes: Vec<u8> = (0..=255).collect();
    for length in 0..=bytes.len() {
        assert_eq!(
            Md5::of(&bytes[..length]),
            other(&bytes[..length]),
            "{length}"
        );
    }
}

/// A body in runs: what is owed is what was pushed.
fn owed(body: &[u8], cuts: &[usize]) -> Owed {
    let mut owed = Owed::new();
    let mut left = body;
    for cut in cuts {
        let (run, rest) = left.split_at((*cut).min(left.len()));
        owed.push(Bytes::copy_from_slice(run));
        left = rest;
    }
    owed.push(Bytes::copy_from_slice(left));
    assert_eq!(owed.len(), body.len());
    owed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_it_is_cut_the_digest_is_that_of_the_whole(body in vec(any::<u8>(), 0..600), cuts in vec(0_usize..200, 0..6)) {
        let mut md5 = Md5::new();
        let mut left = body.as_slice();
        for cut in &cuts {
            let (run, rest) = left.split_at((*cut).min(left.len()));
            md5.update(run);
            left = rest;
        }
        md5.update(left);
        prop_assert_eq!(md5.finish(), other(&body));
        prop_assert_eq!(owed(&body, &cuts).finish(), other(&body));
    }

    /// Any number of bodies, of any lengths, in any runs.
    #[test]
    fn side_by_side_each_digest_is_its_own(
        bodies in vec((vec(any::<u8>(), 0..2_000), vec(0_usize..300, 0..5)), 0..40),
    ) {
        let mut all: Vec<Owed> = bodies.iter().map(|(body, cuts)| owed(body, cuts)).collect();
        advance(&mut all, 0);
        for (owed, (body, _)) in all.into_iter().zip(&bodies) {
            prop_assert!(owed.is_empty());
            prop_assert_eq!(owed.md5.length, body.len() as u64);
            prop_assert_eq!(owed.finish(), other(body));
        }
    }

    #[test]
    fn every_set_of_lanes_makes_the_same_states(blocks in 1_usize..5, chains in 1_usize..17, seed: u64) {
        let bytes: Vec<u8> = (0..chains * blocks * BLOCK)
            .map(|at| (seed.wrapping_mul(at as u64 + 1) >> 32) as u8)
            .collect();
        let inputs: Vec<&[u8]> = bytes.chunks(blocks * BLOCK).collect();
        let mut expected = vec![INITIAL; chains];
        for (state, input) in expected.iter_mut().zip(&inputs) {
            kernel::one(state, input.as_chunks().0);
        }
        for lanes in Lanes::all() {
            let mut states = vec![INITIAL; chains];
            let many = states.chunks_mut(lanes.count()).zip(inputs.chunks(lanes.count()));
            many.for_each(|(states, inputs)| lanes.advance(states, inputs));
            prop_assert_eq!(&states, &expected, "{:?}", lanes);
        }
    }
}

/// The last one alone keeps what it has more, as far as it may; nothing of it is lost.
#[test]
fn what_would_be_made_alone_may_stay_owed() {
    let body: Vec<u8> = (0..5_000_u32).map(|at| (at * 7 % 251) as u8).collect();
    let make = || [owed(&body, &[]), owed(&body[..2_000], &[])];
    for (may_stay, left) in [(0, 0), (2_000, 2_000), (4_000, 5_000 - 1_984)] {
        let mut all = make();
        advance(&mut all, may_stay);
        assert_eq!(all[0].len(), left, "{may_stay}");
        let [long, short] = all;
        assert_eq!(long.total(), 5_000);
        assert_eq!(
            (long.finish(), short.finish()),
            (other(&body), other(&body[..2_000]))
        );
    }
    let mut alone = [owed(&body, &[])];
    advance(&mut alone, 5_000);
    assert_eq!(alone[0].len(), 5_000);
}

#[test]
fn what_comes_later_is_appended() {
    let mut all = Owed::new();
    for run in [b"mess".as_slice(), b"age ", b"digest"] {
        let mut later = Owed::new();
        later.push(Bytes::from_static(run));
        all.append(later);
    }
    assert_eq!((all.total(), all.len()), (14, 14));
    let mut wrong = Owed::new();
    wrong.update(b"added");
    all.append(wrong);
    assert_eq!(
        all.total(),
        14,
        "whoever compares it with the body's length will see"
    );
    assert_eq!(all.finish(), other(b"message digest"));
}

#[test]
fn more_may_be_owed_after_some_has_been_added() {
    let body: Vec<u8> = (0..5_000_u32).map(|at| (at * 7 % 251) as u8).collect();
    let mut all = [Owed::new(), Owed::new(), Owed::new(), Owed::new()];
    for run in body.chunks(333) {
        for owed in &mut all {
            owed.push(Bytes::copy_from_slice(run));
        }
        advance(&mut all, 0);
        assert!(all.iter().all(Owed::is_empty));
    }
    for owed in all {
        assert_eq!(owed.finish(), other(&body));
    }
}
