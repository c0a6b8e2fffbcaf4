//! ListParts.

use super::{Scene, cases};
use crate::checksums::etag;
use crate::expectation::{Outcome, document, equal, error, status};

cases!("ListParts", "API_ListParts":
    parts_are_listed_by_number,
    pages_go_on_at_the_part_number_marker,
    an_unknown_upload_is_no_such_upload,
);

fn parts_are_listed_by_number(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    for (number, body) in [(7, b"seven".as_slice()), (2, b"two")] {
        scene.put_part("k", &upload, number, body)?;
    }
    let response = scene.send(&scene.on("GET", "k").query("uploadId", &upload))?;
    status(&response, 200)?;
    let root = document(&response, "ListPartsResult")?;
    equal("numbers", root.texts("Part/PartNumber"), ["2", "7"])?;
    equal("sizes", root.texts("Part/Size"), ["3", "5"])?;
    equal(
        "ETags",
        root.texts("Part/ETag"),
        [etag(b"two"), etag(b"seven")],
    )?;
    equal("UploadId", root.child("UploadId"), Some(upload.as_str()))?;
    equal("Key", root.child("Key"), Some("k"))
}

fn pages_go_on_at_the_part_number_marker(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    for number in 1..=5 {
        scene.put_part("k", &upload, number, b"x")?;
    }
    let call = scene
        .on("GET", "k")
        .query("uploadId", &upload)
        .query("max-parts", "3");
    let first = document(&scene.send(&call)?, "ListPartsResult")?;
    equal("numbers", first.texts("Part/PartNumber"), ["1", "2", "3"])?;
    equal("IsTruncated", first.child("IsTruncated"), Some("true"))?;
    equal(
        "NextPartNumberMarker",
        first.child("NextPartNumberMarker"),
        Some("3"),
    )?;
    let second = scene.send(&call.query("part-number-marker", "3"))?;
    let second = document(&second, "ListPartsResult")?;
    equal("numbers", second.texts("Part/PartNumber"), ["4", "5"])?;
    equal("IsTruncated", second.child("IsTruncated"), Some("false"))
}

fn an_unknown_upload_is_no_such_upload(scene: &Scene) -> Outcome {
    let call = scene.on("GET", "k").query("uploadId", "never-given-out");
    error(&scene.send(&call)?, 404, "NoSuchUpload")
}
