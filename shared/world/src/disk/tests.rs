//! One suite of behaviours, held by the real disk and by the simulated one.

use super::*;
use crate::AlignedBuf;
use crate::real::RealDisk;
use crate::sim::SimDisk;
use std::io::ErrorKind;

/// Runs `behaviour` on a fresh disk of each kind.
fn on_both(behaviour: impl Fn(&dyn Disk)) {
    behaviour(&SimDisk::new(1));
    let dir = tempfile::tempdir().unwrap();
    behaviour(&RealDisk::open(dir.path()).unwrap());
}

fn create(disk: &dyn Disk, name: &str) -> Arc<dyn DiskFile> {
    disk.open(name, OpenMode::CreateNew, Access::Buffered)
        .unwrap()
}

fn open_error(disk: &dyn Disk, name: &str, mode: OpenMode) -> ErrorKind {
    disk.open(name, mode, Access::Buffered).unwrap_err().kind()
}

fn content(file: &dyn DiskFile) -> Vec<u8> {
    let mut bytes = vec![0xEE; usize::try_from(file.len().unwrap()).unwrap() + 10];
    let got = file.read_at(&mut bytes, 0).unwrap();
    assert!(
        bytes[got..].iter().all(|byte| *byte == 0xEE),
        "bytes past the count stay untouched"
    );
    bytes.truncate(got);
    bytes
}

#[test]
fn what_is_written_is_read_back_by_every_handle() {
    on_both(|disk| {
        let file = create(disk, "f");
        file.write_at(b"hello world", 0).unwrap();
        file.write_at(b"W", 6).unwrap();
        let again = disk
            .open("f", OpenMode::Existing, Access::Buffered)
            .unwrap();
        assert_eq!(content(&*again), b"hello World");
        let mut middle = [0; 3];
        assert_eq!(
            again.read_at(&mut middle, 9).unwrap(),
            2,
            "short only at the end"
        );
        assert_eq!(&middle[..2], b"ld");
        assert_eq!(again.read_at(&mut middle, 11).unwrap(), 0);
        assert_eq!(again.read_at(&mut middle, 1 << 40).unwrap(), 0);
    });
}

#[test]
fn a_write_past_the_end_leaves_zeros_between() {
    on_both(|disk| {
        let file = create(disk, "f");
        assert!(file.is_empty().unwrap());
        file.write_at(b"end", 9_000).unwrap();
        assert_eq!(file.len().unwrap(), 9_003);
        assert!(content(&*file)[..9_000].iter().all(|byte| *byte == 0));
        file.write_at(b"", 20_000).unwrap();
        assert_eq!(file.len().unwrap(), 9_003, "writing nothing grows nothing");
    });
}

#[test]
fn cutting_and_growing_again_gives_zeros() {
    on_both(|disk| {
        let file = create(disk, "f");
        file.write_at(&[7; 10_000], 0).unwrap();
        file.set_len(700).unwrap();
        file.set_len(10_000).unwrap();
        let bytes = content(&*file);
        assert!(bytes[..700].iter().all(|byte| *byte == 7));
        assert!(bytes[700..].iter().all(|byte| *byte == 0));
    });
}

#[test]
fn a_reservation_grows_reads_as_zeros_and_keeps_data() {
    on_both(|disk| {
        let file = create(disk, "f");
        file.write_at(&[7; 100], 0).unwrap();
        file.allocate(0, 100_000).unwrap();
        let bytes = content(&*file);
        assert_eq!(bytes.len(), 100_000);
        assert!(bytes[..100].iter().all(|byte| *byte == 7));
        assert!(bytes[100..].iter().all(|byte| *byte == 0));
        file.allocate(10, 0).unwrap();
    });
}

#[test]
fn a_punched_range_reads_as_zeros_and_the_rest_stays() {
    on_both(|disk| {
        let file = create(disk, "f");
        file.write_at(&[7; 20_000], 0).unwrap();
        file.punch(1_000, 12_000).unwrap();
        let bytes = content(&*file);
        assert_eq!(bytes.len(), 20_000);
        for (at, byte) in bytes.iter().enumerate() {
            assert_eq!(*byte == 0, (1_000..13_000).contains(&at), "at {at}");
        }
        file.punch(5, 0).unwrap();
    });
}

#[test]
fn direct_io_needs_aligned_offset_length_and_address() {
    on_both(|disk| {
        let unit = disk.capabilities().alignment;
        let file = disk.open("f", OpenMode::CreateNew, Access::Direct).unwrap();
        let mut buf = AlignedBuf::zeroed(2 * unit as usize);
        buf.as_mut_slice().fill(3);
        file.write_at(buf.as_slice(), u64::from(unit)).unwrap();
        let short = unit as usize - 1;
        for refused in [
            file.write_at(buf.as_slice(), 512),
            file.write_at(&buf.as_slice()[..short], 0),
            file.write_at(&buf.as_slice()[1..=unit as usize], 0),
            file.read_at(&mut buf.as_mut_slice()[..short], 0).map(drop),
            file.read_at(buf.as_mut_slice(), 7).map(drop),
        ] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        let buffered = disk
            .open("f", OpenMode::Existing, Access::Buffered)
            .unwrap();
        let bytes = content(&*buffered);
        assert!(bytes[..unit as usize].iter().all(|byte| *byte == 0));
        assert!(bytes[unit as usize..].iter().all(|byte| *byte == 3));
    });
}

#[test]
fn a_direct_read_ends_short_at_an_unaligned_end() {
    on_both(|disk| {
        let file = create(disk, "f");
        file.write_at(&[5; 5_000], 0).unwrap();
        file.sync().unwrap();
        let direct = disk.open("f", OpenMode::Existing, Access::Direct).unwrap();
        let mut buf = AlignedBuf::zeroed(16_384);
        assert_eq!(direct.read_at(buf.as_mut_slice(), 0).unwrap(), 5_000);
        assert_eq!(direct.read_at(buf.as_mut_slice(), 4_096).unwrap(), 904);
    });
}

#[test]
fn opening_is_strict_about_existence() {
    on_both(|disk| {
        assert_eq!(
            open_error(disk, "f", OpenMode::Existing),
            ErrorKind::NotFound
        );
        create(disk, "f");
        assert_eq!(
            open_error(disk, "f", OpenMode::CreateNew),
            ErrorKind::AlreadyExists
        );
        assert_eq!(
            open_error(disk, "d/f", OpenMode::CreateNew),
            ErrorKind::NotFound
        );
        assert_eq!(
            open_error(disk, "f/x", OpenMode::CreateNew),
            ErrorKind::NotADirectory
        );
        disk.create_dir("d").unwrap();
        assert_eq!(
            open_error(disk, "d", OpenMode::Existing),
            ErrorKind::IsADirectory
        );
        assert_eq!(
            open_error(disk, "d", OpenMode::CreateNew),
            ErrorKind::AlreadyExists
        );
    });
}

#[test]
fn names_that_leave_the_directory_are_refused_everywhere() {
    on_both(|disk| {
        create(disk, "ok");
        for bad in ["../x", "/etc/passwd", "a/../../x", "./x", "x/", ""] {
            assert_eq!(
                open_error(disk, bad, OpenMode::CreateNew),
                ErrorKind::InvalidInput,
                "{bad:?}"
            );
            assert_eq!(
                disk.remove(bad).unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
            assert_eq!(
                disk.rename("ok", bad).unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
            assert_eq!(disk.lock(bad).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(
            disk.create_dir("../x").unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(disk.list("..").unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(
            disk.sync_dir("..").unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    });
}

#[test]
fn a_list_has_the_files_of_one_directory_sorted() {
    on_both(|disk| {
        disk.create_dir("d/sub").unwrap();
        disk.create_dir("d/sub").unwrap();
        for name in ["d/b", "d/a", "d/sub/c", "root"] {
            create(disk, name);
        }
        assert_eq!(disk.list("d").unwrap(), ["a", "b"]);
        assert_eq!(disk.list("").unwrap(), ["root"]);
        assert_eq!(disk.list("d/sub").unwrap(), ["c"]);
        assert_eq!(disk.list("none").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(
            disk.create_dir("root").unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        assert_eq!(
            disk.create_dir("root/x").unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
    });
}

#[test]
fn a_removed_file_lives_on_in_its_handle_only() {
    on_both(|disk| {
        let file = create(disk, "f");
        file.write_at(b"still", 0).unwrap();
        disk.remove("f").unwrap();
        assert_eq!(disk.remove("f").unwrap_err().kind(), ErrorKind::NotFound);
        disk.sync_dir("").unwrap();
        assert_eq!(content(&*file), b"still");
        assert!(
            content(&*create(disk, "f")).is_empty(),
            "a new file of that name is another"
        );
    });
}

#[test]
fn a_rename_replaces_its_target() {
    on_both(|disk| {
        disk.create_dir("d").unwrap();
        disk.create_dir("e").unwrap();
        create(disk, "new").write_at(b"new", 0).unwrap();
        create(disk, "d/old").write_at(b"older", 0).unwrap();
        disk.rename("new", "d/old").unwrap();
        disk.rename("d/old", "d/old").unwrap();
        assert!(disk.list("").unwrap().is_empty());
        let file = disk
            .open("d/old", OpenMode::Existing, Access::Buffered)
            .unwrap();
        assert_eq!(content(&*file), b"new");
        assert_eq!(
            disk.rename("gone", "x").unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(
            disk.rename("d/old", "none/x").unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(
            disk.rename("d", "x").unwrap_err().kind(),
            ErrorKind::IsADirectory
        );
        assert_eq!(
            disk.rename("d/old", "e").unwrap_err().kind(),
            ErrorKind::IsADirectory
        );
        assert_eq!(
            disk.remove("d").unwrap_err().kind(),
            ErrorKind::IsADirectory
        );
    });
}

#[test]
fn a_lock_has_one_holder_until_it_is_dropped() {
    on_both(|disk| {
        let held = disk.lock("LOCK").unwrap();
        assert_eq!(disk.lock("LOCK").unwrap_err().kind(), ErrorKind::WouldBlock);
        disk.lock("OTHER").unwrap();
        drop(held);
        disk.lock("LOCK").unwrap();
        assert_eq!(disk.list("").unwrap(), ["LOCK", "OTHER"]);
    });
}

#[test]
fn syncs_succeed_and_space_is_plausible() {
    on_both(|disk| {
        disk.create_dir("d").unwrap();
        let file = create(disk, "d/f");
        file.write_at(&[1; 4_096], 0).unwrap();
        file.sync().unwrap();
        disk.sync_dir("d").unwrap();
        disk.sync_dir("").unwrap();
        assert!(disk.sync_dir("none").is_err());
        let space = disk.space().unwrap();
        assert!(0 < space.free && space.free <= space.total, "{space:?}");
    });
}

#[test]
fn offsets_no_file_can_have_are_refused() {
    on_both(|disk| {
        let file = create(disk, "f");
        assert!(file.write_at(b"x", u64::MAX).is_err());
        assert!(file.set_len(u64::MAX).is_err());
        assert!(file.allocate(u64::MAX, 2).is_err());
        assert!(file.punch(u64::MAX, 2).is_err());
        assert!(file.read_at(&mut [0; 2], u64::MAX).is_err());
        assert_eq!(file.len().unwrap(), 0);
    });
}
