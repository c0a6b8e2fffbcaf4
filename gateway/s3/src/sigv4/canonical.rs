//! The canonical request and the string to sign.

use http::header::{HOST, HeaderName};
use sha2::{Digest, Sha256};

use super::{ALGORITHM, Place, Presented};
use crate::error::{Code, S3Error};
use crate::head::Head;
use crate::uri;

/// Query parameter that carries the signature, and so is not signed.
const SIGNATURE: &str = "X-Amz-Signature";

/// The parts of a canonical request that do not depend on how path and query are written.
#[derive(Debug)]
pub(super) struct Canonical<'h> {
    head: &'h Head,
    presigned: bool,
    /// Canonical headers, a blank line, the list of their names, and the payload's hash.
    tail: Vec<u8>,
}

impl<'h> Canonical<'h> {
    /// Gathers the signed headers.
    ///
    /// # Errors
    /// `AccessDenied` naming the headers that must be signed and are not; `SignatureDoesNotMatch`
    /// for a signed header that is not there, or is named twice.
    pub(super) fn new(
        head: &'h Head,
        presented: &Presented<'_>,
        payload_hash: &str,
    ) -> Result<Self, S3Error> {
        check_coverage(head, &presented.signed_headers)?;
        let mut tail = Vec::with_capacity(512);
        for (index, name) in presented.signed_headers.iter().enumerate() {
            let before = presented.signed_headers.iter().take(index);
            if before.clone().any(|other| other == name) {
                return Err(missing_header(name));
            }
            tail.extend_from_slice(name.as_bytes());
            tail.push(b':');
            append_values(head, name, &mut tail)?;
            tail.push(b'\n');
        }
        tail.push(b'\n');
        tail.extend_from_slice(presented.signed_headers.join(";").as_bytes());
        tail.push(b'\n');
        tail.extend_from_slice(payload_hash.as_bytes());
        Ok(Self {
            head,
            presigned: presented.place != Place::Header,
            tail,
        })
    }

    /// The head it is of.
    pub(super) fn head(&self) -> &'h Head {
        self.head
    }

    /// The ways a client may lawfully have written path and query, the specified one first. All
    /// decode to the same path and the same parameters.
    pub(super) fn forms(&self) -> Vec<Vec<u8>> {
        let (raw_path, raw_query) = (self.head.path(), self.head.query().raw());
        let decoded = uri::decode(raw_path, false).unwrap_or_else(|_| raw_path.to_owned());
        let path = uri::encode_path(&decoded).into_owned();
        let query = self.query();
        let mut forms = vec![self.render(&path, &query)];
        if raw_path != path {
            forms.push(self.render(raw_path, &query));
        }
        // A presigned query holds the signature; no client signs it as sent.
        if !self.presigned && raw_query != query {
            forms.push(self.render(&path, raw_query));
            if raw_path != path {
                forms.push(self.render(raw_path, raw_query));
            }
        }
        forms
    }

    /// The specified form with one part as it was not sent.
    pub(super) fn with(&self, part: &Part<'_>) -> Vec<u8> {
        let decoded = uri::decode(self.head.path(), false).unwrap_or_default();
        let sent = uri::encode_path(&decoded);
        let path = match part {
            Part::Path(path) => path,
            _ => &*sent,
        };
        let method = match part {
            Part::Method(method) => method,
            _ => self.head.method().as_str(),
        };
        let tail = match part {
            Part::Host(host) => replace_line(&self.tail, b"host:", host),
            Part::Payload(hash) => replace_line(&self.tail, b"", hash),
            _ => self.tail.clone(),
        };
        render(method, path, &self.query(), &tail)
    }

    fn query(&self) -> String {
        let without = if self.presigned { SIGNATURE } else { "" };
        self.head.query().canonical(without)
    }

    fn render(&self, path: &str, query: &str) -> Vec<u8> {
        render(self.head.method().as_str(), path, query, &self.tail)
    }
}

/// A part of a canonical request that may differ between the client and us.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'p> {
    Method(&'static str),
    Host(&'p str),
    /// As it stands in the canonical request.
    Path(&'p str),
    /// Its hash, or what stands for it.
    Payload(&'static str),
}

fn render(method: &str, path: &str, query: &str, tail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len() + query.len() + tail.len() + 16);
    for part in [method, path, query] {
        out.extend_from_slice(part.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(tail);
    out
}

/// The tail with another value in its first line that begins so; an empty beginning is the last line.
fn replace_line(tail: &[u8], begins: &[u8], value: &str) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = tail.split(|byte| *byte == b'\n').collect();
    let new = [begins, value.as_bytes()].concat();
    let line = match begins {
        b"" => lines.last_mut(),
        _ => lines.iter_mut().find(|line| line.starts_with(begins)),
    };
    if let Some(line) = line {
        *line = &new;
    }
    lines.join(&b'\n')
}

/// The string to sign of a canonical request.
pub(super) fn string_to_sign(canonical: &[u8], presented: &Presented<'_>) -> String {
    let at = presented.at.to_basic();
    let hash = hex::encode(Sha256::digest(canonical));
    format!("{ALGORITHM}\n{at}\n{}\n{hash}", presented.scope)
}

/// `host` and every `x-amz-*` header on the wire must be signed.
fn check_coverage(head: &Head, signed: &[&str]) -> Result<(), S3Error> {
    let must = |name: &HeaderName| {
        let name_text = name.as_str();
        name_text.starts_with("x-amz-")
            && name_text != "x-amz-content-sha256"
            && !head.is_hoisted(name)
    };
    let mut unsigned: Vec<&str> = head
        .headers()
        .keys()
        .filter(|name| must(name))
        .map(HeaderName::as_str)
        .chain([HOST.as_str()])
        .filter(|name| !signed.contains(name))
        .collect();
    if unsigned.is_empty() {
        return Ok(());
    }
    unsigned.sort_unstable();
    let message = "There were headers present in the request which were not signed";
    Err(S3Error::because(Code::AccessDenied, message).with("HeadersNotSigned", unsigned.join(", ")))
}

fn append_values(head: &Head, name: &str, out: &mut Vec<u8>) -> Result<(), S3Error> {
    let on_the_wire = HeaderName::from_lowercase(name.as_bytes())
        .ok()
        .filter(|header| head.headers().contains_key(header) && !head.is_hoisted(header));
    match on_the_wire {
        Some(header) => {
            for (index, value) in head.headers().get_all(header).iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                append_trimmed(value.as_bytes(), out);
            }
            Ok(())
        }
        // HTTP/2 carries it as :authority.
        None if name == HOST.as_str() && !head.host().is_empty() => {
            append_trimmed(head.host().as_bytes(), out);
            Ok(())
        }
        None => Err(missing_header(name)),
    }
}

fn missing_header(name: &str) -> S3Error {
    let message = format!("The signed header {name} must be in the request exactly as signed.");
    S3Error::because(Code::SignatureDoesNotMatch, message)
}

/// Blanks at the ends go, runs of blanks become one.
fn append_trimmed(value: &[u8], out: &mut Vec<u8>) {
    let words = value
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}
