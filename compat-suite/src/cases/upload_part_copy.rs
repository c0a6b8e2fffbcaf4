//! UploadPartCopy.

use super::{PART_MIN, Scene, cases, pattern};
use crate::call::Call;
use crate::checksums::{Algorithm, etag, multipart_etag};
use crate::expectation::{Failure, Outcome, document, equal, error, header, holds, status};

cases!("UploadPartCopy", "API_UploadPartCopy":
    answers_with_the_parts_md5,
    two_ranges_become_the_object_again,
    parts_copied_and_sent_are_mixed,
    the_part_outlives_its_source,
    a_part_is_cut_from_a_multipart_object,
    a_range_beyond_the_source_is_refused,
    a_range_of_another_form_is_invalid,
    source_conditions_guard_the_copy,
    a_missing_source_is_named,
    an_unknown_upload_is_no_such_upload,
    part_numbers_go_from_1_to_10000,
    the_checksum_of_the_upload_is_computed,
);

fn copy(scene: &Scene, upload: &str, number: u32, from: &str) -> Call {
    let source = format!("/{}/{from}", scene.bucket);
    let call = scene
        .on("PUT", "k")
        .query("partNumber", &number.to_string());
    call.query("uploadId", upload)
        .header("x-amz-copy-source", &source)
}

fn range(call: Call, first: usize, last: usize) -> Call {
    call.header("x-amz-copy-source-range", &format!("bytes={first}-{last}"))
}

/// A copy that must be made; gives the part's ETag.
fn copied(scene: &Scene, call: &Call) -> Result<String, Failure> {
    let response = scene.send(call)?;
    status(&response, 200)?;
    let root = document(&response, "CopyPartResult")?;
    let time = root.child("LastModified").unwrap_or_default();
    holds(time.ends_with('Z'), "LastModified")?;
    let etag = root.child("ETag").map(str::to_owned);
    etag.ok_or_else(|| Failure("a part has no ETag".to_owned()))
}

fn answers_with_the_parts_md5(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    for length in [0, 5, 4_097, 70_001] {
        let body = pattern(1, length);
        scene.put("a", &body)?;
        let tag = copied(scene, &copy(scene, &upload, 1, "a"))?;
        equal("ETag", tag, etag(&body))?;
    }
    let body = pattern(1, 70_001);
    let tag = copied(scene, &range(copy(scene, &upload, 1, "a"), 65_530, 65_540))?;
    equal("ETag", Some(tag), body.get(65_530..=65_540).map(etag))
}

fn two_ranges_become_the_object_again(scene: &Scene) -> Outcome {
    let body = pattern(1, 30 << 20);
    scene.put("a", &body)?;
    let (one, two) = body.split_at(13_000_000);
    let upload = scene.begin_upload("k")?;
    let last = body.len() - 1;
    let second = copied(scene, &range(copy(scene, &upload, 2, "a"), one.len(), last))?;
    let first = copied(
        scene,
        &range(copy(scene, &upload, 1, "a"), 0, one.len() - 1),
    )?;
    equal("ETag", (&first, &second), (&etag(one), &etag(two)))?;
    let listed = scene.send(&scene.on("GET", "k").query("uploadId", &upload))?;
    let sizes = document(&listed, "ListPartsResult")?.texts("Part/Size");
    equal(
        "sizes",
        sizes,
        [one.len().to_string(), two.len().to_string()],
    )?;
    let call = scene.complete("k", &upload, &[(1, first), (2, second)]);
    status(&scene.send(&call)?, 200)?;
    let object = scene.get("k")?;
    header(&object, "etag", &multipart_etag([one, two]))?;
    holds(object.body == body, "the same bytes")
}

fn parts_copied_and_sent_are_mixed(scene: &Scene) -> Outcome {
    let (body, tail) = (pattern(1, PART_MIN), pattern(2, 1_000));
    scene.put("a", &body)?;
    let upload = scene.begin_upload("k")?;
    let first = copied(scene, &copy(scene, &upload, 1, "a"))?;
    let replaced = scene.put_part("k", &upload, 2, b"replaced by a copy")?;
    scene.put("b", &tail)?;
    let second = copied(scene, &copy(scene, &upload, 2, "b"))?;
    holds(replaced != second, "another part")?;
    let call = scene.complete("k", &upload, &[(1, first), (2, second)]);
    status(&scene.send(&call)?, 200)?;
    equal("body", scene.get("k")?.body, [body, tail].concat())
}

fn the_part_outlives_its_source(scene: &Scene) -> Outcome {
    let body = pattern(1, 300_000);
    scene.put("a", &body)?;
    let upload = scene.begin_upload("k")?;
    let first = copied(scene, &range(copy(scene, &upload, 1, "a"), 7, 200_006))?;
    status(&scene.send(&scene.on("DELETE", "a"))?, 204)?;
    status(
        &scene.send(&scene.complete("k", &upload, &[(1, first)]))?,
        200,
    )?;
    let found = scene.get("k")?.body;
    equal("body", Some(found.as_slice()), body.get(7..200_007))
}

fn a_part_is_cut_from_a_multipart_object(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("a")?;
    let (one, two) = (pattern(1, PART_MIN), pattern(2, 100_000));
    let first = scene.put_part("a", &upload, 1, &one)?;
    let second = scene.put_part("a", &upload, 2, &two)?;
    let call = scene.complete("a", &upload, &[(1, first), (2, second)]);
    status(&scene.send(&call)?, 200)?;
    let whole = [one, two].concat();
    let upload = scene.begin_upload("k")?;
    let (from, to) = (PART_MIN - 50_000, PART_MIN + 49_999);
    let part = copied(scene, &range(copy(scene, &upload, 1, "a"), from, to))?;
    equal("ETag", Some(part.clone()), whole.get(from..=to).map(etag))?;
    let all = copied(scene, &copy(scene, &upload, 2, "a"))?;
    equal("ETag of all", all, etag(&whole))?;
    status(
        &scene.send(&scene.complete("k", &upload, &[(1, part)]))?,
        200,
    )?;
    let found = scene.get("k")?.body;
    equal("body", Some(found.as_slice()), whole.get(from..=to))
}

fn a_range_beyond_the_source_is_refused(scene: &Scene) -> Outcome {
    scene.put("a", b"abcde")?;
    let upload = scene.begin_upload("k")?;
    for (first, last) in [(0, 5), (5, 5), (100, 200)] {
        let response = scene.send(&range(copy(scene, &upload, 1, "a"), first, last))?;
        error(&response, 416, "InvalidRange")?;
    }
    copied(scene, &range(copy(scene, &upload, 1, "a"), 0, 4)).map(drop)
}

fn a_range_of_another_form_is_invalid(scene: &Scene) -> Outcome {
    scene.put("a", b"abcde")?;
    let upload = scene.begin_upload("k")?;
    for text in [
        "0-2",
        "bytes=0",
        "bytes=2-1",
        "bytes=-2",
        "bytes=hello-world",
        "bytes=0-1,3-4",
    ] {
        let call = copy(scene, &upload, 1, "a").header("x-amz-copy-source-range", text);
        error(&scene.send(&call)?, 400, "InvalidArgument")?;
    }
    Ok(())
}

fn source_conditions_guard_the_copy(scene: &Scene) -> Outcome {
    scene.put("a", b"abc")?;
    let upload = scene.begin_upload("k")?;
    for (name, met, unmet) in [
        ("x-amz-copy-source-if-match", etag(b"abc"), etag(b"x")),
        ("x-amz-copy-source-if-none-match", etag(b"x"), etag(b"abc")),
    ] {
        let response = scene.send(&copy(scene, &upload, 1, "a").header(name, &unmet))?;
        error(&response, 412, "PreconditionFailed")?;
        copied(scene, &copy(scene, &upload, 1, "a").header(name, &met))?;
    }
    Ok(())
}

fn a_missing_source_is_named(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    let response = scene.send(&copy(scene, &upload, 1, "none"))?;
    error(&response, 404, "NoSuchKey")
}

fn an_unknown_upload_is_no_such_upload(scene: &Scene) -> Outcome {
    scene.put("a", b"abc")?;
    let response = scene.send(&copy(scene, "never-given-out", 1, "a"))?;
    error(&response, 404, "NoSuchUpload")
}

fn part_numbers_go_from_1_to_10000(scene: &Scene) -> Outcome {
    scene.put("a", b"abc")?;
    let upload = scene.begin_upload("k")?;
    copied(scene, &copy(scene, &upload, 10_000, "a"))?;
    for number in [0, 10_001] {
        let response = scene.send(&copy(scene, &upload, number, "a"))?;
        error(&response, 400, "InvalidArgument")?;
    }
    Ok(())
}

fn the_checksum_of_the_upload_is_computed(scene: &Scene) -> Outcome {
    let body = pattern(1, 100_000);
    scene.put("a", &body)?;
    for sum in Algorithm::ALL {
        let call = scene.on("POST", "k").query("uploads", "");
        let begun = scene.send(&call.header("x-amz-checksum-algorithm", sum.name()))?;
        let root = document(&begun, "InitiateMultipartUploadResult")?;
        let upload = root.child("UploadId").unwrap_or_default();
        let response = scene.send(&range(copy(scene, upload, 1, "a"), 1, 99_999))?;
        status(&response, 200)?;
        let root = document(&response, "CopyPartResult")?;
        let element = format!("Checksum{}", sum.name());
        let expected = body.get(1..).map(|bytes| sum.of(bytes));
        equal(
            sum.name(),
            root.child(&element).map(str::to_owned),
            expected,
        )?;
    }
    Ok(())
}
