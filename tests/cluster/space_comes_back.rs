//! The space of deleted objects comes back on the disks of all nodes.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cairn_tests::cluster::Cluster;
use cairn_tests::damage;
use cairn_tests::objects::Objects;
use cairn_tests::patience::eventually;

/// Together 200 MiB.
const LENGTHS: [usize; 13] = [
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    16 << 20,
    8 << 20,
];
/// Sessions last a minute, and what was deleted waits for those begun before.
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
fn deleted_objects_give_their_space_back() {
    let cluster = Cluster::start();
    let client = cluster.client(0);
    let mut objects = Objects::new(&client, "space");
    objects.write(&client, &LENGTHS);
    let written: Vec<Usage> = directories(&cluster).map(Usage::of).collect();
    objects.delete(&client);
    let bytes = LENGTHS.iter().map(|length| *length as u64).sum::<u64>();
    // Of six shards of a fourth each; the last tenth may lie beside others that stay.
    let wanted = bytes * 6 / 4 * 9 / 10;
    let back = eventually("space comes back", PATIENCE, || {
        std::thread::sleep(Duration::from_secs(1));
        let back: Vec<u64> = written.iter().map(Usage::given_back).collect();
        if back.iter().sum::<u64>() >= wanted {
            Ok(back)
        } else {
            Err(format!("{back:?} of {wanted} bytes"))
        }
    });
    assert!(
        back.iter().all(|bytes| *bytes > 0),
        "a node gave nothing back: {back:?}"
    );
}

fn directories(cluster: &Cluster) -> impl Iterator<Item = &Path> {
    cluster.nodes.iter().map(|node| node.directory.as_path())
}

/// What the segments of a node took on disk. Those that are made later are not counted: a segment
/// is allocated whole when it is begun, for a single tombstone too.
#[derive(Debug)]
struct Usage(Vec<(PathBuf, u64)>);

impl Usage {
    fn of(directory: &Path) -> Self {
        let segments = damage::segments(directory).into_iter();
        Self(
            segments
                .map(|path| (path.clone(), allocated(&path)))
                .collect(),
        )
    }

    fn given_back(&self) -> u64 {
        let back = |(path, before): &(PathBuf, u64)| before.saturating_sub(allocated(path));
        self.0.iter().map(back).sum()
    }
}

/// Bytes a file takes; none where it is gone.
fn allocated(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.blocks() * 512)
}
