//! What every engine promises, tested the same way for each.
//!
//! An engine's tests implement [`Reopen`] and call [`check_engine!`].

pub(crate) mod behaviours;
pub(crate) mod model;

use crate::{OrderedStore, Row, View};
use std::ops::Bound;

/// A store that can be closed and opened again after a persist.
pub(crate) trait Reopen {
    /// The store.
    fn store(&self) -> &dyn OrderedStore;
    /// Persists, closes, opens.
    fn reopen(&mut self);
}

/// Every row of a view.
pub(crate) fn rows(view: &dyn View) -> Vec<Row> {
    view.scan(Bound::Unbounded, Bound::Unbounded)
        .map(Result::unwrap)
        .collect()
}

/// Makes the tests of one engine; the argument makes an empty store.
macro_rules! check_engine {
    ($make:expr) => {
        mod suite {
            use super::*;
            use crate::suite::{behaviours, model};

            #[test]
            fn behaves_like_a_sorted_map_seen_at_points_in_time() {
                model::run($make);
            }

            #[test]
            fn a_batch_is_seen_whole_or_not_at_all() {
                behaviours::batches_are_atomic($make().store());
            }

            #[test]
            fn all_kinds_of_bounds_select_what_they_say() {
                behaviours::bounds_select($make().store());
            }

            #[test]
            fn a_visit_sees_what_a_scan_gives_and_ends_when_told() {
                behaviours::visits_are_scans($make().store());
            }

            #[test]
            fn a_prefix_ends_where_it_should() {
                behaviours::prefixes_end($make().store());
            }

            #[test]
            fn a_scan_stopped_early_costs_what_it_saw() {
                behaviours::scans_are_lazy($make().store());
            }

            #[test]
            fn keys_no_engine_could_keep_are_refused_whole() {
                behaviours::bad_keys_are_refused($make().store());
            }

            #[test]
            fn what_was_persisted_is_there_after_reopening() {
                behaviours::persisted_rows_survive(&mut $make());
            }

            #[test]
            fn long_keys_and_values_come_back() {
                behaviours::extremes_come_back(&mut $make());
            }
        }
    };
}
pub(crate) use check_engine;
