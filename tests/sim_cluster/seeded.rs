//! What the process would draw from the operating system comes from the seed instead.
//!
//! The product draws through `cairn_world::Entropy`, which the simulation hands in. What is left are draws of
//! libraries: openraft's election timeouts, tokio's order of `select!` branches, the keys of std's hash
//! maps. All of them ask libc for `getrandom`; a program that defines that symbol is asked itself.

use std::sync::atomic::{AtomicU64, Ordering};

static STATE: AtomicU64 = AtomicU64::new(0);
static DRAWN: AtomicU64 = AtomicU64::new(0);

/// Everything drawn from here on follows from `seed`.
pub(crate) fn begin(seed: u64) {
    STATE.store(seed, Ordering::SeqCst);
    DRAWN.store(0, Ordering::SeqCst);
}

/// Bytes drawn since [`begin`]: zero would mean that libraries ask somebody else.
pub(crate) fn drawn() -> u64 {
    DRAWN.load(Ordering::SeqCst)
}

/// One step of splitmix64.
fn next() -> u64 {
    let step = 0x9E37_79B9_7F4A_7C15;
    let state = STATE.fetch_add(step, Ordering::SeqCst).wrapping_add(step);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// libc's `getrandom(2)`: fills `len` bytes at `buffer`; never fails, never gives fewer.
///
/// # Safety
/// `buffer` points to `len` writable bytes, as libc's own asks.
#[expect(
    unsafe_code,
    reason = "the only way to the randomness that libraries draw by themselves; simulation only"
)]
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, len: usize, _flags: u32) -> isize {
    // SAFETY: the caller owns `len` writable bytes at `buffer` for the time of the call.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer, len) };
    for piece in bytes.chunks_mut(8) {
        let drawn = next().to_le_bytes();
        piece
            .iter_mut()
            .zip(drawn)
            .for_each(|(to, from)| *to = from);
    }
    DRAWN.fetch_add(len as u64, Ordering::SeqCst);
    isize::try_from(len).unwrap_or(isize::MAX)
}
