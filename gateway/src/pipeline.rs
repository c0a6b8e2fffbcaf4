//! The story of an S3 request on one page.
//!
//! ```text
//!   head ── signature ── target ── operation ── headers ── authorise ─┐   no byte of the body yet
//!                                                                     ▼
//!                              input ── body (100 Continue) ── handler ── response
//! ```
//!
//! Everything before the line is decided from the signed head alone. The first poll of the body is
//! what makes hyper answer `100 Continue`, so a client that waits for it sends nothing in vain.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use cairn_model::DomainId;
use cairn_s3::sigv4::{Authenticated, PayloadSigning};
use cairn_s3::upload::Document;
use cairn_s3::{BucketName, Code, Head, ObjectKey, Op, S3Error, Target, headers};
use cairn_wire::metadata as wire;
use cairn_world::{Bug, planted};
use http::{Request, Response};

use crate::body::Incoming;
use crate::data::session::Entered;
use crate::gateway::Inner;
use crate::users::User;
use crate::{app, error, s3_api, tuning};

/// A request that may be carried out.
pub(crate) struct Call {
    pub(crate) gateway: Arc<Inner>,
    pub(crate) head: Head,
    pub(crate) authenticated: Authenticated,
    pub(crate) user: Arc<User>,
    pub(crate) op: Op,
    /// `http`, or `https` where the request came over TLS.
    pub(crate) scheme: &'static str,
    target: Target,
    /// The bucket, for every operation on one that exists.
    bucket: Option<wire::Bucket>,
    /// The object, for operations that read one: it was found with its bucket.
    found: Mutex<Option<Found>>,
}

/// What one look at the metadata has shown of an object.
pub(crate) struct Found {
    /// Entered before the look, where bytes are to be read: what the row names then stays.
    pub(crate) session: Option<Entered>,
    pub(crate) object: Option<wire::Object>,
    /// Rows of its chunks, or of none.
    pub(crate) chunks: Vec<wire::Chunk>,
}

/// Answers an S3 request. The name of the operation is for counters and logs.
pub(crate) async fn answer(
    gateway: &Arc<Inner>,
    request: Request<Body>,
) -> (&'static str, Result<Response<Body>, S3Error>) {
    let (parts, body) = request.into_parts();
    let call = match admit(gateway, parts).await {
        Ok(call) => call,
        Err(refused) => return ("refused", Err(refused)),
    };
    let name = call.op.name();
    let body = Incoming::new(body, Arc::clone(&gateway.clock));
    (name, s3_api::dispatch(&call, body).await)
}

/// Decides from the head alone whether the request may be carried out.
async fn admit(gateway: &Arc<Inner>, parts: http::request::Parts) -> Result<Call, S3Error> {
    let secure = parts.extensions.get::<app::Secure>().is_some();
    let head = Head::new(parts.method, &parts.uri, parts.headers)?;
    let (authenticated, user) = gateway.users.authenticate(&head).await?;
    let target = Target::parse(head.host(), head.path(), &gateway.hosts)?;
    let op = Op::resolve(head.method(), &target, head.query(), head.headers())
        .map_err(|refused| advised(refused, gateway, &head, &target))?;
    let demands = headers::check(&head)?;
    let mut call = Call {
        gateway: Arc::clone(gateway),
        head,
        authenticated,
        user,
        op,
        scheme: if secure { "https" } else { "http" },
        target,
        bucket: None,
        found: Mutex::new(None),
    };
    call.authorise(&demands).await?;
    Ok(call)
}

/// Buckets cannot be made, changed or removed without a name; where it may be in the host, that is said.
fn advised(refused: S3Error, gateway: &Inner, head: &Head, target: &Target) -> S3Error {
    match gateway.hosts.meant(head.host()) {
        Some(meant) if *target == Target::Service && refused.code() == Code::MethodNotAllowed => {
            S3Error::because(refused.code(), meant.explain(refused.message()))
        }
        _ => refused,
    }
}

impl Call {
    /// A bucket is its owner's, and root's; to others it is closed.
    async fn authorise(&mut self, demands: &headers::Demands) -> Result<(), S3Error> {
        let denied = || S3Error::new(Code::AccessDenied);
        let Some(name) = self.target.bucket().filter(|_| self.op != Op::CreateBucket) else {
            return Ok(());
        };
        let bucket = match self.op {
            Op::GetObject | Op::HeadObject if !planted(Bug::ManifestBeforeSession) => {
                self.find(name).await?
            }
            // Their commits name the bucket's id.
            Op::PutObject | Op::DeleteObject => self.gateway.bucket_lately(name).await?,
            _ => self.gateway.bucket(name).await?,
        };
        let Some(bucket) = bucket else {
            return Err(self.no_such_bucket(name).await);
        };
        if !self.user.root && bucket.owner != self.user.id {
            return Err(denied());
        }
        if demands
            .expected_bucket_owner
            .as_ref()
            .is_some_and(|owner| *owner != bucket.owner)
        {
            return Err(denied());
        }
        if demands.requester_must_own_bucket && bucket.owner != self.user.id {
            return Err(S3Error::new(Code::NotImplemented).with("Header", "x-amz-acl"));
        }
        self.bucket = Some(bucket);
        Ok(())
    }

    /// The bucket, and with it the object that is to be read.
    async fn find(&self, bucket: &BucketName) -> Result<Option<wire::Bucket>, S3Error> {
        let reads = self.op == Op::GetObject;
        let session = match reads {
            true => Some(self.enter().await?),
            false => None,
        };
        let query = wire::FindObject {
            bucket: bucket.as_str().to_owned(),
            key: self.key_bytes()?,
            chunks: if reads { tuning::CHUNK_ROWS_FOUND } else { 0 },
        };
        let answer = self.gateway.path.metadata.find(query).await;
        let answer = answer.map_err(error::of_query)?;
        *self.found() = Some(Found {
            session,
            object: answer.object,
            chunks: answer.chunks,
        });
        Ok(answer.bucket)
    }

    fn found(&self) -> MutexGuard<'_, Option<Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was found of the object with its bucket; given once.
    pub(crate) fn take_found(&self) -> Option<Found> {
        self.found().take()
    }

    /// The refusal; where the bucket that was meant is in the host's name, it says so.
    async fn no_such_bucket(&self, name: &BucketName) -> S3Error {
        let missing = S3Error::new(Code::NoSuchBucket);
        let missing = match self.gateway.hosts.meant(self.head.host()) {
            Some(meant) if self.is_bucket(meant.bucket).await => {
                S3Error::because(missing.code(), meant.explain(missing.message()))
            }
            _ => missing,
        };
        missing.with("BucketName", name.as_str())
    }

    async fn is_bucket(&self, label: &str) -> bool {
        match BucketName::parse(&label.to_ascii_lowercase()) {
            Ok(name) => matches!(self.gateway.bucket(&name).await, Ok(Some(_))),
            Err(_) => false,
        }
    }

    /// The bucket's name.
    ///
    /// # Errors
    /// `InternalError` for an operation without one: a bug.
    pub(crate) fn bucket_name(&self) -> Result<&BucketName, S3Error> {
        self.target
            .bucket()
            .ok_or_else(|| S3Error::new(Code::InternalError))
    }

    /// The bucket.
    ///
    /// # Errors
    /// `InternalError` for an operation without one: a bug.
    pub(crate) fn bucket(&self) -> Result<&wire::Bucket, S3Error> {
        self.bucket
            .as_ref()
            .ok_or_else(|| S3Error::new(Code::InternalError))
    }

    /// The dedup domain of the bucket's chunks.
    ///
    /// # Errors
    /// As [`Call::bucket`].
    pub(crate) fn domain(&self) -> Result<DomainId, S3Error> {
        Ok(DomainId(self.bucket()?.domain))
    }

    /// The object's key.
    ///
    /// # Errors
    /// `InternalError` for an operation without one: a bug.
    pub(crate) fn key(&self) -> Result<&ObjectKey, S3Error> {
        self.target
            .key()
            .ok_or_else(|| S3Error::new(Code::InternalError))
    }

    /// The object's key as rows have it.
    ///
    /// # Errors
    /// As [`Call::key`].
    pub(crate) fn key_bytes(&self) -> Result<Bytes, S3Error> {
        Ok(Bytes::copy_from_slice(self.key()?.as_str().as_bytes()))
    }

    /// Enters the current session. Reads do so before they read the object's row.
    ///
    /// # Errors
    /// `ServiceUnavailable`.
    pub(crate) async fn enter(&self) -> Result<Entered, S3Error> {
        self.gateway
            .sessions
            .enter()
            .await
            .map_err(error::of_commit)
    }

    /// Whether the signature names the SHA-256 of the body.
    pub(crate) fn signs_sha256(&self) -> bool {
        matches!(self.authenticated.payload(), PayloadSigning::Exact(_))
    }

    /// Reads the whole body of an operation that takes a document, or nothing: also the signed
    /// digest of nothing is checked.
    ///
    /// # Errors
    /// As [`Document::new`] and [`Document::push`], and what a broken body gives.
    pub(crate) async fn document(&self, mut body: Incoming) -> Result<Document, S3Error> {
        let mut document = Document::new(&self.head, self.op, self.authenticated.payload())?;
        while let Some(frame) = body.frame().await? {
            document.push(&frame)?;
        }
        Ok(document)
    }
}
