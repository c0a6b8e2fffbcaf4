//! `GET /bucket/key?attributes`

use cairn_model::limits::LIST_KEYS_MAX;
use http::header::LAST_MODIFIED;

use super::Response;
use super::reply;
use crate::dates::Timestamp;
use crate::digest::{Checksum, ObjectChecksum};
use crate::error::{Code, S3Error};
use crate::head::Head;
use crate::query;
use crate::xml::write::{self, Writer};

const ATTRIBUTES: &str = "x-amz-object-attributes";

/// Input of `GetObjectAttributes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetObjectAttributes {
    /// The version, the current one if absent.
    pub version_id: Option<String>,
    /// What is asked for.
    pub wanted: Wanted,
    /// List parts behind this number.
    pub part_number_marker: u32,
    /// Most parts: 0 to 1,000.
    pub max_parts: u32,
}

/// The attributes asked for, at least one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `ETag`
    pub etag: bool,
    /// `Checksum`
    pub checksum: bool,
    /// `ObjectParts`
    pub parts: bool,
    /// `StorageClass`
    pub storage_class: bool,
    /// `ObjectSize`
    pub size: bool,
}

impl GetObjectAttributes {
    /// Reads the head.
    ///
    /// # Errors
    /// `InvalidRequest` if nothing is asked for, `InvalidArgument` for an unknown attribute or a
    /// number that is none.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        Ok(Self {
            version_id: query::version_id(head.query())?,
            wanted: Wanted::from_head(head)?,
            part_number_marker: number(head, "x-amz-part-number-marker")?.unwrap_or(0),
            max_parts: number(head, "x-amz-max-parts")?
                .unwrap_or(LIST_KEYS_MAX)
                .min(LIST_KEYS_MAX),
        })
    }
}

impl Wanted {
    fn from_head(head: &Head) -> Result<Self, S3Error> {
        let mut wanted = Self::default();
        for value in head.headers().get_all(ATTRIBUTES) {
            let list = value.to_str().unwrap_or("");
            for name in list.split(',').map(str::trim) {
                let slot = match name {
                    "ETag" => &mut wanted.etag,
                    "Checksum" => &mut wanted.checksum,
                    "ObjectParts" => &mut wanted.parts,
                    "StorageClass" => &mut wanted.storage_class,
                    "ObjectSize" => &mut wanted.size,
                    _ => {
                        let message = "Invalid attribute name specified.";
                        return Err(S3Error::argument(ATTRIBUTES, name, message));
                    }
                };
                *slot = true;
            }
        }
        if wanted == Self::default() {
            let message = "The x-amz-object-attributes header specifying the attributes to be \
                           retrieved is either missing or empty";
            return Err(S3Error::because(Code::InvalidRequest, message));
        }
        Ok(wanted)
    }
}

fn number(head: &Head, name: &'static str) -> Result<Option<u32>, S3Error> {
    let Some(text) = head.header(name)? else {
        return Ok(None);
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    let message = format!("Argument {name} must be an integer between 0 and 2147483647");
    number
        .map(Some)
        .ok_or_else(|| S3Error::argument(name, text, message))
}

/// Output of `GetObjectAttributes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetObjectAttributesOutput {
    /// What was asked: only that is shown.
    pub input: GetObjectAttributes,
    /// When the object was written.
    pub last_modified: Timestamp,
    /// Without quotes, and shown so: this operation's ETag has none.
    pub etag: String,
    /// The stored checksum.
    pub checksum: Option<ObjectChecksum>,
    /// Of a multipart object.
    pub parts: Option<PartsPage>,
    /// Its storage class.
    pub storage_class: String,
    /// Its length in bytes.
    pub size: u64,
    /// In a bucket with versions.
    pub version_id: Option<String>,
}

/// A page of an object's parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartsPage {
    /// Parts of the object.
    pub total: u32,
    /// In order of their numbers, behind the marker.
    pub parts: Vec<PartAttributes>,
    /// There are more.
    pub is_truncated: bool,
}

/// A part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartAttributes {
    /// Its number.
    pub number: u32,
    /// Its length in bytes.
    pub size: u64,
    /// Its checksum, where the client chose the upload's algorithm.
    pub checksum: Option<Checksum>,
}

impl GetObjectAttributesOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        let wanted = self.input.wanted;
        let mut response = reply::xml(write::document("GetObjectAttributesResponse", |xml| {
            if wanted.etag {
                xml.text("ETag", &self.etag);
            }
            if let Some(checksum) = self.checksum.as_ref().filter(|_| wanted.checksum) {
                xml.nest("Checksum", |xml| {
                    xml.text(checksum.checksum.algorithm().element(), &checksum.to_text());
                    xml.text("ChecksumType", checksum.kind.name());
                });
            }
            if let Some(page) = self.parts.as_ref().filter(|_| wanted.parts) {
                page.write(&self.input, xml);
            }
            if wanted.storage_class {
                xml.text("StorageClass", &self.storage_class);
            }
            if wanted.size {
                xml.number("ObjectSize", self.size);
            }
        }));
        let headers = response.headers_mut();
        reply::set(
            headers,
            LAST_MODIFIED.as_str(),
            &self.last_modified.to_http_date(),
        );
        if let Some(version) = &self.version_id {
            reply::set(headers, "x-amz-version-id", version);
        }
        response
    }
}

impl PartsPage {
    fn write(&self, input: &GetObjectAttributes, xml: &mut Writer) {
        xml.nest("ObjectParts", |xml| {
            xml.number("PartsCount", u64::from(self.total));
            xml.number("PartNumberMarker", u64::from(input.part_number_marker));
            let last = self
                .parts
                .last()
                .map_or(input.part_number_marker, |part| part.number);
            xml.number("NextPartNumberMarker", u64::from(last));
            xml.number("MaxParts", u64::from(input.max_parts));
            xml.flag("IsTruncated", self.is_truncated);
            for part in &self.parts {
                xml.nest("Part", |xml| {
                    xml.number("PartNumber", u64::from(part.number));
                    xml.number("Size", part.size);
                    if let Some(checksum) = &part.checksum {
                        xml.text(checksum.algorithm().element(), &checksum.to_base64());
                    }
                });
            }
        });
    }
}
