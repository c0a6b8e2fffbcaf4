//! Who a process is: a node of a cluster with roles, said by a certificate over its Ed25519 key.
//!
//! ```text
//!   cluster CA ── signs ──> certificate { node, cluster, roles } over the node's public key
//!                                 │ TLS 1.3 proves the key
//!   membership: (node, key, roles) pinned ──> admits the peer or not, on every connection and call
//! ```
//!
//! Certificates never end: what ends is the membership. So no cluster stops on a date, and a clock
//! decides nothing.

pub(crate) mod authority;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use cairn_model::NodeId;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

pub use authority::{Certificate, ClusterCa, NodeKey};

/// The DER of an Ed25519 SubjectPublicKeyInfo up to its 32 bytes of key (RFC 8410).
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A cluster: drawn at random when it is made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub [u8; 16]);

impl ClusterId {
    /// Reads what `Display` writes.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let number = (text.len() == 32 && is_lower_hex(text))
            .then(|| u128::from_str_radix(text, 16).ok())
            .flatten()?;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// An Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a process is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Serves S3.
    Gateway,
    /// Keeps shards.
    StorageNode,
    /// Votes on metadata.
    MetadataVoter,
}

impl Role {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::StorageNode, Self::MetadataVoter];

    /// Its name in certificates, and for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::StorageNode => "storage",
            Self::MetadataVoter => "metadata",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    fn bit(self) -> u8 {
        match self {
            Self::Gateway => 1,
            Self::StorageNode => 2,
            Self::MetadataVoter => 4,
        }
    }
}

/// A set of roles.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Roles(u8);

impl Roles {
    /// No role.
    pub const NONE: Self = Self(0);

    /// The set of these.
    #[must_use]
    pub fn of(roles: &[Role]) -> Self {
        Self(roles.iter().fold(0, |bits, role| bits | role.bit()))
    }

    /// The set written as bits, which are those of `Node.roles` in the metadata; none where one is
    /// not known here.
    #[must_use]
    pub fn of_bits(bits: u32) -> Option<Self> {
        let known = Self::of(&Role::ALL);
        let set = Self(u8::try_from(bits).ok()?);
        set.within(known).then_some(set)
    }

    /// The same back.
    #[must_use]
    pub fn bits(self) -> u32 {
        u32::from(self.0)
    }

    /// Whether `role` is one of them.
    #[must_use]
    pub fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether any of `roles` is one of them.
    #[must_use]
    pub fn has_any(self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.has(*role))
    }

    /// Whether all of them are in `other`.
    #[must_use]
    pub fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Each role in the set.
    pub fn each(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.each()).finish()
    }
}

/// Why an identity cannot be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No Ed25519 key in PKCS#8 PEM. The text is never shown: it may be part of a key.
    #[error("the key is no Ed25519 key in PKCS#8")]
    Key,
    /// The certificate cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// Certificate, key and authority do not belong together.
    #[error("certificate, key and authority do not belong together: {0}")]
    Mismatch(String),
}

/// Who is at the other end, as its certificate says and its key proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// Its key.
    pub key: PublicKey,
    /// What it is.
    pub roles: Roles,
}

impl Peer {
    /// Reads what a certificate says, which TLS must have verified.
    ///
    /// # Errors
    /// [`IdentityError::Certificate`] where it is not of the shape in `docs/formats/wire.md`.
    pub fn of_certificate(der: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let unreadable = |what: &str| IdentityError::Certificate(what.to_owned());
        let certificate =
            EndEntityCert::try_from(der).map_err(|error| unreadable(&error.to_string()))?;
        let spki = certificate.subject_public_key_info();
        let key = spki
            .strip_prefix(ED25519_SPKI.as_slice())
            .and_then(|key| <[u8; 32]>::try_from(key).ok())
            .ok_or_else(|| unreadable("its key is not Ed25519"))?;
        let (node, cluster, roles) = read_names(certificate.valid_dns_names())
            .ok_or_else(|| unreadable("its names are not those of one node of one cluster"))?;
        Ok(Self {
            cluster,
            node,
            key: PublicKey(key),
            roles,
        })
    }
}

/// The name a node is called by in TLS.
#[must_use]
pub(crate) fn node_name(node: NodeId, cluster: ClusterId) -> String {
    format!("{:016x}.node.{cluster}.cairn", node.0)
}

/// The name of any node with a role, for a caller who knows none by its id.
pub(crate) fn role_name(role: Role, cluster: ClusterId) -> String {
    format!("{}.role.{cluster}.cairn", role.name())
}

/// One node name, all names of one cluster, no name that is not understood.
fn read_names<'a>(names: impl Iterator<Item = &'a str>) -> Option<(NodeId, ClusterId, Roles)> {
    let mut node = None;
    let mut cluster = None;
    let mut roles = Roles::default();
    for name in names {
        let mut labels = name.split('.');
        let (first, kind) = (labels.next()?, labels.next()?);
        let here = ClusterId::from_hex(labels.next()?)?;
        if labels.next() != Some("cairn")
            || labels.next().is_some()
            || *cluster.get_or_insert(here) != here
        {
            return None;
        }
        match kind {
            "node" if node.is_none() && first.len() == 16 && is_lower_hex(first) => {
                node = Some(NodeId(u64::from_str_radix(first, 16).ok()?));
            }
            "role" => roles.0 |= Role::from_name(first)?.bit(),
            _ => return None,
        }
    }
    Some((node?, cluster?, roles))
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes()
        .all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit))
}

/// Who belongs to the cluster. Asked on every connection and every call, so it must be quick.
pub trait Membership: Send + Sync + fmt::Debug {
    /// Whether this node with this key and these roles is a member now.
    fn admits(&self, peer: &Peer) -> bool;
}

/// A membership held in memory: node -> (key, roles it may have).
#[derive(Debug, Default)]
pub struct PinnedMembers {
    pins: RwLock<BTreeMap<NodeId, (PublicKey, Roles)>>,
}

impl PinnedMembers {
    /// Admits a node with this key in these roles, or fewer. What was pinned for it before is gone.
    pub fn pin(&self, node: NodeId, key: PublicKey, roles: Roles) {
        let mut pins = self.pins.write().unwrap_or_else(PoisonError::into_inner);
        pins.insert(node, (key, roles));
    }

    /// Admits a node no longer; its next call is refused.
    pub fn remove(&self, node: NodeId) {
        let mut pins = self.pins.write().unwrap_or_else(PoisonError::into_inner);
        pins.remove(&node);
    }
}

impl Membership for PinnedMembers {
    fn admits(&self, peer: &Peer) -> bool {
        let pins = self.pins.read().unwrap_or_else(PoisonError::into_inner);
        pins.get(&peer.node)
            .is_some_and(|(key, roles)| *key == peer.key && peer.roles.within(*roles))
    }
}
