//! AWS Signature Version 4 for S3, from the client's side.
//!
//! Written from AWS's description, apart from the server's verifier, so that one can be wrong
//! without the other. A header signature covers every header it is given; a chunk chain starts at
//! the seed signature and signs each frame, then the trailer.

use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

use crate::checksums::sha256_hex;

/// What a query name or value keeps as it is: the unreserved characters.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// What a path keeps.
const PATH: &AsciiSet = &QUERY.remove(b'/');
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
}

/// Where and when a signature counts.
#[derive(Debug, Clone)]
pub struct Scope {
    /// `20130524T000000Z`.
    pub amz_date: String,
    /// Such as `us-east-1`.
    pub region: String,
}

impl Scope {
    fn day(&self) -> &str {
        self.amz_date.get(..8).unwrap_or_default()
    }

    /// `20130524/us-east-1/s3/aws4_request`.
    #[must_use]
    pub fn credential_scope(&self) -> String {
        format!("{}/{}/s3/aws4_request", self.day(), self.region)
    }
}

/// Percent-encodes a path once, keeping its slashes.
#[must_use]
pub fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

/// `name=value` pairs encoded and in canonical order.
#[must_use]
pub fn encode_query(pairs: &[(String, String)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string();
    let mut encoded: Vec<_> = pairs
        .iter()
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    encoded.sort();
    let joined: Vec<_> = encoded
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    joined.join("&")
}

/// What is signed of a request: everything as it goes on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'r> {
    /// Method.
    pub method: &'r str,
    /// Encoded path.
    pub path: &'r str,
    /// Encoded, canonical query.
    pub query: &'r str,
    /// Header names and values; all of them are signed.
    pub headers: &'r [(String, String)],
    /// The value of `x-amz-content-sha256`.
    pub payload_hash: &'r str,
}

impl Signed<'_> {
    /// The lower-case names, sorted, joined by `;`.
    #[must_use]
    pub fn header_names(&self) -> String {
        let mut names: Vec<_> = self
            .headers
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        names.sort();
        names.dedup();
        names.join(";")
    }

    fn canonical(&self) -> String {
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .map(|(name, value)| {
                let folded = value.split_whitespace().collect::<Vec<_>>().join(" ");
                (name.to_ascii_lowercase(), folded)
            })
            .collect();
        headers.sort();
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let Self {
            method,
            path,
            query,
            payload_hash,
            ..
        } = self;
        format!(
            "{method}\n{path}\n{query}\n{lines}\n{}\n{payload_hash}",
            self.header_names()
        )
    }
}

/// Signs requests and chunk chains of one scope.
#[derive(Debug, Clone)]
pub struct Signer {
    scope: Scope,
    access_key: String,
    key: [u8; 32],
}

impl Signer {
    /// Derives the signing key.
    #[must_use]
    pub fn new(credentials: &Credentials, scope: Scope) -> Self {
        let secret = format!("AWS4{}", credentials.secret_key);
        let day = hmac(secret.as_bytes(), scope.day());
        let region = hmac(&day, &scope.region);
        let key = hmac(&hmac(&region, "s3"), "aws4_request");
        Self {
            scope,
            access_key: credentials.access_key.clone(),
            key,
        }
    }

    fn mac(&self, text: &str) -> String {
        hex::encode(hmac(&self.key, text))
    }

    /// The signature of a request: hex.
    #[must_use]
    pub fn signature(&self, request: &Signed<'_>) -> String {
        let digest = sha256_hex(request.canonical().as_bytes());
        let Scope { amz_date, .. } = &self.scope;
        self.mac(&format!(
            "{ALGORITHM}\n{amz_date}\n{}\n{digest}",
            self.scope.credential_scope()
        ))
    }

    /// The `Authorization` header of a request and its signature.
    #[must_use]
    pub fn authorization(&self, request: &Signed<'_>) -> (String, String) {
        let signature = self.signature(request);
        let credential = self.credential();
        let names = request.header_names();
        let value = format!(
            "{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
        );
        (value, signature)
    }

    /// `access-key/scope`.
    #[must_use]
    pub fn credential(&self) -> String {
        format!("{}/{}", self.access_key, self.scope.credential_scope())
    }

    /// The signature of one chunk of a chain.
    #[must_use]
    pub fn chunk_signature(&self, previous: &str, chunk: &[u8]) -> String {
        let (empty, digest) = (sha256_hex(b""), sha256_hex(chunk));
        self.link(
            "AWS4-HMAC-SHA256-PAYLOAD",
            previous,
            &format!("{empty}\n{digest}"),
        )
    }

    /// The signature of the trailer of a chain; `lines` are `name:value\n`.
    #[must_use]
    pub fn trailer_signature(&self, previous: &str, lines: &str) -> String {
        self.link(
            "AWS4-HMAC-SHA256-TRAILER",
            previous,
            &sha256_hex(lines.as_bytes()),
        )
    }

    fn link(&self, kind: &str, previous: &str, digests: &str) -> String {
        let Scope { amz_date, .. } = &self.scope;
        let scope = self.scope.credential_scope();
        self.mac(&format!(
            "{kind}\n{amz_date}\n{scope}\n{previous}\n{digests}"
        ))
    }
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    //! The worked examples of AWS's documentation of SigV4 for S3.

    use super::*;

    fn signer() -> Signer {
        let credentials = Credentials {
            access_key: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
        };
        let scope = Scope {
            amz_date: "20130524T000000Z".into(),
            region: "us-east-1".into(),
        };
        Signer::new(&credentials, scope)
    }

    fn headers(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn documented_get_object() {
        let empty = sha256_hex(b"");
        let headers = headers(&[
            ("Host", "examplebucket.s3.amazonaws.com"),
            ("Range", "bytes=0-9"),
            ("x-amz-content-sha256", &empty),
            ("x-amz-date", "20130524T000000Z"),
        ]);
        let request = Signed {
            method: "GET",
            path: "/test.txt",
            query: "",
            headers: &headers,
            payload_hash: &empty,
        };
        let expected = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        assert_eq!(signer().signature(&request), expected);
    }

    #[test]
    fn documented_list_objects() {
        let empty = sha256_hex(b"");
        let headers = headers(&[
            ("host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-content-sha256", &empty),
            ("x-amz-date", "20130524T000000Z"),
        ]);
        let pairs = [
            ("prefix".to_owned(), "J".to_owned()),
            ("max-keys".to_owned(), "2".to_owned()),
        ];
        let query = encode_query(&pairs);
        assert_eq!(query, "max-keys=2&prefix=J");
        let request = Signed {
            method: "GET",
            path: "/",
            query: &query,
            headers: &headers,
            payload_hash: &empty,
        };
        let expected = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        assert_eq!(signer().signature(&request), expected);
    }

    #[test]
    fn documented_chunk_chain() {
        let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
        let signer = signer();
        let first = signer.chunk_signature(seed, &[b'a'; 65_536]);
        assert_eq!(
            first,
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
        );
        let second = signer.chunk_signature(&first, &[b'a'; 1_024]);
        assert_eq!(
            second,
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"
        );
        let last = signer.chunk_signature(&second, b"");
        assert_eq!(
            last,
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"
        );
    }

    #[test]
    fn encodes_as_s3_does() {
        assert_eq!(encode_path("/b/a b+c~é/"), "/b/a%20b%2Bc~%C3%A9/");
        assert_eq!(
            encode_query(&[("uploads".into(), String::new())]),
            "uploads="
        );
    }
}
