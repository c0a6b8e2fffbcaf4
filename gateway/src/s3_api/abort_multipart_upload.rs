//! `DELETE /bucket/key?uploadId`

use cairn_s3::S3Error;
use cairn_s3::api::Response;
use cairn_s3::api::abort_multipart_upload::{AbortMultipartUpload, AbortMultipartUploadOutput};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::entry::Command;

use super::upload_id;
use crate::error;
use crate::pipeline::Call;

pub(super) async fn abort(call: &Call) -> Result<Response, S3Error> {
    let input = AbortMultipartUpload::from_head(&call.head)?;
    let command = Command::AbortUpload(wire::AbortUpload {
        bucket: call.bucket()?.id,
        key: call.key_bytes()?,
        upload: upload_id::named(&input.upload_id)?,
    });
    let session = call.enter().await?;
    session.propose(command).await.map_err(error::of_commit)?;
    Ok(AbortMultipartUploadOutput.into_response())
}
