use cairn_wire::metadata as wire;
use http::Method;

use crate::fakes::Site;

#[tokio::test]
async fn reads_of_what_was_never_configured_say_so() {
    let site = Site::new(1, 0).with_bucket().await;
    site.call(Method::PUT, "/bucket/key", "x").await;
    for (target, root) in [
        ("/bucket?versioning", "VersioningConfiguration"),
        ("/bucket?logging", "BucketLoggingStatus"),
        ("/bucket?notification", "NotificationConfiguration"),
        ("/bucket?accelerate", "AccelerateConfiguration"),
        ("/bucket?requestPayment", "RequestPaymentConfiguration"),
        ("/bucket?policyStatus", "PolicyStatus"),
        ("/bucket?acl", "AccessControlPolicy"),
        ("/bucket?ownershipControls", "OwnershipControls"),
        ("/bucket?metrics", "ListMetricsConfigurationsResult"),
        ("/bucket?inventory", "ListInventoryConfigurationsResult"),
        (
            "/bucket?analytics",
            "ListBucketAnalyticsConfigurationResult",
        ),
        (
            "/bucket?intelligent-tiering",
            "ListBucketIntelligentTieringConfigurationsOutput",
        ),
        ("/bucket/key?acl", "AccessControlPolicy"),
        ("/bucket/key?tagging&versionId=null", "Tagging"),
    ] {
        let got = site.call(Method::GET, target, "").await;
        assert_eq!(got.status, 200, "{target}: {}", got.text());
        let begins = format!("<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        assert!(got.text().contains(&begins), "{target}: {}", got.text());
    }
}

#[tokio::test]
async fn reads_without_an_answer_are_refused_by_their_own_names() {
    let site = Site::new(1, 0).with_bucket().await;
    site.call(Method::PUT, "/bucket/key", "x").await;
    for (target, status, code) in [
        ("/bucket?cors", 404, "NoSuchCORSConfiguration"),
        ("/bucket?lifecycle", 404, "NoSuchLifecycleConfiguration"),
        ("/bucket?policy", 404, "NoSuchBucketPolicy"),
        ("/bucket?tagging", 404, "NoSuchTagSet"),
        ("/bucket?website", 404, "NoSuchWebsiteConfiguration"),
        (
            "/bucket?encryption",
            404,
            "ServerSideEncryptionConfigurationNotFoundError",
        ),
        (
            "/bucket?replication",
            404,
            "ReplicationConfigurationNotFoundError",
        ),
        (
            "/bucket?publicAccessBlock",
            404,
            "NoSuchPublicAccessBlockConfiguration",
        ),
        (
            "/bucket?object-lock",
            404,
            "ObjectLockConfigurationNotFoundError",
        ),
        ("/bucket?metrics&id=a", 404, "NoSuchConfiguration"),
        ("/bucket?inventory&id=a", 404, "NoSuchConfiguration"),
        ("/bucket?analytics&id=a", 404, "NoSuchConfiguration"),
        (
            "/bucket?intelligent-tiering&id=a",
            404,
            "NoSuchConfiguration",
        ),
        ("/bucket/key?retention", 400, "InvalidRequest"),
        ("/bucket/key?legal-hold", 400, "InvalidRequest"),
    ] {
        let got = site.call(Method::GET, target, "").await;
        assert_eq!(got.refusal(), (status, code.to_owned()), "{target}");
        assert_eq!(got.element("BucketName"), "bucket", "{target}");
        assert_eq!(got.element("RequestId"), got.header("x-amz-request-id"));
        let missing = target.replace("/bucket", "/nowhere");
        let got = site.call(Method::GET, &missing, "").await;
        assert_eq!(got.refusal(), (404, "NoSuchBucket".to_owned()), "{target}");
    }
}

#[tokio::test]
async fn the_configuration_of_a_missing_object_is_no_such_key() {
    let site = Site::new(1, 0).with_bucket().await;
    site.call(Method::PUT, "/bucket/key", "x").await;
    for (method, what) in [
        (Method::GET, "acl"),
        (Method::GET, "tagging"),
        (Method::GET, "retention"),
        (Method::GET, "legal-hold"),
        (Method::DELETE, "tagging"),
        (Method::PUT, "tagging"),
        (Method::PUT, "acl"),
    ] {
        let target = format!("/bucket/none?{what}");
        let got = site.call(method.clone(), &target, "").await;
        assert_eq!(got.refusal(), (404, "NoSuchKey".to_owned()), "{what}");
        let target = format!("/bucket/key?{what}&versionId=other");
        let got = site.call(method, &target, "").await;
        assert_eq!(got.refusal(), (404, "NoSuchVersion".to_owned()), "{what}");
    }
}

#[tokio::test]
async fn acls_give_the_owner_full_control() {
    let site = Site::new(1, 0).with_bucket().await;
    site.call(Method::PUT, "/bucket/key", "x").await;
    for target in ["/bucket?acl", "/bucket/key?acl"] {
        // Also to root, the owner is named.
        for who in ["alice", "root"] {
            let got = site.call_as(who, Method::GET, target, &[], "").await;
            let text = got.text();
            assert_eq!(
                text.matches("<ID>alice</ID><DisplayName>alice</DisplayName>")
                    .count(),
                2,
                "{text}"
            );
            assert_eq!(got.element("Permission"), "FULL_CONTROL");
            assert_eq!(text.matches("<Grant>").count(), 1);
        }
        let got = site.call_as("bob", Method::GET, target, &[], "").await;
        assert_eq!(got.refusal(), (403, "AccessDenied".to_owned()));
    }
}

#[tokio::test]
async fn removing_what_is_not_there_is_done() {
    let site = Site::new(1, 0).with_bucket().await;
    site.call(Method::PUT, "/bucket/key", "x").await;
    for target in [
        "/bucket?policy",
        "/bucket?cors",
        "/bucket?lifecycle",
        "/bucket?tagging",
        "/bucket?website",
        "/bucket?encryption",
        "/bucket?replication",
        "/bucket?publicAccessBlock",
        "/bucket/key?tagging",
    ] {
        let got = site.call(Method::DELETE, target, "").await;
        assert_eq!((got.status.as_u16(), got.body.len()), (204, 0), "{target}");
    }
    let got = site.call(Method::DELETE, "/bucket?metrics&id=a", "").await;
    assert_eq!(got.refusal(), (404, "NoSuchConfiguration".to_owned()));
    assert_eq!(site.call(Method::GET, "/bucket/key", "").await.body, "x");
}

#[tokio::test]
async fn putting_what_is_so_already_changes_nothing_and_else_is_501() {
    let site = Site::new(1, 0).with_bucket().await;
    site.call(Method::PUT, "/bucket/key", "x").await;
    let before = site.metadata.log().len();
    for target in ["/bucket?acl", "/bucket/key?acl"] {
        for acl in ["private", "bucket-owner-full-control"] {
            let headers = [("x-amz-acl", acl)];
            let got = site.call_with(Method::PUT, target, &headers, "").await;
            assert_eq!((got.status.as_u16(), got.body.len()), (200, 0), "{target}");
        }
        for (headers, refusal) in [
            (&[("x-amz-acl", "public-read")][..], (501, "NotImplemented")),
            (&[("x-amz-acl", "made-up")][..], (400, "InvalidArgument")),
            (
                &[("x-amz-grant-read", "id=bob")][..],
                (501, "NotImplemented"),
            ),
            (&[][..], (400, "MissingSecurityHeader")),
        ] {
            let got = site.call_with(Method::PUT, target, headers, "").await;
            assert_eq!(got.refusal(), (refusal.0, refusal.1.to_owned()), "{target}");
        }
    }
    let pays = |payer: &str| {
        format!("<RequestPaymentConfiguration><Payer>{payer}</Payer></RequestPaymentConfiguration>")
    };
    let target = "/bucket?requestPayment";
    let got = site.call(Method::PUT, target, pays("BucketOwner")).await;
    assert_eq!(got.status, 200);
    let got = site.call(Method::PUT, target, pays("Requester")).await;
    assert_eq!(got.refusal(), (501, "NotImplemented".to_owned()));
    let suspended = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
    let got = site
        .call(Method::PUT, "/bucket?versioning", suspended)
        .await;
    assert_eq!(got.refusal(), (501, "NotImplemented".to_owned()));
    assert_eq!(site.metadata.log().len(), before);
}

#[tokio::test]
async fn ownership_is_the_clusters_setting() {
    const CONTROLS: &str = "/bucket?ownershipControls";
    let set = |value: &str| {
        let site = Site::new(1, 0);
        let setting = wire::Header {
            name: "defaults.object_ownership".to_owned(),
            value: value.to_owned(),
        };
        site.metadata
            .edit(|state| state.cluster().extra = vec![setting]);
        site
    };
    let unset = Site::new(1, 0).with_bucket().await;
    let got = unset.call(Method::GET, CONTROLS, "").await;
    assert_eq!(got.element("ObjectOwnership"), "BucketOwnerEnforced");
    let got = unset.call(Method::DELETE, CONTROLS, "").await;
    assert_eq!(got.refusal(), (501, "NotImplemented".to_owned()));
    let site = set("BucketOwnerPreferred").with_bucket().await;
    let got = site.call(Method::GET, CONTROLS, "").await;
    assert_eq!(got.element("ObjectOwnership"), "BucketOwnerPreferred");
    let site = set("ObjectWriter").with_bucket().await;
    let got = site.call(Method::GET, CONTROLS, "").await;
    assert_eq!(
        got.refusal(),
        (404, "OwnershipControlsNotFoundError".to_owned())
    );
    assert_eq!(site.call(Method::DELETE, CONTROLS, "").await.status, 204);
    // A bucket cannot be asked to be otherwise.
    let enforced = [("x-amz-object-ownership", "BucketOwnerEnforced")];
    let got = site.call_with(Method::PUT, "/other", &enforced, "").await;
    assert_eq!(got.refusal(), (501, "NotImplemented".to_owned()));
    let got = unset.call_with(Method::PUT, "/other", &enforced, "").await;
    assert_eq!(got.status, 200);
}
