//! Time as a machine has it: the flow of tokio's paused clock, a little too fast or too slow, and a wall
//! clock that is off and may jump.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cairn_world::{Clock, WallMillis};

use crate::process::Process;

/// Wall time at the start of every simulation: 2026-01-01T00:00:00Z.
pub(crate) const START: WallMillis = 1_767_225_600_000;

/// Simulated time, true for everybody.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrueTime(tokio::time::Instant);

impl TrueTime {
    #[expect(
        clippy::disallowed_methods,
        reason = "tokio's paused clock is the simulated one"
    )]
    pub(crate) fn begin() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    pub(crate) fn unix_millis(&self) -> u64 {
        START + u64::try_from(self.elapsed().as_millis()).unwrap()
    }
}

/// What of a machine's clock outlives its processes.
#[derive(Debug, Clone)]
pub(crate) struct MachineTime {
    time: TrueTime,
    /// Of a million seconds it counts so many too many.
    drift_ppm: i64,
    wall_off_ms: Arc<AtomicI64>,
}

impl MachineTime {
    pub(crate) fn new(time: TrueTime, drift_ppm: i64, wall_off_ms: i64) -> Self {
        Self {
            time,
            drift_ppm,
            wall_off_ms: Arc::new(AtomicI64::new(wall_off_ms)),
        }
    }

    /// The wall clock jumps.
    pub(crate) fn jump(&self, millis: i64) {
        self.wall_off_ms.fetch_add(millis, Ordering::Relaxed);
    }

    /// The wall clock is right again.
    pub(crate) fn set_right(&self) {
        self.wall_off_ms.store(0, Ordering::Relaxed);
    }

    /// The clock that a process of this machine sees.
    pub(crate) fn clock(&self, process: &Process) -> Arc<dyn Clock> {
        Arc::new(ProcessClock {
            machine: self.clone(),
            process: process.clone(),
        })
    }

    fn stretch(duration: Duration, ppm: i64) -> Duration {
        let micros = i128::try_from(duration.as_micros()).unwrap_or(i128::MAX / 2_000_000);
        let stretched = micros + micros * i128::from(ppm) / 1_000_000;
        Duration::from_micros(u64::try_from(stretched).unwrap_or(u64::MAX))
    }
}

#[derive(Debug)]
struct ProcessClock {
    machine: MachineTime,
    process: Process,
}

impl Clock for ProcessClock {
    fn monotonic(&self) -> Duration {
        MachineTime::stretch(self.machine.time.elapsed(), self.machine.drift_ppm)
    }

    fn wall(&self) -> WallMillis {
        let off = self.machine.wall_off_ms.load(Ordering::Relaxed);
        self.machine.time.unix_millis().saturating_add_signed(off)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let process = self.process.clone();
        let duration = MachineTime::stretch(duration, -self.machine.drift_ppm);
        Box::pin(async move {
            tokio::time::sleep(duration).await;
            process.running().await;
        })
    }
}
