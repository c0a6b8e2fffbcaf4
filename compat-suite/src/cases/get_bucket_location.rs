//! GetBucketLocation.

use super::{Scene, cases};
use crate::call::Call;
use crate::expectation::{Outcome, document, equal, error, status};

cases!("GetBucketLocation", "API_GetBucketLocation":
    us_east_1_is_an_empty_constraint,
    a_missing_bucket_is_no_such_bucket,
);

fn us_east_1_is_an_empty_constraint(scene: &Scene) -> Outcome {
    let response = scene.send(&scene.on_bucket("GET").query("location", ""))?;
    status(&response, 200)?;
    let root = document(&response, "LocationConstraint")?;
    equal("constraint", root.text.as_str(), "")
}

fn a_missing_bucket_is_no_such_bucket(scene: &Scene) -> Outcome {
    let call = Call::new("GET", &format!("{}-none", scene.bucket)).query("location", "");
    error(&scene.send(&call)?, 404, "NoSuchBucket")
}
