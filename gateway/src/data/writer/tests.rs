mod patience;
mod slow;

use std::sync::atomic::Ordering;
use std::time::Duration;

use cairn_wire::metadata::entry::Command;
use tokio::sync::Semaphore;

use super::*;
use crate::fakes::{DiskFault, Ending, Rig, Script, pattern};

const MIB: usize = 1 << 20;

fn chunks(written: &Written) -> &[wire::ExtentWrite] {
    match &written.stored {
        Stored::Chunks(extents) => extents,
        other => panic!("{other:?}"),
    }
}

fn published(rig: &Rig) -> bool {
    rig.metadata.log().iter().any(|command| {
        matches!(
            command,
            Command::PutObject(_) | Command::StagePage(_) | Command::PutPart(_)
        )
    })
}

#[tokio::test]
async fn small_bodies_lie_inline_and_touch_no_disk() {
    let rig = Rig::new(2, 1, 3).await;
    for length in [0, 1, 4096] {
        let written = rig.write(Script::new(pattern(length))).await.unwrap();
        assert_eq!(written.stored, Stored::Inline(pattern(length).into()));
        assert_eq!(written.crc64nvme, checksum(Crc64Nvme, &pattern(length)));
    }
    assert_eq!(rig.disks.uploads(), (0, 0));
}

#[tokio::test]
async fn short_chunks_are_copies_and_longer_ones_are_coded() {
    let rig = Rig::new(2, 1, 3).await;
    let copies = rig.write(Script::new(pattern(4097))).await.unwrap();
    let coding = chunks(&copies)[0].coding.unwrap();
    assert_eq!((coding.data, coding.parity), (1, 1));
    let coded = rig.write(Script::new(pattern(64 << 10))).await.unwrap();
    let coding = chunks(&coded)[0].coding.unwrap();
    assert_eq!((coding.data, coding.parity), (2, 1));
    assert_eq!(rig.disks.sealed().len(), 2 + 3);
}

#[tokio::test]
async fn a_long_body_is_cut_and_its_digests_are_those_of_its_bytes() {
    let rig = Rig::new(2, 1, 3).await;
    let body = pattern(33 * MIB + 5);
    for makes_sha256 in [false, true] {
        let script = Script {
            makes_sha256,
            ..Script::new(body.clone())
        };
        let written = rig.write(script).await.unwrap();
        assert_eq!(written.length, body.len() as u64);
        assert_eq!(written.crc64nvme, checksum(Crc64Nvme, &body));
        let extents = chunks(&written);
        let lengths: Vec<u32> = extents.iter().map(|extent| extent.length).collect();
        assert_eq!(lengths, [16 << 20, 16 << 20, (1 << 20) + 5]);
        for (extent, bytes) in extents.iter().zip(body.chunks(16 * MIB)) {
            let sha256: [u8; 32] =
                sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(bytes))
                    .into();
            assert_eq!(extent.sha256, sha256.as_slice());
            assert_eq!(extent.crc64nvme, checksum(Crc64Nvme, bytes));
            assert!(extent.debt.is_empty());
        }
    }
}

#[tokio::test]
async fn one_chunk_takes_the_sha256_the_body_made() {
    let rig = Rig::new(1, 0, 1).await;
    for length in [5_000, 64 << 10, 3 * MIB] {
        let made = rig.write(Script::new(pattern(length))).await.unwrap();
        let told = Script {
            makes_sha256: true,
            ..Script::new(pattern(length))
        };
        let told = rig.write(told).await.unwrap();
        assert_eq!(chunks(&made)[0].sha256, chunks(&told)[0].sha256);
    }
}

#[tokio::test]
async fn a_body_that_is_wrong_or_short_commits_nothing_and_leaves_nothing() {
    for length in [100, 5_000, 300_000, 20 * MIB] {
        let rig = Rig::new(2, 1, 3).await;
        let short = Ending::ShortAt(length as u64 - 1);
        for ending in [Ending::BadDigest, short] {
            let script = Script {
                ending,
                ..Script::new(pattern(length))
            };
            let refused = rig.put("key", script).await.unwrap_err();
            assert!(matches!(refused, WriteError::Body(_)), "{refused}");
        }
        assert!(!published(&rig));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let (prepared, dropped) = rig.disks.uploads();
        let whole = if length > 16 * MIB { 2 * 3 } else { 0 };
        assert_eq!(prepared - dropped, whole, "only whole chunks were sealed");
    }
}

#[tokio::test]
async fn an_ack_needs_receipts_and_the_rest_is_debt() {
    for (fault, at) in [
        (DiskFault::FailsWrite, 0),
        (DiskFault::FailsFinish, 1),
        (DiskFault::LiesInReceipt, 2),
    ] {
        let rig = Rig::new(2, 2, 4).await;
        rig.disks.fault(at, fault);
        let written = rig.write(Script::new(pattern(MIB))).await.unwrap();
        let debt = &chunks(&written)[0].debt;
        assert_eq!(debt.len(), 1, "{fault:?}");
        assert_eq!(debt[0].disk, [at + 1; 16].as_slice());
        let other = (at + 1) % 4;
        rig.disks.fault(other, fault);
        let refused = rig
            .put("key", Script::new(pattern(MIB + 1)))
            .await
            .unwrap_err();
        assert!(
            matches!(refused, WriteError::NotEnoughDisks),
            "{fault:?} {refused}"
        );
        assert!(!published(&rig));
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_before_enough_receipts_are_in() {
    let mut rig = Rig::new(2, 2, 4).await;
    rig.disks.seals = Arc::new(Semaphore::new(2));
    let rig = rebuilt(rig);
    let writing = tokio::spawn({
        let rig = Arc::clone(&rig);
        async move { rig.put("key", Script::new(pattern(MIB))).await }
    });
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.disks.sealed().len(), 2);
    assert!(
        !published(&rig) && !writing.is_finished(),
        "two of four, three are needed"
    );
    rig.disks.seals.add_permits(1);
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
    assert!(!writing.is_finished(), "the last one has a moment more");
    rig.clock.advance(tuning::SHARD_FINISH_GRACE);
    writing.await.unwrap().unwrap();
    let row = rig
        .metadata
        .edit(|state| state.chunks().values().next().unwrap().clone());
    assert_eq!(row.debt.len(), 1);
}

/// The disks' semaphores are shared by handle: the services must be made from the changed handle.
fn rebuilt(rig: Rig) -> Arc<Rig> {
    let Rig {
        metadata,
        disks,
        clock,
        path,
        sessions,
        bucket,
    } = rig;
    let nodes = crate::data::nodes::Nodes::new(disks.routes(4), clock.clone());
    let path = Arc::new(DataPath {
        metadata: path.metadata.clone(),
        nodes,
        views: crate::data::view::Views::new(path.metadata.clone(), clock.clone()),
        clock: clock.clone(),
    });
    Arc::new(Rig {
        metadata,
        disks,
        clock,
        path,
        sessions,
        bucket,
    })
}

#[tokio::test]
async fn a_partition_that_is_fully_up_is_drawn_where_there_is_one() {
    let rig = Rig::new(2, 1, 6).await;
    rig.disks.fault(0, DiskFault::Full);
    for length in 0..20 {
        let written = rig
            .write(Script::new(pattern(70_000 + length)))
            .await
            .unwrap();
        assert!(
            chunks(&written)[0].debt.is_empty(),
            "no debt while others are up"
        );
    }
}

#[tokio::test]
async fn full_disks_refuse_writes_and_take_them_again() {
    let rig = Rig::new(1, 0, 1).await;
    rig.disks.fault(0, DiskFault::Full);
    let refused = rig.write(Script::new(pattern(MIB))).await.unwrap_err();
    assert!(matches!(refused, WriteError::Full), "{refused}");
    rig.disks.heal();
    rig.write(Script::new(pattern(MIB))).await.unwrap();
}

#[tokio::test]
async fn a_hanging_disk_costs_patience_once_and_then_debt() {
    let rig = Rig::new(2, 2, 4).await;
    rig.disks.fault(3, DiskFault::Hangs);
    let passing = rig.let_time_pass();
    let written = rig.write(Script::new(pattern(MIB))).await.unwrap();
    assert_eq!(chunks(&written)[0].debt.len(), 1);
    let before = crate::fakes::rig::now(&rig);
    rig.write(Script::new(pattern(MIB))).await.unwrap();
    assert!(
        crate::fakes::rig::now(&rig) - before < Duration::from_secs(2),
        "it is passed over"
    );
    passing.abort();
}

#[tokio::test]
async fn a_node_that_is_back_is_written_to_at_once_and_a_disk_that_failed_is_not() {
    for (fault, debts) in [
        (DiskFault::Away, 0),
        (DiskFault::FailsWrite, 1),
        (DiskFault::FailsFinish, 1),
    ] {
        let rig = Rig::new(2, 2, 4).await;
        rig.disks.fault(3, fault);
        let owed = async |length| {
            let written = rig.write(Script::new(pattern(length))).await.unwrap();
            chunks(&written)[0].debt.len()
        };
        assert_eq!(owed(MIB).await, 1, "{fault:?}");
        rig.disks.heal();
        assert_eq!(owed(MIB + 1).await, 1, "{fault:?} is remembered");
        rig.clock.advance(Duration::from_millis(10));
        rig.disks.came_back(3, crate::fakes::rig::now(&rig));
        assert_eq!(owed(MIB + 2).await, debts, "{fault:?}");
    }
}

#[tokio::test]
async fn a_stale_epoch_is_followed_by_a_new_view() {
    let rig = Rig::new(1, 0, 1).await;
    rig.path.views.get().await.unwrap();
    rig.disks.fault(0, DiskFault::Stale(1));
    let written = rig.write(Script::new(pattern(MIB))).await.unwrap();
    assert_eq!(chunks(&written)[0].epoch, 1);
    assert!(
        rig.disks
            .sealed()
            .values()
            .all(|shard| shard.header.epoch == 1)
    );
}

#[tokio::test]
async fn memory_is_a_few_stripes_while_disks_are_behind() {
    let mut rig = Rig::new(4, 2, 6).await;
    rig.disks.writes = Arc::new(Semaphore::new(0));
    let Rig {
        metadata,
        disks,
        clock,
        path,
        sessions,
        bucket,
    } = rig;
    let path = Arc::new(DataPath {
        metadata: path.metadata.clone(),
        nodes: crate::data::nodes::Nodes::new(disks.routes(6), clock.clone()),
        views: crate::data::view::Views::new(path.metadata.clone(), clock.clone()),
        clock: clock.clone(),
    });
    let rig = Arc::new(Rig {
        metadata,
        disks,
        clock,
        path,
        sessions,
        bucket,
    });
    let script = Script::new(pattern(40 * MIB));
    let given = Arc::clone(&script.given);
    let writing = tokio::spawn({
        let rig = Arc::clone(&rig);
        async move { rig.write(script).await }
    });
    for _ in 0..2_000 {
        tokio::task::yield_now().await;
    }
    let stripe = 4 * (64 << 10);
    let held = given.load(Ordering::SeqCst);
    assert!(
        held <= limits::STRIPES_PER_REQUEST as u64 * stripe,
        "{held} bytes were taken in"
    );
    rig.disks.writes.add_permits(100_000);
    let written = writing.await.unwrap().unwrap();
    assert_eq!(written.length, 40 << 20);
}

#[tokio::test]
async fn long_manifests_are_staged_before_the_commit() {
    let rig = Rig::new(1, 0, 1).await;
    let extent = chunks(&rig.write(Script::new(pattern(5_000))).await.unwrap())[0].clone();
    let session = rig.sessions.enter().await.unwrap();
    let many = limits::PAGE_EXTENTS_MAX + 3;
    let written = Written {
        stored: Stored::Chunks(vec![extent.clone(); many]),
        length: 5_000 * many as u64,
        crc64nvme: 0,
    };
    let stamp = session.stamp(1);
    let content = manifest::content(&session, stamp, rig.bucket.id, written)
        .await
        .unwrap();
    let Some(wire::content::Place::Pages(pages)) = content.place else {
        panic!("not paged");
    };
    assert_eq!((pages.pages, pages.length), (2, 5_000 * many as u64));
    let few = Written {
        stored: Stored::Chunks(vec![extent; 16]),
        length: 80_000,
        crc64nvme: 0,
    };
    let content = manifest::content(&session, stamp, rig.bucket.id, few)
        .await
        .unwrap();
    assert!(matches!(
        content.place,
        Some(wire::content::Place::Extents(_))
    ));
}

#[tokio::test]
async fn a_refused_session_ends_the_upload_with_nothing_published() {
    let rig = Rig::new(1, 0, 1).await;
    rig.metadata
        .fault(crate::fakes::Fault::Refuse(wire::Refusal::SessionEnded));
    let refused = rig
        .put("key", Script::new(pattern(5_000)))
        .await
        .unwrap_err();
    assert!(matches!(
        refused,
        WriteError::Commit(CommitError::RetryUpload)
    ));
    assert!(!published(&rig));
}
