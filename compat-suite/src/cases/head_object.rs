//! HeadObject.

use super::{Scene, cases, pattern};
use crate::checksums::etag;
use crate::expectation::{Outcome, equal, header, status};

cases!("HeadObject", "API_HeadObject":
    has_the_headers_of_a_get_and_no_body,
    a_missing_key_is_404_without_a_body,
    conditions_are_those_of_a_get,
    a_range_is_206,
);

fn has_the_headers_of_a_get_and_no_body(scene: &Scene) -> Outcome {
    let body = pattern(1, 70_000);
    let call = scene
        .on("PUT", "k")
        .body(body.clone())
        .header("x-amz-meta-a", "b");
    status(&scene.send(&call)?, 200)?;
    let (head, get) = (scene.send(&scene.on("HEAD", "k"))?, scene.get("k")?);
    status(&head, 200)?;
    equal("body", head.body.len(), 0)?;
    for name in [
        "content-length",
        "content-type",
        "etag",
        "last-modified",
        "x-amz-meta-a",
    ] {
        equal(name, head.header(name), get.header(name))?;
    }
    header(&head, "content-length", "70000")
}

fn a_missing_key_is_404_without_a_body(scene: &Scene) -> Outcome {
    let response = scene.send(&scene.on("HEAD", "none"))?;
    status(&response, 404)?;
    equal("body", response.body.len(), 0)
}

fn conditions_are_those_of_a_get(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    let with = |name: &str, tag: &str| scene.on("HEAD", "k").header(name, tag);
    status(&scene.send(&with("if-match", &etag(b"x")))?, 412)?;
    status(&scene.send(&with("if-none-match", &etag(b"abc")))?, 304)?;
    status(&scene.send(&with("if-match", &etag(b"abc")))?, 200)
}

fn a_range_is_206(scene: &Scene) -> Outcome {
    scene.put("k", b"abcdef")?;
    let response = scene.send(&scene.on("HEAD", "k").header("range", "bytes=1-2"))?;
    status(&response, 206)?;
    header(&response, "content-length", "2")
}
