use super::*;
use proptest::prelude::*;
use reed_solomon_erasure::galois_8;

#[test]
fn the_field_is_the_oracles() {
    for a in 0..=u8::MAX {
        for b in 0..=u8::MAX {
            assert_eq!(multiply(a, b), galois_8::mul(a, b), "{a} * {b}");
        }
        for n in 0..40 {
            assert_eq!(power(a, n), galois_8::exp(a, n), "{a} ^ {n}");
        }
        match inverse(a) {
            Some(b) => assert_eq!(galois_8::div(1, a), b),
            None => assert_eq!(a, 0),
        }
    }
}

#[test]
fn the_portable_kernel_is_always_there_and_names_differ() {
    let kernels = Kernel::available();
    assert_eq!(kernels.last(), Some(&Kernel::portable()));
    assert_eq!(kernels.first(), Some(&Kernel::best()));
    let names: std::collections::BTreeSet<_> = kernels.iter().map(|kernel| kernel.name()).collect();
    assert_eq!(names.len(), kernels.len());
}

/// The sum, element by element, from the definition.
fn by_definition(rows: &[Vec<u8>], inputs: &[&[u8]], column: usize) -> Vec<u8> {
    rows.iter()
        .map(|row| {
            row.iter().zip(inputs).fold(0, |sum, (factor, input)| {
                sum ^ galois_8::mul(*factor, input[column])
            })
        })
        .collect()
}

fn bytes_of(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

/// Every kernel on slices that begin `skew` bytes into their buffers.
fn check_kernels(inputs: usize, outputs: usize, len: usize, skew: usize, seed: u64) {
    let rows: Vec<Vec<u8>> = (0..outputs)
        .map(|row| bytes_of(seed.wrapping_add(row as u64 * 7919 + 1), inputs))
        .collect();
    let map = LinearMap::new(inputs, &rows);
    let buffers: Vec<Vec<u8>> = (0..inputs)
        .map(|input| bytes_of(seed ^ (input as u64 + 1) << 20, len + skew + input))
        .collect();
    let slices: Vec<&[u8]> = buffers
        .iter()
        .enumerate()
        .map(|(input, buffer)| &buffer[skew + input..])
        .collect();
    for kernel in Kernel::available() {
        let mut results = vec![vec![0xa5_u8; len + skew + 1]; outputs];
        let mut places: Vec<&mut [u8]> = results
            .iter_mut()
            .map(|result| &mut result[skew..skew + len])
            .collect();
        map.apply(kernel, &slices, &mut places);
        for column in 0..len {
            let expected = by_definition(&rows, &slices, column);
            let found: Vec<u8> = results.iter().map(|result| result[skew + column]).collect();
            assert_eq!(
                found,
                expected,
                "{} column {column} of {len}",
                kernel.name()
            );
        }
        for result in &results {
            assert!(
                result[..skew].iter().all(|byte| *byte == 0xa5),
                "wrote before"
            );
            assert_eq!(result[skew + len], 0xa5, "wrote past the end");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn kernels_agree_on_any_shape_length_and_alignment(
        inputs in 1_usize..=20,
        outputs in 1_usize..=12,
        len in 0_usize..700,
        skew in 0_usize..65,
        seed in any::<u64>(),
    ) {
        check_kernels(inputs, outputs, len, skew, seed);
    }
}

#[test]
fn kernels_agree_around_the_borders_of_vectors_and_column_blocks() {
    for len in [
        1,
        31,
        32,
        33,
        63,
        64,
        65,
        127,
        128,
        129,
        2047,
        2048,
        2049,
        4096 + 65,
    ] {
        check_kernels(3, 5, len, 1, len as u64);
    }
}

#[test]
fn every_factor_is_right_in_every_kernel() {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    for factor in 0..=u8::MAX {
        let map = LinearMap::new(1, &[vec![factor]]);
        let expected: Vec<u8> = all.iter().map(|x| galois_8::mul(factor, *x)).collect();
        for kernel in Kernel::available() {
            let mut found = vec![0; 256];
            map.apply(kernel, &[&all], &mut [&mut found]);
            assert_eq!(found, expected, "{} factor {factor}", kernel.name());
        }
    }
}
