//! `GET /`

use cairn_s3::api::list_buckets::{BucketEntry, ListBuckets, ListBucketsOutput};
use cairn_s3::api::{ContinuationToken, Owner, Response};
use cairn_s3::{S3Error, Timestamp};
use cairn_wire::metadata as wire;

use crate::error;
use crate::pipeline::Call;

pub(super) async fn list(call: &Call) -> Result<Response, S3Error> {
    let input = ListBuckets::from_head(&call.head)?;
    let region = &call.gateway.settings.region;
    // Every bucket is in this region.
    let elsewhere = input
        .bucket_region
        .as_ref()
        .is_some_and(|asked| asked != region);
    let query = wire::ListBuckets {
        owner: call.user.id.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        after: input
            .continuation
            .as_ref()
            .map_or("", ContinuationToken::last)
            .to_owned(),
        limit: input.max_buckets,
    };
    let answer = if elsewhere {
        wire::BucketsAnswer::default()
    } else {
        call.gateway
            .path
            .metadata
            .buckets(query)
            .await
            .map_err(error::of_query)?
    };
    let last = answer.buckets.last().filter(|_| answer.truncated);
    let next = last.map(|bucket| ContinuationToken::after(bucket.name.clone()));
    let entry = |bucket: wire::Bucket| BucketEntry {
        name: bucket.name,
        created: Timestamp::from_millis(bucket.created_ms),
        region: region.clone(),
    };
    let output = ListBucketsOutput {
        owner: Owner {
            id: call.user.id.clone(),
            display_name: call.user.display_name.clone(),
        },
        buckets: answer.buckets.into_iter().map(entry).collect(),
        prefix: input.prefix,
        next,
    };
    Ok(output.into_response())
}
