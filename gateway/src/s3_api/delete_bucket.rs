//! `DELETE /bucket`

use cairn_s3::S3Error;
use cairn_s3::api::Response;
use cairn_s3::api::delete_bucket::DeleteBucketOutput;
use cairn_wire::metadata as wire;
use cairn_wire::metadata::entry::Command;

use crate::error;
use crate::pipeline::Call;

pub(super) async fn delete(call: &Call) -> Result<Response, S3Error> {
    let bucket = call.bucket_name()?;
    let name = bucket.as_str();
    let session = call.enter().await?;
    let command = Command::DeleteBucket(wire::DeleteBucket {
        name: name.to_owned(),
    });
    let outcome = session.propose(command).await;
    call.gateway.forget_bucket(bucket);
    outcome.map_err(|error| error::of_commit(error).with("BucketName", name))?;
    Ok(DeleteBucketOutput.into_response())
}
