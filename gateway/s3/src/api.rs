//! One file per operation: its input read from a head (and a document), its output as a response.
//!
//! Bucket and key are in the [`Target`](crate::target::Target), the body of an object in an
//! [`Upload`](crate::upload::Upload), and neither is repeated in the inputs. A response never
//! carries a request id, a date or a server name: the gateway adds those to every one.

pub mod abort_multipart_upload;
pub mod complete_multipart_upload;
pub mod configuration;
pub mod copy_object;
pub mod create_bucket;
pub mod create_multipart_upload;
pub mod delete_bucket;
pub mod delete_object;
pub mod delete_objects;
pub mod get_bucket_location;
pub mod get_object;
pub mod get_object_attributes;
pub mod head_bucket;
pub mod list_buckets;
pub mod list_multipart_uploads;
pub mod list_object_versions;
pub mod list_objects;
pub mod list_objects_v2;
pub mod list_parts;
mod listing;
pub mod put_object;
mod reply;
pub mod upload_part;
pub mod upload_part_copy;

pub use listing::{ContinuationToken, Entry, ListRequest, Owner};

/// A response with its whole body.
pub type Response = http::Response<bytes::Bytes>;

#[cfg(test)]
mod tests;
