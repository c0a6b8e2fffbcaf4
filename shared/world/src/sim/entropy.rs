//! Seeded randomness.

use crate::entropy::Entropy;
use std::sync::{Arc, Mutex, PoisonError};

/// A small deterministic generator: xoshiro256** seeded through splitmix64. Not for secrets.
#[derive(Clone, Debug)]
pub struct SeededRng {
    state: [u64; 4],
}

impl SeededRng {
    /// The generator of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut mix = seed;
        Self {
            state: std::array::from_fn(|_| split_mix(&mut mix)),
        }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let drawn = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        drawn
    }

    /// A number in `0..bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        (wide >> 64) as u64
    }

    /// True `times` out of `of` on average.
    pub fn chance(&mut self, times: u64, of: u64) -> bool {
        self.below(of) < times
    }

    /// One of `choices`; `None` where there are none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.below(choices.len() as u64) as usize)
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            let drawn = self.next_u64().to_le_bytes();
            piece
                .iter_mut()
                .zip(drawn)
                .for_each(|(byte, drawn)| *byte = drawn);
        }
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Seeded [`Entropy`]. Clones draw from the same stream; [`SimEntropy::fork`] starts another.
#[derive(Clone, Debug)]
pub struct SimEntropy {
    rng: Arc<Mutex<SeededRng>>,
}

impl SimEntropy {
    /// The stream of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Arc::new(Mutex::new(SeededRng::new(seed))),
        }
    }

    /// A stream of its own, determined by this one's next draw: for each node of a simulation one,
    /// so that who draws first does not change what the others get.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::new(self.next_u64())
    }
}

impl Entropy for SimEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.rng
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generator_matches_its_published_vectors() {
        // splitmix64 of seed 0, and xoshiro256** of state 1, 2, 3, 4.
        let mut mix = 0;
        assert_eq!(split_mix(&mut mix), 0xE220_A839_7B1D_CDAF);
        assert_eq!(split_mix(&mut mix), 0x6E78_9E6A_A1B9_65F4);
        let mut rng = SeededRng {
            state: [1, 2, 3, 4],
        };
        assert_eq!(rng.next_u64(), 11_520);
        assert_eq!(rng.next_u64(), 0);
        assert_eq!(rng.next_u64(), 1_509_978_240);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
        let draw = |seed| {
            let mut bytes = [0; 37];
            SimEntropy::new(seed).fill(&mut bytes);
            bytes
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn forks_are_independent_of_each_others_use() {
        let streams = |draws: usize| {
            let root = SimEntropy::new(9);
            let (one, two) = (root.fork(), root.fork());
            one.fill(&mut vec![0; draws]);
            two.next_u64()
        };
        assert_eq!(streams(0), streams(100));
    }

    #[test]
    fn bounded_draws_stay_below_and_reach_everything() {
        let mut rng = SeededRng::new(3);
        let mut seen = [0_u32; 5];
        (0..1_000).for_each(|_| seen[rng.below(5) as usize] += 1);
        assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
        assert_eq!(rng.below(0), 0);
        assert!(rng.pick::<u8>(&[]).is_none());
        assert!(!rng.chance(0, 10) && rng.chance(10, 10));
    }
}
