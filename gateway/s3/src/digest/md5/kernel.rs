//! The rounds of MD5, for one chain and for as many as a vector has lanes.
//!
//! The lanes are arrays and the compiler makes vectors of them; the same source is compiled once for each set
//! of instructions and chosen at run time. That call is the only unsafe code here.

#![expect(
    unsafe_code,
    reason = "calls of functions compiled for instructions that were found at run time"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "arrays, indexed by constants and by lanes below their length"
)]

use super::BLOCK;

/// RFC 1321, 3.4: left rotations of each round's four steps.
const ROTATIONS: [[u32; 4]; 4] = [
    [7, 12, 17, 22],
    [5, 9, 14, 20],
    [4, 11, 16, 23],
    [6, 10, 15, 21],
];

/// RFC 1321, 3.4: 2^32 times the sine of the step's number, in radians.
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

/// All 64 steps: `$step!(function, which word, number of the step, a, b, c, d)`.
macro_rules! rounds {
    ($step:ident, [$f:ident, $g:ident, $h:ident, $i:ident], $a:ident, $b:ident, $c:ident, $d:ident) => {
        rounds!(@round $step, $f, 0, |n: usize| n, $a, $b, $c, $d);
        rounds!(@round $step, $g, 16, |n: usize| 5 * n + 1, $a, $b, $c, $d);
        rounds!(@round $step, $h, 32, |n: usize| 3 * n + 5, $a, $b, $c, $d);
        rounds!(@round $step, $i, 48, |n: usize| 7 * n, $a, $b, $c, $d);
    };
    (@round $step:ident, $f:ident, $n:expr, $word:expr, $a:ident, $b:ident, $c:ident, $d:ident) => {
        rounds!(@four $step, $f, $n, $word, $a, $b, $c, $d);
        rounds!(@four $step, $f, $n + 4, $word, $a, $b, $c, $d);
        rounds!(@four $step, $f, $n + 8, $word, $a, $b, $c, $d);
        rounds!(@four $step, $f, $n + 12, $word, $a, $b, $c, $d);
    };
    (@four $step:ident, $f:ident, $n:expr, $word:expr, $a:ident, $b:ident, $c:ident, $d:ident) => {
        $step!($f, $word($n) % 16, $n, $a, $b, $c, $d);
        $step!($f, $word($n + 1) % 16, $n + 1, $d, $a, $b, $c);
        $step!($f, $word($n + 2) % 16, $n + 2, $c, $d, $a, $b);
        $step!($f, $word($n + 3) % 16, $n + 3, $b, $c, $d, $a);
    };
}

/// Adds as many blocks to each of a few chains as the shortest input has, word by word: one chain leaves most
/// of a processor idle, and a second costs little more where vectors would be mostly empty.
#[inline(never)]
pub(super) fn few<const N: usize>(states: &mut [[u32; 4]; N], inputs: &[&[[u8; BLOCK]]; N]) {
    // Where `b` comes last it is added last: it is what the next step waits for.
    let f = |x: u32, b: u32, c: u32, d: u32| x.wrapping_add(d ^ (b & (c ^ d)));
    let g = |x: u32, b: u32, c: u32, d: u32| x.wrapping_add(c & !d).wrapping_add(b & d);
    let h = |x: u32, b: u32, c: u32, d: u32| x.wrapping_add(b ^ (c ^ d));
    let i = |x: u32, b: u32, c: u32, d: u32| x.wrapping_add(c ^ (b | !d));
    let count = inputs.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    let state = |word: usize| std::array::from_fn(|chain| states[chain][word]);
    let [mut a, mut b, mut c, mut d]: [Words<N>; 4] = std::array::from_fn(state);
    let mut words = [[0_u32; N]; 16];
    for at in 0..count {
        load(&mut words, inputs, at);
        let before = [a, b, c, d];
        macro_rules! step {
            ($f:ident, $word:expr, $n:expr, $a:ident, $b:ident, $c:ident, $d:ident) => {
                for chain in 0..N {
                    let sum = $a[chain]
                        .wrapping_add(SINES[$n])
                        .wrapping_add(words[$word][chain]);
                    let turned = $f(sum, $b[chain], $c[chain], $d[chain]);
                    let turned = turned.rotate_left(ROTATIONS[$n / 16][$n % 4]);
                    $a[chain] = $b[chain].wrapping_add(turned);
                }
            };
        }
        rounds!(step, [f, g, h, i], a, b, c, d);
        add(&mut a, &before[0]);
        add(&mut b, &before[1]);
        add(&mut c, &before[2]);
        add(&mut d, &before[3]);
    }
    for (chain, state) in states.iter_mut().enumerate() {
        *state = [a[chain], b[chain], c[chain], d[chain]];
    }
}

/// Adds blocks to one chain.
pub(super) fn one(state: &mut [u32; 4], blocks: &[[u8; BLOCK]]) {
    few(std::array::from_mut(state), &[blocks]);
}

/// One word of each chain.
type Words<const L: usize> = [u32; L];

// What the compiler must see through, wherever it is called: no call may stay between the lanes.
#[inline(always)]
fn f(b: u32, c: u32, d: u32) -> u32 {
    d ^ (b & (c ^ d))
}

#[inline(always)]
fn g(b: u32, c: u32, d: u32) -> u32 {
    c ^ (d & (b ^ c))
}

#[inline(always)]
fn h(b: u32, c: u32, d: u32) -> u32 {
    b ^ c ^ d
}

#[inline(always)]
fn i(b: u32, c: u32, d: u32) -> u32 {
    c ^ (b | !d)
}

#[inline(always)]
fn add<const L: usize>(sum: &mut Words<L>, words: &Words<L>) {
    for (sum, word) in sum.iter_mut().zip(words) {
        *sum = sum.wrapping_add(*word);
    }
}

/// The words of each chain's next block.
#[inline(always)]
fn load<const L: usize>(words: &mut [Words<L>; 16], blocks: &[&[[u8; BLOCK]]; L], at: usize) {
    for (lane, blocks) in blocks.iter().enumerate() {
        let Some(block) = blocks.get(at) else { return };
        for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
            word[lane] = u32::from_le_bytes(*bytes);
        }
    }
}

/// Adds as many whole blocks to each of `L` chains as the shortest input has.
#[inline(always)]
fn many<const L: usize>(states: &mut [Words<L>; 4], inputs: &[&[u8]; L]) {
    let blocks = inputs.map(|input| input.as_chunks::<BLOCK>().0);
    let count = blocks.iter().map(|lane| lane.len()).min().unwrap_or(0);
    let [mut a, mut b, mut c, mut d] = *states;
    let mut words = [[0_u32; L]; 16];
    for at in 0..count {
        load(&mut words, &blocks, at);
        let before = [a, b, c, d];
        macro_rules! step {
            ($f:ident, $word:expr, $n:expr, $a:ident, $b:ident, $c:ident, $d:ident) => {
                let mut next = [0_u32; L];
                for lane in 0..L {
                    let sum = $a[lane]
                        .wrapping_add(SINES[$n])
                        .wrapping_add(words[$word][lane])
                        .wrapping_add($f($b[lane], $c[lane], $d[lane]));
                    let turned = sum.rotate_left(ROTATIONS[$n / 16][$n % 4]);
                    next[lane] = $b[lane].wrapping_add(turned);
                }
                $a = next;
            };
        }
        rounds!(step, [f, g, h, i], a, b, c, d);
        add(&mut a, &before[0]);
        add(&mut b, &before[1]);
        add(&mut c, &before[2]);
        add(&mut d, &before[3]);
    }
    *states = [a, b, c, d];
}

/// How many chains go side by side, and in what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lanes {
    /// AVX-512 turns words in one instruction and joins three in another, in vectors of any length.
    #[cfg(target_arch = "x86_64")]
    Avx512(Width),
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Vectors of four words are in every processor of 64 bits.
    Portable,
    /// No vectors: up to three chains word by word.
    Few,
}

/// Words of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Eight,
    Sixteen,
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn avx512<const L: usize>(states: &mut [Words<L>; 4], inputs: &[&[u8]; L]) {
    many(states, inputs);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(states: &mut [Words<8>; 4], inputs: &[&[u8]; 8]) {
    many(states, inputs);
}

impl Lanes {
    /// The widest.
    pub(super) fn here() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl");
            if avx512 {
                return Self::Avx512(Width::Sixteen);
            }
            if is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// All that this machine has.
    #[cfg(test)]
    pub(super) fn all() -> Vec<Self> {
        let mut all = vec![Self::Portable, Self::Few];
        #[cfg(target_arch = "x86_64")]
        {
            if Self::here() != Self::Portable {
                all.push(Self::Avx2);
            }
            if let Self::Avx512(_) = Self::here() {
                all.extend([Width::Eight, Width::Sixteen].map(Self::Avx512));
            }
        }
        all
    }

    pub(super) fn count(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(Width::Sixteen) => 16,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 | Self::Avx512(Width::Eight) => 8,
            Self::Portable => 4,
            Self::Few => 3,
        }
    }

    /// The fastest for so many chains: a turn of few lanes takes less than one of many.
    pub(super) fn fit(self, chains: usize) -> Self {
        match (self, chains) {
            (_, 0..=3) => Self::Few,
            #[cfg(target_arch = "x86_64")]
            (Self::Avx512(_), 0..=8) => Self::Avx512(Width::Eight),
            (_, 0..=4) => Self::Portable,
            _ => self,
        }
    }

    /// Adds as many whole blocks to each chain as the shortest input has. More chains than lanes are left
    /// as they are; lanes without a chain do what the first does, for nothing.
    pub(super) fn advance(self, states: &mut [[u32; 4]], inputs: &[&[u8]]) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(Width::Eight) => spread(states, inputs, |states, inputs| {
                // SAFETY: `Avx512` is only made where its three features were detected.
                unsafe { avx512::<8>(states, inputs) }
            }),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(Width::Sixteen) => spread(states, inputs, |states, inputs| {
                // SAFETY: as above.
                unsafe { avx512::<16>(states, inputs) }
            }),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => spread(states, inputs, |states, inputs| {
                // SAFETY: `Avx2` is only made where the feature, or a wider one that implies it, was detected.
                unsafe { avx2(states, inputs) }
            }),
            Self::Portable => spread::<4>(states, inputs, many),
            Self::Few => match states.len() {
                1 => word_by_word::<1>(states, inputs),
                2 => word_by_word::<2>(states, inputs),
                _ => word_by_word::<3>(states, inputs),
            },
        }
    }
}

/// Chains as they are.
fn word_by_word<const N: usize>(states: &mut [[u32; 4]], inputs: &[&[u8]]) {
    if let (Some(states), Some(inputs)) = (states.first_chunk_mut::<N>(), inputs.first_chunk::<N>())
    {
        few(states, &inputs.map(|input| input.as_chunks::<BLOCK>().0));
    }
}

/// Turns chains into lanes and back.
fn spread<const L: usize>(
    states: &mut [[u32; 4]],
    inputs: &[&[u8]],
    work: impl FnOnce(&mut [[u32; L]; 4], &[&[u8]; L]),
) {
    let (Some(first), Some(input)) = (states.first().copied(), inputs.first()) else {
        return;
    };
    let state = |lane: usize| states.get(lane).copied().unwrap_or(first);
    let mut lanes: [[u32; L]; 4] =
        std::array::from_fn(|word| std::array::from_fn(|lane| state(lane)[word]));
    let inputs: [&[u8]; L] = std::array::from_fn(|lane| *inputs.get(lane).unwrap_or(input));
    work(&mut lanes, &inputs);
    for (lane, state) in states.iter_mut().take(L).enumerate() {
        *state = std::array::from_fn(|word| lanes[word][lane]);
    }
}
