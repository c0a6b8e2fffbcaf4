//! `GET /bucket?versions`

use super::reply;
use super::{Entry, ListRequest, Owner, Response};
use crate::dates::Timestamp;
use crate::error::S3Error;
use crate::head::Head;
use crate::xml::write::{self, Writer};

/// Input of `ListObjectVersions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListObjectVersions {
    /// Prefix, delimiter, size of the page.
    pub request: ListRequest,
    /// List what sorts behind this key; empty for the beginning.
    pub key_marker: String,
    /// And behind this version of it.
    pub version_id_marker: Option<String>,
}

impl ListObjectVersions {
    /// Reads the head.
    ///
    /// # Errors
    /// `InvalidArgument`, also for a version marker without a key marker.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        let query = head.query();
        let key_marker = query.get("key-marker").unwrap_or("").to_owned();
        let version_id_marker = query.non_empty("version-id-marker").map(str::to_owned);
        if let Some(marker) = version_id_marker
            .as_deref()
            .filter(|_| key_marker.is_empty())
        {
            let message = "A version-id marker cannot be specified without a key marker.";
            return Err(S3Error::argument("version-id-marker", marker, message));
        }
        let request = ListRequest::from_query(query, "max-keys")?;
        Ok(Self {
            request,
            key_marker,
            version_id_marker,
        })
    }
}

/// A version, or a delete marker, in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionEntry {
    /// A version of an object.
    Version {
        /// The object.
        entry: Entry,
        /// Its version, `null` where there is none.
        version_id: String,
        /// Whether it is the current one.
        is_latest: bool,
    },
    /// A delete marker.
    DeleteMarker {
        /// Its key.
        key: String,
        /// Its version.
        version_id: String,
        /// Whether it is the current one.
        is_latest: bool,
        /// When it was made.
        last_modified: Timestamp,
        /// Its owner.
        owner: Option<Owner>,
    },
}

impl VersionEntry {
    fn write(&self, request: &ListRequest, xml: &mut Writer) {
        match self {
            Self::Version {
                entry,
                version_id,
                is_latest,
            } => {
                entry.write("Version", request, xml, |xml| {
                    xml.text("VersionId", version_id);
                    xml.flag("IsLatest", *is_latest);
                });
            }
            Self::DeleteMarker {
                key,
                version_id,
                is_latest,
                last_modified,
                owner,
            } => {
                xml.nest("DeleteMarker", |xml| {
                    xml.text("Key", &request.shown(key));
                    xml.text("VersionId", version_id);
                    xml.flag("IsLatest", *is_latest);
                    xml.text("LastModified", &last_modified.to_iso8601());
                    if let Some(owner) = owner {
                        owner.write("Owner", xml);
                    }
                });
            }
        }
    }
}

/// Output of `ListObjectVersions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListObjectVersionsOutput {
    /// The bucket's name.
    pub bucket: String,
    /// What was asked.
    pub input: ListObjectVersions,
    /// By key, newest first.
    pub versions: Vec<VersionEntry>,
    /// In order.
    pub common_prefixes: Vec<String>,
    /// There is more behind this key (or common prefix) and version.
    pub next: Option<(String, Option<String>)>,
}

impl ListObjectVersionsOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        let request = &self.input.request;
        reply::xml(write::document("ListVersionsResult", |xml| {
            xml.text("Name", &self.bucket);
            xml.text("Prefix", &request.shown(&request.prefix));
            xml.text("KeyMarker", &request.shown(&self.input.key_marker));
            xml.text(
                "VersionIdMarker",
                self.input.version_id_marker.as_deref().unwrap_or(""),
            );
            if let Some((key, version)) = &self.next {
                xml.text("NextKeyMarker", &request.shown(key));
                xml.optional("NextVersionIdMarker", version.as_deref());
            }
            xml.number("MaxKeys", u64::from(request.max_keys));
            request.write_delimiter(xml);
            request.write_encoding(xml);
            xml.flag("IsTruncated", self.next.is_some());
            Entry::reserve(self.versions.len(), xml);
            for version in &self.versions {
                version.write(request, xml);
            }
            request.write_common_prefixes(&self.common_prefixes, xml);
        }))
    }
}
