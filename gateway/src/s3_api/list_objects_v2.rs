//! `GET /bucket?list-type=2`

use cairn_s3::S3Error;
use cairn_s3::api::list_objects_v2::{ListObjectsV2, ListObjectsV2Output};
use cairn_s3::api::{ContinuationToken, Response};

use super::listing;
use crate::pipeline::Call;

pub(super) async fn list(call: &Call) -> Result<Response, S3Error> {
    let input = ListObjectsV2::from_head(&call.head)?;
    let owner = if input.fetch_owner {
        Some(listing::owner(call).await?)
    } else {
        None
    };
    let after = match (&input.continuation, &input.start_after) {
        (Some(token), _) => token.last(),
        (None, Some(start)) => start,
        (None, None) => "",
    };
    let page = listing::page(call, &input.request, after, owner.as_ref()).await?;
    let output = ListObjectsV2Output {
        bucket: call.bucket_name()?.as_str().to_owned(),
        input,
        contents: page.entries,
        common_prefixes: page.common_prefixes,
        next: page.next.map(ContinuationToken::after),
    };
    Ok(output.into_response())
}
