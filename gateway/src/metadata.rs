//! The gateway's hand on the metadata group: bounded patience, and a refusal told from a failure.
//!
//! Queries are linearizable and may be sent again at will. Commands go through a session
//! ([`crate::data::session`]), because sending one again is right only under its own number.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cairn_rpc::{MetadataError, MetadataService};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::answer::Answer;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query;
use cairn_world::Clock;

use crate::tuning;

/// Why a query was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    /// Try again later.
    #[error("metadata is unavailable: {0}")]
    Unavailable(String),
    /// The two sides do not understand each other.
    #[error("metadata protocol: {0}")]
    Protocol(&'static str),
}

/// Why a command was not carried out, by what its request can be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommitError {
    /// The state machine says no; nothing was done.
    #[error("refused: {refusal:?} {detail}")]
    Refused {
        /// The reason.
        refusal: wire::Refusal,
        /// For people.
        detail: String,
    },
    /// The session, or what was written in it, is no longer good: the whole request again.
    #[error("the session has ended; the upload must be sent again")]
    RetryUpload,
    /// Whether it was done is not known.
    #[error("the outcome is unknown")]
    Unknown,
    /// Nothing was done.
    #[error("metadata is unavailable: {0}")]
    Unavailable(String),
    /// The two sides do not understand each other; nothing was done.
    #[error("metadata protocol: {0}")]
    Protocol(&'static str),
}

/// Pauses between sends of one call: doubling, bounded.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) fn new() -> Self {
        Self(tuning::METADATA_PAUSE)
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(tuning::METADATA_PAUSE_MAX);
        pause
    }
}

/// A metadata group as the gateway calls it.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    service: Arc<dyn MetadataService>,
    clock: Arc<dyn Clock>,
}

impl Metadata {
    pub(crate) fn new(service: Arc<dyn MetadataService>, clock: Arc<dyn Clock>) -> Self {
        Self { service, clock }
    }

    /// Sends a command once. No answer in time is an unknown outcome.
    pub(crate) async fn propose(
        &self,
        session: u64,
        operation: u64,
        command: Command,
    ) -> Result<wire::Reply, MetadataError> {
        tokio::select! {
            biased;
            outcome = self.service.propose(session, operation, command) => outcome,
            () = self.clock.sleep(tuning::METADATA_PATIENCE) => Err(MetadataError::Unknown),
        }
    }

    async fn query(
        &self,
        query: wire::Query,
        patience: Duration,
    ) -> Result<wire::Answer, MetadataError> {
        tokio::select! {
            biased;
            outcome = self.service.query(query) => outcome,
            () = self.clock.sleep(patience) => {
                Err(MetadataError::Unavailable("no answer in time".to_owned()))
            }
        }
    }

    /// Says that sessions are alive.
    pub(crate) async fn keep_alive(&self, sessions: &[u64]) -> Result<(), MetadataError> {
        tokio::select! {
            biased;
            outcome = self.service.keep_alive(sessions) => outcome,
            () = self.clock.sleep(tuning::METADATA_PATIENCE) => {
                Err(MetadataError::Unavailable("no answer in time".to_owned()))
            }
        }
    }

    pub(crate) fn pause(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        self.clock.sleep(duration)
    }

    /// When a wait that begins now has lasted long enough.
    pub(crate) fn deadline(&self) -> Duration {
        self.clock.monotonic().saturating_add(tuning::METADATA_WAIT)
    }

    pub(crate) fn is_past(&self, deadline: Duration) -> bool {
        self.clock.monotonic() >= deadline
    }

    async fn ask(&self, query: Query) -> Result<Answer, QueryError> {
        let mut backoff = Backoff::new();
        let mut attempt = 1;
        let deadline = self.deadline();
        loop {
            let sent = wire::Query {
                query: Some(query.clone()),
            };
            let left = deadline.saturating_sub(self.clock.monotonic());
            let why = match self.query(sent, left).await {
                Ok(answer) => {
                    return answer.answer.ok_or(QueryError::Protocol("an empty answer"));
                }
                Err(MetadataError::Refused(why)) => return Err(QueryError::Protocol(why)),
                Err(MetadataError::TooLarge) => {
                    return Err(QueryError::Protocol("the query is too large"));
                }
                Err(
                    why @ (MetadataError::NotLeader { .. }
                    | MetadataError::Unavailable(_)
                    | MetadataError::Unknown),
                ) => why,
            };
            if attempt == tuning::METADATA_ATTEMPTS || self.is_past(deadline) {
                return Err(QueryError::Unavailable(why.to_string()));
            }
            attempt += 1;
            self.pause(backoff.next()).await;
        }
    }

    /// Answers once, without patience: for readiness.
    pub(crate) async fn answers_now(&self) -> bool {
        let query = wire::Query {
            query: Some(Query::GetSessions(wire::GetSessions {})),
        };
        let patience = tuning::READY_PATIENCE;
        self.query(query, patience).await.is_ok()
    }
}

/// One typed query: its name, its message, the answer's variant and what of it is given.
macro_rules! queries {
    ($($(#[$doc:meta])* $name:ident($query:ident) -> $answer:ident: $given:ty;)*) => {
        impl Metadata {
            $($(#[$doc])*
            pub(crate) async fn $name(&self, query: wire::$query) -> Result<$given, QueryError> {
                match self.ask(Query::$query(query)).await? {
                    Answer::$answer(answer) => Ok(answer),
                    _ => Err(QueryError::Protocol(concat!("another answer than to ", stringify!($query)))),
                }
            })*
        }
    };
}

queries! {
    /// Disks, classes, partitions.
    cluster(GetCluster) -> Cluster: wire::ClusterAnswer;
    /// What nodes said of themselves lately.
    status(GetStatus) -> Status: wire::StatusAnswer;
    /// A user by access key, or none.
    user(GetUser) -> Users: wire::UsersAnswer;
    /// All users.
    users(ListUsers) -> Users: wire::UsersAnswer;
    /// A bucket by name, or none.
    bucket(GetBucket) -> Buckets: wire::BucketsAnswer;
    /// An owner's buckets.
    buckets(ListBuckets) -> Buckets: wire::BucketsAnswer;
    /// The current version of a key, or none.
    object(GetObject) -> Object: wire::ObjectAnswer;
    /// A bucket, an object in it and its chunk rows, at one moment.
    find(FindObject) -> Found: wire::FoundAnswer;
    /// A page of keys.
    objects(ListObjects) -> List: wire::ListAnswer;
    /// Pages of a manifest.
    pages(GetPages) -> Pages: wire::PagesAnswer;
    /// Chunk rows.
    chunks(GetChunks) -> Chunks: wire::ChunksAnswer;
    /// An upload, or none.
    upload(GetUpload) -> Uploads: wire::UploadsAnswer;
    /// A page of uploads.
    uploads(ListUploads) -> Uploads: wire::UploadsAnswer;
    /// A page of parts.
    parts(ListParts) -> Parts: wire::PartsAnswer;
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    use async_trait::async_trait;
    use cairn_world::WallMillis;

    use super::*;

    /// Time that passes only where somebody waits.
    #[derive(Debug, Default)]
    struct Millis(AtomicU64);

    impl Clock for Millis {
        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::SeqCst))
        }

        fn wall(&self) -> WallMillis {
            1_795_000_000_000
        }

        fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            let millis = u64::try_from(duration.as_millis()).unwrap();
            if duration <= tuning::METADATA_PAUSE_MAX {
                self.0.fetch_add(millis, Ordering::SeqCst);
                return Box::pin(std::future::ready(()));
            }
            Box::pin(std::future::pending())
        }
    }

    /// Nobody leads, and finding that out takes its time.
    #[derive(Debug)]
    struct Minority {
        clock: Arc<Millis>,
        takes: u64,
        asked: AtomicU32,
    }

    #[async_trait]
    impl MetadataService for Minority {
        async fn propose(
            &self,
            _session: u64,
            _operation: u64,
            _command: Command,
        ) -> Result<wire::Reply, MetadataError> {
            Err(MetadataError::Unavailable("no quorum".to_owned()))
        }

        async fn query(&self, _query: wire::Query) -> Result<wire::Answer, MetadataError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.clock.0.fetch_add(self.takes, Ordering::SeqCst);
            Err(MetadataError::Unavailable("no quorum".to_owned()))
        }

        async fn keep_alive(&self, _sessions: &[u64]) -> Result<(), MetadataError> {
            Err(MetadataError::Unavailable("no quorum".to_owned()))
        }
    }

    async fn sends(takes: u64) -> (u32, Duration) {
        let clock = Arc::new(Millis::default());
        let minority = Arc::new(Minority {
            clock: Arc::clone(&clock),
            takes,
            asked: AtomicU32::new(0),
        });
        let metadata = Metadata::new(Arc::clone(&minority) as _, Arc::clone(&clock) as _);
        let refused = metadata.users(wire::ListUsers {}).await;
        assert!(matches!(refused, Err(QueryError::Unavailable(_))));
        (minority.asked.load(Ordering::SeqCst), clock.monotonic())
    }

    #[tokio::test]
    async fn a_query_that_waited_long_is_not_sent_again() {
        let (asked, waited) = sends(4_000).await;
        assert_eq!(asked, 2);
        assert!(waited < tuning::METADATA_WAIT * 2, "{waited:?}");
        assert_eq!(sends(1).await.0, tuning::METADATA_ATTEMPTS);
    }
}
