//! `GET /bucket?uploads`

use super::reply;
use super::{ListRequest, Owner, Response};
use crate::dates::Timestamp;
use crate::digest::MultipartChecksum;
use crate::error::S3Error;
use crate::head::Head;
use crate::xml::write;

/// Input of `ListMultipartUploads`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListMultipartUploads {
    /// Prefix, delimiter, size of the page.
    pub request: ListRequest,
    /// List uploads to keys behind this one; empty for the beginning.
    pub key_marker: String,
    /// And uploads to this very key behind this one. Ignored without a key marker, as at AWS.
    pub upload_id_marker: Option<String>,
}

impl ListMultipartUploads {
    /// Reads the head.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        let query = head.query();
        let key_marker = query.get("key-marker").unwrap_or("").to_owned();
        let marker = query
            .non_empty("upload-id-marker")
            .filter(|_| !key_marker.is_empty());
        Ok(Self {
            request: ListRequest::from_query(query, "max-uploads")?,
            upload_id_marker: marker.map(str::to_owned),
            key_marker,
        })
    }
}

/// An upload in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadEntry {
    /// Its key.
    pub key: String,
    /// Its id.
    pub upload_id: String,
    /// Who began it, and will own the object.
    pub owner: Owner,
    /// The storage class it will have.
    pub storage_class: String,
    /// When it was begun.
    pub initiated: Timestamp,
    /// Its checksum rule.
    pub checksum: MultipartChecksum,
}

/// Output of `ListMultipartUploads`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListMultipartUploadsOutput {
    /// The bucket's name.
    pub bucket: String,
    /// What was asked.
    pub input: ListMultipartUploads,
    /// By key, then by time begun.
    pub uploads: Vec<UploadEntry>,
    /// In order.
    pub common_prefixes: Vec<String>,
    /// There is more behind this key (or common prefix) and upload.
    pub next: Option<(String, String)>,
}

impl ListMultipartUploadsOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        let request = &self.input.request;
        reply::xml(write::document("ListMultipartUploadsResult", |xml| {
            xml.text("Bucket", &self.bucket);
            xml.text("KeyMarker", &request.shown(&self.input.key_marker));
            xml.text(
                "UploadIdMarker",
                self.input.upload_id_marker.as_deref().unwrap_or(""),
            );
            if let Some((key, upload)) = &self.next {
                xml.text("NextKeyMarker", &request.shown(key));
                xml.text("NextUploadIdMarker", upload);
            }
            xml.text("Prefix", &request.shown(&request.prefix));
            request.write_delimiter(xml);
            request.write_encoding(xml);
            xml.number("MaxUploads", u64::from(request.max_keys));
            xml.flag("IsTruncated", self.next.is_some());
            for upload in &self.uploads {
                xml.nest("Upload", |xml| {
                    xml.text("Key", &request.shown(&upload.key));
                    xml.text("UploadId", &upload.upload_id);
                    upload.owner.write("Initiator", xml);
                    upload.owner.write("Owner", xml);
                    xml.text("StorageClass", &upload.storage_class);
                    xml.text("Initiated", &upload.initiated.to_iso8601());
                    if upload.checksum.is_explicit() {
                        xml.text("ChecksumAlgorithm", upload.checksum.algorithm().name());
                        xml.text("ChecksumType", upload.checksum.kind().name());
                    }
                });
            }
            request.write_common_prefixes(&self.common_prefixes, xml);
        }))
    }
}
