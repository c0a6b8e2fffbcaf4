use http::Method;

use crate::fakes::{DiskFault, Site, pattern};

#[tokio::test]
async fn what_is_put_is_got_whatever_its_length() {
    let site = Site::new(2, 1).with_bucket().await;
    for length in [0, 1, 4_096, 4_097, 65_536, 700_000] {
        let body = pattern(length);
        let put = site.call(Method::PUT, "/bucket/a/key", body.clone()).await;
        assert_eq!(put.status, 200, "{}", put.text());
        let got = site.call(Method::GET, "/bucket/a/key", "").await;
        assert_eq!((got.status.as_u16(), got.whole), (200, true));
        assert!(got.body == body, "{length}");
        assert_eq!(got.header("content-length"), length.to_string());
        assert_eq!(got.header("etag"), put.header("etag"));
        let md5 = hex::encode(<md5::Md5 as md5::Digest>::digest(&body));
        assert_eq!(put.header("etag"), format!("\"{md5}\""));
        let head = site.call(Method::HEAD, "/bucket/a/key", "").await;
        assert_eq!(head.header("content-length"), length.to_string());
        assert!(head.body.is_empty());
    }
}

/// Bucket, object and chunk rows come of one look: in a cluster each look is a round of the voters.
#[tokio::test]
async fn reading_an_object_asks_the_metadata_once() {
    let site = Site::new(2, 1).with_bucket().await;
    for length in [100, 5_000, 700_000] {
        let put = site.call(Method::PUT, "/bucket/key", pattern(length)).await;
        assert_eq!(put.status, 200);
        for method in [Method::GET, Method::HEAD] {
            let before = site.metadata.edit(|state| state.asked());
            let got = site.call(method.clone(), "/bucket/key", "").await;
            assert_eq!(got.status, 200);
            let asked = site.metadata.edit(|state| state.asked()) - before;
            assert_eq!(asked, 1, "{method} of {length} bytes");
        }
    }
}

#[tokio::test]
async fn headers_and_metadata_come_back_and_overrides_replace_them() {
    let site = Site::new(1, 0).with_bucket().await;
    let headers = [
        ("content-type", "text/plain"),
        ("cache-control", "no-cache"),
        ("x-amz-meta-colour", "blue"),
    ];
    site.call_with(Method::PUT, "/bucket/key", &headers, "hello")
        .await;
    let got = site
        .call(Method::GET, "/bucket/key?response-content-type=a%2Fb", "")
        .await;
    assert_eq!(got.header("content-type"), "a/b");
    assert_eq!(got.header("cache-control"), "no-cache");
    assert_eq!(got.header("x-amz-meta-colour"), "blue");
    assert!(!got.header("x-amz-request-id").is_empty());
    assert!(!got.header("x-amz-id-2").is_empty());
    assert_eq!(got.header("server"), "Cairn");
    assert!(got.header("date").ends_with(" GMT"));
    assert!(got.header("last-modified").ends_with(" GMT"));
}

#[tokio::test]
async fn ranges_are_206_and_beyond_the_end_416() {
    let site = Site::new(2, 1).with_bucket().await;
    let body = pattern(300_000);
    site.call(Method::PUT, "/bucket/key", body.clone()).await;
    for (range, bytes) in [
        ("bytes=0-0", 0..1),
        ("bytes=131071-131073", 131_071..131_074),
        ("bytes=299999-", 299_999..300_000),
        ("bytes=-5", 299_995..300_000),
        ("bytes=10-999999", 10..300_000),
    ] {
        let got = site
            .call_with(Method::GET, "/bucket/key", &[("range", range)], "")
            .await;
        assert_eq!(got.status, 206, "{range}");
        assert!(got.body == body[bytes.clone()], "{range}");
        let expected = format!("bytes {}-{}/300000", bytes.start, bytes.end - 1);
        assert_eq!(got.header("content-range"), expected);
    }
    let got = site
        .call_with(
            Method::GET,
            "/bucket/key",
            &[("range", "bytes=300000-")],
            "",
        )
        .await;
    assert_eq!(got.refusal(), (416, "InvalidRange".to_owned()));
    let part = site.call(Method::GET, "/bucket/key?partNumber=1", "").await;
    assert_eq!((part.status.as_u16(), part.body.len()), (206, 300_000));
    let part = site.call(Method::GET, "/bucket/key?partNumber=2", "").await;
    assert_eq!(part.refusal(), (400, "InvalidPart".to_owned()));
}

#[tokio::test]
async fn conditions_on_reads() {
    let site = Site::new(1, 0).with_bucket().await;
    let put = site.call(Method::PUT, "/bucket/key", "hello").await;
    let etag = put.header("etag").to_owned();
    let get = async |name: &str, value: &str| {
        site.call_with(Method::GET, "/bucket/key", &[(name, value)], "")
            .await
    };
    assert_eq!(get("if-match", &etag).await.status, 200);
    assert_eq!(
        get("if-match", "\"other\"").await.refusal(),
        (412, "PreconditionFailed".to_owned())
    );
    let same = get("if-none-match", &etag).await;
    assert_eq!((same.status.as_u16(), same.body.len()), (304, 0));
    assert_eq!(same.header("etag"), etag);
    assert_eq!(
        get("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT")
            .await
            .status,
        304
    );
    assert_eq!(
        get("if-unmodified-since", "Fri, 01 Jan 2010 00:00:00 GMT")
            .await
            .status,
        412
    );
}

#[tokio::test]
async fn conditions_on_writes_are_judged_where_no_other_write_can_come_between() {
    let site = Site::new(1, 0).with_bucket().await;
    let put = async |name: &str, value: &str, body: &'static str| {
        site.call_with(Method::PUT, "/bucket/key", &[(name, value)], body)
            .await
    };
    let missing = put("if-match", "\"none\"", "x").await;
    assert_eq!(missing.refusal(), (404, "NoSuchKey".to_owned()));
    assert_eq!(missing.element("Key"), "key");
    let first = put("if-none-match", "*", "one").await;
    assert_eq!(first.status, 200);
    let second = put("if-none-match", "*", "two").await;
    assert_eq!(second.refusal(), (412, "PreconditionFailed".to_owned()));
    assert_eq!(second.element("Condition"), "If-None-Match");
    let other = put("if-match", "\"other\"", "two").await;
    assert_eq!(other.refusal(), (412, "PreconditionFailed".to_owned()));
    assert_eq!(other.element("Condition"), "If-Match");
    assert_eq!(site.call(Method::GET, "/bucket/key", "").await.body, "one");
    assert_eq!(
        put("if-match", first.header("etag"), "three").await.status,
        200
    );
    assert_eq!(
        site.call(Method::GET, "/bucket/key", "").await.body,
        "three"
    );
}

#[tokio::test]
async fn the_checksum_the_client_gives_is_kept_and_shown() {
    let site = Site::new(1, 0).with_bucket().await;
    let sha1 = [("x-amz-checksum-sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00=")];
    let put = site
        .call_with(Method::PUT, "/bucket/key", &sha1, "hello")
        .await;
    assert_eq!(put.header("x-amz-checksum-sha1"), sha1[0].1);
    let mode = [("x-amz-checksum-mode", "ENABLED")];
    let got = site.call_with(Method::GET, "/bucket/key", &mode, "").await;
    assert_eq!(got.header("x-amz-checksum-sha1"), sha1[0].1);
    assert_eq!(got.header("x-amz-checksum-crc64nvme"), "");
    let plain = site.call(Method::PUT, "/bucket/other", "hello").await;
    assert!(
        !plain.header("x-amz-checksum-crc64nvme").is_empty(),
        "the default"
    );
}

#[tokio::test]
async fn deleting_is_idempotent_and_versions_other_than_null_are_none() {
    let site = Site::new(1, 0).with_bucket().await;
    site.call(Method::PUT, "/bucket/key", "hello").await;
    let other = site
        .call(Method::DELETE, "/bucket/key?versionId=abc", "")
        .await;
    assert_eq!(other.refusal(), (404, "NoSuchVersion".to_owned()));
    let got = site
        .call(Method::GET, "/bucket/key?versionId=null", "")
        .await;
    assert_eq!(got.status, 200);
    for _ in 0..2 {
        let gone = site
            .call(Method::DELETE, "/bucket/key?versionId=null", "")
            .await;
        assert_eq!(gone.status, 204);
    }
    let got = site.call(Method::GET, "/bucket/key", "").await;
    assert_eq!(got.refusal(), (404, "NoSuchKey".to_owned()));
    assert_eq!(got.element("Key"), "key");
    assert_eq!(got.element("RequestId"), got.header("x-amz-request-id"));
}

#[tokio::test]
async fn deletions_are_conditional_and_what_is_not_there_meets_every_condition() {
    let site = Site::new(1, 0).with_bucket().await;
    let delete = async |name: &str, value: &str| {
        let headers = [(name, value)];
        let got = site
            .call_with(Method::DELETE, "/bucket/key", &headers, "")
            .await;
        (got.status.as_u16(), got.element("Code"))
    };
    let put = site.call(Method::PUT, "/bucket/key", "hello").await;
    let modified = site.call(Method::HEAD, "/bucket/key", "").await;
    let (etag, modified) = (put.header("etag"), modified.header("last-modified"));
    let right = [
        ("if-match", etag),
        ("x-amz-if-match-last-modified-time", modified),
        ("x-amz-if-match-size", "5"),
    ];
    for (name, wrong) in [
        ("if-match", "\"other\""),
        (
            "x-amz-if-match-last-modified-time",
            "Thu, 01 Jan 1970 00:00:00 GMT",
        ),
        ("x-amz-if-match-size", "6"),
        ("x-amz-if-match-size", "18446744073709551615"),
    ] {
        let refused = (412, "PreconditionFailed".to_owned());
        assert_eq!(delete(name, wrong).await, refused, "{name}: {wrong}");
    }
    for (name, value) in right {
        assert_eq!(delete(name, value).await.0, 204, "{name}");
        let gone = site.call(Method::GET, "/bucket/key", "").await;
        assert_eq!(gone.status, 404, "{name}");
        assert_eq!(delete(name, value).await.0, 204, "{name}: nothing there");
        site.call(Method::PUT, "/bucket/key", "hello").await;
    }
    let put = [("x-amz-if-match-size", "5")];
    let put = site.call_with(Method::PUT, "/bucket/key", &put, "x").await;
    assert_eq!(put.refusal(), (501, "NotImplemented".to_owned()));
}

#[tokio::test]
async fn each_of_many_deletions_has_its_own_conditions() {
    let site = Site::new(1, 0).with_bucket().await;
    let list: String = [
        ("a", "<Size>1</Size>"),
        ("b", "<Size>2</Size>"),
        (
            "c",
            "<LastModifiedTime>1970-01-01T00:00:00Z</LastModifiedTime>",
        ),
        ("d", "<ETag>other</ETag>"),
        ("none", "<ETag>other</ETag>"),
    ]
    .into_iter()
    .map(|(key, condition)| format!("<Object><Key>{key}</Key>{condition}</Object>"))
    .collect();
    for key in ["a", "b", "c", "d"] {
        site.call(Method::PUT, &format!("/bucket/{key}"), "x").await;
    }
    let body = format!("<Delete>{list}</Delete>");
    let sum = cairn_s3::digest::Checksum::new(
        cairn_s3::digest::Algorithm::Sha256,
        &<sha2::Sha256 as sha2::Digest>::digest(body.as_bytes()),
    );
    let sum = sum.unwrap().to_base64();
    let headers = [("x-amz-checksum-sha256", sum.as_str())];
    let got = site
        .call_with(Method::POST, "/bucket?delete", &headers, body)
        .await;
    let text = got.text();
    assert_eq!(text.matches("<Code>PreconditionFailed</Code>").count(), 3);
    for gone in ["a", "none"] {
        assert!(
            text.contains(&format!("<Deleted><Key>{gone}</Key>")),
            "{text}"
        );
    }
    let left = site.call(Method::GET, "/bucket?list-type=2", "").await;
    assert_eq!(left.element("KeyCount"), "3");
}

#[tokio::test]
async fn many_deletes_are_split_and_each_key_has_its_outcome() {
    let site = Site::new(1, 0).with_bucket().await;
    let mut list = String::new();
    for at in 0..150 {
        if at % 3 == 0 {
            site.call(Method::PUT, &format!("/bucket/k{at}"), "x").await;
        }
        list.push_str(&format!("<Object><Key>k{at}</Key></Object>"));
    }
    list.push_str("<Object><Key>k0</Key><VersionId>abc</VersionId></Object>");
    list.push_str(&format!(
        "<Object><Key>{}</Key></Object>",
        "x".repeat(1_025)
    ));
    let body = format!("<Delete>{list}</Delete>");
    let md5 = cairn_s3::digest::Checksum::new(
        cairn_s3::digest::Algorithm::Sha256,
        &<sha2::Sha256 as sha2::Digest>::digest(body.as_bytes()),
    );
    let md5 = md5.unwrap().to_base64();
    let bare = site
        .call(Method::POST, "/bucket?delete", body.clone())
        .await;
    assert_eq!(
        bare.refusal(),
        (400, "InvalidRequest".to_owned()),
        "no digest of the document"
    );
    let sum = [("x-amz-checksum-sha256", md5.as_str())];
    let got = site
        .call_with(Method::POST, "/bucket?delete", &sum, body)
        .await;
    let text = got.text();
    assert_eq!(
        (got.status.as_u16(), text.matches("<Deleted>").count()),
        (200, 150)
    );
    assert_eq!(text.matches("<Error>").count(), 2);
    assert!(text.contains("NoSuchVersion") && text.contains("KeyTooLongError"));
    let left = site.call(Method::GET, "/bucket?list-type=2", "").await;
    assert_eq!(left.element("KeyCount"), "0");
}

#[tokio::test]
async fn a_lost_object_is_503_at_once_and_a_broken_stream_is_never_ended_well() {
    let site = Site::new(2, 1).with_bucket().await;
    site.call(Method::PUT, "/bucket/key", pattern(4 << 20))
        .await;
    site.disks.fault(0, DiskFault::Missing);
    site.disks.fault(1, DiskFault::FlipsBits);
    let got = site.call(Method::GET, "/bucket/key", "").await;
    assert_eq!(got.refusal(), (503, "ServiceUnavailable".to_owned()));
    site.disks.heal();
    // The last stripes are gone: what was sent is right, and the end is an abort.
    site.disks.edit(|sealed| {
        for shard in sealed.values_mut() {
            shard.cells.truncate(20);
        }
    });
    let got = site.call(Method::GET, "/bucket/key", "").await;
    assert_eq!((got.status.as_u16(), got.whole), (200, false));
    assert!(got.body.len() < 4 << 20 && pattern(4 << 20).starts_with(&got.body));
}
