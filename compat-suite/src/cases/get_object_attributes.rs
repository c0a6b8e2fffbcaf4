//! GetObjectAttributes, and checksums of single parts.

use super::{PART_MIN, Scene, cases, pattern};
use crate::call::Call;
use crate::checksums::{Algorithm, etag};
use crate::expectation::{Outcome, document, equal, error, header, holds, status};

cases!("GetObjectAttributes", "API_GetObjectAttributes":
    what_is_asked_is_shown,
    what_is_not_asked_is_not_shown,
    parts_are_listed_with_their_checksums,
    parts_are_listed_in_pages,
    a_part_read_by_number_has_its_own_checksum,
    no_attribute_named_is_invalid,
    an_unknown_attribute_is_invalid,
    a_missing_key_is_404,
);

const ALL: &str = "ETag,Checksum,ObjectParts,StorageClass,ObjectSize";

fn attributes(scene: &Scene, key: &str, names: &str) -> Call {
    let call = scene.on("GET", key).query("attributes", "");
    call.header("x-amz-object-attributes", names)
}

fn what_is_asked_is_shown(scene: &Scene) -> Outcome {
    let sum = Algorithm::Sha256;
    let call = scene.on("PUT", "k").body("abc");
    status(
        &scene.send(&call.header(sum.header(), &sum.of(b"abc")))?,
        200,
    )?;
    let response = scene.send(&attributes(scene, "k", ALL))?;
    status(&response, 200)?;
    let root = document(&response, "GetObjectAttributesResponse")?;
    let bare = etag(b"abc").replace('"', "");
    equal("ETag", root.child("ETag"), Some(bare.as_str()))?;
    equal("ObjectSize", root.child("ObjectSize"), Some("3"))?;
    equal("StorageClass", root.child("StorageClass"), Some("STANDARD"))?;
    equal(
        "Checksum",
        root.texts("Checksum/ChecksumSHA256"),
        [sum.of(b"abc")],
    )?;
    equal("type", root.texts("Checksum/ChecksumType"), ["FULL_OBJECT"])?;
    equal("ObjectParts", root.all("ObjectParts").count(), 0)?;
    let time = response.header("last-modified").unwrap_or_default();
    holds(time.ends_with(" GMT"), "Last-Modified")
}

fn what_is_not_asked_is_not_shown(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    let response = scene.send(&attributes(scene, "k", "ObjectSize"))?;
    let root = document(&response, "GetObjectAttributesResponse")?;
    equal("ObjectSize", root.child("ObjectSize"), Some("3"))?;
    for name in ["ETag", "Checksum", "StorageClass"] {
        equal(name, root.all(name).count(), 0)?;
    }
    Ok(())
}

/// `k` of parts 1, 4 and 7, with SHA-256.
fn multipart(scene: &Scene) -> Result<Vec<(u32, Vec<u8>)>, crate::expectation::Failure> {
    let sum = Algorithm::Sha256;
    let call = scene.on("POST", "k").query("uploads", "");
    let begun = scene.send(&call.header("x-amz-checksum-algorithm", sum.name()))?;
    let root = document(&begun, "InitiateMultipartUploadResult")?;
    let upload = root.child("UploadId").unwrap_or_default();
    let bodies = vec![
        (1, pattern(1, PART_MIN)),
        (4, pattern(2, PART_MIN + 1)),
        (7, pattern(3, 1_000)),
    ];
    let mut parts = Vec::new();
    for (number, body) in &bodies {
        let call = scene.part("k", upload, *number, body);
        let put = scene.send(&call.header(sum.header(), &sum.of(body)))?;
        status(&put, 200)?;
        parts.push((*number, put.header("etag").unwrap_or_default().to_owned()));
    }
    status(&scene.send(&scene.complete("k", upload, &parts))?, 200)?;
    Ok(bodies)
}

fn parts_are_listed_with_their_checksums(scene: &Scene) -> Outcome {
    let bodies = multipart(scene)?;
    let response = scene.send(&attributes(scene, "k", ALL))?;
    status(&response, 200)?;
    let root = document(&response, "GetObjectAttributesResponse")?;
    let texts = |name: &str| root.texts(&format!("ObjectParts/{name}"));
    equal("count", texts("PartsCount"), ["3"])?;
    equal("IsTruncated", texts("IsTruncated"), ["false"])?;
    equal("numbers", texts("Part/PartNumber"), ["1", "4", "7"])?;
    let sizes: Vec<String> = bodies
        .iter()
        .map(|(_, body)| body.len().to_string())
        .collect();
    equal("sizes", texts("Part/Size"), sizes)?;
    let sums: Vec<String> = bodies
        .iter()
        .map(|(_, body)| Algorithm::Sha256.of(body))
        .collect();
    equal("checksums", texts("Part/ChecksumSHA256"), sums)?;
    equal("type", root.texts("Checksum/ChecksumType"), ["COMPOSITE"])?;
    let whole = root.texts("Checksum/ChecksumSHA256").concat();
    holds(whole.ends_with("-3"), "a composite names its parts")
}

fn parts_are_listed_in_pages(scene: &Scene) -> Outcome {
    multipart(scene)?;
    let page = |marker: &str, most: &str| {
        let call = attributes(scene, "k", "ObjectParts");
        let call = call.header("x-amz-part-number-marker", marker);
        let response = scene.send(&call.header("x-amz-max-parts", most))?;
        document(&response, "GetObjectAttributesResponse")
    };
    let first = page("0", "2")?;
    equal(
        "first page",
        first.texts("ObjectParts/Part/PartNumber"),
        ["1", "4"],
    )?;
    equal("MaxParts", first.texts("ObjectParts/MaxParts"), ["2"])?;
    equal(
        "IsTruncated",
        first.texts("ObjectParts/IsTruncated"),
        ["true"],
    )?;
    equal(
        "next",
        first.texts("ObjectParts/NextPartNumberMarker"),
        ["4"],
    )?;
    let second = page("4", "2")?;
    equal(
        "second page",
        second.texts("ObjectParts/Part/PartNumber"),
        ["7"],
    )?;
    equal(
        "IsTruncated",
        second.texts("ObjectParts/IsTruncated"),
        ["false"],
    )?;
    let behind = page("7", "2")?;
    equal(
        "behind",
        behind.texts("ObjectParts/Part/PartNumber"),
        [""; 0],
    )
}

fn a_part_read_by_number_has_its_own_checksum(scene: &Scene) -> Outcome {
    for (number, body) in multipart(scene)? {
        for method in ["GET", "HEAD"] {
            let call = scene
                .on(method, "k")
                .query("partNumber", &number.to_string());
            let response = scene.send(&call.header("x-amz-checksum-mode", "ENABLED"))?;
            status(&response, 206)?;
            let sum = Algorithm::Sha256;
            header(&response, sum.header(), &sum.of(&body))?;
        }
    }
    Ok(())
}

fn no_attribute_named_is_invalid(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    let response = scene.send(&scene.on("GET", "k").query("attributes", ""))?;
    error(&response, 400, "InvalidRequest")
}

fn an_unknown_attribute_is_invalid(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    let response = scene.send(&attributes(scene, "k", "ETag,Colour"))?;
    error(&response, 400, "InvalidArgument")
}

fn a_missing_key_is_404(scene: &Scene) -> Outcome {
    let response = scene.send(&attributes(scene, "none", ALL))?;
    error(&response, 404, "NoSuchKey")
}
