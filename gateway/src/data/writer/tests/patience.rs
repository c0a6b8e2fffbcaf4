//! How long a write waits for disks, and which ones it waits for.

use super::*;
use crate::fakes::rig::now;

/// Heals all disks after `away` of the rig's time, which passes from now on.
fn back_after(rig: &Arc<Rig>, away: Duration) -> JoinHandle<()> {
    let rig = Arc::clone(rig);
    let back = now(&rig) + away;
    tokio::spawn(async move {
        let passing = rig.let_time_pass_by(Duration::from_millis(10));
        while now(&rig) < back {
            tokio::task::yield_now().await;
        }
        rig.disks.heal();
        std::future::pending::<()>().await;
        passing.abort();
    })
}

async fn away(disks: u8) -> Arc<Rig> {
    let rig = Arc::new(Rig::new(2, 2, 4).await);
    (0..disks).for_each(|disk| rig.disks.fault(disk, DiskFault::Away));
    rig
}

#[tokio::test]
async fn a_write_waits_for_disks_whose_nodes_are_away_for_a_moment() {
    let rig = away(2).await;
    let passing = back_after(&rig, Duration::from_secs(1));
    let begun = now(&rig);
    let written = rig.write(Script::new(pattern(MIB))).await.unwrap();
    passing.abort();
    assert!(chunks(&written)[0].debt.is_empty());
    let took = now(&rig) - begun;
    let longest = Duration::from_secs(1) + 2 * tuning::PREPARE_PAUSE_MAX;
    assert!(took <= longest, "{took:?}");
}

#[tokio::test]
async fn it_waits_no_longer_than_its_client_may_wait_for_the_word() {
    let rig = away(2).await;
    let passing = back_after(&rig, Duration::from_secs(60));
    let begun = now(&rig);
    let refused = rig.write(Script::new(pattern(MIB))).await.unwrap_err();
    passing.abort();
    assert!(matches!(refused, WriteError::NotEnoughDisks), "{refused}");
    let took = now(&rig) - begun;
    assert!(took <= tuning::OPEN_PATIENCE, "{took:?}");
    assert!(
        took + 2 * tuning::PREPARE_PAUSE_MAX > tuning::OPEN_PATIENCE,
        "{took:?}"
    );
}

#[tokio::test]
async fn disks_that_are_full_are_not_waited_for() {
    let rig = Rig::new(2, 2, 4).await;
    (0..2).for_each(|disk| rig.disks.fault(disk, DiskFault::Full));
    let begun = now(&rig);
    let refused = rig.write(Script::new(pattern(MIB))).await.unwrap_err();
    assert!(matches!(refused, WriteError::Full), "{refused}");
    assert_eq!(now(&rig), begun);
}

#[tokio::test]
async fn the_store_is_said_to_be_full_only_where_room_is_all_that_is_missing() {
    let rig = Arc::new(Rig::new(2, 2, 4).await);
    (0..2).for_each(|disk| rig.disks.fault(disk, DiskFault::NotMine));
    rig.disks.fault(2, DiskFault::Full);
    let passing = back_after(&rig, Duration::from_secs(60));
    let refused = rig.write(Script::new(pattern(MIB))).await.unwrap_err();
    passing.abort();
    assert!(matches!(refused, WriteError::NotEnoughDisks), "{refused}");
}

#[tokio::test]
async fn a_node_that_runs_without_one_of_its_disks_stops_no_write() {
    let rig = Rig::new(2, 2, 4).await;
    rig.disks.fault(1, DiskFault::NotMine);
    for length in 0..3 {
        let body = Script::new(pattern(MIB + length));
        let written = rig.write(body).await.unwrap();
        let debt = &chunks(&written)[0].debt;
        assert_eq!(debt.len(), 1);
        assert_eq!(debt[0].disk, [2; 16].as_slice());
    }
}

#[tokio::test]
async fn a_partition_table_that_no_metadata_knows_stops_no_write() {
    let rig = Rig::new(2, 2, 4).await;
    rig.disks.fault(0, DiskFault::Stale(u32::MAX));
    let written = rig.write(Script::new(pattern(MIB))).await.unwrap();
    assert_eq!(chunks(&written)[0].debt.len(), 1);
}

#[tokio::test]
async fn an_epoch_that_is_new_owes_nothing() {
    let rig = Rig::new(2, 2, 4).await;
    rig.path.views.get().await.unwrap();
    rig.disks.fault(0, DiskFault::Stale(1));
    let written = rig.write(Script::new(pattern(MIB))).await.unwrap();
    assert!(chunks(&written)[0].debt.is_empty());
}
