//! The cases: one file per operation, one function per documented behaviour.
//!
//! A case gets a [`Scene`]: a client and an empty bucket that nobody else uses, which is emptied
//! and removed afterwards. `source` names the page of AWS's documentation that it was written from.

use crate::call::Call;
use crate::client::Client;
use crate::expectation::{Failure, Outcome, document, status};
use crate::http::Response;

mod abort_multipart_upload;
mod complete_multipart_upload;
mod configuration;
mod copy_object;
mod create_bucket;
mod create_multipart_upload;
mod delete_bucket;
mod delete_object;
mod delete_objects;
mod get_bucket_location;
mod get_object;
mod get_object_attributes;
mod head_bucket;
mod head_object;
mod list_buckets;
mod list_multipart_uploads;
mod list_object_versions;
mod list_objects;
mod list_objects_v2;
mod list_parts;
mod put_object;
mod signature;
mod upload_part;
mod upload_part_copy;

/// One documented behaviour.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// S3 operation, or `Signature`.
    pub operation: &'static str,
    /// What is shown, in snake case.
    pub behaviour: &'static str,
    /// Page of AWS's S3 documentation.
    pub source: &'static str,
    /// Shows it.
    pub run: fn(&Scene) -> Outcome,
}

impl Case {
    /// `operation/behaviour`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.operation, self.behaviour)
    }
}

/// Declares the cases of one operation: function names are the behaviours.
macro_rules! cases {
    ($operation:literal, $source:literal: $($behaviour:ident),+ $(,)?) => {
        /// The behaviours in this file.
        pub(super) const CASES: &[$crate::cases::Case] = &[$($crate::cases::Case {
            operation: $operation,
            behaviour: stringify!($behaviour),
            source: $source,
            run: $behaviour,
        }),+];
    };
}
use cases;

/// Every case, by operation.
#[must_use]
pub fn all() -> Vec<Case> {
    let operations = [
        create_bucket::CASES,
        head_bucket::CASES,
        list_buckets::CASES,
        get_bucket_location::CASES,
        delete_bucket::CASES,
        put_object::CASES,
        get_object::CASES,
        head_object::CASES,
        get_object_attributes::CASES,
        copy_object::CASES,
        delete_object::CASES,
        delete_objects::CASES,
        list_objects::CASES,
        list_objects_v2::CASES,
        list_object_versions::CASES,
        create_multipart_upload::CASES,
        upload_part::CASES,
        upload_part_copy::CASES,
        list_parts::CASES,
        list_multipart_uploads::CASES,
        complete_multipart_upload::CASES,
        abort_multipart_upload::CASES,
        configuration::CASES,
        signature::CASES,
    ];
    operations.concat()
}

/// A client and a bucket of one's own.
#[derive(Debug)]
pub struct Scene {
    /// Signs with the suite's credentials.
    pub client: Client,
    /// The bucket.
    pub bucket: String,
}

impl Scene {
    /// Creates the bucket.
    ///
    /// # Errors
    /// Where the server does not.
    pub fn open(client: &Client, bucket: &str) -> Result<Self, Failure> {
        let scene = Self {
            client: client.clone(),
            bucket: bucket.to_owned(),
        };
        status(&scene.send(&scene.on_bucket("PUT"))?, 200)?;
        Ok(scene)
    }

    /// Runs a case, then empties and removes the bucket whatever came out.
    ///
    /// # Errors
    /// Why the case did not pass, or why the bucket cannot be removed.
    pub fn play(&self, case: &Case) -> Outcome {
        let outcome = (case.run)(self);
        let cleared = self.clear();
        outcome.and(cleared)
    }

    fn clear(&self) -> Outcome {
        let uploads = self.send(&self.on_bucket("GET").query("uploads", ""))?;
        if uploads.status == 404 {
            return Ok(());
        }
        let uploads = document(&uploads, "ListMultipartUploadsResult")?;
        for upload in uploads.all("Upload") {
            let (Some(key), Some(id)) = (upload.child("Key"), upload.child("UploadId")) else {
                continue;
            };
            self.send(&self.on("DELETE", key).query("uploadId", id))?;
        }
        let listing = self.send(&self.on_bucket("GET").query("list-type", "2"))?;
        for key in document(&listing, "ListBucketResult")?.texts("Contents/Key") {
            self.send(&self.on("DELETE", &key))?;
        }
        status(&self.send(&self.on_bucket("DELETE"))?, 204)
    }

    /// A call on the bucket.
    #[must_use]
    pub fn on_bucket(&self, method: &str) -> Call {
        Call::new(method, &self.bucket)
    }

    /// A call on an object.
    #[must_use]
    pub fn on(&self, method: &str, key: &str) -> Call {
        Call::new(method, &format!("{}/{key}", self.bucket))
    }

    /// Sends a call.
    ///
    /// # Errors
    /// Where there is no whole answer.
    pub fn send(&self, call: &Call) -> Result<Response, Failure> {
        Ok(self.client.send(call)?)
    }

    /// Puts an object that must be taken.
    ///
    /// # Errors
    /// Where it is not.
    pub fn put(&self, key: &str, body: &[u8]) -> Result<Response, Failure> {
        let response = self.send(&self.on("PUT", key).body(body))?;
        status(&response, 200)?;
        Ok(response)
    }

    /// Reads an object that must be there.
    ///
    /// # Errors
    /// Where it is not.
    pub fn get(&self, key: &str) -> Result<Response, Failure> {
        let response = self.send(&self.on("GET", key))?;
        status(&response, 200)?;
        Ok(response)
    }

    /// Begins a multipart upload and gives its id.
    ///
    /// # Errors
    /// Where the server does not.
    pub fn begin_upload(&self, key: &str) -> Result<String, Failure> {
        let response = self.send(&self.on("POST", key).query("uploads", ""))?;
        status(&response, 200)?;
        let root = document(&response, "InitiateMultipartUploadResult")?;
        let id = root.child("UploadId").map(str::to_owned);
        id.ok_or_else(|| Failure("no UploadId".to_owned()))
    }

    /// The call that uploads a part.
    #[must_use]
    pub fn part(&self, key: &str, upload: &str, number: u32, body: &[u8]) -> Call {
        let call = self.on("PUT", key).query("partNumber", &number.to_string());
        call.query("uploadId", upload).body(body)
    }

    /// Uploads a part that must be taken, and gives its ETag.
    ///
    /// # Errors
    /// Where it is not.
    pub fn put_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        body: &[u8],
    ) -> Result<String, Failure> {
        let response = self.send(&self.part(key, upload, number, body))?;
        status(&response, 200)?;
        let etag = response.header("etag").map(str::to_owned);
        etag.ok_or_else(|| Failure("a part has no ETag".to_owned()))
    }

    /// The call that completes an upload from (number, ETag) pairs.
    #[must_use]
    pub fn complete(&self, key: &str, upload: &str, parts: &[(u32, String)]) -> Call {
        let parts: String = parts
            .iter()
            .map(|(number, etag)| {
                let etag = etag.replace('"', "&quot;");
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
            })
            .collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        self.on("POST", key).query("uploadId", upload).body(body)
    }
}

/// Bytes that differ with `salt`.
#[must_use]
pub fn pattern(salt: u8, length: usize) -> Vec<u8> {
    let period = (0..=250_u8).map(|byte| byte.wrapping_mul(7).wrapping_add(salt));
    period.cycle().take(length).collect()
}

/// The least size of a part that is not the last.
pub const PART_MIN: usize = 5 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn cases_have_names_of_their_own() {
        let all = all();
        let names: BTreeSet<String> = all.iter().map(Case::name).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.len() > 90, "only {} cases", all.len());
    }

    #[test]
    fn patterns_differ() {
        assert_eq!(pattern(1, 1_000).len(), 1_000);
        assert_ne!(pattern(1, 1_000), pattern(2, 1_000));
    }
}
