use http::Method;

use crate::fakes::Site;

#[tokio::test]
async fn a_bucket_is_created_listed_found_and_deleted() {
    let site = Site::new(1, 0);
    let made = site.call(Method::PUT, "/bucket", "").await;
    assert_eq!(
        (made.status.as_u16(), made.header("location")),
        (200, "/bucket")
    );
    assert_eq!(
        site.call(Method::PUT, "/bucket", "").await.status,
        200,
        "again, by its owner"
    );
    let head = site.call(Method::HEAD, "/bucket", "").await;
    assert_eq!(
        (head.status.as_u16(), head.header("x-amz-bucket-region")),
        (200, "us-east-1")
    );
    let listed = site.call(Method::GET, "/", "").await;
    assert_eq!(listed.element("Name"), "bucket");
    assert_eq!(listed.element("ID"), "alice");
    site.call(Method::PUT, "/bucket/key", "x").await;
    let full = site.call(Method::DELETE, "/bucket", "").await;
    assert_eq!(full.refusal(), (409, "BucketNotEmpty".to_owned()));
    site.call(Method::DELETE, "/bucket/key", "").await;
    assert_eq!(site.call(Method::DELETE, "/bucket", "").await.status, 204);
    let gone = site.call(Method::GET, "/bucket", "").await;
    assert_eq!(gone.refusal(), (404, "NoSuchBucket".to_owned()));
    assert_eq!(gone.element("BucketName"), "bucket");
}

#[tokio::test]
async fn what_is_anothers_is_closed() {
    let site = Site::new(1, 0).with_bucket().await;
    site.call(Method::PUT, "/bucket/key", "secret").await;
    let taken = site.call_as("bob", Method::PUT, "/bucket", &[], "").await;
    assert_eq!(taken.refusal(), (409, "BucketAlreadyExists".to_owned()));
    for (method, target) in [
        (Method::GET, "/bucket"),
        (Method::GET, "/bucket/key"),
        (Method::PUT, "/bucket/key"),
        (Method::DELETE, "/bucket/key"),
        (Method::DELETE, "/bucket"),
        (Method::GET, "/bucket?uploads"),
        (Method::POST, "/bucket/key?uploads"),
        (Method::GET, "/bucket?location"),
        (Method::GET, "/bucket/missing"),
    ] {
        let got = site.call_as("bob", method.clone(), target, &[], "").await;
        assert_eq!(
            got.refusal(),
            (403, "AccessDenied".to_owned()),
            "{method} {target}"
        );
    }
    let head = site
        .call_as("bob", Method::HEAD, "/bucket/key", &[], "")
        .await;
    assert_eq!((head.status.as_u16(), head.body.len()), (403, 0));
    let root = site
        .call_as("root", Method::GET, "/bucket/key", &[], "")
        .await;
    assert_eq!(root.body, "secret");
    let listed = site.call_as("bob", Method::GET, "/", &[], "").await;
    assert!(!listed.text().contains("<Bucket>"));
}

#[tokio::test]
async fn demands_on_the_owner_are_checked() {
    let site = Site::new(1, 0).with_bucket().await;
    let owner = async |name: &str| {
        site.call_with(
            Method::GET,
            "/bucket",
            &[("x-amz-expected-bucket-owner", name)],
            "",
        )
        .await
    };
    assert_eq!(owner("alice").await.status, 200);
    assert_eq!(
        owner("bob").await.refusal(),
        (403, "AccessDenied".to_owned())
    );
}

#[tokio::test]
async fn locations_are_those_that_were_allowed() {
    let site = Site::new(1, 0);
    site.metadata
        .edit(|state| state.cluster().location_constraints = vec!["default".to_owned()]);
    let create = async |name: &str, location: &str| {
        let body = format!(
            "<CreateBucketConfiguration><LocationConstraint>{location}</LocationConstraint>\
             </CreateBucketConfiguration>"
        );
        site.call(Method::PUT, name, body).await
    };
    let refused = create("/mars", "mars").await;
    assert_eq!(
        refused.refusal(),
        (400, "InvalidLocationConstraint".to_owned())
    );
    assert_eq!(create("/chosen", "default").await.status, 200);
    assert_eq!(create("/virginia", "us-east-1").await.status, 200);
    let chosen = site.call(Method::GET, "/chosen?location", "").await;
    assert!(chosen.text().contains(">default<"), "{}", chosen.text());
    // Allowed since: no restart is needed.
    site.metadata
        .edit(|state| state.cluster().location_constraints.push("mars".to_owned()));
    assert_eq!(create("/mars", "mars").await.status, 200);
}

#[tokio::test]
async fn buckets_are_listed_page_by_page() {
    let site = Site::new(1, 0);
    for name in ["/aaa", "/bbb", "/ccc"] {
        site.call(Method::PUT, name, "").await;
    }
    let first = site.call(Method::GET, "/?max-buckets=2", "").await;
    assert_eq!(first.text().matches("<Bucket>").count(), 2);
    let token = first.element("ContinuationToken");
    let second = format!("/?continuation-token={token}&max-buckets=2");
    let second = site.call(Method::GET, &second, "").await;
    assert_eq!(second.element("Name"), "ccc");
    assert_eq!(second.element("ContinuationToken"), "");
}

/// Its commit names the bucket by its id: what was read a moment ago is enough to bring it there.
#[tokio::test]
async fn a_write_reads_the_bucket_once_in_a_while() {
    let site = Site::new(1, 0).with_bucket().await;
    let asked = || site.metadata.edit(|state| state.asked());
    let put = async || site.call(Method::PUT, "/bucket/key", "x").await.status;
    assert_eq!(put().await, 200);
    let before = asked();
    assert_eq!(put().await, 200);
    let gone = site.call(Method::DELETE, "/bucket/key", "").await;
    assert_eq!((gone.status.as_u16(), asked() - before), (204, 0));
    site.clock.advance(crate::tuning::BELIEVED);
    assert_eq!(put().await, 200);
    assert!(asked() > before);
}

#[tokio::test]
async fn a_bucket_that_another_gateway_has_removed_takes_no_write() {
    let site = Site::new(1, 0).with_bucket().await;
    let put = async || site.call(Method::PUT, "/bucket/key", "x").await;
    assert_eq!(put().await.status, 200);
    let row = site.metadata.edit(|state| state.buckets().remove("bucket"));
    let row = row.unwrap();
    let missing = (404, "NoSuchBucket".to_owned());
    assert_eq!(put().await.refusal(), missing);
    site.metadata
        .edit(|state| state.buckets().insert("bucket".to_owned(), row.clone()));
    assert_eq!(put().await.status, 200);
    site.metadata.edit(|state| state.buckets().clear());
    let gone = site.call(Method::DELETE, "/bucket/key", "").await;
    assert_eq!(gone.refusal(), missing);
}

/// The name is another bucket's by now: there is one, so the client is asked to come again.
#[tokio::test]
async fn a_write_on_its_way_to_a_bucket_made_anew_is_sent_again() {
    let site = Site::new(1, 0).with_bucket().await;
    let put = async || site.call(Method::PUT, "/bucket/key", "x").await;
    assert_eq!(put().await.status, 200);
    site.metadata.edit(|state| {
        let bucket = state.buckets().get_mut("bucket").unwrap();
        bucket.id += 1_000;
    });
    assert_eq!(
        put().await.refusal(),
        (503, "ServiceUnavailable".to_owned())
    );
    assert_eq!(put().await.status, 200);
    let objects = site
        .metadata
        .edit(|state| state.objects().keys().cloned().collect::<Vec<_>>());
    assert_eq!(objects.len(), 2, "each lies in the bucket it was sent to");
}
