//! ListMultipartUploads.

use super::{Scene, cases};
use crate::expectation::{Outcome, document, equal, status};
use crate::xml::Element;
use crate::{Call, expectation::Failure};

cases!("ListMultipartUploads", "API_ListMultipartUploads":
    open_uploads_are_listed_by_key,
    ended_uploads_are_not_listed,
    a_prefix_narrows_and_a_delimiter_groups,
    pages_go_on_at_the_markers,
);

fn uploads(scene: &Scene) -> Call {
    scene.on_bucket("GET").query("uploads", "")
}

fn list(scene: &Scene, call: &Call) -> Result<Element, Failure> {
    let response = scene.send(call)?;
    status(&response, 200)?;
    document(&response, "ListMultipartUploadsResult")
}

fn open_uploads_are_listed_by_key(scene: &Scene) -> Outcome {
    let (b, a) = (scene.begin_upload("b")?, scene.begin_upload("a")?);
    let root = list(scene, &uploads(scene))?;
    equal("keys", root.texts("Upload/Key"), ["a", "b"])?;
    equal("ids", root.texts("Upload/UploadId"), [a, b])?;
    equal("dates", root.texts("Upload/Initiated").len(), 2)
}

fn ended_uploads_are_not_listed(scene: &Scene) -> Outcome {
    let (done, gone) = (scene.begin_upload("done")?, scene.begin_upload("gone")?);
    let etag = scene.put_part("done", &done, 1, b"x")?;
    status(
        &scene.send(&scene.complete("done", &done, &[(1, etag)]))?,
        200,
    )?;
    status(
        &scene.send(&scene.on("DELETE", "gone").query("uploadId", &gone))?,
        204,
    )?;
    equal(
        "uploads",
        list(scene, &uploads(scene))?.texts("Upload/Key").len(),
        0,
    )
}

fn a_prefix_narrows_and_a_delimiter_groups(scene: &Scene) -> Outcome {
    for key in ["p/a/1", "p/a/2", "p/b", "q"] {
        scene.begin_upload(key)?;
    }
    let root = list(
        scene,
        &uploads(scene).query("prefix", "p/").query("delimiter", "/"),
    )?;
    equal("keys", root.texts("Upload/Key"), ["p/b"])?;
    equal("groups", root.texts("CommonPrefixes/Prefix"), ["p/a/"])
}

fn pages_go_on_at_the_markers(scene: &Scene) -> Outcome {
    for key in ["a", "b", "b", "c"] {
        scene.begin_upload(key)?;
    }
    let first = list(scene, &uploads(scene).query("max-uploads", "2"))?;
    equal("IsTruncated", first.child("IsTruncated"), Some("true"))?;
    equal("keys", first.texts("Upload/Key"), ["a", "b"])?;
    let call = uploads(scene)
        .query(
            "key-marker",
            first.child("NextKeyMarker").unwrap_or_default(),
        )
        .query(
            "upload-id-marker",
            first.child("NextUploadIdMarker").unwrap_or_default(),
        );
    let second = list(scene, &call)?;
    equal("keys", second.texts("Upload/Key"), ["b", "c"])?;
    equal("IsTruncated", second.child("IsTruncated"), Some("false"))
}
