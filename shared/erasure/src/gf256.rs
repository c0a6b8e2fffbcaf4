//! GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11d), and linear maps over long slices.
//!
//! ```text
//!             input 0   input 1  ..  input k-1        one column block is read once and multiplied
//!               │c00      │c01          │c0k          into up to four outputs held in registers
//!  output 0  =  ·    xor  ·    xor ..   ·
//!  output 1  =  c10  xor  c11  xor ..   c1k
//! ```
//!
//! A [`Kernel`] says how: [`portable`](Kernel::portable) multiplies through a table; the others
//! use the vector units this machine was found to have. All give the same bytes.

mod linear_map;
mod portable;
#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "vector loads, stores and calls that need a CPU feature; the crate's only unsafe code"
)]
mod simd;
mod tables;

pub(crate) use linear_map::LinearMap;

/// a · b.
#[must_use]
pub fn multiply(a: u8, b: u8) -> u8 {
    tables::row(a)
        .get(usize::from(b))
        .copied()
        .unwrap_or_default()
}

/// 1 / a; `None` for 0.
#[must_use]
pub fn inverse(a: u8) -> Option<u8> {
    (1..=u8::MAX).find(|b| multiply(a, *b) == 1)
}

/// a^n, with 0^0 = 1.
#[must_use]
pub fn power(a: u8, n: usize) -> u8 {
    (0..n).fold(1, |product, _| multiply(product, a))
}

/// A way to compute linear maps. Only kernels this machine can run can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Simd(simd::Simd),
}

impl Kernel {
    /// The fastest kernel of this machine.
    #[must_use]
    pub fn best() -> Self {
        Self::available()
            .first()
            .copied()
            .unwrap_or(Self::portable())
    }

    /// Table look-ups in plain Rust: runs everywhere, and is the second code path of every check.
    #[must_use]
    pub fn portable() -> Self {
        Self(Kind::Portable)
    }

    /// Every kernel of this machine, fastest first; the portable one is always the last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        kernels.extend(
            simd::Simd::detect()
                .into_iter()
                .map(|simd| Self(Kind::Simd(simd))),
        );
        kernels.push(Self::portable());
        kernels
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Simd(simd) => simd.name(),
        }
    }
}

#[cfg(test)]
mod tests;
