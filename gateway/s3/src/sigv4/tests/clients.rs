//! Requests captured on a loopback socket from curl 7.88, boto3 1.44, minio-py and s3cmd, signed
//! with the key of [`crate::testing`]. What they send must be accepted for years.

use bytes::Bytes;

use super::*;
use crate::op::Op;
use crate::target::{Hosts, Target};
use crate::testing;
use crate::upload::{Document, Upload};

struct Captured {
    head: Head,
    body: Bytes,
    at: Timestamp,
}

/// Heads were saved with plain line ends; a chunked body gets its own back.
fn read(text: &str) -> Captured {
    let (head, body) = text.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let request: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let headers: Vec<(&str, &str)> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(n, v)| (n, v.trim()))
        .collect();
    let head = testing::head(request[0], request[1], &headers);
    let date = head
        .query()
        .get("X-Amz-Date")
        .or(head.header("x-amz-date").unwrap());
    let at = Timestamp::from_basic(date.unwrap()).unwrap();
    let chunked = head.headers().contains_key("x-amz-trailer");
    let body = if chunked {
        body.replace('\n', "\r\n")
    } else {
        body.to_owned()
    };
    Captured {
        head,
        body: Bytes::from(body),
        at,
    }
}

/// The whole way: signature, operation, headers, body.
fn serve(text: &str) -> Result<Op, S3Error> {
    let Captured { head, mut body, at } = read(text);
    let auth = Verifier::new(REGION).verify(&head, &OneKey, at)?;
    let target = Target::parse(head.host(), head.path(), &Hosts::default())?;
    let op = Op::resolve(head.method(), &target, head.query(), head.headers())?;
    crate::headers::check(&head)?;
    if op.takes_object() {
        let mut upload = Upload::for_object(&head, auth.payload())?;
        while upload.next(&mut body)?.is_some() {}
        upload.finish()?;
    } else {
        let mut document = Document::new(&head, op, auth.payload())?;
        document.push(&body)?;
        document.finish()?;
    }
    Ok(op)
}

macro_rules! captured {
    ($($test:ident $file:literal $op:ident;)*) => {
        $(#[test]
        fn $test() {
            assert_eq!(serve(include_str!(concat!("clients/", $file, ".txt"))).unwrap(), Op::$op);
        })*
    };
}

captured! {
    curl_list_buckets "curl-00" ListBuckets;
    curl_get_with_raw_path "curl-01" GetObject;
    curl_list_with_raw_query "curl-02" ListObjectsV2;
    curl_put_unsigned_payload "curl-04" PutObject;
    curl_delete_null_version "curl-06" DeleteObject;
    curl_head "curl-07" HeadObject;
    curl_put_with_metadata "curl-09" PutObject;
    curl_get_acl "curl-10" GetBucketAcl;
    boto3_list_buckets "boto3-00" ListBuckets;
    boto3_put_odd_key "boto3-01" PutObject;
    boto3_list_v2 "boto3-03" ListObjectsV2;
    boto3_delete_objects "boto3-04" DeleteObjects;
    boto3_get_range "boto3-05" GetObject;
    boto3_create_multipart "boto3-06" CreateMultipartUpload;
    boto3_complete_multipart "boto3-07" CompleteMultipartUpload;
    boto3_delete_null_version "boto3-08" DeleteObject;
    boto3_head_bucket "boto3-09" HeadBucket;
    boto3_presigned_get "boto3-10" GetObject;
    boto3_presigned_put "boto3-11" PutObject;
    boto3_presigned_put_with_acl "boto3-12" PutObject;
    boto3_trailer_over_tls "boto3-tls-00" PutObject;
    boto3_part_with_trailer_over_tls "boto3-tls-01" UploadPart;
    minio_put "minio-py-13" PutObject;
    minio_list "minio-py-14" ListObjectsV2;
    minio_presigned_get "minio-py-15" GetObject;
    s3cmd_put "s3cmd-16" PutObject;
}

#[test]
fn curl_posts_to_the_chunk_api() {
    let captured = read(include_str!("clients/curl-08.txt"));
    let verifier = Verifier::new(REGION);
    assert!(
        verifier
            .verify(&captured.head, &OneKey, captured.at)
            .is_ok()
    );
}

/// curl signs a hash of such a body, or of nothing, and sends neither: the error says what to add.
#[test]
fn curl_bodies_without_announcement_are_told_what_to_add() {
    for text in [
        include_str!("clients/curl-03-unannounced.txt"),
        include_str!("clients/curl-05-unannounced.txt"),
    ] {
        let error = serve(text).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
        assert!(
            error
                .message()
                .contains("-H 'x-amz-content-sha256: UNSIGNED-PAYLOAD'")
        );
    }
}
