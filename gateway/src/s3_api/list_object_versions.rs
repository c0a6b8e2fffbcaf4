//! `GET /bucket?versions`: in a bucket without versions every object is its null version.

use cairn_s3::S3Error;
use cairn_s3::api::Response;
use cairn_s3::api::list_object_versions::{
    ListObjectVersions, ListObjectVersionsOutput, VersionEntry,
};

use super::get_object::NULL_VERSION;
use super::listing;
use crate::pipeline::Call;

pub(super) async fn list(call: &Call) -> Result<Response, S3Error> {
    let input = ListObjectVersions::from_head(&call.head)?;
    let owner = listing::owner(call).await?;
    let page = listing::page(call, &input.request, &input.key_marker, Some(&owner)).await?;
    let last_is_key = page.entries.last().map(|entry| &entry.key) == page.next.as_ref();
    let next = page
        .next
        .map(|key| (key, last_is_key.then(|| NULL_VERSION.to_owned())));
    let version = |entry| VersionEntry::Version {
        entry,
        version_id: NULL_VERSION.to_owned(),
        is_latest: true,
    };
    let output = ListObjectVersionsOutput {
        bucket: call.bucket_name()?.as_str().to_owned(),
        input,
        versions: page.entries.into_iter().map(version).collect(),
        common_prefixes: page.common_prefixes,
        next,
    };
    Ok(output.into_response())
}
