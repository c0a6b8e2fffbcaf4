"""aws-cli, the newest version 1 or Debian's version 2: argv is NAME PROGRAM."""

import json
import sys
import urllib.request

from material import *
from outcomes import Skip, case, cases_of, expect, holds, run
from programs import Program

BODY = pattern("body", 200_000)


class Subject(Program):
    """`aws` pointed at the endpoint, and a bucket that the first case makes and the last removes."""

    def __init__(self, name, program):
        super().__init__(program, "--endpoint-url", ENDPOINT)
        self.bucket = fresh_bucket(name)
        # Version 1 signs URLs with SigV2 unless it is told not to.
        self.write(".aws/config", b"[default]\ns3 =\n    signature_version = s3v4\n    addressing_style = path\n")

    def version(self):
        _, out, err = self.ended("--version")
        return (out.decode() + err).split("/", 1)[1].split()[0]

    def api(self, operation, *rest, key=None):
        """`s3api OPERATION --bucket … [--key …]`, and what it printed, read as JSON."""
        where = ["--bucket", self.bucket] + (["--key", key] if key is not None else [])
        told = self.run("s3api", operation, *where, *rest, "--output", "json")
        return json.loads(told) if told.strip() else {}

    def put(self, key, body=b"x", *rest):
        return self.api("put-object", "--body", self.write("up", body), *rest, key=key)

    def get(self, key, *rest):
        self.api("get-object", *rest, "down", key=key)
        return self.read("down")

    def api_refused(self, operation, *rest, word, bucket=None):
        self.refused("s3api", operation, "--bucket", bucket or self.bucket, *rest, words=[word])

    def there_and_back(self, folder, files):
        """Copies files up and down by `s3 cp --recursive`."""
        for name, body in files.items():
            self.write(f"{folder}/{name}", body)
        self.run("s3", "cp", "--no-progress", "--recursive", folder, self.url(folder))
        self.run("s3", "cp", "--no-progress", "--recursive", self.url(folder), f"{folder}-back")
        for name, body in files.items():
            holds(self.read(f"{folder}-back/{name}") == body, f"other bytes of {name}")

    @staticmethod
    def is_path(key):
        """Whether a file can be called so."""
        return not key.endswith("/") and all(len(part.encode()) < 256 for part in key.split("/"))

    def url(self, key=""):
        return f"s3://{self.bucket}/{key}"


@case("CreateBucket")
def mb(t):
    expect(t.run("s3", "mb", f"s3://{t.bucket}").strip(), f"make_bucket: {t.bucket}")


@case("HeadBucket")
def of_a_bucket_and_of_none(t):
    t.api("head-bucket")
    t.api_refused("head-bucket", word="404", bucket="no-such-bucket-here")


@case("ListBuckets")
def ls_without_arguments(t):
    holds(t.bucket in t.run("s3", "ls"), "the bucket in the list")


@case("GetBucketLocation")
def is_null_in_us_east_1(t):
    expect(t.api("get-bucket-location")["LocationConstraint"], None)


@case("PutObject")
def cp_recursive_of_every_size(t):
    files = {f"{words}.bin": pattern(length, length) for words, length in SIZES.items()}
    t.there_and_back("sizes", files)


@case("PutObject")
def cp_recursive_of_odd_keys(t):
    t.there_and_back("keys", {key: key.encode() for key in KEYS.values() if t.is_path(key)})


@case("PutObject")
def takes_a_key_of_1024_bytes_and_one_that_ends_in_a_slash(t):
    for key in (KEYS["1,024 bytes"], KEYS["a slash at the end"]):
        t.api("put-object", key=key)
        expect(t.api("head-object", key=key)["ContentLength"], 0)


@case("PutObject")
def cp_from_standard_input_to_standard_output(t):
    t.run("s3", "cp", "-", t.url("piped"), body=BODY)
    holds(t.bytes_of("s3", "cp", t.url("piped"), "-") == BODY, "other bytes than went in")


@case("PutObject")
def keeps_type_metadata_and_headers(t):
    put = t.put("told", BODY, "--metadata", "colour=blue,size=big", "--content-type", "text/x-cairn", "--cache-control", "no-cache")
    expect(put["ETag"], f'"{md5(BODY)}"')
    head = t.api("head-object", key="told")
    expect(
        [head["Metadata"], head["ContentType"], head["CacheControl"], head["ContentLength"]],
        [{"colour": "blue", "size": "big"}, "text/x-cairn", "no-cache", len(BODY)],
    )


@case("PutObject")
def only_where_there_is_none(t):
    create = ["s3api", "put-object", "--bucket", t.bucket, "--key", "once", "--if-none-match", "*"]
    code, _, said = t.ended(*create)
    if "Unknown options: --if-none-match" in said:
        raise Skip("this version knows no --if-none-match of put-object")
    expect(code, 0, said)
    t.refused(*create, words=["PreconditionFailed"])


@cases_of({name: name for name in ("CRC32", "CRC32C", "SHA1", "SHA256")}, "PutObject")
def checksum(t, algorithm):
    put = t.put("sum", BODY, "--checksum-algorithm", algorithm)
    head = t.api("head-object", "--checksum-mode", "ENABLED", key="sum")
    expect(head[f"Checksum{algorithm}"], put[f"Checksum{algorithm}"])
    holds(t.get("sum", "--checksum-mode", "ENABLED") == BODY, "other bytes than were stored")


@cases_of({words: RANGES[words] for words in ("across a border", "last bytes")}, "GetObject")
def range_of(t, wanted):
    header, part = wanted
    t.put("range", BODY)
    holds(t.get("range", "--range", header) == BODY[part], "other bytes than were asked for")


@case("GetObject")
def refuses_a_range_past_the_end(t):
    t.put("short", b"x")
    t.api_refused("get-object", "--key", "short", "--range", "bytes=1-", "down", word="InvalidRange")


@case("GetObject")
def refuses_no_such_key_and_no_such_bucket(t):
    t.api_refused("get-object", "--key", "nothing", "down", word="NoSuchKey")
    t.api_refused("get-object", "--key", "k", "down", word="NoSuchBucket", bucket="no-such-bucket-here")


@case("GetObject")
def conditions(t):
    tag = t.put("condition")["ETag"]
    expect(t.get("condition", "--if-match", tag), b"x")
    t.api_refused("get-object", "--key", "condition", "--if-match", '"other"', "down", word="PreconditionFailed")
    t.api_refused("get-object", "--key", "condition", "--if-none-match", tag, "down", word="304")


@case("HeadObject")
def of_nothing_is_404(t):
    t.api_refused("head-object", "--key", "nothing", word="404")


@case("GetObjectAttributes")
def tells_size_and_tag(t):
    tag = t.put("attributes", BODY)["ETag"]
    told = t.api("get-object-attributes", "--object-attributes", "ETag", "ObjectSize", key="attributes")
    expect([told["ObjectSize"], told["ETag"]], [len(BODY), tag.strip('"')])


@case("CopyObject")
def cp_and_mv_inside_the_endpoint(t):
    t.put("from é+", BODY, "--metadata", "a=b")
    t.run("s3", "cp", "--no-progress", t.url("from é+"), t.url("copied"))
    t.run("s3", "mv", "--no-progress", t.url("from é+"), t.url("moved"))
    expect(t.api("head-object", key="moved")["Metadata"], {"a": "b"})
    holds(t.get("copied") == t.get("moved") == BODY, "other bytes than the source had")
    t.api_refused("head-object", "--key", "from é+", word="404")


@case("CopyObject")
def replaces_metadata(t):
    t.put("renamed", b"x", "--metadata", "a=b")
    source = ["--copy-source", f"{t.bucket}/renamed"]
    t.api("copy-object", *source, "--metadata-directive", "REPLACE", "--metadata", "c=d", key="renamed")
    expect(t.api("head-object", key="renamed")["Metadata"], {"c": "d"})


@case("DeleteObject")
def is_gone_and_again_is_no_error(t):
    t.put("gone")
    t.run("s3", "rm", t.url("gone"))
    t.api("delete-object", key="gone")
    t.api_refused("head-object", "--key", "gone", word="404")


@case("DeleteObjects")
def deletes_many(t):
    for key in ("many/1", "many/2 é"):
        t.put(key)
    doomed = {"Objects": [{"Key": "many/1"}, {"Key": "many/2 é"}, {"Key": "many/never"}]}
    told = t.api("delete-objects", "--delete", json.dumps(doomed))
    expect(len(told["Deleted"]), 3)


FILES = {f"tree/{n:02}.txt": f"file {n}".encode() for n in range(12)} | {"tree/deep/é +.txt": b"deep"}


@case("sync")
def folders_up_and_down(t):
    for name, body in FILES.items():
        t.write_old(name, body)
    t.run("s3", "sync", "--no-progress", "tree", t.url("tree"))
    expect(t.run("s3", "sync", "--no-progress", "tree", t.url("tree")).strip(), "", "a second sync")
    t.run("s3", "sync", "--no-progress", t.url("tree"), "back")
    for name, body in FILES.items():
        expect(t.read(name.replace("tree", "back", 1)), body, name)


@case("ListObjectsV2")
def pages_in_byte_order(t):
    listed = t.api("list-objects-v2", "--prefix", "tree/", "--page-size", "5")
    expect([row["Key"] for row in listed["Contents"]], sorted(FILES, key=str.encode))


@case("ListObjectsV2")
def groups_by_a_delimiter(t):
    told = t.run("s3", "ls", t.url("tree/"))
    holds("PRE deep/" in told and len(told.splitlines()) == 13, told)
    page = t.api("list-objects-v2", "--prefix", "tree/", "--delimiter", "/", "--max-items", "3")
    expect([len(page["Contents"]), "NextToken" in page], [3, True])


@case("ListObjects")
def pages_by_marker(t):
    listed = t.api("list-objects", "--prefix", "tree/", "--page-size", "5")
    expect([row["Key"] for row in listed["Contents"]], sorted(FILES, key=str.encode))


@case("ListObjectVersions")
def names_null_versions(t):
    rows = t.api("list-object-versions", "--prefix", "tree/")["Versions"]
    expect({row["VersionId"] for row in rows}, {"null"})


@case("CompleteMultipartUpload")
def cp_of_20_mib_goes_in_parts(t):
    body = pattern("large", 20 * MIB)
    t.run("s3", "cp", "--no-progress", t.write("large", body), t.url("large"))
    t.run("s3", "cp", "--no-progress", t.url("large"), "large-down")
    holds(t.read("large-down") == body, "other bytes than went up")
    holds(t.api("head-object", key="large")["ETag"].endswith('-3"'), "three parts")


@case("CompleteMultipartUpload")
def part_by_part(t):
    where = ["--upload-id", t.api("create-multipart-upload", key="parts")["UploadId"]]
    part = t.api("upload-part", *where, "--part-number", "1", "--body", t.write("up", BODY), key="parts")
    rows = t.api("list-parts", *where, key="parts")["Parts"]
    expect([(row["PartNumber"], row["Size"], row["ETag"]) for row in rows], [(1, len(BODY), part["ETag"])])
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    t.api("complete-multipart-upload", *where, "--multipart-upload", json.dumps(parts), key="parts")
    holds(t.get("parts") == BODY, "other bytes than the part")


@case("UploadPartCopy")
def takes_a_part_from_an_object(t):
    where = ["--upload-id", t.api("create-multipart-upload", key="cut")["UploadId"]]
    source = ["--copy-source", f"{t.bucket}/parts", "--copy-source-range", "bytes=10-99999"]
    part = t.api("upload-part-copy", *where, "--part-number", "1", *source, key="cut")["CopyPartResult"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    t.api("complete-multipart-upload", *where, "--multipart-upload", json.dumps(parts), key="cut")
    holds(t.get("cut") == BODY[10:100_000], "other bytes than the source had")


@case("AbortMultipartUpload")
def leaves_nothing(t):
    upload = t.api("create-multipart-upload", key="aborted")["UploadId"]
    rows = t.api("list-multipart-uploads", "--prefix", "aborted")["Uploads"]
    expect([row["UploadId"] for row in rows], [upload])
    t.api("abort-multipart-upload", "--upload-id", upload, key="aborted")
    t.api_refused("list-parts", "--key", "aborted", "--upload-id", upload, word="NoSuchUpload")


@case("presigned URL")
def gets_without_keys(t):
    t.put("by url é+", BODY)
    url = t.run("s3", "presign", t.url("by url é+"), "--expires-in", "60").strip()
    with urllib.request.urlopen(url, timeout=30) as answer:
        holds(answer.read() == BODY, "other bytes than were stored")


@case("DeleteBucket")
def refuses_one_that_is_not_empty(t):
    t.refused("s3", "rb", f"s3://{t.bucket}", words=["BucketNotEmpty"])


@case("DeleteBucket")
def rb_with_force_empties_it_first(t):
    t.run("s3", "rb", "--force", f"s3://{t.bucket}")
    t.api_refused("head-bucket", word="404")


if __name__ == "__main__":
    subject = Subject(*sys.argv[1:3])
    run(sys.argv[1], subject.version(), subject)
