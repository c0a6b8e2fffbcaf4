//! The S3 operations, one per file: input in, metadata and data path asked, output given.

mod abort_multipart_upload;
pub(crate) mod attributes;
mod complete_multipart_upload;
mod copy_body;
mod copy_object;
mod copy_source;
mod create_bucket;
mod create_multipart_upload;
mod delete_bucket;
mod delete_object;
mod delete_objects;
mod get_bucket_location;
mod get_object;
mod get_object_attributes;
mod head_bucket;
mod head_object;
mod list_buckets;
mod list_multipart_uploads;
mod list_object_versions;
mod list_objects;
mod list_objects_v2;
mod list_parts;
mod listing;
mod put_object;
mod unconfigured;
mod upload_id;
mod upload_part;
mod upload_part_copy;

use axum::body::Body;
use cairn_s3::{Op, S3Error};
use http::Response;

use crate::body::Incoming;
use crate::pipeline::Call;

/// Carries out an operation that has been authorised.
///
/// # Errors
/// The operation's own, in S3's words; 501 for one that is not built.
pub(crate) async fn dispatch(call: &Call, body: Incoming) -> Result<Response<Body>, S3Error> {
    if !call.op.takes_object() {
        return with_document(call, body).await;
    }
    match call.op {
        Op::PutObject => put_object::put(call, body).await,
        Op::UploadPart => upload_part::upload(call, body).await,
        other => Err(S3Error::not_implemented(other.name())),
    }
}

/// Operations whose body is a document, or nothing.
async fn with_document(call: &Call, body: Incoming) -> Result<Response<Body>, S3Error> {
    let document = call.document(body).await?;
    if call.op == Op::DeleteObjects {
        return delete_objects::delete(call, document).await.map(whole);
    }
    let document = document.finish()?;
    if call.op == Op::GetObject {
        return get_object::get(call).await;
    }
    let answer = match call.op {
        Op::ListBuckets => list_buckets::list(call).await,
        Op::CreateBucket => create_bucket::create(call, &document).await,
        Op::HeadBucket => head_bucket::head(call),
        Op::DeleteBucket => delete_bucket::delete(call).await,
        Op::GetBucketLocation => get_bucket_location::get(call),
        Op::HeadObject => head_object::head(call).await,
        Op::GetObjectAttributes => get_object_attributes::get(call).await,
        Op::CopyObject => copy_object::copy(call).await,
        Op::UploadPartCopy => upload_part_copy::copy(call).await,
        Op::DeleteObject => delete_object::delete(call).await,
        Op::ListObjects => list_objects::list(call).await,
        Op::ListObjectsV2 => list_objects_v2::list(call).await,
        Op::ListObjectVersions => list_object_versions::list(call).await,
        Op::CreateMultipartUpload => create_multipart_upload::create(call).await,
        Op::CompleteMultipartUpload => complete_multipart_upload::complete(call, &document).await,
        Op::AbortMultipartUpload => abort_multipart_upload::abort(call).await,
        Op::ListParts => list_parts::list(call).await,
        Op::ListMultipartUploads => list_multipart_uploads::list(call).await,
        _ => unconfigured::answer(call, &document).await,
    };
    answer.map(whole)
}

fn whole(response: cairn_s3::api::Response) -> Response<Body> {
    response.map(Body::from)
}

#[cfg(test)]
mod tests;
