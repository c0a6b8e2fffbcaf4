"""boto3, the newest or Debian's old one: which is for the interpreter that runs this to say."""

import base64
import hashlib
import io
import sys
import urllib.error
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError, MissingDependencyException

from material import *
from outcomes import Skip, case, cases_of, expect, holds, run

BODY = pattern("body", 200_000)


class Subject:
    """A client, and a bucket that the first case makes and the last one removes."""

    def __init__(self, name):
        settings = Config(signature_version="s3v4", retries={"max_attempts": 0}, s3={"addressing_style": "path"})
        self.s3 = boto3.client(
            "s3", endpoint_url=ENDPOINT, region_name=REGION, config=settings,
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
        )
        self.bucket = fresh_bucket(name)

    def put(self, key, body=b"x", **more):
        return self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    def get(self, key, **more):
        return self.s3.get_object(Bucket=self.bucket, Key=key, **more)["Body"].read()

    def head(self, key, **more):
        return self.s3.head_object(Bucket=self.bucket, Key=key, **more)

    def refused(self, code, operation, status=None, **arguments):
        """The call fails with this code (of HEAD: this status), and this status where one is given."""
        try:
            getattr(self.s3, operation)(**arguments)
        except ClientError as error:
            expect(error.response["Error"]["Code"], code, "code")
            if status:
                expect(error.response["ResponseMetadata"]["HTTPStatusCode"], status, "status")
        else:
            raise AssertionError(f"not refused with {code}")

    def needs(self, operation, member):
        """Skips where this version's model of the operation has no such member."""
        model = self.s3.meta.service_model
        if operation not in model.operation_names or member not in model.operation_model(operation).input_shape.members:
            raise Skip(f"this version knows no {member} of {operation}")


@case("CreateBucket")
def makes_a_bucket(t):
    made = t.s3.create_bucket(Bucket=t.bucket)
    expect(made["Location"], f"/{t.bucket}")


@case("CreateBucket")
def again_by_its_owner_is_no_error(t):
    t.s3.create_bucket(Bucket=t.bucket)


@case("CreateBucket")
def refuses_a_bad_name(t):
    t.refused("InvalidBucketName", "create_bucket", Bucket="Not_A_Name")


@case("HeadBucket")
def of_a_bucket(t):
    t.s3.head_bucket(Bucket=t.bucket)


@case("HeadBucket")
def of_no_bucket_is_404(t):
    t.refused("404", "head_bucket", Bucket="no-such-bucket-here")


@case("ListBuckets")
def names_the_bucket_and_its_owner(t):
    told = t.s3.list_buckets()
    holds(t.bucket in [bucket["Name"] for bucket in told["Buckets"]], told["Buckets"])
    holds(told["Owner"]["ID"], "an owner")


@case("GetBucketLocation")
def is_null_in_us_east_1(t):
    expect(t.s3.get_bucket_location(Bucket=t.bucket).get("LocationConstraint"), None)


@cases_of(SIZES, "PutObject")
def stores(t, length):
    body = pattern(length, length)
    put = t.put(f"size/{length}", body)
    expect(put["ETag"], f'"{md5(body)}"')


@cases_of(SIZES, "GetObject")
def reads_back(t, length):
    got = t.s3.get_object(Bucket=t.bucket, Key=f"size/{length}")
    expect(got["ContentLength"], length)
    holds(got["Body"].read() == pattern(length, length), "other bytes than were stored")


@cases_of(KEYS, "PutObject")
def takes_a_key_with(t, key):
    t.put(key, key.encode())
    expect(t.get(key), key.encode())


@case("PutObject")
def keeps_type_metadata_and_headers(t):
    told = {
        "ContentType": "text/x-cairn; charset=utf-8", "CacheControl": "max-age=60", "ContentDisposition": "inline",
        "ContentEncoding": "identity", "ContentLanguage": "de", "Metadata": {"colour": "blue", "two-words": "a b"},
    }
    t.put("told", **told)
    head = t.head("told")
    for name, value in told.items():
        expect(head.get(name), value, name)


@case("PutObject")
def reads_a_stream_of_unknown_origin(t):
    t.put("stream", io.BytesIO(BODY))
    expect(md5(t.get("stream")), md5(BODY))


@case("PutObject")
def refuses_a_wrong_md5(t):
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    t.refused("BadDigest", "put_object", Bucket=t.bucket, Key="wrong", Body=b"x", ContentMD5=wrong)
    t.refused("404", "head_object", Bucket=t.bucket, Key="wrong")


@case("PutObject")
def refuses_no_bucket(t):
    t.refused("NoSuchBucket", "put_object", Bucket="no-such-bucket-here", Key="k", Body=b"x")


@case("PutObject")
def only_where_there_is_none(t):
    t.needs("PutObject", "IfNoneMatch")
    t.put("once", b"one", IfNoneMatch="*")
    t.refused("PreconditionFailed", "put_object", status=412, Bucket=t.bucket, Key="once", Body=b"two", IfNoneMatch="*")
    expect(t.get("once"), b"one")


@case("PutObject")
def only_where_it_still_is_the_same(t):
    t.needs("PutObject", "IfMatch")
    first = t.put("swap", b"one")["ETag"]
    t.put("swap", b"two", IfMatch=first)
    t.refused("PreconditionFailed", "put_object", Bucket=t.bucket, Key="swap", Body=b"three", IfMatch=first)
    t.refused("NoSuchKey", "put_object", Bucket=t.bucket, Key="swap-none", Body=b"x", IfMatch=first)
    expect(t.get("swap"), b"two")


@cases_of({name: name for name in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")}, "PutObject")
def checksum(t, algorithm):
    field = f"Checksum{algorithm}"
    t.needs("PutObject", field)
    try:
        put = t.put(f"sum/{algorithm}", BODY, ChecksumAlgorithm=algorithm)
    except MissingDependencyException as why:
        raise Skip("awscrt is not in this environment") from why
    expect(t.head(f"sum/{algorithm}", ChecksumMode="ENABLED")[field], put[field])
    expect(md5(t.get(f"sum/{algorithm}", ChecksumMode="ENABLED")), md5(BODY))


@case("PutObject")
def refuses_a_wrong_checksum(t):
    t.needs("PutObject", "ChecksumCRC32")
    t.refused("BadDigest", "put_object", Bucket=t.bucket, Key="wrong", Body=b"x", ChecksumCRC32="AAAAAA==")
    t.refused("404", "head_object", Bucket=t.bucket, Key="wrong")


@cases_of(RANGES, "GetObject")
def range_of(t, wanted):
    header, part = wanted
    t.put("range", BODY)
    got = t.s3.get_object(Bucket=t.bucket, Key="range", Range=header)
    expect(got["ResponseMetadata"]["HTTPStatusCode"], 206)
    holds(got["Body"].read() == BODY[part], "other bytes than were asked for")
    start, end, _ = part.indices(len(BODY))
    expect(got["ContentRange"], f"bytes {start}-{end - 1}/{len(BODY)}")


@case("GetObject")
def refuses_a_range_past_the_end(t):
    t.put("short", b"x")
    t.refused("InvalidRange", "get_object", status=416, Bucket=t.bucket, Key="short", Range="bytes=1-")


@case("GetObject")
def refuses_no_such_key(t):
    t.refused("NoSuchKey", "get_object", status=404, Bucket=t.bucket, Key="nothing")


@case("GetObject")
def refuses_no_such_bucket(t):
    t.refused("NoSuchBucket", "get_object", status=404, Bucket="no-such-bucket-here", Key="k")


@case("GetObject")
def conditions(t):
    tag = t.put("condition", b"x")["ETag"]
    expect(t.get("condition", IfMatch=tag), b"x")
    t.refused("304", "get_object", Bucket=t.bucket, Key="condition", IfNoneMatch=tag)
    t.refused("PreconditionFailed", "get_object", status=412, Bucket=t.bucket, Key="condition", IfMatch='"other"')
    changed = t.head("condition")["LastModified"]
    t.refused("304", "get_object", Bucket=t.bucket, Key="condition", IfModifiedSince=changed)
    expect(t.get("condition", IfUnmodifiedSince=changed), b"x")


@case("GetObject")
def answers_with_other_headers_where_asked(t):
    t.put("other", b"x", ContentType="text/plain")
    wanted = {"ResponseContentType": "image/png", "ResponseContentDisposition": 'attachment; filename="x"'}
    got = t.s3.get_object(Bucket=t.bucket, Key="other", **wanted)
    expect([got["ContentType"], got["ContentDisposition"]], list(wanted.values()))


@case("HeadObject")
def tells_size_tag_type_and_time(t):
    t.put("head", BODY, ContentType="text/plain")
    head = t.head("head")
    expect([head["ContentLength"], head["ETag"], head["ContentType"]], [len(BODY), f'"{md5(BODY)}"', "text/plain"])
    expect(head["AcceptRanges"], "bytes")
    expect(head["LastModified"].microsecond, 0)


@case("HeadObject")
def of_nothing_is_404(t):
    t.refused("404", "head_object", Bucket=t.bucket, Key="nothing")


@case("GetObjectAttributes")
def tells_size_and_tag(t):
    t.needs("GetObjectAttributes", "ObjectAttributes")
    tag = t.put("attributes", BODY)["ETag"]
    told = t.s3.get_object_attributes(Bucket=t.bucket, Key="attributes", ObjectAttributes=["ETag", "ObjectSize"])
    expect([told["ObjectSize"], told["ETag"]], [len(BODY), tag.strip('"')])


@case("CopyObject")
def copies_bytes_and_metadata(t):
    t.put("from é+", BODY, Metadata={"a": "b"}, ContentType="text/x-cairn")
    made = t.s3.copy_object(Bucket=t.bucket, Key="to", CopySource={"Bucket": t.bucket, "Key": "from é+"})
    expect(made["CopyObjectResult"]["ETag"], f'"{md5(BODY)}"')
    t.s3.delete_object(Bucket=t.bucket, Key="from é+")
    holds(t.get("to") == BODY, "other bytes than the source had")
    head = t.head("to")
    expect([head["Metadata"], head["ContentType"]], [{"a": "b"}, "text/x-cairn"])


@case("CopyObject")
def replaces_metadata(t):
    t.put("renamed", b"x", Metadata={"a": "b"})
    source = {"Bucket": t.bucket, "Key": "renamed"}
    t.s3.copy_object(
        Bucket=t.bucket, Key="renamed", CopySource=source, MetadataDirective="REPLACE", Metadata={"c": "d"}
    )
    expect(t.head("renamed")["Metadata"], {"c": "d"})
    t.refused("InvalidRequest", "copy_object", Bucket=t.bucket, Key="renamed", CopySource=source)


@case("CopyObject")
def refuses_a_changed_source(t):
    t.put("source", b"x")
    source = {"Bucket": t.bucket, "Key": "source"}
    t.refused(
        "PreconditionFailed", "copy_object",
        Bucket=t.bucket, Key="never", CopySource=source, CopySourceIfMatch='"other"',
    )
    t.refused(
        "NoSuchKey", "copy_object", Bucket=t.bucket, Key="never", CopySource={"Bucket": t.bucket, "Key": "nothing"}
    )


@case("DeleteObject")
def is_gone_and_again_is_no_error(t):
    t.put("gone")
    for _ in range(2):
        expect(t.s3.delete_object(Bucket=t.bucket, Key="gone")["ResponseMetadata"]["HTTPStatusCode"], 204)
    t.refused("NoSuchKey", "get_object", Bucket=t.bucket, Key="gone")


@case("DeleteObjects")
def deletes_many_with_odd_keys(t):
    keys = [f"many/{n}" for n in range(30)] + [f"many/{key}" for key in KEYS.values() if len(key) < 1000]
    for key in keys:
        t.put(key)
    doomed = [{"Key": key} for key in [*keys, "many/never"]]
    done = t.s3.delete_objects(Bucket=t.bucket, Delete={"Objects": doomed})
    expect(sorted(entry["Key"] for entry in done["Deleted"]), sorted([*keys, "many/never"]))
    expect(t.s3.list_objects_v2(Bucket=t.bucket, Prefix="many/")["KeyCount"], 0)


@case("DeleteObjects")
def says_nothing_where_quiet(t):
    t.put("quiet")
    done = t.s3.delete_objects(Bucket=t.bucket, Delete={"Objects": [{"Key": "quiet"}], "Quiet": True})
    expect(["Deleted" in done, "Errors" in done], [False, False])


LISTED = sorted(
    [f"l/{n:03}" for n in range(25)] + ["l/a/1", "l/a/2", "l/b/1", "l/sp ce+%&", "l/é/ж"], key=str.encode
)


def listed(t):
    """The keys of LISTED, once."""
    if not t.s3.list_objects_v2(Bucket=t.bucket, Prefix="l/", MaxKeys=1).get("Contents"):
        for key in LISTED:
            t.put(key, b"12345")


@case("ListObjectsV2")
def pages_in_byte_order(t):
    listed(t)
    pages = list(
        t.s3.get_paginator("list_objects_v2").paginate(Bucket=t.bucket, Prefix="l/", PaginationConfig={"PageSize": 7})
    )
    rows = [row for page in pages for row in page["Contents"]]
    expect([row["Key"] for row in rows], LISTED)
    expect({(row["Size"], row["ETag"], row["StorageClass"]) for row in rows}, {(5, f'"{md5(b"12345")}"', "STANDARD")})
    expect([page["KeyCount"] for page in pages], [7, 7, 7, 7, 2])


@case("ListObjectsV2")
def groups_by_a_delimiter(t):
    listed(t)
    level = t.s3.list_objects_v2(Bucket=t.bucket, Prefix="l/", Delimiter="/")
    expect([row["Prefix"] for row in level["CommonPrefixes"]], ["l/a/", "l/b/", "l/é/"])
    expect(len(level["Contents"]), len(LISTED) - 4)


@case("ListObjectsV2")
def pages_through_groups(t):
    listed(t)
    found, more = [], {}
    while True:
        page = t.s3.list_objects_v2(Bucket=t.bucket, Prefix="l/", Delimiter="/", MaxKeys=3, **more)
        found += [row["Prefix"] for row in page.get("CommonPrefixes", [])]
        if not page["IsTruncated"]:
            break
        more = {"ContinuationToken": page["NextContinuationToken"]}
    expect(found, ["l/a/", "l/b/", "l/é/"])


@case("ListObjectsV2")
def starts_after_a_key(t):
    listed(t)
    page = t.s3.list_objects_v2(Bucket=t.bucket, Prefix="l/", StartAfter="l/023", FetchOwner=True)
    expect([row["Key"] for row in page["Contents"]], [key for key in LISTED if key.encode() > b"l/023"])
    holds(all(row["Owner"]["ID"] for row in page["Contents"]), "an owner in each row")


@case("ListObjectsV2")
def refuses_no_bucket_to_list(t):
    t.refused("NoSuchBucket", "list_objects_v2", Bucket="no-such-bucket-here")


@case("ListObjects")
def pages_by_marker(t):
    listed(t)
    pages = t.s3.get_paginator("list_objects").paginate(
        Bucket=t.bucket, Prefix="l/", PaginationConfig={"PageSize": 9}
    )
    expect([row["Key"] for page in pages for row in page["Contents"]], LISTED)


@case("ListObjectVersions")
def names_null_versions(t):
    listed(t)
    rows = t.s3.list_object_versions(Bucket=t.bucket, Prefix="l/0")["Versions"]
    expect({(row["VersionId"], row["IsLatest"]) for row in rows}, {("null", True)})


def start(t, key, **more):
    """The id of a new multipart upload."""
    return t.s3.create_multipart_upload(Bucket=t.bucket, Key=key, **more)["UploadId"]


def upload(t, key, upload_id, bodies):
    """What CompleteMultipartUpload wants to hear of these parts, once they are there."""
    parts = []
    for number, body in enumerate(bodies, 1):
        where = {"Bucket": t.bucket, "Key": key, "UploadId": upload_id, "PartNumber": number}
        parts.append({"PartNumber": number, "ETag": t.s3.upload_part(Body=body, **where)["ETag"]})
    return {"Parts": parts}


PARTS = [pattern(f"part {n}", 5 * MIB) for n in range(4)]


@case("CompleteMultipartUpload")
def joins_20_mib_in_4_parts(t):
    upload_id = start(t, "parts", Metadata={"a": "b"}, ContentType="text/x-cairn")
    parts = upload(t, "parts", upload_id, PARTS)
    done = t.s3.complete_multipart_upload(Bucket=t.bucket, Key="parts", UploadId=upload_id, MultipartUpload=parts)
    sums = b"".join(hashlib.md5(part).digest() for part in PARTS)
    expect(done["ETag"], f'"{md5(sums)}-4"')
    holds(t.get("parts") == b"".join(PARTS), "other bytes than the parts")
    head = t.head("parts")
    expect([head["Metadata"], head["ContentType"]], [{"a": "b"}, "text/x-cairn"])


@case("CompleteMultipartUpload")
def refuses_a_small_part_before_the_last(t):
    upload_id = start(t, "refused")
    parts = upload(t, "refused", upload_id, [b"small", b"last"])
    where = {"Bucket": t.bucket, "Key": "refused", "UploadId": upload_id}
    t.refused("EntityTooSmall", "complete_multipart_upload", status=400, MultipartUpload=parts, **where)
    t.s3.abort_multipart_upload(**where)


@case("CompleteMultipartUpload")
def refuses_a_wrong_tag_and_a_wrong_order(t):
    upload_id = start(t, "refused")
    parts = upload(t, "refused", upload_id, [PARTS[0], b"last"])["Parts"]
    where = {"Bucket": t.bucket, "Key": "refused", "UploadId": upload_id}
    t.refused("InvalidPartOrder", "complete_multipart_upload", MultipartUpload={"Parts": parts[::-1]}, **where)
    wrong = [{"PartNumber": 1, "ETag": f'"{md5(b"other")}"'}]
    t.refused("InvalidPart", "complete_multipart_upload", MultipartUpload={"Parts": wrong}, **where)
    t.s3.abort_multipart_upload(**where)


@case("UploadPart")
def the_last_of_two_with_one_number_counts(t):
    upload_id = start(t, "twice")
    upload(t, "twice", upload_id, [b"first"])
    parts = upload(t, "twice", upload_id, [b"second"])
    t.s3.complete_multipart_upload(Bucket=t.bucket, Key="twice", UploadId=upload_id, MultipartUpload=parts)
    expect(t.get("twice"), b"second")


@case("UploadPart")
def refuses_an_unknown_upload(t):
    where = {"Bucket": t.bucket, "Key": "k", "UploadId": "never-begun", "PartNumber": 1}
    t.refused("NoSuchUpload", "upload_part", status=404, Body=b"x", **where)


@case("UploadPartCopy")
def takes_parts_from_an_object(t):
    source = {"Bucket": t.bucket, "Key": "parts"}
    upload_id = start(t, "cut")
    parts = []
    for number, span in enumerate(("0-9999999", f"10000000-{20 * MIB - 1}"), 1):
        part = t.s3.upload_part_copy(
            Bucket=t.bucket, Key="cut", UploadId=upload_id, PartNumber=number,
            CopySource=source, CopySourceRange=f"bytes={span}",
        )
        parts.append({"PartNumber": number, "ETag": part["CopyPartResult"]["ETag"]})
    t.s3.complete_multipart_upload(
        Bucket=t.bucket, Key="cut", UploadId=upload_id, MultipartUpload={"Parts": parts}
    )
    holds(t.get("cut") == b"".join(PARTS), "other bytes than the source had")


@case("ListParts")
def lists_parts_with_sizes(t):
    upload_id = start(t, "parts-listed")
    sent = upload(t, "parts-listed", upload_id, [PARTS[0], b"last"])["Parts"]
    where = {"Bucket": t.bucket, "Key": "parts-listed", "UploadId": upload_id}
    pages = list(t.s3.get_paginator("list_parts").paginate(PaginationConfig={"PageSize": 1}, **where))
    rows = [row for page in pages for row in page["Parts"]]
    expect([row["Size"] for row in rows], [5 * MIB, 4])
    expect([row["ETag"] for row in rows], [part["ETag"] for part in sent])
    t.s3.abort_multipart_upload(**where)


@case("ListMultipartUploads")
def lists_open_uploads(t):
    ids = [start(t, key) for key in ("open/a", "open/b")]
    told = t.s3.list_multipart_uploads(Bucket=t.bucket, Prefix="open/")["Uploads"]
    expect([row["UploadId"] for row in told], ids)
    for key, upload_id in zip(("open/a", "open/b"), ids):
        t.s3.abort_multipart_upload(Bucket=t.bucket, Key=key, UploadId=upload_id)


@case("AbortMultipartUpload")
def leaves_nothing(t):
    upload_id = start(t, "aborted")
    upload(t, "aborted", upload_id, [b"x"])
    where = {"Bucket": t.bucket, "Key": "aborted", "UploadId": upload_id}
    t.s3.abort_multipart_upload(**where)
    t.refused("NoSuchUpload", "list_parts", status=404, **where)
    t.refused("NoSuchKey", "get_object", Bucket=t.bucket, Key="aborted")


@case("managed transfer")
def goes_up_and_down_in_parts(t):
    body = pattern("transfer", 23 * MIB + 5)
    settings = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
    t.s3.upload_fileobj(io.BytesIO(body), t.bucket, "transfer", Config=settings)
    down = io.BytesIO()
    t.s3.download_fileobj(t.bucket, "transfer", down, Config=settings)
    holds(down.getvalue() == body, "other bytes than went up")
    holds(t.head("transfer")["ETag"].endswith('-5"'), "five parts")
    t.s3.copy({"Bucket": t.bucket, "Key": "transfer"}, t.bucket, "transferred", Config=settings)
    holds(t.get("transferred") == body, "the copy has other bytes")


def fetch(url, method="GET", data=None):
    """(status, body) of a plain request."""
    request = urllib.request.Request(url, data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@case("presigned URL")
def puts_and_gets_without_keys(t):
    where = {"Bucket": t.bucket, "Key": "by url/é+"}
    put = t.s3.generate_presigned_url("put_object", Params=where, ExpiresIn=60)
    expect(fetch(put, "PUT", b"by url")[0], 200)
    get = t.s3.generate_presigned_url("get_object", Params=where, ExpiresIn=60)
    expect(fetch(get), (200, b"by url"))
    expect(fetch(get + "0")[0], 403, "status of a changed signature")


@case("DeleteBucket")
def refuses_one_that_is_not_empty(t):
    t.put("still-here")
    t.refused("BucketNotEmpty", "delete_bucket", status=409, Bucket=t.bucket)


@case("DeleteBucket")
def refuses_one_that_is_not_there(t):
    t.refused("NoSuchBucket", "delete_bucket", status=404, Bucket="no-such-bucket-here")


@case("DeleteBucket")
def removes_an_empty_one(t):
    for page in list(t.s3.get_paginator("list_objects_v2").paginate(Bucket=t.bucket)):
        doomed = [{"Key": row["Key"]} for row in page.get("Contents", [])]
        t.s3.delete_objects(Bucket=t.bucket, Delete={"Objects": doomed, "Quiet": True})
    t.s3.delete_bucket(Bucket=t.bucket)
    t.refused("404", "head_bucket", Bucket=t.bucket)


if __name__ == "__main__":
    run(sys.argv[1], boto3.__version__, Subject(sys.argv[1]))
