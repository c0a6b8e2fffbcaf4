//! Counts, and how to read them from what a runner prints.

use std::fmt;
use std::ops::Add;

/// How many tests ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(out, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

impl Tally {
    /// Something ran and nothing failed.
    pub(crate) fn is_green(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// A step that runs no test: nothing, or one failure.
    pub(crate) fn of_exit(success: bool) -> Self {
        Self {
            failed: u64::from(!success),
            ..Self::default()
        }
    }

    /// A runner's counts together with its exit code. A failed exit without a failed test, or a
    /// runner that says nothing, is one failure.
    pub(crate) fn of_run(counts: Option<Self>, success: bool) -> Self {
        match counts {
            Some(counts) if success || counts.failed > 0 => counts,
            counts => counts.unwrap_or_default() + Self::of_exit(false),
        }
    }

    /// Tests that passed only because they skipped themselves.
    pub(crate) fn with_skipped(self, count: u64) -> Self {
        let moved = count.min(self.passed);
        Self {
            passed: self.passed - moved,
            skipped: self.skipped + moved,
            ..self
        }
    }
}

/// Sums every `Summary` line of nextest; `None` where there is none.
pub(crate) fn nextest(output: &str) -> Option<Tally> {
    let lines = output
        .lines()
        .filter(|line| line.trim_start().starts_with("Summary ["));
    sum(lines
        .filter_map(|line| line.split_once(" run: "))
        .map(|(_, counts)| {
            let count = |words: &[&str]| number_before(counts, words);
            Tally {
                passed: count(&["passed"]),
                failed: count(&["failed", "timed out", "exec failed"]),
                skipped: count(&["skipped"]),
            }
        }))
}

/// Sums every `test result:` line of libtest (unit, integration and doc tests).
pub(crate) fn libtest(output: &str) -> Option<Tally> {
    let lines = output
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("test result: "));
    sum(lines
        .filter_map(|line| line.split_once(". "))
        .map(|(_, counts)| Tally {
            passed: number_before(counts, &["passed"]),
            failed: number_before(counts, &["failed"]),
            skipped: number_before(counts, &["ignored"]),
        }))
}

/// Reads a last line as a tally is written: `1 passed, 2 failed, 3 skipped`.
pub(crate) fn plain(output: &str) -> Option<Tally> {
    let line = output.lines().last()?;
    let tally = Tally {
        passed: number_before(line, &["passed"]),
        failed: number_before(line, &["failed"]),
        skipped: number_before(line, &["skipped"]),
    };
    (tally.to_string() == line).then_some(tally)
}

fn sum(tallies: impl Iterator<Item = Tally>) -> Option<Tally> {
    tallies.reduce(Tally::add)
}

/// The numbers that stand before one of `words` in a list such as `8 passed (1 slow), 2 failed`,
/// added up.
fn number_before(counts: &str, words: &[&str]) -> u64 {
    let parts = counts
        .split([',', ';'])
        .filter_map(|part| part.trim().split_once(' '));
    let wanted = parts.filter(|(_, word)| {
        let bare = word.split(" (").next().unwrap_or(word);
        words.contains(&bare.trim())
    });
    wanted
        .filter_map(|(number, _)| number.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64, skipped: u64) -> Tally {
        Tally {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn reads_nextest() {
        let green = "   Summary [   0.079s] 2 tests run: 2 passed, 1 skipped\n";
        assert_eq!(nextest(green), Some(tally(2, 0, 1)));
        let red = "     Summary [  12.079s] 9/12 tests run: 4 passed (1 slow, 1 flaky), 2 failed, \
                   2 timed out, 1 exec failed, 3 skipped";
        assert_eq!(nextest(red), Some(tally(4, 5, 3)));
        assert_eq!(
            nextest("Summary [ 1s] 1 test run: 1 passed, 0 skipped"),
            Some(tally(1, 0, 0))
        );
        assert_eq!(nextest("error: could not compile"), None);
    }

    #[test]
    fn reads_and_sums_libtest() {
        let two = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; \
                   finished in 0.06s\nnoise\ntest result: FAILED. 1 passed; 2 failed; 0 ignored; \
                   0 measured; 0 filtered out; finished in 0.06s";
        assert_eq!(libtest(two), Some(tally(6, 2, 1)));
        assert_eq!(libtest("running 0 tests"), None);
    }

    #[test]
    fn reads_a_tally_as_it_is_written() {
        let written = tally(3, 2, 1).to_string();
        assert_eq!(plain(&format!("noise\n{written}\n")), Some(tally(3, 2, 1)));
        assert_eq!(plain(&format!("{written}\nnoise")), None);
        assert_eq!(plain("cannot connect"), None);
        assert_eq!(plain(""), None);
    }

    #[test]
    fn a_runner_cannot_fail_in_silence() {
        assert_eq!(Tally::of_run(None, true), tally(0, 1, 0));
        assert_eq!(Tally::of_run(None, false), tally(0, 1, 0));
        assert_eq!(Tally::of_run(Some(tally(3, 0, 0)), false), tally(3, 1, 0));
        assert_eq!(Tally::of_run(Some(tally(3, 2, 0)), false), tally(3, 2, 0));
        assert_eq!(Tally::of_run(Some(tally(3, 0, 1)), true), tally(3, 0, 1));
    }

    #[test]
    fn green_needs_a_passed_test_and_no_failure() {
        assert!(tally(1, 0, 0).is_green());
        assert!(!tally(0, 0, 4).is_green());
        assert!(!tally(9, 1, 0).is_green());
    }

    #[test]
    fn a_self_skipped_test_did_not_pass() {
        assert_eq!(tally(5, 0, 1).with_skipped(2), tally(3, 0, 3));
        assert_eq!(tally(1, 0, 0).with_skipped(2), tally(0, 0, 1));
        assert_eq!(tally(5, 1, 2).to_string(), "5 passed, 1 failed, 2 skipped");
    }
}
