//! Configuration that is not built, read and removed: what is answered is what is so.
//!
//! ```text
//!   Get…     a document that says so, or the refusal S3 has for "there is none"
//!   Delete…  204: there is none
//!   Put…     200 where it asks for what is so already, else 501
//! ```
//!
//! One table instead of a file for each, since none of them does anything. A row goes when its
//! feature is built.

use cairn_s3::api::{Response, configuration};
use cairn_s3::target::Kind;
use cairn_s3::{Code, Op, S3Error};

use super::{get_object, listing};
use crate::error;
use crate::pipeline::Call;

/// What there is to say.
enum Answer {
    /// There is none.
    Missing(Code),
    /// Objects of a bucket that locks none have nothing to say about it.
    WithoutLock,
    /// A root element with nothing inside.
    Empty(&'static str),
    /// A list with nothing inside.
    EmptyList(&'static str),
    /// A document that is always the same.
    Document(fn() -> Response),
    /// The owner alone may do everything.
    PrivateAcl,
    /// The cluster's setting.
    Ownership,
    /// Nothing is there to be removed.
    Removed,
    /// Nothing, unless ownership is set.
    OwnershipRemoved,
    /// The request must ask for what is so.
    Unchanged,
}

use Answer::{Document, Empty, EmptyList, Missing, Removed, Unchanged};

const TABLE: &[(Op, Answer)] = &[
    (
        Op::GetBucketAccelerateConfiguration,
        Empty("AccelerateConfiguration"),
    ),
    (Op::GetBucketLogging, Empty("BucketLoggingStatus")),
    (
        Op::GetBucketNotificationConfiguration,
        Empty("NotificationConfiguration"),
    ),
    (Op::GetBucketVersioning, Empty("VersioningConfiguration")),
    (
        Op::GetBucketPolicyStatus,
        Document(configuration::policy_status),
    ),
    (
        Op::GetBucketRequestPayment,
        Document(configuration::request_payment),
    ),
    (Op::GetObjectTagging, Document(configuration::no_tags)),
    (Op::GetBucketAcl, Answer::PrivateAcl),
    (Op::GetObjectAcl, Answer::PrivateAcl),
    (Op::GetBucketOwnershipControls, Answer::Ownership),
    (
        Op::GetBucketAnalyticsConfiguration,
        Missing(Code::NoSuchConfiguration),
    ),
    (Op::GetBucketCors, Missing(Code::NoSuchCORSConfiguration)),
    (
        Op::GetBucketEncryption,
        Missing(Code::ServerSideEncryptionConfigurationNotFoundError),
    ),
    (
        Op::GetBucketIntelligentTieringConfiguration,
        Missing(Code::NoSuchConfiguration),
    ),
    (
        Op::GetBucketInventoryConfiguration,
        Missing(Code::NoSuchConfiguration),
    ),
    (
        Op::GetBucketLifecycleConfiguration,
        Missing(Code::NoSuchLifecycleConfiguration),
    ),
    (
        Op::GetBucketMetricsConfiguration,
        Missing(Code::NoSuchConfiguration),
    ),
    (Op::GetBucketPolicy, Missing(Code::NoSuchBucketPolicy)),
    (
        Op::GetBucketReplication,
        Missing(Code::ReplicationConfigurationNotFoundError),
    ),
    (Op::GetBucketTagging, Missing(Code::NoSuchTagSet)),
    (
        Op::GetBucketWebsite,
        Missing(Code::NoSuchWebsiteConfiguration),
    ),
    (
        Op::GetObjectLockConfiguration,
        Missing(Code::ObjectLockConfigurationNotFoundError),
    ),
    (
        Op::GetPublicAccessBlock,
        Missing(Code::NoSuchPublicAccessBlockConfiguration),
    ),
    (Op::GetObjectLegalHold, Answer::WithoutLock),
    (Op::GetObjectRetention, Answer::WithoutLock),
    (
        Op::ListBucketAnalyticsConfigurations,
        EmptyList("ListBucketAnalyticsConfigurationResult"),
    ),
    (
        Op::ListBucketIntelligentTieringConfigurations,
        EmptyList("ListBucketIntelligentTieringConfigurationsOutput"),
    ),
    (
        Op::ListBucketInventoryConfigurations,
        EmptyList("ListInventoryConfigurationsResult"),
    ),
    (
        Op::ListBucketMetricsConfigurations,
        EmptyList("ListMetricsConfigurationsResult"),
    ),
    (
        Op::DeleteBucketAnalyticsConfiguration,
        Missing(Code::NoSuchConfiguration),
    ),
    (
        Op::DeleteBucketIntelligentTieringConfiguration,
        Missing(Code::NoSuchConfiguration),
    ),
    (
        Op::DeleteBucketInventoryConfiguration,
        Missing(Code::NoSuchConfiguration),
    ),
    (
        Op::DeleteBucketMetricsConfiguration,
        Missing(Code::NoSuchConfiguration),
    ),
    (Op::DeleteBucketCors, Removed),
    (Op::DeleteBucketEncryption, Removed),
    (Op::DeleteBucketLifecycle, Removed),
    (Op::DeleteBucketOwnershipControls, Answer::OwnershipRemoved),
    (Op::DeleteBucketPolicy, Removed),
    (Op::DeleteBucketReplication, Removed),
    (Op::DeleteBucketTagging, Removed),
    (Op::DeleteBucketWebsite, Removed),
    (Op::DeleteObjectTagging, Removed),
    (Op::DeletePublicAccessBlock, Removed),
    (Op::PutBucketAcl, Unchanged),
    (Op::PutBucketLogging, Unchanged),
    (Op::PutBucketNotificationConfiguration, Unchanged),
    (Op::PutBucketRequestPayment, Unchanged),
    (Op::PutObjectAcl, Unchanged),
    (Op::PutObjectTagging, Unchanged),
];

/// Answers for an operation of the table; 501 for another.
pub(super) async fn answer(call: &Call, document: &[u8]) -> Result<Response, S3Error> {
    let row = TABLE.iter().find(|(op, _)| *op == call.op);
    let Some((op, answer)) = row else {
        return Err(S3Error::not_implemented(call.op.name()));
    };
    if op.kind() == Kind::Object {
        let version_id = configuration::version_id(&call.head)?;
        get_object::row(call, version_id.as_deref()).await?;
    }
    Ok(match answer {
        Missing(code) => return Err(of_bucket(call, S3Error::new(*code))),
        Answer::WithoutLock => {
            let message = "Bucket is missing Object Lock Configuration";
            return Err(of_bucket(
                call,
                S3Error::because(Code::InvalidRequest, message),
            ));
        }
        Empty(root) => configuration::empty(root),
        EmptyList(root) => configuration::empty_list(root),
        Document(document) => document(),
        Answer::PrivateAcl => configuration::private_acl(&listing::owner(call).await?),
        Answer::Ownership => match ownership(call).await? {
            Some(set) => configuration::ownership_controls(&set),
            None => {
                let none = S3Error::new(Code::OwnershipControlsNotFoundError);
                return Err(of_bucket(call, none));
            }
        },
        Removed => configuration::removed(),
        Answer::OwnershipRemoved => match ownership(call).await? {
            Some(_) => return Err(S3Error::not_implemented(op.name())),
            None => configuration::removed(),
        },
        Unchanged => {
            configuration::check_unchanged(*op, &call.head, document)?;
            configuration::unchanged()
        }
    })
}

/// The setting for new buckets. None where it is `ObjectWriter`: that is what a bucket without
/// ownership controls has.
async fn ownership(call: &Call) -> Result<Option<String>, S3Error> {
    let view = call.gateway.path.views.get().await;
    let view = view.map_err(error::of_query)?;
    let set = view.object_ownership.clone();
    Ok(Some(set).filter(|set| set != OBJECT_WRITER))
}

const OBJECT_WRITER: &str = "ObjectWriter";

fn of_bucket(call: &Call, error: S3Error) -> S3Error {
    match call.bucket_name() {
        Ok(name) => error.with("BucketName", name.as_str()),
        Err(_) => error,
    }
}
