//! The other side of a handshake, for tests.

use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, version};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{SelfSigned, provider};

/// Trusts one certificate alone.
pub(crate) struct Trusting(TlsConnector);

impl Trusting {
    /// Offers these protocols, over TLS 1.3, or 1.2 only.
    pub(crate) fn new(trusted: &SelfSigned, is_old: bool, protocols: &[&[u8]]) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(trusted.certificate.as_bytes()).unwrap();
        roots.add(root).unwrap();
        let version = if is_old {
            &version::TLS12
        } else {
            &version::TLS13
        };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Self(TlsConnector::from(Arc::new(config)))
    }

    pub(crate) async fn connect(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").unwrap();
        self.0.connect(name, socket).await
    }
}
