//! Where the `cairn` binary under test is.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// `CAIRN_BIN`, else the one in the target folder of this test, built now so that it is never
/// older than its sources.
///
/// # Panics
/// Where it cannot be built.
pub fn cairn() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("CAIRN_BIN") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

/// The folder that holds built binaries.
///
/// # Panics
/// Where the running test has no path.
#[must_use]
pub fn folder() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let folder = test.parent().expect("a test lies in a folder");
    let above = folder.parent().filter(|_| folder.ends_with("deps"));
    above.unwrap_or(folder).to_owned()
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let arguments = [
        "build",
        "--quiet",
        "--package",
        "cairn",
        "--manifest-path",
        manifest,
    ];
    let built = Command::new(cargo)
        .args(arguments)
        .status()
        .expect("cargo runs");
    assert!(built.success(), "cargo build --package cairn failed");
    let path = folder().join("cairn");
    assert!(path.exists(), "no binary at {}", path.display());
    path
}
