//! Multipart uploads.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use super::{Failure, MIB, Outcome, Run, Subject, expect, holds, pattern, refused};

pub(super) async fn play(t: &Subject, run: &mut Run) {
    run.case(
        "CompleteMultipartUpload",
        "joins 20 MiB in 4 parts",
        joins(t),
    )
    .await;
    run.case(
        "CompleteMultipartUpload",
        "refuses a small part before the last",
        small(t),
    )
    .await;
    run.case("UploadPartCopy", "takes parts from an object", copies(t))
        .await;
    run.case("ListParts", "lists parts with sizes", listed(t))
        .await;
    run.case("AbortMultipartUpload", "leaves nothing", aborted(t))
        .await;
}

/// An upload under way.
struct Upload<'t> {
    t: &'t Subject,
    key: &'static str,
    id: String,
    parts: Vec<CompletedPart>,
}

impl<'t> Upload<'t> {
    async fn start(t: &'t Subject, key: &'static str) -> Outcome<Self> {
        let made =
            t.s3.create_multipart_upload()
                .bucket(&t.bucket)
                .key(key)
                .send()
                .await?;
        let id = made
            .upload_id
            .ok_or_else(|| Failure("no upload id".to_owned()))?;
        Ok(Self {
            t,
            key,
            id,
            parts: Vec::new(),
        })
    }

    fn next_number(&self) -> i32 {
        i32::try_from(self.parts.len())
            .unwrap_or(i32::MAX)
            .saturating_add(1)
    }

    async fn part(&mut self, body: &[u8]) -> Outcome {
        let number = self.next_number();
        let part = self.t.s3.upload_part().bucket(&self.t.bucket).key(self.key);
        let part = part.upload_id(&self.id).part_number(number);
        let part = part.body(ByteStream::from(body.to_vec())).send().await?;
        self.done(number, part.e_tag, part.checksum_crc32);
        Ok(())
    }

    /// What Complete will be told. The SDK gives each part a CRC32 by itself, and the upload none.
    fn done(&mut self, number: i32, tag: Option<String>, crc32: Option<String>) {
        let part = CompletedPart::builder().part_number(number).set_e_tag(tag);
        self.parts.push(part.set_checksum_crc32(crc32).build());
    }

    async fn copy(&mut self, source: &str, range: &str) -> Outcome {
        let number = self.next_number();
        let part = self
            .t
            .s3
            .upload_part_copy()
            .bucket(&self.t.bucket)
            .key(self.key);
        let part = part.upload_id(&self.id).part_number(number);
        let source = format!("{}/{source}", self.t.bucket);
        let part = part
            .copy_source(source)
            .copy_source_range(range)
            .send()
            .await?;
        let result = part
            .copy_part_result
            .ok_or_else(|| Failure("no result".to_owned()))?;
        self.done(number, result.e_tag, None);
        Ok(())
    }

    /// Joins the parts; fails with the service's code where it says one.
    async fn complete(self) -> Result<(), (u16, Option<String>)> {
        use aws_sdk_s3::error::ProvideErrorMetadata as _;
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(self.parts))
            .build();
        let complete = self
            .t
            .s3
            .complete_multipart_upload()
            .bucket(&self.t.bucket)
            .key(self.key);
        let answer = complete
            .upload_id(&self.id)
            .multipart_upload(parts)
            .send()
            .await;
        answer.map(drop).map_err(|error| {
            let status = error.raw_response().map_or(0, |raw| raw.status().as_u16());
            (status, error.code().map(str::to_owned))
        })
    }
}

async fn joins(t: &Subject) -> Outcome {
    let mut upload = Upload::start(t, "parts").await?;
    let body = pattern("parts", 20 * MIB);
    for part in body.chunks(5 * MIB) {
        upload.part(part).await?;
    }
    expect(upload.complete().await, Ok::<(), (u16, Option<String>)>(()))?;
    t.same("parts", &body).await?;
    let head =
        t.s3.head_object()
            .bucket(&t.bucket)
            .key("parts")
            .send()
            .await?;
    holds(
        head.e_tag().is_some_and(|tag| tag.ends_with("-4\"")),
        "an ETag of four parts",
    )
}

async fn small(t: &Subject) -> Outcome {
    let mut upload = Upload::start(t, "small").await?;
    upload.part(b"small").await?;
    upload.part(b"last").await?;
    let refused = Err((400, Some("EntityTooSmall".to_owned())));
    expect(upload.complete().await, refused)
}

async fn copies(t: &Subject) -> Outcome {
    let mut upload = Upload::start(t, "cut").await?;
    upload.copy("parts", "bytes=0-9999999").await?;
    upload
        .copy("parts", &format!("bytes=10000000-{}", 20 * MIB - 1))
        .await?;
    expect(upload.complete().await, Ok::<(), (u16, Option<String>)>(()))?;
    t.same("cut", &pattern("parts", 20 * MIB)).await
}

async fn listed(t: &Subject) -> Outcome {
    let mut upload = Upload::start(t, "listed").await?;
    upload.part(&pattern("listed", 5 * MIB)).await?;
    upload.part(b"last").await?;
    let list =
        t.s3.list_parts()
            .bucket(&t.bucket)
            .key("listed")
            .upload_id(&upload.id);
    let told = list.send().await?;
    let sizes: Vec<Option<i64>> = told.parts().iter().map(|part| part.size()).collect();
    expect(sizes, [Some(5 << 20), Some(4)])
}

async fn aborted(t: &Subject) -> Outcome {
    let mut upload = Upload::start(t, "aborted").await?;
    upload.part(b"x").await?;
    let open =
        t.s3.list_multipart_uploads()
            .bucket(&t.bucket)
            .prefix("aborted")
            .send()
            .await?;
    expect(open.uploads().len(), 1)?;
    let abort =
        t.s3.abort_multipart_upload()
            .bucket(&t.bucket)
            .key("aborted");
    abort.upload_id(&upload.id).send().await?;
    let list =
        t.s3.list_parts()
            .bucket(&t.bucket)
            .key("aborted")
            .upload_id(&upload.id);
    refused(list.send().await, 404, Some("NoSuchUpload"))
}
