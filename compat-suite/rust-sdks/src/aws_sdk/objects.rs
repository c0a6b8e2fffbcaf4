//! Single objects.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, MetadataDirective};

use super::{KEYS, NOWHERE, Outcome, Run, SIZES, Subject, expect, holds, pattern, refused};

const ALGORITHMS: [ChecksumAlgorithm; 5] = [
    ChecksumAlgorithm::Crc32,
    ChecksumAlgorithm::Crc32C,
    ChecksumAlgorithm::Crc64Nvme,
    ChecksumAlgorithm::Sha1,
    ChecksumAlgorithm::Sha256,
];

pub(super) async fn play(t: &Subject, run: &mut Run) {
    for (words, length) in SIZES {
        let name = format!("stores and reads back: {words}");
        run.case("PutObject", &name, async {
            let (key, body) = (format!("size/{length}"), pattern(words, length));
            t.put(&key, &body).await?;
            t.same(&key, &body).await
        })
        .await;
    }
    for (words, key) in KEYS {
        let name = format!("takes a key with: {words}");
        run.case("PutObject", &name, async {
            t.put(key, key.as_bytes()).await?;
            t.same(key, key.as_bytes()).await
        })
        .await;
    }
    for algorithm in ALGORITHMS {
        let name = format!("checksum: {algorithm}");
        run.case("PutObject", &name, checksum(t, algorithm)).await;
    }
    run.case("PutObject", "keeps type and metadata", told(t))
        .await;
    run.case("PutObject", "only where there is none", once(t))
        .await;
    run.case("PutObject", "only where it still is the same", swap(t))
        .await;
    run.case("PutObject", "streams a file of unknown hash", file(t))
        .await;
    run.case("GetObject", "range", range(t)).await;
    run.case("GetObject", "refuses by code", get_refused(t))
        .await;
    run.case("GetObject", "conditions", conditions(t)).await;
    run.case("HeadObject", "of nothing is 404", async {
        let answer =
            t.s3.head_object()
                .bucket(&t.bucket)
                .key("nothing")
                .send()
                .await;
        refused(answer, 404, Some("NotFound"))
    })
    .await;
    run.case("CopyObject", "copies bytes and metadata", copy(t))
        .await;
    run.case("CopyObject", "replaces metadata", replace(t))
        .await;
    run.case("DeleteObject", "is gone and again is no error", delete(t))
        .await;
    run.case("presigned URL", "puts and gets without keys", presigned(t))
        .await;
}

async fn checksum(t: &Subject, algorithm: ChecksumAlgorithm) -> Outcome {
    let (key, body) = (format!("sum/{algorithm}"), pattern("sum", 100_000));
    let put = t.s3.put_object().bucket(&t.bucket).key(&key);
    let put = put
        .checksum_algorithm(algorithm)
        .body(ByteStream::from(body.clone()));
    let put = put.send().await?;
    let head = t.s3.head_object().bucket(&t.bucket).key(&key);
    let head = head.checksum_mode(ChecksumMode::Enabled).send().await?;
    let sums = [
        (put.checksum_crc32(), head.checksum_crc32()),
        (put.checksum_crc32_c(), head.checksum_crc32_c()),
        (put.checksum_crc64_nvme(), head.checksum_crc64_nvme()),
        (put.checksum_sha1(), head.checksum_sha1()),
        (put.checksum_sha256(), head.checksum_sha256()),
    ];
    let told: Vec<_> = sums.into_iter().filter(|(put, _)| put.is_some()).collect();
    holds(told.len() == 1, "one checksum in the answer")?;
    holds(
        told.iter().all(|(put, head)| put == head),
        "the same checksum later",
    )?;
    t.same(&key, &body).await
}

async fn told(t: &Subject) -> Outcome {
    let put = t.s3.put_object().bucket(&t.bucket).key("told");
    let put = put.metadata("colour", "blue").content_type("text/x-cairn");
    put.cache_control("no-cache")
        .body(ByteStream::from_static(b"x"))
        .send()
        .await?;
    let head =
        t.s3.head_object()
            .bucket(&t.bucket)
            .key("told")
            .send()
            .await?;
    let colour = head.metadata().and_then(|all| all.get("colour"));
    let found = (
        head.content_type(),
        head.cache_control(),
        head.content_length(),
    );
    expect(found, (Some("text/x-cairn"), Some("no-cache"), Some(1)))?;
    expect(colour.map(String::as_str), Some("blue"))
}

async fn once(t: &Subject) -> Outcome {
    let put = |body: &'static [u8]| {
        let put = t.s3.put_object().bucket(&t.bucket).key("once");
        put.if_none_match("*")
            .body(ByteStream::from_static(body))
            .send()
    };
    put(b"one").await?;
    refused(put(b"two").await, 412, Some("PreconditionFailed"))?;
    t.same("once", b"one").await
}

async fn swap(t: &Subject) -> Outcome {
    let first = t.put("swap", b"one").await?;
    let put = |body: &'static [u8]| {
        let put =
            t.s3.put_object()
                .bucket(&t.bucket)
                .key("swap")
                .if_match(&first);
        put.body(ByteStream::from_static(body)).send()
    };
    put(b"two").await?;
    refused(put(b"three").await, 412, Some("PreconditionFailed"))?;
    t.same("swap", b"two").await
}

/// A body that is read while it is sent goes in chunks, with its checksum behind it.
async fn file(t: &Subject) -> Outcome {
    let body = pattern("file", 3_000_000);
    let path = std::env::temp_dir().join(&t.bucket);
    std::fs::write(&path, &body)?;
    let stream = ByteStream::from_path(&path).await?;
    let put =
        t.s3.put_object()
            .bucket(&t.bucket)
            .key("file")
            .body(stream)
            .send()
            .await;
    std::fs::remove_file(&path)?;
    put?;
    t.same("file", &body).await
}

async fn range(t: &Subject) -> Outcome {
    let body = pattern("range", 200_000);
    t.put("range", &body).await?;
    for (header, wanted) in [
        ("bytes=0-0", body.get(..1)),
        ("bytes=65530-65545", body.get(65_530..65_546)),
        ("bytes=199000-", body.get(199_000..)),
        ("bytes=-7", body.get(199_993..)),
    ] {
        let got =
            t.s3.get_object()
                .bucket(&t.bucket)
                .key("range")
                .range(header);
        let got = got.send().await?.body.collect().await?.to_vec();
        holds(wanted == Some(got.as_slice()), header)?;
    }
    let past =
        t.s3.get_object()
            .bucket(&t.bucket)
            .key("range")
            .range("bytes=200000-");
    refused(past.send().await, 416, Some("InvalidRange"))
}

async fn get_refused(t: &Subject) -> Outcome {
    let get = |bucket: &str| t.s3.get_object().bucket(bucket).key("nothing").send();
    refused(get(&t.bucket).await, 404, Some("NoSuchKey"))?;
    refused(get(NOWHERE).await, 404, Some("NoSuchBucket"))
}

async fn conditions(t: &Subject) -> Outcome {
    let tag = t.put("condition", b"x").await?;
    let get = || t.s3.get_object().bucket(&t.bucket).key("condition");
    get().if_match(&tag).send().await?;
    refused(get().if_none_match(&tag).send().await, 304, None)?;
    refused(
        get().if_match("\"other\"").send().await,
        412,
        Some("PreconditionFailed"),
    )
}

async fn copy(t: &Subject) -> Outcome {
    let body = pattern("copy", 200_000);
    let put =
        t.s3.put_object()
            .bucket(&t.bucket)
            .key("from é+")
            .metadata("a", "b");
    put.body(ByteStream::from(body.clone())).send().await?;
    // The SDK sends this header as it is given.
    let source = format!("{}/from%20%C3%A9%2B", t.bucket);
    t.s3.copy_object()
        .bucket(&t.bucket)
        .key("to")
        .copy_source(source)
        .send()
        .await?;
    t.same("to", &body).await?;
    let head =
        t.s3.head_object()
            .bucket(&t.bucket)
            .key("to")
            .send()
            .await?;
    expect(
        head.metadata()
            .and_then(|all| all.get("a"))
            .map(String::as_str),
        Some("b"),
    )
}

async fn replace(t: &Subject) -> Outcome {
    let copy = t.s3.copy_object().bucket(&t.bucket).key("to");
    let copy = copy
        .copy_source(format!("{}/to", t.bucket))
        .metadata("c", "d");
    copy.metadata_directive(MetadataDirective::Replace)
        .send()
        .await?;
    let head =
        t.s3.head_object()
            .bucket(&t.bucket)
            .key("to")
            .send()
            .await?;
    let names: Vec<&String> = head
        .metadata()
        .map(|all| all.keys().collect())
        .unwrap_or_default();
    expect(names, ["c"])
}

async fn delete(t: &Subject) -> Outcome {
    t.put("gone", b"x").await?;
    for _ in 0..2 {
        t.s3.delete_object()
            .bucket(&t.bucket)
            .key("gone")
            .send()
            .await?;
    }
    let get = t.s3.get_object().bucket(&t.bucket).key("gone").send().await;
    refused(get, 404, Some("NoSuchKey"))
}

async fn presigned(t: &Subject) -> Outcome {
    let soon = || PresigningConfig::expires_in(Duration::from_secs(60));
    let http = reqwest::Client::new();
    let put =
        t.s3.put_object()
            .bucket(&t.bucket)
            .key("by url/é+")
            .presigned(soon()?)
            .await?;
    let sent = http.put(put.uri()).body("by url").send().await?;
    expect(sent.status().as_u16(), 200)?;
    let get =
        t.s3.get_object()
            .bucket(&t.bucket)
            .key("by url/é+")
            .presigned(soon()?)
            .await?;
    let got = http.get(get.uri()).send().await?;
    expect(got.text().await?, "by url")
}
