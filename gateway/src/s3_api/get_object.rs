//! `GET /bucket/key`; its head is [`head_object`](super::head_object)'s too.

use std::ops::Range;
use std::time::Duration;

use axum::body::Body;
use cairn_model::limits;
use cairn_s3::api::get_object::{GetObject, ObjectOutput};
use cairn_s3::conditions::{self, ReadOutcome};
use cairn_s3::range::Span;
use cairn_s3::{Code, S3Error, Timestamp};
use cairn_wire::metadata as wire;
use cairn_world::buggify;
use http::Response;

use super::attributes;
use crate::data::chunk_reader::ChunkRow;
use crate::data::layout;
use crate::data::read_body::ReadBody;
use crate::data::reader::Reader;
use crate::data::session::Entered;
use crate::error;
use crate::pipeline::Call;

/// The one version id of a bucket without versions.
pub(super) const NULL_VERSION: &str = "null";

/// What a GET or HEAD found.
pub(super) enum Found {
    /// The row, and everything the response says about it.
    Object(Box<(wire::Object, ObjectOutput)>),
    /// 304.
    NotModified(Response<()>),
}

pub(super) async fn get(call: &Call) -> Result<Response<Body>, S3Error> {
    let input = GetObject::from_head(&call.head)?;
    check_version(input.version_id.as_deref())?;
    let (session, object, chunks) = see(call).await?;
    let found = judge(call, input, object).await?;
    pause(call).await;
    let session = match session {
        Some(session) => session,
        None => call.enter().await?,
    };
    let (object, output) = match found {
        Found::Object(found) => *found,
        Found::NotModified(head) => return Ok(head.map(|()| Body::empty())),
    };
    let range = bytes(&output);
    let length = range.end - range.start;
    let path = &call.gateway.path;
    let rows = chunks.iter().filter_map(ChunkRow::read).collect();
    let reader = Reader::new(path, session, call.domain()?, &object, range).knowing(rows);
    let body = ReadBody::open(path, reader, length)
        .await
        .map_err(error::of_read)?;
    call.gateway.metrics.bytes_out.add(length);
    Ok(output.into_head().map(|()| Body::new(body)))
}

/// A gateway may be slow: here, for longer than a session is entered.
async fn pause(call: &Call) {
    if buggify("read-pauses") {
        let pause = Duration::from_secs(limits::SESSION_SECS + 15);
        call.gateway.path.clock.sleep(pause).await;
    }
}

fn bytes(output: &ObjectOutput) -> Range<u64> {
    match output.span {
        Some(span) => span.first..span.last + 1,
        None => 0..output.size,
    }
}

/// The object that was found with its bucket, the session entered before, and rows of its chunks.
async fn see(call: &Call) -> Result<(Option<Entered>, wire::Object, Vec<wire::Chunk>), S3Error> {
    match call.take_found() {
        Some(found) => {
            let object = found.object.ok_or_else(|| no_such_key(call))?;
            Ok((found.session, object, found.chunks))
        }
        // Only where a planted bug has the row read before the session.
        None => Ok((None, row(call, None).await?, Vec::new())),
    }
}

/// The row that was found with the bucket, and what the response says by it.
pub(super) async fn find(call: &Call, input: GetObject) -> Result<Found, S3Error> {
    check_version(input.version_id.as_deref())?;
    let (_, object, _) = see(call).await?;
    judge(call, input, object).await
}

/// Judges the request's conditions and range by the object's row.
async fn judge(call: &Call, input: GetObject, object: wire::Object) -> Result<Found, S3Error> {
    let row = object.attributes.clone().unwrap_or_default();
    let modified = Timestamp::from_millis(object.modified_ms);
    let outcome = input.conditions.evaluate(&row.etag, modified);
    if let ReadOutcome::Failed(condition) = outcome {
        return Err(conditions::failed(condition));
    }
    let mut output = ObjectOutput {
        headers: attributes::to_headers(&row),
        overrides: input.overrides,
        last_modified: modified,
        size: object.length,
        span: None,
        checksum: None,
        parts_count: None,
        version_id: None,
        etag: row.etag.clone(),
    };
    if outcome == ReadOutcome::NotModified {
        return Ok(Found::NotModified(output.into_not_modified()));
    }
    if let Some(range) = input.range {
        output.span = Some(range.resolve(object.length)?);
    }
    if let Some(number) = input.part_number {
        output.parts_count = (row.parts > 0).then_some(row.parts);
        part(call, &object, number, &mut output).await?;
    } else if output.span.is_none() {
        output.checksum = attributes::shown(&row);
    }
    if !input.checksum_mode {
        output.checksum = None;
    }
    Ok(Found::Object(Box::new((object, output))))
}

/// The row of the call's object.
///
/// # Errors
/// `NoSuchVersion`, `NoSuchKey`.
pub(super) async fn row(call: &Call, version: Option<&str>) -> Result<wire::Object, S3Error> {
    let query = wire::GetObject {
        bucket: call.bucket()?.id,
        key: call.key_bytes()?,
    };
    check_version(version)?;
    let metadata = &call.gateway.path.metadata;
    let answer = metadata.object(query).await.map_err(error::of_query)?;
    answer.object.ok_or_else(|| no_such_key(call))
}

fn no_such_key(call: &Call) -> S3Error {
    let key = call.key().map(|key| key.as_str().to_owned());
    S3Error::new(Code::NoSuchKey).with("Key", key.unwrap_or_default())
}

/// A bucket without versions has one version of each key.
///
/// # Errors
/// `NoSuchVersion`.
pub(super) fn check_version(asked: Option<&str>) -> Result<(), S3Error> {
    match asked {
        None | Some(NULL_VERSION) => Ok(()),
        Some(other) => Err(S3Error::new(Code::NoSuchVersion).with("VersionId", other)),
    }
}

/// Makes the output that of one part: its bytes and its checksum. An object of one PUT is its own
/// part 1.
async fn part(
    call: &Call,
    object: &wire::Object,
    number: u32,
    output: &mut ObjectOutput,
) -> Result<(), S3Error> {
    let total = object.length;
    let whole = object.attributes.as_ref().and_then(attributes::shown);
    let found = match &object.place {
        Some(wire::object::Place::PartPages(list)) => {
            let metadata = &call.gateway.path.metadata;
            let found = layout::find_part(metadata, list, number).await;
            let found = found.map_err(error::of_query)?;
            found.map(|(range, part)| (range, attributes::of_part(whole.as_ref(), &part)))
        }
        _ => (number == 1).then_some((0..total, whole)),
    };
    let (range, checksum) = found.ok_or_else(|| S3Error::new(Code::InvalidPart))?;
    output.checksum = checksum;
    if range.is_empty() {
        // No Content-Range can say it: an answer without bytes.
        output.size = 0;
    } else {
        output.span = Some(Span {
            first: range.start,
            last: range.end - 1,
            total,
        });
    }
    Ok(())
}
