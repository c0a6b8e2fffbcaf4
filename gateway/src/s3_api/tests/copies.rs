//! CopyObject.

use cairn_model::limits;
use cairn_s3::digest::{Algorithm, Checksum};
use cairn_wire::metadata::Refusal;
use cairn_wire::metadata::entry::Command;
use http::Method;

use crate::fakes::{DiskFault, Fault, Got, Site, pattern};
use crate::tuning;

async fn copy(site: &Site, from: &str, to: &str, headers: &[(&str, &str)]) -> Got {
    copy_as(site, "alice", from, to, headers).await
}

async fn copy_as(site: &Site, who: &str, from: &str, to: &str, headers: &[(&str, &str)]) -> Got {
    let headers = [&[("x-amz-copy-source", from)], headers].concat();
    site.call_as(who, Method::PUT, to, &headers, "").await
}

/// (copies by reference, puts) so far.
fn commands(site: &Site) -> (usize, usize) {
    let log = site.metadata.log();
    let copies = log
        .iter()
        .filter(|one| matches!(one, Command::CopyObject(_)));
    let puts = log
        .iter()
        .filter(|one| matches!(one, Command::PutObject(_)));
    (copies.count(), puts.count())
}

async fn put(site: &Site, key: &str, body: Vec<u8>) -> String {
    let got = site.call(Method::PUT, key, body).await;
    assert_eq!(got.status, 200, "{}", got.text());
    got.header("etag").to_owned()
}

fn sha256(body: &[u8]) -> String {
    let sum = <sha2::Sha256 as sha2::Digest>::digest(body);
    Checksum::new(Algorithm::Sha256, &sum).unwrap().to_base64()
}

/// Bob's bucket beside alice's.
async fn with_bobs(site: Site) -> Site {
    let made = site.call_as("bob", Method::PUT, "/bobs", &[], "").await;
    assert_eq!(made.status, 200);
    site
}

#[tokio::test]
async fn a_copy_has_the_bytes_and_writes_none() {
    let site = Site::new(2, 1).with_bucket().await;
    for length in [0, 10, 10_000, 700_000] {
        let body = pattern(length);
        let etag = put(&site, "/bucket/a", body.clone()).await;
        let before = (site.disks.uploads(), site.disks.reads(), commands(&site));
        let made = copy(&site, "bucket/a", "/bucket/dir/b", &[]).await;
        assert_eq!(made.status, 200, "{}", made.text());
        assert_eq!(made.element("ETag"), etag.replace('"', "&quot;"));
        assert!(made.element("LastModified").ends_with('Z'));
        assert!(!made.element("ChecksumCRC64NVME").is_empty());
        assert_eq!(made.element("ChecksumType"), "FULL_OBJECT");
        let after = (site.disks.uploads(), site.disks.reads());
        assert_eq!(after, (before.0, before.1), "no shard was touched");
        assert_eq!(commands(&site), (before.2.0 + 1, before.2.1));
        site.call(Method::DELETE, "/bucket/a", "").await;
        let got = site.call(Method::GET, "/bucket/dir/b", "").await;
        assert!(got.body == body && got.whole, "{length}");
        assert_eq!(got.header("etag"), etag);
    }
}

#[tokio::test]
async fn headers_are_kept_or_replaced() {
    let site = Site::new(1, 0).with_bucket().await;
    let given = [
        ("content-type", "text/plain"),
        ("cache-control", "no-cache"),
        ("x-amz-meta-colour", "blue"),
    ];
    site.call_with(Method::PUT, "/bucket/a", &given, "hello")
        .await;
    let other = [("content-type", "a/b"), ("x-amz-meta-taste", "sweet")];
    copy(&site, "/bucket/a", "/bucket/kept", &other).await;
    let kept = site.call(Method::HEAD, "/bucket/kept", "").await;
    for (name, value) in given {
        assert_eq!(kept.header(name), value);
    }
    assert_eq!(kept.header("x-amz-meta-taste"), "");
    let replace = [other.as_slice(), &[("x-amz-metadata-directive", "REPLACE")]].concat();
    for to in ["/bucket/new", "/bucket/a"] {
        let made = copy(&site, "/bucket/a", to, &replace).await;
        assert_eq!(made.status, 200, "{}", made.text());
        let new = site.call(Method::GET, to, "").await;
        assert_eq!(new.header("content-type"), "a/b");
        assert_eq!(new.header("x-amz-meta-taste"), "sweet");
        assert_eq!(new.header("cache-control"), "");
        assert_eq!(new.header("x-amz-meta-colour"), "");
        assert_eq!(new.body, "hello");
    }
    let nothing = copy(&site, "/bucket/a", "/bucket/a", &[]).await;
    assert_eq!(nothing.refusal(), (400, "InvalidRequest".to_owned()));
}

#[tokio::test]
async fn another_checksum_is_computed_by_reading() {
    let site = Site::new(2, 1).with_bucket().await;
    let mode = [("x-amz-checksum-mode", "ENABLED")];
    for length in [10, 300_000] {
        let body = pattern(length);
        put(&site, "/bucket/a", body.clone()).await;
        let asked = [("x-amz-checksum-algorithm", "SHA256")];
        let made = copy(&site, "/bucket/a", "/bucket/b", &asked).await;
        assert_eq!(made.element("ChecksumSHA256"), sha256(&body));
        let got = site.call_with(Method::GET, "/bucket/b", &mode, "").await;
        assert_eq!(got.header("x-amz-checksum-sha256"), sha256(&body));
        assert!(
            got.body == body,
            "inline bytes are still checked by their CRC"
        );
        // A copy keeps the algorithm of its source, and stored values are not computed again.
        let reads = site.disks.reads();
        let made = copy(&site, "/bucket/b", "/bucket/c", &[]).await;
        assert_eq!(made.element("ChecksumSHA256"), sha256(&body));
        let made = copy(&site, "/bucket/b", "/bucket/d", &asked).await;
        assert_eq!(made.element("ChecksumSHA256"), sha256(&body));
        assert_eq!(site.disks.reads(), reads);
    }
    assert_eq!(commands(&site).1, 2, "never written again");
}

#[tokio::test]
async fn conditions_on_the_source_are_judged_before_the_copy() {
    let site = Site::new(1, 0).with_bucket().await;
    let etag = put(&site, "/bucket/a", b"hello".to_vec()).await;
    let (past, future) = (
        "Fri, 01 Jan 2010 00:00:00 GMT",
        "Fri, 01 Jan 2100 00:00:00 GMT",
    );
    let with = async |headers: &[(&str, &str)]| {
        copy(&site, "/bucket/a", "/bucket/b", headers).await.status
    };
    let [matches, none_match, since, unmodified] = [
        "x-amz-copy-source-if-match",
        "x-amz-copy-source-if-none-match",
        "x-amz-copy-source-if-modified-since",
        "x-amz-copy-source-if-unmodified-since",
    ];
    for refused in [
        (matches, "\"other\""),
        (none_match, etag.as_str()),
        (since, future),
        (unmodified, past),
    ] {
        assert_eq!(with(&[refused]).await, 412, "{refused:?}");
    }
    assert_eq!(commands(&site).0, 0);
    for allowed in [
        (matches, etag.as_str()),
        (none_match, "\"other\""),
        (since, past),
        (unmodified, future),
    ] {
        assert_eq!(with(&[allowed]).await, 200, "{allowed:?}");
    }
    // AWS's two exceptions.
    assert_eq!(with(&[(matches, &etag), (unmodified, past)]).await, 200);
    assert_eq!(with(&[(none_match, &etag), (since, past)]).await, 412);
}

#[tokio::test]
async fn conditions_on_the_destination_are_judged_by_the_entry() {
    let site = Site::new(1, 0).with_bucket().await;
    let etag = put(&site, "/bucket/a", b"hello".to_vec()).await;
    let with = async |header: (&str, &str)| {
        copy(&site, "/bucket/a", "/bucket/b", &[header])
            .await
            .refusal()
    };
    assert_eq!(with(("if-match", "*")).await, (404, "NoSuchKey".to_owned()));
    assert_eq!(with(("if-none-match", "*")).await.0, 200);
    assert_eq!(
        with(("if-none-match", "*")).await,
        (412, "PreconditionFailed".to_owned())
    );
    assert_eq!(with(("if-match", &etag)).await.0, 200);
}

#[tokio::test]
async fn a_source_that_is_not_there_is_named() {
    let site = Site::new(1, 0).with_bucket().await;
    put(&site, "/bucket/a", b"hello".to_vec()).await;
    for (source, status, code) in [
        ("/bucket/none", 404, "NoSuchKey"),
        ("/nothing/a", 404, "NoSuchBucket"),
        ("/bucket/a?versionId=abc", 404, "NoSuchVersion"),
        ("/bucket", 400, "InvalidArgument"),
        ("", 400, "InvalidArgument"),
    ] {
        let got = copy(&site, source, "/bucket/b", &[]).await;
        assert_eq!(got.refusal(), (status, code.to_owned()), "{source}");
    }
    let got = copy(&site, "/bucket/none", "/bucket/b", &[]).await;
    assert_eq!(got.element("Key"), "none");
    let got = copy(&site, "/bucket/a", "/nothing/b", &[]).await;
    assert_eq!(got.refusal(), (404, "NoSuchBucket".to_owned()));
    let got = copy(&site, "/bucket/a?versionId=null", "/bucket/b", &[]).await;
    assert_eq!(got.status, 200);
    let directive = [("x-amz-metadata-directive", "KEEP")];
    let got = copy(&site, "/bucket/a", "/bucket/b", &directive).await;
    assert_eq!(got.refusal(), (400, "InvalidArgument".to_owned()));
}

#[tokio::test]
async fn a_body_is_refused() {
    let site = Site::new(1, 0).with_bucket().await;
    put(&site, "/bucket/a", b"hello".to_vec()).await;
    let source = [("x-amz-copy-source", "/bucket/a")];
    let got = site
        .call_with(Method::PUT, "/bucket/b", &source, "body")
        .await;
    assert_eq!(got.refusal(), (400, "UnexpectedContent".to_owned()));
    assert_eq!(commands(&site).0, 0);
}

#[tokio::test]
async fn only_the_owner_of_both_buckets_copies_between_them() {
    let site = with_bobs(Site::new(1, 0).with_bucket().await).await;
    put(&site, "/bucket/a", b"hello".to_vec()).await;
    let denied = (403, "AccessDenied".to_owned());
    let taken = copy_as(&site, "bob", "/bucket/a", "/bobs/b", &[]).await;
    assert_eq!(taken.refusal(), denied, "the source is alice's");
    let probed = copy_as(&site, "bob", "/bucket/none", "/bobs/b", &[]).await;
    assert_eq!(probed.refusal(), denied, "which keys there are is hers too");
    let given = copy(&site, "/bucket/a", "/bobs/b", &[]).await;
    assert_eq!(given.refusal(), denied, "the destination is bob's");
    let owner = |id| [("x-amz-source-expected-bucket-owner", id)];
    let other = copy(&site, "/bucket/a", "/bucket/b", &owner("bob")).await;
    assert_eq!(other.refusal(), denied);
    assert_eq!((commands(&site).0, commands(&site).1), (0, 1));
    let own = copy(&site, "/bucket/a", "/bucket/b", &owner("alice")).await;
    assert_eq!(own.status, 200);
}

#[tokio::test]
async fn from_another_domain_the_bytes_are_written_again() {
    let site = with_bobs(Site::new(2, 1).with_bucket().await).await;
    let sha1 = [("x-amz-checksum-algorithm", "SHA1")];
    for length in [0, 10, 10_000, 700_000, (16 << 20) + 5] {
        let body = pattern(length);
        let etag = put(&site, "/bucket/a", body.clone()).await;
        let before = commands(&site);
        let made = copy_as(&site, "root", "/bucket/a", "/bobs/b", &sha1).await;
        assert_eq!(made.status, 200, "{}", made.text());
        assert_eq!(made.element("ETag"), etag.replace('"', "&quot;"));
        assert!(!made.element("ChecksumSHA1").is_empty());
        assert_eq!(commands(&site), (before.0, before.1 + 1));
        site.call(Method::DELETE, "/bucket/a", "").await;
        let got = site.call_as("bob", Method::GET, "/bobs/b", &[], "").await;
        assert!(got.body == body && got.whole, "{length}");
        let kept = copy_as(&site, "root", "/bobs/b", "/bucket/c", &[]).await;
        assert_eq!(
            kept.element("ChecksumSHA1"),
            made.element("ChecksumSHA1"),
            "the algorithm of the source"
        );
    }
    let domains: std::collections::BTreeSet<u64> = site
        .metadata
        .edit(|state| state.chunks().keys().map(|(domain, _)| *domain).collect());
    assert_eq!(domains.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_read_is_not_copied() {
    let site = with_bobs(Site::new(1, 0).with_bucket().await).await;
    put(&site, "/bucket/a", pattern(5 << 20)).await;
    site.disks.fault(0, DiskFault::FlipsBits);
    let made = copy_as(&site, "root", "/bucket/a", "/bobs/b", &[]).await;
    assert_eq!(made.refusal(), (503, "ServiceUnavailable".to_owned()));
    let asked = [("x-amz-checksum-algorithm", "SHA256")];
    let made = copy(&site, "/bucket/a", "/bucket/b", &asked).await;
    assert_eq!(made.refusal(), (503, "ServiceUnavailable".to_owned()));
    assert_eq!(commands(&site), (0, 1));
    // By reference nothing is read: the copy is as good as its source.
    let made = copy(&site, "/bucket/a", "/bucket/b", &[]).await;
    assert_eq!(made.status, 200);
}

#[tokio::test]
async fn a_source_that_changes_is_read_again() {
    let site = Site::new(1, 0).with_bucket().await;
    put(&site, "/bucket/a", b"hello".to_vec()).await;
    site.metadata.fault(Fault::Refuse(Refusal::SourceChanged));
    let made = copy(&site, "/bucket/a", "/bucket/b", &[]).await;
    assert_eq!(made.status, 200, "{}", made.text());
    for _ in 0..tuning::COPY_TRIES {
        site.metadata.fault(Fault::Refuse(Refusal::SourceChanged));
    }
    let made = copy(&site, "/bucket/a", "/bucket/b", &[]).await;
    assert_eq!(made.refusal(), (503, "ServiceUnavailable".to_owned()));
    assert_eq!(commands(&site).0, 1);
    site.metadata.fault(Fault::Refuse(Refusal::NoSuchBucket));
    let made = copy(&site, "/bucket/a", "/bucket/b", &[]).await;
    assert_eq!(made.refusal(), (404, "NoSuchBucket".to_owned()));
}

#[tokio::test]
async fn an_unheard_outcome_is_asked_for_again_and_not_done_twice() {
    let site = Site::new(1, 0).with_bucket().await;
    put(&site, "/bucket/a", b"hello".to_vec()).await;
    site.metadata.fault(Fault::DoneButUnknown);
    let clock = std::sync::Arc::clone(&site.clock);
    let passing = tokio::spawn(async move {
        loop {
            tokio::task::yield_now().await;
            clock.advance(std::time::Duration::from_millis(1));
        }
    });
    // Onto itself the source is another version from the first time on.
    let replace = [("x-amz-metadata-directive", "REPLACE")];
    let made = copy(&site, "/bucket/a", "/bucket/a", &replace).await;
    passing.abort();
    assert_eq!(made.status, 200, "{}", made.text());
    assert_eq!(commands(&site).0, 1);
}

#[tokio::test]
async fn a_source_longer_than_one_put_is_refused() {
    let site = Site::new(1, 0).with_bucket().await;
    put(&site, "/bucket/a", b"hello".to_vec()).await;
    let lengthen = |by| {
        site.metadata.edit(|state| {
            for object in state.objects().values_mut() {
                object.length = limits::PUT_LEN_MAX + by;
            }
        });
    };
    lengthen(1);
    let made = copy(&site, "/bucket/a", "/bucket/b", &[]).await;
    assert_eq!(made.refusal(), (400, "InvalidRequest".to_owned()));
    assert!(made.text().contains("5368709120"), "{}", made.text());
    lengthen(0);
    let made = copy(&site, "/bucket/a", "/bucket/b", &[]).await;
    assert_eq!(made.status, 200);
}
