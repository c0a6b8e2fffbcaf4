use http::Method;

use crate::fakes::Site;

const CAROL: &str = r#"{"id":"carol","display_name":"Carol","email":"c@example.com",
    "access_key":"carolkey","secret_key":"carolsecret"}"#;

#[tokio::test]
async fn root_adds_lists_and_removes_users() {
    let site = Site::new(1, 0);
    let added = site
        .call_as("root", Method::POST, "/v1/users", &[], CAROL)
        .await;
    assert_eq!(added.status, 200, "{}", added.text());
    assert!(!added.text().contains("carolsecret"));
    assert!(added.text().contains(r#""access_key":"carolkey""#));
    assert_eq!(
        site.call_as("carol", Method::PUT, "/carols", &[], "")
            .await
            .status,
        200
    );
    let listed = site
        .call_as("root", Method::GET, "/v1/users", &[], "")
        .await;
    assert_eq!(listed.header("content-type"), "application/json");
    assert!(listed.text().contains("carol") && !listed.text().contains("secret"));
    let removed = site
        .call_as("root", Method::DELETE, "/v1/users/carolkey", &[], "")
        .await;
    assert_eq!(removed.status, 204);
    let out = site.call_as("carol", Method::GET, "/carols", &[], "").await;
    assert_eq!(
        out.refusal(),
        (403, "InvalidAccessKeyId".to_owned()),
        "at once on this gateway"
    );
    let again = site
        .call_as("root", Method::DELETE, "/v1/users/carolkey", &[], "")
        .await;
    assert_eq!(again.status, 404);
    assert!(
        again.text().contains(r#""code":"NoSuchUser""#),
        "{}",
        again.text()
    );
}

#[tokio::test]
async fn nobody_else_may() {
    let site = Site::new(1, 0);
    for (method, target) in [
        (Method::GET, "/v1/users"),
        (Method::POST, "/v1/users"),
        (Method::DELETE, "/v1/users/rootkey"),
    ] {
        let got = site
            .call_as("alice", method.clone(), target, &[], CAROL)
            .await;
        assert_eq!(got.status, 403, "{method}");
        assert!(got.text().contains(r#""code":"AccessDenied""#));
        let unsigned = http::Request::builder().method(method).uri(target);
        let unsigned = unsigned
            .header("host", "s3.test")
            .body(CAROL.into())
            .unwrap();
        assert_eq!(site.send(unsigned, CAROL.into()).await.status, 403);
    }
}

#[tokio::test]
async fn what_is_no_user_is_refused() {
    let site = Site::new(1, 0);
    let long = format!(
        r#"{{"id":"{}","access_key":"abc","secret_key":"12345678"}}"#,
        "i".repeat(129)
    );
    for document in [
        "",
        "{}",
        r#"["x","","","abc","12345678"]"#,
        r#"{"id":"x","access_key":"ab","secret_key":"12345678"}"#,
        r#"{"id":"x","access_key":"abc","secret_key":"1234567"}"#,
        r#"{"id":"","access_key":"abc","secret_key":"12345678"}"#,
        r#"{"id":"x","access_key":"abc","secret_key":"12345678","root":true}"#,
        &long,
    ] {
        let got = site
            .call_as("root", Method::POST, "/v1/users", &[], document.to_owned())
            .await;
        assert_eq!(got.status, 400, "{document}");
        assert!(got.text().contains(r#""code":"InvalidArgument""#));
    }
    let removed = site
        .call_as("root", Method::DELETE, "/v1/users/rootkey", &[], "")
        .await;
    assert_eq!(removed.status, 400, "root stays");
    let unknown = site
        .call_as("root", Method::GET, "/v1/volumes", &[], "")
        .await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn the_body_must_be_the_signed_one() {
    let site = Site::new(1, 0);
    let request = site
        .signer("root")
        .sign(&Method::POST, "/v1/users", &[], b"{}");
    assert_eq!(site.send(request, CAROL.into()).await.status, 400);
    let unsigned = [("x-amz-content-sha256", "UNSIGNED-PAYLOAD")];
    let got = site
        .call_as("root", Method::POST, "/v1/users", &unsigned, CAROL)
        .await;
    assert_eq!(got.status, 400);
    assert!(
        site.call_as("root", Method::GET, "/v1/users", &[], "")
            .await
            .text()
            .matches("carol")
            .count()
            == 0
    );
}

#[tokio::test]
async fn root_alone_accepts_a_jump_of_the_clock() {
    let site = Site::new(1, 0);
    site.metadata
        .edit(|state| state.cluster().clock_suspended = true);
    let call = async |name: &str, method: Method, target: &str, body: &'static str| {
        site.call_as(name, method, target, &[], body).await
    };
    let got = call("root", Method::GET, "/v1/clock", "").await;
    assert!(got.text().contains(r#""suspended":true"#), "{}", got.text());
    for (method, target) in [
        (Method::GET, "/v1/clock"),
        (Method::POST, "/v1/clock/accept"),
    ] {
        assert_eq!(call("alice", method, target, "").await.status, 403);
    }
    let got = call("root", Method::POST, "/v1/clock/accept", "{}").await;
    assert_eq!(got.status, 400, "a document has no meaning here");
    let got = call("root", Method::GET, "/v1/clock", "").await;
    assert!(got.text().contains(r#""suspended":true"#), "still");
    let got = call("root", Method::POST, "/v1/clock/accept", "").await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert!(got.text().contains(r#""suspended":false"#));
}
