//! The names on a simulated disk: what is seen, what surely survives, and the doubt between.

use super::super::entropy::SeededRng;
use super::mood::Mood;
use crate::name;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// A file, whatever its names.
pub(super) type FileNumber = u64;

/// Earlier states of names since they were last durable, oldest first.
type Doubt = BTreeMap<String, Vec<Option<FileNumber>>>;

/// Names. Directories are durable as soon as they are made.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    dirs: BTreeSet<String>,
    now: BTreeMap<String, FileNumber>,
    platter: BTreeMap<String, FileNumber>,
    unsynced: Doubt,
    /// Left behind by failed syncs of their directory.
    doubtful: Doubt,
}

impl Tree {
    pub(super) fn find(&self, name: &str) -> io::Result<FileNumber> {
        if self.is_dir(name) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.check_dir(name::parent(name))?;
        self.now
            .get(name)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Checks that `dir` exists.
    pub(super) fn check_dir(&self, dir: &str) -> io::Result<()> {
        if self.is_dir(dir) {
            return Ok(());
        }
        let mut above = dir;
        while !above.is_empty() {
            if self.now.contains_key(above) {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            above = name::parent(above);
        }
        Err(io::ErrorKind::NotFound.into())
    }

    pub(super) fn create_dir(&mut self, dir: &str) -> io::Result<()> {
        let mut made = BTreeSet::new();
        let mut at = dir;
        while !at.is_empty() {
            if self.now.contains_key(at) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            made.insert(at.to_owned());
            at = name::parent(at);
        }
        self.dirs.append(&mut made);
        Ok(())
    }

    pub(super) fn list(&self, dir: &str) -> Vec<String> {
        let inside = self.now.keys().filter(|path| name::parent(path) == dir);
        inside.map(|path| name::base(path).to_owned()).collect()
    }

    /// Points `name` at a file, or at nothing.
    pub(super) fn set(&mut self, name: &str, file: Option<FileNumber>) {
        let before = match file {
            Some(number) => self.now.insert(name.to_owned(), number),
            None => self.now.remove(name),
        };
        let aside = self.doubtful.remove(name);
        match (self.unsynced.get_mut(name), aside) {
            (Some(states), _) => states.push(before),
            (None, Some(mut states)) => {
                states.push(before);
                self.unsynced.insert(name.to_owned(), states);
            }
            (None, None) => {
                self.unsynced.insert(name.to_owned(), Vec::new());
            }
        }
    }

    /// A good sync of `dir`.
    pub(super) fn sync(&mut self, dir: &str) {
        for (name, _) in self.take_unsynced(dir) {
            match self.now.get(&name) {
                Some(file) => self.platter.insert(name, *file),
                None => self.platter.remove(&name),
            };
        }
    }

    /// A failed sync of `dir`.
    pub(super) fn fail_sync(&mut self, dir: &str) {
        let doubt = self.take_unsynced(dir);
        self.doubtful.extend(doubt);
    }

    /// Files that a name leads to now.
    pub(super) fn visible(&self) -> BTreeSet<FileNumber> {
        self.now.values().copied().collect()
    }

    /// Files that a name may lead to after a crash.
    pub(super) fn possible(&self) -> BTreeSet<FileNumber> {
        let older = self
            .unsynced
            .values()
            .chain(self.doubtful.values())
            .flatten()
            .flatten();
        self.now
            .values()
            .chain(self.platter.values())
            .chain(older)
            .copied()
            .collect()
    }

    /// What a crash leaves: every doubtful name on its own, so a rename may leave either name,
    /// both, or none.
    pub(super) fn after_crash(&self, rng: &mut SeededRng) -> Self {
        let mut left = self.platter.clone();
        let mut open = self.doubtful.clone();
        open.extend(
            self.unsynced
                .iter()
                .map(|(name, states)| (name.clone(), states.clone())),
        );
        let mut mood = Mood::draw(rng, open.len());
        for (name, mut states) in open {
            states.push(self.now.get(&name).copied());
            match mood.choose(rng, states.len()).and_then(|i| states.get(i)) {
                Some(Some(file)) => left.insert(name, *file),
                Some(None) => left.remove(&name),
                None => continue,
            };
        }
        Self {
            dirs: self.dirs.clone(),
            now: left.clone(),
            platter: left,
            ..Self::default()
        }
    }

    fn is_dir(&self, dir: &str) -> bool {
        dir.is_empty() || self.dirs.contains(dir)
    }

    fn take_unsynced(&mut self, dir: &str) -> Doubt {
        let all = std::mem::take(&mut self.unsynced);
        let (taken, rest) = all
            .into_iter()
            .partition(|(name, _)| name::parent(name) == dir);
        self.unsynced = rest;
        taken
    }
}
