//! DeleteObjects.

use super::{Scene, cases};
use crate::call::Call;
use crate::checksums::content_md5;
use crate::expectation::{Outcome, document, equal, error, status};

cases!("DeleteObjects", "API_DeleteObjects":
    each_key_is_reported_and_gone,
    quiet_reports_nothing,
    a_thousand_keys_are_the_most,
    a_body_that_is_not_a_delete_is_malformed,
    keys_are_unescaped,
);

fn delete(scene: &Scene, keys: &[&str], quiet: bool) -> Call {
    let keys: String = keys
        .iter()
        .map(|key| format!("<Object><Key>{key}</Key></Object>"))
        .collect();
    post(
        scene,
        &format!("<Delete>{keys}<Quiet>{quiet}</Quiet></Delete>"),
    )
}

fn post(scene: &Scene, body: &str) -> Call {
    let call = scene.on_bucket("POST").query("delete", "").body(body);
    call.header("content-md5", &content_md5(body.as_bytes()))
}

fn each_key_is_reported_and_gone(scene: &Scene) -> Outcome {
    scene.put("a", b"1")?;
    scene.put("b", b"2")?;
    scene.put("kept", b"3")?;
    let response = scene.send(&delete(scene, &["a", "b", "never-was"], false))?;
    status(&response, 200)?;
    let root = document(&response, "DeleteResult")?;
    equal(
        "Deleted",
        root.texts("Deleted/Key"),
        ["a", "b", "never-was"],
    )?;
    for (key, expected) in [("a", 404), ("b", 404), ("kept", 200)] {
        status(&scene.send(&scene.on("GET", key))?, expected)?;
    }
    Ok(())
}

fn quiet_reports_nothing(scene: &Scene) -> Outcome {
    scene.put("a", b"1")?;
    let response = scene.send(&delete(scene, &["a"], true))?;
    status(&response, 200)?;
    equal(
        "reports",
        document(&response, "DeleteResult")?.children.len(),
        0,
    )?;
    status(&scene.send(&scene.on("GET", "a"))?, 404)
}

fn a_thousand_keys_are_the_most(scene: &Scene) -> Outcome {
    let names: Vec<String> = (0..1_001).map(|n| format!("k{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (_, thousand) = names.split_first().unwrap_or((&"", &[]));
    status(&scene.send(&delete(scene, thousand, true))?, 200)?;
    error(
        &scene.send(&delete(scene, &names, true))?,
        400,
        "MalformedXML",
    )
}

fn a_body_that_is_not_a_delete_is_malformed(scene: &Scene) -> Outcome {
    for body in ["<Delete><Object>", "<Remove/>", "<Delete/>", "text"] {
        error(&scene.send(&post(scene, body))?, 400, "MalformedXML")?;
    }
    Ok(())
}

fn keys_are_unescaped(scene: &Scene) -> Outcome {
    scene.put("a&b <c>", b"1")?;
    let response = scene.send(&delete(scene, &["a&amp;b &lt;c&gt;"], false))?;
    equal(
        "Deleted",
        document(&response, "DeleteResult")?.texts("Deleted/Key"),
        ["a&b <c>"],
    )?;
    status(&scene.send(&scene.on("GET", "a&b <c>"))?, 404)
}
