//! Names inside a data directory, checked before anything touches them.

use std::io;

/// Longest part between two slashes, in bytes (what Linux file systems take).
const PART_LEN_MAX: usize = 255;

/// Accepts a file's name: one or more plain parts.
pub(crate) fn file(name: &str) -> io::Result<&str> {
    if name.is_empty() {
        return Err(refused(name));
    }
    directory(name)
}

/// Accepts a directory's name: as a file's, or empty for the root.
pub(crate) fn directory(name: &str) -> io::Result<&str> {
    if name.is_empty() || name.split('/').all(plain) {
        Ok(name)
    } else {
        Err(refused(name))
    }
}

/// The directory a name lies in (`""` is the root).
pub(crate) fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// The last part of a name.
pub(crate) fn base(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, base)| base)
}

fn plain(part: &str) -> bool {
    !matches!(part, "" | "." | "..") && part.len() <= PART_LEN_MAX && !part.contains('\0')
}

fn refused(name: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("not a name in a data directory: {name:?}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        for bad in [
            "/", "/etc", "a/", "a//b", ".", "..", "a/../b", "./a", "a/.", "a\0b",
        ] {
            assert!(file(bad).is_err(), "{bad:?}");
            assert!(directory(bad).is_err(), "{bad:?}");
        }
        assert!(file(&"x".repeat(256)).is_err());
        assert!(file("").is_err(), "the root is no file");
    }

    #[test]
    fn plain_names_are_taken_apart() {
        assert_eq!(file("a/b..c/.d").unwrap(), "a/b..c/.d");
        assert_eq!(directory("").unwrap(), "");
        assert_eq!((parent("a/b/c"), base("a/b/c")), ("a/b", "c"));
        assert_eq!((parent("a"), base("a")), ("", "a"));
    }
}
