//! What only the real disk can show; behaviours shared with the simulation are in `crate::disk`.

use super::*;
use crate::AlignedBuf;

fn limited(limit: impl FnOnce(&mut Capabilities)) -> (tempfile::TempDir, RealDisk) {
    let dir = tempfile::tempdir().unwrap();
    let mut disk = RealDisk::open(dir.path()).unwrap();
    limit(&mut disk.capabilities);
    (dir, disk)
}

#[test]
fn a_missing_directory_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("not-mounted");
    assert_eq!(
        RealDisk::open(&path).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
    assert!(!path.exists());
}

#[test]
fn a_file_is_not_a_data_directory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(
        RealDisk::open(file.path()).unwrap_err().kind(),
        io::ErrorKind::NotADirectory
    );
}

#[test]
fn the_probe_leaves_nothing_behind() {
    let (dir, disk) = limited(|_| {});
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(disk.capabilities().alignment.is_power_of_two());
}

#[test]
fn a_refused_direct_open_is_served_buffered_under_the_same_rules() {
    let (_dir, disk) = limited(|can| can.direct = false);
    let file = disk
        .open("seg", OpenMode::CreateNew, Access::Direct)
        .unwrap();
    let mut page = AlignedBuf::zeroed(4_096);
    page.as_mut_slice()[0] = 9;
    file.write_at(page.as_slice(), 4_096).unwrap();
    assert!(file.write_at(&page.as_slice()[..512], 0).is_err());
    assert_eq!(file.read_at(page.as_mut_slice(), 4_096).unwrap(), 4_096);
    assert_eq!(page.as_slice()[0], 9);
}

#[test]
fn without_fallocate_zeros_are_written_and_data_stays() {
    for access in [Access::Buffered, Access::Direct] {
        let (_dir, disk) = limited(|can| can.allocate = false);
        let file = disk.open("seg", OpenMode::CreateNew, access).unwrap();
        let mut page = AlignedBuf::zeroed(4_096);
        page.as_mut_slice().fill(7);
        file.write_at(page.as_slice(), 0).unwrap();
        file.set_len(5_000).unwrap();
        file.allocate(0, (3 << 20) + 77).unwrap();
        assert_eq!(file.len().unwrap(), (3 << 20) + 77);
        let mut seen = AlignedBuf::zeroed(8_192);
        file.read_at(seen.as_mut_slice(), 0).unwrap();
        assert!(seen.as_slice()[..4_096].iter().all(|byte| *byte == 7));
        assert!(seen.as_slice()[4_096..].iter().all(|byte| *byte == 0));
        file.allocate(0, 10).unwrap();
        assert_eq!(
            file.len().unwrap(),
            (3 << 20) + 77,
            "reserving less never cuts"
        );
    }
}

#[test]
fn without_hole_punching_it_is_refused() {
    let (_dir, disk) = limited(|can| can.punch = false);
    let file = disk
        .open("seg", OpenMode::CreateNew, Access::Buffered)
        .unwrap();
    assert_eq!(
        file.punch(0, 4_096).unwrap_err().kind(),
        io::ErrorKind::Unsupported
    );
}

#[test]
fn punching_gives_blocks_back() {
    use std::os::unix::fs::MetadataExt;
    let (dir, disk) = limited(|_| {});
    if !disk.capabilities().punch || !disk.capabilities().allocate {
        return;
    }
    let file = disk
        .open("seg", OpenMode::CreateNew, Access::Buffered)
        .unwrap();
    file.allocate(0, 1 << 20).unwrap();
    let blocks = || fs::metadata(dir.path().join("seg")).unwrap().blocks();
    let before = blocks();
    file.punch(0, 1 << 19).unwrap();
    assert!(blocks() < before);
    assert_eq!(file.len().unwrap(), 1 << 20);
}

#[test]
fn files_and_directories_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, disk) = limited(|_| {});
    disk.create_dir("a/b").unwrap();
    disk.open("a/b/f", OpenMode::CreateNew, Access::Buffered)
        .unwrap();
    let mode = |name: &str| {
        fs::metadata(dir.path().join(name))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(mode("a/b/f") & 0o077, 0);
    assert_eq!(mode("a") & 0o077, 0);
}

#[test]
fn paths_are_real_and_stay_inside() {
    let (dir, disk) = limited(|_| {});
    assert_eq!(disk.path("meta/db").unwrap(), dir.path().join("meta/db"));
    assert_eq!(disk.path("").unwrap(), dir.path());
    assert!(disk.path("../x").is_none());
}
