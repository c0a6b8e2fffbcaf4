//! TLS of the S3 port: one certificate, replaced while connections are open.
//!
//! ```text
//!   PEM ──> Tls::new ──> current configuration <── Tls::replace (a broken pair changes nothing)
//!                               │
//!   socket ── accept ───────────┘──> connections keep the one they began with
//! ```
//!
//! TLS 1.3 and 1.2 by rustls with aws-lc-rs; `h2` and `http/1.1` by ALPN. With `outbound` this is the
//! only file of the gateway that names rustls (ADR 8).

#[cfg(test)]
pub(crate) mod client;
mod self_signed;

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub use self_signed::{SelfSigned, self_signed};

/// The protocol a client chose by ALPN.
const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate file is no PEM, or holds no certificate.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// The key file is no PEM, or holds no unencrypted PKCS#8, SEC1 or PKCS#1 key.
    #[error("the private key cannot be read: {0}")]
    Key(String),
    /// They do not belong together, or are of a kind that is not supported.
    #[error("the certificate and the key cannot be used: {0}")]
    Pair(String),
    /// A self-signed certificate could not be made.
    #[error("no certificate could be made: {0}")]
    Make(String),
}

/// The TLS side of a port: what new connections are given.
#[derive(Debug)]
pub struct Tls {
    current: RwLock<Current>,
}

#[derive(Clone, Debug)]
struct Current {
    config: Arc<ServerConfig>,
    fingerprint: String,
}

impl Tls {
    /// From a PEM chain, the server's own certificate first, and its PEM key.
    ///
    /// # Errors
    /// As [`TlsError`] says.
    pub fn new(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let current = RwLock::new(Current::read(chain, key)?);
        Ok(Self { current })
    }

    /// Gives new connections another certificate. Open ones keep theirs.
    ///
    /// # Errors
    /// As [`Tls::new`]; nothing is changed then.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let new = Current::read(chain, key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// SHA-256 of the server's own certificate, as `openssl x509 -fingerprint -sha256` writes it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.current().fingerprint
    }

    fn current(&self) -> Current {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// The handshake, without a limit of its own.
    ///
    /// # Errors
    /// What the client or the network did wrong.
    pub(crate) async fn accept<S>(&self, socket: S) -> io::Result<Secured<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = TlsAcceptor::from(self.current().config)
            .accept(socket)
            .await?;
        let agreed = stream.get_ref().1.alpn_protocol();
        Ok(Secured {
            is_h2: agreed == Some(H2),
            stream,
        })
    }
}

/// A socket after its handshake.
#[derive(Debug)]
pub(crate) struct Secured<S> {
    pub(crate) stream: TlsStream<S>,
    /// HTTP/2 was agreed on; without an agreement it is HTTP/1.1.
    pub(crate) is_h2: bool,
}

impl Current {
    fn read(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        let own = chain
            .first()
            .ok_or_else(|| TlsError::Certificate("no certificate in it".to_owned()))?;
        let fingerprint = fingerprint(own);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => {
                TlsError::Key("no unencrypted PKCS#8, SEC1 or PKCS#1 key in it".to_owned())
            }
            // Never the text itself: it may be part of a key.
            pem::Error::MissingSectionEnd { .. } => TlsError::Key("it ends early".to_owned()),
            _ => TlsError::Key("it is not PEM".to_owned()),
        })?;
        Ok(Self {
            config: Arc::new(config(chain, key)?),
            fingerprint,
        })
    }
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let refused = |error: rustls::Error| TlsError::Pair(error.to_string());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(refused)?;
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(refused)?;
    Ok(config)
}

/// The cryptography of all our TLS, for clients in this process too.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn fingerprint(certificate: &[u8]) -> String {
    let digest = Sha256::digest(certificate);
    let bytes: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

#[cfg(test)]
mod tests;
