//! The official SDK, with its defaults: checksums on every upload, checked on every download.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;

use crate::material::{Endpoint, KEYS, MIB, SIZES, fresh_bucket, pattern};
use crate::outcomes::{Failure, Outcome, Run, expect, holds};

mod listings;
mod multipart;
mod objects;

/// A bucket that is never there.
const NOWHERE: &str = "no-such-bucket-here";

/// A client, and a bucket that the first case makes and the last one removes.
struct Subject {
    s3: Client,
    bucket: String,
}

impl Subject {
    fn new(endpoint: &Endpoint) -> Self {
        let keys = (&endpoint.access_key, &endpoint.secret_key);
        let credentials = Credentials::new(keys.0, keys.1, None, None, "environment");
        let settings = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&endpoint.url)
            .region(Region::new(endpoint.region.clone()))
            .credentials_provider(credentials)
            .force_path_style(true)
            .retry_config(RetryConfig::disabled())
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        Self {
            s3: Client::from_conf(settings.build()),
            bucket: fresh_bucket("aws-sdk-s3"),
        }
    }

    async fn put(&self, key: &str, body: &[u8]) -> Outcome<String> {
        let put = self.s3.put_object().bucket(&self.bucket).key(key);
        let put = put.body(ByteStream::from(body.to_vec())).send().await?;
        put.e_tag.ok_or_else(|| Failure("no ETag".to_owned()))
    }

    async fn get(&self, key: &str) -> Outcome<Vec<u8>> {
        let got = self.s3.get_object().bucket(&self.bucket).key(key).send();
        Ok(got.await?.body.collect().await?.to_vec())
    }

    async fn same(&self, key: &str, body: &[u8]) -> Outcome {
        holds(self.get(key).await? == body, "other bytes than were stored")
    }
}

/// The call failed with this code.
fn refused<T, E: ProvideErrorMetadata>(
    answer: Result<T, SdkError<E>>,
    status: u16,
    code: Option<&str>,
) -> Outcome {
    let Err(error) = answer else {
        return Err(Failure(format!("not refused with {status} {code:?}")));
    };
    let found = error.raw_response().map(|raw| raw.status().as_u16());
    expect((found, error.code()), (Some(status), code))
}

/// Plays every case, in an order in which later ones use what earlier ones stored.
pub(crate) async fn play(endpoint: &Endpoint, run: &mut Run) {
    let subject = Subject::new(endpoint);
    buckets(&subject, run).await;
    objects::play(&subject, run).await;
    listings::play(&subject, run).await;
    multipart::play(&subject, run).await;
    let t = &subject;
    run.case("DeleteBucket", "refuses one that is not empty", async {
        t.put("still-here", b"x").await?;
        let answer = t.s3.delete_bucket().bucket(&t.bucket).send().await;
        refused(answer, 409, Some("BucketNotEmpty"))
    })
    .await;
    run.case(
        "DeleteBucket",
        "removes an empty one",
        listings::empty_and_remove(t),
    )
    .await;
}

async fn buckets(t: &Subject, run: &mut Run) {
    let s3 = &t.s3;
    run.case("CreateBucket", "makes a bucket", async {
        s3.create_bucket().bucket(&t.bucket).send().await?;
        Ok(())
    })
    .await;
    run.case("HeadBucket", "of a bucket and of none", async {
        s3.head_bucket().bucket(&t.bucket).send().await?;
        refused(
            s3.head_bucket().bucket(NOWHERE).send().await,
            404,
            Some("NotFound"),
        )
    })
    .await;
    run.case("ListBuckets", "names the bucket", async {
        let told = s3.list_buckets().send().await?;
        let found = told
            .buckets()
            .iter()
            .any(|row| row.name() == Some(&t.bucket));
        holds(found, "the bucket is not in the list")
    })
    .await;
    run.case("GetBucketLocation", "is null in us-east-1", async {
        let told = s3.get_bucket_location().bucket(&t.bucket).send().await?;
        let location = told
            .location_constraint()
            .map(|place| place.as_str().to_owned());
        holds(location.is_none_or(|place| place.is_empty()), "a location")
    })
    .await;
}
