//! `cluster.json`: what `cairn dev cluster` says about the processes it has started.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The file's name under the cluster's directory.
pub(super) const FILE: &str = "cluster.json";

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Description {
    /// In the order they were started.
    pub gateways: Vec<GatewayEntry>,
    /// In the order they were started.
    pub nodes: Vec<NodeEntry>,
    /// The root user's.
    pub credentials: CredentialsEntry,
}

/// A gateway.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GatewayEntry {
    /// `http://host:port`.
    pub url: String,
    /// Process id.
    pub pid: u32,
    /// The command line, program first.
    pub argv: Vec<String>,
}

/// A storage node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NodeEntry {
    /// Node id, in hexadecimal.
    pub id: String,
    /// Process id.
    pub pid: u32,
    /// Its data directory.
    pub dir: PathBuf,
    /// Whether it has a vote in the metadata group.
    pub voter: bool,
    /// The command line, program first.
    pub argv: Vec<String>,
}

/// Keys of the root user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CredentialsEntry {
    /// Access key.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
}

impl Description {
    /// Reads it; `None` while it is not there.
    ///
    /// # Errors
    /// A file that is there must be whole, since it appears by a rename.
    pub fn read(directory: &Path) -> Result<Option<Self>, String> {
        match std::fs::read(directory.join(FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|why| format!("{FILE}: {why}")),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(format!("{FILE}: {why}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"{
        "gateways": [{"url": "http://127.0.0.1:9", "pid": 3, "argv": ["cairn", "gateway"]}],
        "nodes": [{"id": "0a", "pid": 4, "dir": "/d/n0", "voter": true, "argv": ["cairn"]}],
        "credentials": {"access_key": "a", "secret_key": "s"}
    }"#;

    #[test]
    fn is_read_once_it_is_there() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Description::read(home.path()), Ok(None));
        std::fs::write(home.path().join(FILE), EXAMPLE).unwrap();
        let read = Description::read(home.path()).unwrap().unwrap();
        assert_eq!(read.gateways[0].url, "http://127.0.0.1:9");
        assert!(read.nodes[0].voter);
        std::fs::write(home.path().join(FILE), &EXAMPLE[..40]).unwrap();
        assert!(Description::read(home.path()).is_err());
    }
}
