use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::{SigningParams, sign_chunk, sign_trailer};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::http::Headers;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::sigv4::Verifier;
use crate::testing::{AKID, NOW, OneKey, REGION, Request, SECRET};

const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// A verified request of this kind, and its signature.
fn request(kind: &str) -> (PayloadSigning, String) {
    let head = Request::new("PUT", "/bucket/key", "")
        .payload(kind)
        .authorized();
    let auth = Verifier::new(REGION).verify(&head, &OneKey, NOW).unwrap();
    let authorization = head.headers()["authorization"].to_str().unwrap();
    let (_, seed) = authorization.split_once("Signature=").unwrap();
    (auth.payload().clone(), seed.to_owned())
}

/// A body as the official signer frames it.
fn encode(kind: &str, seed: &str, chunks: &[&[u8]], trailer: Option<(&str, &str)>) -> Vec<u8> {
    let identity: Identity = Credentials::new(AKID, SECRET, None, None, "test").into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("s3")
        .time(UNIX_EPOCH + Duration::from_millis(NOW.millis()))
        .settings(())
        .build()
        .unwrap();
    let signed = kind != UNSIGNED_TRAILER;
    let mut previous = seed.to_owned();
    let mut wire = Vec::new();
    for chunk in chunks.iter().copied().chain([&b""[..]]) {
        wire.extend_from_slice(format!("{:x}", chunk.len()).as_bytes());
        if signed {
            let output = sign_chunk(&Bytes::copy_from_slice(chunk), &previous, &params).unwrap();
            previous = output.signature().to_owned();
            wire.extend_from_slice(format!(";chunk-signature={previous}").as_bytes());
        }
        wire.extend_from_slice(b"\r\n");
        wire.extend_from_slice(chunk);
        if !chunk.is_empty() {
            wire.extend_from_slice(b"\r\n");
        }
    }
    if let Some((name, value)) = trailer {
        wire.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
    }
    if kind == SIGNED_TRAILER {
        let mut headers = Headers::new();
        if let Some((name, value)) = trailer {
            headers.insert(name.to_owned(), value.to_owned());
        }
        let output = sign_trailer(&headers, &previous, &params).unwrap();
        let signature = output.signature();
        wire.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
    }
    wire.extend_from_slice(b"\r\n");
    wire
}

/// Decodes a body that arrives in frames cut at `cuts`.
fn decode(
    payload: &PayloadSigning,
    decoded_len: u64,
    wire: &[u8],
    cuts: &[usize],
) -> Result<(Vec<u8>, Trailers), S3Error> {
    let mut decoder = Decoder::new(payload, decoded_len).unwrap();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (wire.len() + 1)).collect();
    cuts.extend([0, wire.len()]);
    cuts.sort_unstable();
    let mut out = Vec::new();
    for pair in cuts.windows(2) {
        let mut frame = Bytes::copy_from_slice(&wire[pair[0]..pair[1]]);
        while let Some(run) = decoder.next(&mut frame)? {
            assert!(!run.is_empty());
            out.extend_from_slice(&run);
        }
        assert!(frame.is_empty());
    }
    Ok((out, decoder.finish()?))
}

fn code(kind: &str, decoded_len: u64, wire: &[u8]) -> Code {
    let (payload, _) = request(kind);
    decode(&payload, decoded_len, wire, &[]).unwrap_err().code()
}

const CRC: (&str, &str) = ("x-amz-checksum-crc32", "NhCmhg==");

#[test]
fn all_three_framings_decode() {
    for kind in [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER] {
        let (payload, seed) = request(kind);
        let trailer = payload.has_trailer().then_some(CRC);
        let wire = encode(kind, &seed, &[b"hel", b"lo"], trailer);
        let (body, trailers) = decode(&payload, 5, &wire, &[]).unwrap();
        assert_eq!(body, b"hello", "{kind}");
        assert_eq!(trailers.get(CRC.0), trailer.map(|(_, value)| value));
        let empty = encode(kind, &seed, &[], None);
        assert_eq!(decode(&payload, 0, &empty, &[]).unwrap().0, b"");
    }
}

#[test]
fn a_plain_body_has_no_decoder() {
    assert!(Decoder::new(&PayloadSigning::Unsigned, 5).is_none());
    assert!(Decoder::new(&PayloadSigning::Exact([0; 32]), 5).is_none());
}

#[test]
fn a_run_shares_the_memory_of_its_frame() {
    let (payload, _) = request(UNSIGNED_TRAILER);
    let mut decoder = Decoder::new(&payload, 1 << 20).unwrap();
    let mut wire = b"100000\r\n".to_vec();
    wire.extend(vec![7; 1 << 20]);
    let mut frame = Bytes::from(wire);
    let payload_at = frame[8..].as_ptr();
    let run = decoder.next(&mut frame).unwrap().unwrap();
    assert_eq!((run.as_ptr(), run.len()), (payload_at, 1 << 20));
}

#[test]
fn a_chunk_of_5_gib_is_counted_in_64_bits() {
    let (payload, _) = request(UNSIGNED_TRAILER);
    let mut decoder = Decoder::new(&payload, 5 << 30).unwrap();
    let mut frame = Bytes::from_static(b"140000000\r\nabc");
    assert_eq!(decoder.next(&mut frame).unwrap().unwrap(), "abc");
    let mut left = (5 << 30) - 3;
    let piece = Bytes::from(vec![0; 64 << 20]);
    while left > 0 {
        let mut frame = piece.slice(..piece.len().min(usize::try_from(left).unwrap()));
        left -= decoder.next(&mut frame).unwrap().unwrap().len() as u64;
    }
    let mut end = Bytes::from_static(b"\r\n0\r\n\r\n");
    assert_eq!(decoder.next(&mut end).unwrap(), None);
    assert!(decoder.finish().is_ok());
}

#[test]
fn a_chunk_beyond_the_announced_length_is_refused_at_its_size_line() {
    let (payload, _) = request(UNSIGNED_TRAILER);
    for (line, wanted) in [
        ("6\r\n", Code::IncompleteBody),
        ("140000001\r\n", Code::IncompleteBody),
        ("ffffffffffffffff\r\n", Code::IncompleteBody),
        ("10000000000000000\r\n", Code::InvalidRequest),
    ] {
        // Not at the end of the body: no byte of such a chunk is ever handed out.
        let mut decoder = Decoder::new(&payload, 5).unwrap();
        let error = decoder.next(&mut Bytes::from(line)).unwrap_err();
        assert_eq!(error.code(), wanted, "{line}");
    }
    // The second chunk counts what the first took.
    let mut decoder = Decoder::new(&payload, 5).unwrap();
    let mut frame = Bytes::from("3\r\nhel\r\n3\r\n");
    assert_eq!(decoder.next(&mut frame).unwrap().unwrap(), "hel");
    assert_eq!(
        decoder.next(&mut frame).unwrap_err().code(),
        Code::IncompleteBody
    );
}

#[test]
fn a_body_that_ends_early_is_incomplete() {
    let (payload, seed) = request(SIGNED);
    let wire = encode(SIGNED, &seed, &[b"hello"], None);
    for cut in 0..wire.len() {
        let error = decode(&payload, 5, &wire[..cut], &[]).unwrap_err();
        assert_eq!(error.code(), Code::IncompleteBody, "{cut}");
    }
    let short = encode(SIGNED, &seed, &[b"hell"], None);
    assert_eq!(
        decode(&payload, 5, &short, &[]).unwrap_err().code(),
        Code::IncompleteBody
    );
}

#[test]
fn broken_framing_is_refused() {
    for wire in [
        &b"5\nhello\r\n0\r\n\r\n"[..],
        b"5 \r\nhello",
        b"+5\r\nhello",
        b"\r\n",
        b"0x5\r\nhello",
        b"5;ext=1\r\nhello",
        b"5;chunk-signature=00\r\nhello",
        b"5\r\nhelloo\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\r\nmore",
        b"\xff\r\n",
    ] {
        let shown = String::from_utf8_lossy(wire);
        assert_eq!(
            code(UNSIGNED_TRAILER, 5, wire),
            Code::InvalidRequest,
            "{shown}"
        );
    }
    assert_eq!(
        code(SIGNED, 5, b"5\r\nhello\r\n0\r\n\r\n"),
        Code::InvalidRequest
    );
}

#[test]
fn lines_are_bounded() {
    let long = vec![b'0'; CHUNK_LINE_MAX + 1];
    assert_eq!(code(UNSIGNED_TRAILER, 5, &long), Code::InvalidRequest);
    let mut trailers = b"0\r\n".to_vec();
    for n in 0..8 {
        trailers.extend(format!("x-{n}:{}\r\n", "v".repeat(800)).into_bytes());
    }
    assert_eq!(
        code(UNSIGNED_TRAILER, 0, &trailers),
        Code::MalformedTrailerError
    );
}

#[test]
fn a_signed_chunk_must_carry_its_own_signature() {
    let (payload, seed) = request(SIGNED);
    let wire = encode(SIGNED, &seed, &[b"hello", b"world"], None);
    let text = String::from_utf8(wire).unwrap();
    let refused = |text: &str| {
        decode(&payload, 10, text.as_bytes(), &[])
            .unwrap_err()
            .code()
    };
    assert_eq!(
        refused(&text.replace("hello", "hallo")),
        Code::SignatureDoesNotMatch
    );
    // Two chunks of one length swapped: the chain breaks.
    let (first, rest) = text.split_at("5;chunk-signature=".len() + 64 + 2 + 5 + 2);
    let (second, end) = rest.split_at(first.len());
    assert_eq!(
        refused(&format!("{second}{first}{end}")),
        Code::SignatureDoesNotMatch
    );
    // The final chunk is signed too.
    let (body, last) = text.rsplit_once("\r\n0;chunk-signature=").unwrap();
    let forged = format!(
        "{body}\r\n0;chunk-signature={}{}",
        "0".repeat(64),
        &last[64..]
    );
    assert_eq!(refused(&forged), Code::SignatureDoesNotMatch);
    // A chunk left out with its signature: shorter, and the chain breaks.
    assert_eq!(
        refused(&format!("{second}{end}")),
        Code::SignatureDoesNotMatch
    );
}

#[test]
fn a_trailer_must_be_announced_and_signed_where_signed() {
    let (payload, seed) = request(SIGNED_TRAILER);
    let good = String::from_utf8(encode(SIGNED_TRAILER, &seed, &[b"hello"], Some(CRC))).unwrap();
    let refused = |text: &str| {
        decode(&payload, 5, text.as_bytes(), &[])
            .unwrap_err()
            .code()
    };
    assert_eq!(
        refused(&good.replace("NhCmhg", "NhCmhh")),
        Code::SignatureDoesNotMatch
    );
    let (before, _) = good.split_once("x-amz-trailer-signature").unwrap();
    assert_eq!(
        refused(&format!("{before}\r\n")),
        Code::MalformedTrailerError
    );
    let late = good.replace("\r\n\r\n", "\r\nx-amz-checksum-sha1:a\r\n\r\n");
    assert_eq!(refused(&late), Code::MalformedTrailerError);
    // No trailers in a body that announces none, no signature in one that signs none.
    let (payload, seed) = request(SIGNED);
    let plain = String::from_utf8(encode(SIGNED, &seed, &[b"hello"], Some(CRC))).unwrap();
    let error = decode(&payload, 5, plain.as_bytes(), &[]).unwrap_err();
    assert_eq!(error.code(), Code::MalformedTrailerError);
    for trailer in ["x-amz-trailer-signature:00", "nocolon", ":v", "a:1\r\nA:2"] {
        let wire = format!("0\r\n{trailer}\r\n\r\n");
        let code = code(UNSIGNED_TRAILER, 0, wire.as_bytes());
        assert_eq!(code, Code::MalformedTrailerError, "{trailer}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn any_chunks_in_any_frames_come_back(
        kind in 0_usize..3,
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..5),
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
    ) {
        let kind = [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER][kind];
        let (payload, seed) = request(kind);
        let trailer = payload.has_trailer().then_some(CRC);
        let whole = chunks.concat();
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let wire = encode(kind, &seed, &chunks, trailer);
        let (body, trailers) = decode(&payload, whole.len() as u64, &wire, &cuts).unwrap();
        prop_assert_eq!(body, whole);
        prop_assert_eq!(trailers.get(CRC.0), trailer.map(|(_, value)| value));
    }

    #[test]
    fn any_changed_byte_of_a_signed_body_is_refused(
        with_trailer: bool, body in proptest::collection::vec(any::<u8>(), 1..100),
        at: Index, change in 1_u8.., cuts in proptest::collection::vec(any::<usize>(), 0..4),
    ) {
        let kind = if with_trailer { SIGNED_TRAILER } else { SIGNED };
        let (payload, seed) = request(kind);
        let mut wire = encode(kind, &seed, &[&body], with_trailer.then_some(CRC));
        let at = at.index(wire.len());
        let before = wire[at];
        wire[at] ^= change;
        // Letter case of a size or of a trailer's name says nothing.
        prop_assume!(!before.eq_ignore_ascii_case(&wire[at]));
        let decoded = decode(&payload, body.len() as u64, &wire, &cuts);
        prop_assert!(decoded.is_err() || decoded.unwrap().0 == body && before == b' ');
    }

    #[test]
    fn random_input_never_panics(
        kind in 0_usize..3, wire in "[0-9a-f]{0,3}(;chunk-signature=)?[ -~\r\n]{0,60}",
        cuts in proptest::collection::vec(any::<usize>(), 0..4),
    ) {
        let kind = [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER][kind];
        let _ = decode(&request(kind).0, 7, wire.as_bytes(), &cuts);
    }
}
