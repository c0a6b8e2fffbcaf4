//! ListObjectVersions of a bucket without versioning.

use super::{Scene, cases};
use crate::expectation::{Outcome, document, equal, status};
use crate::xml::Element;
use crate::{Call, expectation::Failure};

cases!("ListObjectVersions", "API_ListObjectVersions":
    every_object_is_its_null_version,
    pages_go_on_at_the_key_marker,
    a_delimiter_groups,
);

fn list(scene: &Scene, call: &Call) -> Result<Element, Failure> {
    let response = scene.send(call)?;
    status(&response, 200)?;
    document(&response, "ListVersionsResult")
}

fn versions(scene: &Scene) -> Call {
    scene.on_bucket("GET").query("versions", "")
}

fn every_object_is_its_null_version(scene: &Scene) -> Outcome {
    scene.put("a", b"1")?;
    scene.put("a", b"2")?;
    scene.put("b", b"")?;
    let root = list(scene, &versions(scene))?;
    equal("keys", root.texts("Version/Key"), ["a", "b"])?;
    equal("ids", root.texts("Version/VersionId"), ["null", "null"])?;
    equal("latest", root.texts("Version/IsLatest"), ["true", "true"])?;
    equal(
        "ETag",
        root.texts("Version/ETag").first(),
        Some(&crate::checksums::etag(b"2")),
    )?;
    equal("markers", root.texts("DeleteMarker").len(), 0)
}

fn pages_go_on_at_the_key_marker(scene: &Scene) -> Outcome {
    for key in ["a", "b", "c"] {
        scene.put(key, b"")?;
    }
    let first = list(scene, &versions(scene).query("max-keys", "2"))?;
    equal("IsTruncated", first.child("IsTruncated"), Some("true"))?;
    let marker = first.child("NextKeyMarker").unwrap_or_default();
    let call = versions(scene).query("key-marker", marker);
    let id = first.child("NextVersionIdMarker").unwrap_or_default();
    let second = list(scene, &call.query("version-id-marker", id))?;
    equal("keys", second.texts("Version/Key"), ["c"])
}

fn a_delimiter_groups(scene: &Scene) -> Outcome {
    for key in ["a/1", "a/2", "b"] {
        scene.put(key, b"")?;
    }
    let root = list(scene, &versions(scene).query("delimiter", "/"))?;
    equal("keys", root.texts("Version/Key"), ["b"])?;
    equal("groups", root.texts("CommonPrefixes/Prefix"), ["a/"])
}
