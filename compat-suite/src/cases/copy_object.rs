//! CopyObject.

use super::{PART_MIN, Scene, cases, pattern};
use crate::call::Call;
use crate::checksums::{Algorithm, etag, multipart_etag};
use crate::expectation::{Outcome, document, equal, error, header, holds, status};

cases!("CopyObject", "API_CopyObject":
    answers_with_etag_and_time,
    bytes_of_every_size_are_copied,
    either_outlives_the_other,
    metadata_is_kept_by_default,
    metadata_is_replaced_on_request,
    onto_itself_without_a_change_is_invalid,
    onto_itself_with_new_metadata,
    a_key_is_percent_encoded_in_the_header,
    a_plus_in_the_header_is_a_space,
    the_null_version_is_the_object,
    a_missing_source_is_named,
    a_source_without_a_key_is_invalid,
    an_unknown_directive_is_invalid,
    source_conditions_guard_the_copy,
    two_source_conditions_follow_the_documented_pairs,
    destination_conditions_guard_the_copy,
    the_checksum_algorithm_of_the_source_is_kept,
    another_checksum_algorithm_is_computed,
    a_multipart_object_is_copied,
    between_buckets,
);

fn copy(scene: &Scene, from: &str, to: &str) -> Call {
    let source = format!("/{}/{from}", scene.bucket);
    scene.on("PUT", to).header("x-amz-copy-source", &source)
}

/// A copy that must be made.
fn copied(scene: &Scene, call: &Call) -> Outcome {
    let response = scene.send(call)?;
    status(&response, 200)?;
    document(&response, "CopyObjectResult").map(drop)
}

fn answers_with_etag_and_time(scene: &Scene) -> Outcome {
    scene.put("a", b"abc")?;
    let response = scene.send(&copy(scene, "a", "b"))?;
    status(&response, 200)?;
    let root = document(&response, "CopyObjectResult")?;
    equal("ETag", root.child("ETag"), Some(etag(b"abc").as_str()))?;
    let time = root.child("LastModified").unwrap_or_default();
    holds(time.ends_with('Z') && time.contains('T'), "LastModified")?;
    header(&scene.get("b")?, "etag", &etag(b"abc"))
}

fn bytes_of_every_size_are_copied(scene: &Scene) -> Outcome {
    for length in [0, 1, 4_096, 4_097, 65_536, 70_001, 17 << 20] {
        let body = pattern(1, length);
        scene.put("a", &body)?;
        copied(scene, &copy(scene, "a", "b"))?;
        equal("body", scene.get("b")?.body, body)?;
    }
    Ok(())
}

fn either_outlives_the_other(scene: &Scene) -> Outcome {
    let body = pattern(1, 200_000);
    scene.put("a", &body)?;
    copied(scene, &copy(scene, "a", "b"))?;
    copied(scene, &copy(scene, "b", "c"))?;
    status(&scene.send(&scene.on("DELETE", "a"))?, 204)?;
    equal("copy", scene.get("b")?.body, body.clone())?;
    scene.put("b", b"overwritten")?;
    equal("copy of the copy", scene.get("c")?.body, body)
}

/// `a` with a content type and metadata.
fn put_described(scene: &Scene) -> Outcome {
    let call = scene.on("PUT", "a").body("abc");
    let call = call.header("content-type", "text/x-a");
    let call = call.header("cache-control", "no-store");
    status(
        &scene.send(&call.header("x-amz-meta-a", "of the source"))?,
        200,
    )
}

fn metadata_is_kept_by_default(scene: &Scene) -> Outcome {
    put_described(scene)?;
    let call = copy(scene, "a", "b").header("content-type", "text/x-b");
    copied(scene, &call.header("x-amz-meta-b", "ignored"))?;
    let object = scene.get("b")?;
    header(&object, "content-type", "text/x-a")?;
    header(&object, "cache-control", "no-store")?;
    header(&object, "x-amz-meta-a", "of the source")?;
    equal("x-amz-meta-b", object.header("x-amz-meta-b"), None)
}

fn metadata_is_replaced_on_request(scene: &Scene) -> Outcome {
    put_described(scene)?;
    let call = copy(scene, "a", "b").header("x-amz-metadata-directive", "REPLACE");
    let call = call.header("content-type", "text/x-b");
    copied(scene, &call.header("x-amz-meta-b", "of the copy"))?;
    let object = scene.get("b")?;
    header(&object, "content-type", "text/x-b")?;
    header(&object, "x-amz-meta-b", "of the copy")?;
    equal("x-amz-meta-a", object.header("x-amz-meta-a"), None)?;
    equal("cache-control", object.header("cache-control"), None)
}

fn onto_itself_without_a_change_is_invalid(scene: &Scene) -> Outcome {
    scene.put("a", b"abc")?;
    let response = scene.send(&copy(scene, "a", "a"))?;
    error(&response, 400, "InvalidRequest")?;
    equal("body", scene.get("a")?.body.as_slice(), b"abc".as_slice())
}

fn onto_itself_with_new_metadata(scene: &Scene) -> Outcome {
    let body = pattern(1, 200_000);
    scene.put("a", &body)?;
    for value in ["one", "two", "three"] {
        let call = copy(scene, "a", "a").header("x-amz-metadata-directive", "REPLACE");
        copied(scene, &call.header("x-amz-meta-step", value))?;
        let object = scene.get("a")?;
        header(&object, "x-amz-meta-step", value)?;
        equal("body", object.body, body.clone())?;
    }
    Ok(())
}

fn a_key_is_percent_encoded_in_the_header(scene: &Scene) -> Outcome {
    scene.put("a b+c/é%41?x", b"odd")?;
    let key = "a%20b%2Bc/%C3%A9%2541%3Fx";
    copied(scene, &copy(scene, key, "b"))?;
    equal("body", scene.get("b")?.body.as_slice(), b"odd".as_slice())?;
    let bare = format!("{}/{key}", scene.bucket);
    let call = scene.on("PUT", "c").header("x-amz-copy-source", &bare);
    copied(scene, &call)
}

/// As HTML forms encode: what is a plus is written `%2B`.
fn a_plus_in_the_header_is_a_space(scene: &Scene) -> Outcome {
    scene.put("a b+c", b"abc")?;
    copied(scene, &copy(scene, "a+b%2Bc", "d"))?;
    equal("body", scene.get("d")?.body, b"abc".to_vec())
}

fn the_null_version_is_the_object(scene: &Scene) -> Outcome {
    scene.put("a", b"abc")?;
    copied(scene, &copy(scene, "a?versionId=null", "b"))?;
    equal("body", scene.get("b")?.body.as_slice(), b"abc".as_slice())
}

fn a_missing_source_is_named(scene: &Scene) -> Outcome {
    let response = scene.send(&copy(scene, "none", "b"))?;
    error(&response, 404, "NoSuchKey")?;
    let call = scene.on("PUT", "b");
    let call = call.header("x-amz-copy-source", "/no-such-bucket-anywhere-here/k");
    error(&scene.send(&call)?, 404, "NoSuchBucket")?;
    status(&scene.send(&scene.on("HEAD", "b"))?, 404)
}

fn a_source_without_a_key_is_invalid(scene: &Scene) -> Outcome {
    for source in [format!("/{}", scene.bucket), format!("/{}/", scene.bucket)] {
        let call = scene.on("PUT", "b").header("x-amz-copy-source", &source);
        error(&scene.send(&call)?, 400, "InvalidArgument")?;
    }
    Ok(())
}

fn an_unknown_directive_is_invalid(scene: &Scene) -> Outcome {
    scene.put("a", b"abc")?;
    for name in ["x-amz-metadata-directive", "x-amz-tagging-directive"] {
        let response = scene.send(&copy(scene, "a", "b").header(name, "MERGE"))?;
        error(&response, 400, "InvalidArgument")?;
    }
    Ok(())
}

const LONG_AGO: &str = "Fri, 01 Jan 2010 00:00:00 GMT";
const FAR_AHEAD: &str = "Fri, 01 Jan 2100 00:00:00 GMT";

fn source_conditions_guard_the_copy(scene: &Scene) -> Outcome {
    scene.put("a", b"abc")?;
    let (this, other) = (etag(b"abc"), etag(b"x"));
    for (condition, met, unmet) in [
        ("match", this.as_str(), other.as_str()),
        ("none-match", &other, &this),
        ("modified-since", LONG_AGO, FAR_AHEAD),
        ("unmodified-since", FAR_AHEAD, LONG_AGO),
    ] {
        let name = format!("x-amz-copy-source-if-{condition}");
        let response = scene.send(&copy(scene, "a", "b").header(&name, unmet))?;
        error(&response, 412, "PreconditionFailed")?;
        copied(scene, &copy(scene, "a", "b").header(&name, met))?;
    }
    Ok(())
}

fn two_source_conditions_follow_the_documented_pairs(scene: &Scene) -> Outcome {
    scene.put("a", b"abc")?;
    let both = |one: (&str, &str), two: (&str, &str)| {
        let name = |condition: &str| format!("x-amz-copy-source-if-{condition}");
        let call = copy(scene, "a", "b").header(&name(one.0), one.1);
        call.header(&name(two.0), two.1)
    };
    let this = etag(b"abc");
    let call = both(("match", &this), ("unmodified-since", LONG_AGO));
    copied(scene, &call)?;
    let call = both(("none-match", &this), ("modified-since", LONG_AGO));
    error(&scene.send(&call)?, 412, "PreconditionFailed")
}

fn destination_conditions_guard_the_copy(scene: &Scene) -> Outcome {
    scene.put("a", b"abc")?;
    let new = copy(scene, "a", "b").header("if-none-match", "*");
    copied(scene, &new)?;
    error(&scene.send(&new)?, 412, "PreconditionFailed")?;
    let replace = |tag: &str| copy(scene, "a", "b").header("if-match", tag);
    error(
        &scene.send(&replace(&etag(b"x")))?,
        412,
        "PreconditionFailed",
    )?;
    copied(scene, &replace(&etag(b"abc")))
}

fn checksum_of(
    scene: &Scene,
    key: &str,
    sum: Algorithm,
) -> Result<Option<String>, crate::expectation::Failure> {
    let call = scene
        .on("HEAD", key)
        .header("x-amz-checksum-mode", "ENABLED");
    Ok(scene.send(&call)?.header(sum.header()).map(str::to_owned))
}

fn the_checksum_algorithm_of_the_source_is_kept(scene: &Scene) -> Outcome {
    for sum in Algorithm::ALL {
        let call = scene.on("PUT", "a").body("abc");
        status(
            &scene.send(&call.header(sum.header(), &sum.of(b"abc")))?,
            200,
        )?;
        copied(scene, &copy(scene, "a", "b"))?;
        equal(
            sum.name(),
            checksum_of(scene, "b", sum)?,
            Some(sum.of(b"abc")),
        )?;
    }
    Ok(())
}

fn another_checksum_algorithm_is_computed(scene: &Scene) -> Outcome {
    for length in [10, 300_000] {
        let body = pattern(3, length);
        scene.put("a", &body)?;
        for sum in Algorithm::ALL {
            let call = copy(scene, "a", "b").header("x-amz-checksum-algorithm", sum.name());
            let response = scene.send(&call)?;
            status(&response, 200)?;
            let root = document(&response, "CopyObjectResult")?;
            let element = format!("Checksum{}", sum.name());
            equal(
                sum.name(),
                root.child(&element),
                Some(sum.of(&body).as_str()),
            )?;
            equal(
                sum.name(),
                checksum_of(scene, "b", sum)?,
                Some(sum.of(&body)),
            )?;
            equal("body", scene.get("b")?.body, body.clone())?;
        }
    }
    Ok(())
}

fn a_multipart_object_is_copied(scene: &Scene) -> Outcome {
    let upload = scene.begin_upload("a")?;
    let (one, two) = (pattern(1, PART_MIN), pattern(2, 1_000));
    let first = scene.put_part("a", &upload, 1, &one)?;
    let second = scene.put_part("a", &upload, 2, &two)?;
    let call = scene.complete("a", &upload, &[(1, first), (2, second)]);
    status(&scene.send(&call)?, 200)?;
    copied(scene, &copy(scene, "a", "b"))?;
    status(&scene.send(&scene.on("DELETE", "a"))?, 204)?;
    let object = scene.get("b")?;
    // AWS makes an object of one piece of it; that its parts stay is ours, and said in SEMANTICS.
    let tags = [
        etag(&[one.clone(), two.clone()].concat()),
        multipart_etag([one.as_slice(), two.as_slice()]),
    ];
    let tag = object.header("etag").unwrap_or_default().to_owned();
    holds(tags.contains(&tag), "an ETag of the same bytes")?;
    equal("body", object.body, [one, two].concat())
}

fn between_buckets(scene: &Scene) -> Outcome {
    let body = pattern(1, 100_000);
    scene.put("a", &body)?;
    let other = Scene::open(&scene.client, &format!("{}-2", scene.bucket))?;
    let source = format!("{}/a", scene.bucket);
    let call = other.on("PUT", "b").header("x-amz-copy-source", &source);
    copied(&other, &call)?;
    status(&scene.send(&scene.on("DELETE", "a"))?, 204)?;
    equal("body", other.get("b")?.body, body)?;
    status(&other.send(&other.on("DELETE", "b"))?, 204)?;
    status(&other.send(&other.on_bucket("DELETE"))?, 204)
}
