//! `PUT /bucket/key` with `x-amz-copy-source`
//!
//! Inside a domain the copy is one entry: both rows hold the same content, and the source's ETag and
//! checksums go with it. From another domain the bytes are read and put again.

use cairn_s3::api::Response;
use cairn_s3::api::copy_object::{CopyObject, CopyOutput};
use cairn_s3::digest::{Algorithm, Checksum};
use cairn_s3::{S3Error, Timestamp};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::entry::Command;

use super::copy_source::{self, Asked, Failed, Source};
use super::{attributes, put_object};
use crate::data::session::Entered;
use crate::data::writer;
use crate::pipeline::Call;
use crate::{error, tuning};

pub(super) async fn copy(call: &Call) -> Result<Response, S3Error> {
    let input = CopyObject::from_head(&call.head)?;
    input.check_changes(call.bucket_name()?, call.key()?)?;
    let asked = Asked {
        source: &input.source,
        conditions: &input.source_conditions,
        owner: input.source_owner.as_deref(),
    };
    for _ in 0..tuning::COPY_TRIES {
        let session = call.enter().await?;
        let source = Source::find(call, asked).await?;
        copy_source::check_length(source.object.length)?;
        let made = if source.is_near(call)? {
            by_reference(call, session, &input, &source).await
        } else {
            by_value(call, session, &input, &source).await
        };
        match made {
            Ok(output) => return Ok(output.into_object_response()),
            Err(failed) => failed.again(call, &source).await?,
        }
    }
    Err(copy_source::never_stood_still())
}

/// The attributes of the copy but what tells of its bytes: the request's, or else the source's.
fn described(input: &CopyObject, source: &wire::Attributes) -> wire::Attributes {
    match input.headers.clone() {
        Some(headers) => wire::Attributes {
            storage_class: source.storage_class.clone(),
            ..attributes::from_headers(headers)
        },
        None => wire::Attributes {
            headers: source.headers.clone(),
            user_metadata: source.user_metadata.clone(),
            storage_class: source.storage_class.clone(),
            ..Default::default()
        },
    }
}

fn output(copy: &wire::Attributes, reply: &wire::Reply) -> CopyOutput {
    CopyOutput {
        etag: copy.etag.clone(),
        last_modified: Timestamp::from_millis(reply.modified_ms),
        checksum: attributes::shown(copy),
        source_version_id: None,
        version_id: None,
    }
}

async fn by_reference(
    call: &Call,
    session: Entered,
    input: &CopyObject,
    source: &Source,
) -> Result<CopyOutput, Failed> {
    let row = source.attributes();
    let (session, checksums) = match input.checksum {
        None => (session, row.checksums.clone()),
        Some(algorithm) => {
            let sum = checksum(call, session, source, algorithm).await?;
            // The commit names the version that was read, so any open session will do.
            let session = call.enter().await?;
            (session, attributes::with_shown(&row.checksums, &sum))
        }
    };
    let copy = wire::Attributes {
        etag: row.etag.clone(),
        parts: row.parts,
        checksums,
        ..described(input, &row)
    };
    let command = wire::CopyObject {
        source_bucket: source.bucket.id,
        source_key: source.object.key.clone(),
        source_version: source.object.version.clone(),
        bucket: call.bucket()?.id,
        key: call.key_bytes()?,
        attributes: Some(copy.clone()),
        conditions: attributes::conditions(&input.conditions),
    };
    let reply = session.propose(Command::CopyObject(command)).await?;
    Ok(output(&copy, &reply))
}

/// A checksum over all of the source: the stored one, or else its bytes are read.
async fn checksum(
    call: &Call,
    session: Entered,
    source: &Source,
    algorithm: Algorithm,
) -> Result<Checksum, Failed> {
    if let Some(stored) = attributes::of_whole(&source.attributes().checksums, algorithm) {
        return Ok(stored);
    }
    let _permit = call.gateway.upload_permit()?;
    let body = source.body(call, &session, 0..source.object.length, algorithm);
    // The reader's own place is left when it has read for long.
    drop(session);
    let verified = body.digest().await.map_err(Failed::Bytes)?;
    Ok(verified.checksum().clone())
}

async fn by_value(
    call: &Call,
    session: Entered,
    input: &CopyObject,
    source: &Source,
) -> Result<CopyOutput, Failed> {
    let row = source.attributes();
    let shown = attributes::shown(&row).map(|shown| shown.checksum.algorithm());
    let algorithm = input.checksum.or(shown).unwrap_or(Algorithm::Crc64Nvme);
    let _permit = call.gateway.upload_permit()?;
    let body = source.body(call, &session, 0..source.object.length, algorithm);
    let stored = writer::write(&call.gateway.path, session, call.bucket()?, body).await;
    let stored = stored.map_err(|error| Failed::Bytes(error::of_write(error)))?;
    let (session, written, verified) = stored;
    let copy = wire::Attributes {
        etag: verified.etag(),
        checksums: attributes::of_one_piece(verified.checksum(), written.crc64nvme),
        ..described(input, &row)
    };
    let command = wire::PutObject {
        bucket: call.bucket()?.id,
        key: call.key_bytes()?,
        attributes: Some(copy.clone()),
        content: Some(put_object::content(call, &session, written).await?),
        conditions: attributes::conditions(&input.conditions),
    };
    let reply = session.propose(Command::PutObject(command)).await?;
    Ok(output(&copy, &reply))
}
