//! `POST /bucket/key?uploadId`
//!
//! The gateway reads the parts and judges the client's list by them; the entry carries the revision
//! and a digest of what was seen, so apply can refuse if another part came in between, without the
//! entry growing with the parts' descriptions. Completing again what is complete is success.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use cairn_model::limits;
use cairn_s3::api::Response;
use cairn_s3::api::complete_multipart_upload::{
    CompleteMultipartUpload, CompleteMultipartUploadOutput, CompletedPart, parse_parts,
};
use cairn_s3::digest::{Checksum, MultipartChecksum, ObjectChecksum, multipart_etag};
use cairn_s3::{Code, S3Error};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::Refusal;
use cairn_wire::metadata::entry::Command;
use cairn_world::buggify;
use sha2::{Digest, Sha256};

use super::{attributes, upload_id};
use crate::metadata::CommitError;
use crate::pipeline::Call;
use crate::{error, tuning};

pub(super) async fn complete(call: &Call, document: &[u8]) -> Result<Response, S3Error> {
    let input = CompleteMultipartUpload::from_head(&call.head)?;
    let listed = parse_parts(document)?;
    let session = call.enter().await?;
    for _ in 0..tuning::COMPLETE_TRIES {
        let Some(upload) = upload_id::find(call, &input.upload_id).await? else {
            return already(call, &input, &listed).await;
        };
        let parts = read_parts(call, &upload.upload).await?;
        let chosen = choose(&input.upload_id, &listed, &parts)?;
        let whole = Whole::new(&input, upload_id::rule(&upload), &chosen)?;
        let command = command(call, &input, upload, &chosen, &whole)?;
        if buggify("complete-pauses") {
            // What was read may be old by now: the commit says what it goes by.
            call.gateway.clock.sleep(Duration::from_millis(300)).await;
        }
        match session.propose(Command::CompleteUpload(command)).await {
            Ok(_) => return respond(call, whole.etag, Some(whole.checksum)),
            Err(CommitError::Refused {
                refusal: Refusal::PartSetChanged,
                ..
            }) => {}
            Err(CommitError::Refused {
                refusal: Refusal::NoSuchUpload,
                ..
            }) => {
                return already(call, &input, &listed).await;
            }
            Err(error) => {
                let refused = error::of_commit(error);
                return Err(attributes::refused_write(call, &input.conditions, refused));
            }
        }
    }
    Err(S3Error::new(Code::OperationAborted))
}

fn respond(
    call: &Call,
    etag: String,
    checksum: Option<ObjectChecksum>,
) -> Result<Response, S3Error> {
    let (bucket, key) = (call.bucket_name()?.as_str(), call.key()?.as_str());
    let output = CompleteMultipartUploadOutput {
        location: format!("{}://{}{}", call.scheme, call.head.host(), call.head.path()),
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        etag,
        checksum,
        version_id: None,
    };
    Ok(output.into_response())
}

/// The upload is gone. If the object is what completing it has made, the client asks again because it
/// did not hear of it. The same bytes are not enough: an upload that was aborted is not completed by
/// another one of the same parts. What an upload made is named by it, for as long as it is there.
async fn already(
    call: &Call,
    input: &CompleteMultipartUpload,
    listed: &[CompletedPart],
) -> Result<Response, S3Error> {
    let gone = || upload_id::no_such_upload(&input.upload_id);
    let md5s: Vec<[u8; 16]> = listed
        .iter()
        .map(|part| md5(&part.etag))
        .collect::<Option<_>>()
        .ok_or_else(gone)?;
    let query = wire::GetObject {
        bucket: call.bucket()?.id,
        key: call.key_bytes()?,
    };
    let metadata = &call.gateway.path.metadata;
    let object = metadata
        .object(query)
        .await
        .map_err(error::of_query)?
        .object;
    let object = object.ok_or_else(gone)?;
    let is_its_own = match &object.place {
        Some(wire::object::Place::PartPages(list)) => {
            list.manifest == upload_id::named(&input.upload_id)?
        }
        _ => false,
    };
    let row = object.attributes.ok_or_else(gone)?;
    if !is_its_own || row.etag != multipart_etag(&md5s) {
        return Err(gone());
    }
    respond(call, row.etag.clone(), attributes::shown(&row))
}

/// All parts of an upload, page by page.
async fn read_parts(call: &Call, upload: &Bytes) -> Result<BTreeMap<u32, wire::Part>, S3Error> {
    let mut parts = BTreeMap::new();
    loop {
        let query = wire::ListParts {
            upload: upload.clone(),
            after: parts.last_key_value().map_or(0, |(number, _)| *number),
            limit: limits::LIST_KEYS_MAX,
        };
        let answer = call
            .gateway
            .path
            .metadata
            .parts(query)
            .await
            .map_err(error::of_query)?;
        let empty = answer.parts.is_empty();
        parts.extend(answer.parts.into_iter().map(|part| (part.number, part)));
        if !answer.truncated || empty {
            return Ok(parts);
        }
    }
}

/// The parts the client lists, as they are stored.
fn choose(
    upload_id: &str,
    listed: &[CompletedPart],
    stored: &BTreeMap<u32, wire::Part>,
) -> Result<Vec<wire::Part>, S3Error> {
    let mut chosen = Vec::with_capacity(listed.len());
    for part in listed {
        let invalid = || {
            S3Error::new(Code::InvalidPart)
                .with("UploadId", upload_id)
                .with("PartNumber", part.number.to_string())
                .with("ETag", part.etag.clone())
        };
        let row = stored.get(&part.number).filter(|row| row.etag == part.etag);
        let row = row.ok_or_else(invalid)?;
        if let Some(checksum) = &part.checksum
            && attributes::of_algorithm(&row.checksums, checksum.algorithm()).as_ref()
                != Some(checksum)
        {
            return Err(invalid());
        }
        chosen.push(row.clone());
    }
    let all_but_last = chosen.iter().take(chosen.len().saturating_sub(1));
    if let Some(small) = all_but_last
        .into_iter()
        .find(|row| row.length < limits::PART_LEN_MIN)
    {
        return Err(S3Error::new(Code::EntityTooSmall)
            .with("PartNumber", small.number.to_string())
            .with("ETag", small.etag.clone())
            .with("ProposedSize", small.length.to_string())
            .with("MinSizeAllowed", limits::PART_LEN_MIN.to_string()));
    }
    Ok(chosen)
}

fn md5(etag: &str) -> Option<[u8; 16]> {
    hex::decode(etag).ok()?.try_into().ok()
}

/// What the parts make together.
struct Whole {
    etag: String,
    checksum: ObjectChecksum,
}

impl Whole {
    /// # Errors
    /// `InvalidPart`; `InvalidRequest` and `BadDigest` where the client expects another object.
    fn new(
        input: &CompleteMultipartUpload,
        rule: MultipartChecksum,
        chosen: &[wire::Part],
    ) -> Result<Self, S3Error> {
        let unreadable = || S3Error::new(Code::InvalidPart);
        let sums: Vec<(Checksum, u64)> = (chosen.iter())
            .map(|row| {
                Some((
                    attributes::of_algorithm(&row.checksums, rule.algorithm())?,
                    row.length,
                ))
            })
            .collect::<Option<_>>()
            .ok_or_else(unreadable)?;
        let md5s: Vec<[u8; 16]> = chosen
            .iter()
            .map(|row| md5(&row.etag))
            .collect::<Option<_>>()
            .ok_or_else(unreadable)?;
        let length: u64 = chosen.iter().map(|row| row.length).sum();
        if length > limits::OBJECT_LEN_MAX {
            return Err(S3Error::new(Code::EntityTooLarge));
        }
        let whole = Self {
            etag: multipart_etag(&md5s),
            checksum: rule.combine(&sums)?,
        };
        whole.check(input, rule, length)?;
        Ok(whole)
    }

    fn check(
        &self,
        input: &CompleteMultipartUpload,
        rule: MultipartChecksum,
        length: u64,
    ) -> Result<(), S3Error> {
        let refuse = |message| Err(S3Error::because(Code::InvalidRequest, message));
        if input.checksum_type.is_some_and(|kind| kind != rule.kind()) {
            return refuse("The checksum type is not the one the upload was created with.");
        }
        if input.object_size.is_some_and(|size| size != length) {
            return refuse("The x-amz-mp-object-size header does not match the parts' sizes.");
        }
        match &input.checksum {
            Some((algorithm, _)) if *algorithm != rule.algorithm() => {
                refuse("The checksum algorithm is not the one the upload was created with.")
            }
            Some((_, text)) if *text != self.checksum.to_text() => {
                Err(S3Error::new(Code::BadDigest))
            }
            _ => Ok(()),
        }
    }
}

fn command(
    call: &Call,
    input: &CompleteMultipartUpload,
    upload: wire::Upload,
    chosen: &[wire::Part],
    whole: &Whole,
) -> Result<wire::CompleteUpload, S3Error> {
    let parts = u32::try_from(chosen.len()).map_err(|_| S3Error::new(Code::TooManyParts))?;
    Ok(wire::CompleteUpload {
        bucket: call.bucket()?.id,
        key: upload.key,
        upload: upload.upload,
        revision: upload.revision,
        parts_digest: digest(chosen)?,
        numbers: chosen.iter().map(|part| part.number).collect(),
        attributes: Some(wire::Attributes {
            etag: whole.etag.clone(),
            checksums: vec![attributes::to_row(&whole.checksum)],
            parts,
            ..upload.attributes.unwrap_or_default()
        }),
        conditions: attributes::conditions(&input.conditions),
    })
}

/// Number, length and ETag of each part, in order.
fn digest(chosen: &[wire::Part]) -> Result<Bytes, S3Error> {
    let mut digest = Sha256::new();
    for part in chosen {
        let etag = u8::try_from(part.etag.len()).map_err(|_| S3Error::new(Code::InvalidPart))?;
        digest.update(part.number.to_be_bytes());
        digest.update(part.length.to_be_bytes());
        digest.update([etag]);
        digest.update(part.etag.as_bytes());
    }
    Ok(Bytes::copy_from_slice(&digest.finalize()))
}
