//! AbortMultipartUpload.

use super::{Scene, cases};
use crate::expectation::{Outcome, equal, error, status};

cases!("AbortMultipartUpload", "API_AbortMultipartUpload":
    the_upload_and_its_parts_are_gone,
    an_object_at_the_key_is_untouched,
    an_unknown_upload_is_no_such_upload,
);

fn the_upload_and_its_parts_are_gone(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("k")?;
    let one = scene.put_part("k", &upload, 1, b"x")?;
    status(
        &scene.send(&scene.on("DELETE", "k").query("uploadId", &upload))?,
        204,
    )?;
    let parts = scene.on("GET", "k").query("uploadId", &upload);
    error(&scene.send(&parts)?, 404, "NoSuchUpload")?;
    error(
        &scene.send(&scene.part("k", &upload, 2, b"y"))?,
        404,
        "NoSuchUpload",
    )?;
    error(
        &scene.send(&scene.complete("k", &upload, &[(1, one)]))?,
        404,
        "NoSuchUpload",
    )
}

fn an_object_at_the_key_is_untouched(scene: &Scene) -> Outcome {
    scene.put("k", b"kept")?;
    let upload = scene.begin_upload("k")?;
    scene.put_part("k", &upload, 1, b"x")?;
    status(
        &scene.send(&scene.on("DELETE", "k").query("uploadId", &upload))?,
        204,
    )?;
    equal("body", scene.get("k")?.body.as_slice(), b"kept".as_slice())
}

fn an_unknown_upload_is_no_such_upload(scene: &Scene) -> Outcome {
    let call = scene.on("DELETE", "k").query("uploadId", "never-given-out");
    error(&scene.send(&call)?, 404, "NoSuchUpload")
}
