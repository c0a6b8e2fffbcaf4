//! MD5s of concurrent uploads, made together: sixteen take hardly longer than one (`cairn_s3::digest::md5`).
//!
//! ```text
//!   upload A ─ push ─ owes a piece: its turn ─ takes what everybody owes ─ all side by side ─ puts it back
//!   upload B ─ push ─ push ─ push ─────────────────────┘ (pushes go on meanwhile)              └─> owes less
//!   upload C ─ push ─ finish: its turn, and what it still owes alone
//! ```
//!
//! Whoever owes enough makes a turn for all, unless one is being made. What one would have to make alone
//! stays owed as long as it may: it is faster beside what others will owe. There is no thread, no timer and
//! no waiting, except for an upload that owes as much as it may while somebody else makes a turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cairn_s3::digest::OWED_MAX;
use cairn_s3::digest::md5::{self, Owed};

/// Bytes owed that begin a turn.
const PIECE: usize = OWED_MAX / 4;
/// Bytes owed that are taken into the turn of another.
const WORTH: usize = 32 << 10;
/// Bodies in one turn: as many as the widest vectors have lanes.
const TURN_MAX: usize = 16;

/// Bodies that one looks at for those: thousands may wait for slow clients and owe nothing.
const LOOK_MAX: usize = 256;

/// Where uploads meet.
#[derive(Debug, Default)]
pub(crate) struct Abreast {
    bodies: Mutex<Bodies>,
    /// Held for a turn. What was taken in a turn is put back in it.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Bodies {
    /// By number, in the order they came.
    all: BTreeMap<u64, Arc<Mutex<Debt>>>,
    /// The next one's number.
    next: u64,
}

/// What one body owes.
#[derive(Debug, Default)]
struct Debt {
    owed: Owed,
    /// A turn has the digest: `owed` begins after it.
    taken: bool,
}

/// The MD5 of one body.
#[derive(Debug)]
pub(crate) struct Digesting {
    number: u64,
    debt: Arc<Mutex<Debt>>,
    abreast: Arc<Abreast>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Digesting {
    /// Of a body of so many bytes; none for one too short to be worth a place beside others.
    pub(crate) fn of(abreast: &Arc<Abreast>, length: u64) -> Option<Self> {
        (length >= WORTH as u64).then(|| Self::new(abreast))
    }

    fn new(abreast: &Arc<Abreast>) -> Self {
        let debt = Arc::default();
        let mut bodies = lock(&abreast.bodies);
        let number = bodies.next;
        bodies.next += 1;
        bodies.all.insert(number, Arc::clone(&debt));
        drop(bodies);
        Self {
            number,
            debt,
            abreast: Arc::clone(abreast),
        }
    }

    /// What `later` owes comes next.
    pub(crate) async fn push(&self, later: Owed) {
        let owes = {
            let mut debt = lock(&self.debt);
            debt.owed.append(later);
            debt.owed.len()
        };
        if owes >= OWED_MAX {
            let _turn = self.abreast.turn.lock().await;
            self.abreast.make_turn(self.number, OWED_MAX / 2);
        } else if owes >= PIECE
            && let Ok(_turn) = self.abreast.turn.try_lock()
        {
            self.abreast.make_turn(self.number, OWED_MAX);
        }
    }

    /// All of it, most of it made. The caller may finish it.
    pub(crate) async fn finish(self) -> Owed {
        let owes = {
            let debt = lock(&self.debt);
            if debt.taken {
                usize::MAX
            } else {
                debt.owed.len()
            }
        };
        if owes >= WORTH {
            let _turn = self.abreast.turn.lock().await;
            self.abreast.make_turn(self.number, OWED_MAX);
        }
        std::mem::take(&mut lock(&self.debt).owed)
    }
}

impl Drop for Digesting {
    fn drop(&mut self) {
        lock(&self.abreast.bodies).all.remove(&self.number);
    }
}

impl Abreast {
    /// A turn for one body and whoever else owes something; what would be made alone may stay owed. The
    /// caller holds `turn`.
    fn make_turn(&self, first: u64, may_stay: usize) {
        let mut taken = Vec::with_capacity(TURN_MAX);
        let mut all = Vec::with_capacity(TURN_MAX);
        let bodies = lock(&self.bodies);
        // From the first on, and round: no one is passed over for ever.
        let round = bodies.all.range(first..).chain(bodies.all.range(..first));
        for (number, body) in round.take(LOOK_MAX) {
            let mut debt = lock(body);
            let worth = if *number == first { 1 } else { WORTH };
            if debt.owed.len() >= worth {
                debt.taken = true;
                all.push(std::mem::take(&mut debt.owed));
                taken.push(Arc::clone(body));
            }
            if taken.len() == TURN_MAX {
                break;
            }
        }
        drop(bodies);
        md5::advance(&mut all, may_stay);
        for (body, owed) in taken.iter().zip(all) {
            let mut debt = lock(body);
            let later = std::mem::replace(&mut debt.owed, owed);
            debt.owed.append(later);
            debt.taken = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn owed(run: &Bytes) -> Owed {
        let mut owed = Owed::new();
        owed.push(run.clone());
        owed
    }

    fn body(number: usize) -> Bytes {
        (0..3_000_000 + number * 77_777)
            .map(|at| (at * (number + 3) % 251) as u8)
            .collect()
    }

    #[tokio::test]
    async fn alone_it_owes_no_more_than_it_may() {
        let abreast = Arc::new(Abreast::default());
        let (digesting, body) = (Digesting::new(&abreast), body(0));
        for run in body.chunks(100_000) {
            digesting.push(owed(&body.slice_ref(run))).await;
            assert!(lock(&digesting.debt).owed.len() < OWED_MAX);
        }
        let owed = digesting.finish().await;
        assert_eq!(owed.total(), body.len() as u64);
        assert_eq!(owed.finish(), md5::Md5::of(&body));
        assert!(lock(&abreast.bodies).all.is_empty());
    }

    /// What one owes is made in the turn of another; a long body's surplus is left for the next.
    #[tokio::test]
    async fn a_turn_is_for_everybody() {
        let abreast = Arc::new(Abreast::default());
        let (first, second, little) = (
            Digesting::new(&abreast),
            Digesting::new(&abreast),
            Digesting::new(&abreast),
        );
        let run = Bytes::from(vec![7; PIECE - 1]);
        second.push(owed(&run.slice(..WORTH * 2))).await;
        little.push(owed(&run.slice(..WORTH - 1))).await;
        first.push(owed(&run)).await;
        let owes = |digesting: &Digesting| lock(&digesting.debt).owed.len();
        assert_eq!(
            [owes(&first), owes(&second), owes(&little)],
            [PIECE - 1, WORTH * 2, WORTH - 1]
        );
        first.push(owed(&run.slice(..1))).await;
        assert_eq!(
            [owes(&first), owes(&second), owes(&little)],
            [PIECE - WORTH * 2, 0, WORTH - 1]
        );
        let made = first.finish().await.finish();
        assert_eq!(made, md5::Md5::of(&vec![7; PIECE]));
    }

    /// On several threads, in every order that comes about, each body gets its own digest.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn each_gets_its_own_back() {
        let abreast = Arc::new(Abreast::default());
        let tasks: Vec<_> = (0..24)
            .map(|number| {
                let abreast = Arc::clone(&abreast);
                tokio::spawn(async move {
                    let (digesting, body) = (Digesting::new(&abreast), body(number));
                    for run in body.chunks(50_000 + number * 1_000) {
                        digesting.push(owed(&body.slice_ref(run))).await;
                    }
                    // Some go away before their end.
                    if number % 5 == 4 {
                        return;
                    }
                    let owed = digesting.finish().await;
                    assert_eq!(owed.total(), body.len() as u64);
                    assert_eq!(owed.finish(), md5::Md5::of(&body));
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(lock(&abreast.bodies).all.is_empty());
    }
}
