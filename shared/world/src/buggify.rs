//! Rare branches on demand, in the manner of FoundationDB's BUGGIFY.
//!
//! A *point* is a named place in the product where something legal but rare may happen: a full
//! answer queue, an early snapshot, a disk taken for slow. `if buggify("name") {..}` makes it
//! happen often enough in a simulation to be tested. A point never breaks a promise: what it does
//! can happen without it.
//!
//! The seed of a run decides which points are enabled in it (three in ten); an enabled point fires
//! at one visit in twenty. Both follow from the seed and the point's name alone, so one point's
//! visits never change what another one does.
//!
//! Without the feature `simulation` [`buggify()`] is constantly false and the optimiser drops the
//! branch; with it, nothing fires before [`begin`] nor after [`end`].

#[cfg(feature = "simulation")]
pub use points::{begin, begin_only, begin_with, buggify, end, fired};

/// Whether the rare branch `name` is to be taken now: never, without the feature `simulation`.
#[cfg(not(feature = "simulation"))]
#[inline(always)]
#[must_use]
pub const fn buggify(_name: &'static str) -> bool {
    false
}

#[cfg(feature = "simulation")]
mod points {
    use crate::sim::entropy::SeededRng;
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// How many of ten points a seed enables.
    const ENABLED_OF_TEN: u64 = 3;
    /// An enabled point fires at one visit in this many.
    const VISITS_PER_FIRE: u64 = 20;
    /// The same of points that are pressed, and where a few are all there is.
    const VISITS_PER_FIRE_PRESSED: u64 = 5;

    /// Spares the lock outside a run.
    static LIVE: AtomicBool = AtomicBool::new(false);
    static RUN: Mutex<Run> = Mutex::new(Run {
        seed: 0,
        always: &[],
        pressed: &[],
        others: true,
        points: BTreeMap::new(),
    });

    struct Run {
        seed: u64,
        /// Points that are enabled whatever the seed says.
        always: &'static [&'static str],
        /// The same, and they fire more often.
        pressed: &'static [&'static str],
        /// Whether the seed enables others too.
        others: bool,
        points: BTreeMap<&'static str, Point>,
    }

    struct Point {
        enabled: bool,
        rng: SeededRng,
        fired: u64,
    }

    /// Starts a run: forgets the points of the run before, and lets the points of `seed` fire.
    pub fn begin(seed: u64) {
        begin_with(seed, &[], &[]);
    }

    /// The same, and the points `always` and `pressed` are enabled whatever the seed says; the latter fire
    /// at one visit in five.
    pub fn begin_with(
        seed: u64,
        always: &'static [&'static str],
        pressed: &'static [&'static str],
    ) {
        start(seed, always, pressed, true);
    }

    /// The points `only` are enabled, and no others; they fire at one visit in five.
    pub fn begin_only(seed: u64, only: &'static [&'static str]) {
        start(seed, &[], only, false);
    }

    fn start(
        seed: u64,
        always: &'static [&'static str],
        pressed: &'static [&'static str],
        others: bool,
    ) {
        *run() = Run {
            seed,
            always,
            pressed,
            others,
            points: BTreeMap::new(),
        };
        LIVE.store(true, Ordering::SeqCst);
    }

    /// Ends the run's faults: nothing fires until the next [`begin`]. What [`fired`] tells stays readable.
    pub fn end() {
        LIVE.store(false, Ordering::SeqCst);
    }

    /// Every point visited since [`begin`], with how often it fired; 0 for those that did not.
    #[must_use]
    pub fn fired() -> BTreeMap<&'static str, u64> {
        let run = run();
        let counts = run.points.iter().map(|(name, point)| (*name, point.fired));
        counts.collect()
    }

    /// Whether the rare branch `name` is to be taken now.
    #[must_use]
    pub fn buggify(name: &'static str) -> bool {
        if !LIVE.load(Ordering::SeqCst) {
            return false;
        }
        let mut run = run();
        let (seed, others) = (run.seed, run.others);
        let pressed = run.pressed.contains(&name);
        let wanted = pressed || run.always.contains(&name);
        let point = run
            .points
            .entry(name)
            .or_insert_with(|| Point::of(seed, name, wanted, others));
        let visits = if pressed {
            VISITS_PER_FIRE_PRESSED
        } else {
            VISITS_PER_FIRE
        };
        let fires = point.enabled && point.rng.chance(1, visits);
        point.fired += u64::from(fires);
        fires
    }

    impl Point {
        fn of(seed: u64, name: &str, wanted: bool, others: bool) -> Self {
            let mut rng = SeededRng::new(seed ^ fnv1a(name));
            Self {
                enabled: rng.chance(ENABLED_OF_TEN, 10) & others | wanted,
                rng,
                fired: 0,
            }
        }
    }

    fn run() -> MutexGuard<'static, Run> {
        RUN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// FNV-1a: the standard library's hasher promises no value from one release to the next.
    fn fnv1a(name: &str) -> u64 {
        name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        })
    }
}

#[cfg(all(test, feature = "simulation"))]
mod tests;

// What is known when it is compiled is dropped by the optimiser.
#[cfg(not(feature = "simulation"))]
const _: () = assert!(!buggify("any"), "a shipped binary takes no rare branch");
