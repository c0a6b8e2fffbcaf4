use proptest::prelude::*;

use super::*;
use crate::testing;

const XMLNS: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

fn body(response: &Response) -> String {
    let text = String::from_utf8(response.body().to_vec()).unwrap();
    let (declaration, rest) = text.split_once('\n').unwrap();
    assert_eq!(declaration, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    rest.to_owned()
}

fn unchanged(op: Op, headers: &[(&str, &str)], document: &str) -> Result<(), Code> {
    let head = testing::head("PUT", "/bkt/k", headers);
    check_unchanged(op, &head, document.as_bytes()).map_err(|error| error.code())
}

#[test]
fn documents_that_say_nothing() {
    for (response, expected) in [
        (
            empty("VersioningConfiguration"),
            format!("<VersioningConfiguration {XMLNS}></VersioningConfiguration>"),
        ),
        (
            empty_list("ListMetricsConfigurationsResult"),
            format!(
                "<ListMetricsConfigurationsResult {XMLNS}><IsTruncated>false</IsTruncated>\
                 </ListMetricsConfigurationsResult>"
            ),
        ),
        (
            no_tags(),
            format!("<Tagging {XMLNS}><TagSet></TagSet></Tagging>"),
        ),
        (
            request_payment(),
            format!(
                "<RequestPaymentConfiguration {XMLNS}><Payer>BucketOwner</Payer>\
                 </RequestPaymentConfiguration>"
            ),
        ),
        (
            policy_status(),
            format!("<PolicyStatus {XMLNS}><IsPublic>false</IsPublic></PolicyStatus>"),
        ),
        (
            ownership_controls("BucketOwnerEnforced"),
            format!(
                "<OwnershipControls {XMLNS}><Rule><ObjectOwnership>BucketOwnerEnforced\
                 </ObjectOwnership></Rule></OwnershipControls>"
            ),
        ),
    ] {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/xml");
        assert_eq!(body(&response), expected);
    }
    assert_eq!(removed().status(), 204);
    let nothing = super::unchanged();
    assert_eq!((nothing.status().as_u16(), nothing.body().len()), (200, 0));
}

#[test]
fn a_private_acl_gives_the_owner_full_control() {
    let owner = Owner {
        id: "id1".into(),
        display_name: "A & B".into(),
    };
    assert_eq!(
        body(&private_acl(&owner)),
        format!(
            "<AccessControlPolicy {XMLNS}><Owner><ID>id1</ID><DisplayName>A &amp; B</DisplayName>\
             </Owner><AccessControlList><Grant><Grantee \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\">\
             <ID>id1</ID><DisplayName>A &amp; B</DisplayName></Grantee>\
             <Permission>FULL_CONTROL</Permission></Grant></AccessControlList>\
             </AccessControlPolicy>"
        )
    );
}

#[test]
fn what_is_so_already_may_be_put() {
    let private = [("x-amz-acl", "private")];
    for (op, headers, document) in [
        (Op::PutBucketAcl, &private[..], ""),
        (Op::PutObjectAcl, &private[..], ""),
        (
            Op::PutBucketRequestPayment,
            &[],
            "<RequestPaymentConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
        ),
        (
            Op::PutObjectTagging,
            &[],
            "<Tagging><TagSet></TagSet></Tagging>",
        ),
        (Op::PutObjectTagging, &[], "<Tagging><TagSet/></Tagging>"),
        (
            Op::PutBucketNotificationConfiguration,
            &[],
            "<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>",
        ),
        (
            Op::PutBucketLogging,
            &[],
            "<BucketLoggingStatus></BucketLoggingStatus>",
        ),
    ] {
        assert_eq!(unchanged(op, headers, document), Ok(()), "{}", op.name());
    }
}

#[test]
fn what_would_change_something_is_not_implemented() {
    for (op, document) in [
        (
            Op::PutBucketRequestPayment,
            "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>",
        ),
        (
            Op::PutObjectTagging,
            "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
        ),
        (
            Op::PutBucketNotificationConfiguration,
            "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>",
        ),
        (
            Op::PutBucketLogging,
            "<BucketLoggingStatus><LoggingEnabled/></BucketLoggingStatus>",
        ),
        (
            Op::PutBucketAcl,
            "<AccessControlPolicy></AccessControlPolicy>",
        ),
        (
            Op::PutObjectAcl,
            "<AccessControlPolicy></AccessControlPolicy>",
        ),
        (Op::PutBucketVersioning, ""),
    ] {
        let refused = unchanged(op, &[], document);
        assert_eq!(refused, Err(Code::NotImplemented), "{}", op.name());
    }
}

#[test]
fn what_makes_no_sense_is_refused_as_such() {
    for (op, headers, document, code) in [
        (Op::PutBucketAcl, &[][..], "", Code::MissingSecurityHeader),
        (
            Op::PutObjectAcl,
            &[("x-amz-acl", "private")][..],
            "<AccessControlPolicy/>",
            Code::UnexpectedContent,
        ),
        (
            Op::PutBucketRequestPayment,
            &[],
            "<RequestPaymentConfiguration><Payer>Nobody</Payer></RequestPaymentConfiguration>",
            Code::MalformedXML,
        ),
        (Op::PutBucketRequestPayment, &[], "", Code::MalformedXML),
        (
            Op::PutBucketLogging,
            &[],
            "<Logging></Logging>",
            Code::MalformedXML,
        ),
        (Op::PutObjectTagging, &[], "<Tagging/>", Code::MalformedXML),
    ] {
        assert_eq!(
            unchanged(op, headers, document),
            Err(code),
            "{} {document}",
            op.name()
        );
    }
}

#[test]
fn a_version_must_have_a_name() {
    let asked = |target: &str| version_id(&testing::head("GET", target, &[]));
    assert_eq!(asked("/bkt/k?acl").unwrap(), None);
    assert_eq!(
        asked("/bkt/k?acl&versionId=v").unwrap(),
        Some("v".to_owned())
    );
    let refused = asked("/bkt/k?acl&versionId=").unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

proptest! {
    #[test]
    fn documents_never_panic(text in "(</?(Tagging|TagSet|Tag|Payer|BucketLoggingStatus)/?>|[a-z]){0,8}") {
        for op in [Op::PutObjectTagging, Op::PutBucketLogging, Op::PutBucketRequestPayment] {
            let _ = unchanged(op, &[], &text);
        }
    }
}
