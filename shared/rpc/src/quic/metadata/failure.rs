//! [`MetadataError`] as it travels.

use cairn_wire::metadata::{Cause, Failure};

use super::super::error::{CallError, Refusal};
use crate::MetadataError;

pub(super) fn to_wire(error: MetadataError) -> Failure {
    let (cause, leader, detail) = match error {
        MetadataError::Unknown => (Cause::Unknown, None, String::new()),
        MetadataError::NotLeader { leader } => (Cause::NotLeader, leader, String::new()),
        MetadataError::Unavailable(why) => (Cause::Unavailable, None, why),
        MetadataError::TooLarge => (Cause::TooLarge, None, String::new()),
        MetadataError::Refused(why) => (Cause::Refused, None, why.to_owned()),
    };
    Failure {
        cause: cause.into(),
        leader,
        detail,
    }
}

/// A cause that this version does not know may stand for anything.
pub(super) fn from_wire(failure: Failure) -> MetadataError {
    match failure.cause() {
        Cause::Unknown => MetadataError::Unknown,
        Cause::NotLeader => MetadataError::NotLeader {
            leader: failure.leader,
        },
        Cause::Unavailable => MetadataError::Unavailable(failure.detail),
        Cause::TooLarge => MetadataError::TooLarge,
        Cause::Refused => {
            tracing::warn!(detail = failure.detail, "metadata refused a call");
            MetadataError::Refused("metadata refused the call, see the log")
        }
    }
}

/// What a failed call means where asking again is not free.
pub(super) fn of_call(error: CallError) -> MetadataError {
    match error {
        CallError::NotReached(why) => MetadataError::Unavailable(why),
        CallError::Unknown(why) => {
            tracing::debug!(why, "the outcome of a command is unknown");
            MetadataError::Unknown
        }
        // It keeps no replica (any more): another one may.
        CallError::Refused(refusal @ Refusal::Unserved) => {
            MetadataError::Unavailable(refusal.text().to_owned())
        }
        CallError::Refused(refusal) => MetadataError::Refused(refusal.text()),
    }
}

/// What a failed call means where it is.
pub(super) fn of_repeatable(error: CallError) -> MetadataError {
    match error {
        CallError::Unknown(why) => MetadataError::Unavailable(why),
        other => of_call(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_can_do_survives_the_wire() {
        for error in [
            MetadataError::Unknown,
            MetadataError::NotLeader { leader: None },
            MetadataError::NotLeader { leader: Some(0) },
            MetadataError::NotLeader {
                leader: Some(u64::MAX),
            },
            MetadataError::Unavailable("no quorum".to_owned()),
            MetadataError::TooLarge,
        ] {
            assert_eq!(from_wire(to_wire(error.clone())), error);
        }
        let refused = from_wire(to_wire(MetadataError::Refused("why")));
        assert!(matches!(refused, MetadataError::Refused(_)));
    }

    #[test]
    fn who_keeps_no_replica_sends_the_caller_on_to_another() {
        let unserved = of_call(CallError::Refused(Refusal::Unserved));
        assert!(
            matches!(unserved, MetadataError::Unavailable(_)),
            "{unserved}"
        );
        let role = of_repeatable(CallError::Refused(Refusal::Role));
        assert!(matches!(role, MetadataError::Refused(_)), "{role}");
    }

    #[test]
    fn a_cause_of_tomorrow_is_unknown() {
        let failure = Failure {
            cause: 77,
            ..Failure::default()
        };
        assert_eq!(from_wire(failure), MetadataError::Unknown);
    }
}
