//! `HEAD /bucket/key`

use bytes::Bytes;
use cairn_s3::S3Error;
use cairn_s3::api::Response;
use cairn_s3::api::get_object::GetObject;

use super::get_object::{Found, find};
use crate::pipeline::Call;

pub(super) async fn head(call: &Call) -> Result<Response, S3Error> {
    let input = GetObject::from_head(&call.head)?;
    let head = match find(call, input).await? {
        Found::Object(found) => found.1.into_head(),
        Found::NotModified(head) => head,
    };
    Ok(head.map(|()| Bytes::new()))
}
