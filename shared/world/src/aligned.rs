//! Page-aligned memory for direct IO, without `unsafe`.
//!
//! Large buffers come and go with every run of an upload and every read: their pages are kept for the next
//! one, which saves the kernel giving them out anew and somebody clearing what is then overwritten.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytemuck::{Pod, Zeroable};

const PAGE_LEN: usize = 4_096;
/// Fewest pages worth keeping.
const SPARE_MIN: usize = 16;
/// Most pages kept.
const SPARE_MAX: usize = 4_096;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(4096))]
struct Page([u8; PAGE_LEN]);

/// A buffer whose address and capacity are multiples of 4 KiB.
#[derive(Clone)]
pub struct AlignedBuf {
    pages: Vec<Page>,
}

/// Pages of buffers that are gone.
static SPARE: Mutex<Spare> = Mutex::new(Spare {
    buffers: Vec::new(),
    pages: 0,
});

struct Spare {
    buffers: Vec<Vec<Page>>,
    /// Of all of them.
    pages: usize,
}

fn spare() -> MutexGuard<'static, Spare> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Spare {
    /// The latest of them that fits well, cut to so many pages.
    fn take(&mut self, pages: usize) -> Option<Vec<Page>> {
        let fits = |spare: &Vec<Page>| (pages..=pages + pages / 4).contains(&spare.len());
        let at = self.buffers.iter().rposition(fits)?;
        let mut taken = self.buffers.remove(at);
        self.pages -= taken.len();
        taken.truncate(pages);
        Some(taken)
    }

    /// The oldest make room: lengths that nobody asks for any more must not stay for good.
    fn keep(&mut self, pages: Vec<Page>) {
        if !(SPARE_MIN..=SPARE_MAX).contains(&pages.len()) {
            return;
        }
        self.pages += pages.len();
        self.buffers.push(pages);
        while self.pages > SPARE_MAX {
            self.pages -= self.buffers.remove(0).len();
        }
    }
}

impl AlignedBuf {
    /// A buffer of `len` bytes rounded up to whole pages, zeroed.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        Self {
            pages: vec![Page::zeroed(); len.div_ceil(PAGE_LEN)],
        }
    }

    /// The same with whatever a buffer before it held: for who fills it, and hands on nothing else.
    #[must_use]
    pub fn unfilled(len: usize) -> Self {
        let pages = len.div_ceil(PAGE_LEN);
        let kept = (pages >= SPARE_MIN).then(|| spare().take(pages)).flatten();
        kept.map_or_else(|| Self::zeroed(len), |pages| Self { pages })
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

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        if self.pages.len() >= SPARE_MIN {
            spare().keep(std::mem::take(&mut self.pages));
        }
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

    #[test]
    fn pages_of_a_buffer_that_is_gone_are_used_again_where_they_fit() {
        let pages = |count| vec![Page([7; PAGE_LEN]); count];
        let mut spare = Spare {
            buffers: Vec::new(),
            pages: 0,
        };
        spare.keep(pages(SPARE_MIN - 1));
        assert!(spare.buffers.is_empty(), "not worth it");
        spare.keep(pages(100));
        assert!(spare.take(101).is_none(), "too short");
        assert!(spare.take(79).is_none(), "too long");
        let taken = spare.take(80).unwrap();
        assert_eq!((taken.len(), taken[79].0[0]), (80, 7));
        assert!(spare.take(80).is_none(), "one buffer is used by one");
        assert_eq!(spare.pages, 0);
        (0..100).for_each(|_| spare.keep(pages(100)));
        assert_eq!(spare.pages, spare.buffers.len() * 100);
        assert_eq!(spare.pages, SPARE_MAX / 100 * 100, "no more than so many");
        spare.keep(pages(500));
        assert_eq!(
            spare.take(500).map(|taken| taken.len()),
            Some(500),
            "the last"
        );
        assert!(spare.take(100).is_some() && spare.pages < SPARE_MAX);
        spare.keep(pages(SPARE_MAX + 1));
        assert!(spare.take(SPARE_MAX + 1).is_none(), "longer than all");
    }

    /// On many threads no two buffers ever share pages.
    #[test]
    fn what_is_filled_stays_as_it_was_filled() {
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                scope.spawn(move || {
                    for round in 0..50_usize {
                        let len = (64 << 10) + round % 7 * 9_000;
                        let mut buf = AlignedBuf::unfilled(len);
                        assert_eq!(buf.len(), len.next_multiple_of(PAGE_LEN));
                        buf.as_mut_slice().fill(thread);
                        std::thread::yield_now();
                        assert!(buf.as_slice().iter().all(|byte| *byte == thread));
                    }
                });
            }
        });
    }
}
