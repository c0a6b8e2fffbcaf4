//! `GET /bucket/key?attributes`

use cairn_s3::api::Response;
use cairn_s3::api::get_object_attributes::{
    GetObjectAttributes, GetObjectAttributesOutput, PartAttributes, PartsPage,
};
use cairn_s3::digest::ObjectChecksum;
use cairn_s3::{Code, S3Error, Timestamp};
use cairn_wire::metadata as wire;

use super::{attributes, get_object};
use crate::data::layout;
use crate::error;
use crate::pipeline::Call;

/// The class of an object that names none.
const STANDARD: &str = "STANDARD";

pub(super) async fn get(call: &Call) -> Result<Response, S3Error> {
    let input = GetObjectAttributes::from_head(&call.head)?;
    let object = get_object::row(call, input.version_id.as_deref()).await?;
    let row = object.attributes.unwrap_or_default();
    let checksum = attributes::shown(&row);
    let parts = match &object.place {
        Some(wire::object::Place::PartPages(list)) if input.wanted.parts => {
            Some(parts(call, &input, list, row.parts, checksum.as_ref()).await?)
        }
        _ => None,
    };
    let class = Some(row.storage_class).filter(|class| !class.is_empty());
    let output = GetObjectAttributesOutput {
        input,
        last_modified: Timestamp::from_millis(object.modified_ms),
        etag: row.etag,
        checksum,
        parts,
        storage_class: class.unwrap_or_else(|| STANDARD.to_owned()),
        size: object.length,
        version_id: None,
    };
    Ok(output.into_response())
}

/// A page of a multipart object's parts, each with the checksum that is shown of the whole.
async fn parts(
    call: &Call,
    input: &GetObjectAttributes,
    list: &wire::PartPages,
    total: u32,
    whole: Option<&ObjectChecksum>,
) -> Result<PartsPage, S3Error> {
    let limit = usize::try_from(input.max_parts).map_err(|_| S3Error::new(Code::InternalError))?;
    let metadata = &call.gateway.path.metadata;
    let found = layout::parts_after(metadata, list, input.part_number_marker, limit).await;
    let (parts, is_truncated) = found.map_err(error::of_query)?;
    let described = |part: wire::PartRead| PartAttributes {
        number: part.number,
        size: part.length,
        checksum: attributes::of_part(whole, &part).map(|sum| sum.checksum),
    };
    Ok(PartsPage {
        total,
        parts: parts.into_iter().map(described).collect(),
        is_truncated,
    })
}
