//! Small files that are written whole or not at all.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Permissions of a file that holds a secret.
pub(crate) const SECRET: u32 = 0o600;
/// Permissions of a file that holds none.
pub(crate) const OPEN: u32 = 0o644;

/// Replaces `path` by `bytes`, durably: a reader finds what was there before, or all of them.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = temporary(path);
    // What is left of a write that was cut short may have other permissions.
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    std::fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// The name under which a file is written before it takes its own.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_replaced_and_leftovers_are_no_hindrance() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        std::fs::write(temporary(&path), "half of").unwrap();
        replace(&path, b"first", SECRET).unwrap();
        replace(&path, b"second", SECRET).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, SECRET);
        assert!(!temporary(&path).exists());
        assert!(replace(&dir.path().join("no/such"), b"", OPEN).is_err());
    }
}
