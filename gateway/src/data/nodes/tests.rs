use super::*;
use crate::fakes::{FakeDisks, HandClock};

struct Scene {
    disks: FakeDisks,
    clock: Arc<HandClock>,
    nodes: Nodes,
}

const SECOND: Duration = Duration::from_secs(1);

impl Scene {
    fn new() -> Self {
        let (disks, clock) = (FakeDisks::new(), Arc::new(HandClock::new()));
        Self {
            nodes: Nodes::new(disks.routes(2), clock.clone()),
            disks,
            clock,
        }
    }

    /// Whether the first disk is read from, and whether it is written to.
    fn judge(&self) -> (bool, bool) {
        let disk = FakeDisks::id(0);
        (
            self.nodes.is_up(disk),
            self.nodes.writable().contains(&disk),
        )
    }

    /// The first disk fails a call that began just now.
    fn fail(&self, failing: Failing) {
        self.nodes
            .failed(FakeDisks::id(0), failing, self.clock.monotonic());
    }

    /// The node of the first disk was away, and answers.
    fn come_back(&self) {
        self.disks.came_back(0, self.clock.monotonic());
    }

    /// Seconds until the first disk is read from again.
    fn pause(&self) -> u64 {
        let begun = self.clock.monotonic();
        while !self.judge().0 {
            self.clock.advance(SECOND);
        }
        (self.clock.monotonic() - begun).as_secs()
    }
}

#[test]
fn a_disk_without_room_is_read_and_one_that_fails_is_left_alone_ever_longer() {
    for failing in [Failing::Reach, Failing::Everything] {
        let scene = Scene::new();
        assert_eq!(scene.judge(), (true, true));
        scene.fail(Failing::Room);
        assert_eq!(scene.judge(), (true, false));
        scene.nodes.served_read(FakeDisks::id(0));
        assert_eq!(scene.judge(), (true, false), "a read says nothing of room");
        scene.fail(failing);
        assert_eq!(scene.judge(), (false, false), "worse is believed at once");
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.push(scene.pause());
            scene.fail(failing);
        }
        assert!(
            pauses.is_sorted() && pauses[0] < 5 && pauses[7] == 60,
            "{pauses:?}"
        );
        scene.nodes.served_read(FakeDisks::id(0));
        assert_eq!(scene.judge(), (true, true));
        scene.fail(failing);
        scene.nodes.took_write(FakeDisks::id(0));
        assert_eq!(scene.judge(), (true, true));
        assert!(!scene.nodes.is_up(FakeDisks::id(7)), "a stranger");
    }
}

#[test]
fn the_memory_of_a_node_that_was_away_ends_when_it_is_back() {
    let scene = Scene::new();
    scene.fail(Failing::Reach);
    assert_eq!(scene.judge(), (false, false));
    scene.clock.advance(SECOND / 2);
    scene.come_back();
    assert_eq!(scene.judge(), (true, true));
    // That it was back then says nothing of what comes later.
    scene.clock.advance(SECOND / 2);
    scene.fail(Failing::Reach);
    assert_eq!(scene.judge(), (false, false));
    assert_eq!(scene.pause(), 2, "and the waits begin anew");
    scene.fail(Failing::Reach);
    assert_eq!(scene.pause(), 4);
}

#[test]
fn a_call_from_before_its_node_was_back_is_no_failure() {
    let scene = Scene::new();
    let begun = scene.clock.monotonic();
    scene.clock.advance(SECOND);
    scene.come_back();
    scene.clock.advance(SECOND);
    scene.nodes.failed(FakeDisks::id(0), Failing::Reach, begun);
    assert_eq!(scene.judge(), (true, true));
}

#[test]
fn a_disk_that_does_not_work_is_left_alone_whoever_is_back() {
    for failing in [Failing::Room, Failing::Everything] {
        let scene = Scene::new();
        scene.fail(failing);
        let judged = scene.judge();
        assert!(!judged.1);
        scene.clock.advance(SECOND);
        scene.come_back();
        assert_eq!(scene.judge(), judged);
        // Nor does it help that its node is away for a while then.
        scene.fail(Failing::Reach);
        scene.clock.advance(SECOND / 2);
        scene.come_back();
        let works = failing == Failing::Room;
        assert_eq!(scene.judge(), (works, works), "{failing:?}");
    }
}

#[test]
fn errors_say_whether_the_node_or_the_disk_is_at_fault() {
    let why = || "why".to_owned();
    assert_eq!(Failing::of(&ShardError::Full), Failing::Room);
    assert_eq!(Failing::of(&ShardError::Unavailable(why())), Failing::Reach);
    for error in [
        ShardError::Failed(why()),
        ShardError::Corrupt(why()),
        ShardError::Missing,
        ShardError::Refused("why"),
    ] {
        assert_eq!(Failing::of(&error), Failing::Everything, "{error}");
    }
}

/// Reads of 64 KiB that take so long each.
fn read(scene: &Scene, disk: DiskId, count: u32, took: Duration) {
    for _ in 0..count {
        let reading = scene.nodes.reading(disk, 64 << 10);
        scene.clock.advance(took);
        reading.answered();
    }
}

#[test]
fn each_disk_is_waited_for_as_long_as_it_takes() {
    let scene = Scene::new();
    let (one, other) = (FakeDisks::id(0), FakeDisks::id(1));
    let cell = |disk| scene.nodes.hedge_after(disk, 64 << 10);
    assert_eq!(cell(one), tuning::HEDGE_START);
    read(&scene, one, 100, Duration::from_millis(40));
    assert!(cell(one) >= Duration::from_millis(40) && cell(one) <= Duration::from_millis(50));
    assert_eq!(cell(other), tuning::HEDGE_START);
    assert_eq!(
        scene.nodes.hedge_after(one, 1 << 20),
        tuning::HEDGE_START,
        "longer reads are others"
    );
    // Reads given up late count as slow, those given up early not at all.
    for _ in 0..100 {
        let reading = scene.nodes.reading(one, 64 << 10);
        scene.clock.advance(Duration::from_millis(10));
        drop(reading);
    }
    assert!(cell(one) <= Duration::from_millis(50));
    for _ in 0..100 {
        let reading = scene.nodes.reading(one, 64 << 10);
        scene.clock.advance(Duration::from_millis(120));
        reading.failed(Failing::Reach);
    }
    assert!(cell(one) >= Duration::from_millis(120));
    assert!(!scene.nodes.is_up(one));
}

#[test]
fn disks_that_left_are_forgotten_once_there_are_too_many() {
    let scene = Scene::new();
    let here = [FakeDisks::id(0), FakeDisks::id(1)];
    for disk in here {
        read(&scene, disk, 100, Duration::from_millis(40));
    }
    let held = || scene.nodes.latencies().len();
    for number in 0..2 * limits::DISKS_MAX as u64 {
        let mut id = [0xee; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        read(&scene, DiskId(id), 1, SECOND);
        assert!(held() <= limits::DISKS_MAX);
    }
    for disk in here {
        assert!(scene.nodes.hedge_after(disk, 64 << 10) < Duration::from_millis(60));
    }
}
