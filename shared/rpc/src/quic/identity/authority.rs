//! Keys and certificates of a cluster.

use std::fmt;

use cairn_model::NodeId;
use cairn_world::Entropy;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SignatureAlgorithm,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, Der, PrivateKeyDer, PrivatePkcs8KeyDer, TrustAnchor};
use zeroize::Zeroizing;

use super::{ClusterId, IdentityError, Peer, PublicKey, Roles, node_name, role_name};

/// The DER of an Ed25519 PKCS#8 key up to its 32 bytes of seed (RFC 8410).
const ED25519_PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The private key of a node or of a cluster's authority.
pub struct NodeKey {
    pair: KeyPair,
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NodeKey").field(&self.public()).finish()
    }
}

impl NodeKey {
    /// Draws one.
    ///
    /// # Errors
    /// [`IdentityError::Key`] where the crypto library refuses it.
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, IdentityError> {
        let mut der = Zeroizing::new([0; 48]);
        let (head, seed) = der.split_at_mut(ED25519_PKCS8.len());
        head.copy_from_slice(&ED25519_PKCS8);
        entropy.fill(seed);
        Self::of_der(&PrivatePkcs8KeyDer::from(der.as_slice()))
    }

    /// Reads what [`NodeKey::to_pem`] wrote.
    ///
    /// # Errors
    /// [`IdentityError::Key`].
    pub fn from_pem(pem: &str) -> Result<Self, IdentityError> {
        let der =
            PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| IdentityError::Key)?;
        Self::of_der(&der)
    }

    fn of_der(der: &PrivatePkcs8KeyDer<'_>) -> Result<Self, IdentityError> {
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(der, &PKCS_ED25519)
            .map_err(|_| IdentityError::Key)?;
        if pair.der_bytes().len() != 32 {
            return Err(IdentityError::Key);
        }
        Ok(Self { pair })
    }

    /// PKCS#8 in PEM, for a file that nobody else may read.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.pair.serialize_pem())
    }

    /// The key that others may know.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        // Its length was checked when the key was read.
        if self.pair.der_bytes().len() == key.len() {
            key.copy_from_slice(self.pair.der_bytes());
        }
        PublicKey(key)
    }

    pub(crate) fn to_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pair.serialize_der()))
    }
}

/// A certificate as PEM and DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pem: String,
    der: CertificateDer<'static>,
}

impl Certificate {
    /// Reads PEM.
    ///
    /// # Errors
    /// [`IdentityError::Certificate`].
    pub fn from_pem(pem: &str) -> Result<Self, IdentityError> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| IdentityError::Certificate(error.to_string()))?;
        let pem = pem.to_owned();
        Ok(Self { pem, der })
    }

    /// As PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// As DER.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Who it says its owner is.
    ///
    /// # Errors
    /// As [`Peer::of_certificate`].
    pub fn owner(&self) -> Result<Peer, IdentityError> {
        Peer::of_certificate(&self.der)
    }
}

/// The authority of a cluster: whoever holds its key makes members' certificates.
#[derive(Debug)]
pub struct ClusterCa {
    cluster: ClusterId,
    key: NodeKey,
    certificate: Certificate,
}

impl ClusterCa {
    /// The authority of `cluster` with this key. The same two give an authority whose certificate is
    /// as good as any earlier one of theirs.
    ///
    /// # Errors
    /// [`IdentityError::Mismatch`] where the crypto library refuses to sign.
    pub fn new(cluster: ClusterId, key: NodeKey) -> Result<Self, IdentityError> {
        let made = params(cluster).self_signed(&key.pair).map_err(unsigned)?;
        let certificate = Certificate {
            pem: made.pem(),
            der: made.der().clone(),
        };
        Ok(Self {
            cluster,
            key,
            certificate,
        })
    }

    /// What members verify each other against.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The authority's key.
    #[must_use]
    pub fn key(&self) -> &NodeKey {
        &self.key
    }

    /// A certificate for a node that proved to hold the private half of `key`.
    ///
    /// # Errors
    /// As [`ClusterCa::new`].
    pub fn issue(
        &self,
        node: NodeId,
        key: PublicKey,
        roles: Roles,
    ) -> Result<Certificate, IdentityError> {
        let mut names = vec![node_name(node, self.cluster)];
        names.extend(roles.each().map(|role| role_name(role, self.cluster)));
        let mut leaf = CertificateParams::new(names).map_err(unsigned)?;
        endless(&mut leaf);
        leaf.distinguished_name = called(&format!("Cairn node {:016x}", node.0));
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let issuer = Issuer::new(params(self.cluster), &self.key.pair);
        let made = leaf.signed_by(&Subject(key), &issuer).map_err(unsigned)?;
        Ok(Certificate {
            pem: made.pem(),
            der: made.der().clone(),
        })
    }
}

fn unsigned(error: rcgen::Error) -> IdentityError {
    IdentityError::Mismatch(error.to_string())
}

/// The authority of `cluster` as a trust anchor, from its key alone: a token is short that way, and a
/// certificate made anew at every start is as good as any other.
pub(crate) fn anchor(cluster: ClusterId, key: PublicKey) -> TrustAnchor<'static> {
    /// A set of one sequence: object id 2.5.4.3 (common name), then a UTF-8 string of 46 bytes.
    const NAME: [u8; 11] = [
        0x31, 0x37, 0x30, 0x35, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x2e,
    ];
    /// A SubjectPublicKeyInfo without its outer header: Ed25519, a bit string of 32 bytes.
    const SPKI: [u8; 10] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let subject = [NAME.as_slice(), authority_name(cluster).as_bytes()].concat();
    let spki = [SPKI.as_slice(), &key.0].concat();
    TrustAnchor {
        subject: Der::from(subject),
        subject_public_key_info: Der::from(spki),
        name_constraints: None,
    }
}

fn authority_name(cluster: ClusterId) -> String {
    format!("Cairn cluster {cluster}")
}

fn params(cluster: ClusterId) -> CertificateParams {
    let mut params = CertificateParams::default();
    endless(&mut params);
    params.distinguished_name = called(&authority_name(cluster));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// RFC 5280 §4.1.2.5 gives the second date the meaning "never".
fn endless(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2_000, 1, 1);
    params.not_after = date_time_ymd(9_999, 12, 31);
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

/// A public key to be signed, without its private half.
struct Subject(PublicKey);

impl PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        &self.0.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}
