//! CompleteMultipartUpload.

use super::{PART_MIN, Scene, cases, pattern};
use crate::checksums::multipart_etag;
use crate::expectation::{Outcome, document, equal, error, header, status};

cases!("CompleteMultipartUpload", "API_CompleteMultipartUpload":
    parts_are_joined_in_order,
    parts_left_out_are_dropped,
    an_early_part_under_5_mib_is_too_small,
    parts_out_of_order_are_refused,
    an_unknown_part_is_refused,
    an_unknown_upload_is_no_such_upload,
    an_empty_list_is_malformed,
    completing_twice_is_the_same_answer,
    if_none_match_star_is_a_condition,
    one_part_can_be_read_by_number,
);

fn parts_are_joined_in_order(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    let (one, two) = (pattern(1, PART_MIN), pattern(2, 1_000));
    let second = scene.put_part("k", &upload, 9, &two)?;
    let first = scene.put_part("k", &upload, 3, &one)?;
    let response = scene.send(&scene.complete("k", &upload, &[(3, first), (9, second)]))?;
    status(&response, 200)?;
    let root = document(&response, "CompleteMultipartUploadResult")?;
    let etag = multipart_etag([one.as_slice(), two.as_slice()]);
    equal("ETag", root.child("ETag"), Some(etag.as_str()))?;
    equal("Key", root.child("Key"), Some("k"))?;
    let object = scene.get("k")?;
    header(&object, "etag", &etag)?;
    equal("body", object.body, [one, two].concat())?;
    let range = format!("bytes={}-{}", PART_MIN - 2, PART_MIN + 1);
    let across = scene.send(&scene.on("GET", "k").header("range", &range))?;
    status(&across, 206)?;
    equal("bytes across parts", across.body.len(), 4)
}

fn parts_left_out_are_dropped(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    scene.put_part("k", &upload, 1, b"dropped")?;
    let kept = scene.put_part("k", &upload, 2, b"kept")?;
    status(
        &scene.send(&scene.complete("k", &upload, &[(2, kept)]))?,
        200,
    )?;
    equal("body", scene.get("k")?.body.as_slice(), b"kept".as_slice())
}

fn an_early_part_under_5_mib_is_too_small(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    let one = scene.put_part("k", &upload, 1, &pattern(1, PART_MIN - 1))?;
    let two = scene.put_part("k", &upload, 2, b"x")?;
    let response = scene.send(&scene.complete("k", &upload, &[(1, one), (2, two)]))?;
    error(&response, 400, "EntityTooSmall")?;
    status(&scene.send(&scene.on("GET", "k"))?, 404)
}

fn parts_out_of_order_are_refused(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    let one = scene.put_part("k", &upload, 1, &pattern(1, PART_MIN))?;
    let two = scene.put_part("k", &upload, 2, b"x")?;
    let response = scene.send(&scene.complete("k", &upload, &[(2, two), (1, one)]))?;
    error(&response, 400, "InvalidPartOrder")
}

fn an_unknown_part_is_refused(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    let one = scene.put_part("k", &upload, 1, b"x")?;
    let missing = scene.complete("k", &upload, &[(2, one.clone())]);
    error(&scene.send(&missing)?, 400, "InvalidPart")?;
    let other = crate::checksums::etag(b"y");
    error(
        &scene.send(&scene.complete("k", &upload, &[(1, other)]))?,
        400,
        "InvalidPart",
    )?;
    status(
        &scene.send(&scene.complete("k", &upload, &[(1, one)]))?,
        200,
    )
}

fn an_unknown_upload_is_no_such_upload(scene: &Scene) -> Outcome {
    let etag = crate::checksums::etag(b"x");
    let response = scene.send(&scene.complete("k", "never-given-out", &[(1, etag)]))?;
    error(&response, 404, "NoSuchUpload")
}

fn an_empty_list_is_malformed(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    scene.put_part("k", &upload, 1, b"x")?;
    error(
        &scene.send(&scene.complete("k", &upload, &[]))?,
        400,
        "MalformedXML",
    )
}

fn completing_twice_is_the_same_answer(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    let one = scene.put_part("k", &upload, 1, b"x")?;
    let call = scene.complete("k", &upload, &[(1, one)]);
    let (first, second) = (scene.send(&call)?, scene.send(&call)?);
    status(&first, 200)?;
    status(&second, 200)?;
    let etag = |response| {
        document(response, "CompleteMultipartUploadResult")
            .map(|root| root.child("ETag").map(str::to_owned))
    };
    equal("ETag", etag(&second)?, etag(&first)?)
}

fn if_none_match_star_is_a_condition(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    let one = scene.put_part("k", &upload, 1, b"x")?;
    scene.put("k", b"there first")?;
    let call = scene
        .complete("k", &upload, &[(1, one)])
        .header("if-none-match", "*");
    error(&scene.send(&call)?, 412, "PreconditionFailed")?;
    equal(
        "body",
        scene.get("k")?.body.as_slice(),
        b"there first".as_slice(),
    )
}

fn one_part_can_be_read_by_number(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    let one = scene.put_part("k", &upload, 1, &pattern(1, PART_MIN))?;
    let two = scene.put_part("k", &upload, 2, b"second")?;
    status(
        &scene.send(&scene.complete("k", &upload, &[(1, one), (2, two)]))?,
        200,
    )?;
    let response = scene.send(&scene.on("GET", "k").query("partNumber", "2"))?;
    status(&response, 206)?;
    header(&response, "x-amz-mp-parts-count", "2")?;
    equal("body", response.body.as_slice(), b"second".as_slice())
}
