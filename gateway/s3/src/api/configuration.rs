//! What is said of configuration that was never made: the documents, and what a request that would
//! change nothing looks like.
//!
//! A refusal that nothing is there (`NoSuchCORSConfiguration`, ...) is a [`Code`](crate::Code) and
//! needs no document.

use http::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::reply;
use super::{Owner, Response};
use crate::error::{Code, S3Error};
use crate::head::Head;
use crate::op::Op;
use crate::query;
use crate::xml::{read, write};

/// Who pays for requests here.
const PAYER: &str = "BucketOwner";
/// Puts the type on a grantee, as every S3 does.
const CANONICAL_USER: &str =
    "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\"";

/// The version whose configuration is asked for.
///
/// # Errors
/// `InvalidArgument`.
pub fn version_id(head: &Head) -> Result<Option<String>, S3Error> {
    query::version_id(head.query())
}

/// 200 with a root element and nothing in it: `VersioningConfiguration` of a bucket that never had
/// versions, `BucketLoggingStatus` of one that is not logged.
#[must_use]
pub fn empty(root: &str) -> Response {
    reply::xml(write::document(root, |_| {}))
}

/// A list of configurations without one.
#[must_use]
pub fn empty_list(root: &str) -> Response {
    reply::xml(write::document(root, |xml| xml.flag("IsTruncated", false)))
}

/// No tags.
#[must_use]
pub fn no_tags() -> Response {
    reply::xml(write::document("Tagging", |xml| {
        xml.nest("TagSet", |_| {});
    }))
}

/// The owner pays.
#[must_use]
pub fn request_payment() -> Response {
    reply::xml(write::document("RequestPaymentConfiguration", |xml| {
        xml.text("Payer", PAYER);
    }))
}

/// Without a policy nothing is public.
#[must_use]
pub fn policy_status() -> Response {
    reply::xml(write::document("PolicyStatus", |xml| {
        xml.flag("IsPublic", false);
    }))
}

/// `ObjectOwnership` of a bucket.
#[must_use]
pub fn ownership_controls(ownership: &str) -> Response {
    reply::xml(write::document("OwnershipControls", |xml| {
        xml.nest("Rule", |xml| xml.text("ObjectOwnership", ownership));
    }))
}

/// The access control list of what is its owner's alone.
#[must_use]
pub fn private_acl(owner: &Owner) -> Response {
    reply::xml(write::document("AccessControlPolicy", |xml| {
        owner.write("Owner", xml);
        xml.nest("AccessControlList", |xml| {
            xml.nest("Grant", |xml| {
                xml.nest_with("Grantee", CANONICAL_USER, |xml| {
                    xml.text("ID", &owner.id);
                    xml.text("DisplayName", &owner.display_name);
                });
                xml.text("Permission", "FULL_CONTROL");
            });
        });
    }))
}

/// What was asked to be removed is not there: 204.
#[must_use]
pub fn removed() -> Response {
    reply::empty(StatusCode::NO_CONTENT)
}

/// What was asked for is so already: 200.
#[must_use]
pub fn unchanged() -> Response {
    reply::empty(StatusCode::OK)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestPaymentConfiguration {
    #[serde(rename = "@xmlns")]
    _xmlns: Option<String>,
    #[serde(rename = "Payer")]
    payer: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tagging {
    #[serde(rename = "@xmlns")]
    _xmlns: Option<String>,
    #[serde(rename = "TagSet")]
    set: TagSet,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagSet {
    #[serde(rename = "Tag", default)]
    tags: Vec<IgnoredAny>,
}

/// A root element of which only matters whether anything is in it.
#[derive(Deserialize)]
struct Anything {
    #[serde(rename = "@xmlns")]
    _xmlns: Option<String>,
    #[serde(flatten)]
    rest: std::collections::BTreeMap<String, IgnoredAny>,
}

/// Accepts a `Put...` of what is so already.
///
/// # Errors
/// `NotImplemented` for what would change something; `MalformedXML`; for an ACL
/// `MissingSecurityHeader` where none is given, `UnexpectedContent` where two are.
pub fn check_unchanged(op: Op, head: &Head, document: &[u8]) -> Result<(), S3Error> {
    let unchanged = match op {
        Op::PutBucketAcl | Op::PutObjectAcl => return check_acl(op, head, document),
        Op::PutBucketRequestPayment => {
            let read: RequestPaymentConfiguration =
                read::document(document, "RequestPaymentConfiguration")?;
            match read.payer.trim() {
                PAYER => true,
                "Requester" => false,
                _ => return Err(S3Error::new(Code::MalformedXML)),
            }
        }
        Op::PutObjectTagging => {
            let read: Tagging = read::document(document, "Tagging")?;
            read.set.tags.is_empty()
        }
        Op::PutBucketNotificationConfiguration => is_empty(document, "NotificationConfiguration")?,
        Op::PutBucketLogging => is_empty(document, "BucketLoggingStatus")?,
        _ => false,
    };
    if unchanged {
        Ok(())
    } else {
        Err(S3Error::not_implemented(op.name()))
    }
}

fn is_empty(document: &[u8], root: &str) -> Result<bool, S3Error> {
    let read: Anything = read::document(document, root)?;
    Ok(read.rest.is_empty())
}

/// The headers' table has let through only canned ACLs that are so already.
fn check_acl(op: Op, head: &Head, document: &[u8]) -> Result<(), S3Error> {
    let canned = head.header("x-amz-acl")?;
    match (canned, document.is_empty()) {
        (Some(_), true) => Ok(()),
        (Some(_), false) => Err(S3Error::new(Code::UnexpectedContent)),
        (None, false) => Err(S3Error::not_implemented(op.name())),
        (None, true) => {
            let error = S3Error::new(Code::MissingSecurityHeader);
            Err(error.with("MissingHeaderName", "x-amz-acl"))
        }
    }
}

#[cfg(test)]
mod tests;
