//! What happened, as one number: two runs of one seed must come to the same.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::sync::{Arc, Mutex};

use crate::clock::TrueTime;

/// A running hash over everything noted, with the time it was noted at. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    time: TrueTime,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    hash: u64,
    notes: u64,
    /// Where every note is written too, to see where two runs part.
    file: Option<BufWriter<File>>,
}

impl Trace {
    /// A trace that is written to `file` too, a note a line, where one is given.
    pub(crate) fn new(time: TrueTime, file: Option<File>) -> Self {
        Self {
            time,
            state: Arc::new(Mutex::new(State {
                hash: 0xCBF2_9CE4_8422_2325,
                notes: 0,
                file: file.map(BufWriter::new),
            })),
        }
    }

    pub(crate) fn note(&self, words: &[u64]) {
        let now = u64::try_from(self.time.elapsed().as_micros()).unwrap();
        let mut state = self.state.lock().unwrap();
        let mixed = words.iter().fold(state.hash, |hash, word| mix(hash, *word));
        state.hash = mix(mixed, now);
        state.notes += 1;
        if let Some(file) = &mut state.file {
            writeln!(file, "{now} {words:?}").unwrap();
        }
    }

    /// Takes in what others have to say, without the time.
    pub(crate) fn note_bytes(&self, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap();
        let bytes = bytes.iter();
        state.hash = bytes.fold(state.hash, |hash, byte| mix(hash, u64::from(*byte)));
        state.notes += 1;
    }

    /// The hash and how many notes it is of.
    pub(crate) fn result(&self) -> (u64, u64) {
        let mut state = self.state.lock().unwrap();
        if let Some(file) = &mut state.file {
            file.flush().unwrap();
        }
        (state.hash, state.notes)
    }
}

fn mix(hash: u64, word: u64) -> u64 {
    let mixed = (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}
