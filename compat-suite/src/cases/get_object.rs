//! GetObject.

use super::{Scene, cases, pattern};
use crate::call::Call;
use crate::checksums::{Algorithm, etag};
use crate::expectation::{Outcome, equal, error, header, holds, status};

cases!("GetObject", "API_GetObject":
    a_missing_key_is_no_such_key,
    a_missing_bucket_is_no_such_bucket,
    has_the_headers_of_an_object,
    ranges_give_their_bytes,
    a_range_past_the_end_is_cut,
    a_range_that_starts_past_the_end_is_416,
    a_malformed_range_is_ignored,
    if_match_holds_or_412,
    if_none_match_gives_304,
    dates_are_conditions_too,
    response_headers_can_be_overridden,
    the_null_version_is_the_object,
    a_checksum_is_answered_when_asked_for,
    an_error_names_resource_and_request,
);

fn a_missing_key_is_no_such_key(scene: &Scene) -> Outcome {
    error(&scene.send(&scene.on("GET", "none"))?, 404, "NoSuchKey")
}

fn a_missing_bucket_is_no_such_bucket(scene: &Scene) -> Outcome {
    let call = Call::new("GET", &format!("{}-none/k", scene.bucket));
    error(&scene.send(&call)?, 404, "NoSuchBucket")
}

fn has_the_headers_of_an_object(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    let response = scene.get("k")?;
    header(&response, "content-length", "3")?;
    header(&response, "content-type", "binary/octet-stream")?;
    header(&response, "etag", &etag(b"abc"))?;
    header(&response, "accept-ranges", "bytes")?;
    let date = response.header("last-modified").unwrap_or_default();
    holds(
        date.ends_with(" GMT") && date.len() == 29,
        "last-modified is an HTTP date",
    )?;
    holds(
        response.header("x-amz-request-id").is_some(),
        "the request has an id",
    )
}

fn ranges_give_their_bytes(scene: &Scene) -> Outcome {
    let body = pattern(5, 300_000);
    scene.put("k", &body)?;
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=0-65535", 0, 65_536),
        ("bytes=65535-65536", 65_535, 65_537),
        ("bytes=131071-262145", 131_071, 262_146),
        ("bytes=299999-299999", 299_999, 300_000),
        ("bytes=200000-", 200_000, 300_000),
        ("bytes=-1", 299_999, 300_000),
        ("bytes=-400000", 0, 300_000),
    ] {
        let response = scene.send(&scene.on("GET", "k").header("range", range))?;
        status(&response, 206)?;
        header(
            &response,
            "content-range",
            &format!("bytes {from}-{}/300000", to - 1),
        )?;
        equal(range, Some(response.body.as_slice()), body.get(from..to))?;
    }
    Ok(())
}

fn a_range_past_the_end_is_cut(scene: &Scene) -> Outcome {
    scene.put("k", b"abcdef")?;
    let response = scene.send(&scene.on("GET", "k").header("range", "bytes=4-100"))?;
    status(&response, 206)?;
    header(&response, "content-range", "bytes 4-5/6")?;
    equal("body", response.body.as_slice(), b"ef".as_slice())
}

fn a_range_that_starts_past_the_end_is_416(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    scene.put("empty", b"")?;
    for (key, range) in [("k", "bytes=3-"), ("k", "bytes=-0"), ("empty", "bytes=0-0")] {
        let response = scene.send(&scene.on("GET", key).header("range", range))?;
        error(&response, 416, "InvalidRange")?;
    }
    Ok(())
}

fn a_malformed_range_is_ignored(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    for range in ["bytes=2-1", "bytes=a-b", "lines=0-1", "bytes="] {
        let response = scene.send(&scene.on("GET", "k").header("range", range))?;
        status(&response, 200)?;
        equal(range, response.body.as_slice(), b"abc".as_slice())?;
    }
    Ok(())
}

fn if_match_holds_or_412(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    let with = |tag: &str| scene.on("GET", "k").header("if-match", tag);
    status(&scene.send(&with(&etag(b"abc")))?, 200)?;
    error(
        &scene.send(&with(&etag(b"abd")))?,
        412,
        "PreconditionFailed",
    )
}

fn if_none_match_gives_304(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    let with = |tag: &str| scene.on("GET", "k").header("if-none-match", tag);
    let unchanged = scene.send(&with(&etag(b"abc")))?;
    status(&unchanged, 304)?;
    header(&unchanged, "etag", &etag(b"abc"))?;
    equal("body", unchanged.body.len(), 0)?;
    status(&scene.send(&with(&etag(b"abd")))?, 200)
}

fn dates_are_conditions_too(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    let (old, new) = (
        "Sat, 01 Jan 2000 00:00:00 GMT",
        "Fri, 01 Jan 2100 00:00:00 GMT",
    );
    let with = |name: &str, date: &str| scene.on("GET", "k").header(name, date);
    status(&scene.send(&with("if-modified-since", old))?, 200)?;
    error(
        &scene.send(&with("if-unmodified-since", old))?,
        412,
        "PreconditionFailed",
    )?;
    status(&scene.send(&with("if-unmodified-since", new))?, 200)?;
    let both = with("if-unmodified-since", old).header("if-match", &etag(b"abc"));
    status(&scene.send(&both)?, 200)
}

fn response_headers_can_be_overridden(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    let call = scene
        .on("GET", "k")
        .query("response-content-type", "text/plain");
    let call = call.query("response-content-disposition", "attachment");
    let response = scene.send(&call.query("response-cache-control", "no-store"))?;
    status(&response, 200)?;
    header(&response, "content-type", "text/plain")?;
    header(&response, "content-disposition", "attachment")?;
    header(&response, "cache-control", "no-store")
}

fn the_null_version_is_the_object(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    let response = scene.send(&scene.on("GET", "k").query("versionId", "null"))?;
    status(&response, 200)?;
    equal("body", response.body.as_slice(), b"abc".as_slice())
}

fn a_checksum_is_answered_when_asked_for(scene: &Scene) -> Outcome {
    let sum = Algorithm::Crc32c;
    let call = scene
        .on("PUT", "k")
        .body("abc")
        .header(sum.header(), &sum.of(b"abc"));
    status(&scene.send(&call)?, 200)?;
    let asked = scene
        .on("GET", "k")
        .header("x-amz-checksum-mode", "ENABLED");
    header(&scene.send(&asked)?, sum.header(), &sum.of(b"abc"))
}

fn an_error_names_resource_and_request(scene: &Scene) -> Outcome {
    let response = scene.send(&scene.on("GET", "none"))?;
    let root = crate::expectation::document(&response, "Error")?;
    holds(
        root.child("Message").is_some_and(|text| !text.is_empty()),
        "a Message",
    )?;
    equal(
        "RequestId",
        root.child("RequestId"),
        response.header("x-amz-request-id"),
    )?;
    header(&response, "content-type", "application/xml")
}
