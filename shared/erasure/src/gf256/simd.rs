//! The vector kernels of x86-64.
//!
//! Bounds are checked, so a wrong length can only give wrong bytes, never touch foreign memory. What
//! is left to `unsafe` is two things: loads and stores through references to arrays, and calling a
//! function that needs a CPU feature. The second rests on [`Simd`], which only [`Simd::detect`] can
//! make.

use std::arch::x86_64::{
    __m256i, __m512i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_gf2p8affine_epi64_epi8, _mm256_loadu_si256, _mm256_set1_epi8, _mm256_set1_epi64x,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_storeu_si256,
    _mm256_xor_si256, _mm512_gf2p8affine_epi64_epi8, _mm512_loadu_si512, _mm512_set1_epi64,
    _mm512_setzero_si512, _mm512_storeu_si512, _mm512_xor_si512,
};
use std::ops::Range;

use super::linear_map::Group;

/// A vector kernel that this machine was found to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Simd(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    GfniAvx512,
    GfniAvx2,
    Avx2,
}

impl Simd {
    /// What this machine runs, fastest first.
    pub(super) fn detect() -> Vec<Self> {
        let gfni = is_x86_feature_detected!("gfni");
        let avx2 = is_x86_feature_detected!("avx2");
        let avx512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        [
            (gfni && avx2 && avx512, Set::GfniAvx512),
            (gfni && avx2, Set::GfniAvx2),
            (avx2, Set::Avx2),
        ]
        .into_iter()
        .filter_map(|(runs, set)| runs.then_some(Self(set)))
        .collect()
    }

    pub(super) fn name(self) -> &'static str {
        match self.0 {
            Set::GfniAvx512 => "gfni-avx512",
            Set::GfniAvx2 => "gfni-avx2",
            Set::Avx2 => "avx2",
        }
    }

    /// Computes the group's outputs for whole vectors of the columns; gives the first column that
    /// is not done.
    pub(super) fn apply(
        self,
        group: &Group,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        columns: Range<usize>,
    ) -> usize {
        match group.rows {
            1 => self.apply_rows::<1>(group, inputs, outputs, columns),
            2 => self.apply_rows::<2>(group, inputs, outputs, columns),
            3 => self.apply_rows::<3>(group, inputs, outputs, columns),
            4 => self.apply_rows::<4>(group, inputs, outputs, columns),
            _ => columns.start,
        }
    }

    fn apply_rows<const R: usize>(
        self,
        group: &Group,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        columns: Range<usize>,
    ) -> usize {
        let Ok(outputs) = outputs.try_into() else {
            return columns.start;
        };
        let matrices = group.bit_matrices.as_chunks().0;
        let nibbles = group.nibbles.as_chunks().0;
        match self.0 {
            // SAFETY: `detect` made this value after it had found gfni, avx512f and avx512bw.
            Set::GfniAvx512 => unsafe { gfni_avx512::<R>(matrices, inputs, outputs, columns) },
            // SAFETY: `detect` made this value after it had found gfni and avx2.
            Set::GfniAvx2 => unsafe { gfni_avx2::<R>(matrices, inputs, outputs, columns) },
            // SAFETY: `detect` made this value after it had found avx2.
            Set::Avx2 => unsafe { avx2::<R>(nibbles, inputs, outputs, columns) },
        }
    }
}

/// The block of `N` bytes at `at`.
#[inline(always)]
fn block<const N: usize>(slice: &[u8], at: usize) -> Option<&[u8; N]> {
    slice.get(at..).and_then(<[u8]>::first_chunk)
}

/// The block of `N` bytes at `at`, to write.
#[inline(always)]
fn block_mut<const N: usize>(slice: &mut [u8], at: usize) -> Option<&mut [u8; N]> {
    slice.get_mut(at..).and_then(<[u8]>::first_chunk_mut)
}

/// The two halves of a block.
#[inline(always)]
fn halves<const N: usize, const H: usize>(block: &[u8; N]) -> Option<[&[u8; H]; 2]> {
    let (first, second) = block.split_at_checked(H)?;
    Some([first.first_chunk()?, second.first_chunk()?])
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_512(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: the reference covers the 64 bytes read; the load needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_512(bytes: &mut [u8; 64], vector: __m512i) {
    // SAFETY: the reference covers the 64 bytes written; the store needs no alignment.
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), vector) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_256(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the reference covers the 32 bytes read; the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_256(bytes: &mut [u8; 32], vector: __m256i) {
    // SAFETY: the reference covers the 32 bytes written; the store needs no alignment.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), vector) }
}

/// A 16-byte table, once in each half.
#[inline]
#[target_feature(enable = "avx2")]
fn load_table(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: the reference covers the 16 bytes read; the load needs no alignment.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

/// The loop all kernels share: two vectors of every input at a time, multiplied into the sums of R
/// outputs. Gives the first column not done.
macro_rules! kernel {
    (
        $name:ident, $features:literal, $factor:ty, $vector_len:literal, $block_len:literal,
        $load:ident, $store:ident, $zero:ident, $xor:ident, |$vector:ident, $of:ident| $multiply:expr
    ) => {
        #[target_feature(enable = $features)]
        fn $name<const R: usize>(
            factors: &[[$factor; R]],
            inputs: &[&[u8]],
            outputs: &mut [&mut [u8]; R],
            columns: Range<usize>,
        ) -> usize {
            let mut at = columns.start;
            while at + $block_len <= columns.end {
                let mut sums = [[$zero(); 2]; R];
                for (input, factors) in inputs.iter().zip(factors) {
                    let Some([first, second]) =
                        block::<$block_len>(input, at).and_then(halves::<_, $vector_len>)
                    else {
                        return at;
                    };
                    let vectors = [$load(first), $load(second)];
                    for (sums, $of) in sums.iter_mut().zip(factors) {
                        for (sum, $vector) in sums.iter_mut().zip(vectors) {
                            *sum = $xor(*sum, $multiply);
                        }
                    }
                }
                for (output, sums) in outputs.iter_mut().zip(sums) {
                    for (sum, at) in sums.into_iter().zip([at, at + $vector_len]) {
                        let Some(place) = block_mut::<$vector_len>(output, at) else {
                            return at;
                        };
                        $store(place, sum);
                    }
                }
                at += $block_len;
            }
            at
        }
    };
}

kernel!(
    gfni_avx512,
    "gfni,avx512f,avx512bw",
    u64,
    64,
    128,
    load_512,
    store_512,
    _mm512_setzero_si512,
    _mm512_xor_si512,
    |vector, matrix| {
        _mm512_gf2p8affine_epi64_epi8::<0>(vector, _mm512_set1_epi64(matrix.cast_signed()))
    }
);

kernel!(
    gfni_avx2,
    "gfni,avx2",
    u64,
    32,
    64,
    load_256,
    store_256,
    _mm256_setzero_si256,
    _mm256_xor_si256,
    |vector, matrix| {
        _mm256_gf2p8affine_epi64_epi8::<0>(vector, _mm256_set1_epi64x(matrix.cast_signed()))
    }
);

kernel!(
    avx2,
    "avx2",
    [u8; 32],
    32,
    64,
    load_256,
    store_256,
    _mm256_setzero_si256,
    _mm256_xor_si256,
    |vector, products| {
        let mask = _mm256_set1_epi8(0x0f);
        let (low, high) = tables(products);
        _mm256_xor_si256(
            _mm256_shuffle_epi8(low, _mm256_and_si256(vector, mask)),
            _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16::<4>(vector), mask)),
        )
    }
);

/// The products of the low nibbles and of the high ones.
#[inline]
#[target_feature(enable = "avx2")]
fn tables(products: &[u8; 32]) -> (__m256i, __m256i) {
    match halves(products) {
        Some([low, high]) => (load_table(low), load_table(high)),
        None => (_mm256_setzero_si256(), _mm256_setzero_si256()),
    }
}
