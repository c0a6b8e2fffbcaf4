//! GetObjectAttributes, and the parts of an object read by number.

use cairn_s3::digest::{Algorithm, Checksum};
use http::Method;

use crate::fakes::{Got, Site, pattern};

const PART: usize = 5 << 20;
const ALL: &str = "ETag,Checksum,ObjectParts,StorageClass,ObjectSize";

async fn attributes(site: &Site, key: &str, names: &str, more: &[(&str, &str)]) -> Got {
    let headers = [&[("x-amz-object-attributes", names)], more].concat();
    let target = format!("/bucket/{key}?attributes=");
    site.call_with(Method::GET, &target, &headers, "").await
}

fn sha256(body: &[u8]) -> String {
    let sum = <sha2::Sha256 as sha2::Digest>::digest(body);
    Checksum::new(Algorithm::Sha256, &sum).unwrap().to_base64()
}

/// `/bucket/key` of parts 2, 3, 5, 9 and the empty 10, with SHA-256.
async fn multipart(site: &Site) -> Vec<(u32, Vec<u8>)> {
    let headers = [("x-amz-checksum-algorithm", "SHA256")];
    let target = "/bucket/key?uploads";
    let made = site.call_with(Method::POST, target, &headers, "").await;
    let id = made.element("UploadId");
    let bodies: Vec<(u32, Vec<u8>)> = [(2, PART), (3, PART + 1), (5, PART), (9, PART), (10, 0)]
        .into_iter()
        .map(|(number, length)| (number, pattern(length)))
        .collect();
    let mut list = String::new();
    for (number, body) in &bodies {
        let target = format!("/bucket/key?partNumber={number}&uploadId={id}");
        let sum = sha256(body);
        let headers = [("x-amz-checksum-sha256", sum.as_str())];
        let put = site
            .call_with(Method::PUT, &target, &headers, body.clone())
            .await;
        let etag = put.header("etag");
        list.push_str(&format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        ));
    }
    let body = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    let target = format!("/bucket/key?uploadId={id}");
    let done = site.call(Method::POST, &target, body).await;
    assert_eq!(done.status, 200, "{}", done.text());
    bodies
}

#[tokio::test]
async fn an_object_of_one_put_has_no_parts() {
    let site = Site::new(1, 0).with_bucket().await;
    let put = site.call(Method::PUT, "/bucket/key", "hello").await;
    let got = attributes(&site, "key", ALL, &[]).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(got.element("ETag"), put.header("etag").replace('"', ""));
    assert_eq!(got.element("ChecksumCRC64NVME"), "M3eFcAZSQlc=");
    assert_eq!(got.element("ChecksumType"), "FULL_OBJECT");
    assert_eq!(got.element("ObjectSize"), "5");
    assert_eq!(got.element("StorageClass"), "STANDARD");
    assert!(!got.text().contains("ObjectParts"));
    assert!(got.header("last-modified").ends_with(" GMT"));
    let size = attributes(&site, "key", "ObjectSize", &[]).await;
    assert!(!size.text().contains("ETag"), "{}", size.text());
}

#[tokio::test]
async fn refusals() {
    let site = Site::new(1, 0).with_bucket().await;
    site.call(Method::PUT, "/bucket/key", "hello").await;
    let missing = site.call(Method::GET, "/bucket/key?attributes=", "").await;
    assert_eq!(missing.refusal(), (400, "InvalidRequest".to_owned()));
    let unknown = attributes(&site, "key", "Tags", &[]).await;
    assert_eq!(unknown.refusal(), (400, "InvalidArgument".to_owned()));
    let none = attributes(&site, "none", ALL, &[]).await;
    assert_eq!(none.refusal(), (404, "NoSuchKey".to_owned()));
    let header = [("x-amz-object-attributes", ALL)];
    let target = "/bucket/key?attributes=&versionId=";
    for (version, status) in [("null", 200), ("other", 404)] {
        let target = format!("{target}{version}");
        let got = site.call_with(Method::GET, &target, &header, "").await;
        assert_eq!(got.status, status, "{version}");
    }
    let bob = site.call_as("bob", Method::GET, "/bucket/key?attributes=", &header, "");
    assert_eq!(bob.await.refusal(), (403, "AccessDenied".to_owned()));
}

#[tokio::test]
async fn parts_are_listed_page_by_page() {
    let site = Site::new(1, 0).with_bucket().await;
    let bodies = multipart(&site).await;
    let got = attributes(&site, "key", ALL, &[]).await;
    assert!(got.element("ETag").ends_with("-5"));
    assert!(got.element("Checksum").contains("-5</ChecksumSHA256>"));
    assert_eq!(got.element("ChecksumType"), "COMPOSITE");
    assert_eq!(got.element("PartsCount"), "5");
    let part = |(number, body): &(u32, Vec<u8>)| {
        format!(
            "<Part><PartNumber>{number}</PartNumber><Size>{}</Size>\
             <ChecksumSHA256>{}</ChecksumSHA256></Part>",
            body.len(),
            sha256(body)
        )
    };
    let all: String = bodies.iter().map(part).collect();
    assert!(got.element("ObjectParts").ends_with(&all), "{}", got.text());
    for marker in 0..11_u32 {
        for limit in 0..6_usize {
            let (after, most) = (marker.to_string(), limit.to_string());
            let paged = [
                ("x-amz-part-number-marker", after.as_str()),
                ("x-amz-max-parts", most.as_str()),
            ];
            let got = attributes(&site, "key", "ObjectParts", &paged).await;
            let behind: Vec<_> = bodies.iter().filter(|(at, _)| *at > marker).collect();
            let shown: String = behind.iter().take(limit).map(|one| part(one)).collect();
            let truncated = behind.len() > limit;
            let end = format!("<IsTruncated>{truncated}</IsTruncated>{shown}");
            let text = got.element("ObjectParts");
            assert!(text.ends_with(&end), "{marker} {limit}: {text}");
        }
    }
    let copied = [("x-amz-copy-source", "/bucket/key")];
    let made = site
        .call_with(Method::PUT, "/bucket/copy", &copied, "")
        .await;
    assert_eq!(made.element("ChecksumType"), "COMPOSITE");
    let copy = attributes(&site, "copy", ALL, &[]).await;
    assert!(copy.element("ObjectParts").ends_with(&all), "as the source");
}

#[tokio::test]
async fn a_part_read_by_number_has_its_own_checksum() {
    let site = Site::new(1, 0).with_bucket().await;
    let mode = [("x-amz-checksum-mode", "ENABLED")];
    for (number, body) in multipart(&site).await {
        let target = format!("/bucket/key?partNumber={number}");
        for method in [Method::GET, Method::HEAD] {
            let got = site.call_with(method.clone(), &target, &mode, "").await;
            let status = if body.is_empty() { 200 } else { 206 };
            assert_eq!(got.status, status, "{method} {number}");
            assert_eq!(got.header("x-amz-checksum-sha256"), sha256(&body));
            assert_eq!(got.header("x-amz-checksum-type"), "COMPOSITE");
            assert_eq!(got.header("x-amz-mp-parts-count"), "5");
            assert_eq!(got.header("content-length"), body.len().to_string());
            assert!(method == Method::HEAD || got.body == body);
        }
        let quiet = site.call(Method::HEAD, &target, "").await;
        assert_eq!(quiet.header("x-amz-checksum-sha256"), "");
    }
    site.call(Method::PUT, "/bucket/one", "hello").await;
    let target = "/bucket/one?partNumber=1";
    let got = site.call_with(Method::GET, target, &mode, "").await;
    assert_eq!(got.header("x-amz-checksum-crc64nvme"), "M3eFcAZSQlc=");
    let range = [mode[0], ("range", "bytes=0-1")];
    let got = site.call_with(Method::GET, "/bucket/one", &range, "").await;
    assert_eq!(got.header("x-amz-checksum-crc64nvme"), "", "of other bytes");
}
