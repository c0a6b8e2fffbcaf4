//! DeleteObject.

use super::{Scene, cases};
use crate::call::Call;
use crate::expectation::{Outcome, equal, error, status};

cases!("DeleteObject", "API_DeleteObject":
    the_object_is_gone,
    a_missing_key_is_no_error,
    a_missing_bucket_is_no_such_bucket,
    one_key_is_not_its_neighbour,
    if_match_deletes_only_that_etag,
    if_match_on_a_missing_key_is_no_error,
);

fn the_object_is_gone(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    let response = scene.send(&scene.on("DELETE", "k"))?;
    status(&response, 204)?;
    equal("body", response.body.len(), 0)?;
    error(&scene.send(&scene.on("GET", "k"))?, 404, "NoSuchKey")
}

fn a_missing_key_is_no_error(scene: &Scene) -> Outcome {
    status(&scene.send(&scene.on("DELETE", "none"))?, 204)
}

fn a_missing_bucket_is_no_such_bucket(scene: &Scene) -> Outcome {
    let call = Call::new("DELETE", &format!("{}-none/k", scene.bucket));
    error(&scene.send(&call)?, 404, "NoSuchBucket")
}

fn one_key_is_not_its_neighbour(scene: &Scene) -> Outcome {
    for key in ["a", "a/", "a/b", "ab"] {
        scene.put(key, key.as_bytes())?;
    }
    status(&scene.send(&scene.on("DELETE", "a/"))?, 204)?;
    for key in ["a", "a/b", "ab"] {
        scene.get(key)?;
    }
    status(&scene.send(&scene.on("GET", "a/"))?, 404)
}

fn if_match_deletes_only_that_etag(scene: &Scene) -> Outcome {
    let put = scene.put("k", b"abc")?;
    let delete = |etag: &str| scene.send(&scene.on("DELETE", "k").header("if-match", etag));
    error(
        &delete("\"00000000000000000000000000000000\"")?,
        412,
        "PreconditionFailed",
    )?;
    scene.get("k")?;
    status(&delete(put.header("etag").unwrap_or_default())?, 204)?;
    status(&scene.send(&scene.on("GET", "k"))?, 404)
}

fn if_match_on_a_missing_key_is_no_error(scene: &Scene) -> Outcome {
    let call = scene.on("DELETE", "none").header("if-match", "\"e\"");
    status(&scene.send(&call)?, 204)
}
