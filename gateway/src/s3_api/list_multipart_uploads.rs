//! `GET /bucket?uploads`

use bytes::Bytes;
use cairn_s3::api::list_multipart_uploads::{
    ListMultipartUploads, ListMultipartUploadsOutput, UploadEntry,
};
use cairn_s3::api::{Owner, Response};
use cairn_s3::{S3Error, Timestamp};
use cairn_wire::metadata as wire;

use super::{listing, upload_id};
use crate::error;
use crate::pipeline::Call;

pub(super) async fn list(call: &Call) -> Result<Response, S3Error> {
    let input = ListMultipartUploads::from_head(&call.head)?;
    let owner = listing::owner(call).await?;
    let answer = match input.request.max_keys {
        0 => wire::UploadsAnswer::default(),
        _ => {
            let query = query(call, &input)?;
            call.gateway
                .path
                .metadata
                .uploads(query)
                .await
                .map_err(error::of_query)?
        }
    };
    let common_prefixes: Vec<String> = answer
        .common_prefixes
        .into_iter()
        .map(listing::text)
        .collect::<Result<_, _>>()?;
    let uploads: Vec<UploadEntry> = answer
        .uploads
        .into_iter()
        .map(|row| entry(row, &owner))
        .collect::<Result<_, _>>()?;
    let next = last(&uploads, &common_prefixes).filter(|_| answer.truncated);
    let output = ListMultipartUploadsOutput {
        bucket: call.bucket_name()?.as_str().to_owned(),
        input,
        uploads,
        common_prefixes,
        next,
    };
    Ok(output.into_response())
}

fn query(call: &Call, input: &ListMultipartUploads) -> Result<wire::ListUploads, S3Error> {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let delimiter = input.request.delimiter.as_deref().unwrap_or("");
    let mut after_key = input.key_marker.clone();
    let group = !delimiter.is_empty()
        && after_key.ends_with(delimiter)
        && after_key.starts_with(&input.request.prefix);
    if group && input.upload_id_marker.is_none() {
        // The page before ended with a common prefix: go on behind every key of that group.
        after_key.push(char::MAX);
    }
    let marker = input
        .upload_id_marker
        .as_deref()
        .map(upload_id::named)
        .transpose()?;
    Ok(wire::ListUploads {
        bucket: call.bucket()?.id,
        prefix: bytes(&input.request.prefix),
        delimiter: bytes(delimiter),
        after_key: bytes(&after_key),
        after_upload: marker.unwrap_or_default(),
        limit: input.request.max_keys,
    })
}

fn entry(row: wire::Upload, owner: &Owner) -> Result<UploadEntry, S3Error> {
    Ok(UploadEntry {
        checksum: upload_id::rule(&row),
        key: listing::text(row.key)?,
        upload_id: upload_id::to_text(&row.upload),
        owner: owner.clone(),
        storage_class: "STANDARD".to_owned(),
        initiated: Timestamp::from_millis(row.initiated_ms),
    })
}

/// The marker of the last thing listed.
fn last(uploads: &[UploadEntry], common_prefixes: &[String]) -> Option<(String, String)> {
    let upload = uploads
        .last()
        .map(|entry| (entry.key.clone(), entry.upload_id.clone()));
    let group = common_prefixes
        .last()
        .map(|prefix| (prefix.clone(), String::new()));
    upload.max(group)
}
