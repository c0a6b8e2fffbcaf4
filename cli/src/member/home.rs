//! Who a process is in its cluster, on its own disk.
//!
//! ```text
//!   DIR/cluster/node.toml      cluster, node, roles, zone, and how far it has come
//!               node.key       its Ed25519 key                 0600
//!               node.crt       its certificate
//!               authority.crt  the cluster's authority
//!               authority.key  the authority's key, where it may admit others   0600
//!               members.toml   the members as it last knew them
//! ```
//!
//! `founding` and `asking` may be repeated; only a `joining` replica of the metadata may be empty; a
//! `member` whose journal is missing has lost it, and is nobody any more.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cairn_model::{DiskId, NodeId, format_version};
use cairn_rpc::quic::{Certificate, ClusterCa, ClusterId, Identity, NodeKey, Role, Roles};
use cairn_wire::control::Joined;
use cairn_wire::metadata::{Disk, MembersAnswer, Node};
use serde::{Deserialize, Serialize};

use crate::{Fatal, files};

/// Name of the folder in the first directory of a process.
pub(crate) const DIR: &str = "cluster";
const NODE: &str = "node.toml";
const KEY: &str = "node.key";
const CERTIFICATE: &str = "node.crt";
const AUTHORITY: &str = "authority.crt";
const AUTHORITY_KEY: &str = "authority.key";
const MEMBERS: &str = "members.toml";

/// How far a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It makes a cluster.
    Founding,
    /// It has a key and no certificate.
    Asking,
    /// It is admitted; where it keeps metadata it has none of it yet.
    Joining,
    /// It belongs to its cluster.
    Member,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: u16,
    cluster: String,
    node: String,
    roles: Vec<String>,
    zone: String,
    state: State,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct MembersRecord {
    #[serde(default)]
    node: Vec<NodeRecord>,
    #[serde(default)]
    disk: Vec<DiskRecord>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct NodeRecord {
    id: String,
    address: String,
    key: String,
    zone: String,
    roles: u32,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct DiskRecord {
    id: String,
    node: String,
    zone: String,
}

/// What a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) roles: Roles,
    pub(crate) zone: String,
}

/// The folder of one process.
#[derive(Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    pub(crate) profile: Profile,
    state: State,
}

impl Home {
    /// Opens the folder in `first`; `None` where there is none yet.
    pub(crate) fn open(first: &Path) -> Result<Option<Self>, Fatal> {
        let dir = first.join(DIR);
        let path = dir.join(NODE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fatal::new(path.display(), error)),
        };
        let unreadable = || Fatal::new(path.display(), "it cannot be read");
        let record: Record = toml::from_str(&text).map_err(|_| unreadable())?;
        if record.format != format_version::DIRECTORY {
            return Err(Fatal::new(
                path.display(),
                "made by another version of cairn",
            ));
        }
        let roles: Option<Vec<Role>> = record
            .roles
            .iter()
            .map(|name| Role::from_name(name))
            .collect();
        let profile = Profile {
            cluster: ClusterId::from_hex(&record.cluster).ok_or_else(unreadable)?,
            node: number(&record.node).map(NodeId).ok_or_else(unreadable)?,
            roles: Roles::of(&roles.ok_or_else(unreadable)?),
            zone: record.zone,
        };
        Ok(Some(Self {
            dir,
            profile,
            state: record.state,
        }))
    }

    /// Makes the folder of a process that has just drawn its id and key.
    pub(crate) fn create(
        first: &Path,
        profile: Profile,
        state: State,
        key: &NodeKey,
        authority: Option<&ClusterCa>,
    ) -> Result<Self, Fatal> {
        let dir = first.join(DIR);
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&dir);
        made.map_err(|error| Fatal::new(dir.display(), error))?;
        let home = Self {
            dir,
            profile,
            state,
        };
        home.put(KEY, key.to_pem().as_bytes(), files::SECRET)?;
        if let Some(authority) = authority {
            let issued = authority
                .issue(home.profile.node, key.public(), home.profile.roles)
                .map_err(|error| Fatal::new("certificate", error))?;
            let key = authority.key().to_pem();
            home.put(AUTHORITY_KEY, key.as_bytes(), files::SECRET)?;
            home.put_certificates(issued.pem(), authority.certificate().pem())?;
        }
        // Last: without it there is no folder.
        home.write()?;
        Ok(home)
    }

    fn put(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), Fatal> {
        let path = self.dir.join(name);
        files::replace(&path, bytes, mode).map_err(|error| Fatal::new(path.display(), error))
    }

    fn get(&self, name: &str) -> Result<String, Fatal> {
        let path = self.dir.join(name);
        std::fs::read_to_string(&path).map_err(|error| Fatal::new(path.display(), error))
    }

    fn put_certificates(&self, own: &str, authority: &str) -> Result<(), Fatal> {
        self.put(CERTIFICATE, own.as_bytes(), files::OPEN)?;
        self.put(AUTHORITY, authority.as_bytes(), files::OPEN)
    }

    fn write(&self) -> Result<(), Fatal> {
        let Profile {
            cluster,
            node,
            roles,
            zone,
        } = &self.profile;
        let record = Record {
            format: format_version::DIRECTORY,
            cluster: cluster.to_string(),
            node: hex(node.0),
            roles: roles.each().map(|role| role.name().to_owned()).collect(),
            zone: zone.clone(),
            state: self.state,
        };
        let text = toml::to_string(&record).map_err(|error| Fatal::new(NODE, error))?;
        self.put(NODE, text.as_bytes(), files::OPEN)
    }

    /// How far it has come.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// It has come further.
    pub(crate) fn advance(&mut self, state: State) -> Result<(), Fatal> {
        self.state = state;
        self.write()
    }

    /// The node's key.
    pub(crate) fn key(&self) -> Result<NodeKey, Fatal> {
        NodeKey::from_pem(&self.get(KEY)?).map_err(|error| Fatal::new(KEY, error))
    }

    /// What it shows to others, and whom it trusts.
    pub(crate) fn identity(&self) -> Result<Identity, Fatal> {
        let read = |name| {
            let pem = self.get(name)?;
            Certificate::from_pem(&pem).map_err(|error| Fatal::new(name, error))
        };
        Identity::new(&read(CERTIFICATE)?, &self.key()?, &read(AUTHORITY)?)
            .map_err(|error| Fatal::new(self.dir.display(), error))
    }

    /// The cluster's authority, where this process may admit others.
    pub(crate) fn authority(&self) -> Result<ClusterCa, Fatal> {
        let key = NodeKey::from_pem(&self.get(AUTHORITY_KEY)?);
        let made = key.and_then(|key| ClusterCa::new(self.profile.cluster, key));
        made.map_err(|error| Fatal::new(AUTHORITY_KEY, error))
    }

    /// The cluster has admitted it.
    pub(crate) fn admitted(&mut self, joined: &Joined) -> Result<(), Fatal> {
        if !joined.authority_key.is_empty() {
            self.put(
                AUTHORITY_KEY,
                joined.authority_key.as_bytes(),
                files::SECRET,
            )?;
        }
        self.put_certificates(&joined.certificate, &joined.authority)?;
        self.identity()?;
        self.keep_members(&MembersAnswer {
            nodes: joined.members.clone(),
            disks: Vec::new(),
        })?;
        let voter = self.profile.roles.has(Role::MetadataVoter);
        self.advance(if voter { State::Joining } else { State::Member })
    }

    /// It keeps metadata no more, and shows a certificate that says so: with the old one nobody would
    /// let it in.
    pub(crate) fn give_up_metadata(&mut self) -> Result<(), Fatal> {
        let authority = self.authority()?;
        let kept = self.profile.roles.each();
        let kept: Vec<Role> = kept.filter(|role| *role != Role::MetadataVoter).collect();
        let roles = Roles::of(&kept);
        let issued = authority
            .issue(self.profile.node, self.key()?.public(), roles)
            .map_err(|error| Fatal::new("certificate", error))?;
        self.put_certificates(issued.pem(), authority.certificate().pem())?;
        self.profile.roles = roles;
        self.advance(State::Member)
    }

    /// The members as they were last known.
    pub(crate) fn members(&self) -> Result<MembersAnswer, Fatal> {
        let path = self.dir.join(MEMBERS);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Fatal::new(path.display(), error)),
        };
        let unreadable = || Fatal::new(path.display(), "it cannot be read");
        let record: MembersRecord = toml::from_str(&text).map_err(|_| unreadable())?;
        let nodes: Option<Vec<Node>> = record.node.iter().map(NodeRecord::read).collect();
        let disks: Option<Vec<Disk>> = record.disk.iter().map(DiskRecord::read).collect();
        Ok(MembersAnswer {
            nodes: nodes.ok_or_else(unreadable)?,
            disks: disks.ok_or_else(unreadable)?,
        })
    }

    /// Writes the members down for the next start.
    pub(crate) fn keep_members(&self, members: &MembersAnswer) -> Result<(), Fatal> {
        let record = MembersRecord {
            node: members.nodes.iter().map(NodeRecord::of).collect(),
            disk: members.disks.iter().map(DiskRecord::of).collect(),
        };
        let text = toml::to_string(&record).map_err(|error| Fatal::new(MEMBERS, error))?;
        self.put(MEMBERS, text.as_bytes(), files::OPEN)
    }
}

/// Ids and keys are written as hexadecimal numbers.
fn hex(number: u64) -> String {
    format!("{number:016x}")
}

fn number(text: &str) -> Option<u64> {
    let plain = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

fn hex_bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of_hex(text: &str) -> Option<Bytes> {
    let digits = text.as_bytes();
    if !digits.iter().all(u8::is_ascii_hexdigit) || !digits.len().is_multiple_of(2) {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits
        .chunks(2)
        .map(byte)
        .collect::<Option<Vec<u8>>>()
        .map(Bytes::from)
}

impl NodeRecord {
    fn of(node: &Node) -> Self {
        Self {
            id: hex(node.node),
            address: node.address.clone(),
            key: hex_bytes(&node.public_key),
            zone: node.zone.clone(),
            roles: node.roles,
        }
    }

    fn read(&self) -> Option<Node> {
        Some(Node {
            node: number(&self.id)?,
            address: self.address.clone(),
            public_key: bytes_of_hex(&self.key)?,
            zone: self.zone.clone(),
            roles: self.roles,
            joined_ms: 0,
            left_disks: Vec::new(),
        })
    }
}

impl DiskRecord {
    fn of(disk: &Disk) -> Self {
        Self {
            id: hex_bytes(&disk.disk),
            node: hex(disk.node),
            zone: disk.zone.clone(),
        }
    }

    fn read(&self) -> Option<Disk> {
        Some(Disk {
            disk: Bytes::copy_from_slice(&DiskId::from_hex(&self.id)?.0),
            node: number(&self.node)?,
            zone: self.zone.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_world::real::OsEntropy;
    use std::os::unix::fs::PermissionsExt as _;

    fn profile(roles: &[Role]) -> Profile {
        Profile {
            cluster: ClusterId([0xc1; 16]),
            node: NodeId(42),
            roles: Roles::of(roles),
            zone: "east".to_owned(),
        }
    }

    fn authority() -> ClusterCa {
        let key = NodeKey::draw(&OsEntropy).unwrap();
        ClusterCa::new(ClusterId([0xc1; 16]), key).unwrap()
    }

    fn node(id: u64, key: &NodeKey) -> Node {
        Node {
            node: id,
            address: "there:9100".to_owned(),
            public_key: Bytes::copy_from_slice(&key.public().0),
            zone: String::new(),
            roles: 6,
            joined_ms: 0,
            left_disks: Vec::new(),
        }
    }

    #[test]
    fn a_founder_is_found_again_with_all_it_needs() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Home::open(dir.path()).unwrap().is_none());
        let (key, ca) = (NodeKey::draw(&OsEntropy).unwrap(), authority());
        let roles = profile(&[Role::StorageNode, Role::MetadataVoter]);
        Home::create(dir.path(), roles.clone(), State::Founding, &key, Some(&ca)).unwrap();
        let mut home = Home::open(dir.path()).unwrap().unwrap();
        assert_eq!((&home.profile, home.state()), (&roles, State::Founding));
        assert_eq!(home.identity().unwrap().me().key, key.public());
        let again = home.authority().unwrap();
        assert_eq!(again.key().public(), ca.key().public());
        home.advance(State::Member).unwrap();
        let home = Home::open(dir.path()).unwrap().unwrap();
        assert_eq!(home.state(), State::Member);
        for secret in [KEY, AUTHORITY_KEY] {
            let path = dir.path().join(DIR).join(secret);
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{secret}");
        }
    }

    #[test]
    fn who_is_admitted_has_certificates_and_knows_the_members() {
        let dir = tempfile::tempdir().unwrap();
        let (key, ca) = (NodeKey::draw(&OsEntropy).unwrap(), authority());
        let gateway = profile(&[Role::Gateway]);
        let mut home =
            Home::create(dir.path(), gateway.clone(), State::Asking, &key, None).unwrap();
        assert!(home.identity().is_err(), "nobody has certified it");
        let issued = ca.issue(NodeId(42), key.public(), gateway.roles).unwrap();
        let joined = Joined {
            certificate: issued.pem().to_owned(),
            authority: ca.certificate().pem().to_owned(),
            authority_key: String::new(),
            members: vec![node(7, &key)],
        };
        home.admitted(&joined).unwrap();
        let home = Home::open(dir.path()).unwrap().unwrap();
        assert_eq!(home.state(), State::Member, "a gateway keeps nothing");
        assert_eq!(home.members().unwrap().nodes, joined.members);
        assert!(home.identity().is_ok());
        assert!(home.authority().is_err(), "it admits nobody");
    }

    #[test]
    fn a_certificate_for_another_key_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (key, ca) = (NodeKey::draw(&OsEntropy).unwrap(), authority());
        let other = NodeKey::draw(&OsEntropy).unwrap().public();
        let gateway = profile(&[Role::Gateway]);
        let mut home =
            Home::create(dir.path(), gateway.clone(), State::Asking, &key, None).unwrap();
        let issued = ca.issue(NodeId(42), other, gateway.roles).unwrap();
        let joined = Joined {
            certificate: issued.pem().to_owned(),
            authority: ca.certificate().pem().to_owned(),
            ..Joined::default()
        };
        assert!(home.admitted(&joined).is_err());
        assert_eq!(home.state(), State::Asking);
    }

    #[test]
    fn damaged_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (key, ca) = (NodeKey::draw(&OsEntropy).unwrap(), authority());
        let roles = profile(&[Role::MetadataVoter]);
        let home = Home::create(dir.path(), roles, State::Member, &key, Some(&ca)).unwrap();
        home.keep_members(&MembersAnswer {
            nodes: vec![node(7, &key)],
            disks: vec![Disk {
                disk: Bytes::from_static(&[3; 16]),
                node: 7,
                zone: String::new(),
            }],
        })
        .unwrap();
        let members = dir.path().join(DIR).join(MEMBERS);
        let text = std::fs::read_to_string(&members).unwrap();
        std::fs::write(&members, text.replace("0000000000000007", "seven")).unwrap();
        assert!(home.members().is_err());
        std::fs::write(dir.path().join(DIR).join(NODE), "state = \"member\"").unwrap();
        assert!(Home::open(dir.path()).is_err());
    }
}
