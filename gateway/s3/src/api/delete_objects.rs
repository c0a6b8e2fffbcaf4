//! `POST /bucket?delete`

use serde::Deserialize;

use super::Response;
use super::reply;
use crate::conditions::{self, DeleteConditions, EtagMatch, WriteConditions};
use crate::error::{Code, S3Error};
use crate::target::ObjectKey;
use crate::upload::Document;
use crate::xml::{read, write};

use cairn_model::limits::LIST_KEYS_MAX;

/// Input of `DeleteObjects`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteObjects {
    /// 1 to 1,000 of them, in the order they came.
    pub objects: Vec<ObjectToDelete>,
    /// Show only what failed.
    pub quiet: bool,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectToDelete {
    /// Its key as the client wrote it, for the answer.
    pub key: String,
    /// The key, or why there can be no such object: an error of this one, not of the request.
    pub checked: Result<ObjectKey, S3Error>,
    /// The version.
    pub version_id: Option<String>,
    /// When it may be deleted.
    pub conditions: DeleteConditions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    #[serde(rename = "@xmlns")]
    _xmlns: Option<String>,
    #[serde(rename = "Object", default)]
    objects: Vec<Object>,
    #[serde(rename = "Quiet")]
    quiet: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "VersionId")]
    version_id: Option<String>,
    #[serde(rename = "ETag")]
    etag: Option<String>,
    #[serde(rename = "LastModifiedTime")]
    last_modified_time: Option<String>,
    #[serde(rename = "Size")]
    size: Option<String>,
}

impl DeleteObjects {
    /// Ends the body and reads the document.
    ///
    /// # Errors
    /// `InvalidRequest` without Content-MD5 or checksum; `MalformedXML` for no key or more than
    /// 1,000; `InvalidArgument` for a time or size that is none; what [`Document::finish`] refuses.
    pub fn from_document(document: Document) -> Result<Self, S3Error> {
        if !document.is_declared() {
            let message =
                "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
            return Err(S3Error::because(Code::InvalidRequest, message));
        }
        Self::parse(&document.finish()?)
    }

    /// Reads the document.
    ///
    /// # Errors
    /// As [`DeleteObjects::from_document`].
    pub fn parse(body: &[u8]) -> Result<Self, S3Error> {
        let delete: Delete = read::document(body, "Delete")?;
        if delete.objects.is_empty() || delete.objects.len() > LIST_KEYS_MAX as usize {
            return Err(S3Error::new(Code::MalformedXML));
        }
        let objects = delete
            .objects
            .into_iter()
            .map(Object::into_input)
            .collect::<Result<_, _>>()?;
        let quiet = match delete.quiet.as_deref().map(str::trim) {
            None | Some("" | "false" | "0") => false,
            Some("true" | "1") => true,
            Some(_) => return Err(S3Error::new(Code::MalformedXML)),
        };
        Ok(Self { objects, quiet })
    }
}

impl Object {
    fn into_input(self) -> Result<ObjectToDelete, S3Error> {
        let modified = self.last_modified_time.as_deref().map(str::trim);
        let modified = modified.map(|text| conditions::time("LastModifiedTime", text));
        let size = self.size.as_deref().map(str::trim);
        let size = size.map(|text| conditions::length("Size", text));
        if self.key.is_empty() {
            return Err(S3Error::new(Code::MalformedXML));
        }
        Ok(ObjectToDelete {
            checked: ObjectKey::parse(self.key.clone()),
            key: self.key,
            version_id: self.version_id.filter(|id| !id.is_empty()),
            conditions: DeleteConditions {
                etags: WriteConditions {
                    if_match: self.etag.as_deref().and_then(EtagMatch::parse),
                    if_none_match: None,
                },
                modified: modified.transpose()?,
                size: size.transpose()?,
            },
        })
    }
}

/// What became of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Its key.
    pub key: String,
    /// The version the client named.
    pub version_id: Option<String>,
    /// How it went.
    pub outcome: Result<Deleted, S3Error>,
}

/// A deletion that went well. A key that was not there is one too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Whether a delete marker was made or deleted.
    pub delete_marker: bool,
    /// That marker's version.
    pub delete_marker_version_id: Option<String>,
}

/// Output of `DeleteObjects`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteObjectsOutput {
    /// In the order of the request.
    pub results: Vec<Deletion>,
    /// Show only what failed.
    pub quiet: bool,
}

impl DeleteObjectsOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        reply::xml(write::document("DeleteResult", |xml| {
            for result in &self.results {
                match &result.outcome {
                    Ok(_) if self.quiet => {}
                    Ok(deleted) => xml.nest("Deleted", |xml| {
                        xml.text("Key", &result.key);
                        xml.optional("VersionId", result.version_id.as_deref());
                        if deleted.delete_marker {
                            xml.flag("DeleteMarker", true);
                        }
                        let marker = deleted.delete_marker_version_id.as_deref();
                        xml.optional("DeleteMarkerVersionId", marker);
                    }),
                    Err(error) => xml.nest("Error", |xml| {
                        xml.text("Key", &result.key);
                        xml.optional("VersionId", result.version_id.as_deref());
                        xml.text("Code", error.code().as_str());
                        xml.text("Message", error.message());
                    }),
                }
            }
        }))
    }
}
