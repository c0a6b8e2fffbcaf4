"""Round trips of the newest boto3, with its default checksums, against the endpoint in argv[1].

Credentials come from the environment. Every step asserts; the last line is printed only if all
of them held.
"""

import hashlib
import io
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

MIB = 1 << 20


def pattern(seed, length):
    """`length` bytes that differ by seed."""
    return hashlib.shake_256(str(seed).encode()).digest(length)


def refused(call, code, **arguments):
    """The call fails with this error code."""
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, (found, code)
    else:
        raise AssertionError(f"not refused with {code}: {arguments}")


def whole_objects(s3, bucket):
    """Sizes around every border, read back whole and by range."""
    for length in (0, 1, 4096, 4097, 65535, 65536, 65537, 1 * MIB + 3, 17 * MIB):
        body = pattern(length, length)
        put = s3.put_object(Bucket=bucket, Key=f"o/{length}", Body=body, Metadata={"n": str(length)})
        assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
        got = s3.get_object(Bucket=bucket, Key=f"o/{length}")
        assert got["Body"].read() == body, length
        assert got["Metadata"] == {"n": str(length)}
        assert got["ContentLength"] == length
    part = s3.get_object(Bucket=bucket, Key=f"o/{17 * MIB}", Range="bytes=16777200-16777300")
    assert part["Body"].read() == pattern(17 * MIB, 17 * MIB)[16777200:16777301]
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    refused(s3.get_object, "InvalidRange", Bucket=bucket, Key="o/1", Range="bytes=1-")
    refused(s3.get_object, "NoSuchKey", Bucket=bucket, Key="nothing")


def checksums(s3, bucket):
    """Each checksum algorithm is verified and stored; a wrong one is refused."""
    body = pattern("sum", 100_000)
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
        if algorithm in ("CRC32C", "CRC64NVME"):
            continue  # the pure Python client computes these only with awscrt
        put = s3.put_object(Bucket=bucket, Key="sum", Body=body, ChecksumAlgorithm=algorithm)
        field = f"Checksum{algorithm}"
        head = s3.head_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")
        assert put[field] == head[field], (put, head)
        s3.get_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")["Body"].read()
    refused(s3.put_object, "BadDigest", Bucket=bucket, Key="wrong", Body=b"x", ChecksumCRC32="AAAAAA==")
    refused(s3.head_object, "404", Bucket=bucket, Key="wrong")


def conditions(s3, bucket):
    """If-None-Match and If-Match on both sides."""
    first = s3.put_object(Bucket=bucket, Key="c", Body=b"one", IfNoneMatch="*")
    refused(s3.put_object, "PreconditionFailed", Bucket=bucket, Key="c", Body=b"two", IfNoneMatch="*")
    s3.put_object(Bucket=bucket, Key="c", Body=b"three", IfMatch=first["ETag"])
    refused(s3.put_object, "PreconditionFailed", Bucket=bucket, Key="c", Body=b"x", IfMatch=first["ETag"])
    refused(s3.get_object, "PreconditionFailed", Bucket=bucket, Key="c", IfMatch=first["ETag"])
    assert s3.get_object(Bucket=bucket, Key="c")["Body"].read() == b"three"


def transfers(s3, bucket):
    """Managed multipart transfers up and down."""
    body = pattern("transfer", 23 * MIB + 5)
    settings = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(body), bucket, "t", Config=settings)
    down = io.BytesIO()
    s3.download_fileobj(bucket, "t", down, Config=settings)
    assert down.getvalue() == body
    assert s3.head_object(Bucket=bucket, Key="t")["ETag"].endswith('-5"')


def multipart(s3, bucket):
    """Create, list, complete and abort by hand."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    bodies = [pattern("m1", 5 * MIB), pattern("m2", 100)]
    parts = []
    for number, body in enumerate(bodies, 1):
        part = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    listed = s3.list_parts(Bucket=bucket, Key="m", UploadId=upload)["Parts"]
    assert [part["Size"] for part in listed] == [5 * MIB, 100]
    open_uploads = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [entry["UploadId"] for entry in open_uploads] == [upload]
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="m")["Body"].read() == b"".join(bodies)
    other = s3.create_multipart_upload(Bucket=bucket, Key="gone")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="gone", UploadId=other, PartNumber=1, Body=b"x")
    s3.abort_multipart_upload(Bucket=bucket, Key="gone", UploadId=other)
    refused(s3.list_parts, "NoSuchUpload", Bucket=bucket, Key="gone", UploadId=other)


def copies(s3, bucket):
    """Copies by every way, read after their source is gone; attributes and parts."""
    body = pattern("copy", 23 * MIB)
    s3.put_object(Bucket=bucket, Key="from", Body=body, Metadata={"a": "b"}, ChecksumAlgorithm="SHA256")
    source = {"Bucket": bucket, "Key": "from"}
    made = s3.copy_object(Bucket=bucket, Key="to", CopySource=source)["CopyObjectResult"]
    assert made["ETag"] == f'"{hashlib.md5(body).hexdigest()}"' and "ChecksumSHA256" in made
    refused(s3.copy_object, "InvalidRequest", Bucket=bucket, Key="from", CopySource=source)
    s3.copy_object(
        Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "to"},
        MetadataDirective="REPLACE", Metadata={"c": "d"}, ChecksumAlgorithm="SHA1",
    )
    head = s3.head_object(Bucket=bucket, Key="to", ChecksumMode="ENABLED")
    assert head["Metadata"] == {"c": "d"} and "ChecksumSHA1" in head, head
    settings = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=5 * MIB)
    s3.copy(source, bucket, "managed", Config=settings)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="cut", ChecksumAlgorithm="SHA256")["UploadId"]
    parts = []
    for number, span in enumerate(("0-12345678", f"12345679-{len(body) - 1}"), 1):
        part = s3.upload_part_copy(
            Bucket=bucket, Key="cut", UploadId=upload, PartNumber=number,
            CopySource=source, CopySourceRange=f"bytes={span}",
        )["CopyPartResult"]
        parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]})
    s3.complete_multipart_upload(Bucket=bucket, Key="cut", UploadId=upload, MultipartUpload={"Parts": parts})
    s3.delete_object(Bucket=bucket, Key="from")
    for key in ("to", "managed", "cut"):
        got = s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        assert got["Body"].read() == body, key
    told = s3.get_object_attributes(Bucket=bucket, Key="cut", ObjectAttributes=["ObjectParts", "ObjectSize"])
    assert told["ObjectSize"] == len(body)
    for number, part in enumerate(parts, 1):
        assert told["ObjectParts"]["Parts"][number - 1]["ChecksumSHA256"] == part["ChecksumSHA256"]
        got = s3.get_object(Bucket=bucket, Key="cut", PartNumber=number, ChecksumMode="ENABLED")
        assert got["ChecksumSHA256"] == part["ChecksumSHA256"] and got["PartsCount"] == 2
        got["Body"].read()


def listings(s3, bucket):
    """Paging, delimiters and odd keys."""
    keys = sorted([f"l/{n:03}" for n in range(25)] + ["l/a/1", "l/a/2", "l/b/1", "l/sp ce+%", "l/é"], key=str.encode)
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix="l/", PaginationConfig={"PageSize": 7}
    )
    assert [row["Key"] for page in pages for row in page["Contents"]] == keys
    level = s3.list_objects_v2(Bucket=bucket, Prefix="l/", Delimiter="/")
    assert [row["Prefix"] for row in level["CommonPrefixes"]] == ["l/a/", "l/b/"]
    assert len(level["Contents"]) == len(keys) - 3
    versions = s3.list_object_versions(Bucket=bucket, Prefix="l/0")["Versions"]
    assert {row["VersionId"] for row in versions} == {"null"}


def deletions(s3, bucket):
    """DeleteObjects page by page, then the bucket."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    for page in list(pages):
        doomed = [{"Key": row["Key"]} for row in page.get("Contents", [])]
        done = s3.delete_objects(Bucket=bucket, Delete={"Objects": doomed})
        assert len(done["Deleted"]) == len(doomed) and "Errors" not in done
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    s3.delete_bucket(Bucket=bucket)
    refused(s3.head_bucket, "404", Bucket=bucket)


def main():
    settings = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
    s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1", config=settings)
    bucket = "boto3-round-trip"
    s3.create_bucket(Bucket=bucket)
    refused(s3.delete_bucket, "NoSuchBucket", Bucket="boto3-not-there")
    for step in (whole_objects, checksums, conditions, transfers, multipart, copies, listings, deletions):
        step(s3, bucket)
        print(f"{step.__name__}: ok")
    print("all round trips done")


main()
