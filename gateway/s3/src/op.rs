//! Which operation a request asks for.
//!
//! The world is closed: an operation is a row of [the table](self::table), chosen by method, target,
//! the query keys that select it and at most one header; every other query key must be one the row
//! reads. What is left over is refused by name. There is no fallback: an unknown sub-resource can
//! never become a plain GET, PUT or DELETE of the object it was meant to annotate.
//!
//! ```text
//!   PUT /b/k                                    PutObject
//!   PUT /b/k    x-amz-copy-source               CopyObject
//!   PUT /b/k    ?partNumber&uploadId            UploadPart
//!   PUT /b/k    ?acl                            501 PutObjectAcl (in the table, not built)
//!   PUT /b/k    ?invented                       501 invented
//! ```

mod table;

use cairn_model::limits::{XML_DELETE_LEN_MAX, XML_LEN_MAX};
use http::{HeaderMap, Method};

pub use table::Op;

use crate::error::{Code, S3Error};
use crate::query::{self, Query};
use crate::sigv4;
use crate::target::{Kind, Target};

/// Deprecated twins in the model that share method, target and query with a row of the table.
pub const ALIASES: [(&str, Op); 4] = [
    ("GetBucketLifecycle", Op::GetBucketLifecycleConfiguration),
    ("PutBucketLifecycle", Op::PutBucketLifecycleConfiguration),
    (
        "GetBucketNotification",
        Op::GetBucketNotificationConfiguration,
    ),
    (
        "PutBucketNotification",
        Op::PutBucketNotificationConfiguration,
    ),
];

/// Operations of the model that no request to an S3 endpoint can name: this one lives on the Object
/// Lambda endpoint, and its path would be an invalid bucket name here.
pub const ELSEWHERE: [&str; 1] = ["WriteGetObjectResponse"];

/// Operations of S3 that the model leaves out because no SDK sends them: the browser form upload.
pub const BEYOND_THE_MODEL: [Op; 1] = [Op::PostObject];

/// One operation.
#[derive(Debug)]
struct Row {
    op: Op,
    name: &'static str,
    method: &'static str,
    kind: Kind,
    /// Query keys that must all be there.
    select: &'static [&'static str],
    /// Query keys that may be there.
    reads: &'static [&'static str],
    /// A header that must be there, and whose presence forbids rows without it.
    header: Option<&'static str>,
    actions: &'static [&'static str],
    /// Actions when `versionId` names a version; empty: the same as `actions`.
    versioned: &'static [&'static str],
    built: bool,
}

impl Op {
    /// Every operation.
    pub fn all() -> impl Iterator<Item = Op> {
        table::TABLE.iter().map(|row| row.op)
    }

    /// Finds the operation of a request.
    ///
    /// # Errors
    /// `MethodNotAllowed` if nothing is done with this method on such a target; `NotImplemented`
    /// naming the query key that no row reads, or the operation that is not built;
    /// `InvalidArgument` for a `list-type` other than 2.
    pub fn resolve(
        method: &Method,
        target: &Target,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<Self, S3Error> {
        let selected = |row: &&Row| {
            row.method == method.as_str()
                && row.kind == target.kind()
                && row.select.iter().all(|key| query.has(key))
                && row.header.is_none_or(|header| headers.contains_key(header))
        };
        let rows = table::TABLE.iter().filter(selected);
        let best = rows.max_by_key(|row| (row.select.len(), row.header.is_some()));
        let row = best.ok_or_else(|| {
            S3Error::new(Code::MethodNotAllowed)
                .with("Method", method.as_str())
                .with(
                    "ResourceType",
                    format!("{:?}", target.kind()).to_uppercase(),
                )
        })?;
        row.check_query(query)?;
        if row.built {
            Ok(row.op)
        } else {
            Err(S3Error::not_implemented(row.name))
        }
    }

    /// Its name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("", |row| row.name)
    }

    /// Whether this server does it.
    #[must_use]
    pub fn is_built(self) -> bool {
        self.row().is_some_and(|row| row.built)
    }

    /// Its method.
    #[must_use]
    pub fn method(self) -> &'static str {
        self.row().map_or("", |row| row.method)
    }

    /// What it is done on.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.row().map_or(Kind::Service, |row| row.kind)
    }

    /// The query keys that select it.
    #[must_use]
    pub fn selectors(self) -> &'static [&'static str] {
        self.row().map_or(&[], |row| row.select)
    }

    /// The further query keys it reads.
    #[must_use]
    pub fn reads(self) -> &'static [&'static str] {
        self.row().map_or(&[], |row| row.reads)
    }

    /// The IAM actions a principal must be allowed on the target. `DeleteObjects` and copies ask
    /// for more once their body or source is known.
    #[must_use]
    pub fn actions(self, query: &Query) -> &'static [&'static str] {
        match self.row() {
            Some(row) if !row.versioned.is_empty() && query.has("versionId") => row.versioned,
            Some(row) => row.actions,
            None => &[],
        }
    }

    /// Whether its body is an object's bytes, and so may be framed as aws-chunked.
    #[must_use]
    pub fn takes_object(self) -> bool {
        matches!(self, Self::PutObject | Self::UploadPart)
    }

    /// The longest XML document it reads; 0 if it reads none.
    #[must_use]
    pub fn document_len_max(self) -> u64 {
        match self {
            Self::DeleteObjects => XML_DELETE_LEN_MAX,
            Self::CreateBucket
            | Self::CompleteMultipartUpload
            | Self::PutBucketAcl
            | Self::PutBucketLogging
            | Self::PutBucketNotificationConfiguration
            | Self::PutBucketRequestPayment
            | Self::PutObjectAcl
            | Self::PutObjectTagging => XML_LEN_MAX,
            _ => 0,
        }
    }

    fn row(self) -> Option<&'static Row> {
        table::TABLE.get(self as usize)
    }
}

impl Row {
    fn check_query(&self, query: &Query) -> Result<(), S3Error> {
        let known = |key: &str| {
            self.select.contains(&key)
                || self.reads.contains(&key)
                || key == "x-id"
                || query::is_amz(key)
                || sigv4::is_auth_parameter(key)
        };
        if let Some((key, _)) = query.pairs().find(|(key, _)| !known(key)) {
            let what = format!("The query parameter {key} of {}", self.name);
            return Err(S3Error::not_implemented(what).with("QueryParameter", key));
        }
        if let Some(version) = query.get("list-type").filter(|version| *version != "2") {
            return Err(S3Error::argument(
                "list-type",
                version,
                "Invalid List Type specified",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
