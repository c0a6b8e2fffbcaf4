//! `POST /bucket/key?uploadId`

use cairn_model::limits::PARTS_MAX;
use serde::Deserialize;

use super::Response;
use super::create_multipart_upload::checksum_type;
use super::reply;
use super::upload_part::upload_id;
use crate::conditions::WriteConditions;
use crate::digest::{Algorithm, Checksum, ChecksumType, ObjectChecksum};
use crate::error::{Code, S3Error};
use crate::head::Head;
use crate::xml::{read, write};

/// Input of `CompleteMultipartUpload`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompleteMultipartUpload {
    /// The upload.
    pub upload_id: String,
    /// When it may be completed.
    pub conditions: WriteConditions,
    /// The checksum the object must have, as text: base64, with `-parts` behind a composite one.
    /// Compare with [`ObjectChecksum::to_text`]; `BadDigest` if it differs.
    pub checksum: Option<(Algorithm, String)>,
    /// The type the upload must have.
    pub checksum_type: Option<ChecksumType>,
    /// The length the object must have.
    pub object_size: Option<u64>,
}

/// One part of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedPart {
    /// 1 to 10,000, rising.
    pub number: u32,
    /// Without quotes.
    pub etag: String,
    /// The checksum the part must have.
    pub checksum: Option<Checksum>,
}

impl CompleteMultipartUpload {
    /// Reads the head.
    ///
    /// # Errors
    /// `NoSuchUpload`, `InvalidArgument`, `InvalidRequest`.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        Ok(Self {
            upload_id: upload_id(head)?,
            conditions: WriteConditions::from_head(head)?,
            checksum: object_checksum(head)?,
            checksum_type: head
                .header("x-amz-checksum-type")?
                .map(checksum_type)
                .transpose()?,
            object_size: object_size(head)?,
        })
    }
}

fn object_checksum(head: &Head) -> Result<Option<(Algorithm, String)>, S3Error> {
    let mut found = None;
    for algorithm in Algorithm::ALL {
        let Some(text) = head.header(algorithm.header())? else {
            continue;
        };
        if found.replace((algorithm, text.to_owned())).is_some() {
            let message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are \
                           not allowed.";
            return Err(S3Error::because(Code::InvalidRequest, message));
        }
    }
    Ok(found)
}

fn object_size(head: &Head) -> Result<Option<u64>, S3Error> {
    const NAME: &str = "x-amz-mp-object-size";
    let Some(text) = head.header(NAME)? else {
        return Ok(None);
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let size = text.parse().ok().filter(|_| digits);
    let message = "Value for x-amz-mp-object-size header is invalid.";
    size.map(Some)
        .ok_or_else(|| S3Error::argument(NAME, text, message))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "@xmlns")]
    _xmlns: Option<String>,
    #[serde(rename = "Part", default)]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    #[serde(rename = "PartNumber")]
    number: String,
    #[serde(rename = "ETag")]
    etag: String,
    #[serde(rename = "ChecksumCRC32")]
    crc32: Option<String>,
    #[serde(rename = "ChecksumCRC32C")]
    crc32c: Option<String>,
    #[serde(rename = "ChecksumCRC64NVME")]
    crc64nvme: Option<String>,
    #[serde(rename = "ChecksumSHA1")]
    sha1: Option<String>,
    #[serde(rename = "ChecksumSHA256")]
    sha256: Option<String>,
}

/// Reads the document of a `CompleteMultipartUpload`. A part named again right behind itself was
/// sent again while the first sending was under way: the last mention counts, as the last sending
/// does.
///
/// # Errors
/// `MalformedXML` for no parts or more than 10,000, `InvalidArgument` for a number out of range,
/// `InvalidPartOrder`, `InvalidPart` for a checksum that cannot be one or more than one.
pub fn parse_parts(body: &[u8]) -> Result<Vec<CompletedPart>, S3Error> {
    let document: Document = read::document(body, "CompleteMultipartUpload")?;
    if document.parts.is_empty() || document.parts.len() > PARTS_MAX as usize {
        return Err(S3Error::new(Code::MalformedXML));
    }
    let mut parts: Vec<CompletedPart> = Vec::with_capacity(document.parts.len());
    for part in document.parts {
        let part = part.into_input()?;
        match parts.last_mut() {
            Some(last) if last.number == part.number => *last = part,
            Some(last) if last.number > part.number => {
                return Err(S3Error::new(Code::InvalidPartOrder));
            }
            _ => parts.push(part),
        }
    }
    Ok(parts)
}

impl Part {
    fn into_input(self) -> Result<CompletedPart, S3Error> {
        let text = self.number.trim();
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        let number = number.ok_or_else(|| S3Error::new(Code::MalformedXML))?;
        if !(1..=PARTS_MAX).contains(&number) {
            let message = "PartNumber must be >= 1 and <= 10000";
            return Err(S3Error::argument("PartNumber", text, message));
        }
        let given = [
            (Algorithm::Crc32, self.crc32),
            (Algorithm::Crc32c, self.crc32c),
            (Algorithm::Crc64Nvme, self.crc64nvme),
            (Algorithm::Sha1, self.sha1),
            (Algorithm::Sha256, self.sha256),
        ];
        let mut checksums = given
            .into_iter()
            .filter_map(|(algorithm, text)| Some(Checksum::from_base64(algorithm, text?.trim())));
        let checksum = checksums.next();
        if checksums.next().is_some() || checksum == Some(None) {
            return Err(S3Error::new(Code::InvalidPart).with("PartNumber", text));
        }
        let etag = self.etag.trim().trim_matches('"').to_owned();
        Ok(CompletedPart {
            number,
            etag,
            checksum: checksum.flatten(),
        })
    }
}

/// Output of `CompleteMultipartUpload`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompleteMultipartUploadOutput {
    /// The object's URL.
    pub location: String,
    /// The bucket's name.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// Without quotes.
    pub etag: String,
    /// The object's checksum.
    pub checksum: Option<ObjectChecksum>,
    /// In a bucket with versions.
    pub version_id: Option<String>,
}

impl CompleteMultipartUploadOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut response = reply::xml(write::document("CompleteMultipartUploadResult", |xml| {
            xml.text("Location", &self.location);
            xml.text("Bucket", &self.bucket);
            xml.text("Key", &self.key);
            xml.quoted("ETag", &self.etag);
            if let Some(checksum) = &self.checksum {
                xml.text(checksum.checksum.algorithm().element(), &checksum.to_text());
                xml.text("ChecksumType", checksum.kind.name());
            }
        }));
        if let Some(version) = &self.version_id {
            reply::set(response.headers_mut(), "x-amz-version-id", version);
        }
        response
    }
}
