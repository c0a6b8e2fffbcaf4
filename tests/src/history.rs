//! Concurrent clients on a few shared keys, written down for [`crate::linear`].
//!
//! ```text
//! Player 0 ─┐                       ┌─ gateway A
//! Player 1 ─┼─ call, answer ── S3 ──┤             every player draws keys of one generation;
//! Player 2 ─┘        │              └─ gateway B   a generation is given up after so many calls,
//!                    ▼                             so that no key's history grows long
//!             History: key -> spans ──► check
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cairn_compat_suite::checksums::etag;
use cairn_compat_suite::{Call, Client, HttpError, Response};

use crate::content::Piece;
use crate::linear::{self, Operation, Outcome, Span, State, Value};
use crate::random::Random;
use crate::s3;

/// Keys that the players share at one time.
const KEYS: u64 = 3;
/// Calls before the players go on to other keys.
const CALLS_PER_GENERATION: u64 = 150;
/// Bytes after the value's number: inline, copies, shards.
const LENGTHS: [usize; 5] = [10, 500, 6_000, 20_000, 90_000];
/// Digits of a value at the head of a body.
const DIGITS: usize = 20;
/// Rest after a call that nobody took, so that a dead gateway is not hammered.
const REST: Duration = Duration::from_millis(30);

/// What all players did, by key.
#[derive(Debug)]
pub struct History {
    bucket: String,
    clock: AtomicU64,
    values: AtomicU64,
    calls: AtomicU64,
    spans: Mutex<BTreeMap<String, Vec<Span>>>,
    faults: Mutex<Vec<String>>,
}

/// What one player got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    /// Writes acknowledged.
    pub written: u64,
    /// Swaps refused for what the key held.
    pub mismatched: u64,
    /// Reads answered.
    pub read: u64,
    /// Writes whose outcome nobody told.
    pub unknown: u64,
    /// Calls that certainly did nothing, and reads without an answer.
    pub refused: u64,
}

impl std::ops::AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.written += other.written;
        self.mismatched += other.mismatched;
        self.read += other.read;
        self.unknown += other.unknown;
        self.refused += other.refused;
    }
}

/// An answer as a history needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    /// It belongs into the history.
    Outcome(Outcome),
    /// Nothing happened.
    Nothing,
    /// No server may say that.
    Fault(String),
}

impl History {
    /// An empty history of keys of `bucket`.
    #[must_use]
    pub fn new(bucket: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            clock: AtomicU64::new(1),
            values: AtomicU64::new(1),
            calls: AtomicU64::new(0),
            spans: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn keep(&self, key: &str, span: Span) {
        let mut spans = locked(&self.spans);
        spans.entry(key.to_owned()).or_default().push(span);
    }

    /// Plays until told to stop. Every call goes to one of `clients`.
    #[must_use]
    pub fn play(&self, name: u64, clients: &[Client], seed: u64, stop: &AtomicBool) -> Score {
        let mut player = Player {
            history: self,
            name,
            random: Random::new(seed ^ (name << 40)),
            last: BTreeMap::new(),
            score: Score::default(),
        };
        while !stop.load(Ordering::Relaxed) {
            player.step(clients);
        }
        player.score
    }

    /// Reads every key of the history once more.
    ///
    /// # Errors
    /// The first key that cannot be read, in words.
    pub fn read_everything(&self, client: &Client) -> Result<(), String> {
        let keys: Vec<String> = locked(&self.spans).keys().cloned().collect();
        for key in keys {
            let called = self.tick();
            let path = format!("{}/{key}", self.bucket);
            let result = client.send(&Call::new("GET", &path));
            match heard(&Operation::Read, &result) {
                Heard::Outcome(outcome) if outcome != Outcome::Unknown => {
                    let answered = self.tick();
                    let span = Span {
                        client: u64::MAX,
                        operation: Operation::Read,
                        outcome,
                        called,
                        answered,
                    };
                    self.keep(&key, span);
                }
                other => return Err(format!("{path}: {other:?} {result:.300?}")),
            }
        }
        Ok(())
    }

    /// Keys and operations written down.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let spans = locked(&self.spans);
        (spans.len(), spans.values().map(Vec::len).sum())
    }

    /// Everything that is wrong: keys whose history no order explains, and answers that no server
    /// may give.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let mut found = locked(&self.faults).clone();
        for (key, spans) in locked(&self.spans).iter() {
            if let Err(violation) = linear::check(spans) {
                let spans: Vec<String> = spans.iter().map(ToString::to_string).collect();
                found.push(format!("{key}: {violation}\n{}", spans.join("\n")));
            }
        }
        found
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Player<'h> {
    history: &'h History,
    name: u64,
    random: Random,
    /// What this player last knew of a key.
    last: BTreeMap<String, State>,
    score: Score,
}

impl Player<'_> {
    fn step(&mut self, clients: &[Client]) {
        let call = self.history.calls.fetch_add(1, Ordering::Relaxed);
        let generation = call / CALLS_PER_GENERATION;
        let key = format!("g{generation:05}/{}", self.random.below(KEYS));
        let operation = self.choose(&key);
        let request = request(&format!("{}/{key}", self.history.bucket), &operation);
        let client = self.random.pick(clients);
        let called = self.history.tick();
        let result = client.send(&request);
        let answered = self.history.tick();
        let heard = heard(&operation, &result);
        self.count(&operation, &heard);
        match heard {
            Heard::Nothing => std::thread::sleep(REST),
            Heard::Fault(what) => {
                let what = format!("client {} at {key}, {operation:?}: {what}", self.name);
                locked(&self.history.faults).push(what);
            }
            Heard::Outcome(outcome) => {
                self.learn(&key, &operation, &outcome);
                let span = Span {
                    client: self.name,
                    operation,
                    outcome,
                    called,
                    answered,
                };
                self.history.keep(&key, span);
            }
        }
    }

    fn choose(&mut self, key: &str) -> Operation {
        let to = self.history.values.fetch_add(1, Ordering::Relaxed);
        let last = self.last.get(key).copied().flatten();
        match self.random.below(20) {
            0..=4 => Operation::Write(Some(to)),
            5 | 6 => Operation::Write(None),
            7..=9 => Operation::Swap { expected: None, to },
            10..=12 if last.is_some() => Operation::Swap { expected: last, to },
            _ => Operation::Read,
        }
    }

    fn learn(&mut self, key: &str, operation: &Operation, outcome: &Outcome) {
        let state = match (operation, outcome) {
            (_, Outcome::Saw(state)) | (Operation::Write(state), Outcome::Done) => *state,
            (Operation::Swap { to, .. }, Outcome::Done) => Some(*to),
            _ => return,
        };
        self.last.insert(key.to_owned(), state);
    }

    fn count(&mut self, operation: &Operation, heard: &Heard) {
        let score = &mut self.score;
        let counter = match (operation, heard) {
            (_, Heard::Outcome(Outcome::Done | Outcome::Either)) => &mut score.written,
            (_, Heard::Outcome(Outcome::Mismatch)) => &mut score.mismatched,
            (_, Heard::Outcome(Outcome::Saw(_) | Outcome::SawOneOf(_))) => &mut score.read,
            (Operation::Read, _) | (_, Heard::Nothing | Heard::Fault(_)) => &mut score.refused,
            (_, Heard::Outcome(Outcome::Unknown)) => &mut score.unknown,
        };
        *counter += 1;
    }
}

/// The body that stands for a value.
fn body(value: Value) -> Vec<u8> {
    let mut body = format!("{value:0DIGITS$}\n").into_bytes();
    let kind = usize::try_from(value).unwrap_or(0) % LENGTHS.len();
    let length = LENGTHS.get(kind).copied().unwrap_or(0);
    body.extend(
        Piece {
            seed: value,
            length,
        }
        .bytes(),
    );
    body
}

/// The value that a body stands for; `None` where a byte is wrong.
fn value(bytes: &[u8]) -> Option<Value> {
    let digits = std::str::from_utf8(bytes.get(..DIGITS)?).ok()?;
    let value = digits.parse().ok()?;
    (body(value) == bytes).then_some(value)
}

fn request(path: &str, operation: &Operation) -> Call {
    match operation {
        // The players ask for no swap among several values.
        Operation::Read | Operation::SwapAmong { .. } => Call::new("GET", path),
        Operation::Write(None) => Call::new("DELETE", path),
        Operation::Write(Some(value)) => s3::put(path, body(*value)),
        Operation::Swap { expected, to } => {
            let call = s3::put(path, body(*to));
            match expected {
                None => call.header("if-none-match", "*"),
                Some(value) => call.header("if-match", &etag(&body(*value))),
            }
        }
    }
}

fn heard(operation: &Operation, result: &Result<Response, HttpError>) -> Heard {
    let response = match result {
        Ok(response) => response,
        Err(HttpError::Connect(_)) => return Heard::Nothing,
        Err(_) => return Heard::Outcome(Outcome::Unknown),
    };
    let conditional = matches!(operation, Operation::Swap { .. });
    let outcome = match (operation, response.status) {
        (_, 500..) => Outcome::Unknown,
        // A conflict with a request in flight: nothing was done, nothing was compared.
        (_, 409) if conditional => return Heard::Nothing,
        (Operation::Read, 404) => Outcome::Saw(None),
        (Operation::Read, 200) => match value(&response.body) {
            Some(value) => Outcome::Saw(Some(value)),
            None => return Heard::Fault(format!("{} wrong bytes", response.body.len())),
        },
        (Operation::Write(None), 204) => Outcome::Done,
        (Operation::Write(Some(_)) | Operation::Swap { .. }, 200) => Outcome::Done,
        (Operation::Swap { .. }, 412) => Outcome::Mismatch,
        // If-Match on a key that is absent.
        (
            Operation::Swap {
                expected: Some(_), ..
            },
            404,
        ) => Outcome::Mismatch,
        (_, status) => return Heard::Fault(format!("{status} {}", response.text())),
    };
    Heard::Outcome(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &[u8]) -> Result<Response, HttpError> {
        Ok(Response {
            status,
            headers: Vec::new(),
            body: body.to_vec(),
        })
    }

    #[test]
    fn bodies_stand_for_values_and_no_byte_may_differ() {
        for wanted in 0..10 {
            let bytes = body(wanted);
            assert_eq!(value(&bytes), Some(wanted));
            for at in [0, DIGITS, bytes.len() - 1] {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1;
                assert_eq!(value(&damaged), None, "byte {at}");
            }
            assert_eq!(value(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(value(b""), None);
    }

    #[test]
    fn answers_are_heard_for_what_they_say() {
        let create = Operation::Swap {
            expected: None,
            to: 1,
        };
        let update = Operation::Swap {
            expected: Some(1),
            to: 2,
        };
        let outcome = |operation: &Operation, status| heard(operation, &response(status, b""));
        let is = Heard::Outcome;
        assert_eq!(outcome(&create, 200), is(Outcome::Done));
        assert_eq!(outcome(&create, 412), is(Outcome::Mismatch));
        assert_eq!(outcome(&update, 404), is(Outcome::Mismatch));
        assert_eq!(outcome(&update, 409), Heard::Nothing);
        assert_eq!(outcome(&create, 503), is(Outcome::Unknown));
        assert_eq!(outcome(&Operation::Write(None), 204), is(Outcome::Done));
        assert_eq!(outcome(&Operation::Read, 404), is(Outcome::Saw(None)));
        let seen = heard(&Operation::Read, &response(200, &body(7)));
        assert_eq!(seen, is(Outcome::Saw(Some(7))));
        for (operation, status) in [
            (create.clone(), 404),
            (Operation::Write(None), 404),
            (Operation::Write(Some(1)), 409),
            (Operation::Write(Some(1)), 403),
            (Operation::Read, 200),
        ] {
            let heard = outcome(&operation, status);
            assert!(matches!(heard, Heard::Fault(_)), "{operation:?} {status}");
        }
        let broken = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let gone = heard(&create, &Err(HttpError::Connect(broken())));
        assert_eq!(gone, Heard::Nothing);
        let lost = heard(&create, &Err(HttpError::Receive(broken())));
        assert_eq!(lost, is(Outcome::Unknown));
    }

    #[test]
    fn a_violation_names_its_key() {
        let history = History::new("b");
        let span = |called, operation, outcome| Span {
            client: 0,
            operation,
            outcome,
            called,
            answered: called + 1,
        };
        history.keep("k", span(1, Operation::Write(Some(1)), Outcome::Done));
        assert_eq!(history.violations(), Vec::<String>::new());
        history.keep("k", span(3, Operation::Read, Outcome::Saw(None)));
        let found = history.violations();
        assert!(
            found.len() == 1 && found[0].starts_with("k: after 1"),
            "{found:?}"
        );
        assert_eq!(history.size(), (1, 2));
    }
}
