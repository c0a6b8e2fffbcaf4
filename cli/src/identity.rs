//! Who a directory belongs to: cluster id and node id, drawn at the first start and kept in every
//! data directory, so that directories of two stores are never mixed.

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use cairn_model::{DiskId, NodeId, format_version};
use cairn_world::Entropy;
use serde::{Deserialize, Serialize};

use crate::member::home;
use crate::{Fatal, files};

/// Stands in the first directory of a store whose metadata has been made: from then on a directory
/// without metadata has lost it.
const FOUNDED: &str = "cairn-founded";
/// Name of the file in each data directory.
const FILE: &str = "cairn-directory.toml";
/// Its name while it is being written.
const FILE_NEW: &str = "cairn-directory.toml.new";

/// The identity of one data directory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    format: u16,
    cluster: String,
    node: String,
}

/// A server's directories in the order they were named, and whose they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directories {
    pub(crate) cluster: [u8; 16],
    pub(crate) node: NodeId,
    pub(crate) paths: Vec<PathBuf>,
}

impl Directories {
    /// Reads every directory's identity; gives fresh ones where the first directory has none.
    ///
    /// A directory without an identity beside one that has it is refused: a disk that lost its
    /// contents must not pass for an old one.
    pub(crate) fn open(dirs: &[PathBuf], entropy: &dyn Entropy) -> Result<Self, Fatal> {
        for dir in dirs {
            // Metadata holds secret keys: nobody else may look in.
            let mut builder = std::fs::DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(dir);
            made.map_err(|error| Fatal::new(dir.display(), error))?;
        }
        let found = dirs
            .iter()
            .map(|dir| read(dir))
            .collect::<Result<Vec<_>, _>>()?;
        // The first directory is written last: without it a first start has not happened.
        let fresh = found.first().is_some_and(Option::is_none);
        let identities = if fresh {
            create(dirs, &found, entropy)?
        } else {
            present(dirs, found)?
        };
        let mut owner = None;
        for (dir, identity) in dirs.iter().zip(&identities) {
            let found = identity.parts().ok_or_else(|| damaged(dir))?;
            if *owner.get_or_insert(found) != found {
                return Err(Fatal::new(dir.display(), "it belongs to another store"));
            }
        }
        let (cluster, node) = owner.ok_or_else(|| Fatal::new("server", "no directory"))?;
        Ok(Self {
            cluster,
            node,
            paths: dirs.to_vec(),
        })
    }

    /// The directories of a member that got its ids elsewhere. An empty one may come at any time: its
    /// disk gets a name of its own, so one that lost its contents does not pass for the old one.
    pub(crate) fn of_member(
        dirs: &[PathBuf],
        cluster: [u8; 16],
        node: NodeId,
    ) -> Result<Self, Fatal> {
        let ours = Identity::new(cluster, node);
        for dir in dirs {
            let made = std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir);
            made.map_err(|error| Fatal::new(dir.display(), error))?;
            match read(dir)? {
                Some(found) if found == ours => {}
                Some(_) => return Err(Fatal::new(dir.display(), "it belongs to another node")),
                None => {
                    check_unused(dir, "it is not empty and not a directory of cairn")?;
                    write(dir, &ours).map_err(|error| Fatal::new(dir.display(), error))?;
                }
            }
        }
        Ok(Self {
            cluster,
            node,
            paths: dirs.to_vec(),
        })
    }

    /// A directory that is somebody's; nothing is made.
    pub(crate) fn existing(dir: &Path) -> Result<Self, Fatal> {
        let none = || Fatal::new(dir.display(), "it is no directory of cairn");
        let identity = read(dir)?.ok_or_else(none)?;
        let (cluster, node) = identity.parts().ok_or_else(|| damaged(dir))?;
        Ok(Self {
            cluster,
            node,
            paths: vec![dir.to_path_buf()],
        })
    }

    /// Whether the metadata was made at an earlier start.
    pub(crate) fn is_founded(&self) -> Result<bool, Fatal> {
        let path = self.first()?.join(FOUNDED);
        path.try_exists()
            .map_err(|error| Fatal::new(path.display(), error))
    }

    /// Notes, durably, that the metadata has been made.
    pub(crate) fn note_founded(&self) -> Result<(), Fatal> {
        if self.is_founded()? {
            return Ok(());
        }
        let path = self.first()?.join(FOUNDED);
        let text = b"The metadata of this store has been made. Without its metadata/ it is not to be made anew:\nthe objects would be taken for garbage.\n";
        files::replace(&path, text, files::OPEN).map_err(|error| Fatal::new(path.display(), error))
    }

    /// The directory that holds the metadata.
    pub(crate) fn first(&self) -> Result<&Path, Fatal> {
        let first = self.paths.first().map(PathBuf::as_path);
        first.ok_or_else(|| Fatal::new("server", "no directory"))
    }
}

impl Identity {
    fn new(cluster: [u8; 16], node: NodeId) -> Self {
        Self {
            format: format_version::DIRECTORY,
            cluster: DiskId(cluster).to_string(),
            node: format!("{:016x}", node.0),
        }
    }

    /// Ids are written as hexadecimal numbers, like a disk's.
    fn parts(&self) -> Option<([u8; 16], NodeId)> {
        let cluster = DiskId::from_hex(&self.cluster)?.0;
        let node = u64::from_str_radix(&self.node, 16).ok()?;
        Some((cluster, NodeId(node)))
    }
}

fn damaged(dir: &Path) -> Fatal {
    Fatal::new(dir.join(FILE).display(), "the identity cannot be read")
}

fn read(dir: &Path) -> Result<Option<Identity>, Fatal> {
    let text = match std::fs::read_to_string(dir.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Fatal::new(dir.display(), error)),
    };
    let identity: Identity = toml::from_str(&text).map_err(|_| damaged(dir))?;
    if identity.format != format_version::DIRECTORY {
        return Err(Fatal::new(
            dir.display(),
            "made by another version of cairn",
        ));
    }
    Ok(Some(identity))
}

fn present(dirs: &[PathBuf], found: Vec<Option<Identity>>) -> Result<Vec<Identity>, Fatal> {
    let known = |(dir, identity): (&PathBuf, Option<Identity>)| {
        identity.ok_or_else(|| {
            Fatal::new(
                dir.display(),
                "the store does not know this directory: it is new or has lost its contents",
            )
        })
    };
    dirs.iter().zip(found).map(known).collect()
}

/// Draws identities and writes them, the first directory's last. Leftovers of a first start that
/// was cut short are replaced: nothing was ever acknowledged without the first directory's file.
fn create(
    dirs: &[PathBuf],
    found: &[Option<Identity>],
    entropy: &dyn Entropy,
) -> Result<Vec<Identity>, Fatal> {
    for (dir, identity) in dirs.iter().zip(found) {
        let why = match identity {
            Some(_) => "it belongs to a store whose first directory is missing",
            None => "it is not empty and not a directory of cairn",
        };
        check_unused(dir, why)?;
    }
    let mut cluster = [0; 16];
    entropy.fill(&mut cluster);
    let identity = Identity::new(cluster, NodeId(entropy.next_u64()));
    for dir in dirs.iter().rev() {
        write(dir, &identity).map_err(|error| Fatal::new(dir.display(), error))?;
    }
    Ok(vec![identity; dirs.len()])
}

/// Refuses a directory in which something else lies.
fn check_unused(dir: &Path, why: &str) -> Result<(), Fatal> {
    const OURS: [&str; 4] = ["lost+found", FILE, FILE_NEW, home::DIR];
    let entries = std::fs::read_dir(dir).map_err(|error| Fatal::new(dir.display(), error))?;
    let is_foreign = |entry: std::fs::DirEntry| OURS.iter().all(|name| entry.file_name() != *name);
    if entries.filter_map(Result::ok).any(is_foreign) {
        return Err(Fatal::new(dir.display(), why));
    }
    Ok(())
}

fn write(dir: &Path, identity: &Identity) -> std::io::Result<()> {
    let text = toml::to_string(identity).map_err(std::io::Error::other)?;
    files::replace(&dir.join(FILE), text.as_bytes(), files::OPEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_world::real::OsEntropy;

    fn dirs(root: &Path, names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(|name| root.join(name)).collect()
    }

    #[test]
    fn identities_are_drawn_once_and_kept() {
        let root = tempfile::tempdir().unwrap();
        let paths = dirs(root.path(), &["a", "b"]);
        let first = Directories::open(&paths, &OsEntropy).unwrap();
        assert_eq!(Directories::open(&paths, &OsEntropy).unwrap(), first);
        assert_eq!(first.first().unwrap(), paths[0]);
        assert!(!first.is_founded().unwrap());
        first.note_founded().unwrap();
        first.note_founded().unwrap();
        assert!(first.is_founded().unwrap());
    }

    #[test]
    fn strange_directories_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let ours = dirs(root.path(), &["a", "b"]);
        Directories::open(&ours, &OsEntropy).unwrap();
        let refused = |names: &[&str]| {
            Directories::open(&dirs(root.path(), names), &OsEntropy)
                .unwrap_err()
                .to_string()
        };
        assert!(refused(&["a", "new"]).contains("does not know"));
        Directories::open(&dirs(root.path(), &["x"]), &OsEntropy).unwrap();
        assert!(refused(&["a", "x"]).contains("another store"));
        std::fs::create_dir(root.path().join("full")).unwrap();
        std::fs::write(root.path().join("full/photo.jpg"), "x").unwrap();
        assert!(refused(&["full"]).contains("not empty"));
        std::fs::write(root.path().join("a").join(FILE), "format = 1").unwrap();
        assert!(refused(&["a", "b"]).contains("cannot be read"));
    }

    #[test]
    fn a_members_new_directory_is_taken_and_anothers_is_not() {
        let root = tempfile::tempdir().unwrap();
        let open = |names: &[&str], node| {
            Directories::of_member(&dirs(root.path(), names), [4; 16], NodeId(node))
        };
        assert_eq!(open(&["a"], 7).unwrap().node, NodeId(7));
        assert!(open(&["a", "new"], 7).is_ok());
        let error = open(&["a", "other"], 8).unwrap_err().to_string();
        assert!(error.contains("another node"), "{error}");
        std::fs::create_dir(root.path().join("full")).unwrap();
        std::fs::write(root.path().join("full/photo.jpg"), "x").unwrap();
        let error = open(&["a", "full"], 7).unwrap_err().to_string();
        assert!(error.contains("not empty"), "{error}");
    }

    #[test]
    fn a_first_start_cut_short_is_done_again() {
        let root = tempfile::tempdir().unwrap();
        let paths = dirs(root.path(), &["a", "b"]);
        Directories::open(&paths, &OsEntropy).unwrap();
        std::fs::remove_file(paths[0].join(FILE)).unwrap();
        assert!(Directories::open(&paths, &OsEntropy).is_ok());
        std::fs::write(paths[1].join("segment"), "x").unwrap();
        std::fs::remove_file(paths[0].join(FILE)).unwrap();
        let error = Directories::open(&paths, &OsEntropy)
            .unwrap_err()
            .to_string();
        assert!(error.contains("first directory is missing"), "{error}");
    }
}
