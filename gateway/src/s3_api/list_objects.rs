//! `GET /bucket`

use cairn_s3::S3Error;
use cairn_s3::api::Response;
use cairn_s3::api::list_objects::{ListObjects, ListObjectsOutput};

use super::listing;
use crate::pipeline::Call;

pub(super) async fn list(call: &Call) -> Result<Response, S3Error> {
    let input = ListObjects::from_head(&call.head)?;
    let owner = listing::owner(call).await?;
    let page = listing::page(call, &input.request, &input.marker, Some(&owner)).await?;
    let output = ListObjectsOutput {
        bucket: call.bucket_name()?.as_str().to_owned(),
        input,
        contents: page.entries,
        common_prefixes: page.common_prefixes,
        next_marker: page.next,
    };
    Ok(output.into_response())
}
