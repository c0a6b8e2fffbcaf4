//! What a crash feels like keeping. Uniform choice alone would hardly ever keep all or nothing of
//! a large write, and those are the cases that find most bugs.

use super::super::entropy::SeededRng;

/// How unsynced pieces of one file (or of the directories) fare in one crash.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mood {
    /// Nothing arrives.
    Nothing,
    /// All arrives, newest version.
    Everything,
    /// Each piece on its own, `times` out of 8.
    Each {
        /// Of 8.
        times: u64,
    },
    /// In order, up to a point.
    UpTo {
        /// Pieces still arriving.
        left: u64,
    },
}

impl Mood {
    /// Draws a mood for `pieces` unsynced pieces.
    pub(super) fn draw(rng: &mut SeededRng, pieces: usize) -> Self {
        match rng.below(6) {
            0 => Self::Nothing,
            1 => Self::Everything,
            2 => Self::UpTo {
                left: rng.below(pieces as u64 + 1),
            },
            3 => Self::Each { times: 1 },
            4 => Self::Each { times: 4 },
            _ => Self::Each { times: 7 },
        }
    }

    /// The state of the next piece: `None` keeps what the platter has, `Some(i)` takes the i-th of
    /// its `versions` since (the last is the newest).
    pub(super) fn choose(&mut self, rng: &mut SeededRng, versions: usize) -> Option<usize> {
        let newest = versions.checked_sub(1)?;
        match self {
            Self::Nothing => None,
            Self::Everything => Some(newest),
            Self::UpTo { left } => {
                let arrives = *left > 0;
                *left = left.saturating_sub(1);
                arrives.then_some(newest)
            }
            Self::Each { times } => rng.chance(*times, 8).then(|| {
                if rng.chance(1, 2) {
                    newest
                } else {
                    rng.below(versions as u64) as usize
                }
            }),
        }
    }
}
