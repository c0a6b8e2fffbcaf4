//! Promise 6: what is not understood is refused by name, and not half-done.

use cairn_compat_suite::{Call, xml};
use cairn_tests::oracle::Observation;
use cairn_tests::s3::{self, make_bucket, must_put};
use cairn_tests::server::Site;

/// (method, path, sub-resource) of S3 operations that this step does not have.
const OPERATIONS: &[(&str, &str, &str)] = &[
    ("GET", "b", "abac"),
    ("PUT", "b", "accelerate"),
    ("PUT", "b", "analytics&id"),
    ("PUT", "b", "cors"),
    ("PUT", "b", "encryption"),
    ("PUT", "b", "intelligent-tiering&id"),
    ("PUT", "b", "inventory&id"),
    ("PUT", "b", "lifecycle"),
    ("GET", "b", "metadataTable"),
    ("PUT", "b", "metrics&id"),
    ("PUT", "b", "object-lock"),
    ("PUT", "b", "ownershipControls"),
    ("PUT", "b", "policy"),
    ("PUT", "b", "publicAccessBlock"),
    ("PUT", "b", "replication"),
    ("PUT", "b", "tagging"),
    ("PUT", "b", "versioning"),
    ("PUT", "b", "website"),
    ("PUT", "b/k", "encryption"),
    ("PUT", "b/k", "legal-hold"),
    ("PUT", "b/k", "renameObject"),
    ("PUT", "b/k", "retention"),
    ("POST", "b/k", "restore"),
    ("POST", "b/k", "select&select-type"),
    ("GET", "b/k", "torrent"),
    ("GET", "b", "no-such-subresource"),
];

/// Headers of PutObject whose effect does not exist yet.
const EFFECTS: [(&str, &str); 7] = [
    ("x-amz-acl", "public-read"),
    ("x-amz-server-side-encryption", "AES256"),
    ("x-amz-tagging", "a=b"),
    ("x-amz-object-lock-legal-hold", "ON"),
    ("x-amz-website-redirect-location", "/x"),
    (
        "x-amz-grant-read",
        "uri=\"http://acs.amazonaws.com/groups/global/AllUsers\"",
    ),
    ("x-amz-write-offset-bytes", "0"),
];

/// Headers and parameters that ask for what is true anyway.
const HARMLESS: [(&str, &str); 3] = [
    ("x-amz-acl", "private"),
    ("x-amz-storage-class", "STANDARD"),
    ("x-amz-bypass-governance-retention", "true"),
];

#[test]
fn operations_that_do_not_exist_answer_501_by_name() {
    let site = Site::new(1);
    let server = site.start();
    make_bucket(&server.client, "b00");
    must_put(&server.client, "b00/k", b"before");
    let mut wrong = Vec::new();
    for &(method, path, sub_resource) in OPERATIONS {
        let call = Call::new(method, &path.replacen('b', "b00", 1));
        let call = sub_resource.split('&').fold(call, |call, name| match name {
            "select-type" => call.query(name, "2"),
            _ => call.query(name, ""),
        });
        let response = server.client.send(&call).expect("an answer");
        let code = xml::parse(&response.text())
            .ok()
            .and_then(|e| e.child("Code").map(str::to_owned));
        if (response.status, code.as_deref()) != (501, Some("NotImplemented")) {
            wrong.push(format!(
                "{method} {path}?{sub_resource}: {} {code:?}",
                response.status
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let after = s3::observe(&server.client, "b00/k").expect("a read");
    assert!(matches!(after, Observation::Present { bytes, .. } if bytes == b"before"));
}

#[test]
fn a_put_that_asks_for_a_missing_effect_stores_nothing() {
    let site = Site::new(1);
    let server = site.start();
    make_bucket(&server.client, "effects");
    for (name, value) in EFFECTS {
        let call = s3::put("effects/new", b"x".to_vec()).header(name, value);
        let response = server.client.send(&call).expect("an answer");
        assert_eq!(response.status, 501, "{name}: {}", response.text());
    }
    assert_eq!(
        s3::observe(&server.client, "effects/new"),
        Ok(Observation::Absent)
    );
}

#[test]
fn a_request_whose_effect_is_true_already_is_taken() {
    let site = Site::new(1);
    let server = site.start();
    make_bucket(&server.client, "harmless");
    for (name, value) in HARMLESS {
        let method = if name.contains("bypass") {
            "DELETE"
        } else {
            "PUT"
        };
        let call = Call::new(method, "harmless/k").header(name, value);
        let response = server.client.send(&call).expect("an answer");
        assert!(
            response.status < 300,
            "{name}: {} {}",
            response.status,
            response.text()
        );
    }
    must_put(&server.client, "harmless/k", b"x");
    let call = Call::new("GET", "harmless/k").query("versionId", "null");
    let response = server.client.send(&call).expect("an answer");
    assert_eq!((response.status, response.body), (200, b"x".to_vec()));
}
