//! An S3 client over one connection per call.

use std::time::Duration;

use crate::call::Call;
use crate::http::{Connection, HttpError, Response};
use crate::sigv4::Credentials;
use crate::tls::Trust;

/// How long a read or write may hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// Endpoint and credentials. A call never retries: what a failed call did is for the test to judge.
#[derive(Debug, Clone)]
pub struct Client {
    authority: String,
    credentials: Credentials,
    region: String,
    patience: Duration,
    trust: Option<Trust>,
}

impl Client {
    /// A client for `http://host:port`.
    ///
    /// # Errors
    /// The endpoint, where it is not of that form.
    pub fn new(endpoint: &str, access_key: &str, secret_key: &str) -> Result<Self, String> {
        Self::at("http", endpoint, access_key, secret_key)
    }

    /// A client for `https://host:port` that trusts these certificates (PEM) and no others.
    ///
    /// # Errors
    /// The endpoint or the certificates, where they are not what they should be.
    pub fn over_tls(
        endpoint: &str,
        access_key: &str,
        secret_key: &str,
        certificates: &[u8],
    ) -> Result<Self, String> {
        let trust = Some(Trust::new(certificates)?);
        let client = Self::at("https", endpoint, access_key, secret_key)?;
        Ok(Self { trust, ..client })
    }

    fn at(
        scheme: &str,
        endpoint: &str,
        access_key: &str,
        secret_key: &str,
    ) -> Result<Self, String> {
        let authority = endpoint
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_prefix("://"))
            .map(|rest| rest.trim_end_matches('/'));
        let authority = authority.filter(|rest| rest.contains(':') && !rest.contains('/'));
        let authority = authority.ok_or_else(|| format!("not {scheme}://host:port: {endpoint}"))?;
        Ok(Self {
            authority: authority.to_owned(),
            credentials: Credentials {
                access_key: access_key.to_owned(),
                secret_key: secret_key.to_owned(),
            },
            region: "us-east-1".to_owned(),
            patience: PATIENCE,
            trust: None,
        })
    }

    /// `host:port`.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Who signs.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The same endpoint seen by someone else.
    #[must_use]
    pub fn with_credentials(&self, access_key: &str, secret_key: &str) -> Self {
        let credentials = Credentials {
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
        };
        Self {
            credentials,
            ..self.clone()
        }
    }

    /// The same client with another limit on a hanging read or write.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self {
            patience,
            ..self.clone()
        }
    }

    /// A connection of its own, for tests that care what is on the wire.
    ///
    /// # Errors
    /// [`HttpError::Connect`].
    pub fn connect(&self) -> Result<Connection, HttpError> {
        Connection::open_to(&self.authority, self.patience, self.trust.as_ref())
    }

    /// Head and body of a call, signed now.
    #[must_use]
    pub fn encode(&self, call: &Call) -> crate::call::Encoded {
        call.encode(&self.authority, &self.credentials, &self.region)
    }

    /// Sends a call and waits for its whole answer.
    ///
    /// # Errors
    /// As [`HttpError`] says; the connection is gone afterwards either way.
    pub fn send(&self, call: &Call) -> Result<Response, HttpError> {
        let encoded = self.encode(call);
        self.connect()?
            .exchange(&call.method, &encoded.head, &encoded.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_an_endpoint_with_a_port_only() {
        assert_eq!(
            Client::new("http://h:9/", "a", "s").unwrap().authority(),
            "h:9"
        );
        for endpoint in ["https://h:9", "h:9", "http://h", "http://h:9/x"] {
            assert!(Client::new(endpoint, "a", "s").is_err(), "{endpoint}");
        }
    }
}
