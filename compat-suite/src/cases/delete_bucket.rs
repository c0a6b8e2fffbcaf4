//! DeleteBucket.

use super::{Scene, cases};
use crate::call::Call;
use crate::expectation::{Outcome, error, status};

cases!("DeleteBucket", "API_DeleteBucket":
    an_empty_bucket_goes,
    a_bucket_with_objects_stays,
    a_missing_bucket_is_no_such_bucket,
);

fn an_empty_bucket_goes(scene: &Scene) -> Outcome {
    status(&scene.send(&scene.on_bucket("DELETE"))?, 204)?;
    status(&scene.send(&scene.on_bucket("HEAD"))?, 404)?;
    error(&scene.send(&scene.on("GET", "k"))?, 404, "NoSuchBucket")
}

fn a_bucket_with_objects_stays(scene: &Scene) -> Outcome {
    scene.put("k", b"x")?;
    error(
        &scene.send(&scene.on_bucket("DELETE"))?,
        409,
        "BucketNotEmpty",
    )?;
    scene.get("k").map(drop)
}

fn a_missing_bucket_is_no_such_bucket(scene: &Scene) -> Outcome {
    let call = Call::new("DELETE", &format!("{}-none", scene.bucket));
    error(&scene.send(&call)?, 404, "NoSuchBucket")
}
