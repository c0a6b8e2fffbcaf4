use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::target::Hosts;

fn resolve(method: &str, target: &str, header: Option<&str>) -> Result<Op, S3Error> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = HeaderMap::new();
    if let Some(name) = header {
        headers.insert(
            http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
            http::HeaderValue::from_static("/b/k"),
        );
    }
    let target = Target::parse("localhost", path, &Hosts::default()).unwrap();
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    Op::resolve(&method, &target, &Query::parse(query).unwrap(), &headers)
}

fn code(method: &str, target: &str) -> Code {
    resolve(method, target, None).unwrap_err().code()
}

#[test]
fn every_built_operation_is_found() {
    for (method, target, op) in [
        ("GET", "/", Op::ListBuckets),
        ("GET", "/?max-buckets=1&prefix=a", Op::ListBuckets),
        ("PUT", "/bkt", Op::CreateBucket),
        ("HEAD", "/bkt/", Op::HeadBucket),
        ("DELETE", "/bkt", Op::DeleteBucket),
        ("GET", "/bkt?location", Op::GetBucketLocation),
        ("GET", "/bkt", Op::ListObjects),
        ("GET", "/bkt?marker=a&max-keys=1", Op::ListObjects),
        ("GET", "/bkt?list-type=2&start-after=a", Op::ListObjectsV2),
        ("GET", "/bkt?versions&key-marker=a", Op::ListObjectVersions),
        ("GET", "/bkt?uploads", Op::ListMultipartUploads),
        ("POST", "/bkt?delete", Op::DeleteObjects),
        ("PUT", "/bkt/k", Op::PutObject),
        ("PUT", "/bkt/k?x-id=PutObject", Op::PutObject),
        (
            "GET",
            "/bkt/k?versionId=null&response-expires=1",
            Op::GetObject,
        ),
        ("GET", "/bkt/k?partNumber=1", Op::GetObject),
        ("GET", "/bkt/k?attributes", Op::GetObjectAttributes),
        ("HEAD", "/bkt/k", Op::HeadObject),
        ("DELETE", "/bkt/k?versionId=null", Op::DeleteObject),
        ("POST", "/bkt/k?uploads", Op::CreateMultipartUpload),
        ("PUT", "/bkt/k?partNumber=1&uploadId=u", Op::UploadPart),
        ("POST", "/bkt/k?uploadId=u", Op::CompleteMultipartUpload),
        ("DELETE", "/bkt/k?uploadId=u", Op::AbortMultipartUpload),
        ("GET", "/bkt/k?uploadId=u&max-parts=1", Op::ListParts),
        (
            "GET",
            "/bkt?analytics&id=1",
            Op::GetBucketAnalyticsConfiguration,
        ),
        (
            "GET",
            "/bkt?analytics&continuation-token=a",
            Op::ListBucketAnalyticsConfigurations,
        ),
        (
            "GET",
            "/bkt/k?retention&versionId=null",
            Op::GetObjectRetention,
        ),
        ("DELETE", "/bkt?policy", Op::DeleteBucketPolicy),
        (
            "GET",
            "/bkt/k?X-Amz-Signature=a&X-Amz-Checksum-Mode=ENABLED",
            Op::GetObject,
        ),
    ] {
        assert_eq!(
            resolve(method, target, None).unwrap(),
            op,
            "{method} {target}"
        );
    }
}

#[test]
fn a_copy_source_makes_a_copy() {
    let header = Some("x-amz-copy-source");
    let part = "/bkt/k?partNumber=1&uploadId=u";
    assert_eq!(resolve("PUT", "/bkt/k", header).unwrap(), Op::CopyObject);
    assert_eq!(resolve("PUT", part, header).unwrap(), Op::UploadPartCopy);
}

#[test]
fn an_unknown_sub_resource_never_falls_through() {
    // The holes of s3s 0.14 (`renameObject`, `encryption`), and keys nobody knows.
    for method in ["GET", "PUT", "POST", "DELETE", "HEAD"] {
        for target in [
            "/bkt/k?invented",
            "/bkt?invented",
            "/bkt/k?Acl",
            "/bkt/k?ACL=1",
            "/?invented",
        ] {
            let error = resolve(method, target, None).unwrap_err();
            let known = matches!(error.code(), Code::NotImplemented | Code::MethodNotAllowed);
            assert!(known, "{method} {target}: {error}");
        }
    }
    for target in [
        "/bkt/k?renameObject",
        "/bkt/k?encryption",
        "/bkt/k?legal-hold",
        "/bkt/k?retention",
        "/bkt?tagging",
        "/bkt?versioning",
        "/bkt?policy",
    ] {
        assert_eq!(code("PUT", target), Code::NotImplemented, "{target}");
    }
    let error = resolve("PUT", "/bkt/k?invented", None).unwrap_err();
    assert_eq!(error.field("QueryParameter"), Some("invented"));
}

#[test]
fn a_known_key_of_another_operation_is_refused() {
    for (method, target) in [
        ("PUT", "/bkt/k?uploadId=u"),
        ("PUT", "/bkt/k?partNumber=1"),
        ("PUT", "/bkt/k?versionId=v"),
        ("DELETE", "/bkt/k?partNumber=1"),
        ("GET", "/bkt/k?prefix=a"),
        ("GET", "/bkt?list-type=2&marker=a"),
        ("PUT", "/bkt/k?response-expires=1"),
        ("GET", "/bkt/k?acl&tagging"),
        ("PUT", "/bkt?uploads"),
    ] {
        assert_eq!(
            code(method, target),
            Code::NotImplemented,
            "{method} {target}"
        );
    }
}

#[test]
fn operations_that_are_not_built_are_named() {
    for (method, target, header, name) in [
        ("PUT", "/bkt/k?renameObject", None, "RenameObject"),
        ("POST", "/bkt", None, "PostObject"),
        (
            "POST",
            "/bkt/k?select&select-type=2",
            None,
            "SelectObjectContent",
        ),
        (
            "PUT",
            "/bkt?analytics&id=1",
            None,
            "PutBucketAnalyticsConfiguration",
        ),
        (
            "PUT",
            "/bkt?lifecycle",
            None,
            "PutBucketLifecycleConfiguration",
        ),
        ("GET", "/bkt/k?torrent", None, "GetObjectTorrent"),
    ] {
        let error = resolve(method, target, header).unwrap_err();
        assert_eq!(error.code(), Code::NotImplemented);
        assert!(
            error.message().starts_with(name),
            "{method} {target}: {error}"
        );
    }
}

#[test]
fn a_method_nobody_answers_is_not_allowed() {
    for (method, target) in [
        ("PUT", "/"),
        ("POST", "/"),
        ("DELETE", "/"),
        ("HEAD", "/"),
        ("PATCH", "/bkt/k"),
        ("POST", "/bkt/k"),
        ("OPTIONS", "/bkt/k"),
        ("TRACE", "/bkt"),
        ("get", "/bkt"),
    ] {
        assert_eq!(
            code(method, target),
            Code::MethodNotAllowed,
            "{method} {target}"
        );
    }
}

#[test]
fn only_list_type_2_is_a_list_type() {
    for target in ["/bkt?list-type=1", "/bkt?list-type=", "/bkt?list-type"] {
        assert_eq!(code("GET", target), Code::InvalidArgument, "{target}");
    }
}

#[test]
fn actions_follow_the_version() {
    let query = |text: &str| Query::parse(text).unwrap();
    assert_eq!(Op::GetObject.actions(&query("")), ["s3:GetObject"]);
    assert_eq!(
        Op::GetObject.actions(&query("versionId=v")),
        ["s3:GetObjectVersion"]
    );
    assert_eq!(
        Op::DeleteObject.actions(&query("versionId=v")),
        ["s3:DeleteObjectVersion"]
    );
    assert_eq!(
        Op::UploadPart.actions(&query("versionId=v")),
        ["s3:PutObject"]
    );
}

#[test]
fn the_table_is_whole_and_unambiguous() {
    let names: BTreeSet<&str> = Op::all().map(Op::name).collect();
    assert_eq!(names.len(), table::TABLE.len());
    // botocore 1.44.5: 116 operations, of which 4 are aliases and 1 lives elsewhere; PostObject is ours.
    assert_eq!(
        names.len() + ALIASES.len() + ELSEWHERE.len() - BEYOND_THE_MODEL.len(),
        116
    );
    let mut shapes = BTreeSet::new();
    for row in table::TABLE {
        assert_eq!(row.op.name(), row.name);
        let mut select = row.select.to_vec();
        select.sort_unstable();
        let shape = (row.method, format!("{:?}", row.kind), select, row.header);
        assert!(shapes.insert(shape), "{}", row.name);
        assert!(!row.actions.is_empty(), "{}", row.name);
        assert!(
            row.reads.iter().all(|key| !row.select.contains(key)),
            "{}",
            row.name
        );
    }
    assert_eq!(Op::all().filter(|op| op.is_built()).count(), 71);
}

#[test]
fn only_objects_stream_and_documents_are_bounded() {
    assert!(Op::PutObject.takes_object() && Op::UploadPart.takes_object());
    assert_eq!(Op::all().filter(|op| op.takes_object()).count(), 2);
    assert_eq!(Op::DeleteObjects.document_len_max(), 2 << 20);
    assert_eq!(Op::GetObject.document_len_max(), 0);
}

proptest! {
    #[test]
    fn resolving_is_closed(
        method in proptest::sample::select(vec!["GET", "PUT", "POST", "DELETE", "HEAD"]),
        path in proptest::sample::select(vec!["/", "/bkt", "/bkt/k"]),
        key in "[a-zA-Z-]{1,12}",
    ) {
        prop_assume!(!query::is_amz(&key) && key != "x-id");
        if let Ok(op) = resolve(method, &format!("{path}?{key}"), None) {
            prop_assert!(op.selectors().contains(&&*key) || op.reads().contains(&&*key));
        }
    }
}
