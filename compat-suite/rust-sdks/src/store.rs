//! `object_store`, which sees paths and not keys: no empty segments, and its own encoding of some
//! characters. Operations have the names of S3's that it sends.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum, S3ConditionalPut, S3CopyIfNotExists};
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{
    Attribute, Attributes, Error, GetOptions, ObjectStore, ObjectStoreExt as _, PutMode,
    PutOptions, PutPayload, RetryConfig, UpdateVersion,
};

use crate::material::{Endpoint, KEYS, MIB, SIZES, fresh_bucket, pattern};
use crate::outcomes::{Outcome, Run, expect, holds};

struct Subject {
    store: AmazonS3,
    /// The same bucket, with SHA-256 checksums.
    summed: AmazonS3,
    http: reqwest::Client,
}

/// A store of this bucket.
fn builder(endpoint: &Endpoint, bucket: &str) -> AmazonS3Builder {
    let patience = RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    };
    AmazonS3Builder::new()
        .with_endpoint(&endpoint.url)
        .with_allow_http(true)
        .with_region(&endpoint.region)
        .with_access_key_id(&endpoint.access_key)
        .with_secret_access_key(&endpoint.secret_key)
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_copy_if_not_exists(S3CopyIfNotExists::Multipart)
        .with_retry(patience)
}

impl Subject {
    /// object_store makes no buckets, so a signed URL does.
    async fn new(endpoint: &Endpoint) -> Outcome<Self> {
        let bucket = fresh_bucket("object_store");
        let store = builder(endpoint, &bucket).build()?;
        let summed = builder(endpoint, &bucket).with_checksum_algorithm(Checksum::SHA256);
        let http = reqwest::Client::new();
        let root = Path::default();
        let url = store
            .signed_url(reqwest::Method::PUT, &root, Duration::from_secs(60))
            .await?;
        let made = http
            .put(url.as_str())
            .header("content-length", 0)
            .send()
            .await?;
        expect(made.status().as_u16(), 200)?;
        Ok(Self {
            store,
            summed: summed.build()?,
            http,
        })
    }

    async fn put(&self, key: &str, body: &[u8]) -> Outcome {
        self.store
            .put(&Path::from(key), PutPayload::from(body.to_vec()))
            .await?;
        Ok(())
    }

    async fn same(&self, key: &str, body: &[u8]) -> Outcome {
        let got = self.store.get(&Path::from(key)).await?.bytes().await?;
        holds(got == body, "other bytes than were stored")
    }
}

pub(crate) async fn play(endpoint: &Endpoint, run: &mut Run) {
    let mut made = None;
    let making = async {
        made = Some(Subject::new(endpoint).await?);
        Ok(())
    };
    run.case("CreateBucket", "by a signed URL", making).await;
    let Some(subject) = made else { return };
    let t = &subject;
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
    run.case("PutObject", "keeps attributes and metadata", attributes(t))
        .await;
    run.case("PutObject", "checksum: SHA256", checksum(t)).await;
    run.case("PutObject", "create and update", create_and_update(t))
        .await;
    run.case("GetObject", "ranges", ranges(t)).await;
    run.case("GetObject", "not found", not_found(t)).await;
    run.case("GetObject", "conditions", conditions(t)).await;
    run.case("CopyObject", "copy and rename", copy_and_rename(t))
        .await;
    run.case("UploadPartCopy", "copy if there is none", copy_if_none(t))
        .await;
    run.case("ListObjectsV2", "all, by level and from an offset", list(t))
        .await;
    run.case("CompleteMultipartUpload", "20 MiB in 4 parts", multipart(t))
        .await;
    run.case("AbortMultipartUpload", "leaves nothing", aborted(t))
        .await;
    run.case("presigned URL", "puts and gets without keys", presigned(t))
        .await;
    run.case("DeleteObject", "is gone", delete(t)).await;
    run.case("DeleteObjects", "by a stream of paths", delete_all(t))
        .await;
}

async fn attributes(t: &Subject) -> Outcome {
    let wanted = Attributes::from_iter([
        (Attribute::ContentType, "text/x-cairn"),
        (Attribute::CacheControl, "no-cache"),
        (Attribute::Metadata("colour".into()), "blue"),
    ]);
    let options = PutOptions {
        attributes: wanted.clone(),
        ..PutOptions::default()
    };
    let path = Path::from("told");
    t.store
        .put_opts(&path, PutPayload::from_static(b"x"), options)
        .await?;
    let got = t.store.get(&path).await?;
    expect(got.meta.size, 1)?;
    expect(got.attributes, wanted)
}

async fn checksum(t: &Subject) -> Outcome {
    let (path, body) = (Path::from("sum"), pattern("sum", 100_000));
    t.summed.put(&path, PutPayload::from(body.clone())).await?;
    t.same("sum", &body).await
}

async fn create_and_update(t: &Subject) -> Outcome {
    let path = Path::from("mode");
    let put = |mode: PutMode| {
        let options = PutOptions::from(mode);
        t.store
            .put_opts(&path, PutPayload::from_static(b"x"), options)
    };
    let made = put(PutMode::Create).await?;
    let again = put(PutMode::Create).await;
    holds(
        matches!(again, Err(Error::AlreadyExists { .. })),
        "a second create is refused",
    )?;
    let version = UpdateVersion {
        e_tag: made.e_tag,
        version: None,
    };
    put(PutMode::Update(version.clone())).await?;
    let other = UpdateVersion {
        e_tag: Some("\"other\"".to_owned()),
        version: None,
    };
    let changed = put(PutMode::Update(other)).await;
    holds(
        matches!(changed, Err(Error::Precondition { .. })),
        "a late update is refused",
    )
}

async fn ranges(t: &Subject) -> Outcome {
    let body = pattern("range", 200_000);
    t.put("range", &body).await?;
    let path = Path::from("range");
    let wanted = [0..1, 65_530..65_546, 199_000..200_000];
    let found = t.store.get_ranges(&path, &wanted).await?;
    let slices = [body.get(..1), body.get(65_530..65_546), body.get(199_000..)];
    let same = found
        .iter()
        .zip(slices)
        .all(|(found, wanted)| Some(found.as_ref()) == wanted);
    holds(same, "other bytes than were asked for")
}

async fn not_found(t: &Subject) -> Outcome {
    let path = Path::from("nothing");
    let got = t.store.get(&path).await;
    holds(
        matches!(got, Err(Error::NotFound { .. })),
        "get of nothing is NotFound",
    )?;
    let head = t.store.head(&path).await;
    holds(
        matches!(head, Err(Error::NotFound { .. })),
        "head of nothing is NotFound",
    )
}

async fn conditions(t: &Subject) -> Outcome {
    t.put("condition", b"x").await?;
    let path = Path::from("condition");
    let tag = t.store.head(&path).await?.e_tag;
    let get = |options| t.store.get_opts(&path, options);
    get(GetOptions {
        if_match: tag.clone(),
        ..GetOptions::default()
    })
    .await?;
    let same = get(GetOptions {
        if_none_match: tag,
        ..GetOptions::default()
    })
    .await;
    holds(
        matches!(same, Err(Error::NotModified { .. })),
        "not modified",
    )?;
    let other = Some("\"other\"".to_owned());
    let other = get(GetOptions {
        if_match: other,
        ..GetOptions::default()
    })
    .await;
    holds(
        matches!(other, Err(Error::Precondition { .. })),
        "precondition",
    )
}

async fn copy_and_rename(t: &Subject) -> Outcome {
    let body = pattern("copy", 200_000);
    t.put("from é+", &body).await?;
    let from = Path::from("from é+");
    t.store.copy(&from, &Path::from("copied")).await?;
    t.store.rename(&from, &Path::from("moved")).await?;
    t.same("copied", &body).await?;
    t.same("moved", &body).await?;
    let gone = t.store.head(&from).await;
    holds(
        matches!(gone, Err(Error::NotFound { .. })),
        "the old name is gone",
    )
}

/// Sent as an upload of one copied part, completed with `If-None-Match: *`.
async fn copy_if_none(t: &Subject) -> Outcome {
    let (from, to) = (Path::from("copied"), Path::from("copied-once"));
    t.store.copy_if_not_exists(&from, &to).await?;
    t.same("copied-once", &pattern("copy", 200_000)).await?;
    let again = t.store.copy_if_not_exists(&from, &to).await;
    holds(
        matches!(again, Err(Error::AlreadyExists { .. })),
        "a second copy is refused",
    )
}

/// Paths as this client spells them, in order: it encodes what is not ASCII by itself.
fn spelled(keys: &[&str]) -> Vec<String> {
    let mut paths: Vec<String> = keys
        .iter()
        .map(|key| Path::from(*key).to_string())
        .collect();
    paths.sort_unstable();
    paths
}

fn named(rows: Vec<object_store::ObjectMeta>) -> Vec<String> {
    let mut paths: Vec<String> = rows
        .into_iter()
        .map(|row| row.location.to_string())
        .collect();
    paths.sort_unstable();
    paths
}

async fn list(t: &Subject) -> Outcome {
    let keys = ["l/1", "l/2", "l/a/1", "l/a/2", "l/é/ж +"];
    for key in keys {
        t.put(key, b"12345").await?;
    }
    let folder = Path::from("l");
    let all = t.store.list(Some(&folder)).try_collect().await?;
    expect(named(all), spelled(&keys))?;
    let level = t.store.list_with_delimiter(Some(&folder)).await?;
    expect(named(level.objects), spelled(&["l/1", "l/2"]))?;
    let mut folders: Vec<String> = level.common_prefixes.iter().map(Path::to_string).collect();
    folders.sort_unstable();
    expect(folders, spelled(&["l/a", "l/é"]))?;
    let offset = Path::from("l/a/1");
    let rest = t.store.list_with_offset(Some(&folder), &offset);
    expect(named(rest.try_collect().await?), ["l/a/2"])
}

async fn multipart(t: &Subject) -> Outcome {
    let body = pattern("parts", 20 * MIB);
    let mut upload = t.store.put_multipart(&Path::from("parts")).await?;
    for part in body.chunks(5 * MIB) {
        upload.put_part(PutPayload::from(part.to_vec())).await?;
    }
    let done = upload.complete().await?;
    holds(
        done.e_tag.is_some_and(|tag| tag.ends_with("-4\"")),
        "an ETag of four parts",
    )?;
    t.same("parts", &body).await
}

async fn aborted(t: &Subject) -> Outcome {
    let path = Path::from("aborted");
    let mut upload = t.store.put_multipart(&path).await?;
    upload.put_part(PutPayload::from_static(b"x")).await?;
    upload.abort().await?;
    let gone = t.store.head(&path).await;
    holds(
        matches!(gone, Err(Error::NotFound { .. })),
        "nothing is there",
    )
}

async fn presigned(t: &Subject) -> Outcome {
    let (path, soon) = (Path::from("by url/é+"), Duration::from_secs(60));
    let put = t
        .store
        .signed_url(reqwest::Method::PUT, &path, soon)
        .await?;
    let sent = t.http.put(put.as_str()).body("by url").send().await?;
    expect(sent.status().as_u16(), 200)?;
    let get = t
        .store
        .signed_url(reqwest::Method::GET, &path, soon)
        .await?;
    let got = t.http.get(get.as_str()).send().await?;
    expect(got.text().await?, "by url")
}

async fn delete(t: &Subject) -> Outcome {
    t.put("gone", b"x").await?;
    t.store.delete(&Path::from("gone")).await?;
    let gone = t.store.head(&Path::from("gone")).await;
    holds(
        matches!(gone, Err(Error::NotFound { .. })),
        "the object is gone",
    )
}

async fn delete_all(t: &Subject) -> Outcome {
    let all: Vec<_> = t
        .store
        .list(None)
        .map_ok(|row| row.location)
        .try_collect()
        .await?;
    let number = all.len();
    let doomed = stream::iter(all).map(Ok).boxed();
    let deleted: Vec<Path> = t.store.delete_stream(doomed).try_collect().await?;
    expect(deleted.len(), number)?;
    let left: Vec<_> = t.store.list(None).try_collect().await?;
    expect(left.len(), 0)
}
