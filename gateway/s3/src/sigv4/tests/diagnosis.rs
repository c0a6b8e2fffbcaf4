//! What the log says of signatures that do not fit.

use super::*;

/// The request as signed, received with something else; gives the note of the refusal.
fn note(signed: Head, method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let mut all = signed.headers().clone();
    for (name, value) in headers {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        all.insert(name, value.parse().unwrap());
    }
    let method = http::Method::from_bytes(method.as_bytes()).unwrap();
    let head = Head::new(method, &target.parse().unwrap(), all).unwrap();
    let refused = verify(&head).unwrap_err();
    let known = [
        Code::SignatureDoesNotMatch,
        Code::AuthorizationHeaderMalformed,
        Code::RequestTimeTooSkewed,
    ];
    assert!(known.contains(&refused.code()), "{refused}");
    let text = refused.note().unwrap().to_owned();
    let xml = refused.to_xml(&crate::error::Context {
        resource: "/",
        request_id: "1",
        host_id: None,
    });
    assert!(!std::str::from_utf8(&xml).unwrap().contains(&text));
    text
}

fn get(path: &str) -> Request {
    Request::new("GET", path, "")
}

#[test]
fn another_method_is_named() {
    let signed = get("/bucket/key").authorized();
    assert_eq!(
        note(signed, "HEAD", "/bucket/key", &[]),
        "method: signed for GET, sent as HEAD"
    );
    let presigned = Request::new("PUT", "/bucket/key", "").presigned_query("60");
    let target = format!("/bucket/key?{}", presigned.query);
    assert_eq!(
        note(presigned.head(), "GET", &target, &[]),
        "method: signed for PUT, sent as GET"
    );
}

#[test]
fn another_host_is_named() {
    for (sent, forwarded) in [
        ("localhost", "-"),
        ("10.0.0.7:9000", "localhost:9000"),
        ("cairn.internal", "localhost:9000"),
    ] {
        let mut request = get("/bucket/key");
        if sent == "localhost" {
            request.headers[0].1 = "localhost:443".into();
        }
        let expected = request.headers[0].1.clone();
        let headers = [("host", sent), ("x-forwarded-host", forwarded)];
        assert_eq!(
            note(request.authorized(), "GET", "/bucket/key", &headers),
            format!("host: signed for {expected:?}, sent to {sent:?}")
        );
    }
}

#[test]
fn another_path_is_named() {
    for (signed, sent) in [
        ("/bucket/key/", "/bucket/key"),
        ("/bucket/key", "/bucket/key/"),
        ("/bucket/a/b", "/bucket/a//b"),
        ("/bucket/a%2520b", "/bucket/a%20b"),
    ] {
        assert_eq!(
            note(get(signed).authorized(), "GET", sent, &[]),
            format!("path: signed as {signed:?}, sent as {sent:?}")
        );
    }
}

#[test]
fn another_payload_is_named() {
    let body = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    // A header that is no part of the signature, but of the canonical request's last line.
    let announced = get("/bucket/key").unsigned("x-amz-content-sha256", body);
    let signed_as_unsigned = announced.presigned_query("60");
    let target = format!("/bucket/key?{}", signed_as_unsigned.query);
    assert_eq!(
        note(signed_as_unsigned.head(), "GET", &target, &[]),
        "payload: signed as UNSIGNED-PAYLOAD"
    );
}

#[test]
fn another_region_is_named() {
    let mut request = get("/bucket/key");
    request.scope = "20130524/eu-west-1/s3/aws4_request".into();
    assert_eq!(
        note(request.authorized(), "GET", "/bucket/key", &[]),
        "region: signed for \"eu-west-1\", this is \"us-east-1\""
    );
}

#[test]
fn another_date_is_named() {
    let mut request = get("/bucket/key");
    request.scope = "20130523/us-east-1/s3/aws4_request".into();
    assert_eq!(
        note(request.authorized(), "GET", "/bucket/key", &[]),
        "date: signed for \"20130523\", sent at 20130524T000000Z"
    );
    let late = Timestamp::from_millis(NOW.millis() + 1_000_000);
    assert_eq!(
        note(
            get("/bucket/key").at(late).authorized(),
            "GET",
            "/bucket/key",
            &[]
        ),
        "date: the client's clock says 20130524T001640Z, ours 20130524T000000Z"
    );
}

#[test]
fn a_signature_over_date_beside_another_x_amz_date_is_named() {
    let mut request = get("/bucket/key").header("date", "20130524T000100Z");
    request.headers.push(("x-amz-date".into(), NOW.to_basic()));
    request
        .headers
        .push(("x-amz-content-sha256".into(), request.payload.clone()));
    let sent = request.date.clone();
    request.date = "20130524T000100Z".into();
    let (names, signature) = request.sign("", &request.payload);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={names}, Signature={signature}",
        request.access_key, request.scope
    );
    let signed = request.unsigned("authorization", &authorization).head();
    assert_eq!(
        note(signed, "GET", "/bucket/key", &[]),
        format!("date: signed for 20130524T000100Z, x-amz-date says {sent}")
    );
}

#[test]
fn a_wrong_secret_is_not_guessed_to_be_something_else() {
    let mut headers = get("/bucket/key").authorized().headers().clone();
    let text = headers["authorization"].to_str().unwrap();
    let (rest, signature) = text.rsplit_once('=').unwrap();
    let turned: String = signature.chars().rev().collect();
    let text = format!("{rest}={turned}");
    headers.insert("authorization", text.parse().unwrap());
    let head = Head::new(http::Method::GET, &"/bucket/key".parse().unwrap(), headers).unwrap();
    assert_eq!(
        verify(&head).unwrap_err().note(),
        Some("another secret key, or a part that was changed beyond guessing")
    );
}
