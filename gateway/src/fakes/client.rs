//! A client that signs: plain SigV4 over any way to send a request.

use std::fmt::Write as _;

use bytes::Bytes;
use cairn_s3::Timestamp;
use hmac_sha256::hmac;
use http::{HeaderMap, Method, Request};
use sha2::{Digest, Sha256};

/// Someone with a key.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) now_ms: u64,
    pub(crate) host: String,
}

impl Signer {
    /// Signs a request with all its headers; the payload's digest is that of `signed_body`.
    pub(crate) fn sign(
        &self,
        method: &Method,
        target: &str,
        headers: &[(&str, &str)],
        signed_body: &[u8],
    ) -> Request<Bytes> {
        self.signed(method, target, headers, signed_body, true)
    }

    /// Signs a request whose head does not tell the payload's digest, as curl 7.88 does.
    pub(crate) fn sign_silently(
        &self,
        method: &Method,
        target: &str,
        signed_body: &[u8],
    ) -> Request<Bytes> {
        self.signed(method, target, &[], signed_body, false)
    }

    fn signed(
        &self,
        method: &Method,
        target: &str,
        headers: &[(&str, &str)],
        signed_body: &[u8],
        tells: bool,
    ) -> Request<Bytes> {
        let payload = headers
            .iter()
            .find(|(name, _)| *name == "x-amz-content-sha256")
            .map_or_else(
                || hex::encode(Sha256::digest(signed_body)),
                |(_, value)| (*value).to_owned(),
            );
        let date = Timestamp::from_millis(self.now_ms).to_basic();
        let mut all: Vec<(String, String)> = vec![
            ("host".to_owned(), self.host.clone()),
            ("x-amz-content-sha256".to_owned(), payload.clone()),
            ("x-amz-date".to_owned(), date.clone()),
        ];
        let given = headers
            .iter()
            .filter(|(name, _)| *name != "x-amz-content-sha256");
        all.retain(|(name, _)| tells || name != "x-amz-content-sha256");
        all.extend(given.map(|(name, value)| (name.to_lowercase(), (*value).to_owned())));
        all.sort();
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut query: Vec<String> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                if pair.contains('=') {
                    pair.to_owned()
                } else {
                    format!("{pair}=")
                }
            })
            .collect();
        query.sort();
        let mut canonical = format!("{method}\n{path}\n{}\n", query.join("&"));
        for (name, value) in &all {
            writeln!(canonical, "{name}:{}", value.trim()).unwrap();
        }
        write!(canonical, "\n{names}\n{payload}").unwrap();
        let scope = format!("{}/us-east-1/s3/aws4_request", &date[..8]);
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
            hex::encode(Sha256::digest(canonical.as_bytes()))
        );
        let mut key = hmac(
            format!("AWS4{}", self.secret_key).as_bytes(),
            &date.as_bytes()[..8],
        );
        for step in ["us-east-1", "s3", "aws4_request"] {
            key = hmac(&key, step.as_bytes());
        }
        let signature = hex::encode(hmac(&key, to_sign.as_bytes()));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key
        );
        let mut request = Request::builder().method(method.clone()).uri(target);
        for (name, value) in &all {
            request = request.header(name, value);
        }
        request
            .header("authorization", authorization)
            .body(Bytes::new())
            .unwrap()
    }
}

/// The head of a request as it goes over the wire.
pub(crate) fn wire_head(request: &Request<Bytes>, more: &str) -> String {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri());
    let headers: &HeaderMap = request.headers();
    for (name, value) in headers {
        write!(head, "{name}: {}\r\n", value.to_str().unwrap()).unwrap();
    }
    head.push_str(more);
    head.push_str("\r\n");
    head
}

/// HMAC-SHA-256 (RFC 2104), so that tests need no further crate.
mod hmac_sha256 {
    use sha2::{Digest, Sha256};

    pub(super) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
        let mut block = [0; 64];
        if key.len() > 64 {
            block[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let pad = |with: u8| block.map(|byte| byte ^ with);
        let inner = Sha256::new()
            .chain_update(pad(0x36))
            .chain_update(message)
            .finalize();
        Sha256::new()
            .chain_update(pad(0x5c))
            .chain_update(inner)
            .finalize()
            .into()
    }
}
