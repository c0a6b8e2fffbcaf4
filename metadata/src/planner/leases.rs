//! When CAS leases are to be ended. Pure; the verdict is the entry's, by state-machine time.
//!
//! State-machine time stands still while nothing is committed. After a quiet night the next entry
//! would look like a jump of the clock and suspend what time decides, so an idle leader proposes an
//! entry now and then that has nothing to do but to carry the time.

use cairn_model::limits;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{ExpireLeases, LeaseWork};

/// Most that a leader lets state-machine time fall behind its clock.
const BEHIND_MAX_MS: u64 = 15 * 60 * 1_000;

const _: () = assert!(4 * BEHIND_MAX_MS <= limits::CLOCK_JUMP_MAX_MS);

/// The command to propose at `now_ms` of the wall clock, if any.
#[must_use]
pub fn plan(work: &LeaseWork, now_ms: u64) -> Option<Command> {
    let due = work.next_end_ms != 0 && work.next_end_ms <= now_ms.max(work.time_ms);
    let behind = work.time_ms != 0 && now_ms.saturating_sub(work.time_ms) >= BEHIND_MAX_MS;
    (!work.clock_suspended && (due || behind)).then_some(Command::ExpireLeases(ExpireLeases {}))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_000_000_000;

    fn work(next_end_ms: u64) -> LeaseWork {
        LeaseWork {
            next_end_ms,
            time_ms: NOW,
            clock_suspended: false,
        }
    }

    #[test]
    fn a_lease_is_ended_when_its_time_is_up_and_not_before() {
        assert_eq!(plan(&work(NOW + 1), NOW), None);
        assert!(plan(&work(NOW), NOW).is_some());
        assert!(plan(&work(NOW + 1), NOW + 1).is_some());
        assert!(
            plan(&work(NOW), NOW - 5_000).is_some(),
            "state-machine time counts where it is ahead"
        );
        assert_eq!(plan(&work(0), NOW), None, "there is none");
    }

    #[test]
    fn nothing_is_ended_while_a_jump_of_the_clock_is_not_accepted() {
        let suspended = LeaseWork {
            clock_suspended: true,
            ..work(NOW)
        };
        assert_eq!(plan(&suspended, NOW + 100 * BEHIND_MAX_MS), None);
    }

    #[test]
    fn time_is_carried_in_an_idle_cluster() {
        for next_end_ms in [0, NOW + limits::LEASE_MS] {
            let idle = work(next_end_ms);
            assert_eq!(plan(&idle, NOW + BEHIND_MAX_MS - 1), None);
            assert!(plan(&idle, NOW + BEHIND_MAX_MS).is_some());
        }
        assert_eq!(
            plan(&LeaseWork::default(), NOW),
            None,
            "before the first stamp there is no time to carry"
        );
    }
}
