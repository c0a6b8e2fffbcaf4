//! PutObject.

use super::{Scene, cases, pattern};
use crate::call::{Call, Payload};
use crate::checksums::{Algorithm, content_md5, etag, sha256_hex};
use crate::expectation::{Outcome, equal, error, header, holds, status};

cases!("PutObject", "API_PutObject":
    answers_with_the_md5_as_etag,
    an_empty_body_is_an_object,
    an_overwrite_replaces,
    keys_keep_every_character,
    a_key_of_1024_bytes_is_the_longest,
    a_missing_bucket_is_no_such_bucket,
    content_md5_is_verified,
    a_digest_header_that_is_no_digest_is_invalid,
    the_signed_digest_is_verified,
    checksum_headers_are_verified_and_answered,
    user_metadata_and_system_headers_come_back,
    user_metadata_over_2_kib_is_refused,
    if_none_match_star_creates_once,
    if_match_replaces_only_that_etag,
    chunked_payloads_are_joined,
    chunked_payloads_with_trailers_are_verified,
    a_body_shorter_than_its_decoded_length_is_refused,
    expect_100_continue_is_answered_before_the_body,
    expect_100_continue_of_a_refused_put_is_not_continued,
);

fn answers_with_the_md5_as_etag(scene: &Scene) -> Outcome {
    for length in [1, 4_096, 4_097, 65_536, 1 << 20] {
        let body = pattern(1, length);
        let response = scene.put("k", &body)?;
        header(&response, "etag", &etag(&body))?;
        equal("body", scene.get("k")?.body, body)?;
    }
    Ok(())
}

fn an_empty_body_is_an_object(scene: &Scene) -> Outcome {
    header(&scene.put("k", b"")?, "etag", &etag(b""))?;
    let response = scene.get("k")?;
    header(&response, "content-length", "0")?;
    equal("body", response.body.len(), 0)
}

fn an_overwrite_replaces(scene: &Scene) -> Outcome {
    scene.put("k", &pattern(1, 70_000))?;
    scene.put("k", b"second")?;
    equal(
        "body",
        scene.get("k")?.body.as_slice(),
        b"second".as_slice(),
    )
}

fn keys_keep_every_character(scene: &Scene) -> Outcome {
    for key in [
        "a b",
        "a+b",
        "a%20b",
        "é/日本",
        "a//b",
        "trailing/",
        "&<>\"'",
        "~!*()",
        "a?b#c",
    ] {
        scene.put(key, key.as_bytes())?;
        equal(key, scene.get(key)?.body.as_slice(), key.as_bytes())?;
    }
    Ok(())
}

fn a_key_of_1024_bytes_is_the_longest(scene: &Scene) -> Outcome {
    scene.put(&"k".repeat(1_024), b"x")?;
    let response = scene.send(&scene.on("PUT", &"k".repeat(1_025)).body("x"))?;
    error(&response, 400, "KeyTooLongError")
}

fn a_missing_bucket_is_no_such_bucket(scene: &Scene) -> Outcome {
    let call = Call::new("PUT", &format!("{}-none/k", scene.bucket)).body("x");
    error(&scene.send(&call)?, 404, "NoSuchBucket")
}

fn content_md5_is_verified(scene: &Scene) -> Outcome {
    let call = scene.on("PUT", "k").body("abc");
    status(
        &scene.send(&call.clone().header("content-md5", &content_md5(b"abc")))?,
        200,
    )?;
    let wrong = call.header("content-md5", &content_md5(b"abd"));
    error(&scene.send(&wrong)?, 400, "BadDigest")
}

fn a_digest_header_that_is_no_digest_is_invalid(scene: &Scene) -> Outcome {
    let call = scene
        .on("PUT", "k")
        .body("abc")
        .header("content-md5", "bm90IGFuIG1kNQ==");
    error(&scene.send(&call)?, 400, "InvalidDigest")?;
    status(&scene.send(&scene.on("GET", "k"))?, 404)
}

/// What is signed as the body's digest must be its digest.
fn the_signed_digest_is_verified(scene: &Scene) -> Outcome {
    let mut encoded = scene.client.encode(&scene.on("PUT", "k").body("abc"));
    encoded.body = b"abd".to_vec();
    let response = scene
        .client
        .connect()?
        .exchange("PUT", &encoded.head, &encoded.body)?;
    error(&response, 400, "XAmzContentSHA256Mismatch")?;
    holds(
        sha256_hex(b"abc") != sha256_hex(b"abd"),
        "the digests differ",
    )?;
    status(&scene.send(&scene.on("GET", "k"))?, 404)
}

fn checksum_headers_are_verified_and_answered(scene: &Scene) -> Outcome {
    let body = pattern(2, 100_000);
    for algorithm in Algorithm::ALL {
        let call = scene.on("PUT", "k").body(body.clone());
        let right = algorithm.of(&body);
        let response = scene.send(&call.clone().header(algorithm.header(), &right))?;
        status(&response, 200)?;
        header(&response, algorithm.header(), &right)?;
        let wrong = call.header(algorithm.header(), &algorithm.of(b"other"));
        error(&scene.send(&wrong)?, 400, "BadDigest")?;
        let asked = scene
            .on("HEAD", "k")
            .header("x-amz-checksum-mode", "ENABLED");
        header(&scene.send(&asked)?, algorithm.header(), &right)?;
    }
    Ok(())
}

fn user_metadata_and_system_headers_come_back(scene: &Scene) -> Outcome {
    let headers = [
        ("content-type", "text/x-cairn"),
        ("cache-control", "max-age=7"),
        ("content-disposition", "attachment; filename=\"a b\""),
        ("content-language", "de"),
        ("content-encoding", "zstd"),
        ("expires", "Thu, 01 Dec 2033 16:00:00 GMT"),
        ("x-amz-meta-colour", "blue green"),
        ("x-amz-meta-empty", ""),
    ];
    let call = scene.on("PUT", "k").body("x");
    let call = headers
        .iter()
        .fold(call, |call, (name, value)| call.header(name, value));
    status(&scene.send(&call)?, 200)?;
    let response = scene.get("k")?;
    headers
        .iter()
        .try_for_each(|(name, value)| header(&response, name, value))
}

fn user_metadata_over_2_kib_is_refused(scene: &Scene) -> Outcome {
    let call = scene
        .on("PUT", "k")
        .body("x")
        .header("x-amz-meta-long", &"v".repeat(2_100));
    error(&scene.send(&call)?, 400, "MetadataTooLarge")
}

fn if_none_match_star_creates_once(scene: &Scene) -> Outcome {
    let call = scene.on("PUT", "k").header("if-none-match", "*");
    status(&scene.send(&call.clone().body("first"))?, 200)?;
    error(
        &scene.send(&call.body("second"))?,
        412,
        "PreconditionFailed",
    )?;
    equal("body", scene.get("k")?.body.as_slice(), b"first".as_slice())
}

fn if_match_replaces_only_that_etag(scene: &Scene) -> Outcome {
    let call = |body: &str, tag: &str| scene.on("PUT", "k").body(body).header("if-match", tag);
    error(&scene.send(&call("x", &etag(b"first")))?, 404, "NoSuchKey")?;
    scene.put("k", b"first")?;
    status(&scene.send(&call("second", &etag(b"first")))?, 200)?;
    error(
        &scene.send(&call("third", &etag(b"first")))?,
        412,
        "PreconditionFailed",
    )?;
    equal(
        "body",
        scene.get("k")?.body.as_slice(),
        b"second".as_slice(),
    )
}

fn chunked_payloads_are_joined(scene: &Scene) -> Outcome {
    for (length, size) in [(0, 8_192), (10, 8_192), (65_536, 8_192), (200_001, 65_536)] {
        let body = pattern(3, length);
        let call = scene
            .on("PUT", "k")
            .body(body.clone())
            .payload(Payload::Chunked(size));
        let response = scene.send(&call)?;
        status(&response, 200)?;
        header(&response, "etag", &etag(&body))?;
        let got = scene.get("k")?;
        equal(
            "content-encoding",
            got.header("content-encoding"),
            None::<&str>,
        )?;
        equal("body", got.body, body)?;
    }
    Ok(())
}

fn chunked_payloads_with_trailers_are_verified(scene: &Scene) -> Outcome {
    let body = pattern(4, 100_001);
    for algorithm in Algorithm::ALL {
        for payload in [
            Payload::UnsignedTrailer(65_536, algorithm),
            Payload::ChunkedTrailer(65_536, algorithm),
        ] {
            let call = scene.on("PUT", "k").body(body.clone()).payload(payload);
            status(&scene.send(&call)?, 200)?;
            equal("body", scene.get("k")?.body, body.clone())?;
            let mut encoded = scene
                .client
                .encode(&scene.on("PUT", "w").body(b"abc").payload(payload));
            let text = String::from_utf8_lossy(&encoded.body).into_owned();
            encoded.body = text.replace("\r\nabc\r\n", "\r\nabd\r\n").into_bytes();
            let response = scene
                .client
                .connect()?
                .exchange("PUT", &encoded.head, &encoded.body)?;
            holds(
                (400..500).contains(&response.status),
                "a changed body is refused",
            )?;
            status(&scene.send(&scene.on("GET", "w"))?, 404)?;
        }
    }
    Ok(())
}

fn a_body_shorter_than_its_decoded_length_is_refused(scene: &Scene) -> Outcome {
    let payload = Payload::UnsignedTrailer(65_536, Algorithm::Crc32);
    let mut call = scene.on("PUT", "k").body("abc").payload(payload);
    let right = scene.client.encode(&call);
    call.body = b"abcd".to_vec();
    let long_head = scene.client.encode(&call);
    let head = String::from_utf8_lossy(&long_head.head).into_owned();
    let length = |encoded: usize| format!("content-length: {encoded}\r\n");
    let head = head.replace(&length(long_head.body.len()), &length(right.body.len()));
    let mut connection = scene.client.connect()?;
    let response = connection.exchange("PUT", head.as_bytes(), &right.body)?;
    error(&response, 400, "IncompleteBody")?;
    status(&scene.send(&scene.on("GET", "k"))?, 404)
}

fn expect_100_continue_is_answered_before_the_body(scene: &Scene) -> Outcome {
    let call = scene
        .on("PUT", "k")
        .body("patient")
        .header("expect", "100-continue");
    let encoded = scene.client.encode(&call);
    let mut connection = scene.client.connect()?;
    let (asked, response) = connection.exchange_expecting("PUT", &encoded.head, &encoded.body)?;
    holds(asked, "the server says 100 Continue")?;
    status(&response, 200)?;
    equal(
        "body",
        scene.get("k")?.body.as_slice(),
        b"patient".as_slice(),
    )
}

fn expect_100_continue_of_a_refused_put_is_not_continued(scene: &Scene) -> Outcome {
    let path = format!("{}-none/k", scene.bucket);
    let call = Call::new("PUT", &path)
        .body("x")
        .header("expect", "100-continue");
    let encoded = scene.client.encode(&call);
    let mut connection = scene.client.connect()?;
    let (asked, response) = connection.exchange_expecting("PUT", &encoded.head, &encoded.body)?;
    holds(!asked, "the body is not asked for")?;
    error(&response, 404, "NoSuchBucket")
}
