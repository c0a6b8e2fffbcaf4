//! `GET /bucket/key?uploadId`

use cairn_s3::api::Response;
use cairn_s3::api::list_parts::{ListParts, ListPartsOutput, PartEntry};
use cairn_s3::{S3Error, Timestamp};
use cairn_wire::metadata as wire;

use super::{attributes, listing, upload_id};
use crate::error;
use crate::pipeline::Call;

pub(super) async fn list(call: &Call) -> Result<Response, S3Error> {
    let input = ListParts::from_head(&call.head)?;
    let upload = upload_id::find(call, &input.upload_id).await?;
    let upload = upload.ok_or_else(|| upload_id::no_such_upload(&input.upload_id))?;
    let rule = upload_id::rule(&upload);
    let query = wire::ListParts {
        upload: upload.upload,
        after: input.part_number_marker,
        limit: input.max_parts,
    };
    let answer = match input.max_parts {
        0 => wire::PartsAnswer::default(),
        _ => call
            .gateway
            .path
            .metadata
            .parts(query)
            .await
            .map_err(error::of_query)?,
    };
    let entry = |part: wire::Part| PartEntry {
        number: part.number,
        last_modified: Timestamp::from_millis(part.modified_ms),
        checksum: attributes::of_algorithm(&part.checksums, rule.algorithm()),
        etag: part.etag,
        size: part.length,
    };
    let output = ListPartsOutput {
        bucket: call.bucket_name()?.as_str().to_owned(),
        key: call.key()?.as_str().to_owned(),
        input,
        parts: answer.parts.into_iter().map(entry).collect(),
        is_truncated: answer.truncated,
        owner: listing::owner(call).await?,
        storage_class: "STANDARD".to_owned(),
        checksum: rule,
    };
    Ok(output.into_response())
}
