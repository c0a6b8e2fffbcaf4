use proptest::prelude::*;

use super::*;
use crate::testing::head;

fn read(headers: &[(&str, &str)]) -> Result<ObjectHeaders, S3Error> {
    ObjectHeaders::from_head(&head("PUT", "/b/k", headers))
}

fn write(headers: &ObjectHeaders) -> HeaderMap {
    let mut out = HeaderMap::new();
    headers.write(&Overrides::default(), &mut out);
    out
}

#[test]
fn all_six_and_the_metadata_come_back() {
    let sent = [
        ("content-type", "text/plain"),
        ("cache-control", "no-cache"),
        ("content-disposition", "attachment"),
        ("content-encoding", "gzip"),
        ("content-language", "en"),
        ("expires", "Thu, 01 Dec 1994 16:00:00 GMT"),
        ("x-amz-meta-one", "1"),
        ("X-Amz-Meta-Two", ""),
    ];
    let out = write(&read(&sent).unwrap());
    for (name, value) in sent {
        assert_eq!(out[name], value, "{name}");
    }
    assert_eq!(out.len(), sent.len());
}

#[test]
fn an_object_without_type_has_the_default_one() {
    for headers in [&[][..], &[("content-type", "")][..]] {
        let read = read(headers).unwrap();
        assert_eq!(read.content_type, None);
        assert_eq!(write(&read)["content-type"], "binary/octet-stream");
    }
}

#[test]
fn the_framing_is_no_content_encoding() {
    for (sent, kept) in [
        ("gzip", Some("gzip")),
        ("deflate, gzip", Some("deflate, gzip")),
        ("gzip, aws-chunked", Some("gzip")),
        ("aws-chunked,gzip", Some("gzip")),
        ("AWS-chunked", None),
        ("aws-chunked, aws-chunked", None),
    ] {
        let found = read(&[("content-encoding", sent)])
            .unwrap()
            .content_encoding;
        assert_eq!(found.as_deref(), kept, "{sent}");
    }
}

#[test]
fn metadata_is_bounded_at_2_kib() {
    let value = "v".repeat(2_044);
    assert!(read(&[("x-amz-meta-name", &value)]).is_ok());
    let error = read(&[("x-amz-meta-name", &format!("{value}v"))]).unwrap_err();
    assert_eq!(error.code(), Code::MetadataTooLarge);
    assert_eq!(error.field("MaxSizeAllowed"), Some("2048"));
    let error = read(&[("content-disposition", &"v".repeat(8_193))]).unwrap_err();
    assert_eq!(error.code(), Code::MetadataTooLarge);
}

#[test]
fn metadata_beyond_ascii_leaves_as_an_encoded_word() {
    let out = write(&read(&[("x-amz-meta-a", "Grüße 🦀")]).unwrap());
    assert_eq!(out["x-amz-meta-a"], "=?UTF-8?B?R3LDvMOfZSDwn6aA?=");
    // Latin-1 is what a client means that does not send UTF-8.
    let mut map = HeaderMap::new();
    map.insert(
        "x-amz-meta-a",
        HeaderValue::from_bytes(b"Gr\xfc\xdfe").unwrap(),
    );
    let uri = "/b/k".parse().unwrap();
    let head = Head::new(http::Method::PUT, &uri, map).unwrap();
    assert_eq!(
        ObjectHeaders::from_head(&head).unwrap().metadata[0].1,
        "Grüße"
    );
}

#[test]
fn repeated_metadata_is_joined() {
    let read = read(&[("x-amz-meta-a", "1"), ("x-amz-meta-a", "2")]).unwrap();
    assert_eq!(read.metadata, [("a".to_owned(), "1, 2".to_owned())]);
}

#[test]
fn overrides_replace_what_is_stored() {
    let stored = read(&[
        ("content-type", "text/plain"),
        ("cache-control", "no-cache"),
    ])
    .unwrap();
    let query = Query::parse("response-content-type=a%2Fb%20c&response-expires=123").unwrap();
    let mut out = HeaderMap::new();
    stored.write(&Overrides::from_query(&query).unwrap(), &mut out);
    assert_eq!(out["content-type"], "a/b c");
    assert_eq!(out["expires"], "123");
    assert_eq!(out["cache-control"], "no-cache");
}

#[test]
fn an_override_cannot_split_the_response() {
    let query = Query::parse("response-content-type=a%0D%0Aset-cookie:x").unwrap();
    assert_eq!(
        Overrides::from_query(&query).unwrap_err().code(),
        Code::InvalidArgument
    );
}

proptest! {
    #[test]
    fn printable_metadata_is_unchanged(name in "[a-z][a-z0-9-]{0,10}", value in "[!-~]([ -~]{0,40}[!-~])?") {
        let header = format!("x-amz-meta-{name}");
        let out = write(&read(&[(&header, &value)]).unwrap());
        prop_assert_eq!(out[header.as_str()].to_str().unwrap(), value);
    }

    #[test]
    fn any_metadata_leaves_as_ascii(value in "[^\u{0}-\u{1f}\u{7f}]{0,40}") {
        let read = read(&[("x-amz-meta-a", &value)]).unwrap();
        prop_assert!(write(&read)["x-amz-meta-a"].to_str().is_ok());
    }
}
