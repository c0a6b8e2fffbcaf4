//! `GET /bucket?location`

use cairn_s3::S3Error;
use cairn_s3::api::Response;
use cairn_s3::api::get_bucket_location::GetBucketLocationOutput;

use crate::pipeline::Call;

pub(super) fn get(call: &Call) -> Result<Response, S3Error> {
    let location = match call.bucket()?.location.as_str() {
        "" => call.gateway.settings.region.clone(),
        chosen => chosen.to_owned(),
    };
    Ok(GetBucketLocationOutput { location }.into_response())
}
