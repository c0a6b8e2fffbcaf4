//! Conditional writes, decided against the current version inside apply.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html>

use cairn_wire::metadata::{Conditions, Refusal};

use super::{Stop, refuse};
use crate::keyspace::object::ObjectRow;

/// Refuses unless `current` meets every condition that was asked.
pub(super) fn check(asked: Option<&Conditions>, current: Option<&ObjectRow>) -> Result<(), Stop> {
    let Some(asked) = asked else { return Ok(()) };
    let etag = current
        .and_then(|row| row.attributes.as_ref())
        .map(|a| a.etag.as_str());
    if !asked.if_match.is_empty() {
        match etag {
            // AWS answers 404 NoSuchKey to If-Match on a key that is not there.
            None => return refuse(Refusal::NoSuchKey),
            Some(etag) if !matches(&asked.if_match, etag) => {
                return refuse(Refusal::PreconditionFailed);
            }
            Some(_) => {}
        }
    }
    if etag.is_some_and(|etag| matches(&asked.if_none_match, etag)) {
        return refuse(Refusal::PreconditionFailed);
    }
    if let Some(size) = asked.if_match_size_plus_one.checked_sub(1)
        && current.is_some_and(|row| row.length != size)
    {
        return refuse(Refusal::PreconditionFailed);
    }
    // HTTP dates have whole seconds.
    if asked.if_match_modified_ms != 0
        && current.is_some_and(|row| row.modified_ms / 1_000 != asked.if_match_modified_ms / 1_000)
    {
        return refuse(Refusal::PreconditionFailed);
    }
    Ok(())
}

fn matches(tags: &[String], etag: &str) -> bool {
    tags.iter().any(|tag| tag == "*" || tag == etag)
}
