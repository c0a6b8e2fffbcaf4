//! Other servers that installs from a registry give us: what they make of the same cases.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

mod garage;

/// Every peer there is.
pub const NAMES: [&str; 2] = ["moto", "garage"];

const START_TRIES: u32 = 600;
const TICK: Duration = Duration::from_millis(50);

/// Access key and secret that a peer is asked with; it is on loopback and lives as long as the run.
pub const KEYS: (&str, &str) = ("cairntestaccess", "cairn-test-secret-0123456789");

/// A running peer; ended when dropped.
#[derive(Debug)]
pub struct Peer {
    process: Child,
    /// `http://127.0.0.1:port`.
    pub endpoint: String,
    /// What it keeps; gone with it, after its process.
    folder: Option<garage::Folder>,
}

impl Peer {
    /// Starts one of [`NAMES`], of `tools/<name>`, on a free port of loopback; it takes [`KEYS`].
    ///
    /// # Errors
    /// Where there is none of this name, it is not installed, or does not answer within half a
    /// minute.
    pub fn named(name: &str, tools: &Path) -> Result<Self, String> {
        match name {
            "moto" => Self::moto(tools),
            "garage" => Self::garage(tools),
            _ => Err(format!("no peer {name}; there are {NAMES:?}")),
        }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    fn moto(tools: &Path) -> Result<Self, String> {
        let [port] = free_ports()?;
        let mut command = Command::new(tools.join("moto/bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        Self::started(&mut command, port)
    }

    fn garage(tools: &Path) -> Result<Self, String> {
        let [api, rpc] = free_ports()?;
        let folder = garage::Folder::make(api, rpc)?;
        let program = tools.join("garage/bin/garage");
        let mut peer = Self::started(&mut folder.server(&program), api)?;
        peer.folder = Some(folder);
        Ok(peer)
    }

    fn started(command: &mut Command, port: u16) -> Result<Self, String> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let program = command.get_program().to_string_lossy().into_owned();
        let process = command.spawn().map_err(|why| format!("{program}: {why}"))?;
        let mut peer = Self {
            process,
            endpoint: format!("http://127.0.0.1:{port}"),
            folder: None,
        };
        for _ in 0..START_TRIES {
            if let Ok(Some(status)) = peer.process.try_wait() {
                return Err(format!("{program} ended with {status}"));
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(peer);
            }
            std::thread::sleep(TICK);
        }
        Err(format!("{program} does not answer"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Ports of loopback that nobody listens on, each another.
fn free_ports<const N: usize>() -> Result<[u16; N], String> {
    let mut ports = [0; N];
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|why| why.to_string())?;
        *port = listener.local_addr().map_err(|why| why.to_string())?.port();
        held.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_not_there_or_ends_is_said() {
        for (name, said) in [
            ("moto", "moto_server"),
            ("garage", "garage/bin/garage"),
            ("x", "no peer x"),
        ] {
            let missing = Peer::named(name, Path::new("/nonexistent")).unwrap_err();
            assert!(missing.contains(said), "{missing}");
        }
        let [port] = free_ports().unwrap();
        let ended = Peer::started(&mut Command::new("false"), port);
        assert!(ended.unwrap_err().contains("ended with"));
    }

    #[test]
    fn one_that_answers_is_there_until_it_is_dropped() {
        let [port, other] = free_ports().unwrap();
        assert_ne!(port, other);
        let code = "import socket, time\n\
                    s = socket.create_server(('127.0.0.1', int(__import__('sys').argv[1])))\n\
                    time.sleep(60)";
        let mut command = Command::new("python3");
        command.args(["-c", code, &port.to_string()]);
        let peer = Peer::started(&mut command, port).unwrap();
        assert_eq!(peer.endpoint, format!("http://127.0.0.1:{port}"));
        drop(peer);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }

    /// Stands in Garage's place: it listens where its settings say, if it is started as Garage is.
    const STAND_IN: &str = "#!/usr/bin/env python3
import os, pathlib, socket, sys, time, tomllib
assert sys.argv[3:] == ['server', '--single-node', '--default-access-key'], sys.argv
assert os.environ['GARAGE_DEFAULT_ACCESS_KEY'] and os.environ['GARAGE_DEFAULT_SECRET_KEY']
settings = tomllib.loads(pathlib.Path(sys.argv[2]).read_text())
host, port = settings['s3_api']['api_bind_addr'].split(':')
pathlib.Path(settings['data_dir']).mkdir()
server = socket.create_server((host, int(port)))
time.sleep(60)
";

    #[test]
    fn garage_keeps_what_it_has_in_a_folder_that_goes_with_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let tools = std::env::temp_dir().join(format!("peer-tools-{}", std::process::id()));
        let program = tools.join("garage/bin/garage");
        std::fs::create_dir_all(tools.join("garage/bin")).unwrap();
        std::fs::write(&program, STAND_IN).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let peer = Peer::named("garage", &tools).unwrap();
        let folder = peer.folder.as_ref().unwrap().path().to_owned();
        assert!(folder.join("data").is_dir());
        drop(peer);
        assert!(!folder.exists());
        std::fs::remove_dir_all(tools).unwrap();
    }
}
