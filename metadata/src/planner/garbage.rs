//! Which commands a round of garbage work proposes. Pure.

use cairn_model::limits;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{
    AbortUpload, BeginDelete, Condemned, EndSession, ForgetBucket, GarbageAnswer, ReleasePage,
};

/// Commands in the order they should be proposed.
#[must_use]
pub fn plan(work: &GarbageAnswer) -> Vec<Command> {
    let mut commands = Vec::new();
    for end in &work.ends {
        commands.push(Command::EndSession(EndSession {
            target: end.session,
            expired: false,
        }));
    }
    for abort in &work.aborts {
        commands.push(Command::AbortUpload(AbortUpload {
            bucket: abort.bucket,
            key: abort.key.clone(),
            upload: abort.upload.clone(),
        }));
    }
    for bucket in &work.dead_buckets {
        if !work.aborts.iter().any(|abort| abort.bucket == *bucket) {
            commands.push(Command::ForgetBucket(ForgetBucket { bucket: *bucket }));
        }
    }
    for release in &work.releases {
        commands.push(Command::ReleasePage(ReleasePage {
            manifest: release.manifest.clone(),
            page: release.page,
            epoch: release.epoch,
        }));
    }
    for items in work.deletable.chunks(limits::DELETE_CHUNKS_PER_ENTRY) {
        let named = |item: &Condemned| Condemned {
            disks: Vec::new(),
            ..item.clone()
        };
        commands.push(Command::BeginDelete(BeginDelete {
            items: items.iter().map(named).collect(),
        }));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_wire::metadata::{AbortWork, EndWork, ReleaseWork};

    #[test]
    fn an_empty_round_proposes_nothing() {
        assert!(plan(&GarbageAnswer::default()).is_empty());
    }

    #[test]
    fn a_dead_bucket_is_forgotten_only_after_its_uploads() {
        let mut work = GarbageAnswer {
            dead_buckets: vec![7],
            ..GarbageAnswer::default()
        };
        work.aborts.push(AbortWork {
            bucket: 7,
            ..AbortWork::default()
        });
        assert!(matches!(plan(&work).as_slice(), [Command::AbortUpload(_)]));
        work.aborts.clear();
        assert!(matches!(
            plan(&work).as_slice(),
            [Command::ForgetBucket(ForgetBucket { bucket: 7 })]
        ));
    }

    #[test]
    fn deletes_are_cut_to_the_size_of_an_entry() {
        let work = GarbageAnswer {
            deletable: vec![Condemned::default(); limits::DELETE_CHUNKS_PER_ENTRY + 1],
            ends: vec![EndWork { session: 1 }],
            releases: vec![ReleaseWork::default()],
            ..GarbageAnswer::default()
        };
        let sizes: Vec<usize> = plan(&work)
            .iter()
            .filter_map(|command| match command {
                Command::BeginDelete(delete) => Some(delete.items.len()),
                _ => None,
            })
            .collect();
        assert_eq!(sizes, [limits::DELETE_CHUNKS_PER_ENTRY, 1]);
    }
}
