//! `POST /cas/objects/{bucket}/{key}`: an S3 object of stored chunks.
//!
//! The object is like any other afterwards: read, listed, copied and deleted by S3. Its checksum is
//! the CRC-64/NVME of its bytes, combined from those of its chunks. Its ETag is
//! `hex(SHA-256(the SHA-256s of its chunks, in order))-N` of N chunks: not an MD5, and not taken for
//! one, since no client expects an MD5 with a dash or of 64 digits.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use bytes::Bytes;
use cairn_model::{Sha256, limits};
use cairn_s3::conditions::WriteConditions;
use cairn_s3::digest::{Algorithm, Checksum, ObjectChecksum};
use cairn_s3::{BucketName, Code, ObjectKey, S3Error};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::Refusal;
use cairn_wire::metadata::entry::Command;
use crc_fast::CrcAlgorithm::Crc64Nvme;
use crc_fast::checksum_combine;
use http::header::{ETAG, HeaderValue};
use http::{Response, StatusCode};
use serde_json::json;
use sha2::Digest as _;

use super::caller::Caller;
use super::documents::ObjectQuery;
use super::refusal::Refused;
use super::stored;
use crate::data::manifest;
use crate::data::session::Entered;
use crate::data::writer::{Stored, Written};
use crate::error;
use crate::metadata::CommitError;
use crate::s3_api::attributes;

pub(super) async fn commit(
    caller: &Caller,
    (bucket, key): &(BucketName, ObjectKey),
    body: Body,
) -> Result<Response<Body>, Refused> {
    let conditions = WriteConditions::from_head(&caller.head)?;
    let bucket = own_bucket(caller, bucket).await?;
    let document = caller.document(body, limits::CAS_OBJECT_LEN_MAX).await?;
    let query = ObjectQuery::parse(&document)?;
    let rows = all_stored(caller, &query).await?;
    let written = gather(&query, &rows)?;
    let (etag, size) = (etag(&query), written.length);
    let attributes = wire::Attributes {
        etag: etag.clone(),
        checksums: vec![checksum(written.crc64nvme)?],
        ..attributes::from_headers(query.headers.clone())
    };
    let inner = &caller.inner;
    let session = inner.sessions.enter().await.map_err(error::of_commit)?;
    let put = |content| wire::PutObject {
        bucket: bucket.id,
        key: Bytes::copy_from_slice(key.as_str().as_bytes()),
        attributes: Some(attributes),
        content: Some(content),
        conditions: attributes::conditions(&conditions),
    };
    match publish(caller, &session, bucket.id, written, put).await {
        Ok(()) => {}
        Err(CommitError::Refused {
            refusal: Refusal::NoSuchChunk,
            detail,
        }) => {
            return Err(gone(caller, &query, &detail).await);
        }
        Err(failed) => return Err(error::of_commit(failed).into()),
    }
    let answer = json!({ "etag": etag, "size": size });
    let mut response = crate::json::answer(StatusCode::OK, &answer);
    if let Ok(tag) = HeaderValue::try_from(format!("\"{etag}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// The bucket, which must be the caller's own: its chunks are looked up in the caller's domain, so
/// not even root may commit into another's.
async fn own_bucket(caller: &Caller, name: &BucketName) -> Result<wire::Bucket, Refused> {
    let bucket = caller.inner.bucket(name).await?;
    let bucket = bucket.ok_or_else(|| S3Error::new(Code::NoSuchBucket))?;
    let expected = caller.head.header("x-amz-expected-bucket-owner")?;
    let theirs = bucket.owner != caller.user.id || bucket.domain != caller.domain().0;
    if theirs || expected.is_some_and(|owner| owner != bucket.owner) {
        return Err(S3Error::new(Code::AccessDenied).into());
    }
    Ok(bucket)
}

type Rows = BTreeMap<Sha256, wire::Chunk>;

/// The rows of all chunks of the object.
async fn all_stored(caller: &Caller, query: &ObjectQuery) -> Result<Rows, Refused> {
    let named: BTreeSet<Sha256> = query.chunks.iter().map(|(hash, _)| *hash).collect();
    let path = &caller.inner.path;
    let rows = stored::look_up(path, caller.domain(), &named).await?;
    let view = path.views.get().await.map_err(error::of_query)?;
    let fit = |hash: &Sha256| rows.get(hash).is_some_and(|row| stored::is_fit(&view, row));
    let missing = in_order(query, |hash| !fit(hash));
    if missing.is_empty() {
        return Ok(rows);
    }
    Err(Refused::missing(missing))
}

/// The chunks that are wanted, in the object's order, each once.
fn in_order(query: &ObjectQuery, wanted: impl Fn(&Sha256) -> bool) -> Vec<Sha256> {
    let mut seen = BTreeSet::new();
    let hashes = query.chunks.iter().map(|(hash, _)| *hash);
    hashes
        .filter(|hash| wanted(hash) && seen.insert(*hash))
        .collect()
}

/// What is missing now that the commit has missed one.
async fn gone(caller: &Caller, query: &ObjectQuery, detail: &str) -> Refused {
    match all_stored(caller, query).await {
        Err(refused) => refused,
        // It has come back since; the client may simply try again.
        Ok(_) => Refused::missing(Sha256::from_hex(detail)),
    }
}

/// The manifest, and what its chunks say of the whole.
fn gather(query: &ObjectQuery, rows: &Rows) -> Result<Written, Refused> {
    if query.chunks.is_empty() {
        return Ok(Written {
            stored: Stored::Inline(Bytes::new()),
            length: 0,
            crc64nvme: 0,
        });
    }
    let mut extents = Vec::with_capacity(query.chunks.len());
    let (mut whole, mut crc64nvme) = (0, 0);
    for (hash, length) in &query.chunks {
        let row = rows.get(hash).ok_or_else(|| Refused::missing([*hash]))?;
        if row.length != *length {
            let refused = Refused::invalid("a chunk has another length");
            let refused = refused.with("sha256", hash.to_string());
            return Err(refused.with("length", row.length));
        }
        let more = u64::from(*length);
        crc64nvme = match whole {
            0 => row.crc64nvme,
            _ => checksum_combine(Crc64Nvme, crc64nvme, row.crc64nvme, more),
        };
        whole += more;
        extents.push(stored::claim(*hash, *length));
    }
    Ok(Written {
        stored: Stored::Chunks(extents),
        length: whole,
        crc64nvme,
    })
}

fn etag(query: &ObjectQuery) -> String {
    let mut digest = sha2::Sha256::new();
    for (hash, _) in &query.chunks {
        digest.update(hash.0);
    }
    format!("{}-{}", hex::encode(digest.finalize()), query.chunks.len())
}

fn checksum(crc64nvme: u64) -> Result<wire::Checksum, Refused> {
    let sum = Checksum::new(Algorithm::Crc64Nvme, &crc64nvme.to_be_bytes());
    let sum = sum.ok_or_else(|| S3Error::new(Code::InternalError))?;
    Ok(attributes::to_row(&ObjectChecksum::full(sum)))
}

/// Stages long manifests and commits the object; apply takes the references.
async fn publish(
    caller: &Caller,
    session: &Entered,
    bucket: u64,
    written: Written,
    put: impl FnOnce(wire::Content) -> wire::PutObject,
) -> Result<(), CommitError> {
    let view = caller.inner.path.views.get().await;
    let view = view.map_err(|error| CommitError::Unavailable(error.to_string()))?;
    let stamp = session.stamp(view.group);
    let content = manifest::content(session, stamp, bucket, written).await?;
    session.propose(Command::PutObject(put(content))).await?;
    Ok(())
}
