use cairn_model::limits;
use cairn_s3::digest::{Algorithm, Checksum};
use cairn_wire::metadata::entry::Command;
use serde_json::json;

use super::*;
use crate::cas::EMPTY;

const AT: &str = "/cas/objects/bucket/made";

fn document(pieces: &[&[u8]]) -> Value {
    let chunks: Vec<Value> = pieces
        .iter()
        .map(|bytes| json!({ "sha256": hash(bytes).to_string(), "length": bytes.len() }))
        .collect();
    json!({ "chunks": chunks })
}

async fn post(site: &Site, target: &str, headers: &[(&str, &str)], document: &Value) -> Got {
    site.call_with(Method::POST, target, headers, document.to_string())
        .await
}

async fn site() -> Site {
    Site::new(2, 1).with_bucket().await
}

#[tokio::test]
async fn an_object_of_chunks_is_an_object() {
    let site = site().await;
    let (one, two) = (pattern(100_000), pattern(70_001));
    put(&site, &one).await;
    put(&site, &two).await;
    let mut document = document(&[&one, &two, b"", &one]);
    document["content_type"] = "text/plain".into();
    document["metadata"] = json!({ "Colour": "blue" });
    let got = post(&site, AT, &[], &document).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let whole = [one.as_slice(), &two, &one].concat();
    let digests = [hash(&one).0, hash(&two).0, hash(&one).0].concat();
    let etag = format!("{}-3", hash(&digests));
    assert_eq!(body(&got), json!({ "etag": etag, "size": whole.len() }));
    assert_eq!(got.header("etag"), format!("\"{etag}\""));
    let read = site
        .call_with(
            Method::GET,
            "/bucket/made",
            &[("x-amz-checksum-mode", "ENABLED")],
            "",
        )
        .await;
    assert!(read.status == 200 && read.whole && read.body == whole);
    assert_eq!(read.header("etag"), format!("\"{etag}\""));
    assert_eq!(read.header("content-type"), "text/plain");
    assert_eq!(read.header("x-amz-meta-colour"), "blue");
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &whole);
    let crc = Checksum::new(Algorithm::Crc64Nvme, &crc.to_be_bytes()).unwrap();
    assert_eq!(read.header("x-amz-checksum-crc64nvme"), crc.to_base64());
    assert_eq!(read.header("x-amz-checksum-type"), "FULL_OBJECT");
    let range = [("range", "bytes=99990-170010")];
    let part = site
        .call_with(Method::GET, "/bucket/made", &range, "")
        .await;
    assert!(part.status == 206 && part.body == whole[99_990..=170_010]);
    let listed = site.call(Method::GET, "/bucket?list-type=2", "").await;
    assert!(
        listed.text().contains("<Key>made</Key>"),
        "{}",
        listed.text()
    );
    assert_eq!(listed.element("Size"), whole.len().to_string());
    assert!(
        rows(&site).contains(&(hash(&one), 3)),
        "a lease, and twice in the object"
    );
}

#[tokio::test]
async fn an_object_of_nothing_is_empty() {
    let site = site().await;
    for chunks in [document(&[]), document(&[b"", b""])] {
        let got = post(&site, AT, &[], &chunks).await;
        assert_eq!(
            body(&got),
            json!({ "etag": format!("{EMPTY}-0"), "size": 0 })
        );
        let read = site.call(Method::GET, "/bucket/made", "").await;
        assert_eq!((read.status.as_u16(), read.body.len()), (200, 0));
    }
}

/// One tiny chunk: what S3 keeps inline is a chunk where it was put as one.
#[tokio::test]
async fn a_tiny_chunk_makes_an_object() {
    let site = site().await;
    put(&site, b"x").await;
    assert_eq!(post(&site, AT, &[], &document(&[b"x"])).await.status, 200);
    assert_eq!(site.call(Method::GET, "/bucket/made", "").await.body, "x");
    assert_eq!(rows(&site), [(hash(b"x"), 2)]);
}

#[tokio::test]
async fn what_is_missing_is_named_and_nothing_is_made() {
    let site = site().await;
    let bytes = pattern(5_000);
    put(&site, &bytes).await;
    let wanted = document(&[b"b", &bytes, b"a", b"b"]);
    let got = post(&site, AT, &[], &wanted).await;
    assert_eq!(refusal(&got), (409, "MissingChunks".to_owned()));
    let missing = json!([hash(b"b").to_string(), hash(b"a").to_string()]);
    assert_eq!(body(&got)["error"]["details"]["missing"], missing);
    assert_eq!(site.call(Method::GET, "/bucket/made", "").await.status, 404);
    spoil(&site, hash(&bytes));
    let got = post(&site, AT, &[], &document(&[&bytes])).await;
    assert_eq!(
        refusal(&got).0,
        409,
        "a suspect chunk is to be uploaded again"
    );
    put(&site, &bytes).await;
    assert_eq!(post(&site, AT, &[], &document(&[&bytes])).await.status, 200);
}

#[tokio::test]
async fn one_that_goes_before_the_commit_is_missing() {
    let site = site().await;
    let bytes = pattern(5_000);
    put(&site, &bytes).await;
    let gone = crate::fakes::Fault::Refuse(cairn_wire::metadata::Refusal::NoSuchChunk);
    site.metadata.fault(gone);
    let got = post(&site, AT, &[], &document(&[&bytes])).await;
    assert_eq!(refusal(&got), (409, "MissingChunks".to_owned()));
}

#[tokio::test]
async fn a_length_that_is_not_the_chunks_is_refused() {
    let site = site().await;
    let bytes = pattern(5_000);
    put(&site, &bytes).await;
    let mut wrong = document(&[&bytes]);
    wrong["chunks"][0]["length"] = 4_999.into();
    let got = post(&site, AT, &[], &wrong).await;
    assert_eq!(refusal(&got), (400, "InvalidArgument".to_owned()));
    assert_eq!(body(&got)["error"]["details"]["length"], 5_000);
    assert_eq!(site.call(Method::GET, "/bucket/made", "").await.status, 404);
}

#[tokio::test]
async fn write_conditions_hold() {
    let site = site().await;
    put(&site, b"one").await;
    put(&site, b"two").await;
    let (one, two) = (document(&[b"one"]), document(&[b"two"]));
    let nothing = [("if-none-match", "*")];
    let any = [("if-match", "\"x\"")];
    assert_eq!(
        refusal(&post(&site, AT, &any, &one).await),
        (404, "NoSuchKey".to_owned())
    );
    let made = post(&site, AT, &nothing, &one).await;
    assert_eq!(made.status, 200);
    let got = post(&site, AT, &nothing, &two).await;
    assert_eq!(refusal(&got), (412, "PreconditionFailed".to_owned()));
    assert_eq!(refusal(&post(&site, AT, &any, &two).await).0, 412);
    let right = [("if-match", made.header("etag"))];
    assert_eq!(post(&site, AT, &right, &two).await.status, 200);
    assert_eq!(site.call(Method::GET, "/bucket/made", "").await.body, "two");
}

#[tokio::test]
async fn a_bucket_is_its_owners_alone() {
    let site = site().await;
    put(&site, b"one").await;
    let one = document(&[b"one"]).to_string();
    for name in ["bob", "root"] {
        let named = path(hash(b"one"));
        let own = site.call_as(name, Method::PUT, &named, &[], "one").await;
        assert_eq!(own.status, 201);
        let got = site.call_as(name, Method::POST, AT, &[], one.clone()).await;
        assert_eq!(refusal(&got), (403, "AccessDenied".to_owned()), "{name}");
    }
    let none = site
        .call(Method::POST, "/cas/objects/nobodys/k", one.clone())
        .await;
    assert_eq!(refusal(&none), (404, "NoSuchBucket".to_owned()));
    let other = [("x-amz-expected-bucket-owner", "bob")];
    let got = post(&site, AT, &other, &document(&[b"one"])).await;
    assert_eq!(refusal(&got).0, 403);
    let mine = [("x-amz-expected-bucket-owner", "alice")];
    assert_eq!(
        post(&site, AT, &mine, &document(&[b"one"])).await.status,
        200
    );
}

#[tokio::test]
async fn keys_are_as_s3_reads_them() {
    let site = site().await;
    put(&site, b"one").await;
    let odd = "/cas/objects/bucket/a%20b/%C3%A9//c%2Fd";
    assert_eq!(
        post(&site, odd, &[], &document(&[b"one"])).await.status,
        200
    );
    let read = site
        .call(Method::GET, "/bucket/a%20b/%C3%A9//c%2Fd", "")
        .await;
    assert_eq!(read.body, "one");
    let long = format!(
        "/cas/objects/bucket/{}",
        "k".repeat(limits::KEY_LEN_MAX + 1)
    );
    let got = post(&site, &long, &[], &document(&[b"one"])).await;
    assert_eq!(refusal(&got), (400, "KeyTooLongError".to_owned()));
}

#[tokio::test]
async fn many_chunks_are_staged_in_pages() {
    let site = site().await;
    let pieces: Vec<Vec<u8>> = (0..5_u8).map(|n| vec![n; 200]).collect();
    for piece in &pieces {
        put(&site, piece).await;
    }
    let order: Vec<&[u8]> = (0..2_500)
        .map(|n: usize| pieces[n * n % 5].as_slice())
        .collect();
    let got = post(&site, AT, &[], &document(&order)).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(body(&got)["size"], 500_000);
    let pages = site
        .metadata
        .log()
        .iter()
        .filter(|command| matches!(command, Command::StagePage(_)))
        .count();
    assert_eq!(pages, 3);
    let read = site.call(Method::GET, "/bucket/made", "").await;
    assert!(read.whole && read.body == order.concat());
    let range = [("range", "bytes=204790-205010")];
    let part = site
        .call_with(Method::GET, "/bucket/made", &range, "")
        .await;
    assert_eq!(part.body, order.concat()[204_790..=205_010]);
}
