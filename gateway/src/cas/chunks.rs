//! `/cas/chunks/{sha256}`

use std::collections::BTreeSet;
use std::ops::Range;

use axum::body::Body;
use cairn_model::{Sha256, limits};
use cairn_s3::conditions::EtagMatch;
use cairn_s3::range::{ByteRange, Span};
use cairn_s3::{Code, Head, S3Error};
use cairn_wire::metadata as wire;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use http::{Response, StatusCode};
use serde_json::json;

use super::caller::Caller;
use super::chunk_body::ChunkBody;
use super::refusal::Refused;
use super::{EMPTY, stored};
use crate::body::Incoming;
use crate::data::chunk_reader::ChunkRow;
use crate::data::read_body::ReadBody;
use crate::data::reader::Reader;
use crate::data::session::Entered;
use crate::data::writer;
use crate::error;

const CHUNK_HASH: HeaderName = HeaderName::from_static("x-chunk-hash");
const CHUNK_SIZE: HeaderName = HeaderName::from_static("x-chunk-size");
const CHUNK_INDEX: HeaderName = HeaderName::from_static("x-chunk-index");

/// What the head of a PUT says of its chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    /// Bytes of the body.
    pub(super) length: u64,
    /// A number that means something to the client alone.
    pub(super) index: Option<u64>,
}

impl Announced {
    /// Reads a head. A body of unknown length (chunked transfer) must have an `X-Chunk-Size`: room
    /// on the disks is reserved before the first byte.
    ///
    /// # Errors
    /// 400, 411, 413.
    pub(super) fn read(head: &Head) -> Result<Self, Refused> {
        let size = number(head, &CHUNK_SIZE)?;
        let length = match (head.content_length()?, size) {
            (Some(length), Some(size)) if length != size => {
                let message = "X-Chunk-Size is not the length of the body";
                return Err(Refused::invalid(message));
            }
            (Some(length), _) | (None, Some(length)) => length,
            (None, None) => return Err(S3Error::new(Code::MissingContentLength).into()),
        };
        if length > limits::CHUNK_LEN_MAX {
            let refused = Refused::from(S3Error::new(Code::EntityTooLarge));
            return Err(refused.with("longest", limits::CHUNK_LEN_MAX));
        }
        let index = number(head, &CHUNK_INDEX)?;
        Ok(Self { length, index })
    }
}

fn number(head: &Head, name: &HeaderName) -> Result<Option<u64>, Refused> {
    let Some(text) = head.header(name.as_str())? else {
        return Ok(None);
    };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number
        .map(Some)
        .ok_or_else(|| Refused::invalid(format!("{name} is not a number")))
}

/// Stores a chunk, or finds it stored, and leases it. Either way all of the body is verified first.
pub(super) async fn put(
    caller: &Caller,
    hash: Sha256,
    body: Body,
) -> Result<Response<Body>, Refused> {
    let announced = Announced::read(&caller.head)?;
    caller.check_signed(&hash.0)?;
    let inner = &caller.inner;
    let _permit = inner.upload_permit()?;
    let session = inner.sessions.enter().await.map_err(error::of_commit)?;
    let incoming = Incoming::new(body, inner.clock.clone());
    let source = ChunkBody::new(incoming, announced.length, hash);
    let is_new = if announced.length == 0 {
        source.verify().await?;
        false
    } else if is_fit(caller, hash, announced.length).await? {
        source.verify().await?;
        keep(caller, &session, hash, announced.length).await?;
        false
    } else {
        store(caller, &session, source).await?
    };
    inner.metrics.bytes_in.add(announced.length);
    let answer = json!({ "sha256": hash.to_string(), "size": announced.length });
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = crate::json::answer(status, &answer);
    describe(response.headers_mut(), hash, announced.length);
    if let Some(index) = announced.index {
        response.headers_mut().insert(CHUNK_INDEX, index.into());
    }
    Ok(response)
}

/// Whether the chunk is stored so well that its bytes need not be written again.
async fn is_fit(caller: &Caller, hash: Sha256, length: u64) -> Result<bool, Refused> {
    let path = &caller.inner.path;
    let rows = stored::look_up(path, caller.domain(), &BTreeSet::from([hash])).await?;
    let view = path.views.get().await.map_err(error::of_query)?;
    let fit = |row: &wire::Chunk| u64::from(row.length) == length && stored::is_fit(&view, row);
    Ok(rows.get(&hash).is_some_and(fit))
}

/// Leases a chunk that was found stored.
async fn keep(
    caller: &Caller,
    session: &Entered,
    hash: Sha256,
    length: u64,
) -> Result<(), Refused> {
    let length = u32::try_from(length).map_err(|_| S3Error::new(Code::InternalError))?;
    let claims = vec![stored::claim(hash, length)];
    let reply = stored::lease(session, caller.domain(), claims).await?;
    if reply.not_leased.is_empty() {
        return Ok(());
    }
    // It was let go, or found damaged, while the body came: its bytes are needed after all.
    Err(S3Error::new(Code::ServiceUnavailable).into())
}

/// Writes a chunk and leases it; true where it was not stored before.
async fn store(caller: &Caller, session: &Entered, source: ChunkBody) -> Result<bool, Refused> {
    let (path, domain) = (&caller.inner.path, caller.domain());
    let written = writer::write_chunk(path, session, domain, source).await;
    let (extent, ()) = written.map_err(error::of_write)?;
    let reply = stored::lease(session, domain, vec![extent]).await?;
    Ok(reply.number > 0)
}

/// `GET`
pub(super) async fn get(caller: &Caller, hash: Sha256) -> Result<Response<Body>, Refused> {
    answer(caller, hash, true).await
}

/// `HEAD`
pub(super) async fn head(caller: &Caller, hash: Sha256) -> Result<Response<Body>, Refused> {
    answer(caller, hash, false).await
}

async fn answer(caller: &Caller, hash: Sha256, bytes: bool) -> Result<Response<Body>, Refused> {
    caller.no_body()?;
    let inner = &caller.inner;
    // In this order: what the row names then stays until the session ends.
    let session = inner.sessions.enter().await.map_err(error::of_commit)?;
    let row = find(caller, hash).await?;
    let length = row.as_ref().map_or(0, |row| row.length);
    let tag = hash.to_string();
    let condition = |name: HeaderName| -> Result<Option<bool>, Refused> {
        let tags = caller
            .head
            .header(name.as_str())?
            .and_then(EtagMatch::parse);
        Ok(tags.map(|tags| tags.matches(&tag)))
    };
    if condition(IF_MATCH)? == Some(false) {
        return Err(S3Error::new(Code::PreconditionFailed).into());
    }
    if condition(IF_NONE_MATCH)? == Some(true) {
        return Ok(not_modified(hash, length));
    }
    // The bytes of a hash never change: another tag is of something else, which has no such range.
    let ranged = condition(IF_RANGE)?.unwrap_or(true);
    let span = if ranged { span(caller, length)? } else { None };
    let range = span.map_or(0..length, |span| span.first..span.last + 1);
    let body = match row.filter(|_| bytes) {
        Some(row) => Body::new(open(caller, session, row, range.clone()).await?),
        None => Body::empty(),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    describe(headers, hash, length);
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, (range.end - range.start).into());
    if let Some(span) = span {
        if let Ok(value) = HeaderValue::try_from(span.content_range()) {
            headers.insert(CONTENT_RANGE, value);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// The chunk's row; none for the empty chunk.
async fn find(caller: &Caller, hash: Sha256) -> Result<Option<ChunkRow>, Refused> {
    if hash == EMPTY {
        return Ok(None);
    }
    let path = &caller.inner.path;
    let mut rows = stored::look_up(path, caller.domain(), &BTreeSet::from([hash])).await?;
    // One that nothing needs any more is gone, wherever its bytes still lie.
    let row = rows.remove(&hash).filter(|row| row.live);
    let row = row.ok_or_else(Refused::no_such_chunk)?;
    let read = ChunkRow::read(&row).ok_or_else(|| S3Error::new(Code::InternalError))?;
    Ok(Some(read))
}

fn span(caller: &Caller, length: u64) -> Result<Option<Span>, Refused> {
    let Some(range) = caller
        .head
        .header(RANGE.as_str())?
        .and_then(ByteRange::parse)
    else {
        return Ok(None);
    };
    let span = range.resolve(length).map_err(|refused| {
        let whole = HeaderValue::try_from(format!("bytes */{length}"));
        let refused = Refused::from(refused).with("size", length);
        match whole {
            Ok(whole) => refused.header(CONTENT_RANGE, whole),
            Err(_) => refused,
        }
    });
    span.map(Some)
}

async fn open(
    caller: &Caller,
    session: Entered,
    row: ChunkRow,
    range: Range<u64>,
) -> Result<ReadBody, Refused> {
    let inner = &caller.inner;
    let length = range.end - range.start;
    let reader = Reader::of_chunk(&inner.path, session, row, range);
    let body = ReadBody::open(&inner.path, reader, length).await;
    let body = body.map_err(error::of_read)?;
    inner.metrics.bytes_out.add(length);
    Ok(body)
}

fn not_modified(hash: Sha256, length: u64) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    describe(response.headers_mut(), hash, length);
    response
}

/// The headers that every answer about a chunk has.
fn describe(headers: &mut HeaderMap, hash: Sha256, length: u64) {
    headers.insert(CHUNK_SIZE, length.into());
    for (name, text) in [
        (CHUNK_HASH, hash.to_string()),
        (ETAG, format!("\"{hash}\"")),
    ] {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
}
