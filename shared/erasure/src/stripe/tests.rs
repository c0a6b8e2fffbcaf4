use std::ops::Range;

use bytes::{Bytes, BytesMut};
use cairn_model::{Coding, limits};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use super::*;
use crate::{CellTable, ShardSet, crc32c};

/// Small cells keep the tests quick; every border of the default is at the same place relative to
/// the cell.
const CELL: u32 = 4096;

fn coding(data: u8, parity: u8) -> Coding {
    Coding::from_parts(data, parity, CELL, 1).unwrap()
}

fn chunk(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(99);
            state.to_be_bytes()[0]
        })
        .collect()
}

fn len64(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap()
}

/// Encodes in buffers of `at_once` stripes, verifying every stripe on the second code path.
fn encode(coding: Coding, plain: &[u8], at_once: usize) -> (Vec<Stripe>, CellTable) {
    let mut encoder = StripeEncoder::new(coding, len64(plain)).unwrap();
    let mut stripes = Vec::new();
    let stripe = usize::try_from(coding.stripe_len()).unwrap();
    for part in plain.chunks(stripe * at_once) {
        let mut buffer = BytesMut::with_capacity(stripe * at_once);
        buffer.extend_from_slice(part);
        stripes.extend(encoder.push(buffer).unwrap());
    }
    for stripe in &stripes {
        encoder.verify(stripe).unwrap();
    }
    (stripes, encoder.finish().unwrap())
}

/// Of every second cell the checksum is known.
fn cells(stripe: &Stripe, shards: impl IntoIterator<Item = u8>) -> Vec<ShardCell> {
    let cell = |shard: u8| {
        let bytes = stripe.cells[usize::from(shard)].clone();
        ShardCell {
            shard,
            crc32c: shard.is_multiple_of(2).then(|| crc32c(&bytes)),
            bytes,
        }
    };
    shards.into_iter().map(cell).collect()
}

fn rot(cell: &mut ShardCell, at: usize) {
    let mut bytes = cell.bytes.to_vec();
    bytes[at] ^= 0x40;
    cell.crc32c = cell.crc32c.map(|_| crc32c(&bytes));
    cell.bytes = bytes.into();
}

fn set(shards: impl IntoIterator<Item = u8>) -> ShardSet {
    shards.into_iter().collect()
}

fn plain_of(decoder: &StripeDecoder, stripes: &[Stripe], data: u8, kept: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    for stripe in stripes {
        let given = cells(stripe, kept.iter().copied());
        let decoded = decoder.decode(stripe.index, &given, 0..data).unwrap();
        assert!(decoded.bad.is_empty());
        plain.extend(decoded.cells.concat());
    }
    plain
}

/// 1 byte, the padding unit, the cell, the stripe, each with its neighbours, and many stripes.
fn border_lengths(coding: Coding) -> Vec<usize> {
    let cell = usize::try_from(coding.cell()).unwrap();
    let stripe = usize::try_from(coding.stripe_len()).unwrap();
    let around = |len: usize| [len - 1, len, len + 1];
    [
        64,
        64 * coding.data(),
        cell,
        stripe,
        2 * stripe,
        7 * stripe + cell,
    ]
    .into_iter()
    .flat_map(around)
    .chain([1, 2])
    .collect()
}

#[test]
fn every_border_length_survives_every_shape_with_and_without_loss() {
    for (data, parity) in [(1, 0), (1, 2), (2, 0), (2, 1), (3, 2), (4, 2), (8, 4)] {
        let coding = coding(data, parity);
        for len in border_lengths(coding) {
            let plain = chunk(len, len as u64);
            let (stripes, table) = encode(coding, &plain, 3);
            assert_eq!(stripes.len() as u64, coding.stripes(len as u64));
            for shard in 0..coding.shards() {
                let shard_len: usize = stripes.iter().map(|stripe| stripe.cells[shard].len()).sum();
                assert_eq!(shard_len as u64, coding.shard_len(len as u64));
            }
            let decoder = StripeDecoder::new(coding, len as u64, table).unwrap();
            let last: Vec<u8> = (parity..data + parity).collect();
            let first: Vec<u8> = (0..data).collect();
            assert_eq!(
                plain_of(&decoder, &stripes, data, &first),
                plain,
                "{coding:?} {len}"
            );
            assert_eq!(
                plain_of(&decoder, &stripes, data, &last),
                plain,
                "{coding:?} {len}"
            );
        }
    }
}

#[test]
fn how_the_buffers_are_cut_does_not_matter() {
    let coding = coding(3, 2);
    let plain = chunk(12_288 * 5 + 777, 3);
    let one = encode(coding, &plain, 1);
    assert_eq!(one, encode(coding, &plain, 2));
    assert_eq!(one, encode(coding, &plain, 100));
}

#[test]
fn the_cell_table_sums_padded_cells() {
    let coding = coding(2, 1);
    let (stripes, table) = encode(coding, b"x", 1);
    let mut cell = vec![0; 64];
    cell[0] = b'x';
    assert_eq!(stripes[0].cells[0], cell);
    assert_eq!(table.entries()[..], [crc32c(&cell), crc32c(&[0; 64])]);
}

#[test]
fn data_cells_are_slices_of_the_callers_buffer_and_copies_are_not_copied() {
    let coding = coding(2, 1);
    let stripe = usize::try_from(coding.stripe_len()).unwrap();
    let mut buffer = BytesMut::with_capacity(2 * stripe);
    buffer.resize(stripe + 1000, 7);
    let start = buffer.as_ptr();
    let mut encoder = StripeEncoder::new(coding, len64(&buffer)).unwrap();
    let stripes = encoder.push(buffer).unwrap();
    assert_eq!(stripes[0].cells[0].as_ptr(), start);
    assert_eq!(
        stripes[1].cells[0].as_ptr() as usize - start as usize,
        stripe
    );
    let (copies, _) = encode(coding.copies(), &[5; 100], 1);
    assert_eq!(copies[0].cells.len(), 2);
    assert_eq!(copies[0].cells[0].as_ptr(), copies[0].cells[1].as_ptr());
}

/// A shape, a length and k shards of it.
fn any_case() -> impl Strategy<Value = (u8, u8, usize, Vec<u8>)> {
    (1_u8..=8, 0_u8..=4, 1_usize..60_000).prop_flat_map(|(data, parity, len)| {
        let all: Vec<u8> = (0..data + parity).collect();
        let kept = subsequence(all, usize::from(data)).prop_shuffle();
        (Just(data), Just(parity), Just(len), kept)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_m_losses_decode((data, parity, len, kept) in any_case(), seed in any::<u64>()) {
        let coding = coding(data, parity);
        let plain = chunk(len, seed);
        let (stripes, table) = encode(coding, &plain, 4);
        let decoder = StripeDecoder::new(coding, len as u64, table).unwrap();
        prop_assert_eq!(plain_of(&decoder, &stripes, data, &kept), plain);
    }

    #[test]
    fn any_lost_shard_is_rebuilt_as_it_was((data, parity, len, kept) in any_case(), seed in any::<u64>()) {
        let coding = coding(data, parity);
        let (stripes, table) = encode(coding, &chunk(len, seed), 4);
        let decoder = StripeDecoder::new(coding, len as u64, table).unwrap();
        for stripe in &stripes {
            for shard in 0..data + parity {
                let given = cells(stripe, kept.iter().copied());
                let (cell, bad) = decoder.rebuild(stripe.index, &given, shard).unwrap();
                prop_assert_eq!(&cell, &stripe.cells[usize::from(shard)]);
                prop_assert!(bad.is_empty());
            }
        }
    }

    /// Whatever shards are handed in under whatever names, no wrong byte is given out.
    #[test]
    fn permuted_shards_never_give_wrong_bytes(
        (data, parity, len, kept) in any_case(),
        names in any::<[Index; 12]>(),
        seed in any::<u64>(),
    ) {
        let coding = coding(data, parity);
        let plain = chunk(len, seed);
        let (stripes, table) = encode(coding, &plain, 4);
        let decoder = StripeDecoder::new(coding, len as u64, table).unwrap();
        for stripe in &stripes {
            let mut given = cells(stripe, kept.iter().copied());
            for at in (1..given.len()).rev() {
                let other = names[at].index(at + 1);
                let name = given[at].shard;
                given[at].shard = given[other].shard;
                given[other].shard = name;
            }
            let right = decoder.decode(stripe.index, &cells(stripe, 0..data), 0..data).unwrap();
            match decoder.decode(stripe.index, &given, 0..data) {
                Ok(decoded) => prop_assert_eq!(decoded.cells, right.cells),
                Err(error) => prop_assert!(!matches!(error, DecodeError::Refused(_))),
            }
        }
    }

    #[test]
    fn one_rotten_cell_among_all_is_worked_round_and_named(
        (data, parity, len) in (2_u8..=8, 2_u8..=4, 1_usize..40_000),
        (lost, bad, at) in any::<(Index, Index, Index)>(),
        seed in any::<u64>(),
    ) {
        let coding = coding(data, parity);
        let plain = chunk(len, seed);
        let (stripes, table) = encode(coding, &plain, 4);
        let decoder = StripeDecoder::new(coding, len as u64, table).unwrap();
        let lost = lost.index(usize::from(data));
        let mut decoded = Vec::new();
        for stripe in &stripes {
            let mut given = cells(stripe, (0..data + parity).filter(|s| usize::from(*s) != lost));
            let bad = bad.index(given.len());
            let bad_shard = given[bad].shard;
            let place = at.index(given[bad].bytes.len());
            rot(&mut given[bad], place);
            let answer = decoder.decode(stripe.index, &given, 0..data).unwrap();
            decoded.extend(answer.cells.concat());
            // A rotten parity cell that was not needed is not looked at.
            prop_assert!(answer.bad.is_empty() || answer.bad == set([bad_shard]));
            prop_assert!(bad_shard >= data || answer.bad == set([bad_shard]));
        }
        prop_assert_eq!(decoded, plain);
    }

    #[test]
    fn ranges_read_exactly_their_bytes(
        (data, len) in (1_u8..=6, 1_u64..200_000),
        ends in any::<[Index; 2]>(),
    ) {
        let coding = coding(data, 1);
        let plain = chunk(usize::try_from(len).unwrap(), 8);
        let (stripes, _) = encode(coding, &plain, 100);
        let [a, b] = ends.map(|end| end.index(plain.len() + 1));
        let range = a.min(b)..a.max(b);
        let plan = RangePlan::new(coding, len, range.start as u64..range.end as u64);
        let mut read = Vec::new();
        for stripe in plan.stripes() {
            for piece in plan.pieces(stripe) {
                prop_assert!(!piece.bytes.is_empty());
                prop_assert!(plan.shards(stripe).contains(&piece.shard));
                prop_assert!(plan.stripes_of(piece.shard).contains(&stripe));
                let cell = &stripes[usize::try_from(stripe).unwrap()].cells[usize::from(piece.shard)];
                read.extend_from_slice(&cell[piece.bytes]);
            }
        }
        prop_assert_eq!(read, &plain[range]);
        for shard in 0..data {
            for stripe in plan.stripes_of(shard) {
                prop_assert!(plan.shards(stripe).contains(&shard), "reads a cell it does not need");
            }
        }
    }
}

fn pieces(coding: Coding, len: u64, range: Range<u64>) -> Vec<(u64, u8, Range<usize>)> {
    let plan = RangePlan::new(coding, len, range);
    plan.stripes()
        .flat_map(|stripe| plan.pieces(stripe).collect::<Vec<_>>())
        .map(|piece| (piece.stripe, piece.shard, piece.bytes))
        .collect()
}

#[test]
fn a_small_range_reads_one_cell() {
    let coding = coding(4, 2);
    assert_eq!(pieces(coding, 100_000, 4_100..4_101), [(0, 1, 4..5)]);
    assert_eq!(pieces(coding, 100_000, 16_384..16_400), [(1, 0, 0..16)]);
    assert_eq!(
        pieces(coding, 100_000, 4_095..4_097),
        [(0, 0, 4_095..4_096), (0, 1, 0..1)]
    );
    assert_eq!(
        pieces(coding, 100_000, 16_383..16_385),
        [(0, 3, 4_095..4_096), (1, 0, 0..1)]
    );
}

#[test]
fn ranges_of_the_short_last_stripe_use_its_own_cells() {
    let coding = coding(4, 2);
    let len = 16_384 + 130;
    assert_eq!(
        pieces(coding, len, 16_384 + 63..16_384 + 65),
        [(1, 0, 63..64), (1, 1, 0..1)]
    );
    assert_eq!(pieces(coding, len, 16_384 + 129..len), [(1, 2, 1..2)]);
}

#[test]
fn ranges_outside_the_chunk_are_empty() {
    let coding = coding(2, 1);
    for range in [0..0, 10..10, 10..20, 11..u64::MAX, u64::MAX..u64::MAX] {
        assert_eq!(pieces(coding, 10, range.clone()), [], "{range:?}");
    }
    assert_eq!(RangePlan::new(coding, 10, 3..9).shards(7), 0..0);
    assert_eq!(RangePlan::new(coding, 10, 3..9).shards(u64::MAX), 0..0);
    assert_eq!(RangePlan::new(coding, 10, 3..9).stripes_of(1), 0..0);
}

struct Case {
    stripe: Stripe,
    decoder: StripeDecoder,
}

fn case(data: u8, parity: u8) -> Case {
    let coding = coding(data, parity);
    let plain = chunk(usize::from(data) * 4096, 77);
    let (mut stripes, table) = encode(coding, &plain, 1);
    Case {
        stripe: stripes.remove(0),
        decoder: StripeDecoder::new(coding, len64(&plain), table).unwrap(),
    }
}

#[test]
fn every_pair_of_swapped_shards_is_caught() {
    // The bug of rustfs#4222: each shard passes its own checksum, only the names are wrong.
    let Case { stripe, decoder } = case(4, 2);
    for kept in [[0, 1, 2, 3], [1, 2, 3, 4], [0, 1, 4, 5], [2, 3, 4, 5]] {
        for a in 0..4 {
            for b in 0..a {
                let mut given = cells(&stripe, kept);
                (given[a].shard, given[b].shard) = (given[b].shard, given[a].shard);
                let error = decoder.decode(0, &given, 0..4).unwrap_err();
                let DecodeError::NeedMore { bad, suspects, .. } = error else {
                    panic!("{error}");
                };
                for shard in [kept[a], kept[b]] {
                    let named = if shard < 4 { bad } else { suspects };
                    // A swapped pair of parities leaves both in doubt; a data cell is named; the
                    // parity half of a mixed pair is not reached, as too few good cells are left.
                    let mixed = (kept[a] < 4) != (kept[b] < 4);
                    assert!(
                        named.contains(shard) || (mixed && shard >= 4),
                        "{kept:?} {a} {b}: {error}"
                    );
                }
            }
        }
    }
}

#[test]
fn cells_of_another_stripe_are_caught() {
    let coding = coding(2, 1);
    let plain = chunk(3 * 8192, 4);
    let (stripes, table) = encode(coding, &plain, 3);
    let decoder = StripeDecoder::new(coding, len64(&plain), table).unwrap();
    let error = decoder
        .decode(1, &cells(&stripes[2], [0, 1]), 0..2)
        .unwrap_err();
    let (bad, suspects) = (set([0, 1]), ShardSet::EMPTY);
    assert_eq!(
        error,
        DecodeError::NeedMore {
            stripe: 1,
            missing: 2,
            bad,
            suspects
        }
    );
}

#[test]
fn a_rotten_data_cell_is_named_and_another_shard_heals_the_read() {
    let Case { stripe, decoder } = case(4, 2);
    for bad_shard in 0..4 {
        let mut given = cells(&stripe, 0..4);
        rot(&mut given[bad_shard], 4095);
        let bad = set([u8::try_from(bad_shard).unwrap()]);
        let error = decoder.decode(0, &given, 0..4).unwrap_err();
        let suspects = ShardSet::EMPTY;
        assert_eq!(
            error,
            DecodeError::NeedMore {
                stripe: 0,
                missing: 1,
                bad,
                suspects
            }
        );
        given.extend(cells(&stripe, [5]));
        let decoded = decoder.decode(0, &given, 0..4).unwrap();
        assert_eq!(decoded.bad, bad);
        assert_eq!(decoded.cells, stripe.cells[..4]);
    }
}

#[test]
fn a_rotten_parity_cell_beside_good_data_is_named() {
    let Case { stripe, decoder } = case(4, 2);
    let mut given = cells(&stripe, [0, 1, 2, 4]);
    rot(&mut given[3], 0);
    let error = decoder.decode(0, &given, 0..4).unwrap_err();
    let (bad, suspects) = (set([4]), ShardSet::EMPTY);
    assert_eq!(
        error,
        DecodeError::NeedMore {
            stripe: 0,
            missing: 1,
            bad,
            suspects
        }
    );
    given.extend(cells(&stripe, [5]));
    let decoded = decoder.decode(0, &given, 3..4).unwrap();
    assert_eq!(
        (decoded.bad, &decoded.cells[..]),
        (bad, &stripe.cells[3..4])
    );
}

#[test]
fn one_rotten_parity_of_two_is_in_doubt_until_a_third_comes() {
    let Case { stripe, decoder } = case(4, 3);
    let mut given = cells(&stripe, [2, 3, 4, 5]);
    rot(&mut given[2], 100);
    let error = decoder.decode(0, &given, 0..2).unwrap_err();
    let (bad, suspects) = (ShardSet::EMPTY, set([4, 5]));
    assert_eq!(
        error,
        DecodeError::NeedMore {
            stripe: 0,
            missing: 1,
            bad,
            suspects
        }
    );
    given.extend(cells(&stripe, [6]));
    let decoded = decoder.decode(0, &given, 0..1).unwrap();
    assert_eq!(
        (decoded.bad, &decoded.cells[..]),
        (set([4]), &stripe.cells[..1])
    );
}

#[test]
fn one_bad_parity_is_worked_round_even_where_not_all_choices_are_tried() {
    let Case { stripe, decoder } = case(16, 13);
    let mut given = cells(&stripe, (0..29).filter(|shard| !(2..9).contains(shard)));
    let first_parity = given.iter().position(|cell| cell.shard == 16).unwrap();
    rot(&mut given[first_parity], 9);
    let decoded = decoder.decode(0, &given, 0..16).unwrap();
    assert_eq!(
        (decoded.bad, &decoded.cells[..]),
        (set([16]), &stripe.cells[..16])
    );
}

#[test]
fn a_cell_of_the_wrong_length_is_bad_not_fatal() {
    let Case { stripe, decoder } = case(2, 2);
    let mut given = cells(&stripe, 0..4);
    given[0].bytes = given[0].bytes.slice(..4095);
    given[2].bytes = Bytes::new();
    let decoded = decoder.decode(0, &given, 0..2).unwrap();
    assert_eq!(decoded.bad, set([0, 2]));
    assert_eq!(decoded.cells, stripe.cells[..2]);
}

#[test]
fn copies_are_checked_each_and_any_good_one_serves() {
    let coding = coding(1, 2);
    let plain = chunk(100, 6);
    let (stripes, table) = encode(coding, &plain, 1);
    let decoder = StripeDecoder::new(coding, 100, table).unwrap();
    let mut given = cells(&stripes[0], [1, 2]);
    rot(&mut given[0], 3);
    let decoded = decoder.decode(0, &given, 0..1).unwrap();
    assert_eq!(
        (decoded.bad, decoded.cells[0].as_ref()),
        (set([1]), plain.as_slice())
    );
    let (rebuilt, bad) = decoder.rebuild(0, &given, 1).unwrap();
    assert_eq!((rebuilt, bad), (stripes[0].cells[1].clone(), set([1])));
    let error = decoder.decode(0, &given[..1], 0..1).unwrap_err();
    assert!(matches!(error, DecodeError::NeedMore { missing: 1, .. }));
}

#[test]
fn rebuilding_refuses_to_copy_rot() {
    let Case { stripe, decoder } = case(4, 2);
    let mut given = cells(&stripe, 0..5);
    rot(&mut given[2], 1);
    let (cell, bad) = decoder.rebuild(0, &given, 5).unwrap();
    assert_eq!((cell, bad), (stripe.cells[5].clone(), set([2])));
    let error = decoder.rebuild(0, &given[..4], 5).unwrap_err();
    assert!(matches!(error, DecodeError::NeedMore { missing: 1, .. }));
}

#[test]
fn verify_names_faulty_cells_of_data_and_parity() {
    let coding = coding(4, 2);
    let mut encoder = StripeEncoder::new(coding, 40_000).unwrap();
    let stripes = encoder.push(BytesMut::from(&chunk(40_000, 2)[..])).unwrap();
    for stripe in &stripes {
        assert_eq!(encoder.verify(stripe), Ok(()));
    }
    for (shard, expected) in [(5_usize, set([5])), (2, set([2, 4, 5]))] {
        let mut faulty = stripes[1].clone();
        let mut bytes = faulty.cells[shard].to_vec();
        bytes[7] ^= 1;
        faulty.cells[shard] = bytes.into();
        let fault = encoder.verify(&faulty).unwrap_err();
        assert_eq!(
            fault,
            StripeFault {
                stripe: 1,
                shards: expected
            }
        );
    }
    let mut moved = stripes[1].clone();
    moved.index = 0;
    assert!(encoder.verify(&moved).is_err());
    moved.index = u64::MAX;
    assert!(encoder.verify(&moved).is_err());
    moved.cells.truncate(3);
    assert!(encoder.verify(&moved).is_err());
}

#[test]
fn chunk_lengths_outside_the_bounds_are_refused() {
    let coding = coding(2, 1);
    for len in [0, limits::CHUNK_LEN_MAX + 1] {
        let error = StripeEncoder::new(coding, len).unwrap_err();
        assert_eq!(error, EncodeError::ChunkLength(len));
    }
    let table = CellTable::new(coding, 1, vec![0, 0].into()).unwrap();
    assert!(matches!(
        StripeDecoder::new(coding, 0, table.clone()),
        Err(DecodeError::Refused(_))
    ));
    assert!(matches!(
        StripeDecoder::new(coding, 8193, table.clone()),
        Err(DecodeError::Refused(_))
    ));
    assert!(StripeDecoder::new(coding, 8192, table).is_ok());
}

#[test]
fn buffers_that_end_inside_a_stripe_are_refused_and_change_nothing() {
    let mut encoder = StripeEncoder::new(coding(2, 1), 20_000).unwrap();
    for len in [0, 1, 8191, 8193, 20_001] {
        let error = encoder.push(BytesMut::zeroed(len)).unwrap_err();
        assert!(
            matches!(error, EncodeError::Buffer { taken: 0, .. }),
            "{len}"
        );
    }
    assert_eq!(encoder.push(BytesMut::zeroed(16_384)).unwrap().len(), 2);
    assert!(
        encoder.push(BytesMut::zeroed(3_617)).is_err(),
        "past the end"
    );
    assert_eq!(encoder.taken(), 16_384);
    let error = encoder.finish().unwrap_err();
    assert_eq!(
        error,
        EncodeError::Incomplete {
            taken: 16_384,
            chunk_len: 20_000
        }
    );
}

#[test]
fn decode_calls_that_make_no_sense_are_refused() {
    let Case { stripe, decoder } = case(2, 1);
    let given = cells(&stripe, 0..2);
    let refused = |stripe, given: &[ShardCell], wanted| {
        let error = decoder.decode(stripe, given, wanted).unwrap_err();
        assert!(matches!(error, DecodeError::Refused(_)), "{error}");
    };
    refused(1, &given, 0..2);
    refused(u64::MAX, &given, 0..2);
    refused(0, &given, 0..3);
    refused(0, &[given.clone(), given[..1].to_vec()].concat(), 0..2);
    let mut unknown = given.clone();
    unknown[1].shard = 3;
    refused(0, &unknown, 0..2);
    assert!(matches!(
        decoder.rebuild(0, &given, 3),
        Err(DecodeError::Refused(_))
    ));
}
