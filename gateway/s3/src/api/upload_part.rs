//! `PUT /bucket/key?partNumber&uploadId`

use cairn_model::limits::PARTS_MAX;
use http::StatusCode;

use super::Response;
use super::reply;
use crate::digest::Checksum;
use crate::error::{Code, S3Error};
use crate::head::Head;
use crate::query;

/// Input of `UploadPart`, beside its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadPart {
    /// The upload.
    pub upload_id: String,
    /// 1 to 10,000.
    pub part_number: u32,
}

impl UploadPart {
    /// Reads the head.
    ///
    /// # Errors
    /// `InvalidArgument` for a part number out of range, `NoSuchUpload` for an empty id.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        let query = head.query();
        let text = query
            .get("partNumber")
            .ok_or_else(|| query::missing("partNumber"))?;
        let number = query.integer("partNumber").ok().flatten();
        let part_number = number.filter(|number| (1..=PARTS_MAX).contains(number));
        let part_number = part_number.ok_or_else(|| {
            let message =
                format!("Part number must be an integer between 1 and {PARTS_MAX}, inclusive");
            S3Error::argument("partNumber", text, message)
        })?;
        Ok(Self {
            upload_id: upload_id(head)?,
            part_number,
        })
    }
}

/// The upload a request names.
pub(super) fn upload_id(head: &Head) -> Result<String, S3Error> {
    let id = head.query().non_empty("uploadId");
    id.map(str::to_owned)
        .ok_or_else(|| S3Error::new(Code::NoSuchUpload))
}

/// Output of `UploadPart`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadPartOutput {
    /// Without quotes.
    pub etag: String,
    /// The part's checksum, where the upload or the request has one.
    pub checksum: Option<Checksum>,
}

impl UploadPartOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut response = reply::empty(StatusCode::OK);
        reply::set_etag(response.headers_mut(), &self.etag);
        if let Some(checksum) = &self.checksum {
            let name = checksum.algorithm().header();
            reply::set(response.headers_mut(), name, &checksum.to_base64());
        }
        response
    }
}
