//! `POST /bucket/key?uploads`

use super::Response;
use super::reply;
use crate::digest::{Algorithm, ChecksumType, MultipartChecksum};
use crate::error::{Code, S3Error};
use crate::head::Head;
use crate::object_headers::ObjectHeaders;
use crate::xml::write;

/// Input of `CreateMultipartUpload`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateMultipartUpload {
    /// What will be stored with the object.
    pub headers: ObjectHeaders,
    /// The checksum rule of the upload.
    pub checksum: MultipartChecksum,
}

impl CreateMultipartUpload {
    /// Reads the head.
    ///
    /// # Errors
    /// `InvalidRequest` for a checksum rule AWS refuses, `NotImplemented` for an algorithm that is
    /// not computed here, `MetadataTooLarge`.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        let algorithm = head
            .header("x-amz-checksum-algorithm")?
            .map(checksum_algorithm)
            .transpose()?;
        let kind = head
            .header("x-amz-checksum-type")?
            .map(checksum_type)
            .transpose()?;
        Ok(Self {
            headers: ObjectHeaders::from_head(head)?,
            checksum: MultipartChecksum::new(algorithm, kind)?,
        })
    }
}

/// Algorithms of the model that are not computed here.
const MISSING: [&str; 5] = ["SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"];

/// A checksum algorithm by its name.
pub(super) fn checksum_algorithm(name: &str) -> Result<Algorithm, S3Error> {
    Algorithm::from_name(name).ok_or_else(|| {
        if MISSING
            .iter()
            .any(|missing| missing.eq_ignore_ascii_case(name))
        {
            return S3Error::not_implemented(format!("The checksum algorithm {name}"));
        }
        let message = "Checksum algorithm provided is unsupported. Please try again with any of \
                       the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]";
        S3Error::because(Code::InvalidRequest, message)
    })
}

/// A checksum type by its name.
pub(super) fn checksum_type(name: &str) -> Result<ChecksumType, S3Error> {
    ChecksumType::from_name(name).ok_or_else(|| {
        let message = "Value for x-amz-checksum-type header is invalid.";
        S3Error::because(Code::InvalidRequest, message)
    })
}

/// Output of `CreateMultipartUpload`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateMultipartUploadOutput {
    /// The bucket's name.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The new upload.
    pub upload_id: String,
    /// Its checksum rule.
    pub checksum: MultipartChecksum,
}

impl CreateMultipartUploadOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut response = reply::xml(write::document("InitiateMultipartUploadResult", |xml| {
            xml.text("Bucket", &self.bucket);
            xml.text("Key", &self.key);
            xml.text("UploadId", &self.upload_id);
        }));
        if self.checksum.is_explicit() {
            let headers = response.headers_mut();
            reply::set(
                headers,
                "x-amz-checksum-algorithm",
                self.checksum.algorithm().name(),
            );
            reply::set(headers, "x-amz-checksum-type", self.checksum.kind().name());
        }
        response
    }
}
