//! Page-aligned memory for direct IO, without `unsafe`.

use bytemuck::{Pod, Zeroable};

const PAGE_LEN: usize = 4_096;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(4096))]
struct Page([u8; PAGE_LEN]);

/// A zeroed buffer whose address and capacity are multiples of 4 KiB.
#[derive(Clone)]
pub struct AlignedBuf {
    pages: Vec<Page>,
}

impl AlignedBuf {
    /// A buffer of `len` bytes rounded up to whole pages, zeroed.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        Self {
            pages: vec![Page::zeroed(); len.div_ceil(PAGE_LEN)],
        }
    }

    /// All bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        bytemuck::cast_slice(&self.pages)
    }

    /// All bytes.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.pages)
    }

    /// Whole pages, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pages.len() * PAGE_LEN
    }

    /// Whether there are no pages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }
}

impl AsRef<[u8]> for AlignedBuf {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl std::fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlignedBuf({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_whole_zeroed_and_aligned() {
        let mut buf = AlignedBuf::zeroed(5_000);
        assert_eq!(buf.len(), 8_192);
        assert!(buf.as_slice().iter().all(|byte| *byte == 0));
        assert_eq!(buf.as_slice().as_ptr() as usize % 4_096, 0);
        buf.as_mut_slice()[8_191] = 7;
        assert_eq!(buf.as_slice()[8_191], 7);
    }
}
