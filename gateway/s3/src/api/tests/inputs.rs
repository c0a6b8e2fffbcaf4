use proptest::prelude::*;

use super::super::complete_multipart_upload::{CompleteMultipartUpload, parse_parts};
use super::super::create_bucket::CreateBucket;
use super::super::create_multipart_upload::CreateMultipartUpload;
use super::super::delete_object::DeleteObject;
use super::super::delete_objects::DeleteObjects;
use super::super::get_object::GetObject;
use super::super::list_buckets::ListBuckets;
use super::super::list_multipart_uploads::ListMultipartUploads;
use super::super::list_object_versions::ListObjectVersions;
use super::super::list_objects::ListObjects;
use super::super::list_objects_v2::ListObjectsV2;
use super::super::list_parts::ListParts;
use super::super::put_object::PutObject;
use super::super::upload_part::UploadPart;
use super::*;
use crate::conditions::EtagMatch;
use crate::error::S3Error;
use crate::head::Head;
use crate::op::Op;
use crate::range::ByteRange;
use crate::sigv4::PayloadSigning;
use crate::testing::head;
use crate::upload::Document;

fn get(target: &str) -> Head {
    head("GET", target, &[])
}

fn invalid<T: std::fmt::Debug>(result: Result<T, S3Error>, name: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{name}");
    assert_eq!(error.field("ArgumentName"), Some(name));
}

#[test]
fn list_objects_reads_everything() {
    let input = ListObjects::from_head(&get(
        "/bkt?prefix=a%2F&delimiter=%0A&marker=a%2F1&max-keys=7&encoding-type=url",
    ))
    .unwrap();
    assert_eq!(input.marker, "a/1");
    let request = input.request;
    assert_eq!(
        (request.prefix.as_str(), request.delimiter.as_deref()),
        ("a/", Some("\n"))
    );
    assert_eq!((request.max_keys, request.url_encoded), (7, true));
}

#[test]
fn list_parameters_have_defaults_and_bounds() {
    let request =
        |query: &str| ListObjects::from_head(&get(&format!("/bkt?{query}"))).map(|i| i.request);
    let plain = request("delimiter=&max-keys=").unwrap();
    assert_eq!(
        (plain.max_keys, plain.delimiter, plain.url_encoded),
        (1_000, None, false)
    );
    assert_eq!(request("max-keys=5000").unwrap().max_keys, 1_000);
    assert_eq!(request("max-keys=0").unwrap().max_keys, 0);
    invalid(request("max-keys=blah"), "max-keys");
    invalid(request("max-keys=-1"), "max-keys");
    invalid(request("encoding-type=base64"), "encoding-type");
}

#[test]
fn list_objects_v2_reads_everything() {
    let token = ContinuationToken::after("k1");
    let target = format!(
        "/bkt?list-type=2&continuation-token={}&start-after=k0&fetch-owner=true",
        token.to_text()
    );
    let input = ListObjectsV2::from_head(&get(&target)).unwrap();
    assert_eq!(input.continuation, Some(token));
    assert_eq!(input.start_after.as_deref(), Some("k0"));
    assert!(input.fetch_owner);
    let empty = ListObjectsV2::from_head(&get("/bkt?list-type=2&continuation-token=")).unwrap();
    assert_eq!(
        (empty.continuation, empty.continuation_text.as_deref()),
        (None, Some(""))
    );
    invalid(
        ListObjectsV2::from_head(&get("/bkt?fetch-owner=maybe")),
        "fetch-owner",
    );
    invalid(
        ListObjectsV2::from_head(&get("/bkt?continuation-token=x")),
        "continuation-token",
    );
}

#[test]
fn list_object_versions_needs_a_key_for_a_version() {
    let input =
        ListObjectVersions::from_head(&get("/bkt?versions&key-marker=k&version-id-marker=v"))
            .unwrap();
    assert_eq!(
        (
            input.key_marker.as_str(),
            input.version_id_marker.as_deref()
        ),
        ("k", Some("v"))
    );
    let orphan = ListObjectVersions::from_head(&get("/bkt?versions&version-id-marker=v"));
    invalid(orphan, "version-id-marker");
}

#[test]
fn list_buckets_reads_everything() {
    let input = ListBuckets::from_head(&get("/?max-buckets=1&prefix=a&bucket-region=r")).unwrap();
    assert_eq!((input.max_buckets, input.prefix.as_deref()), (1, Some("a")));
    assert_eq!(input.bucket_region.as_deref(), Some("r"));
    for number in ["0", "10001", "x"] {
        invalid(
            ListBuckets::from_head(&get(&format!("/?max-buckets={number}"))),
            "max-buckets",
        );
    }
}

#[test]
fn get_object_reads_everything() {
    let input = GetObject::from_head(&head(
        "GET",
        "/bkt/k?versionId=null&response-content-type=a",
        &[
            ("range", "bytes=1-2"),
            ("x-amz-checksum-mode", "enabled"),
            ("if-match", "\"e\""),
        ],
    ))
    .unwrap();
    assert_eq!(input.version_id.as_deref(), Some("null"));
    assert_eq!(input.range, Some(ByteRange::FromTo(1, 2)));
    assert!(input.checksum_mode);
    let part = GetObject::from_head(&get("/bkt/k?partNumber=3")).unwrap();
    assert_eq!((part.part_number, part.checksum_mode), (Some(3), false));
    for number in ["0", "10001", "x", ""] {
        invalid(
            GetObject::from_head(&get(&format!("/bkt/k?partNumber={number}"))),
            "partNumber",
        );
    }
    let both = head("GET", "/bkt/k?partNumber=1", &[("range", "bytes=0-1")]);
    assert_eq!(
        GetObject::from_head(&both).unwrap_err().code(),
        Code::InvalidRequest
    );
    invalid(GetObject::from_head(&get("/bkt/k?versionId=")), "versionId");
}

#[test]
fn writes_read_headers_and_conditions() {
    let put = head(
        "PUT",
        "/bkt/k",
        &[("x-amz-meta-a", "1"), ("if-none-match", "*")],
    );
    let input = PutObject::from_head(&put).unwrap();
    assert_eq!(input.conditions.if_none_match, Some(EtagMatch::Any));
    assert_eq!(input.headers.metadata, [("a".to_owned(), "1".to_owned())]);
    let delete = head("DELETE", "/bkt/k?versionId=v", &[("if-match", "\"e\"")]);
    let input = DeleteObject::from_head(&delete).unwrap();
    assert_eq!(input.version_id.as_deref(), Some("v"));
    assert!(!input.conditions.is_empty());
}

#[test]
fn parts_are_numbered_1_to_10000() {
    let input = UploadPart::from_head(&get("/bkt/k?partNumber=10000&uploadId=u")).unwrap();
    assert_eq!((input.part_number, input.upload_id.as_str()), (10_000, "u"));
    for number in ["0", "10001", "-1", "x", ""] {
        let head = get(&format!("/bkt/k?partNumber={number}&uploadId=u"));
        invalid(UploadPart::from_head(&head), "partNumber");
    }
    let empty = UploadPart::from_head(&get("/bkt/k?partNumber=1&uploadId=")).unwrap_err();
    assert_eq!(empty.code(), Code::NoSuchUpload);
}

#[test]
fn upload_listings_read_everything() {
    let parts = ListParts::from_head(&get(
        "/bkt/k?uploadId=u&part-number-marker=3&max-parts=9999",
    ));
    let parts = parts.unwrap();
    assert_eq!((parts.part_number_marker, parts.max_parts), (3, 1_000));
    let target = "/bkt?uploads&key-marker=k&upload-id-marker=u&max-uploads=2";
    let uploads = ListMultipartUploads::from_head(&get(target)).unwrap();
    assert_eq!(
        (uploads.key_marker.as_str(), uploads.request.max_keys),
        ("k", 2)
    );
    assert_eq!(uploads.upload_id_marker.as_deref(), Some("u"));
    let orphan = ListMultipartUploads::from_head(&get("/bkt?uploads&upload-id-marker=u")).unwrap();
    assert_eq!(orphan.upload_id_marker, None);
    invalid(
        ListMultipartUploads::from_head(&get("/bkt?uploads&max-uploads=x")),
        "max-uploads",
    );
    invalid(
        ListParts::from_head(&get("/bkt/k?uploadId=u&max-parts=x")),
        "max-parts",
    );
}

#[test]
fn create_multipart_upload_reads_its_checksum_rule() {
    let create = |headers: &[(&str, &str)]| {
        CreateMultipartUpload::from_head(&head("POST", "/bkt/k?uploads", headers))
    };
    let default = create(&[]).unwrap().checksum;
    assert!(!default.is_explicit());
    assert_eq!(default.algorithm(), Algorithm::Crc64Nvme);
    let chosen = create(&[
        ("x-amz-checksum-algorithm", "CRC32"),
        ("x-amz-checksum-type", "FULL_OBJECT"),
    ]);
    assert_eq!(chosen.unwrap().checksum.kind(), ChecksumType::FullObject);
    for (name, value, code) in [
        ("x-amz-checksum-algorithm", "XXHASH3", Code::NotImplemented),
        ("x-amz-checksum-algorithm", "CRC16", Code::InvalidRequest),
        ("x-amz-checksum-type", "FULL_OBJECT", Code::InvalidRequest),
        ("x-amz-checksum-type", "HALF_OBJECT", Code::InvalidRequest),
    ] {
        assert_eq!(
            create(&[(name, value)]).unwrap_err().code(),
            code,
            "{value}"
        );
    }
}

#[test]
fn create_bucket_reads_its_location() {
    let location =
        |body: &str| CreateBucket::from_document(body.as_bytes()).map(|input| input.location);
    let xmlns = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
    let text = format!(
        "<CreateBucketConfiguration {xmlns}><LocationConstraint>eu-west-1</LocationConstraint>\
         </CreateBucketConfiguration>"
    );
    assert_eq!(location(&text).unwrap().as_deref(), Some("eu-west-1"));
    assert_eq!(location("").unwrap(), None);
    assert_eq!(location("<CreateBucketConfiguration/>").unwrap(), None);
    for body in [
        "x",
        "<Other/>",
        "<CreateBucketConfiguration><Bucket/></CreateBucketConfiguration>",
    ] {
        assert_eq!(
            location(body).unwrap_err().code(),
            Code::MalformedXML,
            "{body}"
        );
    }
}

fn delete(body: &str) -> Result<DeleteObjects, S3Error> {
    DeleteObjects::parse(body.as_bytes())
}

#[test]
fn delete_objects_reads_keys_versions_and_conditions() {
    let input = delete(
        "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>a&#13; </Key></Object>\
         <Quiet>true</Quiet><Object><Key>b</Key><VersionId>v</VersionId><ETag>\"e\"</ETag></Object></Delete>",
    )
    .unwrap();
    assert!(input.quiet);
    assert_eq!(input.objects[0].key, "a\r ");
    assert_eq!(input.objects[1].version_id.as_deref(), Some("v"));
    assert_eq!(
        input.objects[1].conditions.etags.if_match,
        Some(EtagMatch::OneOf(vec!["e".into()]))
    );
    assert!(input.objects[0].conditions.is_empty());
    for time in ["Fri, 20 Nov 2026 16:22:25 GMT", "2026-11-20T16:22:25.000Z"] {
        let body = format!(
            "<Delete><Object><Key>k</Key><LastModifiedTime>{time}</LastModifiedTime>\
             <Size>5</Size></Object></Delete>"
        );
        let conditions = delete(&body).unwrap().objects[0].conditions.clone();
        assert_eq!(conditions.size, Some(5));
        assert_eq!(
            conditions.modified.unwrap().to_http_date(),
            "Fri, 20 Nov 2026 16:22:25 GMT"
        );
    }
}

#[test]
fn delete_objects_takes_1_to_1000_keys() {
    let many = |count: usize| {
        format!(
            "<Delete>{}</Delete>",
            "<Object><Key>k</Key></Object>".repeat(count)
        )
    };
    assert_eq!(delete(&many(1_000)).unwrap().objects.len(), 1_000);
    for body in [
        many(0),
        many(1_001),
        "<Delete><Object/></Delete>".into(),
        "<Delete><Object><Key></Key></Object></Delete>".into(),
        "<Delete><Object><Key>k</Key></Object><Quiet>maybe</Quiet></Delete>".into(),
        "<Deleted><Object><Key>k</Key></Object></Deleted>".into(),
    ] {
        assert_eq!(delete(&body).unwrap_err().code(), Code::MalformedXML);
    }
    for condition in [
        "<Size>five</Size>",
        "<Size></Size>",
        "<LastModifiedTime>noon</LastModifiedTime>",
    ] {
        let body = format!("<Delete><Object><Key>k</Key>{condition}</Object></Delete>");
        let refused = delete(&body).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{condition}");
    }
}

#[test]
fn an_impossible_key_is_an_error_of_its_own() {
    let long = "k".repeat(1_025);
    let input = delete(&format!(
        "<Delete><Object><Key>{long}</Key></Object></Delete>"
    ))
    .unwrap();
    let error = input.objects[0].checked.as_ref().unwrap_err();
    assert_eq!(error.code(), Code::KeyTooLongError);
}

#[test]
fn delete_objects_needs_a_digest() {
    let text = "<Delete><Object><Key>k</Key></Object></Delete>";
    let read = |headers: &[(&str, &str)]| {
        let head = head("POST", "/bkt?delete", headers);
        let mut document = Document::new(&head, Op::DeleteObjects, &PayloadSigning::Unsigned)?;
        document.push(text.as_bytes())?;
        DeleteObjects::from_document(document)
    };
    assert_eq!(read(&[]).unwrap_err().code(), Code::InvalidRequest);
    assert_eq!(
        read(&[("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")])
            .unwrap_err()
            .code(),
        Code::BadDigest
    );
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, text.as_bytes());
    let sum = crate::digest::Checksum::new(Algorithm::Crc64Nvme, &crc.to_be_bytes()).unwrap();
    assert!(read(&[("x-amz-checksum-crc64nvme", &sum.to_base64())]).is_ok());
}

fn part(number: &str, more: &str) -> String {
    format!("<Part><PartNumber>{number}</PartNumber><ETag>\"e{number}\"</ETag>{more}</Part>")
}

fn complete(parts: &[String]) -> Result<Vec<u32>, S3Error> {
    let text = format!(
        "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
        parts.concat()
    );
    parse_parts(text.as_bytes()).map(|parts| parts.iter().map(|part| part.number).collect())
}

#[test]
fn complete_reads_rising_parts() {
    let parts = [
        part("1", "<ChecksumCRC32>NhCmhg==</ChecksumCRC32>"),
        part("9999", ""),
    ];
    assert_eq!(complete(&parts).unwrap(), [1, 9_999]);
    let text = format!(
        "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
        parts.concat()
    );
    let read = parse_parts(text.as_bytes()).unwrap();
    assert_eq!(read[0].etag, "e1");
    assert_eq!(read[0].checksum.as_ref().unwrap().to_base64(), "NhCmhg==");
}

#[test]
fn complete_refuses_what_is_no_list_of_parts() {
    let code = |parts: &[String]| complete(parts).unwrap_err().code();
    assert_eq!(code(&[]), Code::MalformedXML);
    assert_eq!(
        code(&[part("2", ""), part("1", "")]),
        Code::InvalidPartOrder
    );
    assert_eq!(
        code(&[part("1", ""), part("2", ""), part("1", "")]),
        Code::InvalidPartOrder
    );
    assert_eq!(code(&[part("0", "")]), Code::InvalidArgument);
    assert_eq!(code(&[part("10001", "")]), Code::InvalidArgument);
    assert_eq!(code(&[part("x", "")]), Code::MalformedXML);
    assert_eq!(code(&[part("+1", "")]), Code::MalformedXML);
    assert_eq!(code(&[part("1", "<Size>5</Size>")]), Code::MalformedXML);
    assert_eq!(
        code(&[part("1", "<ChecksumCRC32>bad</ChecksumCRC32>")]),
        Code::InvalidPart
    );
    let two = "<ChecksumCRC32>NhCmhg==</ChecksumCRC32><ChecksumCRC32C>mnG7TA==</ChecksumCRC32C>";
    assert_eq!(code(&[part("1", two)]), Code::InvalidPart);
    assert_eq!(
        code(&["<Part><PartNumber>1</PartNumber></Part>".into()]),
        Code::MalformedXML
    );
}

#[test]
fn of_a_part_named_again_the_last_mention_counts() {
    let named = |number: u32, etag: &str| {
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
    };
    let parts = [named(1, "old"), named(1, "new"), named(2, "two")].concat();
    let text = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    let read = parse_parts(text.as_bytes()).unwrap();
    let read: Vec<(u32, &str)> = read.iter().map(|p| (p.number, p.etag.as_str())).collect();
    assert_eq!(read, [(1, "new"), (2, "two")]);
}

#[test]
fn complete_reads_its_head() {
    let read = |headers: &[(&str, &str)]| {
        CompleteMultipartUpload::from_head(&head("POST", "/bkt/k?uploadId=u", headers))
    };
    let input = read(&[
        ("x-amz-checksum-sha256", "abc=-1"),
        ("x-amz-checksum-type", "COMPOSITE"),
        ("x-amz-mp-object-size", "5"),
        ("if-none-match", "*"),
    ])
    .unwrap();
    assert_eq!(input.checksum, Some((Algorithm::Sha256, "abc=-1".into())));
    assert_eq!(
        (input.checksum_type, input.object_size),
        (Some(ChecksumType::Composite), Some(5))
    );
    assert!(!input.conditions.is_empty());
    invalid(
        read(&[("x-amz-mp-object-size", "-5")]),
        "x-amz-mp-object-size",
    );
    let two = [("x-amz-checksum-sha1", "a"), ("x-amz-checksum-crc32", "b")];
    assert_eq!(read(&two).unwrap_err().code(), Code::InvalidRequest);
}

proptest! {
    #[test]
    fn documents_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), text in "(</?(Delete|Object|Key|Part|ETag|PartNumber)>|[a-z0-9]){0,12}") {
        let _ = DeleteObjects::parse(&bytes);
        let _ = DeleteObjects::parse(format!("<Delete>{text}</Delete>").as_bytes());
        let _ = parse_parts(text.as_bytes());
        let _ = CreateBucket::from_document(&bytes);
    }

    #[test]
    fn heads_never_panic(query in "[a-z=&%0-9-]{0,40}") {
        let Ok(head) = crate::testing::try_head("GET", &format!("/bkt/k?{query}"), &[]) else {
            return Ok(());
        };
        let _ = ListObjects::from_head(&head);
        let _ = ListObjectsV2::from_head(&head);
        let _ = GetObject::from_head(&head);
        let _ = ListParts::from_head(&head);
    }
}
