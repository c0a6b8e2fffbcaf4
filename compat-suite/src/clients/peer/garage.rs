//! Garage: a cluster of one node that keeps everything once, in a folder of its own. Its server
//! lays itself out and takes in the key that asks, so that it is ready where it answers.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::KEYS;

/// What nodes of one cluster know each other by; there is one node.
const RPC_SECRET: &str = "ca1ca1ca1ca1ca1ca1ca1ca1ca1ca1ca1ca1ca1ca1ca1ca1ca1ca1ca1ca1ca1c";
const SETTINGS: &str = "garage.toml";

/// The folder of one server; removed when dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes one that only we may read, with the settings of a server that listens at these ports.
    pub(super) fn make(api: u16, rpc: u16) -> Result<Self, String> {
        let name = format!("cairn-garage-{}-{api}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let told = |why: std::io::Error| format!("{}: {why}", path.display());
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o700).create(&path).map_err(told)?;
        let text = settings(&path, api, rpc);
        let folder = Self { path };
        let file = folder.path.join(SETTINGS);
        std::fs::write(&file, text).map_err(|why| format!("{}: {why}", file.display()))?;
        Ok(folder)
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The server, with nothing of this user's own.
    pub(super) fn server(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(&self.path);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
            .env("GARAGE_DEFAULT_ACCESS_KEY", KEYS.0)
            .env("GARAGE_DEFAULT_SECRET_KEY", KEYS.1);
        command.arg("-c").arg(self.path.join(SETTINGS));
        // A layout of this node alone, and a key that may make buckets.
        command.args(["server", "--single-node", "--default-access-key"]);
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn settings(folder: &Path, api: u16, rpc: u16) -> String {
    let within = |name: &str| toml::Value::from(&*folder.join(name).to_string_lossy());
    let (metadata, data) = (within("metadata"), within("data"));
    format!(
        "metadata_dir = {metadata}\n\
         data_dir = {data}\n\
         db_engine = \"lmdb\"\n\
         replication_factor = 1\n\
         rpc_bind_addr = \"127.0.0.1:{rpc}\"\n\
         rpc_public_addr = \"127.0.0.1:{rpc}\"\n\
         rpc_secret = \"{RPC_SECRET}\"\n\
         [s3_api]\n\
         s3_region = \"us-east-1\"\n\
         api_bind_addr = \"127.0.0.1:{api}\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_keep_to_loopback_and_to_the_folder() {
        let text = settings(Path::new("/tmp/a \"b\""), 1, 2);
        let read: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(read["metadata_dir"].as_str(), Some("/tmp/a \"b\"/metadata"));
        assert_eq!(read["data_dir"].as_str(), Some("/tmp/a \"b\"/data"));
        assert_eq!(read["rpc_bind_addr"].as_str(), Some("127.0.0.1:2"));
        let api = read["s3_api"].as_table().unwrap();
        assert_eq!(api["api_bind_addr"].as_str(), Some("127.0.0.1:1"));
        assert_eq!(api["s3_region"].as_str(), Some("us-east-1"));
    }

    #[test]
    fn the_folder_is_ours_alone_and_goes_when_dropped() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Folder::make(1, 2).unwrap();
        let path = folder.path.clone();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(Folder::make(1, 2).unwrap_err().contains("cairn-garage-"));
        assert!(path.join(SETTINGS).is_file());
        drop(folder);
        assert!(!path.exists());
    }
}
