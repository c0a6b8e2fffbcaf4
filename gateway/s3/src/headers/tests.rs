use super::*;
use crate::testing::head;

fn judge(name: &str, value: &str) -> Result<Demands, S3Error> {
    check(&head("PUT", "/b/k", &[(name, value)]))
}

#[test]
fn what_is_already_so_is_accepted() {
    for (name, value) in [
        ("x-amz-acl", "private"),
        ("x-amz-acl", "PRIVATE"),
        ("x-amz-storage-class", "STANDARD"),
        ("x-amz-request-payer", "requester"),
        ("x-amz-object-ownership", "BucketOwnerEnforced"),
        ("x-amz-bucket-object-lock-enabled", "false"),
        ("x-amz-bypass-governance-retention", "true"),
        ("x-amz-object-lock-legal-hold", "OFF"),
        ("x-amz-optional-object-attributes", "RestoreStatus"),
        ("x-amz-bucket-namespace", "global"),
        ("x-amz-tagging", ""),
        ("x-amz-meta-anything", "at all"),
        ("x-amz-user-agent", "aws-sdk-js"),
        ("x-amz-checksum-mode", "ENABLED"),
        ("x-amzn-trace-id", "Root=1"),
        ("content-type", "text/plain"),
    ] {
        assert_eq!(
            judge(name, value).unwrap(),
            Demands::default(),
            "{name}: {value}"
        );
    }
}

#[test]
fn a_missing_effect_is_not_implemented_and_named() {
    for (name, value) in [
        ("x-amz-acl", "public-read"),
        ("x-amz-acl", "bucket-owner-read"),
        ("x-amz-grant-read", "id=\"1\""),
        ("x-amz-storage-class", "GLACIER"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-server-side-encryption-customer-key", "k"),
        ("x-amz-server-side-encryption-customer-key-MD5", "k"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-object-lock-legal-hold", "ON"),
        ("x-amz-bucket-object-lock-enabled", "true"),
        ("x-amz-object-ownership", "ObjectWriter"),
        ("x-amz-website-redirect-location", "/"),
        ("x-amz-mfa", "1 2"),
        ("x-amz-checksum-xxhash3", "v"),
        ("x-amz-if-match-size", "1"),
        ("x-amz-if-match-last-modified-time", "1"),
        ("x-amz-write-offset-bytes", "5"),
    ] {
        let error = judge(name, value).unwrap_err();
        assert_eq!(error.code(), Code::NotImplemented, "{name}: {value}");
        assert_eq!(error.field("Header"), Some(name.to_lowercase().as_str()));
    }
}

#[test]
fn an_unknown_header_is_not_implemented() {
    let error = judge("x-amz-invented-tomorrow", "1").unwrap_err();
    assert_eq!(error.code(), Code::NotImplemented);
    assert_eq!(error.field("Header"), Some("x-amz-invented-tomorrow"));
}

#[test]
fn a_value_unknown_to_aws_too_is_invalid() {
    assert_eq!(
        judge("x-amz-acl", "public-ready").unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(
        judge("x-amz-storage-class", "COLD").unwrap_err().code(),
        Code::InvalidStorageClass
    );
    let request_payer = judge("x-amz-request-payer", "owner").unwrap_err();
    assert_eq!(request_payer.code(), Code::InvalidArgument);
}

#[test]
fn hoisted_headers_are_judged_too() {
    let error = check(&head("PUT", "/b/k?x-amz-acl=public-read", &[])).unwrap_err();
    assert_eq!(error.code(), Code::NotImplemented);
    let error = check(&head("PUT", "/b/k?X-Amz-Tagging=a%3Db", &[])).unwrap_err();
    assert_eq!(error.field("Header"), Some("x-amz-tagging"));
}

#[test]
fn a_header_given_twice_is_refused() {
    let twice = [("x-amz-acl", "private"), ("x-amz-acl", "public-read")];
    let error = check(&head("PUT", "/b/k", &twice)).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
}

#[test]
fn what_only_the_gateway_knows_is_handed_on() {
    let demands = judge("x-amz-expected-bucket-owner", "123456789012").unwrap();
    assert_eq!(
        demands.expected_bucket_owner.as_deref(),
        Some("123456789012")
    );
    assert!(!demands.requester_must_own_bucket);
    let demands = judge("x-amz-acl", "bucket-owner-full-control").unwrap();
    assert!(demands.requester_must_own_bucket);
}

#[test]
fn the_table_names_each_header_once_in_lower_case() {
    let mut names: Vec<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    assert!(names.iter().all(|name| *name == name.to_lowercase()));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
