//! `cairn restore`: the offline acts after a disaster. See `docs/adr/0019-restore.md`.
//!
//! ```text
//!   a voter's directory, or a copy of one    ──> a cluster of that voter alone, in the next generation
//!   --disks-only: the other voters' machines ──> storage nodes; their history is put aside
//!   --look                                   ──> how far a voter's log goes, to choose the furthest
//! ```

use std::path::Path;
use std::sync::Arc;

use cairn_metadata::journal::JournalError;
use cairn_metadata::raft::{ForceError, Member, RaftSettings, look_at_log};
use cairn_metadata::restore::restore;
use cairn_rpc::quic::Role;
use cairn_wire::metadata::Role as NodeRole;
use cairn_world::Disk;
use cairn_world::real::{OsEntropy, RealDisk};

use crate::args::RestoreArgs;
use crate::houses::METADATA;
use crate::identity::Directories;
use crate::member::home::Home;
use crate::{Fatal, console};

/// What is left of the metadata of a node that gave it up.
const PUT_ASIDE: &str = "metadata-put-aside";

/// Does what is asked with a directory that nobody uses.
pub(crate) fn run(args: &RestoreArgs) -> Result<(), Fatal> {
    let node = Stopped::open(&args.dir)?;
    if args.disks_only {
        return node.keep_disks_only();
    }
    let (settings, disk) = (node.settings(), Arc::clone(&node.disk));
    if args.look {
        let last = look_at_log(&settings, disk, &OsEntropy).map_err(|error| node.fail(&error))?;
        let (term, index) = (last.term, last.index);
        console::line(format_args!(
            "the log ends at term {term}, index {index}: of several voters take the highest term, then the highest index"
        ));
        return Ok(());
    }
    // First: an old voter that is let in by mistake must not be heard by the first start.
    let alone = node.alone()?;
    let end = restore(&settings, disk, &OsEntropy, &alone, args.generation)
        .map_err(|error| node.fail(&error))?;
    console::line(format_args!(
        "{} is a cluster of one voter now, from log index {} on. Start it as before. Nothing is deleted until every disk has been looked at.",
        args.dir.display(),
        end.index
    ));
    console::line(
        "Never start another voter of the old cluster again with its metadata: `cairn restore --disks-only DIR` makes a storage node of it.",
    );
    Ok(())
}

/// A directory with metadata whose process has stopped.
struct Stopped<'a> {
    dir: &'a Path,
    directories: Directories,
    home: Option<Home>,
    disk: Arc<dyn Disk>,
}

impl<'a> Stopped<'a> {
    fn open(dir: &'a Path) -> Result<Self, Fatal> {
        let refused = |why: &str| Fatal::new(dir.display(), why);
        let directories = Directories::existing(dir)?;
        let home = Home::open(dir)?;
        let votes = |home: &Home| home.profile.roles.has(Role::MetadataVoter);
        if !home.as_ref().is_none_or(votes) {
            return Err(refused(
                "the node keeps no metadata: this wants a voter's directory",
            ));
        }
        let metadata = dir.join(METADATA);
        if !metadata.is_dir() {
            return Err(refused(
                "it holds no metadata: this wants a voter's first directory",
            ));
        }
        let disk = RealDisk::open(&metadata).map_err(|error| Fatal::new(dir.display(), error))?;
        Ok(Self {
            dir,
            directories,
            home,
            disk: Arc::new(disk),
        })
    }

    fn settings(&self) -> RaftSettings {
        RaftSettings::new(self.directories.cluster, self.directories.node.0)
    }

    fn fail(&self, error: &ForceError) -> Fatal {
        Fatal::new(self.dir.display(), error)
    }

    /// Who goes on. In the list of members that the next start reads, no other has a vote.
    fn alone(&self) -> Result<Member, Fatal> {
        let id = self.directories.node.0;
        let mut address = String::new();
        if let Some(home) = &self.home {
            let mut members = home.members()?;
            for node in &mut members.nodes {
                if node.node == id {
                    address.clone_from(&node.address);
                } else {
                    node.roles &= !(NodeRole::Metadata as u32);
                }
            }
            members
                .nodes
                .retain(|node| node.roles != NodeRole::None as u32);
            home.keep_members(&members)?;
        }
        Ok(Member { id, address })
    }

    /// Makes a storage node of a voter: what it stores stays, what it knows is another history.
    fn keep_disks_only(self) -> Result<(), Fatal> {
        let refused = |why: &str| Fatal::new(self.dir.display(), why);
        let Some(mut home) = self.home else {
            return Err(refused(
                "a store of one process has nothing but its metadata to go by",
            ));
        };
        // Only to see that nobody uses it: whether it is damaged does not matter any more.
        let settings = RaftSettings::new(self.directories.cluster, self.directories.node.0);
        if let Err(ForceError::Journal(error)) = look_at_log(&settings, self.disk, &OsEntropy)
            && error == JournalError::Locked
        {
            return Err(Fatal::new(self.dir.display(), error));
        }
        home.give_up_metadata()?;
        let (from, to) = (self.dir.join(METADATA), self.dir.join(PUT_ASIDE));
        std::fs::rename(&from, &to).map_err(|error| Fatal::new(from.display(), error))?;
        console::line(format_args!(
            "{} is a storage node now; its metadata is put aside in {PUT_ASIDE}. Start it without --metadata and --init.",
            self.dir.display()
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(dir: &Path) -> String {
        let args = RestoreArgs {
            dir: dir.to_path_buf(),
            generation: 0,
            look: false,
            disks_only: false,
        };
        run(&args).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_voters_directory_is_refused_and_left_alone() {
        let root = tempfile::tempdir().unwrap();
        assert!(refused(root.path()).contains("no directory of cairn"));
        assert!(refused(&root.path().join("none")).contains("no directory of cairn"));
        let dirs = [root.path().join("a")];
        Directories::open(&dirs, &OsEntropy).unwrap();
        assert!(refused(&dirs[0]).contains("holds no metadata"));
        std::fs::create_dir(dirs[0].join(METADATA)).unwrap();
        assert!(
            refused(&dirs[0]).contains("no log"),
            "{}",
            refused(&dirs[0])
        );
    }
}
