//! Other servers that installs from a registry give us: what they make of the same cases.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const START_TRIES: u32 = 600;
const TICK: Duration = Duration::from_millis(50);

/// A running peer; ended when dropped.
#[derive(Debug)]
pub struct Peer {
    process: Child,
    /// `http://127.0.0.1:port`.
    pub endpoint: String,
}

impl Peer {
    /// Starts moto's server, of `tools/moto`, on a free port of loopback.
    ///
    /// # Errors
    /// Where it is not installed, or does not answer within half a minute.
    pub fn moto(tools: &Path) -> Result<Self, String> {
        let program = tools.join("moto/bin/moto_server");
        let port = free_port()?;
        let mut command = Command::new(&program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        Self::started(&mut command, port)
    }

    fn started(command: &mut Command, port: u16) -> Result<Self, String> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let program = command.get_program().to_string_lossy().into_owned();
        let process = command.spawn().map_err(|why| format!("{program}: {why}"))?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut peer = Self { process, endpoint };
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

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener
        .map(|address| address.port())
        .map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_not_installed_or_ends_is_said() {
        let missing = Peer::moto(Path::new("/nonexistent")).unwrap_err();
        assert!(missing.contains("moto_server"), "{missing}");
        let ended = Peer::started(&mut Command::new("false"), free_port().unwrap());
        assert!(ended.unwrap_err().contains("ended with"));
    }

    #[test]
    fn one_that_answers_is_there_until_it_is_dropped() {
        let port = free_port().unwrap();
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
}
