//! The table of operations: one row each, in the order service, bucket, object.
//!
//! Columns: name: method, target, query keys that select it, further query keys it reads, header
//! that selects it, IAM actions, IAM actions when `versionId` is given (none: the same), built.

use super::Row;
use crate::target::Kind;

const GET_QUERY: &[&str] = &[
    "partNumber",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "versionId",
];
const LIST_QUERY: &[&str] = &["delimiter", "encoding-type", "marker", "max-keys", "prefix"];
const LIST_V2_QUERY: &[&str] = &[
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "max-keys",
    "prefix",
    "start-after",
];
const LIST_VERSIONS_QUERY: &[&str] = &[
    "delimiter",
    "encoding-type",
    "key-marker",
    "max-keys",
    "prefix",
    "version-id-marker",
];
const LIST_UPLOADS_QUERY: &[&str] = &[
    "delimiter",
    "encoding-type",
    "key-marker",
    "max-uploads",
    "prefix",
    "upload-id-marker",
];

macro_rules! ops {
    ($($name:ident: $method:ident $kind:ident $select:expr, $reads:expr, $header:expr,
        $actions:expr, $versioned:expr, $built:ident;)*) => {
        /// An S3 operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Op {
            $(#[doc = concat!("`", stringify!($name), "`.")] $name,)*
        }

        /// Every row, in the order of [`Op`]'s variants.
        pub(super) const TABLE: &[Row] = &[$(Row {
            op: Op::$name,
            name: stringify!($name),
            method: stringify!($method),
            kind: Kind::$kind,
            select: $select,
            reads: $reads,
            header: $header,
            actions: $actions,
            versioned: $versioned,
            built: ops!(@$built),
        },)*];
    };
    (@built) => { true };
    (@absent) => { false };
}

// A row per line is the point of a table.
#[rustfmt::skip]
ops! {
    ListBuckets: GET Service &[], &["max-buckets", "continuation-token", "prefix", "bucket-region"], None, &["s3:ListAllMyBuckets"], &[], built;
    ListDirectoryBuckets: GET Service &["max-directory-buckets"], &["continuation-token"], None, &["s3express:ListAllMyDirectoryBuckets"], &[], absent;
    CreateBucket: PUT Bucket &[], &[], None, &["s3:CreateBucket"], &[], built;
    CreateBucketMetadataConfiguration: POST Bucket &["metadataConfiguration"], &[], None, &["s3:CreateBucketMetadataTableConfiguration"], &[], absent;
    CreateBucketMetadataTableConfiguration: POST Bucket &["metadataTable"], &[], None, &["s3:CreateBucketMetadataTableConfiguration"], &[], absent;
    CreateSession: GET Bucket &["session"], &[], None, &["s3express:CreateSession"], &[], absent;
    DeleteBucket: DELETE Bucket &[], &[], None, &["s3:DeleteBucket"], &[], built;
    DeleteBucketAnalyticsConfiguration: DELETE Bucket &["analytics", "id"], &[], None, &["s3:PutAnalyticsConfiguration"], &[], built;
    DeleteBucketCors: DELETE Bucket &["cors"], &[], None, &["s3:PutBucketCORS"], &[], built;
    DeleteBucketEncryption: DELETE Bucket &["encryption"], &[], None, &["s3:PutEncryptionConfiguration"], &[], built;
    DeleteBucketIntelligentTieringConfiguration: DELETE Bucket &["intelligent-tiering", "id"], &[], None, &["s3:PutIntelligentTieringConfiguration"], &[], built;
    DeleteBucketInventoryConfiguration: DELETE Bucket &["inventory", "id"], &[], None, &["s3:PutInventoryConfiguration"], &[], built;
    DeleteBucketLifecycle: DELETE Bucket &["lifecycle"], &[], None, &["s3:PutLifecycleConfiguration"], &[], built;
    DeleteBucketMetadataConfiguration: DELETE Bucket &["metadataConfiguration"], &[], None, &["s3:DeleteBucketMetadataTableConfiguration"], &[], absent;
    DeleteBucketMetadataTableConfiguration: DELETE Bucket &["metadataTable"], &[], None, &["s3:DeleteBucketMetadataTableConfiguration"], &[], absent;
    DeleteBucketMetricsConfiguration: DELETE Bucket &["metrics", "id"], &[], None, &["s3:PutMetricsConfiguration"], &[], built;
    DeleteBucketOwnershipControls: DELETE Bucket &["ownershipControls"], &[], None, &["s3:PutBucketOwnershipControls"], &[], built;
    DeleteBucketPolicy: DELETE Bucket &["policy"], &[], None, &["s3:DeleteBucketPolicy"], &[], built;
    DeleteBucketReplication: DELETE Bucket &["replication"], &[], None, &["s3:PutReplicationConfiguration"], &[], built;
    DeleteBucketTagging: DELETE Bucket &["tagging"], &[], None, &["s3:PutBucketTagging"], &[], built;
    DeleteBucketWebsite: DELETE Bucket &["website"], &[], None, &["s3:DeleteBucketWebsite"], &[], built;
    DeleteObjects: POST Bucket &["delete"], &[], None, &["s3:DeleteObject"], &[], built;
    DeletePublicAccessBlock: DELETE Bucket &["publicAccessBlock"], &[], None, &["s3:PutBucketPublicAccessBlock"], &[], built;
    GetBucketAbac: GET Bucket &["abac"], &[], None, &["s3:GetBucketAbac"], &[], absent;
    GetBucketAccelerateConfiguration: GET Bucket &["accelerate"], &[], None, &["s3:GetAccelerateConfiguration"], &[], built;
    GetBucketAcl: GET Bucket &["acl"], &[], None, &["s3:GetBucketAcl"], &[], built;
    GetBucketAnalyticsConfiguration: GET Bucket &["analytics", "id"], &[], None, &["s3:GetAnalyticsConfiguration"], &[], built;
    GetBucketCors: GET Bucket &["cors"], &[], None, &["s3:GetBucketCORS"], &[], built;
    GetBucketEncryption: GET Bucket &["encryption"], &[], None, &["s3:GetEncryptionConfiguration"], &[], built;
    GetBucketIntelligentTieringConfiguration: GET Bucket &["intelligent-tiering", "id"], &[], None, &["s3:GetIntelligentTieringConfiguration"], &[], built;
    GetBucketInventoryConfiguration: GET Bucket &["inventory", "id"], &[], None, &["s3:GetInventoryConfiguration"], &[], built;
    GetBucketLifecycleConfiguration: GET Bucket &["lifecycle"], &[], None, &["s3:GetLifecycleConfiguration"], &[], built;
    GetBucketLocation: GET Bucket &["location"], &[], None, &["s3:GetBucketLocation"], &[], built;
    GetBucketLogging: GET Bucket &["logging"], &[], None, &["s3:GetBucketLogging"], &[], built;
    GetBucketMetadataConfiguration: GET Bucket &["metadataConfiguration"], &[], None, &["s3:GetBucketMetadataTableConfiguration"], &[], absent;
    GetBucketMetadataTableConfiguration: GET Bucket &["metadataTable"], &[], None, &["s3:GetBucketMetadataTableConfiguration"], &[], absent;
    GetBucketMetricsConfiguration: GET Bucket &["metrics", "id"], &[], None, &["s3:GetMetricsConfiguration"], &[], built;
    GetBucketNotificationConfiguration: GET Bucket &["notification"], &[], None, &["s3:GetBucketNotification"], &[], built;
    GetBucketOwnershipControls: GET Bucket &["ownershipControls"], &[], None, &["s3:GetBucketOwnershipControls"], &[], built;
    GetBucketPolicy: GET Bucket &["policy"], &[], None, &["s3:GetBucketPolicy"], &[], built;
    GetBucketPolicyStatus: GET Bucket &["policyStatus"], &[], None, &["s3:GetBucketPolicyStatus"], &[], built;
    GetBucketReplication: GET Bucket &["replication"], &[], None, &["s3:GetReplicationConfiguration"], &[], built;
    GetBucketRequestPayment: GET Bucket &["requestPayment"], &[], None, &["s3:GetBucketRequestPayment"], &[], built;
    GetBucketTagging: GET Bucket &["tagging"], &[], None, &["s3:GetBucketTagging"], &[], built;
    GetBucketVersioning: GET Bucket &["versioning"], &[], None, &["s3:GetBucketVersioning"], &[], built;
    GetBucketWebsite: GET Bucket &["website"], &[], None, &["s3:GetBucketWebsite"], &[], built;
    GetObjectLockConfiguration: GET Bucket &["object-lock"], &[], None, &["s3:GetBucketObjectLockConfiguration"], &[], built;
    GetPublicAccessBlock: GET Bucket &["publicAccessBlock"], &[], None, &["s3:GetBucketPublicAccessBlock"], &[], built;
    HeadBucket: HEAD Bucket &[], &[], None, &["s3:ListBucket"], &[], built;
    ListBucketAnalyticsConfigurations: GET Bucket &["analytics"], &["continuation-token"], None, &["s3:GetAnalyticsConfiguration"], &[], built;
    ListBucketIntelligentTieringConfigurations: GET Bucket &["intelligent-tiering"], &["continuation-token"], None, &["s3:GetIntelligentTieringConfiguration"], &[], built;
    ListBucketInventoryConfigurations: GET Bucket &["inventory"], &["continuation-token"], None, &["s3:GetInventoryConfiguration"], &[], built;
    ListBucketMetricsConfigurations: GET Bucket &["metrics"], &["continuation-token"], None, &["s3:GetMetricsConfiguration"], &[], built;
    ListMultipartUploads: GET Bucket &["uploads"], LIST_UPLOADS_QUERY, None, &["s3:ListBucketMultipartUploads"], &[], built;
    ListObjectVersions: GET Bucket &["versions"], LIST_VERSIONS_QUERY, None, &["s3:ListBucketVersions"], &[], built;
    ListObjects: GET Bucket &[], LIST_QUERY, None, &["s3:ListBucket"], &[], built;
    ListObjectsV2: GET Bucket &["list-type"], LIST_V2_QUERY, None, &["s3:ListBucket"], &[], built;
    PostObject: POST Bucket &[], &[], None, &["s3:PutObject"], &[], absent;
    PutBucketAbac: PUT Bucket &["abac"], &[], None, &["s3:PutBucketAbac"], &[], absent;
    PutBucketAccelerateConfiguration: PUT Bucket &["accelerate"], &[], None, &["s3:PutAccelerateConfiguration"], &[], absent;
    PutBucketAcl: PUT Bucket &["acl"], &[], None, &["s3:PutBucketAcl"], &[], built;
    PutBucketAnalyticsConfiguration: PUT Bucket &["analytics", "id"], &[], None, &["s3:PutAnalyticsConfiguration"], &[], absent;
    PutBucketCors: PUT Bucket &["cors"], &[], None, &["s3:PutBucketCORS"], &[], absent;
    PutBucketEncryption: PUT Bucket &["encryption"], &[], None, &["s3:PutEncryptionConfiguration"], &[], absent;
    PutBucketIntelligentTieringConfiguration: PUT Bucket &["intelligent-tiering", "id"], &[], None, &["s3:PutIntelligentTieringConfiguration"], &[], absent;
    PutBucketInventoryConfiguration: PUT Bucket &["inventory", "id"], &[], None, &["s3:PutInventoryConfiguration"], &[], absent;
    PutBucketLifecycleConfiguration: PUT Bucket &["lifecycle"], &[], None, &["s3:PutLifecycleConfiguration"], &[], absent;
    PutBucketLogging: PUT Bucket &["logging"], &[], None, &["s3:PutBucketLogging"], &[], built;
    PutBucketMetricsConfiguration: PUT Bucket &["metrics", "id"], &[], None, &["s3:PutMetricsConfiguration"], &[], absent;
    PutBucketNotificationConfiguration: PUT Bucket &["notification"], &[], None, &["s3:PutBucketNotification"], &[], built;
    PutBucketOwnershipControls: PUT Bucket &["ownershipControls"], &[], None, &["s3:PutBucketOwnershipControls"], &[], absent;
    PutBucketPolicy: PUT Bucket &["policy"], &[], None, &["s3:PutBucketPolicy"], &[], absent;
    PutBucketReplication: PUT Bucket &["replication"], &[], None, &["s3:PutReplicationConfiguration"], &[], absent;
    PutBucketRequestPayment: PUT Bucket &["requestPayment"], &[], None, &["s3:PutBucketRequestPayment"], &[], built;
    PutBucketTagging: PUT Bucket &["tagging"], &[], None, &["s3:PutBucketTagging"], &[], absent;
    PutBucketVersioning: PUT Bucket &["versioning"], &[], None, &["s3:PutBucketVersioning"], &[], absent;
    PutBucketWebsite: PUT Bucket &["website"], &[], None, &["s3:PutBucketWebsite"], &[], absent;
    PutObjectLockConfiguration: PUT Bucket &["object-lock"], &[], None, &["s3:PutBucketObjectLockConfiguration"], &[], absent;
    PutPublicAccessBlock: PUT Bucket &["publicAccessBlock"], &[], None, &["s3:PutBucketPublicAccessBlock"], &[], absent;
    UpdateBucketMetadataAnnotationTableConfiguration: PUT Bucket &["metadataAnnotationTable"], &[], None, &["s3:UpdateBucketMetadataAnnotationTableConfiguration"], &[], absent;
    UpdateBucketMetadataInventoryTableConfiguration: PUT Bucket &["metadataInventoryTable"], &[], None, &["s3:UpdateBucketMetadataInventoryTableConfiguration"], &[], absent;
    UpdateBucketMetadataJournalTableConfiguration: PUT Bucket &["metadataJournalTable"], &[], None, &["s3:UpdateBucketMetadataJournalTableConfiguration"], &[], absent;
    AbortMultipartUpload: DELETE Object &["uploadId"], &[], None, &["s3:AbortMultipartUpload"], &[], built;
    CompleteMultipartUpload: POST Object &["uploadId"], &[], None, &["s3:PutObject"], &[], built;
    CopyObject: PUT Object &[], &[], Some("x-amz-copy-source"), &["s3:PutObject"], &[], built;
    CreateMultipartUpload: POST Object &["uploads"], &[], None, &["s3:PutObject"], &[], built;
    DeleteObject: DELETE Object &[], &["versionId"], None, &["s3:DeleteObject"], &["s3:DeleteObjectVersion"], built;
    DeleteObjectAnnotation: DELETE Object &["annotation", "annotationName"], &["versionId"], None, &["s3:DeleteObjectAnnotation"], &[], absent;
    DeleteObjectTagging: DELETE Object &["tagging"], &["versionId"], None, &["s3:DeleteObjectTagging"], &["s3:DeleteObjectVersionTagging"], built;
    GetObject: GET Object &[], GET_QUERY, None, &["s3:GetObject"], &["s3:GetObjectVersion"], built;
    GetObjectAcl: GET Object &["acl"], &["versionId"], None, &["s3:GetObjectAcl"], &["s3:GetObjectVersionAcl"], built;
    GetObjectAnnotation: GET Object &["annotation", "annotationName"], &["versionId"], None, &["s3:GetObjectAnnotation"], &[], absent;
    GetObjectAttributes: GET Object &["attributes"], &["versionId"], None, &["s3:GetObject", "s3:GetObjectAttributes"], &["s3:GetObjectVersion", "s3:GetObjectVersionAttributes"], built;
    GetObjectLegalHold: GET Object &["legal-hold"], &["versionId"], None, &["s3:GetObjectLegalHold"], &[], built;
    GetObjectRetention: GET Object &["retention"], &["versionId"], None, &["s3:GetObjectRetention"], &[], built;
    GetObjectTagging: GET Object &["tagging"], &["versionId"], None, &["s3:GetObjectTagging"], &["s3:GetObjectVersionTagging"], built;
    GetObjectTorrent: GET Object &["torrent"], &[], None, &["s3:GetObjectTorrent"], &["s3:GetObjectVersionTorrent"], absent;
    HeadObject: HEAD Object &[], GET_QUERY, None, &["s3:GetObject"], &["s3:GetObjectVersion"], built;
    ListObjectAnnotations: GET Object &["annotation"], &["versionId", "max-annotation-results", "annotation-prefix", "continuation-token"], None, &["s3:ListObjectAnnotations"], &[], absent;
    ListParts: GET Object &["uploadId"], &["max-parts", "part-number-marker"], None, &["s3:ListMultipartUploadParts"], &[], built;
    PutObject: PUT Object &[], &[], None, &["s3:PutObject"], &[], built;
    PutObjectAcl: PUT Object &["acl"], &["versionId"], None, &["s3:PutObjectAcl"], &["s3:PutObjectVersionAcl"], built;
    PutObjectAnnotation: PUT Object &["annotation", "annotationName"], &["versionId"], None, &["s3:PutObjectAnnotation"], &[], absent;
    PutObjectLegalHold: PUT Object &["legal-hold"], &["versionId"], None, &["s3:PutObjectLegalHold"], &[], absent;
    PutObjectRetention: PUT Object &["retention"], &["versionId"], None, &["s3:PutObjectRetention"], &[], absent;
    PutObjectTagging: PUT Object &["tagging"], &["versionId"], None, &["s3:PutObjectTagging"], &["s3:PutObjectVersionTagging"], built;
    RenameObject: PUT Object &["renameObject"], &[], None, &["s3:PutObject", "s3:DeleteObject"], &[], absent;
    RestoreObject: POST Object &["restore"], &["versionId"], None, &["s3:RestoreObject"], &[], absent;
    SelectObjectContent: POST Object &["select", "select-type"], &[], None, &["s3:GetObject"], &[], absent;
    UpdateObjectEncryption: PUT Object &["encryption"], &["versionId"], None, &["s3:UpdateObjectEncryption"], &[], absent;
    UploadPart: PUT Object &["partNumber", "uploadId"], &[], None, &["s3:PutObject"], &[], built;
    UploadPartCopy: PUT Object &["partNumber", "uploadId"], &[], Some("x-amz-copy-source"), &["s3:PutObject"], &[], built;
}
