//! `PUT /bucket/key`

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use cairn_s3::api::put_object::{PutObject, PutObjectOutput};
use cairn_s3::digest::{ObjectChecksum, Verified};
use cairn_s3::upload::Upload;
use cairn_s3::{Code, S3Error};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::entry::Command;
use cairn_world::{Bug, buggify, planted};
use http::Response;

use super::attributes;
use crate::body::{Incoming, ObjectBody};
use crate::data::manifest;
use crate::data::session::Entered;
use crate::data::writer::{self, Written};
use crate::error;
use crate::metadata::CommitError;
use crate::pipeline::Call;

pub(super) async fn put(call: &Call, body: Incoming) -> Result<Response<Body>, S3Error> {
    match publish(call, body).await {
        Err(refused) => Err(call.gateway.refused(call.bucket_name()?, refused).await),
        done => done,
    }
}

async fn publish(call: &Call, body: Incoming) -> Result<Response<Body>, S3Error> {
    let input = PutObject::from_head(&call.head)?;
    let upload = Upload::for_object(&call.head, call.authenticated.payload())?;
    let _permit = call.gateway.upload_permit()?;
    let session = call.enter().await?;
    let (session, written, verified) = store(call, session, body, upload).await?;
    let output = PutObjectOutput {
        etag: verified.etag(),
        checksum: Some(ObjectChecksum::full(verified.checksum().clone())),
        version_id: None,
    };
    commit(call, &session, input, written, &verified).await?;
    Ok(output.into_response().map(Body::from))
}

/// Stores a body and verifies all of it; gives the session to commit in.
pub(super) async fn store(
    call: &Call,
    session: Entered,
    body: Incoming,
    upload: Upload,
) -> Result<(Entered, Written, Verified), S3Error> {
    let path = &call.gateway.path;
    let abreast = &call.gateway.abreast;
    let source = ObjectBody::new(body, upload, abreast, call.signs_sha256());
    let stored = writer::write(path, session, call.bucket()?, source).await;
    let (mut session, written, verified) = stored.map_err(error::of_write)?;
    if planted(Bug::IncarnationOfClosedSession) {
        session = call.enter().await?;
    }
    call.gateway.metrics.bytes_in.add(written.length);
    Ok((session, written, verified))
}

/// The content of a commit; long manifests are staged.
pub(super) async fn content(
    call: &Call,
    session: &Entered,
    written: Written,
) -> Result<wire::Content, S3Error> {
    let view = call
        .gateway
        .path
        .views
        .get()
        .await
        .map_err(error::of_query)?;
    let stamp = session.stamp(view.group);
    let bucket = call.bucket()?.id;
    manifest::content(session, stamp, bucket, written)
        .await
        .map_err(error::of_commit)
}

/// How long a gateway may be held up just before a commit.
const PAUSE: Duration = Duration::from_secs(3);
/// The same and at most so much longer, until slots have moved meanwhile.
const LINGER_MILLIS: u64 = 200_000;

/// The planted way to judge the conditions of a write: by what is there before its commit.
async fn decide(call: &Call, asked: &wire::Conditions) -> Result<(), S3Error> {
    let query = wire::GetObject {
        bucket: call.bucket()?.id,
        key: call.key_bytes()?,
    };
    let metadata = &call.gateway.path.metadata;
    let found = metadata.object(query).await.map_err(error::of_query)?;
    let etag = found
        .object
        .map(|row| row.attributes.unwrap_or_default().etag);
    let named = |tags: &[String]| {
        let there = |etag: &String| tags.iter().any(|tag| tag == "*" || tag == etag);
        etag.as_ref().is_some_and(there)
    };
    match (&etag, asked.if_match.is_empty()) {
        (None, false) => Err(S3Error::new(Code::NoSuchKey)),
        (Some(_), false) if !named(&asked.if_match) => Err(S3Error::new(Code::PreconditionFailed)),
        _ if named(&asked.if_none_match) => Err(S3Error::new(Code::PreconditionFailed)),
        _ => Ok(()),
    }
}

/// Publishes the object. [`Verified`] is the proof that its body is the one the client meant.
async fn commit(
    call: &Call,
    session: &Entered,
    input: PutObject,
    written: Written,
    verified: &Verified,
) -> Result<(), S3Error> {
    let mut conditions = attributes::conditions(&input.conditions);
    if planted(Bug::ConditionOutsideApply)
        && let Some(asked) = conditions.take()
    {
        decide(call, &asked).await?;
    }
    if buggify("put-pauses") {
        // Whatever was looked at before may be another by now.
        call.gateway.path.clock.sleep(PAUSE).await;
    }
    if buggify("put-lingers") {
        let more = Duration::from_millis(call.gateway.entropy.next_u64() % LINGER_MILLIS);
        call.gateway.path.clock.sleep(PAUSE + more).await;
    }
    if buggify("upload-sent-back") {
        return Err(error::of_commit(CommitError::RetryUpload));
    }
    let crc64nvme = written.crc64nvme;
    let key: Bytes = call.key_bytes()?;
    let command = wire::PutObject {
        bucket: call.bucket()?.id,
        key,
        attributes: Some(wire::Attributes {
            etag: verified.etag(),
            checksums: attributes::of_one_piece(verified.checksum(), crc64nvme),
            ..attributes::from_headers(input.headers)
        }),
        content: Some(content(call, session, written).await?),
        conditions,
    };
    let refused = session.propose(Command::PutObject(command)).await.err();
    match refused.map(error::of_commit) {
        None => Ok(()),
        Some(refused) => Err(attributes::refused_write(call, &input.conditions, refused)),
    }
}
