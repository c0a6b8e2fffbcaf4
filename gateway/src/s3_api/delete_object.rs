//! `DELETE /bucket/key`

use cairn_s3::S3Error;
use cairn_s3::api::Response;
use cairn_s3::api::delete_object::{DeleteObject, DeleteObjectOutput};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::entry::Command;

use super::attributes;
use super::delete_objects::outcome;
use super::get_object::check_version;
use crate::error;
use crate::pipeline::Call;

pub(super) async fn delete(call: &Call) -> Result<Response, S3Error> {
    let input = DeleteObject::from_head(&call.head)?;
    check_version(input.version_id.as_deref())?;
    let session = call.enter().await?;
    let command = Command::DeleteObjects(wire::DeleteObjects {
        bucket: call.bucket()?.id,
        items: vec![wire::DeleteItem {
            key: call.key_bytes()?,
            conditions: attributes::delete_conditions(&input.conditions),
        }],
    });
    let reply = match session.propose(command).await.map_err(error::of_commit) {
        Ok(reply) => reply,
        Err(refused) => return Err(call.gateway.refused(call.bucket_name()?, refused).await),
    };
    let etags = &input.conditions.etags;
    outcome(reply.deleted.first())
        .map_err(|refused| attributes::refused_write(call, etags, refused))?;
    Ok(DeleteObjectOutput::default().into_response())
}
