//! UploadPart.

use super::{Scene, cases, pattern};
use crate::checksums::{Algorithm, content_md5, etag};
use crate::expectation::{Outcome, equal, error, header, status};

cases!("UploadPart", "API_UploadPart":
    answers_with_the_parts_md5,
    part_numbers_go_from_1_to_10000,
    an_unknown_upload_is_no_such_upload,
    digests_are_verified,
    a_part_sent_again_replaces,
);

fn answers_with_the_parts_md5(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    let body = pattern(1, 70_001);
    equal("ETag", scene.put_part("k", &upload, 1, &body)?, etag(&body))
}

fn part_numbers_go_from_1_to_10000(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    scene.put_part("k", &upload, 1, b"x")?;
    scene.put_part("k", &upload, 10_000, b"x")?;
    for number in [0, 10_001] {
        let response = scene.send(&scene.part("k", &upload, number, b"x"))?;
        error(&response, 400, "InvalidArgument")?;
    }
    Ok(())
}

fn an_unknown_upload_is_no_such_upload(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    error(
        &scene.send(&scene.part("other", &upload, 1, b"x"))?,
        404,
        "NoSuchUpload",
    )?;
    error(
        &scene.send(&scene.part("k", "never-given-out", 1, b"x"))?,
        404,
        "NoSuchUpload",
    )
}

fn digests_are_verified(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    let call = scene.part("k", &upload, 1, b"abc");
    let wrong = call.clone().header("content-md5", &content_md5(b"abd"));
    error(&scene.send(&wrong)?, 400, "BadDigest")?;
    let sum = Algorithm::Crc64Nvme;
    let wrong = call.clone().header(sum.header(), &sum.of(b"abd"));
    error(&scene.send(&wrong)?, 400, "BadDigest")?;
    let right = scene.send(&call.header(sum.header(), &sum.of(b"abc")))?;
    status(&right, 200)?;
    header(&right, sum.header(), &sum.of(b"abc"))
}

fn a_part_sent_again_replaces(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    scene.put_part("k", &upload, 1, b"first")?;
    let etag = scene.put_part("k", &upload, 1, b"second")?;
    status(
        &scene.send(&scene.complete("k", &upload, &[(1, etag)]))?,
        200,
    )?;
    equal(
        "body",
        scene.get("k")?.body.as_slice(),
        b"second".as_slice(),
    )
}
