//! `GET /`

use cairn_model::limits::LIST_BUCKETS_MAX;

use super::reply;
use super::{ContinuationToken, Owner, Response};
use crate::dates::Timestamp;
use crate::error::S3Error;
use crate::head::Head;
use crate::xml::write;

/// Input of `ListBuckets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListBuckets {
    /// Only names that begin so.
    pub prefix: Option<String>,
    /// Only buckets of this region.
    pub bucket_region: Option<String>,
    /// Most buckets: 1 to 10,000.
    pub max_buckets: u32,
    /// Where the page before ended.
    pub continuation: Option<ContinuationToken>,
}

impl ListBuckets {
    /// Reads the head.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        let query = head.query();
        let max_buckets = match query.integer("max-buckets")? {
            None => LIST_BUCKETS_MAX,
            Some(number) if (1..=LIST_BUCKETS_MAX).contains(&number) => number,
            Some(number) => {
                let message = format!(
                    "Argument max-buckets must be an integer between 1 and {LIST_BUCKETS_MAX}"
                );
                return Err(S3Error::argument(
                    "max-buckets",
                    number.to_string(),
                    message,
                ));
            }
        };
        Ok(Self {
            prefix: query.non_empty("prefix").map(str::to_owned),
            bucket_region: query.non_empty("bucket-region").map(str::to_owned),
            max_buckets,
            continuation: ContinuationToken::from_query(query)?,
        })
    }
}

/// A bucket in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketEntry {
    /// Its name.
    pub name: String,
    /// When it was created.
    pub created: Timestamp,
    /// Its region.
    pub region: String,
}

/// Output of `ListBuckets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListBucketsOutput {
    /// Whose buckets they are.
    pub owner: Owner,
    /// In order of their names.
    pub buckets: Vec<BucketEntry>,
    /// The prefix asked for.
    pub prefix: Option<String>,
    /// There are more behind this.
    pub next: Option<ContinuationToken>,
}

impl ListBucketsOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        reply::xml(write::document("ListAllMyBucketsResult", |xml| {
            self.owner.write("Owner", xml);
            xml.nest("Buckets", |xml| {
                for bucket in &self.buckets {
                    xml.nest("Bucket", |xml| {
                        xml.text("Name", &bucket.name);
                        xml.text("CreationDate", &bucket.created.to_iso8601());
                        xml.text("BucketRegion", &bucket.region);
                    });
                }
            });
            xml.optional("Prefix", self.prefix.as_deref());
            let next = self.next.as_ref().map(ContinuationToken::to_text);
            xml.optional("ContinuationToken", next.as_deref());
        }))
    }
}
