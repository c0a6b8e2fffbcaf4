//! `PUT /bucket/key?partNumber&uploadId`

use axum::body::Body;
use cairn_s3::S3Error;
use cairn_s3::api::upload_part::{UploadPart, UploadPartOutput};
use cairn_s3::digest::Verified;
use cairn_s3::upload::Upload;
use cairn_wire::metadata as wire;
use cairn_wire::metadata::entry::Command;
use http::Response;

use super::{attributes, put_object, upload_id};
use crate::body::Incoming;
use crate::data::session::Entered;
use crate::data::writer::Written;
use crate::error;
use crate::pipeline::Call;

pub(super) async fn upload(call: &Call, body: Incoming) -> Result<Response<Body>, S3Error> {
    let input = UploadPart::from_head(&call.head)?;
    let row = upload_id::find(call, &input.upload_id).await?;
    let row = row.ok_or_else(|| upload_id::no_such_upload(&input.upload_id))?;
    let upload = Upload::for_part(
        &call.head,
        call.authenticated.payload(),
        upload_id::rule(&row),
    )?;
    let _permit = call.gateway.upload_permit()?;
    let session = call.enter().await?;
    let stored = put_object::store(call, session, body, upload).await?;
    let (session, written, verified) = stored;
    let output = UploadPartOutput {
        etag: verified.etag(),
        checksum: Some(verified.checksum().clone()),
    };
    commit(call, &session, row, input.part_number, written, &verified).await?;
    Ok(output.into_response().map(Body::from))
}

/// Publishes the part. [`Verified`] is the proof that its body is the one the client meant.
async fn commit(
    call: &Call,
    session: &Entered,
    upload: wire::Upload,
    number: u32,
    written: Written,
    verified: &Verified,
) -> Result<(), S3Error> {
    let crc64nvme = written.crc64nvme;
    let command = wire::PutPart {
        bucket: call.bucket()?.id,
        key: upload.key,
        upload: upload.upload,
        number,
        content: Some(put_object::content(call, session, written).await?),
        etag: verified.etag(),
        checksums: attributes::of_one_piece(verified.checksum(), crc64nvme),
    };
    session
        .propose(Command::PutPart(command))
        .await
        .map_err(error::of_commit)?;
    Ok(())
}
