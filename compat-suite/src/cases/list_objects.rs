//! ListObjects, version 1.

use super::{Scene, cases};
use crate::expectation::{Outcome, document, equal, status};
use crate::xml::Element;
use crate::{Call, expectation::Failure};

cases!("ListObjects", "API_ListObjects":
    rows_have_key_size_etag_date_owner_and_class,
    a_marker_starts_after_itself,
    a_truncated_page_with_a_delimiter_names_the_next_marker,
);

fn list(scene: &Scene, call: &Call) -> Result<Element, Failure> {
    let response = scene.send(call)?;
    status(&response, 200)?;
    document(&response, "ListBucketResult")
}

fn rows_have_key_size_etag_date_owner_and_class(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    let root = list(scene, &scene.on_bucket("GET"))?;
    equal("Name", root.child("Name"), Some(scene.bucket.as_str()))?;
    equal("IsTruncated", root.child("IsTruncated"), Some("false"))?;
    equal("MaxKeys", root.child("MaxKeys"), Some("1000"))?;
    equal("Key", root.texts("Contents/Key"), ["k"])?;
    equal("Size", root.texts("Contents/Size"), ["3"])?;
    equal(
        "ETag",
        root.texts("Contents/ETag"),
        [crate::checksums::etag(b"abc")],
    )?;
    equal(
        "StorageClass",
        root.texts("Contents/StorageClass"),
        ["STANDARD"],
    )?;
    equal("owners", root.texts("Contents/Owner/ID").len(), 1)?;
    equal("dates", root.texts("Contents/LastModified").len(), 1)
}

fn a_marker_starts_after_itself(scene: &Scene) -> Outcome {
    for key in ["a", "b", "c"] {
        scene.put(key, b"")?;
    }
    let root = list(scene, &scene.on_bucket("GET").query("marker", "a"))?;
    equal("keys", root.texts("Contents/Key"), ["b", "c"])?;
    equal("Marker", root.child("Marker"), Some("a"))
}

fn a_truncated_page_with_a_delimiter_names_the_next_marker(scene: &Scene) -> Outcome {
    for key in ["a/1", "a/2", "b", "c/1"] {
        scene.put(key, b"")?;
    }
    let call = scene
        .on_bucket("GET")
        .query("delimiter", "/")
        .query("max-keys", "1");
    let first = list(scene, &call)?;
    equal("groups", first.texts("CommonPrefixes/Prefix"), ["a/"])?;
    equal("NextMarker", first.child("NextMarker"), Some("a/"))?;
    let second = list(scene, &call.clone().query("marker", "a/"))?;
    equal("keys", second.texts("Contents/Key"), ["b"])?;
    let third = list(scene, &call.query("marker", "b"))?;
    equal("groups", third.texts("CommonPrefixes/Prefix"), ["c/"])?;
    equal("IsTruncated", third.child("IsTruncated"), Some("false"))
}
