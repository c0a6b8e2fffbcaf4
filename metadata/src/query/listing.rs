//! Listing: one look at each row, where it lies, and never a scan through a long group.
//!
//! ```text
//!  after ──seek──> row ─┬─ of the last key or group ─> passed over; after a few of them ──seek past it──┐
//!                   ^   ├─ in a group (prefix .. delimiter) ─> common prefix                            │
//!                   │   └─ else ─> the key                                                              │
//!                   └── next ────────────────────────────────────────────────────────────<──────────────┘
//! ```

use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use cairn_model::limits;
use cairn_store::prefix_end;
use cairn_wire::metadata::{BucketsAnswer, ListAnswer, ListBuckets, ListObjects, ListedObject};

use super::{QueryError, Rows, page_size};
use crate::apply::ApplyError;
use crate::keyspace::bucket::{BucketKey, BucketNameKey};
use crate::keyspace::object::{ListedAttributes, ListedRow, ObjectKey};
use crate::keyspace::{KeyKind as _, RowError};

/// Rows of a group, or versions of a key, that are passed over one by one before the rest of them is
/// skipped by a new seek, which costs about as much as looking at so many rows.
const PASSED_OVER: u32 = 16;

/// One page of a bucket's current objects.
pub(super) fn objects(rows: &Rows<'_>, query: &ListObjects) -> Result<ListAnswer, QueryError> {
    let limit = page_size(query.limit, limits::LIST_KEYS_MAX);
    if limit == 0 {
        return Ok(ListAnswer::default());
    }
    let within = ObjectKey::keys_with(query.bucket, &query.prefix);
    let mut filling = Filling {
        query,
        limit,
        page: ListAnswer::default(),
        last: Last::None,
        passed: 0,
        failed: None,
    };
    let mut from = start(query, &within);
    loop {
        let mut step = Step::End;
        rows.visit_from(
            from.as_ref().map(Vec::as_slice),
            &within,
            &mut |key, value| {
                step = filling.see(key, value);
                match step {
                    Step::Next => ControlFlow::Continue(()),
                    _ => ControlFlow::Break(()),
                }
            },
        )?;
        if let Some(error) = filling.failed {
            return Err(ApplyError::from(error).into());
        }
        match step {
            Step::Seek(next) => from = next,
            // The last row was looked at, or the page is full.
            Step::Next | Step::End => break,
        }
    }
    filling.page.next_after = filling.last().cloned().unwrap_or_default();
    Ok(filling.page)
}

/// What comes after a row.
enum Step {
    Next,
    Seek(Bound<Vec<u8>>),
    End,
}

/// What the last entry of a page is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    None,
    Key,
    Group,
}

/// A page as it is filled.
struct Filling<'a> {
    query: &'a ListObjects,
    limit: usize,
    page: ListAnswer,
    last: Last,
    /// Rows passed over since the last entry.
    passed: u32,
    failed: Option<RowError>,
}

impl Filling<'_> {
    /// The last entry of the page: a key or a common prefix.
    fn last(&self) -> Option<&Bytes> {
        match self.last {
            Last::None => None,
            Last::Key => self.page.objects.last().map(|object| &object.key),
            Last::Group => self.page.common_prefixes.last(),
        }
    }

    fn see(&mut self, key: &[u8], value: &[u8]) -> Step {
        match self.take(key, value) {
            Ok(step) => step,
            Err(error) => {
                self.failed = Some(error);
                Step::End
            }
        }
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<Step, RowError> {
        let key = ObjectKey::decode(key)?.key;
        let is_seen = self.last().is_some_and(|last| match self.last {
            Last::Group => key.starts_with(last),
            Last::None | Last::Key => *last == key,
        });
        if is_seen {
            return Ok(self.pass_over());
        }
        if self.page.objects.len() + self.page.common_prefixes.len() == self.limit {
            self.page.truncated = true;
            return Ok(Step::End);
        }
        self.passed = 0;
        if let Some(group) = group_of(&key, &self.query.prefix, &self.query.delimiter) {
            let group = Bytes::copy_from_slice(group);
            self.page.common_prefixes.push(group);
            self.last = Last::Group;
        } else {
            let row = ListedRow::of(value)?;
            self.page.objects.push(listed(key.into(), row));
            self.last = Last::Key;
        }
        Ok(Step::Next)
    }

    /// An older version of the last key, or another key of the last group.
    fn pass_over(&mut self) -> Step {
        self.passed += 1;
        if self.passed < PASSED_OVER {
            return Step::Next;
        }
        let Some(last) = self.last() else {
            return Step::Next;
        };
        let bucket = self.query.bucket;
        Step::Seek(past(&match self.last {
            Last::Group => ObjectKey::keys_with(bucket, last),
            Last::None | Last::Key => ObjectKey::versions_of(bucket, last),
        }))
    }
}

/// Where a page begins: past `after`, or past its whole group where `after` is a common prefix.
fn start(query: &ListObjects, within: &[u8]) -> Bound<Vec<u8>> {
    let begin = Bound::Included(within.to_vec());
    if query.after.is_empty() {
        return begin;
    }
    let is_group = group_of(&query.after, &query.prefix, &query.delimiter)
        .is_some_and(|group| group.len() == query.after.len());
    let after = past(&if is_group {
        ObjectKey::keys_with(query.bucket, &query.after)
    } else {
        ObjectKey::versions_of(query.bucket, &query.after)
    });
    match (&after, &begin) {
        (Bound::Included(after_key), Bound::Included(begin_key)) if after_key < begin_key => begin,
        _ => after,
    }
}

/// The common prefix a key rolls up into, if it does.
pub(super) fn group_of<'a>(key: &'a [u8], prefix: &[u8], delimiter: &[u8]) -> Option<&'a [u8]> {
    let rest = key.strip_prefix(prefix)?;
    if delimiter.is_empty() {
        return None;
    }
    let at = rest
        .windows(delimiter.len())
        .position(|window| window == delimiter)?;
    key.get(..prefix.len() + at + delimiter.len())
}

/// The first position after everything that starts with `start`.
pub(super) fn past(start: &[u8]) -> Bound<Vec<u8>> {
    match prefix_end(start) {
        // An exclusive end bound is the first key past the prefix: a start, it is inclusive.
        Bound::Excluded(end) => Bound::Included(end),
        other => other,
    }
}

fn listed(key: Bytes, row: ListedRow) -> ListedObject {
    let ListedAttributes {
        etag,
        storage_class,
        checksums,
    } = row.attributes.unwrap_or_default();
    ListedObject {
        key,
        length: row.length,
        modified_ms: row.modified_ms,
        etag,
        storage_class,
        checksum_composite: checksums.iter().any(|checksum| checksum.composite),
        checksum_algorithms: checksums
            .into_iter()
            .map(|checksum| checksum.algorithm)
            .collect(),
    }
}

/// One page of an owner's buckets, by name.
pub(super) fn buckets(rows: &Rows<'_>, query: &ListBuckets) -> Result<BucketsAnswer, QueryError> {
    let limit = page_size(query.limit, limits::LIST_BUCKETS_MAX);
    let mut page = BucketsAnswer::default();
    let within = BucketNameKey(query.prefix.clone()).encode();
    let after = BucketNameKey(query.after.clone()).encode();
    let from = if query.after.is_empty() || after < within {
        Bound::Included(within.as_slice())
    } else {
        Bound::Excluded(after.as_slice())
    };
    for row in rows.scan_from::<BucketNameKey>(from, &within) {
        let (_, name) = row?;
        let Some(bucket) = rows.get(&BucketKey(name.id))? else {
            return Err(ApplyError::Inconsistent("a bucket name without its bucket").into());
        };
        if bucket.owner != query.owner {
            continue;
        }
        if page.buckets.len() == limit {
            page.truncated = true;
            break;
        }
        page.buckets.push(bucket);
    }
    Ok(page)
}
