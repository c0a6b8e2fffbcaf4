//! [`ShardError`] as it travels.

use cairn_wire::storage::{Cause, Failure};

use super::super::error::CallError;
use crate::ShardError;

pub(super) fn to_wire(error: ShardError) -> Failure {
    let (cause, epoch, detail) = match error {
        ShardError::StaleEpoch { current } => (Cause::StaleEpoch, current, String::new()),
        ShardError::NotMine => (Cause::NotMine, 0, String::new()),
        ShardError::Missing => (Cause::Missing, 0, String::new()),
        ShardError::Corrupt(why) => (Cause::Corrupt, 0, why),
        ShardError::Full => (Cause::Full, 0, String::new()),
        ShardError::Failed(why) => (Cause::Failed, 0, why),
        ShardError::Unavailable(why) => (Cause::Unavailable, 0, why),
        ShardError::Refused(why) => (Cause::Refused, 0, why.to_owned()),
    };
    Failure {
        cause: cause.into(),
        epoch,
        detail,
    }
}

/// A cause that this version does not know is `Unavailable`: never `Missing`, which is evidence.
pub(super) fn from_wire(failure: Failure) -> ShardError {
    match failure.cause() {
        Cause::StaleEpoch => ShardError::StaleEpoch {
            current: failure.epoch,
        },
        Cause::NotMine => ShardError::NotMine,
        Cause::Missing => ShardError::Missing,
        Cause::Corrupt => ShardError::Corrupt(failure.detail),
        Cause::Full => ShardError::Full,
        Cause::Failed => ShardError::Failed(failure.detail),
        Cause::Unavailable => ShardError::Unavailable(failure.detail),
        Cause::Refused => {
            tracing::warn!(detail = failure.detail, "a storage node refused a call");
            ShardError::Refused("the storage node refused the call, see the log")
        }
    }
}

pub(super) fn of_call(error: CallError) -> ShardError {
    match error {
        CallError::NotReached(why) | CallError::Unknown(why) => ShardError::Unavailable(why),
        CallError::Refused(refusal) => ShardError::Refused(refusal.text()),
    }
}

/// An answer of another kind than asked, or none that is known.
pub(super) fn unexpected() -> ShardError {
    ShardError::Unavailable("the storage node gave another answer than asked".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_can_do_survives_the_wire() {
        for error in [
            ShardError::StaleEpoch { current: u64::MAX },
            ShardError::NotMine,
            ShardError::Missing,
            ShardError::Corrupt("cell 3".to_owned()),
            ShardError::Full,
            ShardError::Failed("EIO".to_owned()),
            ShardError::Unavailable("closing".to_owned()),
        ] {
            assert_eq!(from_wire(to_wire(error.clone())), error);
        }
        let refused = from_wire(to_wire(ShardError::Refused("why")));
        assert!(matches!(refused, ShardError::Refused(_)));
    }

    #[test]
    fn a_cause_of_tomorrow_is_no_evidence_of_loss() {
        let failure = Failure {
            cause: 77,
            ..Failure::default()
        };
        assert!(matches!(from_wire(failure), ShardError::Unavailable(_)));
    }
}
