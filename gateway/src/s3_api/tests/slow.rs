//! Clients so slow that their sessions end before they do.

use std::time::Duration;

use bytes::Bytes;
use cairn_wire::metadata::entry::Command;
use http::Method;
use md5::Digest as _;

use super::multipart::{complete, create};
use crate::fakes::{Got, Site, pattern};

/// 16 MiB, a chunk, in two hours.
const PACE: Duration = Duration::from_secs(450);

/// Bytes of which no two chunks are the same.
fn unlike(length: usize) -> Vec<u8> {
    let mut bytes = pattern(length);
    for (number, chunk) in (1..).zip(bytes.chunks_mut(16 << 20)) {
        chunk.iter_mut().for_each(|byte| *byte ^= number);
    }
    bytes
}

async fn put_slowly(site: &Site, target: &str, body: &[u8]) -> Got {
    let body = Bytes::copy_from_slice(body);
    let request = site.signer("alice").sign(&Method::PUT, target, &[], &body);
    site.send_slowly(request, body, PACE).await
}

fn quoted_md5(body: &[u8]) -> String {
    format!("\"{}\"", hex::encode(md5::Md5::digest(body)))
}

/// The sessions that uploads have left.
fn left(site: &Site) -> Vec<u64> {
    let log = site.metadata.log().into_iter();
    log.filter_map(|command| match command {
        Command::AdoptStaged(adopt) => Some(adopt.from),
        _ => None,
    })
    .collect()
}

async fn is_whole(site: &Site, body: &[u8]) {
    let got = site.call(Method::GET, "/bucket/key", "").await;
    assert_eq!((got.status.as_u16(), got.whole), (200, true));
    assert!(got.body == body);
}

#[tokio::test]
async fn a_slow_put_is_committed_in_a_session_it_did_not_begin_in() {
    let site = Site::new(2, 1).with_bucket().await;
    let body = unlike((40 << 20) + 7);
    let begun = site.metadata.open_sessions();
    let put = put_slowly(&site, "/bucket/key", &body).await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(put.header("etag"), quoted_md5(&body));
    let left = left(&site);
    assert_eq!((left.len(), left[0]), (2, begun[0]));
    let open = site.metadata.open_sessions();
    assert!(left.iter().all(|session| !open.contains(session)));
    is_whole(&site, &body).await;
}

#[tokio::test]
async fn a_slow_part_moves_too_and_becomes_part_of_its_object() {
    let site = Site::new(1, 0).with_bucket().await;
    let bodies = [unlike(20 << 20), unlike((33 << 20) + 1)];
    let id = create(&site, &[]).await;
    let mut etags = Vec::new();
    for (number, body) in (1..).zip(&bodies) {
        let target = format!("/bucket/key?partNumber={number}&uploadId={id}");
        let put = put_slowly(&site, &target, body).await;
        assert_eq!(put.status, 200, "{}", put.text());
        assert_eq!(put.header("etag"), quoted_md5(body));
        etags.push(put.header("etag").to_owned());
    }
    assert_eq!(left(&site).len(), 1 + 2);
    let done = complete(
        &site,
        &id,
        &[(1, etags[0].as_str()), (2, etags[1].as_str())],
    )
    .await;
    assert_eq!(done.status, 200, "{}", done.text());
    is_whole(&site, &bodies.concat()).await;
}

#[tokio::test]
async fn a_slow_body_that_is_not_what_was_signed_is_not_published() {
    let site = Site::new(1, 0).with_bucket().await;
    let body = Bytes::from(unlike(18 << 20));
    let other = Bytes::from(unlike(18 << 20).into_iter().rev().collect::<Vec<u8>>());
    let request = site
        .signer("alice")
        .sign(&Method::PUT, "/bucket/key", &[], &other);
    let put = site.send_slowly(request, body, PACE).await;
    assert_eq!(put.status, 400, "{}", put.text());
    assert_eq!(left(&site).len(), 1, "it had moved by then");
    let got = site.call(Method::GET, "/bucket/key", "").await;
    assert_eq!(got.status, 404);
}
