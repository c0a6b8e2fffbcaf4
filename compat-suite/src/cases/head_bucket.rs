//! HeadBucket.

use super::{Scene, cases};
use crate::call::Call;
use crate::expectation::{Outcome, equal, header, status};

cases!("HeadBucket", "API_HeadBucket":
    a_bucket_of_ours_is_there_with_its_region,
    a_missing_bucket_is_404_without_a_body,
);

fn a_bucket_of_ours_is_there_with_its_region(scene: &Scene) -> Outcome {
    let response = scene.send(&scene.on_bucket("HEAD"))?;
    status(&response, 200)?;
    header(&response, "x-amz-bucket-region", "us-east-1")
}

fn a_missing_bucket_is_404_without_a_body(scene: &Scene) -> Outcome {
    let response = scene.send(&Call::new("HEAD", &format!("{}-none", scene.bucket)))?;
    status(&response, 404)?;
    equal("body", response.body.len(), 0)
}
