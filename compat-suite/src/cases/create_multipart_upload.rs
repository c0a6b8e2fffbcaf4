//! CreateMultipartUpload.

use super::{Scene, cases};
use crate::call::Call;
use crate::expectation::{Outcome, document, equal, error, header, holds, status};

cases!("CreateMultipartUpload", "API_CreateMultipartUpload":
    names_bucket_key_and_upload,
    two_uploads_of_one_key_are_two,
    headers_given_here_are_the_objects,
    a_missing_bucket_is_no_such_bucket,
);

fn names_bucket_key_and_upload(scene: &Scene) -> Outcome {
    let response = scene.send(&scene.on("POST", "a/k").query("uploads", ""))?;
    status(&response, 200)?;
    let root = document(&response, "InitiateMultipartUploadResult")?;
    equal("Bucket", root.child("Bucket"), Some(scene.bucket.as_str()))?;
    equal("Key", root.child("Key"), Some("a/k"))?;
    holds(
        root.child("UploadId").is_some_and(|id| !id.is_empty()),
        "an UploadId",
    )?;
    status(&scene.send(&scene.on("GET", "a/k"))?, 404)
}

fn two_uploads_of_one_key_are_two(scene: &Scene) -> Outcome {
    let (one, two) = (scene.begin_upload("k")?, scene.begin_upload("k")?);
    holds(one != two, "ids differ")
}

fn headers_given_here_are_the_objects(scene: &Scene) -> Outcome {
    let call = scene
        .on("POST", "k")
        .query("uploads", "")
        .header("content-type", "text/x-parts");
    let response = scene.send(&call.header("x-amz-meta-a", "b"))?;
    let root = document(&response, "InitiateMultipartUploadResult")?;
    let upload = root.child("UploadId").unwrap_or_default();
    let etag = scene.put_part("k", upload, 1, b"abc")?;
    status(
        &scene.send(&scene.complete("k", upload, &[(1, etag)]))?,
        200,
    )?;
    let object = scene.get("k")?;
    header(&object, "content-type", "text/x-parts")?;
    header(&object, "x-amz-meta-a", "b")
}

fn a_missing_bucket_is_no_such_bucket(scene: &Scene) -> Outcome {
    let call = Call::new("POST", &format!("{}-none/k", scene.bucket)).query("uploads", "");
    error(&scene.send(&call)?, 404, "NoSuchBucket")
}
