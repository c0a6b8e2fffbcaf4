//! Copies, and object attributes.

use super::super::copy_object::{CopyObject, CopyOutput};
use super::super::get_object_attributes::{
    GetObjectAttributes, GetObjectAttributesOutput, PartAttributes, PartsPage, Wanted,
};
use super::super::upload_part_copy::UploadPartCopy;
use super::*;
use crate::digest::{Checksum, ObjectChecksum};
use crate::error::S3Error;
use crate::head::Head;
use crate::target::{BucketName, ObjectKey};
use crate::testing::head;

const XMLNS: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

fn copy(headers: &[(&str, &str)]) -> Result<CopyObject, S3Error> {
    CopyObject::from_head(&head("PUT", "/bkt/k", headers))
}

const SOURCE: (&str, &str) = ("x-amz-copy-source", "/src/dir/k%20");

#[test]
fn a_copy_keeps_or_replaces_its_headers() {
    let kept = copy(&[SOURCE, ("x-amz-meta-a", "1")]).unwrap();
    assert_eq!((kept.source.key.as_str(), kept.headers), ("dir/k ", None));
    let replaced = copy(&[
        SOURCE,
        ("x-amz-meta-a", "1"),
        ("x-amz-metadata-directive", "REPLACE"),
    ]);
    assert_eq!(
        replaced.unwrap().headers.unwrap().metadata,
        [("a".to_owned(), "1".to_owned())]
    );
    for name in ["x-amz-metadata-directive", "x-amz-tagging-directive"] {
        let error = copy(&[SOURCE, (name, "copy")]).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{name}");
    }
    assert_eq!(copy(&[]).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn a_copy_reads_conditions_owner_and_checksum() {
    let input = copy(&[
        SOURCE,
        ("x-amz-copy-source-if-match", "\"e\""),
        ("if-none-match", "*"),
        ("x-amz-source-expected-bucket-owner", "id1"),
        ("x-amz-checksum-algorithm", "SHA256"),
    ])
    .unwrap();
    assert_ne!(
        input.source_conditions,
        crate::conditions::ReadConditions::default()
    );
    assert!(!input.conditions.is_empty());
    assert_eq!(input.source_owner.as_deref(), Some("id1"));
    assert_eq!(input.checksum, Some(Algorithm::Sha256));
    let unknown = copy(&[SOURCE, ("x-amz-checksum-algorithm", "CRC16")]);
    assert_eq!(unknown.unwrap_err().code(), Code::InvalidRequest);
}

#[test]
fn a_copy_onto_itself_must_change_something() {
    let check = |headers: &[(&str, &str)], key: &str| {
        let key = ObjectKey::parse(key.to_owned()).unwrap();
        copy(headers)
            .unwrap()
            .check_changes(&BucketName::parse("src").unwrap(), &key)
    };
    assert_eq!(
        check(&[SOURCE], "dir/k ").unwrap_err().code(),
        Code::InvalidRequest
    );
    assert!(check(&[SOURCE], "other").is_ok());
    assert!(check(&[SOURCE, ("x-amz-metadata-directive", "REPLACE")], "dir/k ").is_ok());
    assert!(check(&[("x-amz-copy-source", "/src/k?versionId=v")], "k").is_ok());
}

#[test]
fn a_copied_part_takes_its_whole_range_or_nothing() {
    let part = |range: &[(&str, &str)]| {
        let headers: Vec<_> = [SOURCE].into_iter().chain(range.iter().copied()).collect();
        UploadPartCopy::from_head(&head("PUT", "/bkt/k?partNumber=2&uploadId=u", &headers))
    };
    assert_eq!(part(&[]).unwrap().span(10).unwrap(), None);
    let ranged = part(&[("x-amz-copy-source-range", "bytes=2-9")]).unwrap();
    assert_eq!((ranged.part.part_number, ranged.range), (2, Some((2, 9))));
    assert_eq!(ranged.span(10).unwrap().unwrap().length(), 8);
    assert_eq!(ranged.span(9).unwrap_err().code(), Code::InvalidRange);
    let open = part(&[("x-amz-copy-source-range", "bytes=2-")]);
    assert_eq!(open.unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn copies_answer_with_a_document() {
    let output = CopyOutput {
        etag: "abc".into(),
        last_modified: AT,
        checksum: Some(ObjectChecksum::full(
            Checksum::from_base64(Algorithm::Crc32, "NhCmhg==").unwrap(),
        )),
        source_version_id: Some("s".into()),
        version_id: Some("v".into()),
    };
    let fields = "<LastModified>2009-10-12T17:50:30.123Z</LastModified><ETag>&quot;abc&quot;</ETag>\
                  <ChecksumCRC32>NhCmhg==</ChecksumCRC32>";
    let object = output.clone().into_object_response();
    assert_eq!(
        body(&object),
        format!(
            "<CopyObjectResult {XMLNS}>{fields}<ChecksumType>FULL_OBJECT</ChecksumType></CopyObjectResult>"
        )
    );
    assert_eq!(object.headers()["x-amz-copy-source-version-id"], "s");
    assert_eq!(object.headers()["x-amz-version-id"], "v");
    let part = output.into_part_response();
    assert_eq!(
        body(&part),
        format!("<CopyPartResult {XMLNS}>{fields}</CopyPartResult>")
    );
}

fn attributes(headers: &[(&str, &str)]) -> Result<GetObjectAttributes, S3Error> {
    GetObjectAttributes::from_head(&attributes_head(headers))
}

fn attributes_head(headers: &[(&str, &str)]) -> Head {
    head("GET", "/bkt/k?attributes", headers)
}

#[test]
fn attributes_are_asked_for_by_name() {
    let name = "x-amz-object-attributes";
    let input = attributes(&[
        (name, "ETag, ObjectSize"),
        (name, "Checksum"),
        ("x-amz-max-parts", "5000"),
        ("x-amz-part-number-marker", "3"),
    ])
    .unwrap();
    let wanted = Wanted {
        etag: true,
        checksum: true,
        size: true,
        ..Wanted::default()
    };
    assert_eq!(
        (input.wanted, input.max_parts, input.part_number_marker),
        (wanted, 1_000, 3)
    );
    assert_eq!(attributes(&[]).unwrap_err().code(), Code::InvalidRequest);
    for value in ["", "Etag", "ETag,", "Tags"] {
        let error = attributes(&[(name, value)]).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{value}");
    }
    let number = attributes(&[(name, "ETag"), ("x-amz-max-parts", "-1")]);
    assert_eq!(number.unwrap_err().code(), Code::InvalidArgument);
}

fn shown(names: &str) -> Response {
    let checksum = Checksum::from_base64(Algorithm::Crc32, "NhCmhg==").unwrap();
    GetObjectAttributesOutput {
        input: attributes(&[("x-amz-object-attributes", names)]).unwrap(),
        last_modified: AT,
        etag: "abc-2".into(),
        checksum: Some(ObjectChecksum {
            checksum: checksum.clone(),
            kind: ChecksumType::Composite,
            parts: 2,
        }),
        parts: Some(PartsPage {
            total: 2,
            parts: vec![PartAttributes {
                number: 1,
                size: 5,
                checksum: Some(checksum),
            }],
            is_truncated: true,
        }),
        storage_class: "STANDARD".into(),
        size: 11,
        version_id: None,
    }
    .into_response()
}

#[test]
fn only_the_attributes_asked_for_are_shown() {
    let all = shown("ETag,Checksum,ObjectParts,StorageClass,ObjectSize");
    assert_eq!(
        body(&all),
        format!(
            "<GetObjectAttributesResponse {XMLNS}><ETag>abc-2</ETag><Checksum>\
             <ChecksumCRC32>NhCmhg==-2</ChecksumCRC32><ChecksumType>COMPOSITE</ChecksumType></Checksum>\
             <ObjectParts><PartsCount>2</PartsCount><PartNumberMarker>0</PartNumberMarker>\
             <NextPartNumberMarker>1</NextPartNumberMarker><MaxParts>1000</MaxParts>\
             <IsTruncated>true</IsTruncated><Part><PartNumber>1</PartNumber><Size>5</Size>\
             <ChecksumCRC32>NhCmhg==</ChecksumCRC32></Part></ObjectParts>\
             <StorageClass>STANDARD</StorageClass><ObjectSize>11</ObjectSize>\
             </GetObjectAttributesResponse>"
        )
    );
    assert_eq!(
        all.headers()["last-modified"],
        "Mon, 12 Oct 2009 17:50:30 GMT"
    );
    assert_eq!(
        body(&shown("ObjectSize")),
        format!(
            "<GetObjectAttributesResponse {XMLNS}><ObjectSize>11</ObjectSize></GetObjectAttributesResponse>"
        )
    );
}
