use super::*;
use crate::testing::{head, try_head};

fn code(target: &str, headers: &[(&str, &str)]) -> Code {
    try_head("GET", target, headers).unwrap_err().code()
}

#[test]
fn a_head_keeps_its_raw_path_and_host() {
    let head = head("GET", "/b/a%2Fb?prefix=c", &[("Host", "h:9000")]);
    assert_eq!((head.path(), head.host()), ("/b/a%2Fb", "h:9000"));
    assert_eq!(head.query().get("prefix"), Some("c"));
    let authority = head_without_host("http://h2:9000/b");
    assert_eq!(authority.host(), "h2:9000");
}

fn head_without_host(target: &str) -> Head {
    head("GET", target, &[])
}

#[test]
fn headers_are_hoisted_out_of_the_query() {
    let head = head(
        "PUT",
        "/b/k?x-amz-acl=private&X-Amz-Meta-A=b%20c&X-Amz-Signature=s",
        &[],
    );
    assert_eq!(head.header("x-amz-acl").unwrap(), Some("private"));
    assert_eq!(head.header("x-amz-meta-a").unwrap(), Some("b c"));
    assert_eq!(head.header("x-amz-signature").unwrap(), None);
    assert!(head.is_hoisted(&HeaderName::from_static("x-amz-acl")));
}

#[test]
fn a_header_in_both_places_is_refused() {
    let headers = [("x-amz-acl", "private")];
    assert_eq!(
        code("/b/k?x-amz-acl=public-read", &headers),
        Code::InvalidArgument
    );
    assert_eq!(
        code("/b/k?x-amz-acl=private", &headers),
        Code::InvalidArgument
    );
    assert_eq!(code("/b/k?x-amz-acl=a%0D%0Ab", &[]), Code::InvalidArgument);
    assert_eq!(code("/b/k?x-amz-%20=a", &[]), Code::InvalidArgument);
}

#[test]
fn two_hosts_are_refused() {
    assert_eq!(
        code("/", &[("host", "a"), ("host", "b")]),
        Code::InvalidArgument
    );
}

#[test]
fn a_host_that_is_not_the_targets_is_refused() {
    let target = "http://h:9000/b";
    assert_eq!(
        code(target, &[("host", "other:9000")]),
        Code::InvalidArgument
    );
    assert_eq!(code(target, &[("host", "h")]), Code::InvalidArgument);
    assert_eq!(head("GET", target, &[("host", "H:9000")]).host(), "H:9000");
}

#[test]
fn heads_are_bounded() {
    let long = format!("/{}", "a".repeat(URI_LEN_MAX));
    assert_eq!(code(&long, &[]), Code::InvalidURI);
    let large = "v".repeat(HEADERS_LEN_MAX);
    assert_eq!(
        code("/", &[("x-amz-meta-a", &large)]),
        Code::RequestHeaderSectionTooLarge
    );
    let many = vec![("accept", "a"); HEADERS_COUNT_MAX + 1];
    assert_eq!(code("/", &many), Code::RequestHeaderSectionTooLarge);
}

#[test]
fn a_single_header_is_single() {
    let head = head(
        "GET",
        "/",
        &[
            ("range", " bytes=0-1 "),
            ("if-match", "a"),
            ("if-match", "b"),
        ],
    );
    assert_eq!(head.header("range").unwrap(), Some("bytes=0-1"));
    assert_eq!(head.header("none").unwrap(), None);
    assert_eq!(
        head.header("if-match").unwrap_err().code(),
        Code::InvalidArgument
    );
}

#[test]
fn a_body_is_announced_by_length_or_encoding() {
    let has = |headers: &[(&str, &str)]| head("PUT", "/", headers).has_body();
    assert!(!has(&[]) && !has(&[("content-length", "0")]));
    assert!(has(&[("content-length", "1")]) && has(&[("transfer-encoding", "chunked")]));
    // What cannot be read is not taken for nothing.
    assert!(has(&[("content-length", "x")]));
}
