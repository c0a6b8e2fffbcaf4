use super::*;
use crate::fakes::{FakeMetadata, Fault, HandClock};
use cairn_model::Coding;

struct World {
    fake: Arc<FakeMetadata>,
    clock: Arc<HandClock>,
    sessions: Arc<Sessions>,
}

fn world() -> World {
    let fake = Arc::new(FakeMetadata::new(Coding::new(1, 0).unwrap(), 1));
    let clock = Arc::new(HandClock::new());
    let metadata = Metadata::new(fake.clone(), clock.clone());
    let sessions = Arc::new(Sessions::new(metadata, clock.clone(), "test".to_owned()));
    let keeper = Arc::clone(&sessions);
    tokio::spawn(async move { keeper.keep().await });
    World {
        fake,
        clock,
        sessions,
    }
}

async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn create(name: &str) -> Command {
    Command::CreateBucket(wire::CreateBucket {
        name: name.to_owned(),
        owner: "root".to_owned(),
        location: String::new(),
    })
}

const MINUTE: Duration = Duration::from_secs(limits::SESSION_SECS);

#[tokio::test]
async fn one_session_serves_a_minute_and_numbers_are_never_given_twice() {
    let world = world();
    let (one, two) = (
        world.sessions.enter().await.unwrap(),
        world.sessions.enter().await.unwrap(),
    );
    assert_eq!(one.id(), two.id());
    let stamps = [one.stamp(1), two.stamp(1), one.stamp(1)];
    assert_eq!(stamps.map(|stamp| stamp.counter), [1, 2, 3]);
    one.propose(create("one")).await.unwrap();
    two.propose(create("two")).await.unwrap();
    assert_eq!(world.fake.open_sessions(), [one.id()]);
}

/// A restore ends every session and bumps the generation; a gateway that was there before recovers.
#[tokio::test]
async fn a_gateway_of_an_older_generation_is_refused_once_and_begins_anew() {
    let world = world();
    let old = world.sessions.enter().await.unwrap();
    let bump = Command::BumpGeneration(wire::BumpGeneration::default());
    old.propose(bump).await.unwrap();
    assert_eq!(
        old.propose(create("one")).await,
        Err(CommitError::RetryUpload)
    );
    let new = world.sessions.enter().await.unwrap();
    assert_ne!(new.id(), old.id());
    let generations = [&old, &new].map(|session| session.stamp(1).generation);
    assert_eq!(generations, [1, 2]);
    new.propose(create("one")).await.unwrap();
}

#[tokio::test]
async fn a_session_ends_only_after_its_last_guard() {
    let world = world();
    let slow = world.sessions.enter().await.unwrap();
    world.clock.advance(MINUTE);
    settle().await;
    let next = world.sessions.enter().await.unwrap();
    assert!(next.id() > slow.id());
    let copy = slow.clone();
    drop(slow);
    settle().await;
    assert_eq!(
        world.fake.open_sessions(),
        [copy.id(), next.id()],
        "a guard is left"
    );
    let ended = copy.id();
    drop(copy);
    settle().await;
    assert_eq!(world.fake.open_sessions(), [next.id()]);
    assert!(ended < next.id());
}

#[tokio::test]
async fn a_session_with_one_long_upload_is_kept_alive() {
    let world = world();
    let slow = world.sessions.enter().await.unwrap();
    for _ in 0..6 {
        settle().await;
        world.clock.advance(tuning::KEEP_ALIVE);
    }
    settle().await;
    let told = world.fake.edit(|state| state.kept_alive().clone());
    let times = told.iter().filter(|told| told.contains(&slow.id())).count();
    assert!(times >= 5, "{told:?}");
}

#[tokio::test]
async fn an_idle_gateway_holds_no_session() {
    let world = world();
    drop(world.sessions.enter().await.unwrap());
    world.clock.advance(MINUTE * 2);
    settle().await;
    assert!(world.fake.open_sessions().is_empty());
}

#[tokio::test]
async fn an_unknown_outcome_is_resolved_under_the_same_number() {
    let world = world();
    let entered = world.sessions.enter().await.unwrap();
    for fault in [
        Fault::Unavailable,
        Fault::DoneButUnknown,
        Fault::Hangs,
        Fault::LostAndUnknown,
    ] {
        world.fake.fault(fault);
    }
    let clock = Arc::clone(&world.clock);
    tokio::spawn(async move {
        loop {
            clock.advance(Duration::from_millis(10));
            tokio::task::yield_now().await;
        }
    });
    entered.propose(create("once")).await.unwrap();
    let created = world
        .fake
        .log()
        .iter()
        .filter(|command| **command == create("once"))
        .count();
    assert_eq!(created, 1, "carried out once");
}

#[tokio::test]
async fn an_outcome_that_stays_unknown_is_told_as_unknown_and_holds_the_session() {
    let world = world();
    let entered = world.sessions.enter().await.unwrap();
    for _ in 0..tuning::RESOLVE_PATIENCE + 2 {
        world.fake.fault(Fault::LostAndUnknown);
    }
    let proposal = entered.clone();
    let told = tokio::spawn(async move { proposal.propose(create("later")).await });
    for _ in 1..tuning::RESOLVE_PATIENCE {
        settle().await;
        world.clock.advance(tuning::METADATA_PAUSE_MAX);
    }
    settle().await;
    assert_eq!(told.await.unwrap().unwrap_err(), CommitError::Unknown);
    let id = entered.id();
    drop(entered);
    world.sessions.retire_stale(&mut world.sessions.held());
    // Rotated by age while the outcome is still being resolved: not ended.
    world.clock.advance(MINUTE - tuning::METADATA_PAUSE_MAX * 7);
    assert_eq!(world.fake.open_sessions(), [id]);
    for _ in 0..4 {
        settle().await;
        world.clock.advance(tuning::METADATA_PAUSE_MAX);
    }
    settle().await;
    assert!(
        world.fake.log().contains(&create("later")),
        "resolved behind the answer"
    );
    world.clock.advance(MINUTE);
    settle().await;
    assert!(
        world.fake.open_sessions().is_empty(),
        "and ended once it was known"
    );
}

#[tokio::test]
async fn a_waiter_that_goes_away_neither_cancels_its_command_nor_frees_its_session() {
    let world = world();
    let entered = world.sessions.enter().await.unwrap();
    world.fake.fault(Fault::LostAndUnknown);
    {
        let proposal = entered.propose(create("gone"));
        tokio::pin!(proposal);
        tokio::select! {
            biased;
            _ = &mut proposal => panic!("the first send is lost"),
            () = settle() => {}
        }
    }
    let id = entered.id();
    drop(entered);
    let closing = tokio::spawn({
        let sessions = Arc::clone(&world.sessions);
        async move { sessions.close().await }
    });
    settle().await;
    assert_eq!(
        world.fake.open_sessions(),
        [id],
        "the outcome is not known yet"
    );
    world.clock.advance(tuning::METADATA_PAUSE_MAX);
    closing.await.unwrap();
    assert!(world.fake.log().contains(&create("gone")));
    assert!(world.fake.open_sessions().is_empty());
}

#[tokio::test]
async fn an_ended_session_is_never_retried_elsewhere() {
    let world = world();
    let entered = world.sessions.enter().await.unwrap();
    for refused in [Refusal::SessionEnded, Refusal::RetryUpload] {
        world.fake.fault(Fault::Refuse(refused));
        let proposal = entered.propose(create("no"));
        let told = tokio::time::timeout(Duration::from_secs(5), proposal).await;
        let error = told.expect("told at once, never tried again").unwrap_err();
        assert_eq!(error, CommitError::RetryUpload);
    }
    assert_eq!(
        world.fake.log().len(),
        1,
        "nothing but the session was committed"
    );
}

#[tokio::test]
async fn nobody_enters_a_closed_keeper() {
    let world = world();
    drop(world.sessions.enter().await.unwrap());
    world.sessions.close().await;
    assert!(world.fake.open_sessions().is_empty());
    assert!(world.sessions.enter().await.is_err());
    settle().await;
    assert!(world.fake.open_sessions().is_empty());
}

#[tokio::test]
async fn without_metadata_nobody_enters() {
    let world = world();
    world.fake.set_down(true);
    let clock = Arc::clone(&world.clock);
    tokio::spawn(async move {
        loop {
            clock.advance(Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
    });
    let error = world.sessions.enter().await.unwrap_err();
    assert!(matches!(error, CommitError::Unavailable(_)));
}

#[tokio::test]
async fn what_is_held_is_counted_where_it_is_held() {
    let world = world();
    let mut slow = world.sessions.enter().await.unwrap();
    let mut other = world.sessions.enter().await.unwrap();
    slow.hold(700);
    slow.hold(300);
    other.hold(5);
    drop(slow.clone());
    let occupied = world.sessions.occupied();
    assert_eq!((occupied.sessions, occupied.bytes), (1, 1_005));
    world.clock.advance(2 * MINUTE);
    let mut reader = world.sessions.enter().await.unwrap();
    reader.hold(40);
    let occupied = world.sessions.occupied();
    let expected = Occupied {
        sessions: 2,
        bytes: 1_045,
        oldest: 2 * MINUTE,
        oldest_bytes: 1_005,
    };
    assert_eq!(occupied, expected);
    slow.carry(None).await.unwrap();
    assert_eq!(slow.id(), reader.id());
    let occupied = world.sessions.occupied();
    assert_eq!((occupied.bytes, occupied.oldest_bytes), (1_045, 5));
    other.renew(Needs::default()).await.unwrap();
    settle().await;
    let occupied = world.sessions.occupied();
    assert_eq!((occupied.sessions, occupied.oldest_bytes), (1, 1_045));
    drop((slow, other, reader));
    assert_eq!(world.sessions.occupied().bytes, 0);
}
