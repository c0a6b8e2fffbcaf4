//! Real clients: where they are, and how they are pointed at a server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::binary;
use crate::server::{ACCESS_KEY, SECRET_KEY, Server};

/// A client program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// aws-cli 1 of the pinned pip set: the newest generation, with default checksums.
    AwsNewest,
    /// aws-cli 2 of Debian 12.
    AwsDebian,
    /// Python with the pinned boto3.
    Python,
    /// s3cmd of Debian 12.
    S3cmd,
    /// curl with `--aws-sigv4`.
    Curl,
    /// strace.
    Strace,
}

impl Tool {
    fn path(self) -> PathBuf {
        let from_pip = |name: &str| clients().join("venv/bin").join(name);
        match self {
            Self::AwsNewest => from_pip("aws"),
            Self::AwsDebian => PathBuf::from("/usr/bin/aws"),
            Self::Python => from_pip("python"),
            Self::S3cmd => PathBuf::from("/usr/bin/s3cmd"),
            Self::Curl => PathBuf::from("/usr/bin/curl"),
            Self::Strace => PathBuf::from("/usr/bin/strace"),
        }
    }

    /// Its path, or `None` where it is not installed.
    #[must_use]
    pub fn find(self) -> Option<PathBuf> {
        Some(self.path()).filter(|path| path.exists())
    }
}

/// Where `cargo xtask test` installs pip packages.
fn clients() -> PathBuf {
    std::env::var_os("CAIRN_CLIENTS").map_or_else(
        || {
            binary::folder()
                .parent()
                .map(|target| target.join("clients"))
                .unwrap_or_default()
        },
        PathBuf::from,
    )
}

/// A command of `program` with the credentials in its environment and nothing of this user's own
/// configuration.
#[must_use]
pub fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    command
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
        .env("AWS_CONFIG_FILE", home.join("no-aws-config"))
        .env("HOME", home);
    command
        .env("AWS_MAX_ATTEMPTS", "1")
        .env("AWS_PAGER", "")
        .env_remove("AWS_PROFILE");
    for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
        command.env_remove(proxy);
    }
    command.current_dir(home);
    command
}

/// `aws --endpoint-url … ARGUMENTS`, of either generation.
///
/// # Panics
/// Where it is not installed.
#[must_use]
pub fn aws(tool: Tool, server: &Server<'_>, home: &Path, arguments: &[&str]) -> Command {
    let mut command = command(&tool.find().expect("aws-cli is installed"), home);
    command
        .args(["--endpoint-url", &server.endpoint])
        .args(arguments);
    command
}

/// Runs a command that must end with code 0, and gives its standard output.
///
/// # Panics
/// Where it fails; its output is shown.
pub fn must_run(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        both(&output)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a command that must fail, and gives all it printed.
///
/// # Panics
/// Where it ends with code 0.
pub fn must_fail(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        !output.status.success(),
        "{command:?} should have failed:\n{}",
        both(&output)
    );
    both(&output)
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|why| panic!("{command:?}: {why}"))
}

fn both(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}
