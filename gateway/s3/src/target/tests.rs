use proptest::prelude::*;

use super::*;

fn path_style(path: &str) -> Result<Target, S3Error> {
    Target::parse("localhost:9000", path, &Hosts::default())
}

fn object(target: Target) -> (String, String) {
    match target {
        Target::Object(bucket, key) => (bucket.0, key.0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn path_style_splits_before_it_decodes() {
    assert_eq!(path_style("/").unwrap(), Target::Service);
    assert_eq!(path_style("/abc").unwrap().kind(), Kind::Bucket);
    assert_eq!(path_style("/abc/").unwrap().kind(), Kind::Bucket);
    let pairs = [
        ("/abc/k", "k"),
        ("/abc//k", "/k"),
        ("/abc/a%2Fb", "a/b"),
        ("/abc/a+b%2Bc%20d", "a+b+c d"),
        ("/abc/%2541", "%41"),
        ("/abc/../etc/./x/", "../etc/./x/"),
        ("/abc/%F0%9F%A6%80%0D%01", "🦀\r\u{1}"),
    ];
    for (path, key) in pairs {
        assert_eq!(
            object(path_style(path).unwrap()),
            ("abc".into(), key.into()),
            "{path}"
        );
    }
}

#[test]
fn a_slash_in_the_bucket_segment_is_refused() {
    for path in ["/abc%2Fdef", "/abc%2Fdef/k", "//k", "//"] {
        assert_eq!(
            path_style(path).unwrap_err().code(),
            Code::InvalidBucketName,
            "{path}"
        );
    }
}

#[test]
fn nul_and_overlong_forms_are_refused() {
    for path in [
        "/abc/a%00b",
        "/abc/%c0%80",
        "/abc/%c0%af",
        "/abc/%ff",
        "/abc/%4",
        "abc",
    ] {
        assert_eq!(
            path_style(path).unwrap_err().code(),
            Code::InvalidURI,
            "{path}"
        );
    }
}

#[test]
fn a_key_is_at_most_1024_bytes() {
    assert!(path_style(&format!("/abc/{}", "k".repeat(1_024))).is_ok());
    let error = path_style(&format!("/abc/{}", "k".repeat(1_025))).unwrap_err();
    assert_eq!(error.code(), Code::KeyTooLongError);
    assert_eq!(error.field("Size"), Some("1025"));
    let wide = format!("/abc/{}", "%C3%A9".repeat(513));
    assert_eq!(path_style(&wide).unwrap_err().code(), Code::KeyTooLongError);
}

#[test]
fn virtual_host_takes_the_bucket_from_the_host() {
    let hosts = Hosts::new(["S3.Example.com", "example.com"]);
    let parse = |host: &str, path: &str| Target::parse(host, path, &hosts);
    assert_eq!(parse("s3.example.com", "/").unwrap(), Target::Service);
    assert_eq!(
        parse("example.com:9000", "/abc/k").unwrap().kind(),
        Kind::Object
    );
    assert_eq!(
        parse("my.bucket.s3.example.com:9000", "/").unwrap().kind(),
        Kind::Bucket
    );
    let (bucket, key) = object(parse("aBC.S3.EXAMPLE.com", "/a/b%2Fc").unwrap());
    assert_eq!((bucket.as_str(), key.as_str()), ("abc", "a/b/c"));
    // Not ours: path style.
    assert_eq!(parse("10.0.0.1:9000", "/abc").unwrap().kind(), Kind::Bucket);
    assert_eq!(parse("[::1]:9000", "/abc").unwrap().kind(), Kind::Bucket);
    assert_eq!(
        parse("notexample.com", "/abc").unwrap().kind(),
        Kind::Bucket
    );
    assert_eq!(
        parse("UPPER.example.com", "/").unwrap(),
        parse("upper.example.com", "/").unwrap(),
        "a host name has no case"
    );
    assert_eq!(
        parse("cas.example.com", "/").unwrap_err().code(),
        Code::InvalidBucketName
    );
}

#[test]
fn bucket_names_follow_aws() {
    let long = "a".repeat(63);
    for good in [
        "abc",
        "a-b",
        "a.b.c",
        "0ab",
        "192.168.1",
        "a--b",
        "v12",
        long.as_str(),
    ] {
        assert!(BucketName::parse(good).is_ok(), "{good}");
    }
    let longer = "a".repeat(64);
    let bad = [
        "",
        "ab",
        longer.as_str(),
        "Abc",
        "a_b",
        "-abc",
        "abc-",
        ".abc",
        "abc.",
        "a..b",
        "a.-b",
        "a-.b",
        "192.168.1.1",
        "xn--abc",
        "sthree-x",
        "amzn-s3-demo-b",
        "abc-s3alias",
        "abc--ol-s3",
        "abc.mrap",
        "abc--x-s3",
        "abc--table-s3",
        "a b",
        "a/b",
        "ab\u{e9}",
        "abc\n",
    ];
    for name in bad {
        let error = BucketName::parse(name).unwrap_err();
        assert_eq!(error.code(), Code::InvalidBucketName, "{name}");
        assert_eq!(error.field("BucketName"), Some(name));
    }
}

#[test]
fn reserved_segments_are_no_buckets() {
    for name in RESERVED_SEGMENTS {
        let error = path_style(&format!("/{name}/x")).unwrap_err();
        assert_eq!(error.code(), Code::InvalidBucketName, "{name}");
    }
}

proptest! {
    #[test]
    fn parsing_never_panics(host: String, path: String) {
        let _ = Target::parse(&host, &path, &Hosts::new(["example.com"]));
        let _ = path_style(&format!("/{path}"));
    }

    #[test]
    fn any_encoded_key_comes_back(key in "[^\0]{1,200}") {
        prop_assume!(key.len() <= KEY_LEN_MAX);
        let path = format!("/abc/{}", uri::encode_path(&key));
        prop_assert_eq!(object(path_style(&path).unwrap()).1, key);
    }
}

#[test]
fn a_bucket_in_a_host_that_is_no_domain_of_ours_is_recognised_and_advised_on() {
    let hosts = Hosts::new(["s3.example.org"]);
    let meant = |host| {
        let meant = hosts.meant(host);
        meant.map(|meant| (meant.bucket, meant.domain))
    };
    assert_eq!(meant("first.localhost:9000"), Some(("first", "localhost")));
    assert_eq!(
        meant("first.other.example.org"),
        Some(("first", "other.example.org"))
    );
    for known in [
        "s3.example.org",
        "S3.Example.ORG:80",
        "first.s3.example.org",
        "localhost:9000",
        "127.0.0.1:9000",
        "[::1]:9000",
        "a_b.localhost",
        "",
        ".",
        "first.",
    ] {
        assert_eq!(meant(known), None, "{known}");
    }
    let advice = hosts.meant("first.localhost").unwrap().explain("No.");
    assert!(advice.starts_with("No. The request's"), "{advice}");
    assert!(advice.contains("--domain localhost"), "{advice}");
    assert!(advice.contains("addressing_style path"), "{advice}");
}
