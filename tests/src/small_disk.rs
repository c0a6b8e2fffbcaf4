//! A real disk that fills up: a tmpfs of a given size, where we may mount one.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted tmpfs, unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts `mebibytes` at `path`, which is made.
    ///
    /// # Errors
    /// Why this machine cannot (not root, or no right to mount).
    pub fn mount(path: &Path, mebibytes: u32) -> Result<Self, String> {
        std::fs::create_dir(path).map_err(|why| why.to_string())?;
        let size = format!("size={mebibytes}m");
        let mut command = Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", &size, "cairn-small-disk"])
            .arg(path);
        let output = command.output().map_err(|why| why.to_string())?;
        if output.status.success() {
            Ok(Self {
                path: path.to_owned(),
            })
        } else {
            Err(format!(
                "cannot mount: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ))
        }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(&self.path)
            .status();
    }
}
