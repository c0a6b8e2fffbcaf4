//! Load on a cluster while something happens to it.

use std::sync::atomic::{AtomicBool, Ordering};

use cairn_compat_suite::Client;
use cairn_tests::history::{History, Score};
use cairn_tests::workload::Worker;

/// Plays on shared keys, every player through all of `clients`, while `meanwhile` runs. The score
/// is that of all players together.
pub(crate) fn play<T>(
    history: &History,
    players: u64,
    clients: &[Client],
    seed: u64,
    meanwhile: impl FnOnce() -> T,
) -> (Score, T) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..players)
            .map(|name| {
                scope.spawn({
                    let stop = &stop;
                    move || history.play(name, clients, seed, stop)
                })
            })
            .collect();
        let guard = StopAtEnd(&stop);
        let done = meanwhile();
        drop(guard);
        let mut total = Score::default();
        for player in running {
            total += player.join().expect("a player");
        }
        (total, done)
    })
}

/// Runs workers, each on keys of its own, through all of `clients` while `meanwhile` runs.
pub(crate) fn work<T>(
    workers: &mut [Worker],
    clients: &[Client],
    meanwhile: impl FnOnce() -> T,
) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for worker in workers {
            scope.spawn(|| worker.run_through(clients, &stop));
        }
        let _guard = StopAtEnd(&stop);
        meanwhile()
    })
}

/// Stops the load also where the test fails: a scope waits for its threads.
struct StopAtEnd<'s>(&'s AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
