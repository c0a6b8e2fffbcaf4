//! ListObjectsV2.

use super::{Scene, cases};
use crate::expectation::{Outcome, document, equal, error, holds, status};
use crate::xml::Element;
use crate::{Call, expectation::Failure};

cases!("ListObjectsV2", "API_ListObjectsV2":
    keys_are_in_byte_order,
    a_prefix_narrows_and_a_delimiter_groups,
    pages_are_joined_by_tokens,
    groups_count_as_keys_of_a_page,
    start_after_is_left_out,
    no_keys_may_be_asked_for,
    more_than_a_thousand_is_a_thousand,
    keys_can_be_url_encoded,
    an_owner_is_named_when_asked_for,
    a_missing_bucket_is_no_such_bucket,
    bad_arguments_are_invalid,
    a_listing_sees_each_write_at_once,
);

fn v2(scene: &Scene) -> Call {
    scene.on_bucket("GET").query("list-type", "2")
}

fn list(scene: &Scene, call: &Call) -> Result<Element, Failure> {
    let response = scene.send(call)?;
    status(&response, 200)?;
    document(&response, "ListBucketResult")
}

fn put_all(scene: &Scene, keys: &[&str]) -> Outcome {
    keys.iter()
        .try_for_each(|key| scene.put(key, b"").map(drop))
}

fn keys_are_in_byte_order(scene: &Scene) -> Outcome {
    let mut keys = ["b", "B", "a", "a/", "a!", "a0", "é", "~", "Z", "aa"];
    put_all(scene, &keys)?;
    keys.sort_by_key(|key| key.as_bytes().to_vec());
    let root = list(scene, &v2(scene))?;
    equal("keys", root.texts("Contents/Key"), keys)?;
    equal("KeyCount", root.child("KeyCount"), Some("10"))
}

fn a_prefix_narrows_and_a_delimiter_groups(scene: &Scene) -> Outcome {
    put_all(scene, &["p/a", "p/b/1", "p/b/2", "p/c/1", "p/d", "q/x"])?;
    let root = list(
        scene,
        &v2(scene).query("prefix", "p/").query("delimiter", "/"),
    )?;
    equal("keys", root.texts("Contents/Key"), ["p/a", "p/d"])?;
    equal(
        "groups",
        root.texts("CommonPrefixes/Prefix"),
        ["p/b/", "p/c/"],
    )?;
    equal("Delimiter", root.child("Delimiter"), Some("/"))?;
    let odd = list(scene, &v2(scene).query("delimiter", "b/"))?;
    equal("groups", odd.texts("CommonPrefixes/Prefix"), ["p/b/"])
}

fn pages_are_joined_by_tokens(scene: &Scene) -> Outcome {
    let keys: Vec<String> = (0..12).map(|n| format!("k{n:02}")).collect();
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    put_all(scene, &names)?;
    let mut seen = Vec::new();
    let mut call = v2(scene).query("max-keys", "5");
    for expected in ["true", "true", "false"] {
        let page = list(scene, &call)?;
        equal("IsTruncated", page.child("IsTruncated"), Some(expected))?;
        seen.extend(page.texts("Contents/Key"));
        let token = page.child("NextContinuationToken");
        equal("a token", token.is_some(), expected == "true")?;
        call = v2(scene).query("max-keys", "5");
        call = call.query("continuation-token", token.unwrap_or_default());
    }
    equal("all pages", seen, keys)
}

fn groups_count_as_keys_of_a_page(scene: &Scene) -> Outcome {
    put_all(scene, &["a/1", "a/2", "b/1", "c"])?;
    let call = v2(scene).query("delimiter", "/").query("max-keys", "2");
    let first = list(scene, &call)?;
    equal("groups", first.texts("CommonPrefixes/Prefix"), ["a/", "b/"])?;
    equal("KeyCount", first.child("KeyCount"), Some("2"))?;
    let token = first.child("NextContinuationToken").unwrap_or_default();
    let second = list(scene, &call.query("continuation-token", token))?;
    equal("keys", second.texts("Contents/Key"), ["c"])?;
    equal("groups", second.texts("CommonPrefixes/Prefix").len(), 0)
}

fn start_after_is_left_out(scene: &Scene) -> Outcome {
    put_all(scene, &["a", "b", "c"])?;
    let root = list(scene, &v2(scene).query("start-after", "b"))?;
    equal("keys", root.texts("Contents/Key"), ["c"])?;
    let between = list(scene, &v2(scene).query("start-after", "aa"))?;
    equal("keys", between.texts("Contents/Key"), ["b", "c"])
}

fn no_keys_may_be_asked_for(scene: &Scene) -> Outcome {
    put_all(scene, &["a"])?;
    let root = list(scene, &v2(scene).query("max-keys", "0"))?;
    equal("KeyCount", root.child("KeyCount"), Some("0"))?;
    equal("IsTruncated", root.child("IsTruncated"), Some("false"))
}

fn more_than_a_thousand_is_a_thousand(scene: &Scene) -> Outcome {
    put_all(scene, &["a"])?;
    let root = list(scene, &v2(scene).query("max-keys", "5000"))?;
    equal("MaxKeys", root.child("MaxKeys"), Some("1000"))?;
    equal("keys", root.texts("Contents/Key"), ["a"])
}

fn keys_can_be_url_encoded(scene: &Scene) -> Outcome {
    put_all(scene, &["a b+c/é"])?;
    let root = list(scene, &v2(scene).query("encoding-type", "url"))?;
    equal("EncodingType", root.child("EncodingType"), Some("url"))?;
    let keys = root.texts("Contents/Key");
    let spaces = ["a%20b%2Bc/%C3%A9", "a+b%2Bc/%C3%A9"];
    holds(
        keys.iter().all(|key| spaces.contains(&key.as_str())),
        "keys are encoded",
    )?;
    equal("keys", keys.len(), 1)
}

fn an_owner_is_named_when_asked_for(scene: &Scene) -> Outcome {
    put_all(scene, &["a"])?;
    let without = list(scene, &v2(scene))?;
    equal("owners", without.texts("Contents/Owner").len(), 0)?;
    let with = list(scene, &v2(scene).query("fetch-owner", "true"))?;
    equal("owners", with.texts("Contents/Owner/ID").len(), 1)
}

fn a_missing_bucket_is_no_such_bucket(scene: &Scene) -> Outcome {
    let call = Call::new("GET", &format!("{}-none", scene.bucket)).query("list-type", "2");
    error(&scene.send(&call)?, 404, "NoSuchBucket")
}

fn bad_arguments_are_invalid(scene: &Scene) -> Outcome {
    for (name, value) in [
        ("max-keys", "many"),
        ("max-keys", "-1"),
        ("encoding-type", "rot13"),
        ("continuation-token", "never-given-out"),
    ] {
        error(
            &scene.send(&v2(scene).query(name, value))?,
            400,
            "InvalidArgument",
        )?;
    }
    Ok(())
}

fn a_listing_sees_each_write_at_once(scene: &Scene) -> Outcome {
    for round in 0..10 {
        let key = format!("r{round}");
        scene.put(&key, b"x")?;
        holds(
            list(scene, &v2(scene))?
                .texts("Contents/Key")
                .contains(&key),
            "a put is listed",
        )?;
        status(&scene.send(&scene.on("DELETE", &key))?, 204)?;
        equal(
            "keys",
            list(scene, &v2(scene))?.texts("Contents/Key").len(),
            0,
        )?;
    }
    Ok(())
}
