//! Crashes keep what was synced, and of the rest anything.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[test]
fn synced_bytes_and_names_always_survive() {
    let disk = SimDisk::new(1);
    durable(&disk, "f", &[7; 5_000]);
    assert_eq!(outcomes(&disk, "f"), [Some(vec![7; 5_000])].into());
}

#[test]
fn unsynced_sectors_survive_in_any_combination() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "f", &[1; 1_536]);
    file.write_at(&[2; 1_536], 0).unwrap();
    let seen = outcomes(&disk, "f");
    for mix in 0..8_u8 {
        let expected: Vec<u8> = (0..3)
            .flat_map(|sector| [1 + (mix >> sector & 1); 512])
            .collect();
        assert!(
            seen.contains(&Some(expected)),
            "combination {mix:03b} never came"
        );
    }
    assert_eq!(seen.len(), 8, "and nothing else did");
}

#[test]
fn a_write_tears_at_sector_borders_and_never_within() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "f", &[1; 1_024]);
    file.write_at(&[2; 200], 412).unwrap();
    for bytes in outcomes(&disk, "f").into_iter().flatten() {
        assert!(bytes[412..512].iter().all(|byte| *byte == bytes[412]));
        assert!(bytes[512..612].iter().all(|byte| *byte == bytes[512]));
        assert!(
            bytes[..412]
                .iter()
                .chain(&bytes[612..])
                .all(|byte| *byte == 1)
        );
    }
}

#[test]
fn an_overwritten_unsynced_version_may_be_the_one_that_arrives() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "f", b"a");
    file.write_at(b"b", 0).unwrap();
    file.write_at(b"c", 0).unwrap();
    let seen = outcomes(&disk, "f");
    assert_eq!(
        seen,
        [b"a", b"b", b"c"].map(|bytes| Some(bytes.to_vec())).into()
    );
}

#[test]
fn lengths_are_in_doubt_like_bytes() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "f", &[1; 100]);
    file.write_at(&[1; 100], 100).unwrap();
    file.set_len(50).unwrap();
    let lens: std::collections::BTreeSet<_> = outcomes(&disk, "f")
        .into_iter()
        .flatten()
        .map(|bytes| bytes.len())
        .collect();
    assert_eq!(lens, [50, 100, 200].into());
}

#[test]
fn bytes_past_a_lost_length_do_not_come_back() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "f", &[1; 100]);
    file.write_at(&[2; 5_000], 100).unwrap();
    for seed in 0..200 {
        let next = disk.after_crash(seed);
        let file = next
            .open("f", OpenMode::Existing, Access::Buffered)
            .unwrap();
        let len = file.len().unwrap();
        file.set_len(len + 5_000).unwrap();
        assert_eq!(next.peek("f", len, 5_000).unwrap(), vec![0; 5_000]);
    }
}

#[test]
fn a_sync_the_power_cut_short_makes_nothing_sure() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "f", b"x");
    file.write_at(b"y", 0).unwrap();
    disk.crash_at(disk.operations() + 1);
    assert!(file.sync().is_err());
    assert_eq!(outcomes(&disk, "f").len(), 2);

    let disk = SimDisk::new(1);
    create(&disk, "g");
    disk.crash_at(disk.operations() + 1);
    assert!(disk.sync_dir("").is_err());
    assert_eq!(outcomes(&disk, "g").len(), 2);
}

#[test]
fn an_unsynced_name_may_be_missing_and_its_content_needs_its_own_sync() {
    let disk = SimDisk::new(1);
    let file = create(&disk, "f");
    file.write_at(b"x", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "f"), [None, Some(b"x".to_vec())].into());
    let other = create(&disk, "g");
    other.write_at(b"y", 0).unwrap();
    disk.sync_dir("").unwrap();
    let seen = outcomes(&disk, "g");
    assert!(!seen.contains(&None) && seen.contains(&Some(Vec::new())));
}

#[test]
fn an_unsynced_removal_may_not_have_happened() {
    let disk = SimDisk::new(1);
    drop(durable(&disk, "f", b"x"));
    disk.remove("f").unwrap();
    assert_eq!(outcomes(&disk, "f"), [None, Some(b"x".to_vec())].into());
    disk.sync_dir("").unwrap();
    assert_eq!(outcomes(&disk, "f"), [None].into());
}

#[test]
fn an_unsynced_rename_leaves_either_name_both_or_none() {
    let disk = SimDisk::new(1);
    drop(durable(&disk, "old", b"x"));
    disk.rename("old", "new").unwrap();
    let seen: std::collections::BTreeSet<_> = (0..200)
        .map(|seed| disk.after_crash(seed).list("").unwrap())
        .collect();
    assert_eq!(seen.len(), 4, "{seen:?}");
    disk.sync_dir("").unwrap();
    assert_eq!(outcomes(&disk, "old"), [None].into());
    assert_eq!(outcomes(&disk, "new"), [Some(b"x".to_vec())].into());
}

#[test]
fn syncing_one_directory_says_nothing_about_another() {
    let disk = SimDisk::new(1);
    disk.create_dir("a").unwrap();
    disk.create_dir("b").unwrap();
    create(&disk, "a/f");
    create(&disk, "b/f");
    disk.sync_dir("a").unwrap();
    assert!(!outcomes(&disk, "a/f").contains(&None));
    assert!(outcomes(&disk, "b/f").contains(&None));
}

#[test]
fn the_power_fails_at_the_operation_told_and_stays_off() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "f", b"x");
    let done = disk.operations();
    assert_eq!(done, 4, "create, write, sync, sync_dir");
    disk.crash_at(done + 2);
    file.write_at(b"y", 0).unwrap();
    assert!(file.write_at(b"z", 0).is_err());
    for failed in [
        file.read_at(&mut [0], 0).map(drop),
        file.sync(),
        file.len().map(drop),
        disk.list("").map(drop),
        disk.space().map(drop),
        disk.lock("L").map(drop),
        disk.open("f", OpenMode::Existing, Access::Buffered)
            .map(drop),
    ] {
        assert_eq!(failed.unwrap_err().to_string(), "powered off");
    }
    let seen = outcomes(&disk, "f");
    assert_eq!(
        seen,
        [b"x", b"y", b"z"].map(|bytes| Some(bytes.to_vec())).into()
    );
}

#[test]
fn the_next_boot_has_no_locks_and_power() {
    let disk = SimDisk::new(1);
    let held = disk.lock("L").unwrap();
    disk.sync_dir("").unwrap();
    disk.power_off();
    let next = disk.after_crash(0);
    next.lock("L").unwrap();
    assert_eq!(next.operations(), 0);
    drop(held);
}

#[test]
fn a_killed_process_loses_nothing_and_makes_nothing_durable() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "f", b"a");
    let held = disk.lock("L").unwrap();
    file.write_at(b"b", 0).unwrap();
    let next = disk.after_kill();
    assert_eq!(content(&next, "f").unwrap(), b"b");
    next.lock("L").unwrap();
    assert_eq!(outcomes(&next, "f").len(), 2, "still in doubt");
    drop(held);
}

#[test]
fn a_reservation_is_durable_with_the_next_sync() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "f", b"");
    file.allocate(0, 1 << 20).unwrap();
    assert_eq!(outcomes(&disk, "f").len(), 2);
    file.sync().unwrap();
    for seed in 0..50 {
        let next = disk.after_crash(seed);
        assert_eq!(content(&next, "f").unwrap().len(), 1 << 20);
        assert_eq!(next.space().unwrap(), disk.space().unwrap());
    }
}

#[test]
fn ignored_syncs_lose_data() {
    let disk = SimDisk::new(1);
    disk.ignore_syncs(true);
    durable(&disk, "f", b"x");
    assert!(outcomes(&disk, "f").contains(&None));
}

/// A step of a random workload over three files.
#[derive(Clone, Debug)]
enum Step {
    Write {
        file: usize,
        at: u64,
        len: usize,
        byte: u8,
    },
    SetLen {
        file: usize,
        len: u64,
    },
    Punch {
        file: usize,
        at: u64,
        len: u64,
    },
    Sync {
        file: usize,
    },
    Remake {
        file: usize,
    },
    Rename {
        from: usize,
        to: usize,
    },
    SyncDir,
}

fn step() -> impl Strategy<Value = Step> {
    let file = 0..3_usize;
    prop_oneof![
        4 => (file.clone(), 0..6_000_u64, 0..3_000_usize, 1..=u8::MAX)
            .prop_map(|(file, at, len, byte)| Step::Write { file, at, len, byte }),
        1 => (file.clone(), 0..8_000_u64).prop_map(|(file, len)| Step::SetLen { file, len }),
        1 => (file.clone(), 0..6_000_u64, 1..5_000_u64)
            .prop_map(|(file, at, len)| Step::Punch { file, at, len }),
        3 => file.clone().prop_map(|file| Step::Sync { file }),
        1 => file.clone().prop_map(|file| Step::Remake { file }),
        1 => (file.clone(), file).prop_map(|(from, to)| Step::Rename { from, to }),
        2 => Just(Step::SyncDir),
    ]
}

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Per byte of a file and per name, every state a crash may leave; kept byte by byte, unlike the
/// disk's own sectors and pages.
#[derive(Default)]
struct Model {
    files: Vec<FileModel>,
    names: BTreeMap<&'static str, Vec<Option<usize>>>,
}

#[derive(Default)]
struct FileModel {
    bytes: Vec<u8>,
    /// Allowed values by offset; the value now is among them. Offsets not here: the value now.
    open: BTreeMap<usize, Vec<u8>>,
    lens: Vec<usize>,
}

impl FileModel {
    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn put(&mut self, at: usize, byte: u8) {
        let before = self.byte(at);
        self.open
            .entry(at)
            .or_insert_with(|| vec![before])
            .push(byte);
        if at < self.bytes.len() {
            self.bytes[at] = byte;
        }
    }

    fn resize(&mut self, len: usize) {
        if len != self.bytes.len() {
            (len..self.bytes.len()).for_each(|at| self.put(at, 0));
            self.lens.push(self.bytes.len());
            self.bytes.resize(len, 0);
        }
    }

    fn sync(&mut self) {
        self.open.clear();
        self.lens.clear();
    }

    fn allows(&self, seen: &[u8]) -> bool {
        let len_ok = seen.len() == self.bytes.len() || self.lens.contains(&seen.len());
        len_ok
            && seen
                .iter()
                .enumerate()
                .all(|(at, byte)| match self.open.get(&at) {
                    Some(open) => open.contains(byte),
                    None => self.byte(at) == *byte,
                })
    }
}

impl Model {
    fn now(&self, name: &str) -> Option<usize> {
        self.names
            .get(name)
            .and_then(|states| *states.last().unwrap())
    }

    fn set(&mut self, name: &'static str, file: Option<usize>) {
        self.names
            .entry(name)
            .or_insert_with(|| vec![None])
            .push(file);
    }

    fn sync_dir(&mut self) {
        for states in self.names.values_mut() {
            states.drain(..states.len() - 1);
        }
    }

    fn allows(&self, name: &str, seen: Option<&[u8]>) -> bool {
        let states = self
            .names
            .get(name)
            .map_or(&[None][..], |states| &states[..]);
        states.iter().any(|state| match (state, seen) {
            (None, None) => true,
            (Some(file), Some(seen)) => self.files[*file].allows(seen),
            _ => false,
        })
    }
}

/// Applies steps to disk and model until the power fails. What the failing step does to the disk
/// it does to the model; a sync that fails makes nothing sure.
fn run(disk: &SimDisk, steps: &[Step]) -> Model {
    let mut model = Model::default();
    for step in steps {
        if apply(disk, &mut model, step).is_err() {
            break;
        }
    }
    model
}

fn open_or_create(
    disk: &SimDisk,
    model: &mut Model,
    name: &'static str,
) -> io::Result<Arc<dyn DiskFile>> {
    if model.now(name).is_some() {
        return disk.open(name, OpenMode::Existing, Access::Buffered);
    }
    model.files.push(FileModel::default());
    model.set(name, Some(model.files.len() - 1));
    disk.open(name, OpenMode::CreateNew, Access::Buffered)
}

fn apply(disk: &SimDisk, model: &mut Model, step: &Step) -> io::Result<()> {
    match *step {
        Step::Write {
            file,
            at,
            len,
            byte,
        } => {
            let handle = open_or_create(disk, model, NAMES[file])?;
            let number = model.now(NAMES[file]).unwrap();
            let file = &mut model.files[number];
            if len > 0 {
                file.resize(file.bytes.len().max(at as usize + len));
            }
            (0..len).for_each(|i| file.put(at as usize + i, byte));
            handle.write_at(&vec![byte; len], at)
        }
        Step::SetLen { file, len } => {
            let handle = open_or_create(disk, model, NAMES[file])?;
            let number = model.now(NAMES[file]).unwrap();
            model.files[number].resize(len as usize);
            handle.set_len(len)
        }
        Step::Punch { file, at, len } => {
            let handle = open_or_create(disk, model, NAMES[file])?;
            let number = model.now(NAMES[file]).unwrap();
            let file = &mut model.files[number];
            let end = file.bytes.len().min((at + len) as usize);
            (at as usize..end).for_each(|at| file.put(at, 0));
            handle.punch(at, len)
        }
        Step::Sync { file } => {
            let Some(number) = model.now(NAMES[file]) else {
                return Ok(());
            };
            let handle = disk.open(NAMES[file], OpenMode::Existing, Access::Buffered)?;
            handle.sync()?;
            model.files[number].sync();
            Ok(())
        }
        Step::Remake { file } => {
            if model.now(NAMES[file]).is_some() {
                model.set(NAMES[file], None);
                disk.remove(NAMES[file])?;
            }
            open_or_create(disk, model, NAMES[file]).map(drop)
        }
        Step::Rename { from, to } => {
            let Some(number) = model.now(NAMES[from]) else {
                return Ok(());
            };
            if from != to {
                model.set(NAMES[to], Some(number));
                model.set(NAMES[from], None);
            }
            disk.rename(NAMES[from], NAMES[to])
        }
        Step::SyncDir => {
            disk.sync_dir("")?;
            model.sync_dir();
            Ok(())
        }
    }
}

/// Everything on a disk, for comparing.
fn picture(disk: &SimDisk) -> Vec<Option<Vec<u8>>> {
    NAMES.iter().map(|name| content(disk, name)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_crash_at_any_operation_leaves_an_allowed_state(
        steps in proptest::collection::vec(step(), 1..24),
        seed in any::<u64>(),
    ) {
        let whole = SimDisk::new(seed);
        run(&whole, &steps);
        for operation in 1..=whole.operations() {
            let disk = SimDisk::new(seed);
            disk.crash_at(operation);
            let model = run(&disk, &steps);
            let next = disk.after_crash(seed ^ operation);
            for (name, seen) in NAMES.iter().zip(picture(&next)) {
                prop_assert!(model.allows(name, seen.as_deref()), "{name} after {operation}");
            }
            let again = next.after_crash(!seed);
            prop_assert_eq!(picture(&again), picture(&next), "a second crash changes nothing");
        }
    }

    #[test]
    fn before_any_crash_reads_show_the_last_writes(steps in proptest::collection::vec(step(), 1..24)) {
        let disk = SimDisk::new(0);
        let model = run(&disk, &steps);
        for (name, seen) in NAMES.iter().zip(picture(&disk)) {
            let expected = model.now(name).map(|file| model.files[file].bytes.clone());
            prop_assert_eq!(seen, expected, "{}", name);
        }
        let used: u64 = disk.space().unwrap().total - disk.space().unwrap().free;
        prop_assert!(used <= 3 * 3 * 4_096, "unreachable files hold no space: {}", used);
    }

    #[test]
    fn the_same_seed_gives_the_same_crash(
        steps in proptest::collection::vec(step(), 1..24),
        seed in any::<u64>(),
    ) {
        let once = || {
            let disk = SimDisk::new(seed);
            run(&disk, &steps);
            picture(&disk.after_crash(seed))
        };
        prop_assert_eq!(once(), once());
    }
}
