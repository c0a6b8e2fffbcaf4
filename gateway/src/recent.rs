//! Rows of the metadata by name, believed for a moment after they were read.
//!
//! Only what somebody judges again, or may know a moment late, is read from here: a user's key, and a
//! bucket where the commit names its id.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::tuning;

/// Rows that were read lately.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    /// By name, with the time at which reading began.
    read: Mutex<BTreeMap<String, (Duration, T)>>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self {
            read: Mutex::default(),
        }
    }
}

impl<T: Clone> Recent<T> {
    fn read(&self) -> MutexGuard<'_, BTreeMap<String, (Duration, T)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was read within the last moment.
    pub(crate) fn believed(&self, name: &str, now: Duration) -> Option<T> {
        let all = self.read();
        let (begun, row) = all.get(name)?;
        (now.saturating_sub(*begun) < tuning::BELIEVED).then(|| row.clone())
    }

    /// Notes what reading that began at `begun` has found; nothing is noted of what is not there.
    pub(crate) fn note(&self, name: &str, begun: Duration, found: Option<&T>) {
        let mut all = self.read();
        if all.len() >= tuning::BELIEVED_LEN {
            all.clear();
        }
        match found {
            Some(row) => all.insert(name.to_owned(), (begun, row.clone())),
            None => all.remove(name),
        };
    }

    /// Forgets what has just been changed or removed.
    pub(crate) fn forget(&self, name: &str) {
        self.read().remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_believed_for_a_moment_from_when_reading_began() {
        let recent = Recent::default();
        let at = |share: u32| Duration::from_secs(9) + tuning::BELIEVED * share / 4;
        assert_eq!(recent.believed("a", at(0)), None);
        recent.note("a", at(0), Some(&1));
        assert_eq!(recent.believed("a", at(3)), Some(1));
        assert_eq!(recent.believed("b", at(3)), None);
        assert_eq!(recent.believed("a", at(4)), None);
        recent.note("a", at(4), Some(&2));
        assert_eq!(recent.believed("a", at(7)), Some(2));
        recent.note("a", at(5), None);
        assert_eq!(recent.believed("a", at(5)), None);
    }

    #[test]
    fn it_holds_so_many_and_forgets_what_it_is_told() {
        let recent = Recent::default();
        for number in 0..tuning::BELIEVED_LEN * 2 + 1 {
            recent.note(&number.to_string(), Duration::ZERO, Some(&number));
            assert!(recent.read().len() <= tuning::BELIEVED_LEN);
        }
        let last = (tuning::BELIEVED_LEN * 2).to_string();
        assert!(recent.believed(&last, Duration::ZERO).is_some());
        recent.forget(&last);
        assert_eq!(recent.believed(&last, Duration::ZERO), None);
    }
}
