//! Every `x-amz-*` request header, and what becomes of it: one closed table.
//!
//! * read by the signature, the framing or an operation;
//! * accepted where the effect it asks for is already so (`x-amz-acl: private`);
//! * refused with 501 where that effect is missing, and where the header is not in the table.
//!
//! AWS ignores unknown `x-amz-*` headers. We do not: a header that is newer than this table may
//! change what a request means (`x-amz-write-offset-bytes` turns a PUT into an append), and since
//! every such header is signed, it was the client and no proxy that put it there.

use crate::error::{Code, S3Error};
use crate::head::Head;

/// What becomes of a header.
enum Rule {
    /// Read elsewhere, where it has a meaning; without meaning elsewhere, as at AWS.
    Read,
    /// Says nothing about what is to be done.
    Harmless,
    /// The account id that must own the bucket.
    ExpectedOwner,
    /// Already so, for these values in any letter case; the further ones are AWS's, but missing
    /// here; any other is refused with the code.
    Already(&'static [&'static str], &'static [&'static str], Code),
    /// Read by deletions; no other request may carry it.
    OnlyDelete,
    /// Missing here, whatever the value.
    Missing,
}

use Rule::{Already, ExpectedOwner, Harmless, Missing, OnlyDelete, Read};

const BOOLEAN: &[&str] = &["true", "false"];

/// Names without the `x-amz-` they all begin with.
const TABLE: &[(&str, Rule)] = &[
    // Signature and framing.
    ("content-sha256", Read),
    ("date", Read),
    ("decoded-content-length", Read),
    ("security-token", Read),
    ("trailer", Read),
    // Checksums.
    ("checksum-algorithm", Read),
    ("checksum-crc32", Read),
    ("checksum-crc32c", Read),
    ("checksum-crc64nvme", Read),
    ("checksum-mode", Read),
    ("checksum-sha1", Read),
    ("checksum-sha256", Read),
    ("checksum-type", Read),
    ("mp-object-size", Read),
    ("sdk-checksum-algorithm", Read),
    ("checksum-md5", Missing),
    ("checksum-sha512", Missing),
    ("checksum-xxhash128", Missing),
    ("checksum-xxhash3", Missing),
    ("checksum-xxhash64", Missing),
    // Copy, and object attributes.
    ("copy-source", Read),
    ("copy-source-if-match", Read),
    ("copy-source-if-modified-since", Read),
    ("copy-source-if-none-match", Read),
    ("copy-source-if-unmodified-since", Read),
    ("copy-source-range", Read),
    ("metadata-directive", Read),
    (
        // No object has annotations: with them and without is the same.
        "object-annotation-directive",
        Already(&["COPY", "EXCLUDE"], &[], Code::InvalidArgument),
    ),
    ("source-expected-bucket-owner", Read),
    ("tagging-directive", Read),
    ("max-parts", Read),
    ("object-attributes", Read),
    ("part-number-marker", Read),
    (
        "copy-source-server-side-encryption-customer-algorithm",
        Missing,
    ),
    ("copy-source-server-side-encryption-customer-key", Missing),
    (
        "copy-source-server-side-encryption-customer-key-md5",
        Missing,
    ),
    // Ownership and access.
    ("expected-bucket-owner", ExpectedOwner),
    (
        "acl",
        Already(
            &["private", "bucket-owner-full-control"],
            CANNED_ACLS,
            Code::InvalidArgument,
        ),
    ),
    (
        "object-ownership",
        Already(
            &["BucketOwnerEnforced"],
            &["BucketOwnerPreferred", "ObjectWriter"],
            Code::InvalidArgument,
        ),
    ),
    ("grant-full-control", Missing),
    ("grant-read", Missing),
    ("grant-read-acp", Missing),
    ("grant-write", Missing),
    ("grant-write-acp", Missing),
    // Nobody pays but the owner, nothing is archived.
    (
        "request-payer",
        Already(&["requester"], &[], Code::InvalidArgument),
    ),
    (
        // No destination of notifications is taken, so none is left to validate.
        "skip-destination-validation",
        Already(BOOLEAN, &[], Code::InvalidArgument),
    ),
    (
        "optional-object-attributes",
        Already(&["RestoreStatus"], &[], Code::InvalidArgument),
    ),
    (
        "storage-class",
        Already(&["STANDARD"], STORAGE_CLASSES, Code::InvalidStorageClass),
    ),
    (
        "bucket-namespace",
        Already(&["global"], &["account-regional"], Code::InvalidArgument),
    ),
    // Nothing is locked, tagged, encrypted or redirected.
    (
        "bucket-object-lock-enabled",
        Already(&["false"], &["true"], Code::InvalidArgument),
    ),
    (
        "bypass-governance-retention",
        Already(BOOLEAN, &[], Code::InvalidArgument),
    ),
    (
        "object-lock-legal-hold",
        Already(&["OFF"], &["ON"], Code::InvalidArgument),
    ),
    ("object-lock-mode", Missing),
    ("object-lock-retain-until-date", Missing),
    ("object-lock-event-hold", Missing),
    ("object-lock-event-hold-duration-days", Missing),
    ("object-lock-event-hold-duration-years", Missing),
    ("bucket-object-lock-token", Missing),
    ("mfa", Missing),
    ("tagging", Already(&[""], &[], Code::NotImplemented)),
    ("server-side-encryption", Missing),
    ("server-side-encryption-aws-kms-key-id", Missing),
    (
        "server-side-encryption-bucket-key-enabled",
        Already(&["false"], &["true"], Code::InvalidArgument),
    ),
    ("server-side-encryption-context", Missing),
    ("server-side-encryption-customer-algorithm", Missing),
    ("server-side-encryption-customer-key", Missing),
    ("server-side-encryption-customer-key-md5", Missing),
    ("website-redirect-location", Missing),
    // Conditions, appends and renames of directory buckets.
    ("client-token", Missing),
    ("if-match-initiated-time", Missing),
    ("if-match-last-modified-time", OnlyDelete),
    ("if-match-size", OnlyDelete),
    ("write-offset-bytes", Missing),
    // About the client, not the request.
    ("user-agent", Harmless),
];

const CANNED_ACLS: &[&str] = &[
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "log-delivery-write",
];

const STORAGE_CLASSES: &[&str] = &[
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "OUTPOSTS",
    "GLACIER_IR",
    "SNOW",
    "EXPRESS_ONEZONE",
    "FSX_OPENZFS",
    "FSX_ONTAP",
];

/// What the headers demand that only the gateway can check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// The bucket's owner must be this account id, else `AccessDenied`.
    pub expected_bucket_owner: Option<String>,
    /// `bucket-owner-full-control` was asked: already so if the requester owns the bucket, else 501.
    pub requester_must_own_bucket: bool,
}

/// Judges every `x-amz-*` header of a request, hoisted ones included.
///
/// # Errors
/// `NotImplemented` naming the header; `InvalidArgument` or `InvalidStorageClass` for a value AWS
/// does not know either.
pub fn check(head: &Head) -> Result<Demands, S3Error> {
    let mut demands = Demands::default();
    for name in head.headers().keys() {
        let Some(short) = name.as_str().strip_prefix("x-amz-") else {
            continue;
        };
        if short.starts_with("meta-") {
            continue;
        }
        let row = TABLE.iter().find(|(known, _)| *known == short);
        let Some((_, rule)) = row else {
            return Err(missing(name.as_str()));
        };
        match rule {
            Read | Harmless => {}
            OnlyDelete if head.method() == http::Method::DELETE => {}
            Missing | OnlyDelete => return Err(missing(name.as_str())),
            ExpectedOwner => {
                demands.expected_bucket_owner = head.header(name.as_str())?.map(str::to_owned);
            }
            Already(values, others, code) => {
                let value = head.header(name.as_str())?.unwrap_or("");
                let among = |list: &[&str]| list.iter().any(|one| one.eq_ignore_ascii_case(value));
                if short == "acl" && value.eq_ignore_ascii_case("bucket-owner-full-control") {
                    demands.requester_must_own_bucket = true;
                }
                if !among(values) {
                    let code = if among(others) {
                        Code::NotImplemented
                    } else {
                        *code
                    };
                    return Err(refused(name.as_str(), value, code));
                }
            }
        }
    }
    Ok(demands)
}

/// The names of all `x-amz-*` request headers whose fate is decided here, user metadata apart.
pub fn names() -> impl Iterator<Item = String> {
    TABLE.iter().map(|(name, _)| format!("x-amz-{name}"))
}

fn missing(name: &str) -> S3Error {
    S3Error::new(Code::NotImplemented).with("Header", name)
}

fn refused(name: &str, value: &str, code: Code) -> S3Error {
    match code {
        Code::InvalidArgument => S3Error::argument(name, value, format!("Invalid {name} header")),
        Code::NotImplemented => missing(name).with("Value", value),
        other => S3Error::new(other).with("Header", name),
    }
}

#[cfg(test)]
mod tests;
