use proptest::prelude::*;

use super::*;
use crate::head::Head;
use crate::sigv4::PayloadSigning;
use crate::testing::head;

fn expect(headers: &[(&str, &str)]) -> Result<Expect, S3Error> {
    Expect::from_head(&put(headers), &PayloadSigning::Unsigned)
}

fn put(headers: &[(&str, &str)]) -> Head {
    head("PUT", "/b/k", headers)
}

fn digest(expect: Expect, body: &[u8]) -> Result<Verified, S3Error> {
    let mut digests = Digests::new(expect);
    digests.update(body);
    digests.finish(&Trailers::default())
}

fn refusal(headers: &[(&str, &str)]) -> Code {
    match expect(headers) {
        Err(error) => error.code(),
        Ok(expect) => digest(expect, b"hello").unwrap_err().code(),
    }
}

/// Every algorithm's value for `hello`, from other implementations (botocore's, coreutils').
const HELLO: [(Algorithm, &str); 5] = [
    (Algorithm::Crc32, "NhCmhg=="),
    (Algorithm::Crc32c, "mnG7TA=="),
    (Algorithm::Crc64Nvme, "M3eFcAZSQlc="),
    (Algorithm::Sha1, "qvTGHdzF6KLavt4PO0gs2a6pQ00="),
    (
        Algorithm::Sha256,
        "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
    ),
];

/// Runs owed to the MD5 are digested whoever makes it; what was taken and not put back proves nothing.
#[test]
fn an_md5_that_was_not_put_back_is_no_proof() {
    let fill = || {
        let mut digests = Digests::new(expect(&[]).unwrap());
        digests.update_later(Bytes::from_static(b"hel"));
        digests.update_later(Bytes::from_static(b"lo"));
        digests
    };
    let hello = fill().finish(&Trailers::default()).unwrap();
    assert_eq!(hello, digest(expect(&[]).unwrap(), b"hello").unwrap());
    let mut given_back = fill();
    let mut owed = [std::mem::take(given_back.md5())];
    md5::advance(&mut owed, 0);
    let [owed] = owed;
    *given_back.md5() = owed;
    assert_eq!(given_back.finish(&Trailers::default()).unwrap(), hello);
    let mut taken = fill();
    drop(std::mem::take(taken.md5()));
    assert_eq!(
        taken.finish(&Trailers::default()).unwrap_err().code(),
        Code::InternalError
    );
}

#[test]
fn what_is_owed_is_bounded() {
    let mut digests = Digests::new(expect(&[]).unwrap());
    let run = Bytes::from(vec![7; OWED_MAX / 3]);
    for _ in 0..20 {
        digests.update_later(run.clone());
        assert!(digests.md5().len() <= OWED_MAX);
    }
    let whole = vec![7; OWED_MAX / 3 * 20];
    let verified = digests.finish(&Trailers::default()).unwrap();
    assert_eq!(verified.md5(), <[u8; 16]>::from(::md5::Md5::digest(&whole)));
}

#[test]
fn every_algorithm_is_computed_and_compared() {
    for (algorithm, value) in HELLO {
        let verified = digest(expect(&[(algorithm.header(), value)]).unwrap(), b"hello").unwrap();
        assert_eq!(verified.checksum().to_base64(), value, "{algorithm:?}");
        assert_eq!(verified.checksum().algorithm(), algorithm);
        assert_eq!(verified.declared(), Some(algorithm));
        let wrong = digest(expect(&[(algorithm.header(), value)]).unwrap(), b"hellp");
        assert_eq!(wrong.unwrap_err().code(), Code::BadDigest, "{algorithm:?}");
    }
}

#[test]
fn the_public_suites_vectors_hold() {
    let body = vec![b'A'; 1_024];
    for (name, value) in [
        ("x-amz-checksum-crc64nvme", "Qeh8oXvGiSo="),
        (
            "x-amz-checksum-sha256",
            "arcu6553sHVAiX4MjW0j7I7vD4w6R+Gz9Ok0Q9lTa+0=",
        ),
    ] {
        assert!(
            digest(expect(&[(name, value)]).unwrap(), &body).is_ok(),
            "{name}"
        );
        assert_eq!(refusal(&[(name, "bad")]), Code::BadDigest);
    }
}

#[test]
fn content_md5_is_compared_and_must_be_one() {
    let good = [("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")];
    assert!(digest(expect(&good).unwrap(), b"hello").is_ok());
    assert_eq!(
        refusal(&[("content-md5", "rL0Y20xC+Fzt72VPzMSk2A==")]),
        Code::BadDigest
    );
    for text in [
        "",
        "YWJyYWNhZGFicmE=",
        "AWS HAHAHA",
        "XUFAKrxLKna5cZ2REBfFkg",
    ] {
        assert_eq!(
            refusal(&[("content-md5", text)]),
            Code::InvalidDigest,
            "{text}"
        );
    }
}

#[test]
fn two_checksums_are_refused() {
    let two = [
        ("x-amz-checksum-crc32", "NhCmhg=="),
        ("x-amz-checksum-crc32c", "mnG7TA=="),
    ];
    assert_eq!(refusal(&two), Code::InvalidRequest);
    let both = [
        ("x-amz-checksum-crc32", "NhCmhg=="),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let error = Expect::from_head(&put(&both), &PayloadSigning::UnsignedTrailer).unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);
}

#[test]
fn the_promised_algorithm_must_be_the_given_one() {
    let with = |name: &str| {
        refusal(&[
            ("x-amz-sdk-checksum-algorithm", name),
            ("x-amz-checksum-crc32", "NhCmhg=="),
        ])
    };
    assert_eq!(with("SHA256"), Code::InvalidRequest);
    assert_eq!(with("XXHASH3"), Code::InvalidRequest);
    assert_eq!(
        refusal(&[("x-amz-sdk-checksum-algorithm", "CRC32")]),
        Code::InvalidRequest
    );
    let good = [
        ("x-amz-sdk-checksum-algorithm", "crc32"),
        ("x-amz-checksum-crc32", "NhCmhg=="),
    ];
    assert!(digest(expect(&good).unwrap(), b"hello").is_ok());
}

#[test]
fn a_trailer_is_announced_only_where_one_follows() {
    let trailer = [("x-amz-trailer", "x-amz-checksum-crc32")];
    assert_eq!(refusal(&trailer), Code::InvalidRequest);
    let streaming = PayloadSigning::UnsignedTrailer;
    assert!(
        Expect::from_head(&put(&trailer), &streaming)
            .unwrap()
            .is_declared()
    );
    for name in ["x-amz-meta-a", "x-amz-checksum-xxhash3", "content-md5", ""] {
        let error = Expect::from_head(&put(&[("x-amz-trailer", name)]), &streaming).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest, "{name}");
    }
}

#[test]
fn a_part_follows_the_uploads_algorithm() {
    let explicit = MultipartChecksum::new(Some(Algorithm::Sha256), None).unwrap();
    let default = MultipartChecksum::new(None, None).unwrap();
    let crc = || expect(&[("x-amz-checksum-crc32", "NhCmhg==")]).unwrap();
    let error = crc().for_part(explicit).unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);
    assert!(error.message().contains("expected checksum Type: sha256"));
    // Not chosen by the client: its own checksum is checked, the default is stored.
    let verified = digest(crc().for_part(default).unwrap(), b"hello").unwrap();
    assert_eq!(verified.checksum().to_base64(), "M3eFcAZSQlc=");
    assert_eq!(verified.declared(), Some(Algorithm::Crc32));
    assert!(digest(crc().for_part(default).unwrap(), b"hellp").is_err());
    let none = expect(&[]).unwrap().for_part(explicit).unwrap();
    assert_eq!(
        digest(none, b"hello").unwrap().checksum().algorithm(),
        Algorithm::Sha256
    );
}

#[test]
fn checksum_rules_are_those_of_aws() {
    use Algorithm::{Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
    use ChecksumType::{Composite, FullObject};
    for (algorithm, kind, wanted) in [
        (Crc32, None, Composite),
        (Crc32c, None, Composite),
        (Crc32, Some(FullObject), FullObject),
        (Crc64Nvme, None, FullObject),
        (Sha1, None, Composite),
        (Sha256, Some(Composite), Composite),
    ] {
        let rule = MultipartChecksum::new(Some(algorithm), kind).unwrap();
        assert_eq!((rule.kind(), rule.is_explicit()), (wanted, true));
    }
    for (algorithm, kind) in [
        (Some(Sha1), Some(FullObject)),
        (Some(Sha256), Some(FullObject)),
        (Some(Crc64Nvme), Some(Composite)),
        (None, Some(FullObject)),
    ] {
        let error = MultipartChecksum::new(algorithm, kind).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest, "{algorithm:?} {kind:?}");
    }
}

fn part(algorithm: Algorithm, body: &[u8]) -> (Checksum, u64) {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(body);
    (hasher.finish(), body.len() as u64)
}

#[test]
fn the_suites_multipart_vectors_hold() {
    // Three parts of 5 MiB of A, B and C: FULL_OBJECT CRC32.
    let bodies = [b'A', b'B', b'C'].map(|byte| vec![byte; 5 << 20]);
    let parts: Vec<_> = bodies
        .iter()
        .map(|body| part(Algorithm::Crc32, body))
        .collect();
    assert_eq!(parts[0].0.to_base64(), "JRTCyQ==");
    let rule =
        MultipartChecksum::new(Some(Algorithm::Crc32), Some(ChecksumType::FullObject)).unwrap();
    assert_eq!(rule.combine(&parts).unwrap().to_text(), "WgDhBQ==");
    // One part of 1 KiB: composite SHA-256.
    let rule = MultipartChecksum::new(Some(Algorithm::Sha256), None).unwrap();
    let whole = rule
        .combine(&[part(Algorithm::Sha256, &[b'A'; 1_024])])
        .unwrap();
    assert_eq!(
        whole.to_text(),
        "Ok6Cs5b96ux6+MWQkJO7UBT5sKPBeXBLwvj/hK89smg=-1"
    );
}

#[test]
fn parts_of_another_algorithm_do_not_combine() {
    let rule = MultipartChecksum::new(None, None).unwrap();
    let error = rule.combine(&[part(Algorithm::Crc32, b"x")]).unwrap_err();
    assert_eq!(error.code(), Code::InvalidPart);
    assert_eq!(rule.combine(&[]).unwrap_err().code(), Code::InvalidPart);
}

#[test]
fn a_multipart_etag_is_the_md5_of_md5s() {
    let md5 = |body: &[u8]| -> [u8; 16] { ::md5::Md5::digest(body).into() };
    assert_eq!(
        multipart_etag(&[md5(b"hello")]),
        format!("{}-1", hex::encode(md5(&md5(b"hello"))))
    );
    let two = [md5(b"a"), md5(b"b")];
    assert_eq!(
        multipart_etag(&two),
        format!("{}-2", hex::encode(md5(&two.concat())))
    );
}

#[test]
fn values_have_their_length_and_plain_base64() {
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        assert_eq!(
            Algorithm::from_header(&algorithm.header().to_uppercase()),
            Some(algorithm)
        );
        assert!(Checksum::new(algorithm, &vec![0; algorithm.length() + 1]).is_none());
        assert!(Checksum::new(algorithm, &vec![0; algorithm.length()]).is_some());
    }
    for text in ["", "NhCmhg", "NhCmhg= =", "NhCmhg==\n", "NhCmhh=="] {
        assert!(
            Checksum::from_base64(Algorithm::Crc32, text).is_none(),
            "{text:?}"
        );
    }
}

proptest! {
    #[test]
    fn combined_crcs_are_those_of_the_whole(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..6),
        which in 0_usize..3,
    ) {
        let algorithm = [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme][which];
        let rule = MultipartChecksum::new(Some(algorithm), Some(ChecksumType::FullObject)).unwrap();
        let sums: Vec<_> = parts.iter().map(|body| part(algorithm, body)).collect();
        let whole = rule.combine(&sums).unwrap();
        prop_assert_eq!(whole.checksum, part(algorithm, &parts.concat()).0);
    }

    #[test]
    fn digests_do_not_depend_on_the_cuts(
        body in proptest::collection::vec(any::<u8>(), 0..600), cut in 1_usize..100, which in 0_usize..5,
    ) {
        let algorithm = Algorithm::ALL[which];
        let (sum, _) = part(algorithm, &body);
        let text = sum.to_base64();
        prop_assert_eq!(Checksum::from_base64(algorithm, &text), Some(sum.clone()));
        let mut digests = Digests::new(expect(&[(algorithm.header(), &text)]).unwrap());
        body.chunks(cut).for_each(|piece| digests.update(piece));
        let verified = digests.finish(&Trailers::default()).unwrap();
        prop_assert_eq!(verified.checksum(), &sum);
        prop_assert_eq!(verified.md5(), <[u8; 16]>::from(::md5::Md5::digest(&body)));
    }
}

#[test]
fn bytes_nobody_said_anything_of_are_computed_all_the_same() {
    for (algorithm, value) in HELLO {
        let verified = digest(Expect::nothing(algorithm), b"hello").unwrap();
        assert_eq!(verified.checksum().to_base64(), value, "{algorithm:?}");
        assert_eq!(verified.declared(), None);
        assert_eq!(verified.etag(), "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(
            verified.sha256().is_some(),
            algorithm == Algorithm::Sha256,
            "{algorithm:?}"
        );
    }
}

#[test]
fn the_checksum_of_one_part_has_no_count_behind_it() {
    let checksum = Checksum::from_base64(Algorithm::Crc32, "NhCmhg==").unwrap();
    let shown = |parts| {
        let checksum = checksum.clone();
        let kind = ChecksumType::Composite;
        ObjectChecksum {
            checksum,
            kind,
            parts,
        }
        .to_text()
    };
    assert_eq!(
        (shown(2).as_str(), shown(0).as_str()),
        ("NhCmhg==-2", "NhCmhg==")
    );
}
