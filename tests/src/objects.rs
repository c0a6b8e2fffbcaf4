//! Objects that are written once and must be readable from then on.

use std::time::Duration;

use cairn_compat_suite::Client;

use crate::content::{Content, Piece};
use crate::oracle::{Observation, Oracle};
use crate::patience::eventually;
use crate::s3;

/// Inline, copies, one stripe, many stripes, two chunks.
pub const LENGTHS: [usize; 6] = [100, 5_000, 65_536, 300_001, 2 << 20, 17 << 20];

/// What was written, by key.
#[derive(Debug, Clone)]
pub struct Objects {
    bucket: String,
    contents: Vec<(String, Content)>,
}

impl Objects {
    /// None yet, in a new bucket.
    ///
    /// # Panics
    /// Where the bucket cannot be made.
    #[must_use]
    pub fn new(client: &Client, bucket: &str) -> Self {
        s3::make_bucket(client, bucket);
        Self {
            bucket: bucket.to_owned(),
            contents: Vec::new(),
        }
    }

    /// Writes one object of each length.
    ///
    /// # Panics
    /// Where one is refused.
    pub fn write(&mut self, client: &Client, lengths: &[usize]) {
        for length in lengths {
            let number = self.contents.len();
            let key = format!("{number:04}");
            let piece = Piece {
                seed: 1_000 + number as u64,
                length: *length,
            };
            let content = Content::Whole(piece);
            s3::must_put(client, &self.path(&key), &content.bytes());
            self.contents.push((key, content));
        }
    }

    /// Deletes them all.
    ///
    /// # Panics
    /// Where one cannot be deleted.
    pub fn delete(&mut self, client: &Client) {
        for (key, _) in std::mem::take(&mut self.contents) {
            let call = cairn_compat_suite::Call::new("DELETE", &self.path(&key));
            let response = client.send(&call).expect("an answer");
            assert_eq!(response.status, 204, "{}", response.text());
        }
    }

    /// Reads each whole and lists them. An error may be tried again within `patience` for each; a
    /// wrong or missing byte may not.
    ///
    /// # Panics
    /// Where an object is not what was written, or not read in time.
    pub fn must_be_there(&self, client: &Client, patience: Duration, when: &str) {
        for (key, content) in &self.contents {
            let path = self.path(key);
            let what = format!("{when}: GET {path} of {} bytes", content.length());
            let client = client.with_patience(patience);
            let seen = eventually(&what, patience, || s3::observe(&client, &path));
            let expected = Observation::Present {
                bytes: content.bytes(),
                etag: content.etag(),
            };
            assert!(seen == expected, "{what}: other bytes, or none");
        }
        let what = format!("{when}: a listing");
        let listed = eventually(&what, patience, || s3::list_all(client, &self.bucket, 100));
        let mut oracle = Oracle::default();
        for (key, content) in &self.contents {
            let acknowledged = crate::oracle::Answer::Acknowledged;
            oracle.record(key, Some(content.clone()), acknowledged);
        }
        assert_eq!(oracle.judge_listing(&listed), [], "{what}");
    }

    /// Where an object is.
    #[must_use]
    pub fn path(&self, key: &str) -> String {
        format!("{}/{key}", self.bucket)
    }
}
