use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::json;

use super::*;
use crate::fakes::Log;

/// A request with these headers and nothing else but its host.
async fn plain(
    site: &Site,
    method: Method,
    target: &str,
    headers: &[(&str, &str)],
    body: &'static str,
) -> Got {
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header("host", "s3.test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    site.send(request.body(Bytes::new()).unwrap(), body.into())
        .await
}

async fn token(site: &Site, name: &str, document: &'static str) -> String {
    let got = site
        .call_as(name, Method::POST, "/cas/token", &[], document)
        .await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(got.header("cache-control"), "no-store");
    format!("Bearer {}", body(&got)["token"].as_str().unwrap())
}

/// What a client is told as its request's id stands in every line of the log about it.
#[tokio::test]
async fn the_log_names_the_request() {
    let log = Log::down_to(tracing::Level::DEBUG);
    let _guard = tracing::subscriber::set_default(log.clone());
    let site = Site::new(1, 0);
    let got = site
        .call_as("alice", Method::GET, "/cas/nothing", &[], "")
        .await;
    assert_eq!(got.status, 404);
    let id = format!("id={:?}", got.header("x-amz-request-id"));
    let lines = log.lines();
    let told = |what: &str| {
        lines
            .iter()
            .any(|line| line.contains(&id) && line.contains(what))
    };
    assert!(
        told("message=refused") && told("message=answered"),
        "{id} {lines:?}"
    );
}

#[tokio::test]
async fn the_anonymous_are_asked_who_they_are_wherever_they_go() {
    let site = Site::new(1, 0);
    let chunk = path(hash(b"x"));
    for (method, target) in [
        (Method::GET, chunk.as_str()),
        (Method::PUT, &chunk),
        (Method::POST, "/cas/missing"),
        (Method::POST, "/cas/objects/bucket/k"),
        (Method::POST, "/cas/token"),
        (Method::GET, "/cas/nothing"),
        (Method::DELETE, "/cas/chunks/zz"),
    ] {
        let got = plain(&site, method.clone(), target, &[], "x").await;
        assert_eq!(
            refusal(&got),
            (401, "Unauthorized".to_owned()),
            "{method} {target}"
        );
        assert_eq!(got.header("www-authenticate"), "Bearer, AWS4-HMAC-SHA256");
    }
    let got = site.call_as("carol", Method::GET, &chunk, &[], "").await;
    assert_eq!(refusal(&got), (403, "InvalidAccessKeyId".to_owned()));
}

#[tokio::test]
async fn a_token_is_its_users_key_to_cas_and_to_nothing_else() {
    let site = Site::new(1, 0).with_bucket().await;
    let (named, _) = put(&site, b"alices").await;
    let alice = token(&site, "alice", "").await;
    let bob = token(&site, "bob", r#"{"expires_in":60}"#).await;
    let with = |token: &str| [("authorization", token.to_owned())];
    let get = async |token: &str, target: &str| {
        let [(name, value)] = with(token);
        plain(&site, Method::GET, target, &[(name, &value)], "").await
    };
    assert_eq!(get(&alice, &path(named)).await.body, "alices");
    assert_eq!(get(&bob, &path(named)).await.status, 404);
    let put = plain(
        &site,
        Method::PUT,
        &path(hash(b"new")),
        &[("authorization", &alice)],
        "new",
    )
    .await;
    assert_eq!(put.status, 201, "{}", put.text());
    let got = plain(
        &site,
        Method::POST,
        "/cas/missing",
        &[("authorization", &alice)],
        r#"{"chunks":[]}"#,
    )
    .await;
    assert_eq!(got.status, 200);
    for (target, status) in [("/bucket", 400), ("/v1/users", 400)] {
        let got = get(&alice, target).await;
        assert!(
            got.status.is_client_error(),
            "{target}: {} {status}",
            got.status
        );
    }
    let more = plain(
        &site,
        Method::POST,
        "/cas/token",
        &[("authorization", &alice)],
        "",
    )
    .await;
    assert_eq!(
        refusal(&more),
        (403, "AccessDenied".to_owned()),
        "a token begets none"
    );
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_with_its_user() {
    let site = Site::new(1, 0);
    let (named, _) = put(&site, b"alices").await;
    let short = token(&site, "alice", r#"{"expires_in":60}"#).await;
    let long = token(&site, "alice", "").await;
    let get = async |token: &str| {
        plain(
            &site,
            Method::GET,
            &path(named),
            &[("authorization", token)],
            "",
        )
        .await
    };
    assert_eq!(get(&short).await.status, 200);
    site.clock.advance(Duration::from_secs(61));
    assert_eq!(
        refusal(&get(&short).await),
        (401, "ExpiredToken".to_owned())
    );
    assert_eq!(get(&long).await.status, 200);
    site.clock.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(refusal(&get(&long).await).0, 401);
    let fresh = token(&site, "alice", "").await;
    assert_eq!(get(&fresh).await.status, 200);
    site.metadata.edit(|state| state.users().remove("alicekey"));
    site.clock.advance(Duration::from_secs(2));
    assert_eq!(
        refusal(&get(&fresh).await),
        (401, "InvalidToken".to_owned())
    );
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let site = Site::new(1, 0);
    let good = token(&site, "alice", "").await;
    let chunk = path(hash(b"x"));
    let changed = format!("{}AAAA", &good[..good.len() - 4]);
    for wrong in [
        "Bearer",
        "Bearer ",
        "Bearer x",
        &changed,
        "bearer alicekey:alicesecret",
    ] {
        let got = plain(&site, Method::GET, &chunk, &[("authorization", wrong)], "").await;
        assert!(
            matches!(got.status.as_u16(), 400 | 401 | 403),
            "{wrong}: {}",
            got.status
        );
        assert_ne!(got.status, 404, "{wrong}");
    }
    let got = plain(
        &site,
        Method::GET,
        &format!("{chunk}?a=b"),
        &[("authorization", &good)],
        "",
    )
    .await;
    assert_eq!(refusal(&got).0, 501);
    let hashed = [
        ("authorization", good.as_str()),
        ("x-amz-content-sha256", "e3b0"),
    ];
    let got = plain(&site, Method::PUT, &chunk, &hashed, "x").await;
    assert_eq!(refusal(&got).0, 400);
    for document in [r#"{"expires_in":0}"#, r#"{"expires_in":604801}"#, "[]"] {
        let got = site.call(Method::POST, "/cas/token", document).await;
        assert_eq!(refusal(&got).0, 400, "{document}");
    }
}

#[tokio::test]
async fn a_presigned_url_begets_no_token() {
    let site = Site::new(1, 0);
    let got = plain(&site, Method::POST, "/cas/token?X-Amz-Signature=x", &[], "").await;
    assert!(got.status.is_client_error());
}

#[tokio::test]
async fn the_body_must_be_the_signed_one() {
    let site = Site::new(1, 0).with_bucket().await;
    for target in ["/cas/missing", "/cas/objects/bucket/k", "/cas/token"] {
        let signed = site.signer("alice").sign(&Method::POST, target, &[], b"{}");
        let got = site.send(signed, r#"{"chunks":[]}"#.into()).await;
        assert_eq!(
            refusal(&got),
            (400, "XAmzContentSHA256Mismatch".to_owned()),
            "{target}"
        );
    }
    let chunk = path(hash(b"x"));
    let signed = site.signer("alice").sign(&Method::GET, &chunk, &[], b"");
    let got = site.send(signed, "a body".into()).await;
    assert_eq!(refusal(&got), (400, "UnexpectedContent".to_owned()));
}

#[tokio::test]
async fn the_world_is_closed() {
    let site = Site::new(1, 0).with_bucket().await;
    let (named, _) = put(&site, b"x").await;
    for header in [
        "x-amz-acl",
        "x-amz-meta-a",
        "x-amz-tagging",
        "x-amz-checksum-crc32",
        "content-md5",
    ] {
        let got = site
            .call_with(Method::PUT, &path(named), &[(header, "private")], "x")
            .await;
        assert_eq!(
            refusal(&got),
            (501, "NotImplemented".to_owned()),
            "{header}"
        );
        assert_eq!(body(&got)["error"]["details"]["header"], header);
    }
    let got = site
        .call(Method::GET, &format!("{}?versionId=null", path(named)), "")
        .await;
    assert_eq!(refusal(&got).0, 501);
    let chunked = [("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")];
    let got = site
        .call_with(Method::PUT, &path(named), &chunked, "x")
        .await;
    assert_eq!(refusal(&got).0, 400);
    for (method, target, allowed) in [
        (Method::DELETE, path(named), "GET, HEAD, PUT"),
        (Method::POST, path(named), "GET, HEAD, PUT"),
        (Method::GET, "/cas/missing".to_owned(), "POST"),
        (Method::PUT, "/cas/objects/bucket/k".to_owned(), "POST"),
        (Method::GET, "/cas/token".to_owned(), "POST"),
    ] {
        let got = site.call(method.clone(), &target, "").await;
        assert_eq!(
            refusal(&got),
            (405, "MethodNotAllowed".to_owned()),
            "{method} {target}"
        );
        assert_eq!(got.header("allow"), allowed);
    }
    let got = site.call(Method::GET, "/cas/manifests", "").await;
    assert_eq!(refusal(&got), (404, "NotFound".to_owned()));
    assert_eq!(got.status, StatusCode::NOT_FOUND);
    assert!(!got.header("x-amz-request-id").is_empty());
}

/// curl 7.88 signs an upload with the hash of nothing and a `--data` body with its own, and says
/// neither; the path says what the body must be.
#[tokio::test]
async fn a_chunk_needs_no_announced_hash() {
    let site = Site::new(1, 0);
    let bytes = Bytes::from_static(b"from curl");
    let target = path(hash(&bytes));
    for signed in [b"".as_slice(), &bytes] {
        let request = site
            .signer("alice")
            .sign_silently(&Method::PUT, &target, signed);
        let got = site.send(request, bytes.clone()).await;
        assert!(got.status.is_success(), "{}", got.text());
        let request = site
            .signer("alice")
            .sign_silently(&Method::PUT, &target, signed);
        let got = site.send(request, "another body".into()).await;
        assert_eq!(refusal(&got), (400, "BadDigest".to_owned()));
    }
    let request = site
        .signer("alice")
        .sign_silently(&Method::PUT, &target, b"other");
    let got = site.send(request, bytes).await;
    assert_eq!(refusal(&got), (403, "SignatureDoesNotMatch".to_owned()));
    let hint = body(&got)["error"]["details"]["hint"].clone();
    assert_eq!(
        hint,
        json!("curl: -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD'")
    );
    let document = br#"{"chunks":[]}"#;
    let request = site
        .signer("alice")
        .sign_silently(&Method::POST, "/cas/missing", document);
    let got = site.send(request, Bytes::from_static(document)).await;
    assert_eq!(refusal(&got), (400, "InvalidRequest".to_owned()));
    assert!(
        got.text()
            .contains("x-amz-content-sha256: UNSIGNED-PAYLOAD"),
        "says what to add"
    );
}
