//! The root credentials: from the environment, else from the first directory, else generated.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use cairn_model::limits;
use cairn_world::Entropy;

use crate::Fatal;

/// Name of the file in the first data directory.
const FILE: &str = "root-credentials";
const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const MIXED: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// An access key and its secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, ..)", self.access_key)
    }
}

/// Where credentials came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Environment,
    File,
    Generated,
}

impl Credentials {
    /// Fresh ones: 20 characters and 40 characters, 100 and 240 random bits.
    pub(crate) fn generate(entropy: &dyn Entropy) -> Self {
        let draw = |alphabet: &[u8], length: usize| {
            let mut bytes = vec![0_u8; length];
            entropy.fill(&mut bytes);
            // Alphabets have 32 and 64 letters, so the remainder is even.
            let letter = |byte: &u8| alphabet.get(usize::from(*byte) % alphabet.len()).copied();
            bytes.iter().filter_map(letter).map(char::from).collect()
        };
        Self {
            access_key: draw(UPPER, 20),
            secret_key: draw(MIXED, 40),
        }
    }

    /// From `CAIRN_ROOT_ACCESS_KEY` and `CAIRN_ROOT_SECRET_KEY`, or the files that the same names
    /// with `_FILE` point to; `None` where neither is set.
    pub(crate) fn from_environment() -> Result<Option<Self>, Fatal> {
        let access_key = variable("CAIRN_ROOT_ACCESS_KEY")?;
        let secret_key = variable("CAIRN_ROOT_SECRET_KEY")?;
        match (access_key, secret_key) {
            (None, None) => Ok(None),
            (Some(access_key), Some(secret_key)) => Self {
                access_key,
                secret_key,
            }
            .checked()
            .map(Some),
            _ => Err(Fatal::new(
                "root credentials",
                "CAIRN_ROOT_ACCESS_KEY and CAIRN_ROOT_SECRET_KEY are set together or not at all",
            )),
        }
    }

    /// From the first data directory; `None` where there are none yet.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, Fatal> {
        let path = dir.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fatal::new(path.display(), error)),
        };
        let mut lines = text.lines();
        match (lines.next(), lines.next()) {
            (Some(access_key), Some(secret_key)) => {
                let read = Self {
                    access_key: access_key.into(),
                    secret_key: secret_key.into(),
                };
                read.checked().map(Some)
            }
            _ => Err(Fatal::new(
                path.display(),
                "two lines are expected: access key, secret key",
            )),
        }
    }

    /// From a server's directory where one is named, else from the environment.
    pub(crate) fn kept(dir: Option<&Path>) -> Result<Option<Self>, Fatal> {
        match dir {
            Some(dir) => Self::read(dir),
            None => Self::from_environment(),
        }
    }

    /// Into the first data directory, readable by its owner only.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), Fatal> {
        let path = dir.join(FILE);
        let fail = |error| Fatal::new(path.display(), error);
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(fail)?;
        writeln!(file, "{}\n{}", self.access_key, self.secret_key).map_err(fail)?;
        file.sync_all().map_err(fail)
    }

    /// Environment, else file, else (where the store has no root yet) generated and written.
    /// `None`: the store has a root whose keys once came from the environment; they stay.
    pub(crate) fn find(
        dir: &Path,
        has_root: bool,
        entropy: &dyn Entropy,
    ) -> Result<Option<(Self, Origin)>, Fatal> {
        if let Some(found) = Self::from_environment()? {
            return Ok(Some((found, Origin::Environment)));
        }
        if let Some(found) = Self::read(dir)? {
            return Ok(Some((found, Origin::File)));
        }
        if has_root {
            return Ok(None);
        }
        let fresh = Self::generate(entropy);
        fresh.write(dir)?;
        Ok(Some((fresh, Origin::Generated)))
    }

    fn checked(self) -> Result<Self, Fatal> {
        let (shortest, longest) = limits::ACCESS_KEY_LEN;
        if !(shortest..=longest).contains(&self.access_key.len()) {
            let why = format!("the access key must have {shortest} to {longest} characters");
            return Err(Fatal::new("root credentials", why));
        }
        if self.secret_key.len() < limits::SECRET_KEY_LEN_MIN {
            let why = format!(
                "the secret key must have {} characters or more",
                limits::SECRET_KEY_LEN_MIN
            );
            return Err(Fatal::new("root credentials", why));
        }
        Ok(self)
    }
}

fn variable(name: &str) -> Result<Option<String>, Fatal> {
    let file_name = format!("{name}_FILE");
    match (std::env::var(name), std::env::var(&file_name)) {
        (Ok(_), Ok(_)) => Err(Fatal::new(name, format!("set it or {file_name}, not both"))),
        (Ok(value), Err(_)) => Ok(Some(value)),
        (Err(_), Ok(path)) => std::fs::read_to_string(&path)
            .map(|text| Some(text.trim_end_matches(['\r', '\n']).to_owned()))
            .map_err(|error| Fatal::new(path, error)),
        (Err(_), Err(_)) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_world::real::OsEntropy;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn generated_ones_are_kept_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Credentials::read(dir.path()).unwrap(), None);
        let fresh = Credentials::generate(&OsEntropy);
        assert_ne!(fresh, Credentials::generate(&OsEntropy));
        assert_eq!((fresh.access_key.len(), fresh.secret_key.len()), (20, 40));
        fresh.write(dir.path()).unwrap();
        let mode = dir
            .path()
            .join(FILE)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(Credentials::read(dir.path()).unwrap(), Some(fresh.clone()));
        assert!(fresh.write(dir.path()).is_err(), "never overwritten");
        assert!(!format!("{fresh:?}").contains(&fresh.secret_key));
    }

    #[test]
    fn short_ones_and_halves_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "abc\n", "ab\n12345678\n", "abc\n1234567\n"] {
            std::fs::write(dir.path().join(FILE), text).unwrap();
            assert!(Credentials::read(dir.path()).is_err(), "{text:?}");
        }
        std::fs::write(dir.path().join(FILE), "abc\n12345678\n").unwrap();
        assert!(Credentials::read(dir.path()).unwrap().is_some());
    }
}
