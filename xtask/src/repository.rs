//! The checked-out tree: its root and its text files.

use std::path::{Path, PathBuf};

/// Folders that hold no source of ours.
const NOT_SOURCE: [&str; 6] = [
    ".git",
    "target",
    "node_modules",
    "__pycache__",
    ".clients",
    "data",
];

/// A text file of the tree.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// Relative to the root, with `/` between its parts.
    pub(crate) path: String,
    /// Its whole text.
    pub(crate) text: String,
}

impl SourceFile {
    #[cfg(test)]
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// The tree this xtask was built from.
pub(crate) struct Repository {
    root: PathBuf,
}

impl Repository {
    pub(crate) fn of_this_build() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self {
            root: here.parent().unwrap_or(here).to_owned(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The text of one file, or `None` where there is no such file.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.root.join(path)).ok()
    }

    /// Every path of the tree (files and folders), sorted, relative, without build output.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.root.clone()];
        while let Some(folder) = open.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                let name = entry.file_name();
                if NOT_SOURCE.iter().any(|skipped| name == *skipped) {
                    continue;
                }
                let path = entry.path();
                if let Ok(relative) = path.strip_prefix(&self.root) {
                    found.push(relative.to_string_lossy().replace('\\', "/"));
                }
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    open.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// The files among `paths` whose name ends in `.extension`, read.
    pub(crate) fn files(&self, paths: &[String], extension: &str) -> Vec<SourceFile> {
        let ending = format!(".{extension}");
        let wanted = paths.iter().filter(|path| path.ends_with(&ending));
        wanted
            .filter_map(|path| {
                Some(SourceFile {
                    text: self.text(path)?,
                    path: path.clone(),
                })
            })
            .collect()
    }
}
