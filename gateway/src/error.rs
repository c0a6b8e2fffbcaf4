//! From what went wrong inside to what a client is told.
//!
//! Only what the client can act on is named. A fault of ours is `InternalError` or a 503 and its
//! reason goes to the log: nothing internal leaks, nothing is called the client's fault that is not.

use cairn_s3::{Code, S3Error};
use cairn_wire::metadata::Refusal;

use crate::data::{ReadError, WriteError};
use crate::metadata::{CommitError, QueryError};

/// Tells an S3 client what a failed query means.
pub(crate) fn of_query(error: QueryError) -> S3Error {
    tracing::warn!(%error, "a query failed");
    match error {
        QueryError::Unavailable(_) => S3Error::new(Code::ServiceUnavailable),
        QueryError::Protocol(_) => S3Error::new(Code::InternalError),
    }
}

/// Tells an S3 client why a command was not carried out.
pub(crate) fn of_commit(error: CommitError) -> S3Error {
    match error {
        CommitError::Refused { refusal, detail } => of_refusal(refusal, &detail),
        CommitError::RetryUpload => S3Error::new(Code::ServiceUnavailable),
        CommitError::Unknown => {
            tracing::warn!("the outcome of a request stayed unknown");
            S3Error::new(Code::InternalError)
        }
        CommitError::Unavailable(why) => {
            tracing::warn!(why, "metadata is unavailable");
            S3Error::new(Code::ServiceUnavailable)
        }
        CommitError::Protocol(why) => {
            tracing::error!(why, "metadata refused the protocol");
            S3Error::new(Code::InternalError)
        }
    }
}

/// Tells an S3 client what the state machine refused.
pub(crate) fn of_refusal(refusal: Refusal, detail: &str) -> S3Error {
    let code = match refusal {
        Refusal::BucketExists => Code::BucketAlreadyExists,
        Refusal::NoSuchBucket => Code::NoSuchBucket,
        Refusal::BucketNotEmpty => Code::BucketNotEmpty,
        Refusal::NoSuchKey => Code::NoSuchKey,
        Refusal::PreconditionFailed => Code::PreconditionFailed,
        Refusal::NoSuchUpload => Code::NoSuchUpload,
        Refusal::PartSetChanged => Code::OperationAborted,
        Refusal::InvalidPart => Code::InvalidPart,
        Refusal::PartTooSmall => Code::EntityTooSmall,
        Refusal::TooLarge => Code::EntityTooLarge,
        Refusal::SessionEnded
        | Refusal::RetryUpload
        | Refusal::NotInitialized
        | Refusal::DeletionFrozen
        | Refusal::SourceChanged => Code::ServiceUnavailable,
        other => {
            tracing::error!(refusal = ?other, detail, "a command was refused for no reason of the client's");
            Code::InternalError
        }
    };
    S3Error::new(code)
}

/// Tells an S3 client why its body was not stored.
pub(crate) fn of_write(error: WriteError) -> S3Error {
    match error {
        WriteError::NotEnoughDisks => S3Error::new(Code::SlowDown),
        WriteError::Full => S3Error::new(Code::InsufficientStorage),
        WriteError::Body(error) => error,
        WriteError::Commit(error) => of_commit(error),
        WriteError::Query(error) => of_query(error),
        WriteError::Internal(why) => {
            tracing::error!(why, "a write failed");
            S3Error::new(Code::InternalError)
        }
    }
}

/// Tells an S3 client why an object cannot be read now.
pub(crate) fn of_read(error: ReadError) -> S3Error {
    match error {
        ReadError::Lost => S3Error::new(Code::ServiceUnavailable),
        ReadError::Query(error) => of_query(error),
    }
}
