use proptest::prelude::*;
use tuning::{HEDGE_MAX, HEDGE_MIN, HEDGE_SAMPLES, HEDGE_START};

use super::*;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn of(all: impl IntoIterator<Item = Duration>) -> Latency {
    let mut latency = Latency::default();
    all.into_iter().for_each(|took| latency.answered(took));
    latency
}

/// Times from under a microsecond to hours, as many of each length.
fn durations(count: impl Into<proptest::collection::SizeRange>) -> BoxedStrategy<Vec<Duration>> {
    let one = (0_u32..42, any::<u64>()).prop_map(|(log, low)| {
        let micros = (1_u64 << log) | (low & ((1 << log) - 1));
        Duration::from_nanos(micros.saturating_mul(1_000) - 500)
    });
    proptest::collection::vec(one, count).boxed()
}

/// The answer that 19 of 20 are no slower than.
fn exact(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    let rank = (all.len() * 19).div_ceil(20);
    all[rank - 1]
}

/// What is between the bounds, and at most a bucket above.
fn assert_is_p95(delay: Duration, p95: Duration) {
    let least = p95.clamp(HEDGE_MIN, HEDGE_MAX);
    let most = (p95.saturating_mul(5) / 4 + Duration::from_micros(1)).clamp(HEDGE_MIN, HEDGE_MAX);
    assert!(
        (least..=most).contains(&delay),
        "{delay:?} for a p95 of {p95:?}"
    );
}

proptest! {
    #[test]
    fn buckets_are_in_order_and_their_bounds_tight(all in durations(2)) {
        let (one, other) = (all[0].min(all[1]), all[0].max(all[1]));
        prop_assert!(bucket(one) <= bucket(other));
        for took in [one, other] {
            let at = bucket(took);
            prop_assert!(at < BUCKETS);
            prop_assert!(took < bound(at));
            if at > 0 {
                prop_assert!(bound(at - 1) <= took + Duration::from_micros(1));
            }
        }
    }

    #[test]
    fn the_delay_is_within_bounds_whatever_was_seen(all in durations(0..2_000), kinds in proptest::collection::vec(any::<bool>(), 64)) {
        let mut latency = Latency::default();
        for (at, took) in all.into_iter().enumerate() {
            if kinds[at % 64] {
                latency.answered(took);
            } else {
                latency.given_up(took);
            }
            prop_assert!((HEDGE_MIN..=HEDGE_MAX).contains(&latency.hedge_after()));
            prop_assert!(latency.total() < FULL, "it never overflows");
        }
    }

    #[test]
    fn it_is_the_p95_of_what_was_seen(all in durations(HEDGE_SAMPLES as usize..256)) {
        assert_is_p95(of(all.clone()).hedge_after(), exact(all));
    }

    #[test]
    fn slower_answers_never_make_it_shorter(all in durations(HEDGE_SAMPLES as usize..256), by in 1_u32..100) {
        let slower = all.iter().map(|took| took.saturating_mul(by));
        prop_assert!(of(slower).hedge_after() >= of(all).hedge_after());
    }

    #[test]
    fn a_few_answers_change_nothing(all in durations(0..HEDGE_SAMPLES as usize)) {
        prop_assert_eq!(of(all).hedge_after(), HEDGE_START);
    }

    #[test]
    fn what_was_given_up_early_says_nothing(all in durations(0..300), early in 0_u64..20) {
        let mut latency = of(all);
        let before = latency.weights;
        latency.given_up(millis(early));
        prop_assert_eq!(latency.weights, before);
    }
}

#[test]
fn once_believed_it_stays_believed() {
    let mut latency = of(vec![millis(30); HEDGE_SAMPLES as usize]);
    for round in 0..5_000_u64 {
        // Spread over all buckets, which is where halving rounds away most.
        latency.answered(Duration::from_micros(1_000 << (round % 11)));
        assert!(latency.total() >= ENOUGH, "{round}");
    }
}

#[test]
fn one_slow_answer_in_thirty_is_not_waited_for_and_one_in_ten_is() {
    let every = |slow: u64| {
        let all = (0..3_000).map(|at| millis(if at % slow == 0 { 200 } else { 30 }));
        of(all).hedge_after()
    };
    assert_is_p95(every(30), millis(30));
    assert_is_p95(every(10), millis(200));
}

#[test]
fn a_disk_that_changes_is_known_anew_within_a_thousand_reads() {
    let mut latency = of(vec![millis(150); 10_000]);
    assert_is_p95(latency.hedge_after(), millis(150));
    let quick = std::iter::repeat_n(millis(25), 1_000);
    quick.for_each(|took| latency.answered(took));
    assert_is_p95(latency.hedge_after(), millis(25));
    // The other way sooner: a twentieth of the weight is enough.
    let slow = std::iter::repeat_n(millis(150), 30);
    slow.for_each(|took| latency.answered(took));
    assert_is_p95(latency.hedge_after(), millis(150));
}

/// What is made of a disk whose readers give up a moment after the delay, when others have answered:
/// with what they waited in vain, or without.
fn hedged(took: impl Fn(u64) -> Duration, count_given_up: bool) -> Duration {
    let mut latency = Latency::default();
    for read in 0..20_000 {
        let patience = latency.hedge_after() + millis(1);
        if took(read) <= patience {
            latency.answered(took(read));
        } else if count_given_up {
            latency.given_up(patience);
        }
    }
    latency.hedge_after()
}

#[test]
fn hedging_does_not_shorten_the_delay_by_itself() {
    // From 1 to 980 ms, as many in each bucket.
    let wide = |read: u64| {
        let at = read * 37 % 40;
        Duration::from_micros((9 + 2 * (at % 4)) << (7 + at / 4))
    };
    assert!(hedged(wide, false) < millis(60), "it would");
    assert_eq!(hedged(wide, true), HEDGE_MAX);
    let rarely = |read: u64| millis(if read % 30 == 7 { 5_000 } else { 25 });
    assert_is_p95(hedged(rarely, true), millis(25));
}

#[test]
fn a_disk_that_answers_no_more_is_given_all_the_time_there_is_and_no_more() {
    let mut latency = of(vec![millis(1); 300]);
    assert_eq!(latency.hedge_after(), HEDGE_MIN);
    for _ in 0..2_000 {
        latency.given_up(latency.hedge_after() + millis(2));
    }
    assert_eq!(latency.hedge_after(), HEDGE_MAX);
}

#[test]
fn reads_of_other_lengths_are_other_reads() {
    let mut disk = Latencies::default();
    let lengths = [1, 32 << 10, 64 << 10, 256 << 10, 1 << 20, u64::MAX];
    for bytes in lengths {
        for _ in 0..100 {
            let took = match bytes {
                0..=0x8000 => 30,
                0x8001..=0x4_0000 => 60,
                _ => 120,
            };
            disk.of_mut(bytes).answered(millis(took));
        }
    }
    let delays = lengths.map(|bytes| disk.of(bytes).hedge_after());
    for (delay, p95) in delays.into_iter().zip([30, 30, 60, 60, 120, 120]) {
        assert_is_p95(delay, millis(p95));
    }
}
