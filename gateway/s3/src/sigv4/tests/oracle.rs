//! The official signer as oracle: what it signs is accepted, and no change of it is.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::identity::Identity;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;

use super::*;
use crate::testing::{self, AKID, SECRET};
use crate::uri;

/// A request as it goes over the wire.
#[derive(Clone, Debug)]
struct Wire {
    method: String,
    path: String,
    query: Vec<String>,
    headers: Vec<(String, String)>,
}

impl Wire {
    fn target(&self) -> String {
        match self.query.join("&") {
            query if query.is_empty() => self.path.clone(),
            query => format!("{}?{query}", self.path),
        }
    }

    fn head(&self) -> Option<Head> {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        testing::try_head(&self.method, &self.target(), &headers).ok()
    }

    fn header_mut(&mut self, name: &str) -> Option<&mut String> {
        self.headers
            .iter_mut()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }
}

fn settings(presigned: bool) -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    if presigned {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(600));
    } else {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    settings
}

/// Signs with the official signer, region and all.
fn official(wire: &Wire, body: SignableBody<'_>, presigned: bool) -> Wire {
    let identity: Identity = Credentials::new(AKID, SECRET, None, None, "test").into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("s3")
        .time(UNIX_EPOCH + Duration::from_millis(NOW.millis()))
        .settings(settings(presigned))
        .build()
        .unwrap()
        .into();
    let target = format!("http://localhost:9000{}", wire.target());
    let headers = wire
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let request = SignableRequest::new(&wire.method, target, headers, body).unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let mut signed = wire.clone();
    for (name, value) in instructions.headers() {
        signed.headers.push((name.to_owned(), value.to_owned()));
    }
    for (name, value) in instructions.params() {
        signed
            .query
            .push(format!("{}={}", uri::encode(name), uri::encode(value)));
    }
    signed
}

fn bodies() -> impl Strategy<Value = (u8, Vec<u8>)> {
    (0_u8..4, proptest::collection::vec(any::<u8>(), 0..40))
}

fn body(kind: u8, bytes: &[u8]) -> SignableBody<'_> {
    match kind {
        0 => SignableBody::Bytes(bytes),
        1 => SignableBody::UnsignedPayload,
        2 => SignableBody::StreamingUnsignedPayloadTrailer,
        _ => SignableBody::StreamingSignedPayloadTrailer,
    }
}

prop_compose! {
    fn wires()(
        method in select(vec!["GET", "PUT", "POST", "DELETE", "HEAD"]),
        key in "[^\0]{0,24}",
        encode_slashes: bool,
        pairs in proptest::collection::btree_map("[a-wyz!-/&&[^&=+%#]][ -~é🦀]{0,6}", "[ -~é]{0,8}", 0..4),
        metadata in proptest::collection::btree_map("[a-z]{1,6}", "[!-~]([ -~]{0,8}[!-~])?", 0..3),
    ) -> Wire {
        let key = if encode_slashes { uri::encode(&key) } else { uri::encode_path(&key) };
        let encoded = pairs.iter().map(|(n, v)| format!("{}={}", uri::encode(n), uri::encode(v)));
        let mut headers = vec![("host".to_owned(), "localhost:9000".to_owned())];
        headers.extend(metadata.into_iter().map(|(n, v)| (format!("x-amz-meta-{n}"), v)));
        Wire {
            method: method.to_owned(),
            path: format!("/bucket/{key}"),
            query: encoded.collect(),
            headers,
        }
    }
}

fn flip_hex(text: &mut String, at: Index) {
    let at = at.index(text.len());
    let flipped = if text.as_bytes()[at] == b'0' {
        "1"
    } else {
        "0"
    };
    text.replace_range(at..=at, flipped);
}

/// Changes what a header-signed request means. `None` where this change is none.
fn tamper(wire: &Wire, kind: u8, at: Index) -> Option<Wire> {
    let mut wire = wire.clone();
    let authorization = |wire: &mut Wire, from: &str, to: &str| {
        let value = wire.header_mut("authorization").unwrap();
        assert!(value.contains(from), "{value}");
        *value = value.replace(from, to);
    };
    match kind {
        0 => {
            wire.method = if wire.method == "GET" {
                "PUT".into()
            } else {
                "GET".into()
            }
        }
        1 => wire.path.push('x'),
        2 => wire.path = wire.path.replacen("/bucket/", "/bucket2/", 1),
        3 => wire.query.push("zz=1".into()),
        4 if !wire.query.is_empty() => {
            let at = at.index(wire.query.len());
            wire.query[at].push('x');
        }
        5 if !wire.query.is_empty() => drop(wire.query.remove(at.index(wire.query.len()))),
        6 => {
            let signed = wire.headers.len() - 1;
            wire.headers[at.index(signed)].1.push('x');
        }
        7 => drop(wire.headers.remove(at.index(wire.headers.len() - 1))),
        8 => wire
            .headers
            .push(("x-amz-acl".into(), "public-read".into())),
        9 => *wire.header_mut("x-amz-date").unwrap() = "20130524T000001Z".into(),
        10 => authorization(&mut wire, "/20130524/", "/20130525/"),
        11 => authorization(&mut wire, "/us-east-1/", "/us-east-2/"),
        12 => authorization(&mut wire, "/s3/", "/s4/"),
        13 => authorization(&mut wire, AKID, "AKIDEXAMPLF"),
        14 => authorization(&mut wire, "host;", ""),
        15 => {
            let value = wire.header_mut("authorization").unwrap();
            let (head, signature) = value.split_once("Signature=").unwrap();
            let mut signature = signature.to_owned();
            flip_hex(&mut signature, at);
            *value = format!("{head}Signature={signature}");
        }
        16 => *wire.header_mut("x-amz-content-sha256").unwrap() = "0".repeat(64),
        _ => return None,
    }
    Some(wire)
}

/// The same for a presigned one.
fn tamper_presigned(wire: &Wire, kind: u8, at: Index) -> Option<Wire> {
    let mut wire = wire.clone();
    let parameter = |wire: &mut Wire, name: &str, from: &str, to: &str| {
        let pair = wire
            .query
            .iter_mut()
            .find(|pair| pair.starts_with(name))
            .unwrap();
        *pair = pair.replace(from, to);
    };
    match kind {
        0..=5 => return tamper(&wire, kind, at),
        6 => {
            let at = at.index(wire.headers.len());
            wire.headers[at].1.push('x');
        }
        7 => drop(wire.headers.remove(at.index(wire.headers.len()))),
        8 => wire
            .headers
            .push(("x-amz-acl".into(), "public-read".into())),
        9 => parameter(&mut wire, "X-Amz-Date", "T000000Z", "T000001Z"),
        10 => parameter(&mut wire, "X-Amz-Credential", "20130524", "20130525"),
        11 => parameter(&mut wire, "X-Amz-Credential", "us-east-1", "us-east-2"),
        12 => parameter(&mut wire, "X-Amz-Expires", "600", "601"),
        13 => parameter(&mut wire, "X-Amz-SignedHeaders", "host", ""),
        14 => wire.query.push("x-amz-acl=public-read".into()),
        15 => {
            let pair = wire
                .query
                .iter_mut()
                .find(|pair| pair.starts_with("X-Amz-Signature"));
            let pair = pair.unwrap();
            let mut signature = pair.split_off("X-Amz-Signature=".len());
            flip_hex(&mut signature, at);
            pair.push_str(&signature);
        }
        _ => return None,
    }
    Some(wire)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn header_signed_heads_are_accepted_and_no_other(
        wire in wires(), (kind, bytes) in bodies(), changes: [(u8, Index); 4],
    ) {
        let signed = official(&wire, body(kind, &bytes), false);
        let Some(head) = signed.head() else { return Ok(()) };
        let auth = verify(&head);
        prop_assert!(auth.is_ok(), "{:?}\n{signed:?}", auth.unwrap_err());
        for (change, at) in changes {
            let Some(tampered) = tamper(&signed, change % 17, at) else { continue };
            if let Some(head) = tampered.head() {
                prop_assert!(verify(&head).is_err(), "change {} of\n{signed:?}", change % 17);
            }
        }
    }

    #[test]
    fn presigned_heads_are_accepted_and_no_other(
        wire in wires(), changes: [(u8, Index); 4],
    ) {
        let signed = official(&wire, SignableBody::UnsignedPayload, true);
        let Some(head) = signed.head() else { return Ok(()) };
        let auth = verify(&head);
        prop_assert!(auth.is_ok(), "{:?}\n{signed:?}", auth.unwrap_err());
        for (change, at) in changes {
            let Some(tampered) = tamper_presigned(&signed, change % 16, at) else { continue };
            if let Some(head) = tampered.head() {
                prop_assert!(verify(&head).is_err(), "change {} of\n{signed:?}", change % 16);
            }
        }
    }

    #[test]
    fn verifying_never_panics(
        method in "[A-Z]{1,8}",
        target in "/[!-~]{0,60}",
        headers in proptest::collection::vec(
            (select(vec!["authorization", "x-amz-date", "host", "x-amz-content-sha256", "date"]),
             "[ -~]{0,80}"), 0..6),
    ) {
        let Ok(_) = target.parse::<http::Uri>() else { return Ok(()) };
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        if let Ok(head) = testing::try_head(&method, &target, &headers) {
            prop_assert!(verify(&head).is_err());
        }
    }

    #[test]
    fn parsing_an_authorization_never_panics(rest in "[ -~]{0,120}") {
        let text = format!("AWS4-HMAC-SHA256 {rest}");
        let headers = [("host", "h"), ("authorization", text.as_str())];
        let head = testing::head("GET", "/", &headers);
        prop_assert!(verify(&head).is_err());
    }
}

#[test]
fn every_kind_of_change_is_refused() {
    let wire = Wire {
        method: "GET".into(),
        path: "/bucket/key".into(),
        query: vec!["prefix=a".into(), "marker=b".into()],
        headers: vec![("host".into(), "localhost:9000".into())],
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let at = any::<Index>().new_tree(&mut runner).unwrap().current();
    let signed = official(&wire, SignableBody::Bytes(b"x"), false);
    assert!(verify(&signed.head().unwrap()).is_ok());
    for kind in 0..17 {
        let tampered = tamper(&signed, kind, at).unwrap();
        assert!(verify(&tampered.head().unwrap()).is_err(), "{kind}");
    }
    let signed = official(&wire, SignableBody::UnsignedPayload, true);
    assert!(verify(&signed.head().unwrap()).is_ok());
    for kind in 0..16 {
        let tampered = tamper_presigned(&signed, kind, at).unwrap();
        let Some(head) = tampered.head() else {
            continue;
        };
        assert!(verify(&head).is_err(), "presigned {kind}");
    }
}
