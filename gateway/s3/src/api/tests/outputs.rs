use proptest::prelude::*;

use super::super::abort_multipart_upload::AbortMultipartUploadOutput;
use super::super::complete_multipart_upload::CompleteMultipartUploadOutput;
use super::super::create_bucket::CreateBucketOutput;
use super::super::create_multipart_upload::CreateMultipartUploadOutput;
use super::super::delete_bucket::DeleteBucketOutput;
use super::super::delete_object::DeleteObjectOutput;
use super::super::delete_objects::{DeleteObjectsOutput, Deleted, Deletion};
use super::super::get_bucket_location::GetBucketLocationOutput;
use super::super::get_object::ObjectOutput;
use super::super::head_bucket::HeadBucketOutput;
use super::super::list_buckets::{BucketEntry, ListBucketsOutput};
use super::super::list_multipart_uploads::{
    ListMultipartUploads, ListMultipartUploadsOutput, UploadEntry,
};
use super::super::list_object_versions::{
    ListObjectVersions, ListObjectVersionsOutput, VersionEntry,
};
use super::super::list_objects::{ListObjects, ListObjectsOutput};
use super::super::list_objects_v2::{ListObjectsV2, ListObjectsV2Output};
use super::super::list_parts::{ListParts, ListPartsOutput, PartEntry};
use super::super::put_object::PutObjectOutput;
use super::super::upload_part::UploadPartOutput;
use super::*;
use crate::digest::{Checksum, MultipartChecksum, ObjectChecksum};
use crate::error::S3Error;
use crate::object_headers::{ObjectHeaders, Overrides};
use crate::range::Span;
use crate::testing::head;

const XMLNS: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
const CONTENTS: &str = "<LastModified>2009-10-12T17:50:30.123Z</LastModified>\
    <ETag>&quot;abc&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>\
    <ChecksumType>FULL_OBJECT</ChecksumType><Size>5</Size>";

fn crc(text: &str) -> Checksum {
    Checksum::from_base64(Algorithm::Crc32, text).unwrap()
}

#[test]
fn list_buckets() {
    let response = ListBucketsOutput {
        owner: owner(),
        buckets: vec![BucketEntry {
            name: "bkt".into(),
            created: AT,
            region: "us-east-1".into(),
        }],
        prefix: Some("b".into()),
        next: Some(ContinuationToken::after("bkt")),
    }
    .into_response();
    let token = ContinuationToken::after("bkt").to_text();
    assert_eq!(
        body(&response),
        format!(
            "<ListAllMyBucketsResult {XMLNS}><Owner><ID>id1</ID><DisplayName>A &amp; B</DisplayName></Owner>\
             <Buckets><Bucket><Name>bkt</Name><CreationDate>2009-10-12T17:50:30.123Z</CreationDate>\
             <BucketRegion>us-east-1</BucketRegion></Bucket></Buckets><Prefix>b</Prefix>\
             <ContinuationToken>{token}</ContinuationToken></ListAllMyBucketsResult>"
        )
    );
}

#[test]
fn bucket_answers() {
    let created = CreateBucketOutput {
        bucket: "bkt".into(),
    }
    .into_response();
    assert_eq!(
        (created.status().as_u16(), &created.headers()["location"]),
        (200, &"/bkt".parse().unwrap())
    );
    let head = HeadBucketOutput {
        region: "eu-1".into(),
    }
    .into_response();
    assert_eq!(head.headers()["x-amz-bucket-region"], "eu-1");
    assert_eq!(DeleteBucketOutput.into_response().status().as_u16(), 204);
    assert_eq!(
        AbortMultipartUploadOutput.into_response().status().as_u16(),
        204
    );
    let location = |name: &str| {
        let response = GetBucketLocationOutput {
            location: name.into(),
        }
        .into_response();
        body(&response).to_owned()
    };
    assert_eq!(
        location("eu-1"),
        format!("<LocationConstraint {XMLNS}>eu-1</LocationConstraint>")
    );
    assert_eq!(
        location("us-east-1"),
        format!("<LocationConstraint {XMLNS}></LocationConstraint>")
    );
}

fn objects(query: &str, next: Option<&str>) -> Response {
    ListObjectsOutput {
        bucket: "bkt".into(),
        input: ListObjects::from_head(&head("GET", &format!("/bkt?{query}"), &[])).unwrap(),
        contents: vec![Entry {
            owner: Some(owner()),
            ..entry("a +/é\r")
        }],
        common_prefixes: vec!["p +/".into()],
        next_marker: next.map(str::to_owned),
    }
    .into_response()
}

#[test]
fn list_objects() {
    let query = "prefix=a%20&delimiter=%2F&marker=m%2B&max-keys=2";
    let response = objects(query, Some("p +/"));
    assert_eq!(
        body(&response),
        format!(
            "<ListBucketResult {XMLNS}><Name>bkt</Name><Prefix>a </Prefix><Marker>m+</Marker>\
             <NextMarker>p +/</NextMarker><MaxKeys>2</MaxKeys><Delimiter>/</Delimiter>\
             <IsTruncated>true</IsTruncated><Contents><Key>a +/é&#xD;</Key>{CONTENTS}\
             <Owner><ID>id1</ID><DisplayName>A &amp; B</DisplayName></Owner>\
             <StorageClass>STANDARD</StorageClass></Contents>\
             <CommonPrefixes><Prefix>p +/</Prefix></CommonPrefixes></ListBucketResult>"
        )
    );
    assert_eq!(response.headers()["content-type"], "application/xml");
}

#[test]
fn a_url_encoded_listing_is_encoded_but_for_its_prefix() {
    let query = "prefix=a%20&delimiter=%25&marker=m%2B&encoding-type=url";
    let response = objects(query, Some("p +/"));
    let text = body(&response);
    for part in [
        "<Name>bkt</Name><Prefix>a </Prefix>",
        "<Marker>m%2B</Marker>",
        "<NextMarker>p%20%2B/</NextMarker>",
        "<Delimiter>%25</Delimiter>",
        "<EncodingType>url</EncodingType>",
        "<Key>a%20%2B/%C3%A9%0D</Key>",
        "<CommonPrefixes><Prefix>p%20%2B/</Prefix></CommonPrefixes>",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_prefix_that_xml_cannot_carry_is_encoded() {
    let shown = |prefix: &str| {
        let response = objects(&format!("prefix={prefix}&encoding-type=url"), None);
        let text = body(&response);
        let (_, after) = text.split_once("<Name>bkt</Name><Prefix>").unwrap();
        after.split_once("</Prefix>").unwrap().0.to_owned()
    };
    assert_eq!(shown("%0A%0D"), "\n&#xD;");
    assert_eq!(shown("a%01b"), "a%01b");
    assert_eq!(shown("%EF%BF%BF"), "%EF%BF%BF");
}

#[test]
fn a_next_marker_is_given_only_with_a_delimiter() {
    let response = objects("", Some("a"));
    assert!(body(&response).contains("<IsTruncated>true</IsTruncated>"));
    assert!(!body(&response).contains("NextMarker") && !body(&response).contains("Delimiter"));
    assert!(body(&objects("delimiter=%2F", None)).contains("<IsTruncated>false</IsTruncated>"));
}

#[test]
fn list_objects_v2() {
    let token = ContinuationToken::after("k");
    let query = format!(
        "/bkt?list-type=2&continuation-token={}&start-after=s%20&delimiter=%2F&encoding-type=url",
        token.to_text()
    );
    let response = ListObjectsV2Output {
        bucket: "bkt".into(),
        input: ListObjectsV2::from_head(&head("GET", &query, &[])).unwrap(),
        contents: vec![entry("a b")],
        common_prefixes: vec!["p/".into()],
        next: Some(ContinuationToken::after("p/")),
    }
    .into_response();
    let next = ContinuationToken::after("p/").to_text();
    assert_eq!(
        body(&response),
        format!(
            "<ListBucketResult {XMLNS}><Name>bkt</Name><Prefix></Prefix>\
             <ContinuationToken>{}</ContinuationToken>\
             <NextContinuationToken>{next}</NextContinuationToken><StartAfter>s%20</StartAfter>\
             <KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter>\
             <EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
             <Contents><Key>a%20b</Key>{CONTENTS}<StorageClass>STANDARD</StorageClass></Contents>\
             <CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>",
            token.to_text()
        )
    );
}

#[test]
fn an_empty_token_is_echoed() {
    let head = head("GET", "/bkt?list-type=2&continuation-token=", &[]);
    let input = ListObjectsV2::from_head(&head).unwrap();
    let response = ListObjectsV2Output {
        bucket: "bkt".into(),
        input,
        contents: vec![],
        common_prefixes: vec![],
        next: None,
    }
    .into_response();
    assert!(body(&response).contains("<ContinuationToken></ContinuationToken>"));
    assert!(!body(&response).contains("StartAfter"));
    assert!(body(&response).contains("<KeyCount>0</KeyCount>"));
}

#[test]
fn list_object_versions() {
    let version = VersionEntry::Version {
        entry: Entry {
            owner: Some(owner()),
            ..entry("k")
        },
        version_id: "v1".into(),
        is_latest: false,
    };
    let marker = VersionEntry::DeleteMarker {
        key: "k".into(),
        version_id: "v2".into(),
        is_latest: true,
        last_modified: AT,
        owner: Some(owner()),
    };
    let input = ListObjectVersions::from_head(&head("GET", "/bkt?versions", &[])).unwrap();
    let response = ListObjectVersionsOutput {
        bucket: "bkt".into(),
        input,
        versions: vec![marker, version],
        common_prefixes: vec![],
        next: Some(("k".into(), Some("v1".into()))),
    }
    .into_response();
    let owner = "<Owner><ID>id1</ID><DisplayName>A &amp; B</DisplayName></Owner>";
    assert_eq!(
        body(&response),
        format!(
            "<ListVersionsResult {XMLNS}><Name>bkt</Name><Prefix></Prefix><KeyMarker></KeyMarker>\
             <VersionIdMarker></VersionIdMarker><NextKeyMarker>k</NextKeyMarker>\
             <NextVersionIdMarker>v1</NextVersionIdMarker><MaxKeys>1000</MaxKeys>\
             <IsTruncated>true</IsTruncated><DeleteMarker><Key>k</Key><VersionId>v2</VersionId>\
             <IsLatest>true</IsLatest><LastModified>2009-10-12T17:50:30.123Z</LastModified>{owner}\
             </DeleteMarker><Version><Key>k</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest>\
             {CONTENTS}{owner}<StorageClass>STANDARD</StorageClass></Version></ListVersionsResult>"
        )
    );
}

fn object() -> ObjectOutput {
    ObjectOutput {
        headers: ObjectHeaders {
            metadata: vec![("a".into(), "1".into())],
            ..ObjectHeaders::default()
        },
        overrides: Overrides::default(),
        etag: "abc".into(),
        last_modified: AT,
        size: 11,
        span: None,
        checksum: None,
        parts_count: None,
        version_id: None,
    }
}

#[test]
fn a_whole_object() {
    let response = object().into_head();
    assert_eq!(response.status().as_u16(), 200);
    let headers = response.headers();
    for (name, value) in [
        ("etag", "\"abc\""),
        ("last-modified", "Mon, 12 Oct 2009 17:50:30 GMT"),
        ("content-length", "11"),
        ("accept-ranges", "bytes"),
        ("content-type", "binary/octet-stream"),
        ("x-amz-meta-a", "1"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    assert_eq!(headers.len(), 6);
}

#[test]
fn a_range_of_an_object() {
    let span = Span {
        first: 4,
        last: 10,
        total: 11,
    };
    let checksum = ObjectChecksum {
        checksum: crc("NhCmhg=="),
        kind: ChecksumType::Composite,
        parts: 3,
    };
    let output = ObjectOutput {
        span: Some(span),
        checksum: Some(checksum),
        parts_count: Some(3),
        version_id: Some("v".into()),
        ..object()
    };
    assert_eq!(output.content_length(), 7);
    let response = output.into_head();
    assert_eq!(response.status().as_u16(), 206);
    for (name, value) in [
        ("content-range", "bytes 4-10/11"),
        ("content-length", "7"),
        ("x-amz-checksum-crc32", "NhCmhg==-3"),
        ("x-amz-checksum-type", "COMPOSITE"),
        ("x-amz-mp-parts-count", "3"),
        ("x-amz-version-id", "v"),
    ] {
        assert_eq!(response.headers()[name], value, "{name}");
    }
}

#[test]
fn not_modified_has_validators_only() {
    let response = object().into_not_modified();
    assert_eq!(response.status().as_u16(), 304);
    assert_eq!(response.headers().len(), 2);
    assert_eq!(response.headers()["etag"], "\"abc\"");
}

#[test]
fn write_answers() {
    let checksum = Some(ObjectChecksum::full(crc("NhCmhg==")));
    let put = PutObjectOutput {
        etag: "abc".into(),
        checksum,
        version_id: Some("v".into()),
    };
    let put = put.into_response();
    assert_eq!((put.status().as_u16(), put.body().len()), (200, 0));
    for (name, value) in [
        ("etag", "\"abc\""),
        ("x-amz-checksum-crc32", "NhCmhg=="),
        ("x-amz-checksum-type", "FULL_OBJECT"),
        ("x-amz-version-id", "v"),
    ] {
        assert_eq!(put.headers()[name], value, "{name}");
    }
    let part = UploadPartOutput {
        etag: "abc".into(),
        checksum: Some(crc("NhCmhg==")),
    };
    assert_eq!(
        part.into_response().headers()["x-amz-checksum-crc32"],
        "NhCmhg=="
    );
    let deleted = DeleteObjectOutput {
        delete_marker: true,
        version_id: Some("v".into()),
    };
    let deleted = deleted.into_response();
    assert_eq!(deleted.status().as_u16(), 204);
    assert_eq!(deleted.headers()["x-amz-delete-marker"], "true");
    assert!(
        DeleteObjectOutput::default()
            .into_response()
            .headers()
            .is_empty()
    );
}

fn deletions(quiet: bool) -> Response {
    let marker = Deleted {
        delete_marker: true,
        delete_marker_version_id: Some("m".into()),
    };
    let result = |key: &str, outcome| Deletion {
        key: key.into(),
        version_id: None,
        outcome,
    };
    DeleteObjectsOutput {
        results: vec![
            result("a", Ok(Deleted::default())),
            Deletion {
                version_id: Some("v".into()),
                ..result("b", Ok(marker))
            },
            result("c\r", Err(S3Error::new(Code::AccessDenied))),
        ],
        quiet,
    }
    .into_response()
}

#[test]
fn delete_objects() {
    let error =
        "<Error><Key>c&#xD;</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    assert_eq!(
        body(&deletions(false)),
        format!(
            "<DeleteResult {XMLNS}><Deleted><Key>a</Key></Deleted><Deleted><Key>b</Key>\
             <VersionId>v</VersionId><DeleteMarker>true</DeleteMarker>\
             <DeleteMarkerVersionId>m</DeleteMarkerVersionId></Deleted>{error}</DeleteResult>"
        )
    );
    assert_eq!(
        body(&deletions(true)),
        format!("<DeleteResult {XMLNS}>{error}</DeleteResult>")
    );
}

#[test]
fn create_multipart_upload() {
    let create = |checksum| {
        let output = CreateMultipartUploadOutput {
            bucket: "bkt".into(),
            key: "k<".into(),
            upload_id: "u".into(),
            checksum,
        };
        output.into_response()
    };
    let default = create(MultipartChecksum::new(None, None).unwrap());
    assert_eq!(
        body(&default),
        format!(
            "<InitiateMultipartUploadResult {XMLNS}><Bucket>bkt</Bucket><Key>k&lt;</Key>\
             <UploadId>u</UploadId></InitiateMultipartUploadResult>"
        )
    );
    assert!(default.headers().get("x-amz-checksum-algorithm").is_none());
    let chosen = create(MultipartChecksum::new(Some(Algorithm::Sha1), None).unwrap());
    assert_eq!(chosen.headers()["x-amz-checksum-algorithm"], "SHA1");
    assert_eq!(chosen.headers()["x-amz-checksum-type"], "COMPOSITE");
}

#[test]
fn complete_multipart_upload() {
    let response = CompleteMultipartUploadOutput {
        location: "http://h/bkt/k".into(),
        bucket: "bkt".into(),
        key: "k".into(),
        etag: "abc-2".into(),
        checksum: Some(ObjectChecksum {
            checksum: crc("NhCmhg=="),
            kind: ChecksumType::Composite,
            parts: 2,
        }),
        version_id: None,
    }
    .into_response();
    assert_eq!(
        body(&response),
        format!(
            "<CompleteMultipartUploadResult {XMLNS}><Location>http://h/bkt/k</Location>\
             <Bucket>bkt</Bucket><Key>k</Key><ETag>&quot;abc-2&quot;</ETag>\
             <ChecksumCRC32>NhCmhg==-2</ChecksumCRC32><ChecksumType>COMPOSITE</ChecksumType>\
             </CompleteMultipartUploadResult>"
        )
    );
}

#[test]
fn list_parts() {
    let part = PartEntry {
        number: 7,
        last_modified: AT,
        etag: "abc".into(),
        size: 5,
        checksum: Some(crc("NhCmhg==")),
    };
    let head = head(
        "GET",
        "/bkt/k?uploadId=u&max-parts=1&part-number-marker=6",
        &[],
    );
    let response = ListPartsOutput {
        bucket: "bkt".into(),
        key: "k".into(),
        input: ListParts::from_head(&head).unwrap(),
        parts: vec![part],
        is_truncated: true,
        owner: owner(),
        storage_class: "STANDARD".into(),
        checksum: MultipartChecksum::new(Some(Algorithm::Crc32), None).unwrap(),
    }
    .into_response();
    let person = "<ID>id1</ID><DisplayName>A &amp; B</DisplayName>";
    assert_eq!(
        body(&response),
        format!(
            "<ListPartsResult {XMLNS}><Bucket>bkt</Bucket><Key>k</Key><UploadId>u</UploadId>\
             <Initiator>{person}</Initiator><Owner>{person}</Owner><StorageClass>STANDARD</StorageClass>\
             <PartNumberMarker>6</PartNumberMarker><NextPartNumberMarker>7</NextPartNumberMarker>\
             <MaxParts>1</MaxParts><IsTruncated>true</IsTruncated>\
             <ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType>\
             <Part><PartNumber>7</PartNumber><LastModified>2009-10-12T17:50:30.123Z</LastModified>\
             <ETag>&quot;abc&quot;</ETag><Size>5</Size><ChecksumCRC32>NhCmhg==</ChecksumCRC32></Part>\
             </ListPartsResult>"
        )
    );
}

#[test]
fn list_multipart_uploads() {
    let upload = UploadEntry {
        key: "k é".into(),
        upload_id: "u".into(),
        owner: owner(),
        storage_class: "STANDARD".into(),
        initiated: AT,
        checksum: MultipartChecksum::new(None, None).unwrap(),
    };
    let head = head(
        "GET",
        "/bkt?uploads&encoding-type=url&prefix=k&delimiter=%2F",
        &[],
    );
    let response = ListMultipartUploadsOutput {
        bucket: "bkt".into(),
        input: ListMultipartUploads::from_head(&head).unwrap(),
        uploads: vec![upload],
        common_prefixes: vec!["k/".into()],
        next: Some(("k é".into(), "u".into())),
    }
    .into_response();
    let person = "<ID>id1</ID><DisplayName>A &amp; B</DisplayName>";
    assert_eq!(
        body(&response),
        format!(
            "<ListMultipartUploadsResult {XMLNS}><Bucket>bkt</Bucket><KeyMarker></KeyMarker>\
             <UploadIdMarker></UploadIdMarker><NextKeyMarker>k%20%C3%A9</NextKeyMarker>\
             <NextUploadIdMarker>u</NextUploadIdMarker><Prefix>k</Prefix><Delimiter>/</Delimiter>\
             <EncodingType>url</EncodingType><MaxUploads>1000</MaxUploads><IsTruncated>true</IsTruncated>\
             <Upload><Key>k%20%C3%A9</Key><UploadId>u</UploadId><Initiator>{person}</Initiator>\
             <Owner>{person}</Owner><StorageClass>STANDARD</StorageClass>\
             <Initiated>2009-10-12T17:50:30.123Z</Initiated></Upload>\
             <CommonPrefixes><Prefix>k/</Prefix></CommonPrefixes></ListMultipartUploadsResult>"
        )
    );
}

proptest! {
    #[test]
    fn any_key_is_listed_as_it_is(key in "[^\0]{1,40}", encoded: bool) {
        #[derive(serde::Deserialize)]
        struct Listing {
            #[serde(rename = "Contents")]
            contents: Contents,
        }
        #[derive(serde::Deserialize)]
        struct Contents {
            #[serde(rename = "Key")]
            key: String,
        }
        let query = if encoded { "/bkt?list-type=2&encoding-type=url" } else { "/bkt?list-type=2" };
        let response = ListObjectsV2Output {
            bucket: "bkt".into(),
            input: ListObjectsV2::from_head(&head("GET", query, &[])).unwrap(),
            contents: vec![entry(&key)],
            common_prefixes: vec![],
            next: None,
        }
        .into_response();
        let listing: Listing = crate::xml::read::document(response.body(), "ListBucketResult").unwrap();
        let shown = listing.contents.key;
        let read = if encoded { crate::uri::decode(&shown, false).unwrap() } else { shown };
        prop_assert_eq!(read, key);
    }
}
