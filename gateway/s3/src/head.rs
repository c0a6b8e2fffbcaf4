//! The head of a request: everything but the body, read once and never changed.

use cairn_model::limits::{HEADERS_COUNT_MAX, HEADERS_LEN_MAX, URI_LEN_MAX};
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Uri};

use crate::error::{Code, S3Error};
use crate::query::{self, Query};
use crate::sigv4;

/// Method, path, query and headers of a request.
///
/// Presigning SDKs *hoist* headers into the query (`?x-amz-acl=private`); AWS reads them as headers
/// and so must we, else their effect would be dropped without a word. [`Head::new`] puts them beside
/// the others and remembers which they are: they count as signed through the query, never as headers.
#[derive(Clone, Debug)]
pub struct Head {
    method: Method,
    path: String,
    host: String,
    query: Query,
    headers: HeaderMap,
    hoisted: Vec<HeaderName>,
}

impl Head {
    /// Takes a head as hyper gives it.
    ///
    /// # Errors
    /// `RequestHeaderSectionTooLarge`, `InvalidURI`, what [`Query::parse`] refuses, and
    /// `InvalidArgument` for two hosts, a host that is not the URI's, or a header that is given in the query too.
    pub fn new(method: Method, uri: &Uri, headers: HeaderMap) -> Result<Self, S3Error> {
        check_bounds(uri, &headers)?;
        let query = Query::try_from(uri.query())?;
        // HTTP/2 and absolute-form requests carry the host in the URI. Where both are there, someone
        // before us may have gone by the other one.
        let host = match (single(&headers, HOST.as_str())?, uri.authority()) {
            (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority.as_str()) => {
                let message = "The Host must be the one of the request target.";
                return Err(S3Error::argument("Host", host, message));
            }
            (Some(host), _) => host.to_owned(),
            (None, Some(authority)) => authority.as_str().to_owned(),
            (None, None) => String::new(),
        };
        let path = uri.path().to_owned();
        let mut head = Self {
            method,
            path,
            host,
            query,
            headers,
            hoisted: Vec::new(),
        };
        head.hoist()?;
        Ok(head)
    }

    fn hoist(&mut self) -> Result<(), S3Error> {
        let disguised = |name: &str| query::is_amz(name) && !sigv4::is_auth_parameter(name);
        for (name, value) in self.query.pairs().filter(|(name, _)| disguised(name)) {
            let refused = || S3Error::argument(name, value, "This parameter cannot be a header.");
            let header = HeaderName::try_from(name).map_err(|_| refused())?;
            if self.headers.contains_key(&header) {
                let message = "A header must not be given in the query too.";
                return Err(S3Error::argument(name, value, message));
            }
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| refused())?;
            self.headers.insert(header.clone(), value);
            self.hoisted.push(header);
        }
        Ok(())
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path as it came, still encoded.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The host as the client named it, with its port; empty if it named none.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The query.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The headers, hoisted ones included.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether a header came in the query.
    pub(crate) fn is_hoisted(&self, name: &HeaderName) -> bool {
        self.hoisted.contains(name)
    }

    /// The one value of a header.
    ///
    /// # Errors
    /// `InvalidArgument` if it is given twice or is not visible ASCII.
    pub fn header(&self, name: &str) -> Result<Option<&str>, S3Error> {
        single(&self.headers, name)
    }

    /// The length the client announced.
    ///
    /// # Errors
    /// `InvalidArgument` for anything but one decimal number.
    pub fn content_length(&self) -> Result<Option<u64>, S3Error> {
        let Some(text) = self.header(CONTENT_LENGTH.as_str())? else {
            return Ok(None);
        };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let length = text.parse().ok().filter(|_| digits && !text.is_empty());
        let message = "The Content-Length is not a number.";
        length
            .map(Some)
            .ok_or_else(|| S3Error::argument("Content-Length", text, message))
    }

    /// Whether a body follows: a length above zero, or a transfer encoding.
    #[must_use]
    pub fn has_body(&self) -> bool {
        self.headers.contains_key(TRANSFER_ENCODING)
            || !matches!(self.content_length(), Ok(None | Some(0)))
    }
}

/// The one value of a header.
pub(crate) fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, S3Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(S3Error::argument(
            name,
            "",
            "A header must not be given more than once.",
        ));
    }
    let text = value.to_str().map(str::trim);
    text.map(Some)
        .map_err(|_| S3Error::argument(name, "", "A header value must be ASCII."))
}

fn check_bounds(uri: &Uri, headers: &HeaderMap) -> Result<(), S3Error> {
    let target = uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > URI_LEN_MAX {
        return Err(S3Error::because(Code::InvalidURI, "The URI is too long."));
    }
    let length: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers.len() > HEADERS_COUNT_MAX || length > HEADERS_LEN_MAX {
        return Err(S3Error::new(Code::RequestHeaderSectionTooLarge)
            .with("MaxSizeAllowed", HEADERS_LEN_MAX.to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
