//! The certificate of the S3 port: two files that somebody keeps, or that we make and keep.
//!
//! Both are read again at SIGHUP. A pair that cannot be used then is refused with an error in the
//! log, and the one before goes on being served.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_gateway::tls::{SelfSigned, Tls, self_signed};

use cairn_world::Clock;
use tokio::net::TcpListener;

use crate::Fatal;
use crate::args::ServeArgs;

/// Directory of a self-signed certificate in the first data directory.
const FOLDER: &str = "tls";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
/// What stands before the names, on the line before the certificate.
const NAMES: &str = "Cairn self-signed for: ";
/// Longest file read: chains have a few kilobytes.
const FILE_LEN_MAX: u64 = 1 << 20;

/// Where the certificate is, and what it was when it was last read.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// PEM, the server's own certificate first.
    pub(crate) certificate: PathBuf,
    key: PathBuf,
    /// Clients must be told to trust it.
    pub(crate) is_self_signed: bool,
    pub(crate) tls: Arc<Tls>,
}

/// The certificate that was asked for; `None`: plain HTTP. A self-signed one is kept in `dir`.
pub(crate) fn asked(
    args: &ServeArgs,
    listener: &TcpListener,
    dir: &Path,
    clock: &dyn Clock,
) -> Result<Option<Certificate>, Fatal> {
    match (&args.tls_cert, &args.tls_key) {
        (Some(chain), Some(key)) => Certificate::read(chain, key).map(Some),
        _ if args.tls_self_signed => {
            let address = listener.local_addr();
            let address = address.map_err(|error| Fatal::new("listen", error))?;
            let names = names(address, &args.domains);
            Certificate::self_signed(dir, &names, clock.wall()).map(Some)
        }
        _ => Ok(None),
    }
}

impl Certificate {
    /// Reads a pair of files.
    ///
    /// # Errors
    /// Files that cannot be read or used.
    pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Self, Fatal> {
        let tls = Tls::new(&contents(certificate)?, &contents(key)?);
        let tls = tls.map_err(|error| Fatal::new(shown(certificate, key), error))?;
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            is_self_signed: false,
            tls: Arc::new(tls),
        })
    }

    /// Reads the self-signed pair below a data directory; makes it where there is none, and again,
    /// with the same key, where it is for other names.
    ///
    /// # Errors
    /// Files that cannot be read, written or used.
    pub(crate) fn self_signed(dir: &Path, names: &[String], now_ms: u64) -> Result<Self, Fatal> {
        let (folder, certificate, key) = places(dir);
        let kept = kept(&certificate)?;
        let line = format!("{NAMES}{}", names.join(" "));
        if kept.as_deref() != Some(line.as_str()) {
            let key_text = kept_key(&key)?;
            let made = self_signed(names, key_text.as_deref(), now_ms)
                .map_err(|error| Fatal::new(folder.display(), error))?;
            let written = write(&folder, &line, &made, key_text.is_none());
            written.map_err(|error| Fatal::new(folder.display(), error))?;
            if kept.is_some() {
                tracing::warn!(
                    "the self-signed certificate was made anew: it is for other names now"
                );
            }
        }
        let mut read = Self::read(&certificate, &key)?;
        read.is_self_signed = true;
        Ok(read)
    }

    /// Reads both files again and gives them to new connections.
    ///
    /// # Errors
    /// Files that cannot be read or used; nothing is changed then.
    pub(crate) fn reload(&self) -> Result<(), Fatal> {
        let (chain, key) = (contents(&self.certificate)?, contents(&self.key)?);
        let replaced = self.tls.replace(&chain, &key);
        replaced.map_err(|error| Fatal::new(shown(&self.certificate, &self.key), error))
    }
}

/// Names of a self-signed certificate: this machine, the address listened on, and the domains with
/// the buckets below them.
pub(crate) fn names(listen: SocketAddr, domains: &[String]) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".into(), "::1".into()];
    names.push(listen.ip().to_string());
    for domain in domains {
        names.extend([domain.clone(), format!("*.{domain}")]);
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// The self-signed certificate below a data directory, if there is one.
pub(crate) fn self_signed_below(dir: &Path) -> Option<PathBuf> {
    let (_, certificate, _) = places(dir);
    Some(certificate).filter(|certificate| certificate.exists())
}

/// A file of PEM.
///
/// # Errors
/// A file that cannot be read, or is far too long.
pub(crate) fn contents(path: &Path) -> Result<Vec<u8>, Fatal> {
    let fail = |error: &dyn std::fmt::Display| Fatal::new(path.display(), error);
    let file = File::open(path).map_err(|error| fail(&error))?;
    let mut bytes = Vec::new();
    file.take(FILE_LEN_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(&error))?;
    if bytes.len() as u64 > FILE_LEN_MAX {
        return Err(fail(&"longer than any certificate or key"));
    }
    Ok(bytes)
}

fn places(dir: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let folder = dir.join(FOLDER);
    let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
    (folder, certificate, key)
}

fn shown(certificate: &Path, key: &Path) -> String {
    format!("{} with {}", certificate.display(), key.display())
}

/// The first line of the kept certificate, which tells what it is for.
fn kept(certificate: &Path) -> Result<Option<String>, Fatal> {
    if !certificate.exists() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&contents(certificate)?).into_owned();
    Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
}

fn kept_key(key: &Path) -> Result<Option<String>, Fatal> {
    if !key.exists() {
        return Ok(None);
    }
    let bytes = contents(key)?;
    let text = String::from_utf8(bytes).map_err(|_| Fatal::new(key.display(), "it is not PEM"))?;
    Ok(Some(text))
}

/// The key first, and each under another name until it is whole: a start that is cut short leaves
/// nothing that the next one cannot use.
fn write(folder: &Path, line: &str, made: &SelfSigned, new_key: bool) -> std::io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if new_key {
        put(folder, KEY, 0o600, &made.key)?;
    }
    let certificate = format!("{line}\n{}", made.certificate);
    put(folder, CERTIFICATE, 0o644, &certificate)?;
    File::open(folder)?.sync_all()
}

fn put(folder: &Path, name: &str, mode: u32, text: &str) -> std::io::Result<()> {
    let temporary = folder.join(format!("{name}.new"));
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: u64 = 1_795_000_000_000;

    fn made(dir: &Path, names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Certificate::self_signed(dir, &names, NOW).unwrap()
    }

    #[test]
    fn a_self_signed_pair_is_made_once_and_its_key_kept_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(self_signed_below(dir.path()), None);
        let first = made(dir.path(), &["localhost"]);
        assert_eq!(
            self_signed_below(dir.path()).as_ref(),
            Some(&first.certificate)
        );
        let mode = first.key.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = made(dir.path(), &["localhost"]);
        assert_eq!(first.tls.fingerprint(), again.tls.fingerprint());
        let key = std::fs::read(&first.key).unwrap();
        let other = made(dir.path(), &["localhost", "s3.example", "*.s3.example"]);
        assert_ne!(first.tls.fingerprint(), other.tls.fingerprint());
        assert_eq!(std::fs::read(&first.key).unwrap(), key);
    }

    #[test]
    fn a_start_that_was_cut_short_is_done_again() {
        let dir = tempfile::tempdir().unwrap();
        let first = made(dir.path(), &["localhost"]);
        std::fs::rename(
            &first.certificate,
            dir.path().join("tls/certificate.pem.new"),
        )
        .unwrap();
        std::fs::write(dir.path().join("tls/key.pem.new"), "half a k").unwrap();
        made(dir.path(), &["localhost"]);
        std::fs::remove_file(&first.key).unwrap();
        assert!(
            Certificate::self_signed(dir.path(), &["localhost".into()], NOW).is_err(),
            "a certificate without its key is the operator's to look at"
        );
    }

    #[test]
    fn a_broken_pair_is_refused_and_the_old_one_kept() {
        let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let pair = made(ours.path(), &["localhost"]);
        let before = pair.tls.fingerprint();
        let other = made(other.path(), &["localhost"]);
        std::fs::copy(&other.certificate, &pair.certificate).unwrap();
        assert!(pair.reload().is_err());
        assert_eq!(pair.tls.fingerprint(), before);
        std::fs::copy(&other.key, &pair.key).unwrap();
        pair.reload().unwrap();
        assert_eq!(pair.tls.fingerprint(), other.tls.fingerprint());
        std::fs::write(&pair.key, vec![b'x'; 2 << 20]).unwrap();
        assert!(pair.reload().unwrap_err().to_string().contains("longer"));
        std::fs::remove_file(&pair.key).unwrap();
        assert!(pair.reload().is_err());
        assert_eq!(pair.tls.fingerprint(), other.tls.fingerprint());
    }

    #[test]
    fn names_are_given_once() {
        let names = names("127.0.0.1:9000".parse().unwrap(), &["localhost".into()]);
        assert_eq!(names, ["localhost", "127.0.0.1", "::1", "*.localhost"]);
    }
}
