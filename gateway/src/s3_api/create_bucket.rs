//! `PUT /bucket`

use cairn_s3::api::Response;
use cairn_s3::api::create_bucket::{CreateBucket, CreateBucketOutput};
use cairn_s3::{Code, S3Error};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::Refusal;
use cairn_wire::metadata::entry::Command;

use crate::error;
use crate::metadata::CommitError;
use crate::pipeline::Call;

/// The region whose buckets may be created again by their owner.
const US_EAST_1: &str = "us-east-1";

pub(super) async fn create(call: &Call, document: &[u8]) -> Result<Response, S3Error> {
    let location = CreateBucket::from_document(document)?
        .location
        .unwrap_or_default();
    check_location(call, &location).await?;
    check_ownership(call).await?;
    let name = call.bucket_name()?;
    let session = call.enter().await?;
    let command = Command::CreateBucket(wire::CreateBucket {
        name: name.as_str().to_owned(),
        owner: call.user.id.clone(),
        location,
    });
    match session.propose(command).await {
        Ok(_) => {}
        Err(CommitError::Refused {
            refusal: Refusal::BucketExists,
            ..
        }) => again(call).await?,
        Err(error) => return Err(error::of_commit(error)),
    }
    let bucket = name.as_str().to_owned();
    Ok(CreateBucketOutput { bucket }.into_response())
}

/// The bucket is there already: fine for its owner in us-east-1, as AWS has it.
async fn again(call: &Call) -> Result<(), S3Error> {
    let name = call.bucket_name()?;
    let refuse = |code| Err(S3Error::new(code).with("BucketName", name.as_str()));
    match call.gateway.bucket(name).await? {
        Some(bucket) if bucket.owner != call.user.id => refuse(Code::BucketAlreadyExists),
        Some(_) if call.gateway.settings.region == US_EAST_1 => Ok(()),
        Some(_) => refuse(Code::BucketAlreadyOwnedByYou),
        // Deleted in between: whoever asks again creates it.
        None => refuse(Code::OperationAborted),
    }
}

async fn check_location(call: &Call, location: &str) -> Result<(), S3Error> {
    if location.is_empty() || location == call.gateway.settings.region || location == US_EAST_1 {
        return Ok(());
    }
    let views = &call.gateway.path.views;
    let mut view = views.get().await.map_err(error::of_query)?;
    let known = |view: &crate::data::view::View| {
        view.location_constraints
            .iter()
            .any(|known| known == location)
    };
    if !known(&view) {
        // It may have been allowed since.
        view = views
            .newer_than(Some(&view))
            .await
            .map_err(error::of_query)?;
    }
    if known(&view) {
        return Ok(());
    }
    let error = S3Error::new(Code::InvalidLocationConstraint);
    Err(error.with("LocationConstraint", location))
}

/// A bucket has the cluster's ownership setting, so no other can be asked for.
async fn check_ownership(call: &Call) -> Result<(), S3Error> {
    const NAME: &str = "x-amz-object-ownership";
    let Some(asked) = call.head.header(NAME)? else {
        return Ok(());
    };
    let view = call.gateway.path.views.get().await;
    let set = &view.map_err(error::of_query)?.object_ownership;
    if set.eq_ignore_ascii_case(asked) {
        return Ok(());
    }
    let error = S3Error::new(Code::NotImplemented).with("Header", NAME);
    Err(error.with("Value", asked))
}
