//! Listings: each page is a look at every key between its ends, listed or not.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Event, Like, Register, Sight, Time, What};
use super::registers::Registers;

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: String,
    /// Without quotes.
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

/// What was asked of a listing of objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The bucket.
    pub bucket: String,
    /// Only keys that begin so.
    pub prefix: String,
    /// Keys that have this after the prefix are shown as one; empty for none.
    pub delimiter: String,
    /// Only what comes after this; empty for all.
    pub after: String,
    /// At most so many keys and prefixes.
    pub limit: usize,
}

/// One page of a listing of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What was asked.
    pub asked: Asked,
    /// Objects in the order they came.
    pub rows: Vec<Row>,
    /// Common prefixes in the order they came.
    pub prefixes: Vec<String>,
    /// Whether there is more.
    pub truncated: bool,
}

impl Page {
    /// The last key or prefix, after which the next page goes on.
    #[must_use]
    pub fn last(&self) -> &str {
        let key = self.rows.last().map_or("", |row| row.key.as_str());
        key.max(self.prefixes.last().map_or("", String::as_str))
    }

    /// What is wrong with the page by itself: order, repetition, bounds.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let Asked {
            prefix,
            delimiter,
            after,
            limit,
            ..
        } = &self.asked;
        let keys: Vec<&str> = self.rows.iter().map(|row| row.key.as_str()).collect();
        let prefixes: Vec<&str> = self.prefixes.iter().map(String::as_str).collect();
        let mut all = [keys.as_slice(), prefixes.as_slice()].concat();
        all.sort_unstable();
        let rises = |names: &[&str]| names.is_sorted_by(|one, other| one < other);
        let is_group = |key: &str| {
            let rest = key.strip_prefix(prefix.as_str()).unwrap_or(key);
            !delimiter.is_empty() && rest.contains(delimiter.as_str())
        };
        let is_whole_group = |name: &&str| is_group(name) && name.ends_with(delimiter.as_str());
        let rules = [
            (rises(&keys) && rises(&prefixes) && rises(&all), "order"),
            (all.len() <= *limit, "more than asked"),
            (
                all.iter().all(|name| name.starts_with(prefix)),
                "another prefix",
            ),
            (
                all.iter().all(|name| *name > after.as_str()),
                "what came before",
            ),
            (!keys.iter().any(|key| is_group(key)), "a key of a group"),
            (
                prefixes.iter().all(is_whole_group),
                "a prefix that is no group",
            ),
            (
                !self.truncated || !all.is_empty(),
                "truncated without a key",
            ),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds);
        broken
            .map(|(_, rule)| format!("{rule}: {self:?}"))
            .collect()
    }

    /// What the page says of a key; none where it says nothing.
    fn sight(&self, key: &str) -> Option<Sight> {
        let Asked { prefix, after, .. } = &self.asked;
        let within = key.starts_with(prefix.as_str())
            && key > after.as_str()
            // After a group comes what is behind all of the group.
            && !(self.is_shown_by(after) && key.starts_with(after.as_str()))
            && (!self.truncated || key <= self.last());
        if !within
            || self
                .prefixes
                .iter()
                .any(|group| key.starts_with(group.as_str()))
        {
            return None;
        }
        let row = self.rows.iter().find(|row| row.key == key);
        Some(row.map_or(Sight::Absent, |row| {
            Sight::Present(Like {
                size: Some(row.size),
                ..Like::etag(&row.etag)
            })
        }))
    }

    /// Whether this is a common prefix of such a listing.
    fn is_shown_by(&self, name: &str) -> bool {
        let delimiter = &self.asked.delimiter;
        !delimiter.is_empty() && name.ends_with(delimiter.as_str())
    }
}

/// Uploads by key and id.
pub(super) type Named = BTreeSet<(String, String)>;

/// All that was listed.
#[derive(Debug, Clone, Default)]
pub(super) struct Listings {
    /// Pages of objects.
    pub(super) pages: Vec<(Time, Page)>,
    /// Uploads of a bucket whose keys begin so: pairs of key and id. All pages as one look.
    pub(super) uploads: Vec<(Time, Asked, Named)>,
    /// Names of buckets.
    pub(super) buckets: Vec<(Time, BTreeSet<String>)>,
}

/// Creations of uploads without an answer: bucket and key, and when they were called.
pub(super) type LostCreations = BTreeMap<(String, String), Vec<u64>>;

/// Adds to the registers what the listings saw of each; gives what nobody can have made.
pub(super) fn settle(
    listings: &Listings,
    lost: &LostCreations,
    registers: &mut Registers,
) -> Vec<String> {
    let mut found = Vec::new();
    for (_, page) in &listings.pages {
        for row in &page.rows {
            if !registers.contains_key(&Register::object(&page.asked.bucket, &row.key)) {
                found.push(format!(
                    "{} was listed and never written: {page:?}",
                    row.key
                ));
            }
        }
    }
    for (time, asked, rows) in &listings.uploads {
        for (key, id) in rows {
            let upload = Register::Upload {
                bucket: asked.bucket.clone(),
                key: key.clone(),
                id: id.clone(),
            };
            let place = (asked.bucket.clone(), key.clone());
            let lost = lost.get(&place).into_iter().flatten();
            let is_lost = lost.into_iter().any(|called| *called < time.answered);
            if !registers.contains_key(&upload) && !is_lost {
                found.push(format!("{upload} was listed and never created"));
            }
        }
    }
    for (register, events) in registers.iter_mut() {
        events.extend(looks(listings, register));
    }
    found
}

/// What all listings saw of one register.
fn looks(listings: &Listings, register: &Register) -> Vec<Event> {
    let presence = |is: bool| match is {
        true => Sight::Present(Like::default()),
        false => Sight::Absent,
    };
    let sights: Vec<(Time, Sight)> = match register {
        Register::Object { bucket, key } => {
            let pages = listings.pages.iter();
            let pages = pages.filter(|(_, page)| page.asked.bucket == *bucket);
            pages
                .filter_map(|(time, page)| Some((*time, page.sight(key)?)))
                .collect()
        }
        Register::Upload { bucket, key, id } => {
            let covers = |asked: &Asked| asked.bucket == *bucket && key.starts_with(&asked.prefix);
            let lists = listings
                .uploads
                .iter()
                .filter(|(_, asked, _)| covers(asked));
            let is_in = |rows: &BTreeSet<_>| rows.contains(&(key.clone(), id.clone()));
            lists
                .map(|(time, _, rows)| (*time, presence(is_in(rows))))
                .collect()
        }
        Register::Bucket(name) => listings
            .buckets
            .iter()
            .map(|(time, names)| (*time, presence(names.contains(name))))
            .collect(),
        Register::Part { .. } => Vec::new(),
    };
    let event = |(time, sight)| Event {
        time,
        what: What::Read(sight),
    };
    sights.into_iter().map(event).collect()
}

#[cfg(test)]
mod tests;
