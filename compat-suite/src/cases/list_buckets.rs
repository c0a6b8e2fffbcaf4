//! ListBuckets.

use super::{Scene, cases};
use crate::call::Call;
use crate::expectation::{Outcome, document, holds, status};

cases!("ListBuckets", "API_ListBuckets":
    lists_buckets_with_creation_dates_and_owner,
    a_prefix_narrows_the_list,
);

fn lists_buckets_with_creation_dates_and_owner(scene: &Scene) -> Outcome {
    let response = scene.send(&Call::new("GET", "/"))?;
    status(&response, 200)?;
    let root = document(&response, "ListAllMyBucketsResult")?;
    let names = root.texts("Buckets/Bucket/Name");
    holds(names.contains(&scene.bucket), "the new bucket is listed")?;
    holds(names.is_sorted(), "names are in order")?;
    let dates = root.texts("Buckets/Bucket/CreationDate");
    holds(dates.len() == names.len(), "each has a date")?;
    holds(
        dates
            .iter()
            .all(|date| date.ends_with('Z') && date.contains('T')),
        "dates are ISO 8601",
    )?;
    holds(!root.texts("Owner/ID").is_empty(), "the owner is named")
}

fn a_prefix_narrows_the_list(scene: &Scene) -> Outcome {
    let response = scene.send(&Call::new("GET", "/").query("prefix", &scene.bucket))?;
    status(&response, 200)?;
    let names = document(&response, "ListAllMyBucketsResult")?.texts("Buckets/Bucket/Name");
    holds(
        names == [scene.bucket.clone()],
        "only the bucket with that prefix is listed",
    )
}
