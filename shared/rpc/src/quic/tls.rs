//! TLS 1.3 with certificates on both sides, AES-128-GCM, ALPN `cairn/1`; no tickets, no 0-RTT.

use std::fmt;
use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite::TLS13_AES_128_GCM_SHA256};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientCertVerifierBuilder, NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::identity::{Certificate, ClusterId, IdentityError, NodeKey, Peer, PublicKey, authority};

/// The protocol both sides must name.
pub(crate) const ALPN: &[u8] = b"cairn/1";
/// The protocol of who has no certificate yet.
pub(crate) const ALPN_JOIN: &[u8] = b"cairn-join/1";

/// What a process shows and whom it trusts.
#[derive(Clone)]
pub struct Identity {
    me: Peer,
    server: Arc<QuicServerConfig>,
    admitting: Arc<QuicServerConfig>,
    client: Arc<QuicClientConfig>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.me).finish()
    }
}

impl Identity {
    /// From a node's certificate, its key, and the cluster's authority.
    ///
    /// # Errors
    /// As [`IdentityError`] says.
    pub fn new(
        certificate: &Certificate,
        key: &NodeKey,
        authority: &Certificate,
    ) -> Result<Self, IdentityError> {
        Self::with_alpn(certificate, key, authority, ALPN)
    }

    pub(crate) fn with_alpn(
        certificate: &Certificate,
        key: &NodeKey,
        authority: &Certificate,
        alpn: &[u8],
    ) -> Result<Self, IdentityError> {
        let me = certificate.owner()?;
        if me.key != key.public() {
            let why = "the key is not the certificate's";
            return Err(IdentityError::Mismatch(why.to_owned()));
        }
        let mut roots = RootCertStore::empty();
        roots
            .add(authority.der().clone())
            .map_err(|error| IdentityError::Certificate(error.to_string()))?;
        let roots = Arc::new(roots);
        let chain = vec![certificate.der().clone()];
        let strict = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider());
        let lenient = strict.clone().allow_unauthenticated();
        let serve = |verifier: ClientCertVerifierBuilder, alpn: &[&[u8]]| {
            let verifier = verifier.build().map_err(mismatch)?;
            let config = server(verifier, chain.clone(), key, alpn)?;
            QuicServerConfig::try_from(config)
                .map(Arc::new)
                .map_err(mismatch)
        };
        let server = serve(strict, &[alpn])?;
        let admitting = serve(lenient, &[alpn, ALPN_JOIN])?;
        let client = client(roots, chain, key, alpn)?;
        Ok(Self {
            me,
            server,
            admitting,
            client: Arc::new(QuicClientConfig::try_from(client).map_err(mismatch)?),
        })
    }

    /// Who this process is.
    #[must_use]
    pub fn me(&self) -> Peer {
        self.me
    }

    pub(crate) fn server(&self) -> Arc<QuicServerConfig> {
        Arc::clone(&self.server)
    }

    /// The same, for a process that also hears those who have no certificate yet.
    pub(crate) fn admitting(&self) -> Arc<QuicServerConfig> {
        Arc::clone(&self.admitting)
    }

    pub(crate) fn client(&self) -> Arc<QuicClientConfig> {
        Arc::clone(&self.client)
    }
}

fn mismatch(error: impl fmt::Display) -> IdentityError {
    IdentityError::Mismatch(error.to_string())
}

/// One cipher suite: the cheapest here, and the one QUIC begins with anyway.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![TLS13_AES_128_GCM_SHA256];
    Arc::new(provider)
}

fn server(
    verifier: Arc<dyn ClientCertVerifier>,
    chain: Vec<CertificateDer<'static>>,
    key: &NodeKey,
    alpn: &[&[u8]],
) -> Result<ServerConfig, IdentityError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(mismatch)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key.to_der())
        .map_err(mismatch)?;
    config.alpn_protocols = alpn.iter().map(|alpn| alpn.to_vec()).collect();
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

fn client(
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: &NodeKey,
    alpn: &[u8],
) -> Result<ClientConfig, IdentityError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(mismatch)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key.to_der())
        .map_err(mismatch)?;
    config.alpn_protocols = vec![alpn.to_vec()];
    config.enable_early_data = false;
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// For a process that has no certificate yet: it trusts the authority whose key its token names.
pub(crate) fn joining(
    cluster: ClusterId,
    authority: PublicKey,
) -> Result<Arc<QuicClientConfig>, IdentityError> {
    let mut roots = RootCertStore::empty();
    roots.roots.push(authority::anchor(cluster, authority));
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(mismatch)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_JOIN.to_vec()];
    config.enable_early_data = false;
    config.resumption = Resumption::disabled();
    QuicClientConfig::try_from(config)
        .map(Arc::new)
        .map_err(mismatch)
}
