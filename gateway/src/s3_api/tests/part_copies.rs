//! UploadPartCopy.

use bytes::Bytes;
use cairn_model::limits;
use cairn_s3::digest::{Algorithm, Checksum, multipart_etag};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::content::Place;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{Claim, Refusal};
use http::Method;
use md5::{Digest as _, Md5};

use crate::fakes::{DiskFault, Fault, Got, Site, pattern};
use crate::tuning;

const MIB: usize = 1 << 20;

async fn create(site: &Site, headers: &[(&str, &str)]) -> String {
    let target = "/bucket/key?uploads";
    let made = site.call_with(Method::POST, target, headers, "").await;
    assert_eq!(made.status, 200, "{}", made.text());
    made.element("UploadId")
}

async fn copy(site: &Site, id: &str, number: u32, headers: &[(&str, &str)]) -> Got {
    copy_as(site, "alice", id, number, headers).await
}

async fn copy_as(site: &Site, who: &str, id: &str, number: u32, headers: &[(&str, &str)]) -> Got {
    let target = format!("/bucket/key?partNumber={number}&uploadId={id}");
    let source = headers.iter().any(|(name, _)| *name == "x-amz-copy-source");
    let default = (!source).then_some(("x-amz-copy-source", "/bucket/a"));
    let headers: Vec<_> = default.into_iter().chain(headers.iter().copied()).collect();
    site.call_as(who, Method::PUT, &target, &headers, "").await
}

async fn complete(site: &Site, id: &str, parts: &[String]) -> Got {
    let part = |(at, etag): (usize, &String)| {
        let number = at + 1;
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
    };
    let parts: String = parts.iter().enumerate().map(part).collect();
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    let target = format!("/bucket/key?uploadId={id}");
    site.call(Method::POST, &target, body).await
}

async fn put(site: &Site, body: &[u8]) {
    let put = site.call(Method::PUT, "/bucket/a", body.to_vec()).await;
    assert_eq!(put.status, 200, "{}", put.text());
}

/// What the parts were committed with.
fn contents(site: &Site) -> Vec<Place> {
    let place = |command| match command {
        Command::PutPart(part) => part.content.and_then(|content| content.place),
        _ => None,
    };
    site.metadata.log().into_iter().filter_map(place).collect()
}

fn range(text: &str) -> (&str, &str) {
    ("x-amz-copy-source-range", text)
}

fn hex_md5(body: &[u8]) -> String {
    hex::encode(Md5::digest(body))
}

fn quoted(md5: &str) -> String {
    format!("&quot;{md5}&quot;")
}

#[tokio::test]
async fn parts_are_runs_of_the_source_and_move_no_byte() {
    let site = Site::new(2, 1).with_bucket().await;
    let body = pattern(22 * MIB + 7);
    put(&site, &body).await;
    let id = create(&site, &[]).await;
    let before = site.disks.uploads();
    let cut = 9 * MIB + 3;
    let ranges = [0..cut, cut..body.len()];
    let mut etags = Vec::new();
    for (number, run) in (1..).zip(&ranges) {
        let text = format!("bytes={}-{}", run.start, run.end - 1);
        let made = copy(&site, &id, number, &[range(&text)]).await;
        assert_eq!(made.status, 200, "{}", made.text());
        let md5 = hex_md5(&body[run.clone()]);
        assert_eq!(made.element("ETag"), quoted(&md5));
        assert!(made.element("LastModified").ends_with('Z'));
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &body[run.clone()]);
        let crc = Checksum::new(Algorithm::Crc64Nvme, &crc.to_be_bytes()).unwrap();
        assert_eq!(made.element("ChecksumCRC64NVME"), crc.to_base64());
        etags.push(md5);
    }
    assert_eq!(site.disks.uploads(), before, "no shard was written");
    let runs: Vec<Vec<(u32, u32)>> = contents(&site)
        .into_iter()
        .map(|place| {
            let Place::Extents(list) = place else {
                panic!("{place:?}");
            };
            assert!(list.extents.iter().all(|one| one.claim() == Claim::Live));
            let run = |one: &wire::ExtentWrite| (one.offset, one.length);
            list.extents.iter().map(run).collect()
        })
        .collect();
    let [cut32, rest] = [cut as u32, (16 * MIB - cut) as u32];
    assert_eq!(runs[0], [(0, cut32)]);
    assert_eq!(runs[1], [(cut32, rest), (0, 6 * MIB as u32 + 7)]);
    let done = complete(&site, &id, &etags).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let md5s = ranges.map(|run| Md5::digest(&body[run]).into());
    assert_eq!(done.element("ETag"), quoted(&multipart_etag(&md5s)));
    site.call(Method::DELETE, "/bucket/a", "").await;
    let got = site.call(Method::GET, "/bucket/key", "").await;
    assert!(got.whole && got.body == body);
}

#[tokio::test]
async fn the_whole_of_one_put_is_copied_without_reading() {
    let site = Site::new(2, 1).with_bucket().await;
    let body = pattern(300_000);
    put(&site, &body).await;
    let id = create(&site, &[]).await;
    let before = site.disks.reads();
    let whole = copy(&site, &id, 1, &[]).await;
    assert_eq!(whole.element("ETag"), quoted(&hex_md5(&body)));
    let named = copy(&site, &id, 2, &[range("bytes=0-299999")]).await;
    assert_eq!(named.element("ETag"), quoted(&hex_md5(&body)));
    assert_eq!(site.disks.reads(), before);
    let part = copy(&site, &id, 3, &[range("bytes=1-299999")]).await;
    assert_eq!(part.element("ETag"), quoted(&hex_md5(&body[1..])));
    assert_ne!(site.disks.reads(), before);
    // The ETag of a multipart object is no MD5 of its bytes.
    let done = complete(&site, &id, &[hex_md5(&body)]).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let id = create(&site, &[]).await;
    let source = [("x-amz-copy-source", "/bucket/key")];
    let again = copy(&site, &id, 1, &source).await;
    assert_eq!(again.element("ETag"), quoted(&hex_md5(&body)));
}

#[tokio::test]
async fn few_bytes_and_inline_ones_are_written_again() {
    let site = Site::new(2, 1).with_bucket().await;
    let id = create(&site, &[]).await;
    let long = pattern(100_000);
    put(&site, &long).await;
    let few = copy(&site, &id, 1, &[range("bytes=500-4595")]).await;
    assert_eq!(few.element("ETag"), quoted(&hex_md5(&long[500..4596])));
    let more = copy(&site, &id, 2, &[range("bytes=500-4596")]).await;
    assert_eq!(more.status, 200);
    put(&site, b"inline").await;
    copy(&site, &id, 3, &[]).await;
    copy(&site, &id, 4, &[range("bytes=2-3")]).await;
    put(&site, b"").await;
    let empty = copy(&site, &id, 5, &[]).await;
    assert_eq!(empty.element("ETag"), quoted(&hex_md5(b"")));
    let places = contents(&site);
    assert_eq!(places[0], Place::Inline(long[500..4596].to_vec().into()));
    assert!(matches!(&places[1], Place::Extents(_)));
    assert_eq!(places[2], Place::Inline(Bytes::from_static(b"inline")));
    assert_eq!(places[3], Place::Inline(Bytes::from_static(b"li")));
    assert_eq!(places[4], Place::Inline(Bytes::new()));
    let done = complete(&site, &id, &[hex_md5(&long[500..4596])]).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let got = site.call(Method::GET, "/bucket/key", "").await;
    assert!(got.body == long[500..4596]);
}

#[tokio::test]
async fn a_source_with_an_inline_part_is_written_again_where_it_is_met() {
    let site = Site::new(2, 1).with_bucket().await;
    let id = create(&site, &[]).await;
    let mut body = pattern(5 * MIB);
    put(&site, &body).await;
    copy(&site, &id, 1, &[]).await;
    put(&site, b"tail").await;
    copy(&site, &id, 2, &[]).await;
    let done = complete(&site, &id, &[hex_md5(&body), hex_md5(b"tail")]).await;
    assert_eq!(done.status, 200, "{}", done.text());
    body.extend_from_slice(b"tail");
    let id = create(&site, &[]).await;
    let source = ("x-amz-copy-source", "/bucket/key");
    let whole = copy(&site, &id, 1, &[source]).await;
    assert_eq!(whole.element("ETag"), quoted(&hex_md5(&body)));
    let front = [source, range("bytes=0-5242879")];
    let front = copy(&site, &id, 2, &front).await;
    assert_eq!(front.element("ETag"), quoted(&hex_md5(&body[..5 * MIB])));
    let claims = |place: &Place| match place {
        Place::Extents(list) => list.extents.iter().all(|one| one.claim() == Claim::Live),
        _ => false,
    };
    let places = contents(&site);
    assert_eq!((claims(&places[2]), claims(&places[3])), (false, true));
    let done = complete(&site, &id, &[hex_md5(&body)]).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let got = site.call(Method::GET, "/bucket/key", "").await;
    assert!(got.body == body);
}

#[tokio::test]
async fn a_source_in_many_pieces_is_staged_page_by_page() {
    const PIECES: u32 = 2_100;
    let site = Site::new(1, 0).with_bucket().await;
    let body = pattern(10_000);
    put(&site, &body).await;
    let piece = |at: u32| wire::ExtentRead {
        sha256: Bytes::copy_from_slice(&<sha2::Sha256 as sha2::Digest>::digest(&body)),
        chunk_length: 10_000,
        offset: at,
        length: 3,
        ..Default::default()
    };
    let manifest = Bytes::from_static(&[9; 16]);
    site.metadata.edit(|state| {
        let extents: Vec<_> = (0..PIECES).map(piece).collect();
        let pages: Vec<_> = extents.chunks(900).map(<[_]>::to_vec).collect();
        for object in state.objects().values_mut() {
            object.length = u64::from(3 * PIECES);
            object.place = Some(wire::object::Place::Pages(wire::Pages {
                manifest: manifest.clone(),
                pages: pages.len() as u32,
                length: object.length,
            }));
            object.attributes.as_mut().unwrap().checksums.clear();
        }
        state.put_pages(manifest.clone(), pages);
    });
    let whole: Vec<u8> = (0..PIECES as usize)
        .flat_map(|at| body[at..at + 3].to_vec())
        .collect();
    let id = create(&site, &[]).await;
    let made = copy(&site, &id, 1, &[range("bytes=1-6299")]).await;
    assert_eq!(made.element("ETag"), quoted(&hex_md5(&whole[1..])));
    let staged: Vec<usize> = (site.metadata.log().into_iter())
        .filter_map(|command| match command {
            Command::StagePage(page) => Some(page.extents.len()),
            _ => None,
        })
        .collect();
    assert_eq!(staged, [1_024, 1_024, 52]);
    let Some(Place::Pages(pages)) = contents(&site).pop() else {
        panic!("pages");
    };
    assert_eq!((pages.pages, pages.length), (3, 6_299));
    let done = complete(&site, &id, &[hex_md5(&whole[1..])]).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let got = site.call(Method::GET, "/bucket/key", "").await;
    assert!(got.body == whole[1..]);
}

#[tokio::test]
async fn from_another_domain_parts_are_written_again() {
    let site = Site::new(2, 1).with_bucket().await;
    let bobs = site.call_as("bob", Method::PUT, "/bobs", &[], "").await;
    assert_eq!(bobs.status, 200);
    let body = pattern(700_000);
    let target = "/bobs/a";
    let put = site.call_as("bob", Method::PUT, target, &[], body.clone());
    assert_eq!(put.await.status, 200);
    let id = create(&site, &[]).await;
    let headers = [("x-amz-copy-source", "/bobs/a"), range("bytes=7-600000")];
    let denied = copy(&site, &id, 1, &headers).await;
    assert_eq!(denied.refusal(), (403, "AccessDenied".to_owned()));
    let made = copy_as(&site, "root", &id, 1, &headers).await;
    let md5 = hex_md5(&body[7..=600_000]);
    assert_eq!(made.element("ETag"), quoted(&md5), "{}", made.text());
    let Some(Place::Extents(list)) = contents(&site).pop() else {
        panic!("extents");
    };
    assert!(list.extents.iter().all(|one| one.claim() == Claim::Written));
    assert_eq!(complete(&site, &id, &[md5]).await.status, 200);
    let got = site.call(Method::GET, "/bucket/key", "").await;
    assert!(got.body == body[7..=600_000]);
}

#[tokio::test]
async fn a_part_has_the_checksum_its_upload_asked_for() {
    let site = Site::new(2, 1).with_bucket().await;
    let body = pattern(300_000);
    put(&site, &body).await;
    let id = create(&site, &[("x-amz-checksum-algorithm", "SHA256")]).await;
    for run in [0..300_000, 5..100_005] {
        let text = format!("bytes={}-{}", run.start, run.end - 1);
        let made = copy(&site, &id, 1, &[range(&text)]).await;
        let sum = <sha2::Sha256 as sha2::Digest>::digest(&body[run.clone()]);
        let sum = Checksum::new(Algorithm::Sha256, &sum).unwrap().to_base64();
        assert_eq!(made.element("ChecksumSHA256"), sum, "{run:?}");
        let target = format!("/bucket/key?uploadId={id}");
        let listed = site.call(Method::GET, &target, "").await;
        assert_eq!(listed.element("ChecksumSHA256"), sum);
    }
}

#[tokio::test]
async fn a_range_must_lie_in_the_source() {
    let site = Site::new(1, 0).with_bucket().await;
    put(&site, b"hello").await;
    let id = create(&site, &[]).await;
    for (text, status, code) in [
        ("bytes=0-5", 416, "InvalidRange"),
        ("bytes=5-9", 416, "InvalidRange"),
        ("bytes=3-2", 400, "InvalidArgument"),
        ("bytes=0-", 400, "InvalidArgument"),
        ("0-2", 400, "InvalidArgument"),
    ] {
        let got = copy(&site, &id, 1, &[range(text)]).await;
        assert_eq!(got.refusal(), (status, code.to_owned()), "{text}");
    }
    let got = copy(&site, &id, 1, &[range("bytes=4-4")]).await;
    assert_eq!(got.element("ETag"), quoted(&hex_md5(b"o")));
    site.metadata.edit(|state| {
        for object in state.objects().values_mut() {
            object.length = limits::PUT_LEN_MAX + 1;
        }
    });
    let long = copy(&site, &id, 1, &[]).await;
    assert_eq!(long.refusal(), (400, "InvalidRequest".to_owned()));
}

#[tokio::test]
async fn upload_source_and_conditions_are_checked() {
    let site = Site::new(1, 0).with_bucket().await;
    put(&site, b"hello").await;
    let id = create(&site, &[]).await;
    let unknown = copy(&site, "0123456789abcdef0123456789abcdef", 1, &[]).await;
    assert_eq!(unknown.refusal(), (404, "NoSuchUpload".to_owned()));
    let number = copy(&site, &id, 0, &[]).await;
    assert_eq!(number.refusal(), (400, "InvalidArgument".to_owned()));
    let missing = copy(&site, &id, 1, &[("x-amz-copy-source", "/bucket/none")]).await;
    assert_eq!(missing.refusal(), (404, "NoSuchKey".to_owned()));
    let matches = ("x-amz-copy-source-if-match", "\"other\"");
    let refused = copy(&site, &id, 1, &[matches]).await;
    assert_eq!(refused.refusal(), (412, "PreconditionFailed".to_owned()));
    assert!(contents(&site).is_empty());
}

#[tokio::test]
async fn a_source_that_vanishes_is_read_again() {
    let site = Site::new(1, 0).with_bucket().await;
    let body = pattern(10_000);
    put(&site, &body).await;
    let id = create(&site, &[]).await;
    site.metadata.fault(Fault::Refuse(Refusal::NoSuchChunk));
    let made = copy(&site, &id, 1, &[]).await;
    assert_eq!(made.element("ETag"), quoted(&hex_md5(&body)));
    for _ in 0..tuning::COPY_TRIES {
        site.metadata.fault(Fault::Refuse(Refusal::NoSuchChunk));
    }
    let made = copy(&site, &id, 1, &[]).await;
    assert_eq!(made.refusal(), (503, "ServiceUnavailable".to_owned()));
    site.metadata.fault(Fault::Refuse(Refusal::NoSuchUpload));
    let made = copy(&site, &id, 1, &[]).await;
    assert_eq!(made.refusal(), (404, "NoSuchUpload".to_owned()));
    // A list of pages that is gone with its object.
    site.metadata.edit(|state| {
        for object in state.objects().values_mut() {
            object.place = Some(wire::object::Place::Pages(wire::Pages {
                manifest: Bytes::from_static(&[9; 16]),
                pages: 1,
                length: object.length,
            }));
        }
    });
    let made = copy(&site, &id, 1, &[]).await;
    let broken = (500, "InternalError".to_owned());
    assert_eq!(made.refusal(), broken, "the object is still that one");
    assert_eq!(contents(&site).len(), 1);
}

#[tokio::test]
async fn a_source_overwritten_while_its_pages_are_read_is_read_again() {
    let site = Site::new(1, 0).with_bucket().await;
    put(&site, b"the new bytes").await;
    let id = create(&site, &[]).await;
    let manifest = Bytes::from_static(&[9; 16]);
    site.metadata.edit(|state| {
        let (at, new) = state.objects().first_key_value().unwrap();
        let (bucket, new) = (at.0, new.clone());
        let old = state.objects().values_mut().next().unwrap();
        old.version = Bytes::from_static(&[7; 12]);
        old.length = 300_000;
        old.place = Some(wire::object::Place::Pages(wire::Pages {
            manifest,
            pages: 1,
            length: 300_000,
        }));
        state.overwrite_under_reader(bucket, new);
    });
    let made = copy(&site, &id, 1, &[]).await;
    assert_eq!(made.element("ETag"), quoted(&hex_md5(b"the new bytes")));
}

#[tokio::test]
async fn what_cannot_be_read_is_no_part() {
    let site = Site::new(1, 0).with_bucket().await;
    put(&site, &pattern(300_000)).await;
    let id = create(&site, &[]).await;
    site.disks.fault(0, DiskFault::FlipsBits);
    for text in ["bytes=1-200000", "bytes=1-100"] {
        let made = copy(&site, &id, 1, &[range(text)]).await;
        assert_eq!(made.refusal(), (503, "ServiceUnavailable".to_owned()));
    }
    assert!(contents(&site).is_empty());
}
