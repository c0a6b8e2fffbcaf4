use bytes::Bytes;
use cairn_wire::metadata::Refusal;
use cairn_wire::metadata::entry::Command;
use http::Method;

use crate::fakes::{Fault, Got, Site, pattern};

const PART: usize = 5 << 20;

pub(super) async fn create(site: &Site, headers: &[(&str, &str)]) -> String {
    let made = site
        .call_with(Method::POST, "/bucket/key?uploads", headers, "")
        .await;
    assert_eq!(made.status, 200, "{}", made.text());
    made.element("UploadId")
}

async fn upload(site: &Site, id: &str, number: u32, body: impl Into<Bytes>) -> String {
    let target = format!("/bucket/key?partNumber={number}&uploadId={id}");
    let put = site.call(Method::PUT, &target, body).await;
    assert_eq!(put.status, 200, "{}", put.text());
    put.header("etag").to_owned()
}

pub(super) async fn complete(site: &Site, id: &str, parts: &[(u32, &str)]) -> Got {
    complete_with(site, id, parts, &[]).await
}

async fn complete_with(
    site: &Site,
    id: &str,
    parts: &[(u32, &str)],
    headers: &[(&str, &str)],
) -> Got {
    let part = |(number, etag): &(u32, &str)| {
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
    };
    let parts: String = parts.iter().map(part).collect();
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    site.call_with(
        Method::POST,
        &format!("/bucket/key?uploadId={id}"),
        headers,
        body,
    )
    .await
}

#[tokio::test]
async fn parts_become_one_object() {
    let site = Site::new(2, 1).with_bucket().await;
    let id = create(
        &site,
        &[("content-type", "text/plain"), ("x-amz-meta-a", "b")],
    )
    .await;
    let bodies = [pattern(PART), pattern(PART + 100), b"tail".to_vec()];
    // Out of order, one of them twice; numbers with gaps.
    let three = upload(&site, &id, 9, bodies[2].clone()).await;
    upload(&site, &id, 1, "replaced").await;
    let one = upload(&site, &id, 1, bodies[0].clone()).await;
    let two = upload(&site, &id, 4, bodies[1].clone()).await;
    let listed = site
        .call(
            Method::GET,
            &format!("/bucket/key?max-parts=2&uploadId={id}"),
            "",
        )
        .await;
    assert_eq!(listed.element("NextPartNumberMarker"), "4");
    assert_eq!(listed.element("IsTruncated"), "true");
    let parts = [(1, one.as_str()), (4, &two), (9, &three)];
    let done = complete(&site, &id, &parts).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert!(
        done.element("ETag").ends_with("-3&quot;"),
        "{}",
        done.text()
    );
    assert!(!done.element("ChecksumCRC64NVME").is_empty());
    let whole = bodies.concat();
    let got = site
        .call_with(
            Method::GET,
            "/bucket/key",
            &[("x-amz-checksum-mode", "ENABLED")],
            "",
        )
        .await;
    assert!(got.body == whole);
    assert_eq!(got.header("content-type"), "text/plain");
    assert_eq!(got.header("x-amz-meta-a"), "b");
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &whole);
    let crc =
        cairn_s3::digest::Checksum::new(cairn_s3::digest::Algorithm::Crc64Nvme, &crc.to_be_bytes());
    assert_eq!(
        got.header("x-amz-checksum-crc64nvme"),
        crc.unwrap().to_base64()
    );
    let range = format!("bytes={}-{}", PART - 2, PART + 1);
    let got = site
        .call_with(Method::GET, "/bucket/key", &[("range", &range)], "")
        .await;
    assert!(got.body == whole[PART - 2..PART + 2]);
    let part = site.call(Method::GET, "/bucket/key?partNumber=4", "").await;
    assert_eq!(
        (part.status.as_u16(), part.header("x-amz-mp-parts-count")),
        (206, "3")
    );
    assert!(part.body == bodies[1]);
    let none = site.call(Method::GET, "/bucket/key?partNumber=2", "").await;
    assert_eq!(none.refusal(), (400, "InvalidPart".to_owned()));
    // The client did not hear of it and asks again.
    assert_eq!(complete(&site, &id, &parts).await.status, 200);
    let other = complete(&site, &id, &parts[..2]).await;
    assert_eq!(other.refusal(), (404, "NoSuchUpload".to_owned()));
}

#[tokio::test]
async fn an_aborted_upload_is_not_completed_by_another_of_the_same_parts() {
    let site = Site::new(1, 0).with_bucket().await;
    let (aborted, completed) = (create(&site, &[]).await, create(&site, &[]).await);
    let part = upload(&site, &aborted, 1, "part").await;
    assert_eq!(upload(&site, &completed, 1, "part").await, part);
    let target = format!("/bucket/key?uploadId={aborted}");
    let abort = site.call(Method::DELETE, &target, "").await;
    assert_eq!(abort.status, 204);
    let parts = [(1, part.as_str())];
    assert_eq!(complete(&site, &completed, &parts).await.status, 200);
    assert_eq!(complete(&site, &completed, &parts).await.status, 200);
    let other = complete(&site, &aborted, &parts).await;
    assert_eq!(other.refusal(), (404, "NoSuchUpload".to_owned()));
}

#[tokio::test]
async fn a_list_that_is_not_the_parts_is_refused() {
    let site = Site::new(1, 0).with_bucket().await;
    let id = create(&site, &[]).await;
    let one = upload(&site, &id, 1, "small").await;
    let two = upload(&site, &id, 2, "also small").await;
    let refusal = async |parts: &[(u32, &str)]| complete(&site, &id, parts).await.refusal();
    assert_eq!(
        refusal(&[(1, &one), (2, &two)]).await,
        (400, "EntityTooSmall".to_owned())
    );
    assert_eq!(
        refusal(&[(2, &two), (1, &one)]).await,
        (400, "InvalidPartOrder".to_owned())
    );
    assert_eq!(refusal(&[(1, &two)]).await, (400, "InvalidPart".to_owned()));
    assert_eq!(refusal(&[(3, &one)]).await, (400, "InvalidPart".to_owned()));
    assert_eq!(
        refusal(&[(1, &one), (1, &two)]).await,
        (400, "InvalidPart".to_owned()),
        "the last mention counts"
    );
    assert_eq!(refusal(&[]).await, (400, "MalformedXML".to_owned()));
    let size = [("x-amz-mp-object-size", "6")];
    let wrong = complete_with(&site, &id, &[(1, &one)], &size).await;
    assert_eq!(wrong.refusal(), (400, "InvalidRequest".to_owned()));
    let crc = [("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")];
    let wrong = complete_with(&site, &id, &[(1, &one)], &crc).await;
    assert_eq!(wrong.refusal(), (400, "BadDigest".to_owned()));
    assert_eq!(
        complete(&site, &id, &[(1, &one)]).await.status,
        200,
        "the last may be small"
    );
}

#[tokio::test]
async fn a_part_that_comes_in_between_is_noticed() {
    let site = Site::new(1, 0).with_bucket().await;
    let id = create(&site, &[]).await;
    let one = upload(&site, &id, 1, "one").await;
    site.metadata.fault(Fault::Refuse(Refusal::PartSetChanged));
    assert_eq!(
        complete(&site, &id, &[(1, &one)]).await.status,
        200,
        "read again, and done"
    );
    let id = create(&site, &[]).await;
    let one = upload(&site, &id, 1, "one").await;
    for _ in 0..crate::tuning::COMPLETE_TRIES {
        site.metadata.fault(Fault::Refuse(Refusal::PartSetChanged));
    }
    let refused = complete(&site, &id, &[(1, &one)]).await;
    assert_eq!(refused.refusal(), (409, "OperationAborted".to_owned()));
}

#[tokio::test]
async fn composite_checksums_are_made_of_the_parts() {
    let site = Site::new(1, 0).with_bucket().await;
    let id = create(&site, &[("x-amz-checksum-algorithm", "SHA256")]).await;
    let sha256 = |body: &[u8]| {
        let sum = <sha2::Sha256 as sha2::Digest>::digest(body);
        cairn_s3::digest::Checksum::new(cairn_s3::digest::Algorithm::Sha256, &sum).unwrap()
    };
    let target = format!("/bucket/key?partNumber=1&uploadId={id}");
    let sum = sha256(b"one");
    let text = sum.to_base64();
    let put = site
        .call_with(
            Method::PUT,
            &target,
            &[("x-amz-checksum-sha256", &text)],
            "one",
        )
        .await;
    assert_eq!(put.header("x-amz-checksum-sha256"), text);
    let done = complete(&site, &id, &[(1, put.header("etag"))]).await;
    let expected = format!("{}-1", sha256(sum.bytes()).to_base64());
    assert_eq!(done.element("ChecksumSHA256"), expected);
    assert_eq!(done.element("ChecksumType"), "COMPOSITE");
}

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    let site = Site::new(1, 0).with_bucket().await;
    let id = create(&site, &[]).await;
    upload(&site, &id, 1, "one").await;
    let target = format!("/bucket/key?uploadId={id}");
    assert_eq!(site.call(Method::DELETE, &target, "").await.status, 204);
    let part = format!("/bucket/key?partNumber=2&uploadId={id}");
    for (method, target) in [
        (Method::DELETE, target.as_str()),
        (Method::GET, &target),
        (Method::PUT, &part),
        (Method::GET, "/bucket/key?uploadId=nonsense"),
    ] {
        let got = site.call(method.clone(), target, "").await;
        assert_eq!(
            got.refusal(),
            (404, "NoSuchUpload".to_owned()),
            "{method} {target}"
        );
    }
    let gone = complete(&site, &id, &[(1, "0123456789abcdef0123456789abcdef")]).await;
    assert_eq!(gone.refusal(), (404, "NoSuchUpload".to_owned()));
}

#[tokio::test]
async fn uploads_are_listed_with_groups_and_pages() {
    let site = Site::new(1, 0).with_bucket().await;
    for key in ["a", "g/1", "g/2", "h", "h"] {
        let made = site
            .call(Method::POST, &format!("/bucket/{key}?uploads"), "")
            .await;
        assert_eq!(made.status, 200);
    }
    let (mut seen, mut marker) = (Vec::new(), String::new());
    for _ in 0..6 {
        let target = format!("/bucket?delimiter=%2F{marker}&max-uploads=1&uploads=");
        let page = site.call(Method::GET, &target, "").await;
        let key = page.element("Key");
        let group = page.text().contains("<CommonPrefixes>");
        seen.push(if group { "group".to_owned() } else { key });
        if page.element("IsTruncated") == "false" {
            break;
        }
        let (key, id) = (
            page.element("NextKeyMarker"),
            page.element("NextUploadIdMarker"),
        );
        let key = key.replace('/', "%2F");
        marker = format!("&key-marker={key}");
        if !id.is_empty() {
            marker = format!("&key-marker={key}&upload-id-marker={id}");
        }
        // Query parameters are signed sorted.
        let _ = &site.metadata.log();
    }
    assert_eq!(seen, ["a", "group", "h", "h"]);
}

#[tokio::test]
async fn every_write_of_a_part_is_in_the_session_that_wrote_its_chunks() {
    let site = Site::new(1, 0).with_bucket().await;
    let id = create(&site, &[]).await;
    upload(&site, &id, 1, pattern(10_000)).await;
    let parts = site
        .metadata
        .log()
        .into_iter()
        .filter(|one| matches!(one, Command::PutPart(_)));
    assert_eq!(
        parts.count(),
        1,
        "the fake refuses a stamp of another session"
    );
}
