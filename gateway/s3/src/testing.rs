//! A small signer and request builder for this crate's tests, written apart from the verifier.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use sha2::{Digest, Sha256};

use crate::dates::Timestamp;
use crate::head::Head;
use crate::sigv4::{SecretKey, Secrets, testing_sign};

pub(crate) const AKID: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub(crate) const REGION: &str = "us-east-1";
/// 2013-05-24T00:00:00Z
pub(crate) const NOW: Timestamp = Timestamp::from_test_millis(1_369_353_600_000);

/// One known key.
pub(crate) struct OneKey;

impl Secrets for OneKey {
    fn secret(&self, access_key: &str) -> Option<SecretKey> {
        (access_key == AKID).then(|| SecretKey::new(SECRET))
    }
}

/// A head without any signature.
pub(crate) fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Head {
    try_head(method, target, headers).unwrap()
}

pub(crate) fn try_head(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Result<Head, crate::error::S3Error> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
    }
    let uri: Uri = target.parse().unwrap();
    Head::new(Method::from_bytes(method.as_bytes()).unwrap(), &uri, map)
}

/// A request about to be signed. Its query must be in canonical form.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Headers sent without being signed.
    pub(crate) unsigned: Vec<(String, String)>,
    pub(crate) payload: String,
    /// As written in the request.
    pub(crate) date: String,
    pub(crate) scope: String,
    pub(crate) access_key: String,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str, query: &str) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            headers: vec![("host".into(), "localhost:9000".into())],
            unsigned: Vec::new(),
            payload: "UNSIGNED-PAYLOAD".into(),
            date: NOW.to_basic(),
            scope: format!("20130524/{REGION}/s3/aws4_request"),
            access_key: AKID.into(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn unsigned(mut self, name: &str, value: &str) -> Self {
        self.unsigned.push((name.into(), value.into()));
        self
    }

    pub(crate) fn payload(mut self, payload: &str) -> Self {
        self.payload = payload.into();
        self
    }

    pub(crate) fn at(mut self, at: Timestamp) -> Self {
        self.date = at.to_basic();
        self.scope = format!("{}/{REGION}/s3/aws4_request", &self.date[..8]);
        self
    }

    /// (names joined, signature) over the headers as they are now.
    pub(crate) fn sign(&self, query: &str, payload: &str) -> (String, String) {
        let mut headers = self.headers.clone();
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let lines: String = headers.iter().map(|(n, v)| format!("{n}:{v}\n")).collect();
        let names = names.join(";");
        let canonical = format!(
            "{}\n{}\n{query}\n{lines}\n{names}\n{payload}",
            self.method, self.path
        );
        let hash = hex::encode(Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{}\n{}\n{hash}", self.date, self.scope);
        (names, testing_sign(SECRET, &self.scope, &text))
    }

    /// Header authentication.
    pub(crate) fn authorized(mut self) -> Head {
        self.headers
            .push(("x-amz-content-sha256".into(), self.payload.clone()));
        self.headers.push(("x-amz-date".into(), self.date.clone()));
        let (names, signature) = self.sign(&self.query, &self.payload);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={names}, Signature={signature}",
            self.access_key, self.scope
        );
        self.headers.push(("authorization".into(), authorization));
        self.head()
    }

    /// Query authentication.
    pub(crate) fn presigned(self, expires: &str) -> Head {
        self.presigned_query(expires).head()
    }

    pub(crate) fn presigned_query(mut self, expires: &str) -> Self {
        let mut names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let credential = format!("{}/{}", self.access_key, self.scope).replace('/', "%2F");
        let auth = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={}\
             &X-Amz-Expires={expires}&X-Amz-SignedHeaders={}",
            self.date,
            names.join("%3B")
        );
        let mut pairs: Vec<&str> = self
            .query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .collect();
        pairs.extend(auth.split('&'));
        pairs.sort_unstable();
        let query = pairs.join("&");
        let (_, signature) = self.sign(&query, &self.payload);
        self.query = format!("{query}&X-Amz-Signature={signature}");
        self
    }

    pub(crate) fn head(&self) -> Head {
        let target = match self.query.as_str() {
            "" => self.path.clone(),
            query => format!("{}?{query}", self.path),
        };
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .chain(&self.unsigned)
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        head(&self.method, &target, &headers)
    }
}
