//! `POST /bucket/key?uploads`

use bytes::Bytes;
use cairn_s3::S3Error;
use cairn_s3::api::Response;
use cairn_s3::api::create_multipart_upload::{CreateMultipartUpload, CreateMultipartUploadOutput};
use cairn_s3::digest::ChecksumType;
use cairn_wire::metadata as wire;
use cairn_wire::metadata::entry::Command;

use super::{attributes, upload_id};
use crate::error;
use crate::pipeline::Call;

pub(super) async fn create(call: &Call) -> Result<Response, S3Error> {
    let input = CreateMultipartUpload::from_head(&call.head)?;
    let session = call.enter().await?;
    let view = call
        .gateway
        .path
        .views
        .get()
        .await
        .map_err(error::of_query)?;
    let upload = session.stamp(view.group).to_bytes();
    let rule = input.checksum;
    let chosen = rule
        .is_explicit()
        .then(|| rule.algorithm().name().to_lowercase());
    let command = Command::CreateUpload(wire::CreateUpload {
        bucket: call.bucket()?.id,
        key: call.key_bytes()?,
        upload: Bytes::copy_from_slice(&upload),
        attributes: Some(attributes::from_headers(input.headers)),
        owner: call.user.id.clone(),
        checksum_algorithm: chosen.unwrap_or_default(),
        checksum_composite: rule.kind() == ChecksumType::Composite,
    });
    session.propose(command).await.map_err(error::of_commit)?;
    let output = CreateMultipartUploadOutput {
        bucket: call.bucket_name()?.as_str().to_owned(),
        key: call.key()?.as_str().to_owned(),
        upload_id: upload_id::to_text(&upload),
        checksum: rule,
    };
    Ok(output.into_response())
}
