//! CreateBucket.

use super::{Scene, cases};
use crate::call::Call;
use crate::expectation::{Outcome, error, header, status};

cases!("CreateBucket", "API_CreateBucket":
    names_the_new_bucket_in_location,
    a_bucket_that_is_ours_already_is_accepted_in_us_east_1,
    invalid_names_are_refused,
    a_location_constraint_that_is_unknown_is_refused,
    a_body_that_is_not_xml_is_refused,
);

fn names_the_new_bucket_in_location(scene: &Scene) -> Outcome {
    let name = format!("{}-l", scene.bucket);
    let response = scene.send(&Call::new("PUT", &name))?;
    let removed = scene.send(&Call::new("DELETE", &name))?;
    status(&response, 200)?;
    header(&response, "location", &format!("/{name}"))?;
    status(&removed, 204)
}

fn a_bucket_that_is_ours_already_is_accepted_in_us_east_1(scene: &Scene) -> Outcome {
    scene.put("kept", b"x")?;
    status(&scene.send(&scene.on_bucket("PUT"))?, 200)?;
    scene.get("kept").map(drop)
}

fn invalid_names_are_refused(scene: &Scene) -> Outcome {
    let long = "a".repeat(64);
    for name in [
        "ab",
        "Upper",
        "under_score",
        "-dash",
        "dash-",
        "two..dots",
        "192.168.5.4",
        &long,
    ] {
        error(
            &scene.send(&Call::new("PUT", name))?,
            400,
            "InvalidBucketName",
        )?;
    }
    Ok(())
}

fn a_location_constraint_that_is_unknown_is_refused(scene: &Scene) -> Outcome {
    let body = "<CreateBucketConfiguration><LocationConstraint>nowhere-7</LocationConstraint>\
                </CreateBucketConfiguration>";
    let name = format!("{}-n", scene.bucket);
    let response = scene.send(&Call::new("PUT", &name).body(body))?;
    error(&response, 400, "InvalidLocationConstraint")
}

fn a_body_that_is_not_xml_is_refused(scene: &Scene) -> Outcome {
    let name = format!("{}-x", scene.bucket);
    let response = scene.send(&Call::new("PUT", &name).body("<Create"))?;
    error(&response, 400, "MalformedXML")
}
