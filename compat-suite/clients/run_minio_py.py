"""minio-py."""

import io
import sys
import urllib.request
from datetime import timedelta

import minio
from minio.commonconfig import REPLACE, CopySource, ComposeSource
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from material import *
from outcomes import case, cases_of, expect, holds, run

BODY = pattern("body", 200_000)


class Subject:
    """A client, and a bucket that the first case makes and the last one removes."""

    def __init__(self):
        self.s3 = minio.Minio(HOST, access_key=ACCESS_KEY, secret_key=SECRET_KEY, secure=False, region=REGION)
        self.bucket = fresh_bucket("minio-py")

    def put(self, key, body=b"x", **more):
        return self.s3.put_object(self.bucket, key, io.BytesIO(body), len(body), **more)

    def get(self, key, **more):
        answer = self.s3.get_object(self.bucket, key, **more)
        try:
            return answer.read()
        finally:
            answer.close()
            answer.release_conn()

    def refused(self, code, call, *arguments, **named):
        try:
            call(*arguments, **named)
        except S3Error as error:
            expect(error.code, code, "code")
        else:
            raise AssertionError(f"not refused with {code}")

    def keys(self, **more):
        return [row.object_name for row in self.s3.list_objects(self.bucket, **more)]


@case("CreateBucket")
def makes_a_bucket(t):
    t.s3.make_bucket(t.bucket)


@case("HeadBucket")
def of_a_bucket_and_of_none(t):
    expect([t.s3.bucket_exists(t.bucket), t.s3.bucket_exists("no-such-bucket-here")], [True, False])


@case("ListBuckets")
def names_the_bucket(t):
    holds(t.bucket in [bucket.name for bucket in t.s3.list_buckets()], "the bucket in the list")


@case("GetBucketLocation")
def is_asked_where_no_region_is_given(t):
    other = minio.Minio(HOST, access_key=ACCESS_KEY, secret_key=SECRET_KEY, secure=False)
    holds(other.bucket_exists(t.bucket), "the bucket found by its location")


@cases_of(SIZES, "PutObject")
def stores_and_reads_back(t, length):
    body = pattern(length, length)
    expect(t.put(f"size/{length}", body).etag, md5(body))
    holds(t.get(f"size/{length}") == body, "other bytes than were stored")


@cases_of(KEYS, "PutObject")
def takes_a_key_with(t, key):
    t.put(key, key.encode())
    expect(t.get(key), key.encode())


@case("PutObject")
def keeps_type_and_metadata(t):
    t.put("told", BODY, content_type="text/x-cairn", metadata={"colour": "blue", "Cache-Control": "no-cache"})
    stat = t.s3.stat_object(t.bucket, "told")
    expect([stat.size, stat.content_type], [len(BODY), "text/x-cairn"])
    expect([stat.metadata["x-amz-meta-colour"], stat.metadata["Cache-Control"]], ["blue", "no-cache"])


@case("PutObject")
def refuses_no_bucket(t):
    t.refused("NoSuchBucket", t.s3.put_object, "no-such-bucket-here", "k", io.BytesIO(b"x"), 1)


@case("GetObject")
def from_an_offset(t):
    t.put("range", BODY)
    holds(t.get("range", offset=65_530, length=16) == BODY[65_530:65_546], "other bytes than were asked for")
    holds(t.get("range", offset=199_993) == BODY[199_993:], "other bytes than were asked for")


@case("GetObject")
def refuses_no_such_key_and_no_such_bucket(t):
    t.refused("NoSuchKey", t.s3.get_object, t.bucket, "nothing")
    t.refused("NoSuchBucket", t.s3.get_object, "no-such-bucket-here", "k")


@case("HeadObject")
def of_nothing_is_no_such_key(t):
    t.refused("NoSuchKey", t.s3.stat_object, t.bucket, "nothing")


@case("CopyObject")
def copies_bytes_and_metadata(t):
    t.put("from é+", BODY, metadata={"a": "b"})
    t.s3.copy_object(t.bucket, "to", CopySource(t.bucket, "from é+"))
    holds(t.get("to") == BODY, "other bytes than the source had")
    expect(t.s3.stat_object(t.bucket, "to").metadata["x-amz-meta-a"], "b")


@case("CopyObject")
def replaces_metadata(t):
    source = CopySource(t.bucket, "to")
    t.s3.copy_object(t.bucket, "to", source, metadata={"c": "d"}, metadata_directive=REPLACE)
    expect(t.s3.stat_object(t.bucket, "to").metadata.get("x-amz-meta-c"), "d")


@case("UploadPartCopy")
def composes_an_object_of_others(t):
    parts = [pattern(f"part {n}", 5 * MIB) for n in range(2)]
    for number, part in enumerate(parts):
        t.put(f"compose/{number}", part)
    t.s3.compose_object(t.bucket, "composed", [ComposeSource(t.bucket, f"compose/{n}") for n in range(2)])
    holds(t.get("composed") == b"".join(parts), "other bytes than the sources had")


@case("DeleteObject")
def is_gone_and_again_is_no_error(t):
    t.put("gone")
    for _ in range(2):
        t.s3.remove_object(t.bucket, "gone")
    t.refused("NoSuchKey", t.s3.stat_object, t.bucket, "gone")


@case("DeleteObjects")
def deletes_many_with_odd_keys(t):
    keys = [f"many/{n}" for n in range(10)] + [f"many/{key}" for key in KEYS.values() if len(key) < 1000]
    for key in keys:
        t.put(key)
    expect(list(t.s3.remove_objects(t.bucket, [DeleteObject(key) for key in keys])), [])
    expect(t.keys(prefix="many/", recursive=True), [])


LISTED = sorted(["l/1", "l/2", "l/a/1", "l/a/2", "l/sp ce+%&", "l/é/ж"], key=str.encode)


@case("ListObjectsV2")
def lists_all_and_by_level(t):
    for key in LISTED:
        t.put(key)
    expect(t.keys(prefix="l/", recursive=True), LISTED)
    expect(sorted(t.keys(prefix="l/")), sorted(["l/1", "l/2", "l/a/", "l/sp ce+%&", "l/é/"]))
    expect(t.keys(prefix="l/", recursive=True, start_after="l/a/1"), [key for key in LISTED if key.encode() > b"l/a/1"])


@case("ListObjects")
def lists_by_version_1(t):
    expect(t.keys(prefix="l/", recursive=True, use_api_v1=True), LISTED)


@case("ListObjectVersions")
def lists_versions(t):
    rows = list(t.s3.list_objects(t.bucket, prefix="l/", recursive=True, include_version=True))
    expect({row.version_id for row in rows}, {"null"})


@case("CompleteMultipartUpload")
def goes_up_in_parts(t):
    body = pattern("large", 20 * MIB)
    t.put("large", body, part_size=5 * MIB, num_parallel_uploads=3)
    holds(t.get("large") == body, "other bytes than went up")
    holds(t.s3.stat_object(t.bucket, "large").etag.endswith("-4"), "four parts")


@case("CompleteMultipartUpload")
def goes_up_with_unknown_length(t):
    body = pattern("unknown", 12 * MIB)
    t.s3.put_object(t.bucket, "unknown", io.BytesIO(body), -1, part_size=5 * MIB)
    holds(t.get("unknown") == body, "other bytes than went up")


@case("presigned URL")
def puts_and_gets_without_keys(t):
    key, soon = "by url/é+", timedelta(seconds=60)
    put = urllib.request.Request(t.s3.presigned_put_object(t.bucket, key, soon), b"by url", method="PUT")
    put.add_header("Content-Type", "text/plain")
    urllib.request.urlopen(put, timeout=30).close()
    with urllib.request.urlopen(t.s3.presigned_get_object(t.bucket, key, soon), timeout=30) as answer:
        expect(answer.read(), b"by url")


@case("DeleteBucket")
def refuses_one_that_is_not_empty(t):
    t.refused("BucketNotEmpty", t.s3.remove_bucket, t.bucket)


@case("DeleteBucket")
def removes_an_empty_one(t):
    doomed = [DeleteObject(key) for key in t.keys(recursive=True)]
    expect(list(t.s3.remove_objects(t.bucket, doomed)), [])
    t.s3.remove_bucket(t.bucket)
    t.refused("NoSuchBucket", t.s3.remove_bucket, t.bucket)


if __name__ == "__main__":
    run("minio-py", minio.__version__, Subject())
