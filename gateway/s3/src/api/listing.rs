//! What the listing operations share.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cairn_model::limits::{KEY_LEN_MAX, LIST_KEYS_MAX};
use sha2::{Digest, Sha256};

use crate::dates::Timestamp;
use crate::digest::{Algorithm, ChecksumType};
use crate::error::S3Error;
use crate::query::Query;
use crate::uri;
use crate::xml::write::{self, Writer};

/// An account as listings show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Canonical id.
    pub id: String,
    /// Display name.
    pub display_name: String,
}

impl Owner {
    pub(super) fn write(&self, name: &'static str, xml: &mut Writer) {
        xml.nest(name, |xml| {
            xml.text("ID", &self.id);
            xml.text("DisplayName", &self.display_name);
        });
    }
}

/// What every listing of keys is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    /// Only keys that begin so; empty for all.
    pub prefix: String,
    /// Keys that share a run up to this after the prefix become one common prefix.
    pub delimiter: Option<String>,
    /// Most entries, keys and common prefixes together: 0 to 1,000.
    pub max_keys: u32,
    /// Whether keys are percent-encoded in the answer.
    pub url_encoded: bool,
}

impl ListRequest {
    pub(super) fn from_query(query: &Query, max: &'static str) -> Result<Self, S3Error> {
        let url_encoded = match query.get("encoding-type") {
            None => false,
            Some(kind) if kind.eq_ignore_ascii_case("url") => true,
            Some(kind) => {
                let message = "Invalid Encoding Method specified in Request";
                return Err(S3Error::argument("encoding-type", kind, message));
            }
        };
        Ok(Self {
            prefix: query.get("prefix").unwrap_or("").to_owned(),
            delimiter: query.non_empty("delimiter").map(str::to_owned),
            max_keys: query
                .integer(max)?
                .unwrap_or(LIST_KEYS_MAX)
                .min(LIST_KEYS_MAX),
            url_encoded,
        })
    }

    /// A key, prefix, marker or delimiter as the answer shows it.
    pub(super) fn shown<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.url_encoded {
            uri::encode_path(text)
        } else {
            Cow::Borrowed(text)
        }
    }

    /// The text itself wherever XML can carry it.
    pub(super) fn plain_or_shown<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if text.chars().all(write::is_representable) {
            Cow::Borrowed(text)
        } else {
            self.shown(text)
        }
    }

    /// The delimiter.
    pub(super) fn write_delimiter(&self, xml: &mut Writer) {
        if let Some(delimiter) = &self.delimiter {
            xml.text("Delimiter", &self.shown(delimiter));
        }
    }

    pub(super) fn write_encoding(&self, xml: &mut Writer) {
        if self.url_encoded {
            xml.text("EncodingType", "url");
        }
    }

    pub(super) fn write_common_prefixes(&self, prefixes: &[String], xml: &mut Writer) {
        for prefix in prefixes {
            xml.nest("CommonPrefixes", |xml| {
                xml.text("Prefix", &self.shown(prefix))
            });
        }
    }
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// When it was written.
    pub last_modified: Timestamp,
    /// Its ETag, without quotes.
    pub etag: String,
    /// Its length in bytes.
    pub size: u64,
    /// The stored checksum's algorithm and type.
    pub checksum: Option<(Algorithm, ChecksumType)>,
    /// Its storage class.
    pub storage_class: String,
    /// Its owner, where the listing shows owners.
    pub owner: Option<Owner>,
}

impl Entry {
    /// Bytes that one takes, about.
    const ROOM: usize = 384;

    /// Room for so many.
    pub(super) fn reserve(entries: usize, xml: &mut Writer) {
        xml.reserve(entries * Self::ROOM);
    }

    /// `Contents` without version fields; `Version` puts those between key and time.
    pub(super) fn write(
        &self,
        element: &'static str,
        request: &ListRequest,
        xml: &mut Writer,
        version: impl FnOnce(&mut Writer),
    ) {
        xml.nest(element, |xml| {
            xml.text("Key", &request.shown(&self.key));
            version(xml);
            xml.plain("LastModified", &self.last_modified.to_iso8601());
            xml.quoted("ETag", &self.etag);
            if let Some((algorithm, kind)) = self.checksum {
                xml.plain("ChecksumAlgorithm", algorithm.name());
                xml.plain("ChecksumType", kind.name());
            }
            xml.number("Size", self.size);
            if let Some(owner) = &self.owner {
                owner.write("Owner", xml);
            }
            xml.text("StorageClass", &self.storage_class);
        });
    }
}

/// Where a paged listing goes on: opaque to clients, the last entry of the page before to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContinuationToken(String);

/// First byte of a token; another one is another format.
const TOKEN_FORMAT: u8 = 1;
/// Bytes of hash behind the position: tokens are copied by people and scripts.
const TOKEN_CHECK_LEN: usize = 4;

impl ContinuationToken {
    /// After this entry: a key, a common prefix or a bucket name, as it was listed.
    #[must_use]
    pub fn after(last: impl Into<String>) -> Self {
        Self(last.into())
    }

    /// The last entry listed. The listing goes on behind it, and behind every key below it if it
    /// was a common prefix.
    #[must_use]
    pub fn last(&self) -> &str {
        &self.0
    }

    /// The text given to the client.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut bytes = vec![TOKEN_FORMAT];
        bytes.extend_from_slice(&check(&self.0));
        bytes.extend_from_slice(self.0.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what [`ContinuationToken::to_text`] gave.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn parse(text: &str) -> Result<Self, S3Error> {
        let read = || {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let (format, rest) = bytes.split_first()?;
            let (sum, last) = rest.split_at_checked(TOKEN_CHECK_LEN)?;
            let last = std::str::from_utf8(last).ok()?;
            let good = *format == TOKEN_FORMAT && last.len() <= KEY_LEN_MAX && sum == check(last);
            good.then(|| Self(last.to_owned()))
        };
        read().ok_or_else(|| {
            let message = "The continuation token provided is incorrect";
            S3Error::argument("continuation-token", text, message)
        })
    }

    /// The parameter of a query; an empty one is the beginning.
    pub(super) fn from_query(query: &Query) -> Result<Option<Self>, S3Error> {
        query
            .non_empty("continuation-token")
            .map(Self::parse)
            .transpose()
    }
}

fn check(last: &str) -> [u8; TOKEN_CHECK_LEN] {
    let hash: [u8; 32] = Sha256::digest(last.as_bytes()).into();
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}
