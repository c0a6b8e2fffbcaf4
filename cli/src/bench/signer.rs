//! Signs requests of known shape: the load must cost little beside what it measures, so the key of the day
//! is derived once and three headers are signed.

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use cairn_s3::Timestamp;
use sha2::{Digest as _, Sha256};
use std::time::{Duration, SystemTime};

use crate::credentials::Credentials;

/// Stands for the digest of a body that is not signed.
pub(super) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// SHA-256 of nothing.
pub(super) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What is asked, as it is signed and sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'static str,
    /// With percent-encoding where S3 wants it.
    pub(super) path: &'a str,
    /// In canonical order and encoding; may be empty.
    pub(super) query: &'a str,
    /// The body's digest in hex, or [`UNSIGNED`].
    pub(super) digest: &'a str,
    /// Bytes of the body.
    pub(super) len: u64,
}

/// Signs for one host, one key and one day.
pub(super) struct Signer {
    host: String,
    access_key: String,
    secret_key: String,
    region: String,
    day: String,
    key: Vec<u8>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({}, ..)", self.access_key)
    }
}

impl Signer {
    pub(super) fn new(host: &str, region: &str, keys: &Credentials) -> Self {
        Self {
            host: host.to_owned(),
            access_key: keys.access_key.clone(),
            secret_key: keys.secret_key.clone(),
            region: region.to_owned(),
            day: String::new(),
            key: Vec::new(),
        }
    }

    /// The head of a request, with the empty line after it.
    pub(super) fn head(&mut self, asked: &Asked<'_>, now: Timestamp) -> Vec<u8> {
        let time = now.to_basic();
        let day = time.get(..8).unwrap_or_default();
        if self.day != day {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(now.seconds());
            let key = generate_signing_key(&self.secret_key, at, &self.region, "s3");
            self.key = key.as_ref().to_vec();
            day.clone_into(&mut self.day);
        }
        let Asked {
            method,
            path,
            query,
            digest,
            len,
        } = asked;
        let Self {
            host,
            access_key,
            region,
            ..
        } = self;
        let signed = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{time}\n\n{signed}\n{digest}"
        );
        let scope = format!("{day}/{region}/s3/aws4_request");
        let hash = hex(&Sha256::digest(canonical.as_bytes()));
        let message = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
        let signature = calculate_signature(&self.key, message.as_bytes());
        let mark = if query.is_empty() { "" } else { "?" };
        let length = match *method {
            "PUT" | "POST" => format!("content-length: {len}\r\n"),
            _ => String::new(),
        };
        format!(
            "{method} {path}{mark}{query} HTTP/1.1\r\nhost: {host}\r\nx-amz-content-sha256: {digest}\r\nx-amz-date: {time}\r\n{length}\
             authorization: AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={signed}, Signature={signature}\r\n\r\n"
        )
        .into_bytes()
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials as SigningCredentials;
    use aws_sigv4::http_request::{
        PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
    };
    use aws_sigv4::sign::v4;
    use aws_smithy_runtime_api::client::identity::Identity;

    use super::*;

    /// The signature that the official signer makes of the same request.
    fn official(method: &str, uri: &str, digest: &str, at: Timestamp) -> String {
        let identity: Identity = SigningCredentials::new("AK", "SK", None, None, "test").into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("garage")
            .name("s3")
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(at.seconds()))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let headers = [("host", "127.0.0.1:9000")].into_iter();
        let body = SignableBody::Precomputed(digest.to_owned());
        let request = SignableRequest::new(method, uri, headers, body).unwrap();
        sign(request, &params).unwrap().into_parts().1
    }

    #[test]
    fn it_signs_as_the_official_signer_does() {
        let keys = Credentials {
            access_key: "AK".to_owned(),
            secret_key: "SK".to_owned(),
        };
        let mut signer = Signer::new("127.0.0.1:9000", "garage", &keys);
        // The second is a day later: another key.
        for (millis, method, query) in [
            (1_369_353_600_000, "PUT", ""),
            (
                1_369_440_000_000,
                "GET",
                "list-type=2&max-keys=1000&prefix=a%2Fb&start-after=a%2Fc",
            ),
        ] {
            let at = Timestamp::from_millis(millis);
            let asked = Asked {
                method,
                path: "/bucket/a/key",
                query,
                digest: UNSIGNED,
                len: 7,
            };
            let head = String::from_utf8(signer.head(&asked, at)).unwrap();
            let mark = if query.is_empty() { "" } else { "?" };
            let uri = format!("http://127.0.0.1:9000/bucket/a/key{mark}{query}");
            let wanted = format!("Signature={}\r\n", official(method, &uri, UNSIGNED, at));
            assert!(head.contains(&wanted), "{head} {wanted}");
            assert_eq!(head.contains("content-length: 7\r\n"), method == "PUT");
            assert!(head.ends_with("\r\n\r\n"));
        }
    }

    #[test]
    fn nothing_has_a_known_digest() {
        assert_eq!(hex(&Sha256::digest(b"")), EMPTY);
    }
}
