//! Reading: a query and one view in, an answer out. Pure; the caller made sure that the view is
//! recent enough (ReadIndex).

use std::ops::Bound;

use cairn_model::limits;
use cairn_store::{See, View, prefix_end};
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{
    Answer, Bucket, BucketsAnswer, ListUsers, Query, SessionsAnswer, UsersAnswer, WorkStatus,
};

use crate::apply::ApplyError;
use crate::keyspace::KeyKind;
use crate::keyspace::bucket::{BucketKey, BucketNameKey};
use crate::keyspace::cluster::{ClusterKey, CountersKey};
use crate::keyspace::session::SessionKey;
use crate::keyspace::user::UserKey;

mod cluster;
mod debt;
mod garbage;
mod listing;
mod objects;
mod uploads;
mod waiting;

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The query breaks the protocol: a bug of the asker.
    #[error("malformed query: {0}")]
    Malformed(&'static str),
    /// The store is broken.
    #[error(transparent)]
    Store(#[from] ApplyError),
}

/// Answers one query from one view.
///
/// # Errors
/// See [`QueryError`].
pub fn answer(view: &dyn View, query: Query) -> Result<Answer, QueryError> {
    let Some(asked) = query.query else {
        return Err(QueryError::Malformed("unknown query"));
    };
    let rows = Rows(view);
    let kind = match asked {
        Asked::GetCluster(_) => Kind::Cluster(cluster::get(&rows)?),
        Asked::GetUser(query) => {
            let user = rows.get(&UserKey(query.access_key))?;
            Kind::Users(UsersAnswer {
                users: user.into_iter().collect(),
            })
        }
        Asked::ListUsers(ListUsers {}) => Kind::Users(UsersAnswer {
            users: rows
                .scan::<UserKey>(&[UserKey::PREFIX])
                .map(second)
                .collect::<Result<_, _>>()?,
        }),
        Asked::GetBucket(query) => Kind::Buckets(BucketsAnswer {
            buckets: bucket(&rows, query.name)?.into_iter().collect(),
            truncated: false,
        }),
        Asked::ListBuckets(query) => Kind::Buckets(listing::buckets(&rows, &query)?),
        Asked::GetObject(query) => Kind::Object(objects::get(&rows, &query)?),
        Asked::FindObject(query) => Kind::Found(objects::find(&rows, query)?),
        Asked::ListObjects(query) => Kind::List(listing::objects(&rows, &query)?),
        Asked::GetPages(query) => Kind::Pages(objects::pages(&rows, &query)?),
        Asked::GetChunks(query) => Kind::Chunks(objects::chunks(&rows, &query)?),
        Asked::GetUpload(query) => Kind::Uploads(uploads::get(&rows, &query)?),
        Asked::ListUploads(query) => Kind::Uploads(uploads::list(&rows, &query)?),
        Asked::ListParts(query) => Kind::Parts(uploads::parts(&rows, &query)?),
        Asked::GetGarbage(query) => Kind::Garbage(garbage::work(&rows, &query)?),
        Asked::GetDebt(query) => Kind::ChunkPage(debt::owed(&rows, &query)?),
        Asked::GetChunkRows(query) => Kind::ChunkPage(debt::rows(&rows, &query)?),
        Asked::GetSessions(_) => Kind::Sessions(sessions(&rows)?),
        Asked::GetMembers(_) => Kind::Members(cluster::members(&rows)?),
        // The service answers it from memory: there is no such state.
        Asked::GetStatus(_) => return Err(QueryError::Malformed("status is no state")),
    };
    Ok(Answer { answer: Some(kind) })
}

/// How much waits for whom, each kind counted up to `limits::STATUS_COUNT_MAX`.
///
/// # Errors
/// The store's.
pub fn waiting(view: &dyn View) -> Result<WorkStatus, ApplyError> {
    waiting::count(&Rows(view))
}

fn bucket(rows: &Rows<'_>, name: String) -> Result<Option<Bucket>, ApplyError> {
    match rows.get(&BucketNameKey(name))? {
        Some(name) => rows.get(&BucketKey(name.id)),
        None => Ok(None),
    }
}

fn sessions(rows: &Rows<'_>) -> Result<SessionsAnswer, ApplyError> {
    let mut open = Vec::new();
    for row in rows.scan::<SessionKey>(&[SessionKey::PREFIX]) {
        let (key, row) = row?;
        if !row.ended {
            open.push(key.0);
        }
    }
    let last = rows.get(&CountersKey)?.unwrap_or_default().session;
    let cluster = rows.get(&ClusterKey)?.unwrap_or_default();
    Ok(SessionsAnswer {
        open,
        last,
        generation: cluster.generation,
    })
}

fn second<K: KeyKind>(row: Result<(K, K::Row), ApplyError>) -> Result<K::Row, ApplyError> {
    row.map(|(_, row)| row)
}

/// Typed rows of a view.
struct Rows<'a>(&'a dyn View);

impl Rows<'_> {
    fn get<K: KeyKind>(&self, key: &K) -> Result<Option<K::Row>, ApplyError> {
        match self.0.get(&key.encode())? {
            Some(value) => Ok(Some(K::decode_row(&value)?)),
            None => Ok(None),
        }
    }

    /// Rows whose encoded keys start with `prefix`, lazily.
    fn scan<K: KeyKind>(
        &self,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(K, K::Row), ApplyError>> + '_ {
        self.scan_from::<K>(Bound::Included(prefix), prefix)
    }

    /// The same from a later start on.
    fn scan_from<K: KeyKind>(
        &self,
        from: Bound<&[u8]>,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(K, K::Row), ApplyError>> + '_ {
        let end = prefix_end(prefix);
        let rows =
            (!is_empty(&from, &end)).then(|| self.0.scan(from, end.as_ref().map(Vec::as_slice)));
        rows.into_iter().flatten().map(|row| {
            let (key, value) = row?;
            Ok((K::decode(&key)?, K::decode_row(&value)?))
        })
    }

    /// The same rows as they are stored and where they lie, until `see` breaks off.
    fn visit_from(
        &self,
        from: Bound<&[u8]>,
        prefix: &[u8],
        see: &mut See<'_>,
    ) -> Result<(), ApplyError> {
        let end = prefix_end(prefix);
        if is_empty(&from, &end) {
            return Ok(());
        }
        Ok(self.0.visit(from, end.as_ref().map(Vec::as_slice), see)?)
    }
}

/// Whether a start lies past the end: an empty range here, which an engine may take for a bug.
fn is_empty(from: &Bound<&[u8]>, end: &Bound<Vec<u8>>) -> bool {
    match (from, end) {
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(end)) => {
            *from >= end.as_slice()
        }
        (Bound::Unbounded, _) | (_, Bound::Included(_) | Bound::Unbounded) => false,
    }
}

/// A page size within bounds: what is asked, at most `most`.
fn page_size(asked: u32, most: u32) -> usize {
    usize::try_from(asked.min(most)).unwrap_or(0)
}

const _: () = assert!(limits::LIST_KEYS_MAX <= limits::LIST_BUCKETS_MAX);

#[cfg(test)]
mod tests;
