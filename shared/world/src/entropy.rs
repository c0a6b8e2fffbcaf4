//! Randomness.

/// A source of random bytes. The real one is the operating system's; the simulated one is seeded.
pub trait Entropy: Send + Sync + std::fmt::Debug + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);

    /// Eight random bytes as a number.
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}
