//! What must be there, what may be there, and what must not.
//!
//! Every key has one acknowledged state and the states that operations without an answer may have
//! left. The first look after a crash decides among them; from then on that state is acknowledged.
//!
//! ```text
//! begin(k, X) ── 2xx ──► acknowledged = X
//!      │──────── 4xx ──► as before: the server refused
//!      └── no answer, 5xx ──► acknowledged or X: unknown, until observed
//! ```

use std::collections::BTreeMap;

use crate::content::Content;

/// A key's state: its content, or absent.
pub type State = Option<Content>;

/// How an operation ended for its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Success was reported.
    Acknowledged,
    /// The server refused and did nothing.
    Refused,
    /// No answer, or one that does not say (5xx).
    Unknown,
}

/// What a reader found at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// 404.
    Absent,
    /// 200 with these bytes and this ETag.
    Present {
        /// The whole body.
        bytes: Vec<u8>,
        /// With its quotes.
        etag: String,
    },
}

/// A row of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Key.
    pub key: String,
    /// Bytes.
    pub size: usize,
    /// With its quotes.
    pub etag: String,
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The key.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.key, self.what)
    }
}

#[derive(Debug, Clone, Default)]
struct Known {
    acknowledged: State,
    possible: Vec<State>,
}

/// The acknowledged and possible states of many keys.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    keys: BTreeMap<String, Known>,
}

impl Oracle {
    /// Records an operation that would leave `key` in `state`, by how it ended. Operations on one
    /// key are told in the order they ran.
    pub fn record(&mut self, key: &str, state: State, answer: Answer) {
        let known = self.keys.entry(key.to_owned()).or_default();
        match answer {
            Answer::Acknowledged => known.acknowledged = state,
            Answer::Refused => {}
            Answer::Unknown => known.possible.push(state),
        }
    }

    /// Every key ever recorded, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// The state of a key, where it is certain.
    #[must_use]
    pub fn certain(&self, key: &str) -> Option<&State> {
        self.keys
            .get(key)
            .filter(|known| known.possible.is_empty())
            .map(|known| &known.acknowledged)
    }

    /// How many keys are not certain.
    #[must_use]
    pub fn uncertain(&self) -> usize {
        self.keys
            .values()
            .filter(|known| !known.possible.is_empty())
            .count()
    }

    /// How many objects must be there.
    #[must_use]
    pub fn present(&self) -> usize {
        self.keys
            .values()
            .filter(|known| known.acknowledged.is_some())
            .count()
    }

    /// Judges what a reader found, and takes it for the truth where several states were possible.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    pub fn observe(&mut self, key: &str, seen: &Observation) -> Result<(), Broken> {
        let known = self.keys.entry(key.to_owned()).or_default();
        let candidates = std::iter::once(&known.acknowledged).chain(&known.possible);
        match candidates
            .into_iter()
            .find(|state| fits(state, seen))
            .cloned()
        {
            Some(state) => {
                *known = Known {
                    acknowledged: state,
                    possible: Vec::new(),
                };
                Ok(())
            }
            None => Err(Broken {
                key: key.to_owned(),
                what: describe(known, seen),
            }),
        }
    }

    /// Judges a whole listing against the acknowledged states. Every key must be certain, which it
    /// is once observed.
    #[must_use]
    pub fn judge_listing(&self, listing: &[Listed]) -> Vec<Broken> {
        let mut broken = Vec::new();
        let mut say = |key: &str, what: &str| {
            broken.push(Broken {
                key: key.to_owned(),
                what: what.to_owned(),
            });
        };
        for (earlier, later) in listing.iter().zip(listing.iter().skip(1)) {
            if earlier.key.as_bytes() >= later.key.as_bytes() {
                say(&later.key, "listed twice or out of order");
            }
        }
        let listed: BTreeMap<&str, &Listed> =
            listing.iter().map(|row| (row.key.as_str(), row)).collect();
        for (key, known) in &self.keys {
            match (&known.acknowledged, listed.get(key.as_str())) {
                (None, Some(_)) => say(key, "listed but absent"),
                (Some(_), None) => say(key, "there but not listed"),
                (Some(content), Some(row)) => {
                    if row.size != content.length() || row.etag != content.etag() {
                        say(key, "listed with another size or ETag");
                    }
                }
                (None, None) => {}
            }
        }
        for row in listing
            .iter()
            .filter(|row| !self.keys.contains_key(&row.key))
        {
            say(&row.key, "listed but never written");
        }
        broken
    }
}

fn fits(state: &State, seen: &Observation) -> bool {
    match (state, seen) {
        (None, Observation::Absent) => true,
        (Some(content), Observation::Present { bytes, etag }) => {
            content.length() == bytes.len() && *etag == content.etag() && content.bytes() == *bytes
        }
        _ => false,
    }
}

fn describe(known: &Known, seen: &Observation) -> String {
    let seen = match seen {
        Observation::Absent => "absent".to_owned(),
        Observation::Present { bytes, etag } => format!("{} bytes with ETag {etag}", bytes.len()),
    };
    let one = |state: &State| match state {
        None => "absent".to_owned(),
        Some(content) => format!("{} bytes with ETag {}", content.length(), content.etag()),
    };
    let possible: Vec<String> = known.possible.iter().map(one).collect();
    let acknowledged = one(&known.acknowledged);
    format!("found {seen}; acknowledged was {acknowledged}; also possible: {possible:?}")
}

#[cfg(test)]
mod tests;
