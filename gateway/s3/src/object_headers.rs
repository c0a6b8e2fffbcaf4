//! The headers stored with an object: six of HTTP's, and the user's `x-amz-meta-*`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_model::limits::{OBJECT_HEADERS_MAX, USER_METADATA_MAX};
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, EXPIRES,
    HeaderMap, HeaderName, HeaderValue,
};

use crate::error::{Code, S3Error};
use crate::head::Head;
use crate::query::Query;

const META: &str = "x-amz-meta-";
/// What an object without a type is.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// The headers of an object, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectHeaders {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Encoding`, without `aws-chunked`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Expires`, kept as the client wrote it.
    pub expires: Option<String>,
    /// Names without `x-amz-meta-`, in lower case and sorted, each once.
    pub metadata: Vec<(String, String)>,
}

impl ObjectHeaders {
    /// Reads them from a head.
    ///
    /// # Errors
    /// `MetadataTooLarge` beyond 2 KiB of metadata or 8 KiB of everything.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        let headers = head.headers();
        let text = |name: HeaderName| joined(headers, &name).filter(|text| !text.is_empty());
        let found = Self {
            content_type: text(CONTENT_TYPE),
            cache_control: text(CACHE_CONTROL),
            content_disposition: text(CONTENT_DISPOSITION),
            content_encoding: text(CONTENT_ENCODING).and_then(|text| without_framing(&text)),
            content_language: text(CONTENT_LANGUAGE),
            expires: text(EXPIRES),
            metadata: user_metadata(headers),
        };
        found.check_bounds()?;
        Ok(found)
    }

    /// Checks how long they are together.
    ///
    /// # Errors
    /// `MetadataTooLarge` beyond 2 KiB of metadata or 8 KiB of everything.
    pub fn check_bounds(&self) -> Result<(), S3Error> {
        let metadata: usize = self
            .metadata
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let standard: usize = self
            .standard()
            .iter()
            .flat_map(|(_, value)| *value)
            .map(String::len)
            .sum();
        if metadata > USER_METADATA_MAX || metadata + standard > OBJECT_HEADERS_MAX {
            return Err(S3Error::new(Code::MetadataTooLarge)
                .with("Size", metadata.to_string())
                .with("MaxSizeAllowed", USER_METADATA_MAX.to_string()));
        }
        Ok(())
    }

    fn standard(&self) -> [(HeaderName, &Option<String>); 6] {
        [
            (CONTENT_TYPE, &self.content_type),
            (CACHE_CONTROL, &self.cache_control),
            (CONTENT_DISPOSITION, &self.content_disposition),
            (CONTENT_ENCODING, &self.content_encoding),
            (CONTENT_LANGUAGE, &self.content_language),
            (EXPIRES, &self.expires),
        ]
    }

    /// Puts them on a response, overridden where the request asked for it.
    pub(crate) fn write(&self, overrides: &Overrides, out: &mut HeaderMap) {
        out.insert(CONTENT_TYPE, HeaderValue::from_static(DEFAULT_CONTENT_TYPE));
        for (name, value) in self.standard() {
            let wanted = overrides.get(&name).or(value.as_ref());
            if let Some(value) = wanted.and_then(|text| header_value(text)) {
                out.insert(name, value);
            }
        }
        for (name, value) in &self.metadata {
            let name = HeaderName::try_from(format!("{META}{name}"));
            if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(mail_safe(value))) {
                out.insert(name, value);
            }
        }
    }
}

/// The `response-*` parameters of a GET or HEAD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(Vec<(HeaderName, String)>);

impl Overrides {
    const PARAMETERS: [(&'static str, HeaderName); 6] = [
        ("response-content-type", CONTENT_TYPE),
        ("response-cache-control", CACHE_CONTROL),
        ("response-content-disposition", CONTENT_DISPOSITION),
        ("response-content-encoding", CONTENT_ENCODING),
        ("response-content-language", CONTENT_LANGUAGE),
        ("response-expires", EXPIRES),
    ];

    /// Reads them.
    ///
    /// # Errors
    /// `InvalidArgument` for a value that cannot stand in a header.
    pub fn from_query(query: &Query) -> Result<Self, S3Error> {
        let mut found = Vec::new();
        for (parameter, header) in Self::PARAMETERS {
            let Some(value) = query.non_empty(parameter) else {
                continue;
            };
            if header_value(value).is_none() {
                let message = "The value cannot be sent in a header.";
                return Err(S3Error::argument(parameter, value, message));
            }
            found.push((header, value.to_owned()));
        }
        Ok(Self(found))
    }

    fn get(&self, name: &HeaderName) -> Option<&String> {
        self.0
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value)
    }
}

fn user_metadata(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut found: Vec<_> = headers
        .keys()
        .filter_map(|name| {
            let short = name.as_str().strip_prefix(META)?;
            Some((short.to_owned(), joined(headers, name)?))
        })
        .collect();
    found.sort_unstable();
    found
}

/// All values of a header with `, ` between. Bytes that are not UTF-8 are read as Latin-1, which is
/// what such clients mean.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values = headers.get_all(name).iter().map(|value| {
        let bytes = value.as_bytes().trim_ascii();
        match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().copied().map(char::from).collect(),
        }
    });
    values.reduce(|all, next| format!("{all}, {next}"))
}

/// `aws-chunked` is the framing of the request, not of the object.
fn without_framing(text: &str) -> Option<String> {
    let kept = text.split(',').map(str::trim);
    let kept =
        kept.filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"));
    kept.map(str::to_owned)
        .reduce(|all, next| format!("{all}, {next}"))
}

fn header_value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes()).ok()
}

/// RFC 2047: text that is not printable ASCII travels as a base64 encoded-word, as AWS sends it.
fn mail_safe(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        text.to_owned()
    } else {
        format!("=?UTF-8?B?{}?=", STANDARD.encode(text))
    }
}

#[cfg(test)]
mod tests;
