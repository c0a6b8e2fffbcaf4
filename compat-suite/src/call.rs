//! One S3 request, as it will go on the wire.

use crate::checksums::{Algorithm, sha256_hex};
use crate::sigv4::{Credentials, Scope, Signed, Signer, encode_path, encode_query};
use crate::timestamp::{amz_date, amz_date_at};

/// How the body is signed and framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// `x-amz-content-sha256` is the body's digest.
    Signed,
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD` in frames of so many bytes.
    Chunked(usize),
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER` with a checksum in the trailer.
    ChunkedTrailer(usize, Algorithm),
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER` with a checksum in the trailer.
    UnsignedTrailer(usize, Algorithm),
}

/// How the request is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// `Authorization` header.
    Header,
    /// Query parameters, good for so many seconds.
    Query(u32),
    /// Anonymous.
    None,
}

/// A request under construction.
#[derive(Debug, Clone)]
pub struct Call {
    /// Method.
    pub method: String,
    /// Decoded path, with its leading slash.
    pub path: String,
    /// Decoded query.
    pub query: Vec<(String, String)>,
    /// Headers of the caller's.
    pub headers: Vec<(String, String)>,
    /// Plain body.
    pub body: Vec<u8>,
    /// How the body travels.
    pub payload: Payload,
    /// How the request is authenticated.
    pub signing: Signing,
    /// Seconds that the signer's clock is ahead.
    pub clock_ahead: i64,
}

/// Head and body ready for a connection.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Request line and headers with the blank line.
    pub head: Vec<u8>,
    /// The framed body.
    pub body: Vec<u8>,
}

impl Call {
    /// A signed request for `/path`, without a body.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: format!("/{}", path.trim_start_matches('/')),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            payload: Payload::Signed,
            signing: Signing::Header,
            clock_ahead: 0,
        }
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets how the body travels.
    #[must_use]
    pub fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// Sets how the request is authenticated.
    #[must_use]
    pub fn signing(mut self, signing: Signing) -> Self {
        self.signing = signing;
        self
    }

    /// The bytes of this request for `authority`, signed now.
    #[must_use]
    pub fn encode(&self, authority: &str, credentials: &Credentials, region: &str) -> Encoded {
        self.encode_in(amz_date(self.clock_ahead), authority, credentials, region)
    }

    /// The same, signed at `unix_secs` (and [`Call::clock_ahead`]): the machine's clock is not read.
    #[must_use]
    pub fn encode_at(
        &self,
        unix_secs: i64,
        authority: &str,
        credentials: &Credentials,
        region: &str,
    ) -> Encoded {
        let amz_date = amz_date_at(unix_secs.saturating_add(self.clock_ahead));
        self.encode_in(amz_date, authority, credentials, region)
    }

    fn encode_in(
        &self,
        amz_date: String,
        authority: &str,
        credentials: &Credentials,
        region: &str,
    ) -> Encoded {
        let scope = Scope {
            amz_date,
            region: region.to_owned(),
        };
        let signer = Signer::new(credentials, scope.clone());
        let mut headers = vec![("host".to_owned(), authority.to_owned())];
        headers.extend(self.headers.iter().cloned());
        self.describe_framing(&mut headers);
        let mut query = self.query.clone();
        let path = encode_path(&self.path);
        let hash = self.payload_hash();
        let mut seed = String::new();
        match self.signing {
            Signing::None => {}
            Signing::Header => {
                headers.push(("x-amz-date".to_owned(), scope.amz_date));
                headers.push(("x-amz-content-sha256".to_owned(), hash.clone()));
                let signed = self.signed(&path, &encode_query(&query), &headers, &hash, &signer);
                headers.push(("authorization".to_owned(), signed.0));
                seed = signed.1;
            }
            Signing::Query(expires) => {
                let names = Signed {
                    headers: &headers,
                    ..blank()
                }
                .header_names();
                query.extend(presign_parameters(
                    &signer.credential(),
                    &scope,
                    expires,
                    &names,
                ));
                let canonical = encode_query(&query);
                let signed = self.signed(&path, &canonical, &headers, "UNSIGNED-PAYLOAD", &signer);
                query.push(("X-Amz-Signature".to_owned(), signed.1));
            }
        }
        let body = self.framed_body(&signer, seed);
        let target = target(&path, &query);
        let mut head = format!("{} {target} HTTP/1.1\r\n", self.method);
        for (name, value) in &headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || matches!(self.method.as_str(), "PUT" | "POST") {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        Encoded {
            head: head.into_bytes(),
            body,
        }
    }

    fn signed(
        &self,
        path: &str,
        query: &str,
        headers: &[(String, String)],
        payload_hash: &str,
        signer: &Signer,
    ) -> (String, String) {
        let request = Signed {
            method: &self.method,
            path,
            query,
            headers,
            payload_hash,
        };
        signer.authorization(&request)
    }

    /// The headers that say how the body is framed, for framed bodies.
    fn describe_framing(&self, headers: &mut Vec<(String, String)>) {
        let trailer = match self.payload {
            Payload::Signed | Payload::Unsigned => return,
            Payload::Chunked(_) => None,
            Payload::ChunkedTrailer(_, sum) | Payload::UnsignedTrailer(_, sum) => Some(sum),
        };
        headers.push(("content-encoding".to_owned(), "aws-chunked".to_owned()));
        headers.push((
            "x-amz-decoded-content-length".to_owned(),
            self.body.len().to_string(),
        ));
        if let Some(sum) = trailer {
            headers.push((
                "x-amz-sdk-checksum-algorithm".to_owned(),
                sum.name().to_owned(),
            ));
            headers.push(("x-amz-trailer".to_owned(), sum.header().to_owned()));
        }
    }

    fn payload_hash(&self) -> String {
        match self.payload {
            Payload::Signed => sha256_hex(&self.body),
            Payload::Unsigned => "UNSIGNED-PAYLOAD".to_owned(),
            Payload::Chunked(_) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned(),
            Payload::ChunkedTrailer(..) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER".to_owned(),
            Payload::UnsignedTrailer(..) => "STREAMING-UNSIGNED-PAYLOAD-TRAILER".to_owned(),
        }
    }

    fn framed_body(&self, signer: &Signer, seed: String) -> Vec<u8> {
        match self.payload {
            Payload::Signed | Payload::Unsigned => self.body.clone(),
            Payload::Chunked(size) => {
                let mut framed = Frames::signed(signer, seed);
                framed.data(&self.body, size);
                framed.out.extend_from_slice(b"\r\n");
                framed.out
            }
            Payload::ChunkedTrailer(size, sum) => {
                let mut framed = Frames::signed(signer, seed);
                framed.data(&self.body, size);
                framed.trailer(sum, &self.body);
                framed.out
            }
            Payload::UnsignedTrailer(size, sum) => {
                let mut framed = Frames {
                    signer: None,
                    last: String::new(),
                    out: Vec::new(),
                };
                framed.data(&self.body, size);
                framed.trailer(sum, &self.body);
                framed.out
            }
        }
    }
}

fn blank<'r>() -> Signed<'r> {
    Signed {
        method: "",
        path: "",
        query: "",
        headers: &[],
        payload_hash: "",
    }
}

/// The parameters of a presigned URL but the signature.
fn presign_parameters(
    credential: &str,
    scope: &Scope,
    expires: u32,
    header_names: &str,
) -> Vec<(String, String)> {
    let pair = |name: &str, value: String| (name.to_owned(), value);
    vec![
        pair("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
        pair("X-Amz-Credential", credential.to_owned()),
        pair("X-Amz-Date", scope.amz_date.clone()),
        pair("X-Amz-Expires", expires.to_string()),
        pair("X-Amz-SignedHeaders", header_names.to_owned()),
    ]
}

fn target(path: &str, query: &[(String, String)]) -> String {
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", encode_query(query))
    }
}

/// Writes aws-chunked frames.
struct Frames<'s> {
    signer: Option<&'s Signer>,
    last: String,
    out: Vec<u8>,
}

impl<'s> Frames<'s> {
    fn signed(signer: &'s Signer, seed: String) -> Self {
        Self {
            signer: Some(signer),
            last: seed,
            out: Vec::new(),
        }
    }

    /// All data frames and the empty last one, without what follows it.
    fn data(&mut self, body: &[u8], size: usize) {
        for chunk in body.chunks(size.max(1)) {
            self.frame_head(chunk);
            self.out.extend_from_slice(chunk);
            self.out.extend_from_slice(b"\r\n");
        }
        self.frame_head(b"");
    }

    fn frame_head(&mut self, chunk: &[u8]) {
        let mut head = format!("{:x}", chunk.len());
        if let Some(signer) = self.signer {
            self.last = signer.chunk_signature(&self.last, chunk);
            head.push_str(&format!(";chunk-signature={}", self.last));
        }
        self.out.extend_from_slice(format!("{head}\r\n").as_bytes());
    }

    fn trailer(&mut self, sum: Algorithm, body: &[u8]) {
        let line = format!("{}:{}", sum.header(), sum.of(body));
        self.out.extend_from_slice(format!("{line}\r\n").as_bytes());
        if let Some(signer) = self.signer {
            let signature = signer.trailer_signature(&self.last, &format!("{line}\n"));
            let signed = format!("x-amz-trailer-signature:{signature}\r\n");
            self.out.extend_from_slice(signed.as_bytes());
        }
        self.out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(call: &Call) -> (String, String) {
        let credentials = Credentials {
            access_key: "A".into(),
            secret_key: "S".into(),
        };
        let Encoded { head, body } = call.encode("h:1", &credentials, "us-east-1");
        (
            String::from_utf8(head).unwrap(),
            String::from_utf8(body).unwrap(),
        )
    }

    #[test]
    fn a_plain_put_names_its_length_and_digest() {
        let (head, body) = encode(&Call::new("PUT", "b/k é").body("abc").query("x", "1"));
        assert!(
            head.starts_with("PUT /b/k%20%C3%A9?x=1 HTTP/1.1\r\nhost: h:1\r\n"),
            "{head}"
        );
        assert!(head.contains("content-length: 3\r\n") && head.contains(&sha256_hex(b"abc")));
        assert!(head.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date, "));
        assert_eq!(body, "abc");
    }

    #[test]
    fn a_call_signed_at_a_moment_is_the_same_whenever_it_is_made() {
        let credentials = Credentials {
            access_key: "A".into(),
            secret_key: "S".into(),
        };
        let mut call = Call::new("GET", "b/k");
        let head = |call: &Call| {
            let encoded = call.encode_at(1_767_225_600, "h", &credentials, "us-east-1");
            String::from_utf8(encoded.head).unwrap()
        };
        let first = head(&call);
        assert!(
            first.contains("x-amz-date: 20260101T000000Z\r\n"),
            "{first}"
        );
        assert_eq!(head(&call), first);
        call.clock_ahead = -1;
        assert!(head(&call).contains("x-amz-date: 20251231T235959Z\r\n"));
    }

    #[test]
    fn chunked_bodies_are_framed() {
        let call = Call::new("PUT", "b/k")
            .body("abcde")
            .payload(Payload::Chunked(3));
        let (head, body) = encode(&call);
        assert!(head.contains("x-amz-decoded-content-length: 5\r\n"));
        let lines: Vec<&str> = body.split("\r\n").collect();
        assert!(lines[0].starts_with("3;chunk-signature=") && lines[0].len() == 18 + 64);
        assert_eq!((lines[1], lines[3]), ("abc", "de"));
        assert!(lines[4].starts_with("0;chunk-signature=") && body.ends_with("\r\n\r\n"));
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    }

    #[test]
    fn an_unsigned_trailer_carries_the_checksum() {
        let payload = Payload::UnsignedTrailer(100, Algorithm::Crc32);
        let (head, body) = encode(&Call::new("PUT", "b/k").body("123456789").payload(payload));
        assert_eq!(
            body,
            "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n"
        );
        assert!(head.contains("x-amz-trailer: x-amz-checksum-crc32\r\n"));
    }

    #[test]
    fn a_presigned_call_has_no_authorization_header() {
        let (head, _) = encode(&Call::new("GET", "b/k").signing(Signing::Query(60)));
        assert!(head.contains("X-Amz-Expires=60") && head.contains("X-Amz-Signature="));
        assert!(!head.contains("authorization"));
        let (anonymous, _) = encode(&Call::new("GET", "b/k").signing(Signing::None));
        assert_eq!(anonymous, "GET /b/k HTTP/1.1\r\nhost: h:1\r\n\r\n");
    }
}
