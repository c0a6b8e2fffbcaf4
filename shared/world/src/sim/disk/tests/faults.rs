//! Errors, space and rot, as told.

use super::*;
use crate::AlignedBuf;
use crate::sim::FaultOn;
use io::ErrorKind;

fn is_eio(result: io::Result<impl Sized>) -> bool {
    result.err().and_then(|error| error.raw_os_error()) == Some(5)
}

#[test]
fn eio_comes_where_planned() {
    let disk = SimDisk::new(1);
    let (good, bad) = (
        durable(&disk, "good", &[1; 100]),
        durable(&disk, "bad", &[1; 100]),
    );
    disk.inject(Fault::new(FaultOn::Read).named("bad").nth(2).lasting());
    disk.inject(Fault::new(FaultOn::SyncDir));
    let read = |file: &dyn DiskFile| file.read_at(&mut [0; 10], 0);
    assert!(read(&*bad).is_ok());
    assert!(is_eio(read(&*bad)) && is_eio(read(&*bad)));
    assert!(read(&*good).is_ok());
    assert!(is_eio(disk.sync_dir("")) && disk.sync_dir("").is_ok());
    assert!(
        is_eio(
            disk.after_crash(0)
                .open("bad", OpenMode::Existing, Access::Buffered)
                .and_then(|file| file.read_at(&mut [0; 10], 0),)
        ),
        "a bad disk is bad after a reboot too"
    );
    disk.clear_faults();
    assert!(read(&*bad).is_ok());
}

#[test]
fn a_failed_write_arrives_in_part() {
    let mut partly = false;
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let file = durable(&disk, "f", &[1; 4_096]);
        disk.inject(Fault::new(FaultOn::Write));
        assert!(is_eio(file.write_at(&[2; 4_096], 0)));
        let bytes = content(&disk, "f").unwrap();
        let arrived = bytes.iter().filter(|byte| **byte == 2).count();
        assert_eq!(arrived % 512, 0);
        partly |= (1..4_096).contains(&arrived);
    }
    assert!(partly);
}

#[test]
fn a_failed_sync_leaves_its_bytes_in_doubt_through_later_good_ones() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "f", &[1; 1_024]);
    file.write_at(&[2; 512], 0).unwrap();
    disk.inject(Fault::new(FaultOn::Sync));
    assert!(is_eio(file.sync()));
    file.write_at(&[3; 512], 512).unwrap();
    file.sync().unwrap();
    let seen: Vec<_> = outcomes(&disk, "f").into_iter().flatten().collect();
    assert!(
        seen.iter().all(|bytes| bytes[512] == 3),
        "synced well after the failure: sure"
    );
    assert!(
        seen.iter().any(|bytes| bytes[0] == 1),
        "a retried sync makes nothing sure"
    );
    assert!(seen.iter().any(|bytes| bytes[0] == 2));
    file.write_at(&[4; 512], 0).unwrap();
    file.sync().unwrap();
    assert!(
        outcomes(&disk, "f")
            .into_iter()
            .flatten()
            .all(|bytes| bytes[0] == 4)
    );
}

#[test]
fn a_failed_sync_leaves_the_length_in_doubt_too() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "f", &[1; 100]);
    file.write_at(&[2; 100], 100).unwrap();
    disk.inject(Fault::new(FaultOn::Sync));
    assert!(is_eio(file.sync()));
    file.sync().unwrap();
    assert!(
        outcomes(&disk, "f")
            .into_iter()
            .flatten()
            .any(|bytes| bytes.len() == 100)
    );
    file.write_at(&[3; 10], 200).unwrap();
    file.sync().unwrap();
    assert!(
        outcomes(&disk, "f")
            .into_iter()
            .flatten()
            .all(|bytes| bytes.len() == 210)
    );
}

#[test]
fn a_failed_directory_sync_leaves_its_names_in_doubt() {
    let disk = SimDisk::new(1);
    create(&disk, "f");
    disk.remove("f").unwrap();
    create(&disk, "f");
    disk.inject(Fault::new(FaultOn::SyncDir));
    assert!(disk.sync_dir("").is_err());
    disk.sync_dir("").unwrap();
    assert!(outcomes(&disk, "f").contains(&None));
    disk.remove("f").unwrap();
    disk.sync_dir("").unwrap();
    assert_eq!(
        outcomes(&disk, "f"),
        [None].into(),
        "changed and synced again: sure"
    );
}

#[test]
fn a_full_disk_takes_what_fits_and_recovers() {
    let disk = SimDisk::new(1);
    disk.set_capacity(8 * 4_096);
    let file = create(&disk, "f");
    file.allocate(0, 4 * 4_096).unwrap();
    assert_eq!(
        disk.space().unwrap(),
        Space {
            total: 8 * 4_096,
            free: 4 * 4_096
        }
    );
    let other = create(&disk, "g");
    let error = other.write_at(&[1; 5 * 4_096], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(
        other.len().unwrap(),
        4 * 4_096,
        "the front of the write fitted"
    );
    assert_eq!(disk.space().unwrap().free, 0);
    file.write_at(&[1; 4 * 4_096], 0).unwrap();
    assert_eq!(
        file.allocate(0, 5 * 4_096).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    file.punch(0, 2 * 4_096).unwrap();
    assert_eq!(disk.space().unwrap().free, 2 * 4_096);
    other.set_len(4_096).unwrap();
    assert_eq!(disk.space().unwrap().free, 5 * 4_096);
    disk.set_capacity(0);
    assert_eq!(disk.space().unwrap(), Space { total: 0, free: 0 });
    assert!(file.write_at(&[1], 0).is_err());
    other.write_at(&[1], 0).unwrap();
}

#[test]
fn a_removed_file_gives_its_space_back_when_closed() {
    let disk = SimDisk::new(1);
    let file = create(&disk, "f");
    file.allocate(0, 1 << 20).unwrap();
    let full = disk.space().unwrap().free;
    disk.remove("f").unwrap();
    assert_eq!(disk.space().unwrap().free, full, "still open");
    drop(file);
    assert_eq!(disk.space().unwrap().free, full + (1 << 20));
}

#[test]
fn rot_is_seen_by_readers_and_survives_crashes() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "f", &[0; 9_000]);
    disk.flip("f", 8_192, 3).unwrap();
    disk.poke("f", 4_094, b"abcd").unwrap();
    let mut byte = [0];
    file.read_at(&mut byte, 8_192).unwrap();
    assert_eq!(byte, [8]);
    let next = disk.after_crash(1);
    assert_eq!(next.peek("f", 4_094, 4).unwrap(), b"abcd");
    assert_eq!(next.peek("f", 8_192, 1).unwrap(), [8]);
    assert_eq!(
        disk.flip("f", 9_000, 0).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        disk.poke("f", 8_999, b"xy").unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        disk.peek("f", 8_999, 2).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        disk.flip("none", 0, 0).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn capabilities_are_kept_to() {
    let limits = Capabilities {
        direct: false,
        allocate: false,
        punch: false,
        alignment: 512,
    };
    let disk = SimDisk::with_capabilities(1, limits);
    assert_eq!(disk.capabilities(), limits);
    let file = disk.open("f", OpenMode::CreateNew, Access::Direct).unwrap();
    let page = AlignedBuf::zeroed(4_096);
    file.write_at(&page.as_slice()[512..1_024], 512).unwrap();
    assert!(file.write_at(&page.as_slice()[..100], 0).is_err());
    file.allocate(0, 10_000).unwrap();
    assert_eq!(file.len().unwrap(), 10_000);
    assert_eq!(
        file.punch(0, 4_096).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

#[test]
fn clones_are_the_same_disk_on_every_thread() {
    let disk = SimDisk::new(1);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let disk = disk.clone();
            scope.spawn(move || durable(&disk, &format!("f{number}"), b"x"));
        }
    });
    assert_eq!(disk.list("").unwrap().len(), 4);
}
