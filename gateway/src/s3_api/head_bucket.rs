//! `HEAD /bucket`

use cairn_s3::S3Error;
use cairn_s3::api::Response;
use cairn_s3::api::head_bucket::HeadBucketOutput;

use crate::pipeline::Call;

pub(super) fn head(call: &Call) -> Result<Response, S3Error> {
    call.bucket()?;
    let region = call.gateway.settings.region.clone();
    Ok(HeadBucketOutput { region }.into_response())
}
