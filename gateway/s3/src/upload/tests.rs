use proptest::prelude::*;

use super::*;
use crate::sigv4::{SecretKey, Secrets, Verifier};
use crate::testing::{NOW, REGION, head};

/// AWS's documented example account.
struct Example;

impl Secrets for Example {
    fn secret(&self, key: &str) -> Option<SecretKey> {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        (key == "AKIAIOSFODNN7EXAMPLE").then(|| SecretKey::new(secret))
    }
}

fn feed(upload: &mut Upload, bytes: &[u8]) -> Result<Vec<u8>, S3Error> {
    let mut out = Vec::new();
    for piece in bytes.chunks(1_000) {
        let mut frame = Bytes::copy_from_slice(piece);
        while let Some(run) = upload.next(&mut frame)? {
            out.extend_from_slice(&run);
        }
    }
    Ok(out)
}

fn put(
    headers: &[(&str, &str)],
    payload: &PayloadSigning,
    body: &[u8],
) -> Result<Verified, S3Error> {
    let mut upload = Upload::for_object(&head("PUT", "/b/k", headers), payload)?;
    feed(&mut upload, body)?;
    upload.finish()
}

fn refused(headers: &[(&str, &str)], payload: &PayloadSigning, body: &[u8]) -> Code {
    put(headers, payload, body).unwrap_err().code()
}

const HELLO_SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn exact(hash: &str) -> PayloadSigning {
    let mut bytes = [0; 32];
    hex::decode_to_slice(hash, &mut bytes).unwrap();
    PayloadSigning::Exact(bytes)
}

/// docs.aws.amazon.com, "Transferring Payload in Multiple Chunks": 66,560 times `a`.
#[test]
fn the_aws_example_of_signed_chunks_verifies() {
    let head = head(
        "PUT",
        "/examplebucket/chunkObject.txt",
        &[
            ("host", "s3.amazonaws.com"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("content-length", "66824"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                 SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;\
                 x-amz-decoded-content-length;x-amz-storage-class,\
                 Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
            ),
        ],
    );
    let auth = Verifier::new(REGION).verify(&head, &Example, NOW).unwrap();
    let body = format!(
        "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n\
         {}\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n\
         {}\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n",
        "a".repeat(65_536),
        "a".repeat(1_024)
    );
    assert_eq!(body.len(), 66_824);
    let mut upload = Upload::for_object(&head, auth.payload()).unwrap();
    assert_eq!(upload.decoded_len(), 66_560);
    assert_eq!(
        feed(&mut upload, body.as_bytes()).unwrap(),
        vec![b'a'; 66_560]
    );
    assert_eq!(upload.finish().unwrap().length(), 66_560);
}

/// docs.aws.amazon.com, "Signature calculations for trailing headers": the same with a trailer.
#[test]
fn the_aws_example_of_a_signed_trailer_verifies() {
    let head = head(
        "PUT",
        "/examplebucket/chunkObject.txt",
        &[
            ("host", "s3.amazonaws.com"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            (
                "x-amz-content-sha256",
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            ),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("x-amz-trailer", "x-amz-checksum-crc32c"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                 SignedHeaders=content-encoding;host;x-amz-content-sha256;x-amz-date;\
                 x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer,\
                 Signature=106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
            ),
        ],
    );
    let auth = Verifier::new(REGION).verify(&head, &Example, NOW).unwrap();
    let body = format!(
        "10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n\
         {}\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n\
         {}\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n\
         x-amz-checksum-crc32c:sOO8/Q==\r\n\
         x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\
         \r\n",
        "a".repeat(65_536),
        "a".repeat(1_024)
    );
    let mut upload = Upload::for_object(&head, auth.payload()).unwrap();
    feed(&mut upload, body.as_bytes()).unwrap();
    let verified = upload.finish().unwrap();
    assert_eq!(verified.checksum().to_base64(), "sOO8/Q==");
    assert_eq!(verified.declared(), Some(crate::digest::Algorithm::Crc32c));
}

#[test]
fn a_plain_body_is_verified_once() {
    let verified = put(&[("content-length", "5")], &exact(HELLO_SHA256), b"hello").unwrap();
    assert_eq!(verified.etag(), "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(hex::encode(verified.sha256().unwrap()), HELLO_SHA256);
    assert_eq!(verified.length(), 5);
    // Without a wish, CRC-64/NVME is stored and no SHA-256 is computed.
    let verified = put(
        &[("content-length", "5")],
        &PayloadSigning::Unsigned,
        b"hello",
    )
    .unwrap();
    assert_eq!(
        verified.checksum().algorithm(),
        crate::digest::Algorithm::Crc64Nvme
    );
    assert_eq!((verified.sha256(), verified.declared()), (None, None));
}

#[test]
fn one_flipped_byte_of_a_signed_body_is_refused() {
    let code = refused(&[("content-length", "5")], &exact(HELLO_SHA256), b"hellp");
    assert_eq!(code, Code::XAmzContentSHA256Mismatch);
}

#[test]
fn a_length_is_needed_and_must_hold() {
    let unsigned = PayloadSigning::Unsigned;
    assert_eq!(refused(&[], &unsigned, b""), Code::MissingContentLength);
    assert_eq!(
        refused(&[("transfer-encoding", "chunked")], &unsigned, b"x"),
        Code::MissingContentLength
    );
    let streaming = PayloadSigning::UnsignedTrailer;
    assert_eq!(
        refused(&[("content-length", "5")], &streaming, b"x"),
        Code::MissingContentLength
    );
    assert_eq!(
        refused(&[("content-length", "6")], &unsigned, b"hello"),
        Code::IncompleteBody
    );
    assert_eq!(
        refused(&[("content-length", "4")], &unsigned, b"hello"),
        Code::IncompleteBody
    );
    for length in ["", "-1", "+5", "5 5", "0x5", "99999999999999999999"] {
        let code = refused(&[("content-length", length)], &unsigned, b"hello");
        assert_eq!(code, Code::InvalidArgument, "{length}");
        let headers = [("x-amz-decoded-content-length", length)];
        assert_eq!(
            refused(&headers, &streaming, b""),
            Code::InvalidArgument,
            "{length}"
        );
    }
    let twice = [("content-length", "5"), ("content-length", "5")];
    assert_eq!(refused(&twice, &unsigned, b"hello"), Code::InvalidArgument);
}

#[test]
fn more_than_5_gib_is_refused_before_any_byte() {
    let over = (PUT_LEN_MAX + 1).to_string();
    let error = put(&[("content-length", &over)], &PayloadSigning::Unsigned, b"").unwrap_err();
    assert_eq!(error.code(), Code::EntityTooLarge);
    assert_eq!(error.field("ProposedSize"), Some(over.as_str()));
    let headers = [("x-amz-decoded-content-length", over.as_str())];
    assert_eq!(
        refused(&headers, &PayloadSigning::UnsignedTrailer, b""),
        Code::EntityTooLarge
    );
    let most = PUT_LEN_MAX.to_string();
    let head = head("PUT", "/b/k", &[("content-length", &most)]);
    assert!(Upload::for_object(&head, &PayloadSigning::Unsigned).is_ok());
}

#[test]
fn framing_that_was_not_announced_is_not_stored() {
    let headers = [
        ("content-length", "30"),
        ("x-amz-decoded-content-length", "5"),
    ];
    assert_eq!(
        refused(&headers, &PayloadSigning::Unsigned, b""),
        Code::InvalidRequest
    );
    let headers = [
        ("content-length", "5"),
        ("x-amz-decoded-content-length", "5"),
    ];
    assert!(put(&headers, &PayloadSigning::Unsigned, b"hello").is_ok());
}

#[test]
fn a_trailing_checksum_is_compared() {
    let body = |sum: &str| format!("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{sum}\r\n\r\n");
    let headers = [
        ("x-amz-decoded-content-length", "5"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
    ];
    let trailer = PayloadSigning::UnsignedTrailer;
    assert!(put(&headers, &trailer, body("NhCmhg==").as_bytes()).is_ok());
    for wrong in ["NhCmhQ==", "bad", ""] {
        assert_eq!(
            refused(&headers, &trailer, body(wrong).as_bytes()),
            Code::BadDigest,
            "{wrong}"
        );
    }
    let none = b"5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(
        refused(&headers, &trailer, none),
        Code::MalformedTrailerError
    );
    let unannounced = [("x-amz-decoded-content-length", "5")];
    let code = refused(&unannounced, &trailer, body("NhCmhg==").as_bytes());
    assert_eq!(code, Code::MalformedTrailerError);
    let other = body("NhCmhg==").replace("crc32:", "crc32c:");
    assert_eq!(
        refused(&headers, &trailer, other.as_bytes()),
        Code::MalformedTrailerError
    );
}

#[test]
fn documents_are_bounded_collected_and_checked() {
    let unsigned = PayloadSigning::Unsigned;
    let read = |op: Op, headers: &[(&str, &str)], payload: &PayloadSigning, body: &[u8]| {
        let mut document = Document::new(&head("POST", "/b", headers), op, payload)?;
        document.push(body)?;
        document.finish()
    };
    assert_eq!(
        read(Op::DeleteObjects, &[], &unsigned, b"<a/>").unwrap(),
        "<a/>"
    );
    assert!(read(Op::DeleteObjects, &[], &exact(HELLO_SHA256), b"hello").is_ok());
    let code = |op, headers: &[(&str, &str)], payload: &PayloadSigning, body: &[u8]| {
        read(op, headers, payload, body).unwrap_err().code()
    };
    assert_eq!(
        code(Op::DeleteObjects, &[], &exact(HELLO_SHA256), b"hellp"),
        Code::XAmzContentSHA256Mismatch
    );
    let short = [("content-length", "9")];
    assert_eq!(
        code(Op::DeleteObjects, &short, &unsigned, b"hello"),
        Code::IncompleteBody
    );
    let long = [("content-length", "2097153")];
    assert_eq!(
        code(Op::DeleteObjects, &long, &unsigned, b""),
        Code::MaxMessageLengthExceeded
    );
    let million = vec![b' '; (1 << 20) + 1];
    assert_eq!(
        code(Op::CreateBucket, &[], &unsigned, &million),
        Code::MaxMessageLengthExceeded
    );
    assert_eq!(
        code(Op::GetObject, &[], &unsigned, b"x"),
        Code::UnexpectedContent
    );
    let streaming = PayloadSigning::UnsignedTrailer;
    assert_eq!(
        code(Op::DeleteObjects, &[], &streaming, b""),
        Code::InvalidRequest
    );
    let md5 = [("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")];
    assert!(read(Op::DeleteObjects, &md5, &unsigned, b"hello").is_ok());
    assert_eq!(
        code(Op::DeleteObjects, &md5, &unsigned, b"hellp"),
        Code::BadDigest
    );
}

#[test]
fn the_checksum_of_a_complete_is_the_objects() {
    let headers = [(
        "x-amz-checksum-sha256",
        "Ok6Cs5b96ux6+MWQkJO7UBT5sKPBeXBLwvj/hK89smg=-1",
    )];
    let head = head("POST", "/b/k?uploadId=u", &headers);
    let unsigned = PayloadSigning::Unsigned;
    let mut document = Document::new(&head, Op::CompleteMultipartUpload, &unsigned).unwrap();
    document.push(b"<x/>").unwrap();
    assert!(!document.is_declared());
    assert_eq!(document.finish().unwrap(), "<x/>");
}

proptest! {
    #[test]
    fn any_frames_of_a_plain_body_come_back(
        body in proptest::collection::vec(any::<u8>(), 0..2_000), cut in 1_usize..500,
    ) {
        let length = body.len().to_string();
        let head = head("PUT", "/b/k", &[("content-length", &length)]);
        let mut upload = Upload::for_object(&head, &PayloadSigning::Unsigned).unwrap();
        let mut out = Vec::new();
        for piece in body.chunks(cut) {
            let mut frame = Bytes::copy_from_slice(piece);
            while let Some(run) = upload.next(&mut frame).unwrap() {
                out.extend_from_slice(&run);
            }
        }
        prop_assert_eq!(&out, &body);
        let verified = upload.finish().unwrap();
        prop_assert_eq!(verified.length(), body.len() as u64);
    }
}
