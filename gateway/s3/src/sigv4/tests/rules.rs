//! The rules of the verifier, by name.

use super::*;
use crate::dates::Timestamp;
use crate::testing::{self, AKID};

const EMPTY: &str = EMPTY_SHA256;

fn get() -> Request {
    Request::new("GET", "/bucket/key", "")
}

fn later(seconds: u64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() + seconds * 1_000)
}

fn earlier(seconds: u64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() - seconds * 1_000)
}

#[test]
fn a_signed_head_is_accepted_in_both_places() {
    let auth = verify(&get().payload(EMPTY).authorized()).unwrap();
    assert_eq!(auth.access_key(), AKID);
    assert!(!auth.is_presigned());
    assert!(matches!(auth.payload(), PayloadSigning::Exact(hash) if hash[0] == 0xe3));
    let auth = verify(&get().presigned("60")).unwrap();
    assert!(auth.is_presigned());
    assert!(matches!(auth.payload(), PayloadSigning::Unsigned));
}

#[test]
fn anonymous_is_access_denied() {
    assert_eq!(refusal(&get().head()), Code::AccessDenied);
    assert_eq!(
        refusal(&get().unsigned("authorization", "").head()),
        Code::AccessDenied
    );
}

#[test]
fn header_and_query_together_are_refused() {
    let presigned = get().presigned_query("60");
    let both = presigned.unsigned("authorization", "AWS4-HMAC-SHA256 Credential=x");
    assert_eq!(refusal(&both.head()), Code::InvalidArgument);
    // One stray parameter is enough.
    let stray = Request::new("GET", "/bucket/key", "X-Amz-Expires=60").authorized();
    assert_eq!(refusal(&stray), Code::InvalidArgument);
    let lower_case = Request::new("GET", "/bucket/key", "x-amz-signature=60").authorized();
    assert_eq!(refusal(&lower_case), Code::InvalidArgument);
}

#[test]
fn version_2_is_refused_in_both_places() {
    let header = get().unsigned("authorization", "AWS AKIDEXAMPLE:c2lnbmF0dXJl");
    assert_eq!(refusal(&header.head()), Code::InvalidRequest);
    let query = Request::new("GET", "/b/k", "AWSAccessKeyId=a&Expires=1&Signature=b");
    assert_eq!(refusal(&query.head()), Code::InvalidRequest);
    let garbage = get().unsigned("authorization", "AWS HAHAHA");
    assert_eq!(refusal(&garbage.head()), Code::InvalidArgument);
}

#[test]
fn another_scheme_is_refused_without_repeating_it() {
    let error = verify(&get().unsigned("authorization", "Bearer s3cret").head()).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(!format!("{error:?}").contains("s3cret"));
}

#[test]
fn the_asymmetric_algorithm_is_not_implemented() {
    let header = get().unsigned("authorization", "AWS4-ECDSA-P256-SHA256 Credential=a");
    assert_eq!(refusal(&header.head()), Code::NotImplemented);
    let query = Request::new("GET", "/b/k", "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256");
    assert_eq!(refusal(&query.head()), Code::NotImplemented);
    let payload = get()
        .payload("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")
        .authorized();
    assert_eq!(refusal(&payload), Code::NotImplemented);
}

#[test]
fn an_unknown_key_is_named() {
    let mut request = get();
    request.access_key = "AKIDNOBODY".into();
    for head in [request.clone().authorized(), request.presigned("60")] {
        let error = verify(&head).unwrap_err();
        assert_eq!(error.code(), Code::InvalidAccessKeyId);
        assert_eq!(error.field("AWSAccessKeyId"), Some("AKIDNOBODY"));
    }
}

#[test]
fn a_wrong_signature_shows_what_was_computed() {
    let head = get().header("x-amz-meta-a", "1").authorized();
    let mut headers = head.headers().clone();
    headers.insert("x-amz-meta-a", "2".parse().unwrap());
    let uri = "/bucket/key".parse().unwrap();
    let error = verify(&Head::new(http::Method::GET, &uri, headers).unwrap()).unwrap_err();
    assert_eq!(error.code(), Code::SignatureDoesNotMatch);
    assert!(
        error
            .field("CanonicalRequest")
            .unwrap()
            .contains("\nx-amz-meta-a:2\n")
    );
    assert!(
        error
            .field("StringToSign")
            .unwrap()
            .starts_with("AWS4-HMAC-SHA256\n")
    );
    assert!(!format!("{error:?}").contains(testing::SECRET));
}

#[test]
fn every_amz_header_must_be_signed() {
    // The hole of s3s 0.14: an unsigned copy source or ACL is acted upon as the signer.
    for (name, value) in [
        ("x-amz-copy-source", "/secret-bucket/secret-key"),
        ("x-amz-acl", "public-read"),
        ("x-amz-meta-a", "1"),
        ("x-amz-invented", "1"),
        ("x-amz-decoded-content-length", "1"),
    ] {
        let put = || Request::new("PUT", "/bucket/key", "").unsigned(name, value);
        for head in [put().authorized(), put().presigned("60")] {
            let error = verify(&head).unwrap_err();
            assert_eq!(error.code(), Code::AccessDenied, "{name}");
            assert_eq!(error.field("HeadersNotSigned"), Some(name));
        }
    }
}

#[test]
fn the_payload_hash_header_is_bound_without_being_signed() {
    let body = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let signed_for_body = get().payload(body).unsigned("x-amz-content-sha256", body);
    assert!(verify(&signed_for_body.presigned_query("60").head()).is_ok());
    // Taking the header away, or changing it, changes the canonical request.
    let mut without = get().payload(body).presigned_query("60");
    assert_eq!(refusal(&without.head()), Code::SignatureDoesNotMatch);
    without = without.unsigned("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    assert_eq!(refusal(&without.head()), Code::SignatureDoesNotMatch);
}

#[test]
fn host_must_be_signed() {
    let mut request = get();
    request.headers.clear();
    let request = request.unsigned("host", "localhost:9000");
    let error = verify(&request.authorized()).unwrap_err();
    assert_eq!(error.code(), Code::AccessDenied);
    assert_eq!(error.field("HeadersNotSigned"), Some("host"));
}

#[test]
fn a_signed_header_must_be_there_and_named_once() {
    let tamper = |names: &str| {
        let head = get().header("x-amz-meta-a", "1").authorized();
        let mut headers = head.headers().clone();
        let text = headers["authorization"].to_str().unwrap().to_owned();
        let text = text.replace("host;", names);
        headers.insert("authorization", text.parse().unwrap());
        refusal(&Head::new(http::Method::GET, &"/bucket/key".parse().unwrap(), headers).unwrap())
    };
    assert_eq!(tamper("content-type;host;"), Code::SignatureDoesNotMatch);
    assert_eq!(tamper("host;host;"), Code::SignatureDoesNotMatch);
    assert_eq!(tamper("Host;host;"), Code::SignatureDoesNotMatch);
    assert_eq!(tamper(";host;"), Code::SignatureDoesNotMatch);
}

#[test]
fn an_absent_header_is_not_an_empty_one() {
    let request = Request::new("PUT", "/b/k", "")
        .header("content-type", "")
        .header("x-amz-date", "20130524T000000Z");
    let (names, signature) = request.sign("", EMPTY);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={AKID}/{},SignedHeaders={names},Signature={signature}",
        request.scope
    );
    let mut request = request.unsigned("authorization", &authorization);
    assert!(verify(&request.head()).is_ok());
    request.headers.retain(|(name, _)| name != "content-type");
    let error = verify(&request.head()).unwrap_err();
    assert_eq!(error.code(), Code::SignatureDoesNotMatch);
    assert!(error.message().contains("content-type"));
}

#[test]
fn hoisted_headers_count_as_signed_through_the_query_only() {
    let put = Request::new("PUT", "/bucket/key", "x-amz-acl=private").presigned("60");
    assert!(verify(&put).is_ok());
    assert_eq!(put.header("x-amz-acl").unwrap(), Some("private"));
    // Naming it as a signed header does not make a query parameter one.
    let mut named = Request::new("PUT", "/bucket/key", "x-amz-acl=private");
    named = named.header("x-amz-acl", "private").presigned_query("60");
    named.headers.retain(|(name, _)| name != "x-amz-acl");
    assert_eq!(refusal(&named.head()), Code::SignatureDoesNotMatch);
}

#[test]
fn a_hoisted_payload_announcement_is_read() {
    let query = "X-Amz-Content-Sha256=UNSIGNED-PAYLOAD";
    let put = Request::new("PUT", "/bucket/key", query).presigned("60");
    assert!(matches!(
        verify(&put).unwrap().payload(),
        PayloadSigning::Unsigned
    ));
}

#[test]
fn the_clock_may_be_15_minutes_off() {
    for at in [later(900), earlier(900)] {
        assert!(verify(&get().at(at).authorized()).is_ok());
    }
    for at in [later(901), earlier(901)] {
        let error = verify(&get().at(at).authorized()).unwrap_err();
        assert_eq!(error.code(), Code::RequestTimeTooSkewed);
        assert_eq!(error.field("MaxAllowedSkewMilliseconds"), Some("900000"));
        assert_eq!(error.field("RequestTime"), Some(at.to_basic().as_str()));
    }
}

#[test]
fn a_presigned_url_lives_as_long_as_it_says() {
    assert!(verify(&get().at(earlier(60)).presigned("60")).is_ok());
    assert!(verify(&get().at(earlier(604_000)).presigned("604800")).is_ok());
    let error = verify(&get().at(earlier(61)).presigned("60")).unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::AccessDenied, "Request has expired")
    );
    assert!(verify(&get().at(later(900)).presigned("60")).is_ok());
    let error = verify(&get().at(later(901)).presigned("60")).unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::AccessDenied, "Request is not yet valid")
    );
}

#[test]
fn a_presigned_url_lives_1_second_to_7_days() {
    assert!(verify(&get().presigned("1")).is_ok());
    assert!(verify(&get().presigned("604800")).is_ok());
    for expires in ["0", "-7", "604801", "609901", "99999999999"] {
        assert_eq!(
            refusal(&get().presigned(expires)),
            Code::AccessDenied,
            "{expires}"
        );
    }
    for expires in ["", "x", "1.5", "99999999999999999999"] {
        let code = refusal(&get().presigned(expires));
        assert_eq!(code, Code::AuthorizationQueryParametersError, "{expires}");
    }
}

#[test]
fn the_scope_names_our_region_service_and_day() {
    let with = |scope: &str| {
        let mut request = get();
        request.scope = scope.into();
        (
            verify(&request.clone().authorized()).unwrap_err(),
            verify(&request.presigned("60")),
        )
    };
    let (header, query) = with("20130524/eu-west-1/s3/aws4_request");
    let query = query.unwrap_err();
    assert_eq!(header.code(), Code::AuthorizationHeaderMalformed);
    assert_eq!(query.code(), Code::AuthorizationQueryParametersError);
    assert_eq!(header.field("Region"), Some(REGION));
    assert_eq!(query.field("Region"), Some(REGION));
    for scope in [
        "20130524/us-east-1/iam/aws4_request",
        "20130523/us-east-1/s3/aws4_request",
        "2013052/us-east-1/s3/aws4_request",
        "20130524/us-east-1/s3/aws3_request",
    ] {
        let (header, query) = with(scope);
        assert_eq!(header.code(), Code::AuthorizationHeaderMalformed, "{scope}");
        assert_eq!(
            query.unwrap_err().code(),
            Code::AuthorizationQueryParametersError,
            "{scope}"
        );
    }
}

#[test]
fn a_date_header_does_for_clients_without_amz_date() {
    let dated = |date: &str| {
        let request = get().header("date", date);
        let (names, signature) = request.sign("", EMPTY);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={AKID}/{},SignedHeaders={names},Signature={signature}",
            request.scope
        );
        let sent = request.unsigned("x-amz-content-sha256", EMPTY);
        sent.unsigned("authorization", &authorization).head()
    };
    assert!(verify(&dated("Fri, 24 May 2013 00:00:00 GMT")).is_ok());
    assert!(verify(&dated("20130524T000000Z")).is_ok());
    for date in ["", "Bad Date", "Tue, 07 Jul 1950 21:53:04 GMT"] {
        assert_eq!(refusal(&dated(date)), Code::AccessDenied, "{date}");
    }
    assert_eq!(
        refusal(&dated("Wed, 22 May 2013 00:00:00 GMT")),
        Code::AuthorizationHeaderMalformed
    );
}

#[test]
fn an_unsigned_date_header_is_of_no_use() {
    // The time is part of the string to sign, so a moved Date breaks the signature either way.
    let request = get().unsigned("date", "Fri, 24 May 2013 00:05:00 GMT");
    let (names, signature) = request.sign("", EMPTY);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={AKID}/{},SignedHeaders={names},Signature={signature}",
        request.scope
    );
    let head = request.unsigned("authorization", &authorization).head();
    assert_eq!(refusal(&head), Code::SignatureDoesNotMatch);
}

#[test]
fn the_header_has_three_fields_each_once() {
    let good = "Credential=AKIDEXAMPLE/20130524/us-east-1/s3/aws4_request";
    for rest in [
        "",
        "Credential",
        good,
        &format!("{good},SignedHeaders=host"),
        &format!("{good},{good},SignedHeaders=host,Signature=ab"),
        &format!("{good},SignedHeaders=host,SignedHeaders=x,Signature=ab"),
        &format!("{good},SignedHeaders=host,Signature=ab,Signature=cd"),
        &format!("{good},SignedHeaders=host,Signature=ab,Extra=1"),
        &format!("{good},SignedHeaders=,Signature=ab"),
        "Credential=AKID,SignedHeaders=host,Signature=ab",
        "Credential=/20130524/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=ab",
    ] {
        let text = format!("AWS4-HMAC-SHA256 {rest}");
        let head = get()
            .unsigned("authorization", &text)
            .unsigned("x-amz-date", "20130524T000000Z")
            .head();
        assert_eq!(refusal(&head), Code::AuthorizationHeaderMalformed, "{rest}");
    }
}

#[test]
fn two_authorization_headers_are_refused() {
    let head = get().authorized();
    let mut headers = head.headers().clone();
    let again = headers["authorization"].clone();
    headers.append("authorization", again);
    let head = Head::new(http::Method::GET, &"/bucket/key".parse().unwrap(), headers).unwrap();
    assert_eq!(refusal(&head), Code::InvalidArgument);
}

#[test]
fn every_query_parameter_is_needed() {
    let whole = get().presigned_query("60");
    for name in AUTH_PARAMETERS
        .iter()
        .filter(|name| **name != "X-Amz-Security-Token")
    {
        let mut cut = whole.clone();
        let kept = whole
            .query
            .split('&')
            .filter(|pair| !pair.starts_with(name));
        cut.query = kept.collect::<Vec<_>>().join("&");
        let code = refusal(&cut.head());
        assert_eq!(code, Code::AuthorizationQueryParametersError, "{name}");
    }
    let mut algorithm = whole.clone();
    algorithm.query = whole.query.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-MD5");
    assert_eq!(
        refusal(&algorithm.head()),
        Code::AuthorizationQueryParametersError
    );
    let mut date = whole.clone();
    date.query = whole
        .query
        .replace("20130524T000000Z", "2013-05-24T00:00:00Z");
    assert_eq!(
        refusal(&date.head()),
        Code::AuthorizationQueryParametersError
    );
}

#[test]
fn session_tokens_of_others_are_refused() {
    let header = get().header("x-amz-security-token", "t").authorized();
    assert_eq!(refusal(&header), Code::InvalidToken);
    let query = Request::new("GET", "/b/k", "X-Amz-Security-Token=t").presigned("60");
    assert_eq!(refusal(&query), Code::InvalidToken);
}

#[test]
fn the_payload_announcement_is_one_of_the_known() {
    let kind = |payload: &str| verify(&get().payload(payload).authorized());
    assert!(matches!(
        kind("UNSIGNED-PAYLOAD").unwrap().payload(),
        PayloadSigning::Unsigned
    ));
    let signed = kind("STREAMING-AWS4-HMAC-SHA256-PAYLOAD").unwrap();
    assert!(matches!(signed.payload(), PayloadSigning::SignedChunks(_)));
    let trailer = kind("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER").unwrap();
    assert!(trailer.payload().has_trailer() && trailer.payload().is_chunked());
    let unsigned = kind("STREAMING-UNSIGNED-PAYLOAD-TRAILER").unwrap();
    assert!(matches!(
        unsigned.payload(),
        PayloadSigning::UnsignedTrailer
    ));
    for payload in [
        "",
        "e3b0",
        "unsigned-payload",
        &EMPTY.to_uppercase(),
        "STREAMING-X",
    ] {
        let error = kind(payload).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{payload}");
    }
}

#[test]
fn a_presigned_body_cannot_be_streamed() {
    for payload in [
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    ] {
        let request = get()
            .payload(payload)
            .unsigned("x-amz-content-sha256", payload);
        assert_eq!(
            refusal(&request.presigned_query("60").head()),
            Code::InvalidRequest
        );
    }
}

#[test]
fn a_body_without_announcement_is_refused() {
    for (name, value) in [("content-length", "1"), ("transfer-encoding", "chunked")] {
        let request = Request::new("PUT", "/b/k", "").header("x-amz-date", "20130524T000000Z");
        let (names, signature) = request.sign("", EMPTY);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={AKID}/{},SignedHeaders={names},Signature={signature}",
            request.scope
        );
        let request = request.unsigned("authorization", &authorization);
        assert!(verify(&request.clone().unsigned("content-length", "0").head()).is_ok());
        assert_eq!(
            refusal(&request.unsigned(name, value).head()),
            Code::InvalidRequest
        );
    }
}

#[test]
fn the_path_may_be_signed_as_sent_or_normalised() {
    // Same bytes, three spellings; the signature was made over the last one.
    for path in ["/b/a(b)", "/b/a%28b%29", "/b/%61%28b)"] {
        let mut request = Request::new("GET", "/b/a%28b%29", "");
        request
            .headers
            .push(("x-amz-date".into(), request.date.clone()));
        let (names, signature) = request.sign("", EMPTY);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={AKID}/{},SignedHeaders={names},Signature={signature}",
            request.scope
        );
        request.path = path.into();
        assert!(
            verify(&request.unsigned("authorization", &authorization).head()).is_ok(),
            "{path}"
        );
    }
    assert!(verify(&Request::new("GET", "/b/a(b)", "").authorized()).is_ok());
    // A slash of the key that was signed as %2F stays one key.
    assert!(verify(&Request::new("GET", "/b/a%2Fb", "").authorized()).is_ok());
}

#[test]
fn http2_signs_its_authority() {
    let head = get().authorized();
    let mut headers = head.headers().clone();
    headers.remove("host");
    let uri: http::Uri = "http://localhost:9000/bucket/key".parse().unwrap();
    let head = Head::new(http::Method::GET, &uri, headers.clone()).unwrap();
    assert!(verify(&head).is_ok());
    let uri: http::Uri = "http://other:9000/bucket/key".parse().unwrap();
    let head = Head::new(http::Method::GET, &uri, headers).unwrap();
    assert_eq!(refusal(&head), Code::SignatureDoesNotMatch);
}

#[test]
fn repeated_and_padded_header_values_are_canonical() {
    let request = Request::new("PUT", "/b/k", "").header("x-amz-meta-a", "one two,three");
    let mut sent = request.clone();
    sent.headers
        .push(("x-amz-content-sha256".into(), "UNSIGNED-PAYLOAD".into()));
    sent.headers.push(("x-amz-date".into(), sent.date.clone()));
    let (names, signature) = sent.sign("", "UNSIGNED-PAYLOAD");
    sent.headers.retain(|(name, _)| name != "x-amz-meta-a");
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={AKID}/{},SignedHeaders={names},Signature={signature}",
        sent.scope
    );
    let sent = sent
        .unsigned("x-amz-meta-a", "  one \t two ")
        .unsigned("x-amz-meta-a", "three")
        .unsigned("authorization", &authorization);
    assert!(verify(&sent.head()).is_ok());
}

#[test]
fn a_claim_waits_for_its_secret() {
    let verifier = Verifier::new(REGION);
    let head = get().authorized();
    let claim = || verifier.claim(&head, NOW).unwrap();
    assert_eq!(claim().access_key(), AKID);
    assert!(
        claim()
            .verify(Some(&SecretKey::new(testing::SECRET)))
            .is_ok()
    );
    let code = |secret: Option<&SecretKey>| claim().verify(secret).unwrap_err().code();
    assert_eq!(code(None), Code::InvalidAccessKeyId);
    assert_eq!(
        code(Some(&SecretKey::new("wrong"))),
        Code::SignatureDoesNotMatch
    );
    // What needs no secret is refused before one is looked up.
    assert!(verifier.claim(&get().head(), NOW).is_err());
    assert!(
        verifier
            .claim(&get().at(later(901)).authorized(), NOW)
            .is_err()
    );
}

#[test]
fn only_keys_that_verified_are_cached() {
    let verifier = Verifier::new(REGION);
    let good = get().authorized();
    let mut forged = get().presigned_query("60");
    forged.path = "/bucket/other".into();
    assert!(verifier.verify(&forged.head(), &OneKey, NOW).is_err());
    assert_eq!(verifier.cached_keys(), 0);
    for _ in 0..2 {
        verifier.verify(&good, &OneKey, NOW).unwrap();
    }
    assert_eq!(verifier.cached_keys(), 1);
}

#[test]
fn the_aws_example_get_object_verifies() {
    // docs.aws.amazon.com, "Authenticating Requests: Using the Authorization Header".
    struct Example;
    impl Secrets for Example {
        fn secret(&self, key: &str) -> Option<SecretKey> {
            let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
            (key == "AKIAIOSFODNN7EXAMPLE").then(|| SecretKey::new(secret))
        }
    }
    let head = testing::head(
        "GET",
        "/test.txt",
        &[
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-content-sha256", EMPTY),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                 SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
                 Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
        ],
    );
    assert!(Verifier::new(REGION).verify(&head, &Example, NOW).is_ok());
    let presigned = testing::head(
        "GET",
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524\
         %2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400\
         &X-Amz-SignedHeaders=host\
         &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        &[("host", "examplebucket.s3.amazonaws.com")],
    );
    assert!(
        Verifier::new(REGION)
            .verify(&presigned, &Example, NOW)
            .is_ok()
    );
}
