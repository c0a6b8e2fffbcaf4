use super::*;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use reed_solomon_erasure::galois_8::ReedSolomon;

fn shards(data: usize, len: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut state = seed | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..data)
        .map(|_| (0..len).map(|_| next()).collect())
        .collect()
}

fn encoded(codec: &Codec, data: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let len = data[0].len();
    let inputs: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
    let mut parity = vec![vec![0; len]; codec.parity()];
    let mut outputs: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
    codec.encode(&inputs, &mut outputs).unwrap();
    data.iter().cloned().chain(parity).collect()
}

fn present(all: &[Vec<u8>], which: &[u8]) -> Vec<(u8, Vec<u8>)> {
    which
        .iter()
        .map(|shard| (*shard, all[usize::from(*shard)].clone()))
        .collect()
}

fn rebuilt(
    codec: &Codec,
    given: &[(u8, Vec<u8>)],
    want: &[u8],
) -> Result<Vec<Vec<u8>>, CodecError> {
    let given: Vec<(u8, &[u8])> = given
        .iter()
        .map(|(shard, bytes)| (*shard, bytes.as_slice()))
        .collect();
    let mut out = vec![vec![0; given.first().map_or(0, |(_, bytes)| bytes.len())]; want.len()];
    let mut places: Vec<(u8, &mut [u8])> = want
        .iter()
        .copied()
        .zip(out.iter_mut().map(Vec::as_mut_slice))
        .collect();
    codec.reconstruct(&given, &mut places)?;
    Ok(out)
}

#[test]
fn parity_is_the_oracles_for_every_shape() {
    for data in 1..=16 {
        for parity in 1..=16_usize.min(SHARDS - data) {
            let mut all = shards(data, 67, (data * 100 + parity) as u64);
            let ours = encoded(&Codec::new(data, parity).unwrap(), &all);
            all.resize(data + parity, vec![0; 67]);
            ReedSolomon::new(data, parity)
                .unwrap()
                .encode(&mut all)
                .unwrap();
            assert_eq!(ours, all, "{data}+{parity}");
        }
    }
}

#[test]
fn every_loss_within_m_is_rebuilt_on_every_kernel() {
    for (data, parity) in [(1, 2), (2, 1), (2, 2), (3, 2), (4, 2), (6, 3)] {
        for kernel in Kernel::available() {
            let codec = Codec::with_kernel(data, parity, kernel).unwrap();
            let all = encoded(&codec, &shards(data, 200, 5));
            for lost in 0_u32..1 << (data + parity) {
                let is_lost = |shard: &u8| lost & (1 << shard) != 0;
                let (want, kept): (Vec<u8>, Vec<u8>) =
                    (0..u8::try_from(data + parity).unwrap()).partition(is_lost);
                let result = rebuilt(&codec, &present(&all, &kept), &want);
                if want.len() <= parity {
                    for (shard, bytes) in want.iter().zip(result.unwrap()) {
                        assert_eq!(bytes, all[usize::from(*shard)]);
                    }
                } else {
                    assert_eq!(
                        result,
                        Err(CodecError::NotEnough {
                            have: kept.len(),
                            need: data
                        })
                    );
                }
            }
        }
    }
}

fn any_shape() -> impl Strategy<Value = (usize, usize)> {
    (1_usize..=20).prop_flat_map(|data| (Just(data), 0..=(SHARDS - data).min(12)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_k_shards_in_any_order_rebuild_any_others(
        (shape, kept, want) in any_shape().prop_flat_map(|(data, parity)| {
            let all: Vec<u8> = (0..u8::try_from(data + parity).unwrap()).collect();
            (
                Just((data, parity)),
                subsequence(all.clone(), data..=data + parity).prop_shuffle(),
                subsequence(all, 0..=data + parity),
            )
        }),
        len in 0_usize..300,
        seed in any::<u64>(),
    ) {
        let codec = Codec::new(shape.0, shape.1).unwrap();
        let all = encoded(&codec, &shards(shape.0, len, seed));
        let result = rebuilt(&codec, &present(&all, &kept), &want).unwrap();
        for (shard, bytes) in want.iter().zip(result) {
            prop_assert_eq!(&bytes, &all[usize::from(*shard)]);
        }
    }

    #[test]
    fn verify_names_exactly_the_parity_that_was_changed(
        (data, parity) in (1_usize..=10, 1_usize..=6),
        at in any::<Index>(),
        change in 1..=u8::MAX,
        bad in any::<u8>(),
        seed in any::<u64>(),
    ) {
        let codec = Codec::new(data, parity).unwrap();
        let mut all = encoded(&codec, &shards(data, 130, seed));
        let verify = |all: &[Vec<u8>]| {
            let slices: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
            codec.verify(&slices[..data], &slices[data..]).unwrap()
        };
        prop_assert_eq!(verify(&all), ShardSet::EMPTY);
        let bad = data + usize::from(bad) % parity;
        all[bad][at.index(130)] ^= change;
        prop_assert_eq!(verify(&all).iter().map(usize::from).collect::<Vec<_>>(), [bad]);
    }
}

#[test]
fn swapped_shards_give_wrong_bytes_without_an_error() {
    // Why nothing decoded is trusted before the cell table has agreed.
    let codec = Codec::new(4, 2).unwrap();
    let all = encoded(&codec, &shards(4, 64, 9));
    let mut given = present(&all, &[1, 2, 3, 4]);
    given[0].0 = 2;
    given[1].0 = 1;
    let wrong = rebuilt(&codec, &given, &[0]).unwrap();
    assert_ne!(wrong[0], all[0]);
}

#[test]
fn shapes_outside_the_code_are_refused() {
    for (data, parity) in [
        (0, 1),
        (0, 0),
        (17, 16),
        (32, 1),
        (33, 0),
        (1, 33),
        (usize::MAX, 0),
    ] {
        assert!(
            matches!(Codec::new(data, parity), Err(CodecError::Refused(_))),
            "{data}+{parity}"
        );
    }
    assert_eq!(Codec::new(32, 0).unwrap().data(), 32);
    assert!(Codec::with_kernel(0, 2, Kernel::best()).is_err());
}

#[test]
fn calls_that_make_no_sense_are_refused() {
    let codec = Codec::new(2, 1).unwrap();
    let refused = |result: Result<(), CodecError>| {
        assert!(matches!(result, Err(CodecError::Refused(_))), "{result:?}")
    };
    let (a, short) = ([1; 8], [1; 7]);
    refused(codec.encode(&[&a], &mut [&mut [0; 8]]));
    refused(codec.encode(&[&a, &a], &mut []));
    refused(codec.encode(&[&a, &short], &mut [&mut [0; 8]]));
    refused(codec.encode(&[&a, &a], &mut [&mut [0; 7]]));
    refused(codec.verify(&[&a, &a], &[&short]).map(drop));
    refused(codec.verify(&[&a, &a], &[]).map(drop));
    refused(codec.reconstruct(&[(0, &a), (3, &a)], &mut []));
    refused(codec.reconstruct(&[(0, &a), (0, &a)], &mut []));
    refused(codec.reconstruct(&[(0, &a), (1, &short)], &mut []));
    refused(codec.reconstruct(&[(0, &a), (1, &a), (2, &short)], &mut []));
    refused(codec.reconstruct(&[(0, &a), (1, &a)], &mut [(3, &mut [0; 8])]));
    refused(codec.reconstruct(&[(0, &a), (1, &a)], &mut [(2, &mut [0; 7])]));
    refused(codec.reconstruct(
        &[(0, &a), (1, &a)],
        &mut [(2, &mut [0; 8]), (1, &mut [0; 8])],
    ));
    refused(codec.reconstruct(
        &[(0, &a), (1, &a)],
        &mut [(2, &mut [0; 8]), (2, &mut [0; 8])],
    ));
}

#[test]
fn no_parity_needs_no_maths() {
    let codec = Codec::new(3, 0).unwrap();
    let data = shards(3, 10, 1);
    assert_eq!(encoded(&codec, &data), data);
    let lost = rebuilt(&codec, &present(&data, &[0, 2]), &[1]);
    assert_eq!(lost, Err(CodecError::NotEnough { have: 2, need: 3 }));
}

#[test]
fn codecs_are_made_once_and_decode_matrices_are_bounded() {
    assert!(Arc::ptr_eq(
        &Codec::new(5, 3).unwrap().0,
        &Codec::new(5, 3).unwrap().0
    ));
    let codec = Codec::with_kernel(8, 8, Kernel::portable()).unwrap();
    let all = encoded(&codec, &shards(8, 4, 2));
    let mut shapes = 0;
    for first in 0..8 {
        for second in 8..16 {
            for third in 0..8 {
                let kept: Vec<u8> = (0..16)
                    .filter(|s| ![first, second, third].contains(s))
                    .collect();
                let result = rebuilt(&codec, &present(&all, &kept), &[first]).unwrap();
                assert_eq!(result[0], all[usize::from(first)]);
                shapes += 1;
            }
        }
    }
    let cache = codec.0.decode.lock().unwrap();
    assert!(shapes > DECODE_MATRICES_MAX && cache.maps.len() <= DECODE_MATRICES_MAX);
    assert_eq!(cache.maps.len(), cache.order.len());
}

#[test]
fn codecs_are_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Codec>();
    shared::<crate::StripeDecoder>();
    shared::<crate::StripeEncoder>();
}
