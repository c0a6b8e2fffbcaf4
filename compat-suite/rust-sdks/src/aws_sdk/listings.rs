//! Listings, and what deletes by them.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::{NOWHERE, Outcome, Run, Subject, expect, refused};

pub(super) async fn play(t: &Subject, run: &mut Run) {
    run.case("ListObjectsV2", "pages in byte order", pages(t))
        .await;
    run.case("ListObjectsV2", "groups by a delimiter", groups(t))
        .await;
    run.case("ListObjectsV2", "starts after a key", after(t))
        .await;
    run.case("ListObjectsV2", "refuses no bucket", async {
        let answer = t.s3.list_objects_v2().bucket(NOWHERE).send().await;
        refused(answer, 404, Some("NoSuchBucket"))
    })
    .await;
    run.case("ListObjects", "pages by marker", by_marker(t))
        .await;
    run.case("ListObjectVersions", "names null versions", versions(t))
        .await;
    run.case("DeleteObjects", "deletes many", many(t)).await;
}

/// `l/00` to `l/11`, and three in folders.
fn keys() -> Vec<String> {
    let numbered = (0..12).map(|n| format!("l/{n:02}"));
    let deep = ["l/a/1", "l/a/2", "l/sp ce+%&/é"].map(str::to_owned);
    numbered.chain(deep).collect()
}

async fn pages(t: &Subject) -> Outcome {
    for key in keys() {
        t.put(&key, b"12345").await?;
    }
    let list = t.s3.list_objects_v2().bucket(&t.bucket).prefix("l/");
    let mut pages = list.into_paginator().page_size(4).send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let rows = page?.contents.unwrap_or_default();
        found.extend(rows.into_iter().filter_map(|row| row.key));
    }
    expect(found, keys())
}

async fn groups(t: &Subject) -> Outcome {
    let list = t.s3.list_objects_v2().bucket(&t.bucket).prefix("l/");
    let page = list.delimiter("/").send().await?;
    let groups: Vec<&str> = page
        .common_prefixes()
        .iter()
        .filter_map(|group| group.prefix())
        .collect();
    expect(groups, ["l/a/", "l/sp ce+%&/"])?;
    expect(page.contents().len(), 12)
}

async fn after(t: &Subject) -> Outcome {
    let list = t.s3.list_objects_v2().bucket(&t.bucket).prefix("l/");
    let page = list.start_after("l/10").send().await?;
    let found: Vec<&str> = page.contents().iter().filter_map(|row| row.key()).collect();
    expect(found, ["l/11", "l/a/1", "l/a/2", "l/sp ce+%&/é"])
}

async fn by_marker(t: &Subject) -> Outcome {
    let list = || {
        t.s3.list_objects()
            .bucket(&t.bucket)
            .prefix("l/")
            .max_keys(8)
    };
    let first = list().send().await?;
    let last = first
        .contents()
        .last()
        .and_then(|row| row.key())
        .unwrap_or_default();
    let second = list().marker(last).send().await?;
    let pages = [first.contents(), second.contents()].concat();
    expect(
        pages
            .into_iter()
            .filter_map(|row| row.key)
            .collect::<Vec<_>>(),
        keys(),
    )
}

async fn versions(t: &Subject) -> Outcome {
    let list = t.s3.list_object_versions().bucket(&t.bucket).prefix("l/a/");
    let told = list.send().await?;
    let found: Vec<Option<&str>> = told.versions().iter().map(|row| row.version_id()).collect();
    expect(found, [Some("null"), Some("null")])
}

/// Deletes these keys in one call.
async fn delete(t: &Subject, keys: &[String]) -> Outcome {
    let named: Vec<ObjectIdentifier> = keys
        .iter()
        .map(|key| ObjectIdentifier::builder().key(key).build())
        .collect::<Result<_, _>>()?;
    let doomed = Delete::builder().set_objects(Some(named)).build()?;
    let done =
        t.s3.delete_objects()
            .bucket(&t.bucket)
            .delete(doomed)
            .send()
            .await?;
    expect((done.deleted().len(), done.errors().len()), (keys.len(), 0))
}

async fn many(t: &Subject) -> Outcome {
    delete(t, &keys()).await?;
    let page =
        t.s3.list_objects_v2()
            .bucket(&t.bucket)
            .prefix("l/")
            .send()
            .await?;
    expect(page.key_count(), Some(0))
}

/// Removes everything and then the bucket.
pub(super) async fn empty_and_remove(t: &Subject) -> Outcome {
    let page = t.s3.list_objects_v2().bucket(&t.bucket).send().await?;
    let keys: Vec<String> = page
        .contents
        .unwrap_or_default()
        .into_iter()
        .filter_map(|row| row.key)
        .collect();
    delete(t, &keys).await?;
    t.s3.delete_bucket().bucket(&t.bucket).send().await?;
    let again = t.s3.delete_bucket().bucket(&t.bucket).send().await;
    refused(again, 404, Some("NoSuchBucket"))
}
