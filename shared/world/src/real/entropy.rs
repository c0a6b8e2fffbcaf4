//! The operating system's randomness.

use crate::entropy::Entropy;

/// The operating system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Panics
    /// Where the operating system has no randomness: nothing that names, salts or signs may go on.
    #[expect(clippy::disallowed_methods, reason = "the one door")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ_and_nothing_stays_unfilled() {
        let (mut one, mut two) = ([0; 64], [0; 64]);
        OsEntropy.fill(&mut one);
        OsEntropy.fill(&mut two);
        assert_ne!(one, two);
        assert!(one.iter().any(|byte| *byte != 0));
        assert_ne!(OsEntropy.next_u64(), OsEntropy.next_u64());
    }
}
