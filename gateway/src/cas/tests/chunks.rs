use bytes::Bytes;
use cairn_model::limits;

use super::*;
use crate::cas::EMPTY;
use crate::fakes::DiskFault;

#[tokio::test]
async fn a_chunk_comes_back_whole_and_is_leased() {
    let site = Site::new(2, 1);
    // One byte, inline for S3, copies, one stripe, several, more than S3's cut.
    for length in [1, 4_096, 65_535, 65_536, 400_001, (16 << 20) + 5] {
        let bytes = pattern(length);
        let (hash, first) = put(&site, &bytes).await;
        assert_eq!(first.status, 201, "{length}: {}", first.text());
        assert_eq!(
            body(&first),
            serde_json::json!({ "sha256": hash.to_string(), "size": length })
        );
        assert_eq!(first.header("x-chunk-hash"), hash.to_string());
        assert_eq!(first.header("x-chunk-size"), length.to_string());
        let got = site.call(Method::GET, &path(hash), "").await;
        assert!(got.whole && got.body == bytes, "{length}");
        assert_eq!(got.status, 200);
        assert_eq!(got.header("x-chunk-hash"), hash.to_string());
        assert_eq!(got.header("x-chunk-size"), length.to_string());
        assert_eq!(got.header("content-length"), length.to_string());
        assert_eq!(got.header("etag"), format!("\"{hash}\""));
        assert_eq!(got.header("accept-ranges"), "bytes");
        let head = site.call(Method::HEAD, &path(hash), "").await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), length.to_string());
        assert!(leased(&site, hash).is_some());
        assert!(
            rows(&site).contains(&(hash, 1)),
            "a row of its own, held by the lease"
        );
    }
}

#[tokio::test]
async fn a_second_put_is_verified_renews_and_writes_nothing() {
    let site = Site::new(2, 1);
    let bytes = pattern(100_000);
    let (hash, first) = put(&site, &bytes).await;
    assert_eq!(first.status, 201);
    let (before, written) = (leased(&site, hash), shards(&site));
    let (_, again) = put(&site, &bytes).await;
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(again.header("x-chunk-hash"), hash.to_string());
    assert!(leased(&site, hash) > before);
    assert_eq!(shards(&site), written);
    assert_eq!(rows(&site), [(hash, 1)]);
    let before = leased(&site, hash);
    let mut wrong = bytes.clone();
    wrong[99_999] ^= 1;
    let got = site
        .call_with(Method::PUT, &path(hash), &[UNSIGNED], wrong)
        .await;
    assert_eq!(refusal(&got), (400, "BadDigest".to_owned()));
    assert_eq!(leased(&site, hash), before, "nothing renewed");
}

/// Seen red with a hash that is not compared.
#[tokio::test]
async fn a_wrong_hash_stores_nothing() {
    let site = Site::new(2, 1);
    for length in [1, 100_000, 1_000_000] {
        let bytes = pattern(length);
        let other = hash(b"other");
        let got = site
            .call_with(Method::PUT, &path(other), &[UNSIGNED], bytes.clone())
            .await;
        assert_eq!(refusal(&got), (400, "BadDigest".to_owned()));
        assert!(
            got.text().contains(&hash(&bytes).to_string()),
            "says what it was"
        );
        let signed = site.call(Method::PUT, &path(other), bytes.clone()).await;
        assert_eq!(
            refusal(&signed),
            (400, "XAmzContentSHA256Mismatch".to_owned())
        );
        for hash in [other, hash(&bytes)] {
            assert_eq!(site.call(Method::GET, &path(hash), "").await.status, 404);
            assert_eq!(leased(&site, hash), None);
        }
    }
    assert!(rows(&site).is_empty());
    assert_eq!(shards(&site), 0, "no shard was sealed");
}

#[tokio::test]
async fn size_and_index_are_what_they_say() {
    let site = Site::new(1, 0);
    let bytes = pattern(1_000);
    let target = path(hash(&bytes));
    let with = async |name: &str, value: &str| {
        site.call_with(Method::PUT, &target, &[(name, value)], bytes.clone())
            .await
    };
    for (name, value) in [
        ("x-chunk-size", "999"),
        ("x-chunk-size", "1001"),
        ("x-chunk-size", "a"),
        ("x-chunk-size", "+1000"),
        ("x-chunk-index", "-1"),
        ("x-chunk-index", "1.5"),
        ("x-chunk-index", ""),
        ("x-chunk-index", "99999999999999999999"),
    ] {
        let got = with(name, value).await;
        assert_eq!(
            refusal(&got),
            (400, "InvalidArgument".to_owned()),
            "{name}: {value}"
        );
    }
    assert!(rows(&site).is_empty());
    assert_eq!(with("x-chunk-size", "1000").await.status, 201);
    let got = with("x-chunk-index", "18446744073709551615").await;
    assert_eq!(got.header("x-chunk-index"), "18446744073709551615");
}

#[tokio::test]
async fn a_chunk_that_is_too_long_is_refused_before_its_body() {
    let site = Site::new(1, 0);
    let bytes = Bytes::from_static(b"never read");
    let long = (limits::CHUNK_LEN_MAX + 1).to_string();
    let mut request = site
        .signer("alice")
        .sign(&Method::PUT, &path(hash(&bytes)), &[], &bytes);
    request
        .headers_mut()
        .insert("content-length", long.parse().unwrap());
    let got = site.send(request, bytes.clone()).await;
    assert_eq!(refusal(&got), (413, "EntityTooLarge".to_owned()));
    assert_eq!(
        body(&got)["error"]["details"]["longest"],
        limits::CHUNK_LEN_MAX
    );
}

/// A body in chunked transfer, as alice.
async fn stream(site: &Site, bytes: &[u8], headers: &[(&str, &str)]) -> Got {
    let target = path(hash(bytes));
    let signed = site
        .signer("alice")
        .sign(&Method::PUT, &target, headers, bytes);
    site.stream(
        signed,
        bytes.chunks(777).map(Bytes::copy_from_slice).collect(),
    )
    .await
}

#[tokio::test]
async fn a_body_of_unknown_length_needs_a_size_and_must_have_it() {
    let site = Site::new(2, 1);
    let bytes = pattern(300_000);
    let got = stream(&site, &bytes, &[]).await;
    assert_eq!(refusal(&got), (411, "MissingContentLength".to_owned()));
    for (size, code) in [("299999", "InvalidRequest"), ("300001", "IncompleteBody")] {
        let got = stream(&site, &bytes, &[("x-chunk-size", size)]).await;
        assert_eq!(refusal(&got), (400, code.to_owned()));
    }
    let got = stream(&site, &bytes, &[("x-chunk-size", "67108865")]).await;
    assert_eq!(refusal(&got).0, 413);
    assert!(rows(&site).is_empty());
    let got = stream(&site, &bytes, &[("x-chunk-size", "300000")]).await;
    assert_eq!(got.status, 201, "{}", got.text());
    let got = stream(&site, &bytes, &[("x-chunk-size", "300001")]).await;
    assert_eq!(
        refusal(&got),
        (400, "IncompleteBody".to_owned()),
        "also of a stored one"
    );
}

#[tokio::test]
async fn the_empty_chunk_is_always_there_and_never_stored() {
    let site = Site::new(1, 0);
    let got = site.call(Method::GET, &path(EMPTY), "").await;
    assert_eq!((got.status.as_u16(), got.body.len()), (200, 0));
    assert_eq!(got.header("content-length"), "0");
    assert_eq!(got.header("x-chunk-size"), "0");
    assert_eq!(site.call(Method::HEAD, &path(EMPTY), "").await.status, 200);
    let range = [("range", "bytes=0-")];
    assert_eq!(
        site.call_with(Method::GET, &path(EMPTY), &range, "")
            .await
            .status,
        416
    );
    let (named, got) = put(&site, b"").await;
    assert_eq!((named, got.status.as_u16()), (EMPTY, 200));
    let got = site
        .call_with(Method::PUT, &path(hash(b"x")), &[UNSIGNED], "")
        .await;
    assert_eq!(refusal(&got), (400, "BadDigest".to_owned()));
    let got = site
        .call_with(Method::PUT, &path(EMPTY), &[UNSIGNED], "x")
        .await;
    assert_eq!(refusal(&got), (400, "BadDigest".to_owned()));
    assert!(rows(&site).is_empty());
}

#[tokio::test]
async fn ranges_and_conditions() {
    let site = Site::new(2, 1);
    let bytes = pattern(300_000);
    let (named, _) = put(&site, &bytes).await;
    let tag = format!("\"{named}\"");
    let get = async |headers: &[(&str, &str)]| {
        site.call_with(Method::GET, &path(named), headers, "").await
    };
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=131000-140000", 131_000, 140_000),
        ("bytes=299990-", 299_990, 299_999),
        ("bytes=-5", 299_995, 299_999),
        ("bytes=5-999999", 5, 299_999),
    ] {
        let got = get(&[("range", range)]).await;
        assert_eq!(got.status, 206, "{range}");
        assert_eq!(
            got.header("content-range"),
            format!("bytes {first}-{last}/300000")
        );
        assert_eq!(got.header("content-length"), (last - first + 1).to_string());
        assert_eq!(got.header("x-chunk-size"), "300000");
        assert!(got.whole && got.body == bytes[first..=last], "{range}");
        let head = site
            .call_with(Method::HEAD, &path(named), &[("range", range)], "")
            .await;
        assert_eq!((head.status.as_u16(), head.body.len()), (206, 0));
    }
    let out = get(&[("range", "bytes=300000-")]).await;
    assert_eq!(refusal(&out), (416, "InvalidRange".to_owned()));
    assert_eq!(out.header("content-range"), "bytes */300000");
    assert_eq!(get(&[("range", "bytes=0-1,5-6")]).await.status, 200);
    for tags in [tag.as_str(), "*", "\"x\", \"y\""] {
        let got = get(&[("if-none-match", tags)]).await;
        let expected = if tags.contains('x') { 200 } else { 304 };
        assert_eq!(got.status, expected, "{tags}");
        if expected == 304 {
            assert!(got.body.is_empty());
            assert_eq!(got.header("etag"), tag);
        }
    }
    assert_eq!(get(&[("if-match", &tag)]).await.status, 200);
    assert_eq!(refusal(&get(&[("if-match", "\"x\"")]).await).0, 412);
    let range = ("range", "bytes=0-9");
    assert_eq!(get(&[range, ("if-range", &tag)]).await.status, 206);
    assert_eq!(get(&[range, ("if-range", "\"x\"")]).await.status, 200);
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let site = Site::new(1, 0);
    let got = site.call(Method::GET, &path(hash(b"x")), "").await;
    assert_eq!(refusal(&got), (404, "NoSuchChunk".to_owned()));
    let got = site.call(Method::HEAD, &path(hash(b"x")), "").await;
    assert_eq!((got.status.as_u16(), got.body.len()), (404, 0));
    let (named, _) = put(&site, &pattern(5_000)).await;
    let key = (domain(&site, "alicekey").0, named.0.to_vec().into());
    site.metadata
        .edit(|state| state.chunks().get_mut(&key).unwrap().live = false);
    let got = site.call(Method::GET, &path(named), "").await;
    assert_eq!(refusal(&got).0, 404, "condemned");
}

#[tokio::test]
async fn chunks_of_s3_objects_are_the_same_chunks() {
    let site = Site::new(2, 1).with_bucket().await;
    let bytes = pattern((16 << 20) + 100_000);
    assert_eq!(
        site.call(Method::PUT, "/bucket/k", bytes.clone())
            .await
            .status,
        200
    );
    let (first, second) = bytes.split_at(16 << 20);
    for piece in [first, second] {
        let got = site.call(Method::GET, &path(hash(piece)), "").await;
        assert!(got.status == 200 && got.whole && got.body == piece);
    }
    let before = shards(&site);
    let (named, again) = put(&site, second).await;
    assert_eq!((again.status.as_u16(), shards(&site)), (200, before));
    assert!(
        rows(&site).contains(&(named, 2)),
        "the object and the lease"
    );
    let (named, new) = put(&site, &pattern(70_001)).await;
    assert_eq!(new.status, 201);
    assert_eq!(
        site.call(Method::PUT, "/bucket/same", pattern(70_001))
            .await
            .status,
        200
    );
    assert!(rows(&site).contains(&(named, 2)));
    assert_eq!(
        site.call(Method::PUT, "/bucket/inline", pattern(100))
            .await
            .status,
        200
    );
    let got = site.call(Method::GET, &path(hash(&pattern(100))), "").await;
    assert_eq!(got.status, 404, "inline bytes are no chunk");
}

#[tokio::test]
async fn uploading_a_suspect_chunk_heals_it() {
    let site = Site::new(2, 1);
    let bytes = pattern(100_000);
    let (named, _) = put(&site, &bytes).await;
    let before = shards(&site);
    spoil(&site, named);
    let (_, again) = put(&site, &bytes).await;
    assert_eq!(again.status, 201, "newly stored");
    assert!(shards(&site) > before, "written again");
    assert_eq!(rows(&site), [(named, 1)]);
}

/// Row and shards agree with each other, and so do cells, table and CRC: only the name is wrong.
#[tokio::test]
async fn a_full_read_that_is_not_what_its_name_says_never_ends_well() {
    let site = Site::new(2, 1);
    let bytes = pattern(1_000_000);
    let domain = domain(&site, "alicekey").0;
    let rename = |from: Sha256, to: Sha256| {
        site.metadata.edit(|state| {
            let row = state.chunks().remove(&(domain, from.0.to_vec().into()));
            let mut row = row.unwrap();
            row.sha256 = to.0.to_vec().into();
            state.chunks().insert((domain, row.sha256.clone()), row);
        });
        site.disks.edit(|sealed| {
            for shard in sealed
                .values_mut()
                .filter(|shard| shard.trailer.chunk.sha256 == from)
            {
                shard.trailer.chunk.sha256 = to;
            }
        });
    };
    let (right, _) = put(&site, &bytes).await;
    let (right_small, _) = put(&site, &pattern(10_000)).await;
    let (wrong, wrong_small) = (Sha256([1; 32]), Sha256([2; 32]));
    rename(right, wrong);
    rename(right_small, wrong_small);
    let part = [("range", "bytes=0-999998")];
    let got = site.call_with(Method::GET, &path(wrong), &part, "").await;
    assert!(got.whole, "what is not whole has no digest to check");
    let got = site.call(Method::GET, &path(wrong), "").await;
    assert_eq!(got.status, 200);
    assert!(
        !got.whole && got.body.len() < bytes.len(),
        "aborted, never ended"
    );
    let got = site.call(Method::GET, &path(wrong_small), "").await;
    assert_eq!(
        refusal(&got),
        (503, "ServiceUnavailable".to_owned()),
        "known before the head"
    );
    let suspect = |hash: Sha256| {
        let key = (domain, hash.0.to_vec().into());
        site.metadata.edit(|state| state.chunks()[&key].suspect)
    };
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(suspect(wrong) && suspect(wrong_small), "uploading heals it");
}

#[tokio::test]
async fn nothing_is_acknowledged_that_is_not_stored() {
    let site = Site::new(2, 1);
    for disk in 0..2 {
        site.disks.fault(disk, DiskFault::Full);
    }
    let (named, got) = put(&site, &pattern(100_000)).await;
    assert_eq!(got.status, 507, "{}", got.text());
    assert!(rows(&site).is_empty() && leased(&site, named).is_none());
}

#[tokio::test]
async fn a_body_that_breaks_off_stores_nothing() {
    let site = Site::new(2, 1);
    let bytes = pattern(500_000);
    let mut request = site
        .signer("alice")
        .sign(&Method::PUT, &path(hash(&bytes)), &[], &bytes);
    request
        .headers_mut()
        .insert("content-length", "500000".parse().unwrap());
    let got = site.send(request, bytes[..400_000].to_vec().into()).await;
    assert_eq!(refusal(&got), (400, "IncompleteBody".to_owned()));
    assert!(rows(&site).is_empty());
    assert_eq!(shards(&site), 0);
}
