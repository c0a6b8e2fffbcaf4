//! `PUT /bucket/key?partNumber&uploadId` with `x-amz-copy-source`
//!
//! Inside a domain the part holds the source's chunks and no byte is written. What is read is read
//! once, for the part's MD5 and checksum; where the source's own are the part's, nothing is.

use std::ops::Range;

use cairn_model::limits;
use cairn_s3::api::Response;
use cairn_s3::api::copy_object::CopyOutput;
use cairn_s3::api::upload_part_copy::UploadPartCopy;
use cairn_s3::digest::{Algorithm, Checksum, ObjectChecksum};
use cairn_s3::{S3Error, Timestamp};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::entry::Command;

use super::copy_source::{self, Asked, Failed, Source};
use super::{attributes, put_object, upload_id};
use crate::data::manifest::{self, ReferError};
use crate::data::session::Entered;
use crate::data::writer;
use crate::pipeline::Call;
use crate::{error, tuning};

pub(super) async fn copy(call: &Call) -> Result<Response, S3Error> {
    let input = UploadPartCopy::from_head(&call.head)?;
    let asked = Asked {
        source: &input.source,
        conditions: &input.source_conditions,
        owner: input.source_owner.as_deref(),
    };
    let id = &input.part.upload_id;
    let upload = upload_id::find(call, id).await?;
    let upload = upload.ok_or_else(|| upload_id::no_such_upload(id))?;
    for _ in 0..tuning::COPY_TRIES {
        let session = call.enter().await?;
        let source = Source::find(call, asked).await?;
        match attempt(call, session, &input, &upload, &source).await {
            Ok(output) => return Ok(output.into_part_response()),
            Err(failed) => failed.again(call, &source).await?,
        }
    }
    Err(copy_source::never_stood_still())
}

async fn attempt(
    call: &Call,
    session: Entered,
    input: &UploadPartCopy,
    upload: &wire::Upload,
    source: &Source,
) -> Result<CopyOutput, Failed> {
    let total = source.object.length;
    let range = match input.span(total)? {
        Some(span) => span.first..span.last + 1,
        None => 0..total,
    };
    copy_source::check_length(range.end - range.start)?;
    let algorithm = upload_id::rule(upload).algorithm();
    let (session, part) = match refer(call, &session, source, range.clone()).await? {
        Some(content) => {
            let told = digests(call, &session, source, range, algorithm).await?;
            (session, Part::new(content, told.etag, &told.checksum))
        }
        None => write(call, session, source, range, algorithm).await?,
    };
    let command = wire::PutPart {
        bucket: call.bucket()?.id,
        key: upload.key.clone(),
        upload: upload.upload.clone(),
        number: input.part.part_number,
        content: Some(part.content),
        etag: part.etag.clone(),
        checksums: part.checksums,
    };
    let reply = session.propose(Command::PutPart(command)).await?;
    Ok(CopyOutput {
        etag: part.etag,
        last_modified: Timestamp::from_millis(reply.modified_ms),
        checksum: Some(ObjectChecksum::full(part.shown)),
        source_version_id: None,
        version_id: None,
    })
}

/// What is told of a run of bytes.
struct Told {
    etag: String,
    checksum: Checksum,
}

/// A part ready to be committed.
struct Part {
    content: wire::Content,
    etag: String,
    shown: Checksum,
    checksums: Vec<wire::Checksum>,
}

impl Part {
    fn new(content: wire::Content, etag: String, checksum: &Checksum) -> Self {
        Self {
            content,
            etag,
            shown: checksum.clone(),
            checksums: vec![attributes::to_row(&ObjectChecksum::full(checksum.clone()))],
        }
    }
}

/// Content that holds the source's own chunks. None where the bytes must be written again: from
/// another domain, and where they lie inline or are few enough to, so that a few bytes never keep
/// a whole chunk.
async fn refer(
    call: &Call,
    session: &Entered,
    source: &Source,
    range: Range<u64>,
) -> Result<Option<wire::Content>, Failed> {
    if !source.is_near(call)? || range.end - range.start <= limits::INLINE_LEN_MAX {
        return Ok(None);
    }
    let view = call.gateway.path.views.get().await;
    let view = view.map_err(error::of_query)?;
    let stamp = session.stamp(view.group);
    let layout = source.layout(call, range);
    let referred = manifest::refer(session, stamp, call.bucket()?.id, layout).await;
    referred.map_err(|error| match error {
        ReferError::Query(error) => Failed::Bytes(error::of_query(error)),
        ReferError::Commit(error) => error.into(),
    })
}

/// MD5 and checksum of a range. The whole of an object that was put in one piece has told them.
async fn digests(
    call: &Call,
    session: &Entered,
    source: &Source,
    range: Range<u64>,
    algorithm: Algorithm,
) -> Result<Told, Failed> {
    let row = source.attributes();
    let stored = attributes::of_whole(&row.checksums, algorithm);
    let whole = range == (0..source.object.length) && row.parts == 0;
    if let (true, true, Some(checksum)) = (whole, is_md5(&row.etag), stored) {
        return Ok(Told {
            etag: row.etag,
            checksum,
        });
    }
    let _permit = call.gateway.upload_permit()?;
    let body = source.body(call, session, range, algorithm);
    let verified = body.digest().await.map_err(Failed::Bytes)?;
    Ok(Told {
        etag: verified.etag(),
        checksum: verified.checksum().clone(),
    })
}

fn is_md5(etag: &str) -> bool {
    etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Reads a range and writes it again; gives the session to commit in.
async fn write(
    call: &Call,
    session: Entered,
    source: &Source,
    range: Range<u64>,
    algorithm: Algorithm,
) -> Result<(Entered, Part), Failed> {
    let _permit = call.gateway.upload_permit()?;
    let body = source.body(call, &session, range, algorithm);
    let stored = writer::write(&call.gateway.path, session, call.bucket()?, body).await;
    let stored = stored.map_err(|error| Failed::Bytes(error::of_write(error)))?;
    let (session, written, verified) = stored;
    let checksums = attributes::of_one_piece(verified.checksum(), written.crc64nvme);
    let part = Part {
        content: put_object::content(call, &session, written).await?,
        etag: verified.etag(),
        shown: verified.checksum().clone(),
        checksums,
    };
    Ok((session, part))
}
