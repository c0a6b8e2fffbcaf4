//! What a command passes through below the gateway, one piece at a time: its frame, the journal, the store, the
//! state machine.
//!
//! `cargo run --release -p cairn-metadata --example command_path [directory of the disk]`
//!
//! Times are processor time of the process unless they are said to be of the clock: other load on the
//! machine lengthens the latter.

mod machine;

use std::hint::black_box;
use std::io::Write as _;
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use cairn_metadata::journal::{Journal, JournalSettings, LogEntry, LogPosition};
use cairn_store::{Batch, FjallSettings, FjallStore, OrderedStore};
use cairn_wire::frame::{FrameHeader, FrameType};
use cairn_world::Clock as _;
use cairn_world::real::{OsEntropy, RealClock, RealDisk};

type Fatal = Box<dyn std::error::Error + Send + Sync>;

/// Time a figure is measured.
const ROUND: Duration = Duration::from_secs(2);
/// The frames' version here; any will do.
const VERSION: u8 = 1;
/// Bytes of a journal entry.
const ENTRY: usize = 1 << 10;
/// Rows of the store, and bytes of each.
const ROWS: u64 = 200_000;
const ROW: usize = 400;
/// Rows of one batch.
const BATCH: u64 = 64;

/// User and system time of this process; proc(5), in hundredths of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat
        .rsplit_once(')')
        .map(|(_, after)| after)
        .unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u32 = ticks.filter_map(|field| field.parse::<u32>().ok()).sum();
    Duration::from_millis(10) * ticks
}

/// What a figure cost and how long it took.
struct Measured {
    count: u64,
    cpu: Duration,
    clock: Duration,
}

impl Measured {
    fn of(clock: &RealClock, work: impl FnOnce() -> Result<u64, Fatal>) -> Result<Self, Fatal> {
        let (cpu_before, begun) = (cpu(), clock.monotonic());
        let count = work()?;
        Ok(Self {
            count,
            cpu: cpu() - cpu_before,
            clock: clock.monotonic() - begun,
        })
    }

    fn show(&self, what: &str) -> Result<(), Fatal> {
        let count = self.count as f64;
        let micros = self.cpu.as_secs_f64() * 1e6 / count;
        let rate = count / self.clock.as_secs_f64();
        writeln!(
            std::io::stdout(),
            "{what:<44}{micros:>9.3} us{rate:>13.0} /s by the clock"
        )?;
        Ok(())
    }
}

/// The header of a frame: made, checked, and its payload with it.
fn frames(clock: &RealClock, payload: &[u8]) -> Result<Measured, Fatal> {
    Measured::of(clock, || {
        let (end, mut count) = (clock.monotonic() + ROUND, 0);
        while clock.monotonic() < end {
            for _ in 0..64 {
                let header = FrameHeader::of(VERSION, FrameType::Metadata, [black_box(payload)])?;
                let header = FrameHeader::from_bytes(black_box(header.to_bytes()), VERSION)?;
                header.check(payload)?;
            }
            count += 64;
        }
        Ok(count)
    })
}

fn entry(index: u64) -> LogEntry {
    LogEntry {
        position: LogPosition {
            term: 1,
            leader: 1,
            index,
        },
        payload: Bytes::from(vec![7; ENTRY]),
    }
}

/// Entries made durable, so many on their way at once.
fn journal(
    clock: &RealClock,
    journal: &Journal,
    next: &mut u64,
    together: u64,
) -> Result<Measured, Fatal> {
    let (told, done) = mpsc::channel();
    Measured::of(clock, || {
        let (end, mut open, mut count) = (clock.monotonic() + ROUND, 0, 0);
        loop {
            while open < together && clock.monotonic() < end {
                let told = told.clone();
                let answer = Box::new(move |result| drop(told.send(result)));
                journal.append(vec![entry(*next)], answer)?;
                *next += 1;
                open += 1;
            }
            if open == 0 {
                return Ok(count);
            }
            done.recv()??;
            open -= 1;
            count += 1;
        }
    })
}

fn key(number: u64) -> Vec<u8> {
    format!(
        "bucket/{:016x}/{number:010}",
        number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    )
    .into_bytes()
}

/// Batches committed and, in the end, persisted.
fn commits(clock: &RealClock, store: &FjallStore) -> Result<Measured, Fatal> {
    Measured::of(clock, || {
        for first in (0..ROWS).step_by(BATCH as usize) {
            let mut batch = Batch::default();
            for number in first..(first + BATCH).min(ROWS) {
                batch.put(key(number), vec![7; ROW]);
            }
            store.commit(&batch)?;
        }
        store.persist()?;
        Ok(ROWS)
    })
}

fn gets(clock: &RealClock, store: &FjallStore) -> Result<Measured, Fatal> {
    Measured::of(clock, || {
        let (end, mut count) = (clock.monotonic() + ROUND, 0);
        while clock.monotonic() < end {
            let number = count * 7_919 % ROWS;
            let row = store.view().get(&key(number))?;
            if row.is_none_or(|row| row.len() != ROW) {
                return Err("a row is not there".into());
            }
            count += 1;
        }
        Ok(count)
    })
}

/// Every row once: copied out, or looked at where it lies.
fn scan(clock: &RealClock, store: &FjallStore, copied: bool) -> Result<Measured, Fatal> {
    let view = store.view();
    Measured::of(clock, || {
        let mut count = 0;
        if copied {
            for row in view.scan(Bound::Unbounded, Bound::Unbounded) {
                black_box(row?);
                count += 1;
            }
        } else {
            view.visit(Bound::Unbounded, Bound::Unbounded, &mut |key, value| {
                black_box((key, value));
                count += 1;
                ControlFlow::Continue(())
            })?;
        }
        Ok(count)
    })
}

fn main() -> Result<(), Fatal> {
    let parent = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let home = Path::new(&parent).join(format!("command-path-{}", std::process::id()));
    std::fs::create_dir(&home)?;
    let measured = measure(&home);
    std::fs::remove_dir_all(&home)?;
    measured
}

fn measure(home: &Path) -> Result<(), Fatal> {
    let clock = RealClock::new();
    for length in [256, 64 << 10] {
        let payload = vec![7; length];
        frames(&clock, &payload)?.show(&format!("frame of {length} bytes, made and checked"))?;
    }
    let disk = Arc::new(RealDisk::open(home)?);
    let log = Journal::open(disk, JournalSettings::new([7; 16], 1), &OsEntropy)?;
    let mut next = 1;
    for together in [1, 16, 64, 256] {
        let measured = journal(&clock, &log, &mut next, together)?;
        measured.show(&format!("journal, 1 KiB durable, {together} at once"))?;
    }
    log.close()?;
    let store = FjallStore::open(home.join("store"), FjallSettings::default())?;
    commits(&clock, &store)?.show("store, a row of 400 bytes in batches of 64")?;
    gets(&clock, &store)?.show("store, get")?;
    scan(&clock, &store, true)?.show("store, scan, a row copied out")?;
    scan(&clock, &store, false)?.show("store, visit, a row where it lies")?;
    drop(store);
    machine::measure(&clock, home)
}
