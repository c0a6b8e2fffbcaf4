//! `PUT /bucket/key` with `x-amz-copy-source`

use super::Response;
use super::create_multipart_upload::checksum_algorithm;
use super::reply;
use crate::conditions::{ReadConditions, WriteConditions};
use crate::copy_source::CopySource;
use crate::dates::Timestamp;
use crate::digest::{Algorithm, ObjectChecksum};
use crate::error::{Code, S3Error};
use crate::head::Head;
use crate::object_headers::ObjectHeaders;
use crate::target::{BucketName, ObjectKey};
use crate::xml::write::{self, Writer};

/// Input of `CopyObject`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyObject {
    /// What is copied.
    pub source: CopySource,
    /// When the source may be read. Not modified is a failure here too.
    pub source_conditions: ReadConditions,
    /// The account that must own the source's bucket.
    pub source_owner: Option<String>,
    /// When the copy may be written.
    pub conditions: WriteConditions,
    /// The copy's headers; `None` keeps the source's.
    pub headers: Option<ObjectHeaders>,
    /// The checksum the copy gets; `None` keeps the source's algorithm.
    pub checksum: Option<Algorithm>,
}

impl CopyObject {
    /// Reads the head.
    ///
    /// # Errors
    /// What [`CopySource::from_head`] refuses, `InvalidArgument` for an unknown directive,
    /// `MetadataTooLarge`.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        let replace = directive(head, "x-amz-metadata-directive")?;
        // No object has tags, so keeping them and setting none are the same.
        directive(head, "x-amz-tagging-directive")?;
        let owner = head.header("x-amz-source-expected-bucket-owner")?;
        let algorithm = head.header("x-amz-checksum-algorithm")?;
        Ok(Self {
            source: CopySource::from_head(head)?,
            source_conditions: ReadConditions::of_copy_source(head)?,
            source_owner: owner.map(str::to_owned),
            conditions: WriteConditions::from_head(head)?,
            headers: if replace {
                Some(ObjectHeaders::from_head(head)?)
            } else {
                None
            },
            checksum: algorithm.map(checksum_algorithm).transpose()?,
        })
    }

    /// Refuses a copy of the current version onto itself that changes nothing.
    ///
    /// # Errors
    /// `InvalidRequest`.
    pub fn check_changes(&self, bucket: &BucketName, key: &ObjectKey) -> Result<(), S3Error> {
        let itself = self.source.bucket == *bucket && self.source.key == *key;
        let changes =
            self.headers.is_some() || self.checksum.is_some() || self.source.version_id.is_some();
        if !itself || changes {
            return Ok(());
        }
        let message = "This copy request is illegal because it is trying to copy an object to itself \
                       without changing the object's metadata, storage class, website redirect \
                       location or encryption attributes.";
        Err(S3Error::because(Code::InvalidRequest, message))
    }
}

/// Whether a directive says `REPLACE`.
fn directive(head: &Head, name: &'static str) -> Result<bool, S3Error> {
    match head.header(name)? {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(S3Error::argument(
            name,
            other,
            "Unknown metadata directive.",
        )),
    }
}

/// Output of `CopyObject` and `UploadPartCopy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOutput {
    /// Of the copy, without quotes.
    pub etag: String,
    /// When the copy was written.
    pub last_modified: Timestamp,
    /// The checksum of the copy; of a part, always over its whole.
    pub checksum: Option<ObjectChecksum>,
    /// The version that was copied, in a bucket with versions.
    pub source_version_id: Option<String>,
    /// The version that was made, in a bucket with versions.
    pub version_id: Option<String>,
}

impl CopyOutput {
    /// The response to `CopyObject`.
    #[must_use]
    pub fn into_object_response(self) -> Response {
        let document = write::document("CopyObjectResult", |xml| {
            self.write(xml);
            if let Some(checksum) = &self.checksum {
                xml.text("ChecksumType", checksum.kind.name());
            }
        });
        self.respond(document)
    }

    /// The response to `UploadPartCopy`.
    #[must_use]
    pub fn into_part_response(self) -> Response {
        let document = write::document("CopyPartResult", |xml| self.write(xml));
        self.respond(document)
    }

    fn write(&self, xml: &mut Writer) {
        xml.text("LastModified", &self.last_modified.to_iso8601());
        xml.quoted("ETag", &self.etag);
        if let Some(checksum) = &self.checksum {
            xml.text(checksum.checksum.algorithm().element(), &checksum.to_text());
        }
    }

    fn respond(&self, document: bytes::Bytes) -> Response {
        let mut response = reply::xml(document);
        let headers = response.headers_mut();
        if let Some(version) = &self.source_version_id {
            reply::set(headers, "x-amz-copy-source-version-id", version);
        }
        if let Some(version) = &self.version_id {
            reply::set(headers, "x-amz-version-id", version);
        }
        response
    }
}
