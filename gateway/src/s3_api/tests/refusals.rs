use bytes::Bytes;
use cairn_wire::metadata::Refusal;
use cairn_wire::metadata::entry::Command;
use http::{Method, StatusCode};

use crate::fakes::{DiskFault, Fault, Log, Site, pattern};

fn nothing_was_put(site: &Site) -> bool {
    !site
        .metadata
        .log()
        .iter()
        .any(|command| matches!(command, Command::PutObject(_)))
}

#[tokio::test]
async fn a_body_other_than_the_signed_one_is_not_stored() {
    for length in [10, 10_000, 700_000] {
        let site = Site::new(2, 1).with_bucket().await;
        let signed = pattern(length);
        let mut sent = signed.clone();
        sent[length / 2] ^= 1;
        let request = site
            .signer("alice")
            .sign(&Method::PUT, "/bucket/key", &[], &signed);
        let got = site.send(request, sent.into()).await;
        assert_eq!(got.refusal(), (400, "XAmzContentSHA256Mismatch".to_owned()));
        assert!(nothing_was_put(&site));
    }
}

#[tokio::test]
async fn a_body_with_a_wrong_checksum_is_not_stored() {
    let site = Site::new(2, 1).with_bucket().await;
    for (name, value) in [
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("x-amz-checksum-crc32", "AAAAAA=="),
        (
            "x-amz-checksum-sha256",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
    ] {
        let got = site
            .call_with(Method::PUT, "/bucket/key", &[(name, value)], pattern(9_000))
            .await;
        assert_eq!(got.refusal(), (400, "BadDigest".to_owned()), "{name}");
    }
    assert!(nothing_was_put(&site));
}

#[tokio::test]
async fn a_short_or_long_body_is_not_stored() {
    let site = Site::new(2, 1).with_bucket().await;
    for (announced, sent) in [
        (10_000_usize, 9_999_usize),
        (10, 9),
        (300_000, 200_000),
        (10, 11),
    ] {
        let length = announced.to_string();
        let headers = [
            ("content-length", length.as_str()),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ];
        let got = site
            .call_with(Method::PUT, "/bucket/key", &headers, pattern(sent))
            .await;
        assert_eq!(
            got.refusal(),
            (400, "IncompleteBody".to_owned()),
            "{announced} {sent}"
        );
    }
    assert!(nothing_was_put(&site));
}

#[tokio::test]
async fn framed_bodies_are_unwrapped_and_their_trailer_is_checked() {
    let site = Site::new(2, 1).with_bucket().await;
    let body = pattern(100_000);
    let framed = |checksum: &str| {
        let mut framed = Vec::new();
        for piece in body.chunks(70_000) {
            framed.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            framed.extend_from_slice(piece);
            framed.extend_from_slice(b"\r\n");
        }
        framed
            .extend_from_slice(format!("0\r\nx-amz-checksum-crc32:{checksum}\r\n\r\n").as_bytes());
        Bytes::from(framed)
    };
    let headers = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "100000"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let wrong = site
        .call_with(Method::PUT, "/bucket/key", &headers, framed("AAAAAA=="))
        .await;
    assert_eq!(wrong.refusal(), (400, "BadDigest".to_owned()));
    assert!(nothing_was_put(&site));
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &body);
    let crc = u32::try_from(crc).unwrap().to_be_bytes();
    let crc = cairn_s3::digest::Checksum::new(cairn_s3::digest::Algorithm::Crc32, &crc).unwrap();
    let put = site
        .call_with(
            Method::PUT,
            "/bucket/key",
            &headers,
            framed(&crc.to_base64()),
        )
        .await;
    assert_eq!(put.status, 200, "{}", put.text());
    let got = site.call(Method::GET, "/bucket/key", "").await;
    assert!(got.body == body);
    assert_eq!(got.header("content-encoding"), "");
}

#[tokio::test]
async fn signatures_that_do_not_fit_are_403_with_an_xml_body() {
    let site = Site::new(1, 0).with_bucket().await;
    let mut signer = site.signer("alice");
    signer.secret_key = "wrong secret".to_owned();
    let request = signer.sign(&Method::GET, "/bucket", &[], b"");
    let got = site.send(request, Bytes::new()).await;
    assert_eq!(got.refusal(), (403, "SignatureDoesNotMatch".to_owned()));
    assert_eq!(got.element("RequestId"), got.header("x-amz-request-id"));
    assert_eq!(got.header("content-type"), "application/xml");
    signer.access_key = "nobody".to_owned();
    let request = signer.sign(&Method::GET, "/bucket", &[], b"");
    let got = site.send(request, Bytes::new()).await;
    assert_eq!(got.refusal(), (403, "InvalidAccessKeyId".to_owned()));
    let anonymous = http::Request::builder()
        .uri("/bucket")
        .header("host", "s3.test");
    let got = site
        .send(anonymous.body(Bytes::new()).unwrap(), Bytes::new())
        .await;
    assert_eq!(got.refusal(), (403, "AccessDenied".to_owned()));
}

#[tokio::test]
async fn the_log_says_what_differs_from_what_was_signed() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let site = Site::new(1, 0).with_bucket().await;
    let mut request = site.signer("alice").sign(&Method::GET, "/bucket", &[], b"");
    *request.method_mut() = Method::HEAD;
    let got = site.send(request, Bytes::new()).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    let lines = log.lines();
    let [line] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    let id = got.header("x-amz-request-id");
    for part in [
        &format!("id={id:?}"),
        "code=\"SignatureDoesNotMatch\"",
        "note=\"method: signed for GET, sent as HEAD\"",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[tokio::test]
async fn a_removed_user_is_out_within_a_second() {
    let site = Site::new(1, 0).with_bucket().await;
    site.metadata.edit(|state| state.users().clear());
    assert_eq!(
        site.call(Method::GET, "/bucket", "").await.status,
        200,
        "still believed"
    );
    site.clock.advance(crate::tuning::BELIEVED);
    let got = site.call(Method::GET, "/bucket", "").await;
    assert_eq!(got.refusal(), (403, "InvalidAccessKeyId".to_owned()));
}

/// A leader may be lost while a user is read: the answer is late, not another one.
#[tokio::test]
async fn a_user_read_slowly_is_a_user() {
    let site = Site::new(1, 0).with_bucket().await;
    for by in [crate::tuning::BELIEVED, crate::tuning::BELIEVED * 5] {
        site.clock.advance(crate::tuning::BELIEVED);
        site.metadata.edit(|state| state.slow_user(&site.clock, by));
        assert_eq!(site.call(Method::GET, "/bucket", "").await.status, 200);
    }
    site.clock.advance(crate::tuning::BELIEVED);
    site.metadata.edit(|state| {
        state.slow_user(&site.clock, crate::tuning::BELIEVED);
        state.users().clear();
    });
    let got = site.call(Method::GET, "/bucket", "").await;
    assert_eq!(got.refusal(), (403, "InvalidAccessKeyId".to_owned()));
}

#[tokio::test]
async fn what_is_not_built_is_501_by_name_and_changes_nothing() {
    let site = Site::new(1, 0).with_bucket().await;
    site.call(Method::PUT, "/bucket/key", "kept").await;
    for (method, target, name) in [
        (Method::PUT, "/bucket/key?retention=", "PutObjectRetention"),
        (Method::PUT, "/bucket?tagging=", "PutBucketTagging"),
        (Method::PUT, "/bucket/key?renameObject=", "RenameObject"),
        (Method::PUT, "/bucket/key?invented=", "invented"),
        (Method::PUT, "/bucket?policy=", "PutBucketPolicy"),
        (Method::PUT, "/bucket?versioning=", "PutBucketVersioning"),
    ] {
        let got = site.call(method.clone(), target, "").await;
        assert_eq!(
            got.refusal(),
            (501, "NotImplemented".to_owned()),
            "{target}"
        );
        assert!(got.text().contains(name), "{}", got.text());
    }
    let copy = [("x-amz-copy-source", "/bucket/key")];
    let target = "/bucket/other?renameObject=";
    let got = site.call_with(Method::PUT, target, &copy, "").await;
    assert_eq!(got.status, 501);
    assert_eq!(site.call(Method::GET, "/bucket/key", "").await.body, "kept");
}

#[tokio::test]
async fn outcomes_of_the_metadata_are_told_apart() {
    let site = Site::new(1, 0).with_bucket().await;
    let put = async || site.call(Method::PUT, "/bucket/key", "x").await.refusal();
    for refused in [Refusal::RetryUpload, Refusal::SessionEnded] {
        site.metadata.fault(Fault::Refuse(refused));
        assert_eq!(put().await, (503, "ServiceUnavailable".to_owned()));
    }
    site.metadata.fault(Fault::Refuse(Refusal::Malformed));
    assert_eq!(put().await, (500, "InternalError".to_owned()));
    for _ in 0..crate::tuning::RESOLVE_PATIENCE {
        site.metadata.fault(Fault::LostAndUnknown);
    }
    let clock = std::sync::Arc::clone(&site.clock);
    let passing = tokio::spawn(async move {
        loop {
            clock.advance(std::time::Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(put().await, (500, "InternalError".to_owned()));
    site.metadata.set_down(true);
    assert_eq!(put().await, (503, "ServiceUnavailable".to_owned()));
    passing.abort();
}

#[tokio::test]
async fn disks_without_room_are_said_to_be_full_and_reads_go_on() {
    let site = Site::new(2, 1).with_bucket().await;
    site.call(Method::PUT, "/bucket/key", pattern(10_000)).await;
    for disk in 0..3 {
        site.disks.fault(disk, DiskFault::Full);
    }
    let put = site
        .call(Method::PUT, "/bucket/more", pattern(10_000))
        .await;
    assert_eq!(put.refusal(), (507, "InsufficientStorage".to_owned()));
    assert!(site.call(Method::GET, "/bucket/key", "").await.body == pattern(10_000));
    site.disks.heal();
    assert_eq!(
        site.call(Method::PUT, "/bucket/more", pattern(10_000))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn uploads_beyond_the_limit_are_told_to_slow_down() {
    let site = Site::new(1, 0).with_bucket().await;
    let inner = &site.gateway.inner;
    let held: Vec<_> = std::iter::from_fn(|| inner.upload_permit().ok()).collect();
    assert_eq!(held.len(), cairn_model::limits::UPLOADS_MAX);
    let put = site.call(Method::PUT, "/bucket/key", "x").await;
    assert_eq!(put.refusal(), (503, "SlowDown".to_owned()));
    drop(held);
    assert_eq!(site.call(Method::PUT, "/bucket/key", "x").await.status, 200);
}

#[tokio::test]
async fn reserved_paths_are_no_buckets_but_are_keys_below_a_virtual_host() {
    let site = Site::new(1, 0).with_bucket().await;
    let cas = site.call(Method::GET, "/cas/chunks/x", "").await;
    assert_eq!(cas.status, 400, "no hash");
    assert_eq!(cas.header("content-type"), "application/json");
    let made = site.call(Method::PUT, "/health", "").await;
    assert_eq!(made.refusal().0, 400);
    let sign = |method: &Method, target: &str, body: &[u8]| {
        let mut signer = site.signer("alice");
        signer.host = "bucket.vhost.test".to_owned();
        signer.sign(method, target, &[], body)
    };
    let put = site
        .send(sign(&Method::PUT, "/health/live", b"mine"), "mine".into())
        .await;
    assert_eq!(put.status, 200, "{}", put.text());
    let got = site
        .send(sign(&Method::GET, "/health/live", b""), Bytes::new())
        .await;
    assert_eq!(got.body, "mine");
    let path = site.call(Method::GET, "/bucket/health/live", "").await;
    assert_eq!(path.body, "mine");
}

#[tokio::test]
async fn a_bucket_in_an_unknown_host_name_is_refused_with_what_to_do() {
    let site = Site::new(1, 0).with_bucket().await;
    let from = async |host: &str, method: Method, target: &str| {
        let mut signer = site.signer("alice");
        signer.host = host.to_owned();
        let signed = signer.sign(&method, target, &[], b"");
        site.send(signed, Bytes::new()).await
    };
    let create = from("first.localhost:9000", Method::PUT, "/").await;
    assert_eq!(create.refusal(), (405, "MethodNotAllowed".to_owned()));
    assert!(
        create.text().contains("--domain localhost"),
        "{}",
        create.text()
    );
    let plain = from("localhost:9000", Method::PUT, "/").await;
    assert!(!plain.text().contains("--domain"), "{}", plain.text());
    let read = from("bucket.localhost", Method::GET, "/some-key").await;
    assert_eq!(read.refusal(), (404, "NoSuchBucket".to_owned()));
    assert!(
        read.text().contains("--domain localhost"),
        "{}",
        read.text()
    );
    let mistaken = from("s3.localhost", Method::GET, "/some-key").await;
    assert_eq!(mistaken.refusal(), (404, "NoSuchBucket".to_owned()));
    assert!(
        !mistaken.text().contains("--domain"),
        "no such bucket is there: {}",
        mistaken.text()
    );
}
