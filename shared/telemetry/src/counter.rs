//! Counters, gauges, histograms, and the registry that names them.
//!
//! Asking the registry for a series takes its lock, so callers ask once and keep what they get;
//! counting is a few relaxed atomic operations. Names are ours and wrong ones are our bugs; label
//! values may come from anywhere: a family keeps at most [`SERIES_MAX`] series, and what comes later
//! counts together under [`OTHER`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most series of one family.
pub const SERIES_MAX: usize = 1_024;
/// The label value of everything beyond [`SERIES_MAX`].
pub const OTHER: &str = "_other";

/// A number that only rises.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that rises and falls.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds `change`, which may be negative.
    pub fn add(&self, change: i64) {
        self.0.fetch_add(change, Ordering::Relaxed);
    }

    /// Counts one more until the guard is dropped: requests in flight, open streams.
    #[must_use]
    pub fn hold(&self) -> GaugeGuard {
        self.add(1);
        GaugeGuard(self.clone())
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of what a [`Gauge`] counts.
#[derive(Debug)]
pub struct GaugeGuard(Gauge);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// What a histogram's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds, shown as seconds.
    Nanoseconds,
    /// Bytes or a count, shown as they are.
    Plain,
}

/// Upper bounds of a histogram's buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// What the bounds and observations are.
    pub unit: Unit,
    /// Rising; each bucket includes its bound. One more without a bound follows.
    pub bounds: &'static [u64],
}

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;
const SECOND: u64 = 1_000 * MILLISECOND;

impl Buckets {
    /// From 100 µs to 60 s, about three a decade.
    pub const LATENCY: Self = Self {
        unit: Unit::Nanoseconds,
        bounds: &[
            100 * MICROSECOND,
            250 * MICROSECOND,
            500 * MICROSECOND,
            MILLISECOND,
            2_500 * MICROSECOND,
            5 * MILLISECOND,
            10 * MILLISECOND,
            25 * MILLISECOND,
            50 * MILLISECOND,
            100 * MILLISECOND,
            250 * MILLISECOND,
            500 * MILLISECOND,
            SECOND,
            2_500 * MILLISECOND,
            5 * SECOND,
            10 * SECOND,
            60 * SECOND,
        ],
    };

    /// From 1 KiB to 1 GiB, by fours.
    pub const BYTES: Self = Self {
        unit: Unit::Plain,
        bounds: &[
            1 << 10,
            1 << 12,
            1 << 14,
            1 << 16,
            1 << 18,
            1 << 20,
            1 << 22,
            1 << 24,
            1 << 26,
            1 << 28,
            1 << 30,
        ],
    };
}

/// How often observations fell where.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Bins>);

#[derive(Debug)]
struct Bins {
    buckets: Buckets,
    /// One per bound and one above all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    fn new(buckets: Buckets) -> Self {
        assert!(
            buckets.bounds.is_sorted_by(|a, b| a < b),
            "bounds rise: {:?}",
            buckets.bounds
        );
        let counts = (0..=buckets.bounds.len())
            .map(|_| AtomicU64::new(0))
            .collect();
        Self(Arc::new(Bins {
            buckets,
            counts,
            sum: AtomicU64::new(0),
        }))
    }

    /// Counts one observation, in the histogram's unit.
    pub fn observe(&self, value: u64) {
        let bucket = self
            .0
            .buckets
            .bounds
            .partition_point(|bound| *bound < value);
        if let Some(count) = self.0.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.0.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts one duration, on a histogram of nanoseconds.
    pub fn observe_duration(&self, duration: Duration) {
        debug_assert_eq!(self.0.buckets.unit, Unit::Nanoseconds);
        self.observe(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Observations so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }

    /// Their sum, in the histogram's unit.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0.sum.load(Ordering::Relaxed)
    }

    /// The buckets.
    #[must_use]
    pub fn buckets(&self) -> Buckets {
        self.0.buckets
    }

    /// Observations at or below each bound; those above the last bound are not here.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut below = 0;
        self.0
            .buckets
            .bounds
            .iter()
            .zip(&self.0.counts)
            .map(move |(bound, count)| {
                below += count.load(Ordering::Relaxed);
                (*bound, below)
            })
    }
}

/// What a family's series are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram(Buckets),
}

/// One series.
#[derive(Clone, Debug)]
pub(crate) enum Series {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

/// Series that differ in label values.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) help: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: Vec<&'static str>,
    pub(crate) series: BTreeMap<Vec<String>, Series>,
}

/// Everything a process counts, by name.
#[derive(Debug, Default)]
pub struct Registry {
    families: Mutex<BTreeMap<&'static str, Family>>,
}

/// The labels of a series: name and value.
pub type Labels<'a> = [(&'static str, &'a str)];

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter of that name and labels, made where there is none.
    ///
    /// # Panics
    /// Where the name or a label's is not Prometheus', or the name is taken with another kind or
    /// other labels: a bug in the caller.
    #[must_use]
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &Labels<'_>) -> Counter {
        match self.series(name, help, Kind::Counter, labels) {
            Series::Counter(counter) => counter,
            Series::Gauge(_) | Series::Histogram(_) => Counter::default(),
        }
    }

    /// The gauge of that name and labels, made where there is none.
    ///
    /// # Panics
    /// As [`Registry::counter`].
    #[must_use]
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &Labels<'_>) -> Gauge {
        match self.series(name, help, Kind::Gauge, labels) {
            Series::Gauge(gauge) => gauge,
            Series::Counter(_) | Series::Histogram(_) => Gauge::default(),
        }
    }

    /// The histogram of that name and labels, made where there is none.
    ///
    /// # Panics
    /// As [`Registry::counter`], and where the bounds do not rise.
    #[must_use]
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        buckets: Buckets,
        labels: &Labels<'_>,
    ) -> Histogram {
        match self.series(name, help, Kind::Histogram(buckets), labels) {
            Series::Histogram(histogram) => histogram,
            Series::Counter(_) | Series::Gauge(_) => Histogram::new(buckets),
        }
    }

    /// Series of that name whose labels' values are not among `kept` are shown no more: for gauges of
    /// things that come and go.
    pub fn retain(&self, name: &str, kept: &BTreeSet<Vec<String>>) {
        if let Some(family) = self.families().get_mut(name) {
            family.series.retain(|values, _| kept.contains(values));
        }
    }

    pub(crate) fn families(&self) -> MutexGuard<'_, BTreeMap<&'static str, Family>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn series(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        labels: &Labels<'_>,
    ) -> Series {
        assert!(is_name(name), "not a metric name: {name:?}");
        let names: Vec<&'static str> = labels.iter().map(|(name, _)| *name).collect();
        let mut families = self.families();
        let family = families.entry(name).or_insert_with(|| {
            assert!(
                names.iter().all(|label| is_label(label)),
                "not label names: {names:?}"
            );
            Family {
                help,
                kind,
                labels: names.clone(),
                series: BTreeMap::new(),
            }
        });
        assert!(
            family.kind == kind,
            "{name} is a {:?}, not a {kind:?}",
            family.kind
        );
        assert!(
            family.labels == names,
            "{name} has labels {:?}, not {names:?}",
            family.labels
        );
        let mut values: Vec<String> = labels
            .iter()
            .map(|(_, value)| (*value).to_owned())
            .collect();
        if !family.series.contains_key(&values) && family.series.len() >= SERIES_MAX {
            values.fill(OTHER.to_owned());
        }
        let made = || match kind {
            Kind::Counter => Series::Counter(Counter::default()),
            Kind::Gauge => Series::Gauge(Gauge::default()),
            Kind::Histogram(buckets) => Series::Histogram(Histogram::new(buckets)),
        };
        family.series.entry(values).or_insert_with(made).clone()
    }
}

fn is_name(name: &str) -> bool {
    is_identifier(name, |byte| matches!(byte, b'_' | b':'))
}

/// `le` is the histogram's own, and two underscores are Prometheus' own.
fn is_label(name: &str) -> bool {
    is_identifier(name, |byte| byte == b'_') && name != "le" && !name.starts_with("__")
}

fn is_identifier(name: &str, others: impl Fn(u8) -> bool) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || others(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_and_labels_are_the_same_series() {
        let registry = Registry::new();
        let get = |op| registry.counter("requests_total", "Requests.", &[("op", op)]);
        get("GetObject").add(2);
        get("GetObject").increment();
        get("PutObject").increment();
        assert_eq!((get("GetObject").get(), get("PutObject").get()), (3, 1));
    }

    #[test]
    fn a_gauge_counts_what_is_held() {
        let registry = Registry::new();
        let gauge = registry.gauge("open", "Open.", &[]);
        let held = (gauge.hold(), gauge.hold());
        assert_eq!(gauge.get(), 2);
        drop(held.0);
        assert_eq!(gauge.get(), 1);
        drop(held.1);
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn series_of_what_is_gone_are_forgotten() {
        let registry = Registry::new();
        let ready = |disk| registry.gauge("ready", "Ready.", &[("disk", disk)]);
        ready("a").set(1);
        ready("b").set(1);
        let kept = BTreeSet::from([vec!["b".to_owned()]]);
        registry.retain("ready", &kept);
        registry.retain("never_made", &kept);
        assert_eq!(ready("b").get(), 1);
        assert_eq!(ready("a").get(), 0, "made anew");
    }

    #[test]
    fn an_observation_falls_at_or_below_its_bound() {
        let buckets = Buckets {
            unit: Unit::Plain,
            bounds: &[10, 20],
        };
        let histogram = Histogram::new(buckets);
        [0, 10, 11, 20, 21, 1_000]
            .into_iter()
            .for_each(|value| histogram.observe(value));
        assert_eq!(
            histogram.cumulative().collect::<Vec<_>>(),
            [(10, 2), (20, 4)]
        );
        assert_eq!((histogram.count(), histogram.sum()), (6, 1_062));
    }

    #[test]
    fn the_usual_buckets_rise() {
        for buckets in [Buckets::LATENCY, Buckets::BYTES] {
            let histogram = Histogram::new(buckets);
            assert_eq!(histogram.buckets(), buckets);
        }
        let latency = Histogram::new(Buckets::LATENCY);
        latency.observe_duration(Duration::from_micros(100));
        latency.observe_duration(Duration::MAX);
        assert_eq!(latency.cumulative().next(), Some((100_000, 1)));
        assert_eq!(latency.count(), 2);
    }

    #[test]
    fn a_flood_of_label_values_is_counted_together() {
        let registry = Registry::new();
        let count = |value: &str| registry.counter("c", "C.", &[("l", value)]).increment();
        (0..SERIES_MAX + 50).for_each(|number| count(&number.to_string()));
        count("7");
        let families = registry.families();
        let series = &families["c"].series;
        assert_eq!(series.len(), SERIES_MAX + 1);
        let Series::Counter(other) = &series[&vec![OTHER.to_owned()]] else {
            panic!("a counter")
        };
        assert_eq!(other.get(), 50);
    }

    #[test]
    #[should_panic(expected = "not a")]
    fn one_name_cannot_be_two_kinds() {
        let registry = Registry::new();
        let _counter = registry.counter("a", "A.", &[]);
        let _gauge = registry.gauge("a", "A.", &[]);
    }

    #[test]
    #[should_panic(expected = "has labels")]
    fn one_name_cannot_have_two_sets_of_labels() {
        let registry = Registry::new();
        let _one = registry.counter("a", "A.", &[("x", "1")]);
        let _two = registry.counter("a", "A.", &[("y", "1")]);
    }

    #[test]
    fn only_prometheus_names_are_taken() {
        for good in ["a", "_a:b_9", "cairn_requests_total"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "9a", "a-b", "a b", "ä"] {
            assert!(!is_name(bad) && !is_label(bad), "{bad}");
        }
        assert!(!is_label("le") && !is_label("__a") && !is_label("a:b") && is_label("_a"));
    }

    #[test]
    fn counts_of_many_threads_add_up() {
        let registry = Registry::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let counter = registry.counter("c", "C.", &[]);
                    let histogram = registry.histogram("h", "H.", Buckets::BYTES, &[]);
                    (0..1_000).for_each(|value| {
                        counter.increment();
                        histogram.observe(value);
                    });
                });
            }
        });
        assert_eq!(registry.counter("c", "C.", &[]).get(), 4_000);
        let histogram = registry.histogram("h", "H.", Buckets::BYTES, &[]);
        assert_eq!((histogram.count(), histogram.sum()), (4_000, 4 * 499_500));
    }
}
