//! `GET /bucket/key?uploadId`

use cairn_model::limits::LIST_KEYS_MAX;

use super::reply;
use super::upload_part::upload_id;
use super::{Owner, Response};
use crate::dates::Timestamp;
use crate::digest::{Checksum, MultipartChecksum};
use crate::error::S3Error;
use crate::head::Head;
use crate::xml::write;

/// Input of `ListParts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListParts {
    /// The upload.
    pub upload_id: String,
    /// List parts behind this number.
    pub part_number_marker: u32,
    /// Most parts: 0 to 1,000.
    pub max_parts: u32,
}

impl ListParts {
    /// Reads the head.
    ///
    /// # Errors
    /// `NoSuchUpload`, `InvalidArgument`.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        let query = head.query();
        Ok(Self {
            upload_id: upload_id(head)?,
            part_number_marker: query.integer("part-number-marker")?.unwrap_or(0),
            max_parts: query
                .integer("max-parts")?
                .unwrap_or(LIST_KEYS_MAX)
                .min(LIST_KEYS_MAX),
        })
    }
}

/// A part in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartEntry {
    /// Its number.
    pub number: u32,
    /// When it was written.
    pub last_modified: Timestamp,
    /// Without quotes.
    pub etag: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its checksum.
    pub checksum: Option<Checksum>,
}

/// Output of `ListParts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPartsOutput {
    /// The bucket's name.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// What was asked.
    pub input: ListParts,
    /// In order of their numbers.
    pub parts: Vec<PartEntry>,
    /// There are more.
    pub is_truncated: bool,
    /// Who began the upload, and will own the object.
    pub owner: Owner,
    /// The storage class it will have.
    pub storage_class: String,
    /// The upload's checksum rule.
    pub checksum: MultipartChecksum,
}

impl ListPartsOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        reply::xml(write::document("ListPartsResult", |xml| {
            xml.text("Bucket", &self.bucket);
            xml.text("Key", &self.key);
            xml.text("UploadId", &self.input.upload_id);
            self.owner.write("Initiator", xml);
            self.owner.write("Owner", xml);
            xml.text("StorageClass", &self.storage_class);
            xml.number("PartNumberMarker", u64::from(self.input.part_number_marker));
            let last = self
                .parts
                .last()
                .map_or(self.input.part_number_marker, |part| part.number);
            xml.number("NextPartNumberMarker", u64::from(last));
            xml.number("MaxParts", u64::from(self.input.max_parts));
            xml.flag("IsTruncated", self.is_truncated);
            if self.checksum.is_explicit() {
                xml.text("ChecksumAlgorithm", self.checksum.algorithm().name());
                xml.text("ChecksumType", self.checksum.kind().name());
            }
            for part in &self.parts {
                xml.nest("Part", |xml| {
                    xml.number("PartNumber", u64::from(part.number));
                    xml.text("LastModified", &part.last_modified.to_iso8601());
                    xml.quoted("ETag", &part.etag);
                    xml.number("Size", part.size);
                    if let Some(checksum) = &part.checksum {
                        xml.text(checksum.algorithm().element(), &checksum.to_base64());
                    }
                });
            }
        }))
    }
}
