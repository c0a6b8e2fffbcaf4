//! A gateway: what every request shares, and the one way in.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use cairn_model::limits;
use cairn_rpc::{MetadataService, ShardRoutes};
use cairn_s3::{BucketName, Code, Hosts, S3Error};
use cairn_telemetry::Registry;
use cairn_wire::metadata as wire;
use cairn_world::{Clock, Entropy};
use http::{Request, Response};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::data::DataPath;
use crate::data::nodes::Nodes;
use crate::data::session::Sessions;
use crate::data::view::Views;
use crate::digesting::Abreast;
use crate::metadata::Metadata;
use crate::metrics::Metrics;
use crate::recent::Recent;
use crate::settings::Settings;
use crate::users::Users;
use crate::{app, error, tuning};

/// What every request shares.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) hosts: Hosts,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) path: Arc<DataPath>,
    /// Where uploads have their MD5 made.
    pub(crate) abreast: Arc<Abreast>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) users: Users,
    /// By name, for writes.
    buckets: Recent<wire::Bucket>,
    pub(crate) metrics: Metrics,
    uploads: Semaphore,
}

/// A gateway. Cloning is cheap; clones are the same gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    pub(crate) inner: Arc<Inner>,
    router: axum::Router,
}

impl Gateway {
    /// A gateway on a metadata group and the ways to its disks. Nothing is asked
    /// of either before the first request; [`Gateway::keep`] must run beside it.
    #[must_use]
    pub fn new(
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        metadata: Arc<dyn MetadataService>,
        disks: Arc<dyn ShardRoutes>,
    ) -> Self {
        let metadata = Metadata::new(metadata, Arc::clone(&clock));
        let path = DataPath {
            metadata: metadata.clone(),
            nodes: Nodes::new(disks, Arc::clone(&clock)),
            views: Views::new(metadata.clone(), Arc::clone(&clock)),
            clock: Arc::clone(&clock),
        };
        let sessions = Sessions::new(metadata.clone(), Arc::clone(&clock), settings.name.clone());
        let inner = Arc::new(Inner {
            hosts: Hosts::new(settings.domains.iter().map(String::as_str)),
            buckets: Recent::default(),
            users: Users::new(metadata, Arc::clone(&clock), &settings.region),
            path: Arc::new(path),
            abreast: Arc::default(),
            sessions: Arc::new(sessions),
            metrics: Metrics::new(Arc::new(Registry::new())),
            uploads: Semaphore::new(limits::UPLOADS_MAX),
            settings,
            clock,
            entropy,
        });
        Self {
            router: app::router(Arc::clone(&inner)),
            inner,
        }
    }

    /// Answers one request, without a socket. This is all of the gateway: [`Gateway::serve`] only
    /// brings requests here.
    pub async fn respond<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        app::respond(&self.inner, &self.router, request.map(Body::new)).await
    }

    /// What `/metrics` shows. Other parts of the process may count in it too.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        self.inner.metrics.registry()
    }

    /// Keeps sessions and the view of the cluster fresh for as long as it is polled.
    pub async fn keep(&self) {
        tokio::join!(
            self.inner.sessions.keep(),
            self.inner.path.views.keep(),
            self.watch_status()
        );
    }

    /// Shows what a replica of the metadata says of itself, of nodes and of disks.
    async fn watch_status(&self) {
        let Inner {
            path,
            metrics,
            clock,
            ..
        } = self.inner.as_ref();
        loop {
            if let Ok(status) = path.metadata.status(wire::GetStatus {}).await {
                metrics.show_cluster(&status);
            }
            clock.sleep(tuning::STATUS_EVERY).await;
        }
    }

    /// Takes no more uploads or reads and ends the sessions as the last of them ends. Waits as long
    /// as they take: the caller bounds it.
    pub async fn close(&self) {
        self.inner.sessions.close().await;
    }
}

impl Inner {
    /// A bucket by name.
    ///
    /// # Errors
    /// Metadata errors.
    pub(crate) async fn bucket(&self, name: &BucketName) -> Result<Option<wire::Bucket>, S3Error> {
        let begun = self.clock.monotonic();
        let query = wire::GetBucket {
            name: name.as_str().to_owned(),
        };
        let answer = self.path.metadata.bucket(query).await;
        let found = answer.map_err(error::of_query)?.buckets.into_iter().next();
        self.buckets.note(name.as_str(), begun, found.as_ref());
        Ok(found)
    }

    /// A bucket by name as it was a moment ago, for a request whose commit names its id: where it is
    /// gone by then the commit is refused, and [`Inner::refused`] must see the refusal.
    ///
    /// # Errors
    /// Metadata errors.
    pub(crate) async fn bucket_lately(
        &self,
        name: &BucketName,
    ) -> Result<Option<wire::Bucket>, S3Error> {
        let now = self.clock.monotonic();
        match self.buckets.believed(name.as_str(), now) {
            Some(bucket) => Ok(Some(bucket)),
            None => self.bucket(name).await,
        }
    }

    /// Forgets a bucket that has just been removed.
    pub(crate) fn forget_bucket(&self, name: &BucketName) {
        self.buckets.forget(name.as_str());
    }

    /// What to answer where a commit to a bucket of [`Inner::bucket_lately`] was refused: that there is
    /// none is true only if there is none now.
    pub(crate) async fn refused(&self, name: &BucketName, refused: S3Error) -> S3Error {
        if refused.code() != Code::NoSuchBucket {
            return refused;
        }
        self.forget_bucket(name);
        match self.bucket(name).await {
            Ok(None) => refused.with("BucketName", name.as_str()),
            Ok(Some(_)) => S3Error::new(Code::ServiceUnavailable),
            Err(error) => error,
        }
    }

    /// A place among the uploads in progress, held while the body is.
    ///
    /// # Errors
    /// `SlowDown` where all are taken.
    pub(crate) fn upload_permit(&self) -> Result<SemaphorePermit<'_>, S3Error> {
        self.uploads
            .try_acquire()
            .map_err(|_| S3Error::new(Code::SlowDown))
    }
}
