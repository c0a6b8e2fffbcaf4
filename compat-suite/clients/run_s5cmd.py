"""s5cmd: argv is NAME PROGRAM."""

import json
import sys
import urllib.request

from material import *
from outcomes import case, cases_of, expect, holds, run
from programs import Program

BODY = pattern("body", 200_000)


class Subject(Program):
    """`s5cmd` pointed at the endpoint, and a bucket that the first case makes and the last removes."""

    def __init__(self, program):
        super().__init__(program, "--endpoint-url", ENDPOINT, "--retry-count", "0")
        self.bucket = fresh_bucket("s5cmd")

    def version(self):
        return self.run("version").strip().lstrip("v").split("-")[0]

    def url(self, key=""):
        return f"s3://{self.bucket}/{key}"

    def put(self, key, body=b"x", *rest):
        self.run("cp", *rest, self.write("up", body), self.url(key))

    def get(self, key):
        self.run("cp", "--raw", self.url(key), "down")
        return self.read("down")

    def rows(self, what, *rest):
        """The rows of `ls`."""
        return [json.loads(line) for line in self.run("--json", "ls", *rest, self.url(what)).splitlines()]

    def keys(self, what, *rest):
        return [row["key"].removeprefix(self.url()) for row in self.rows(what, *rest)]


@case("CreateBucket")
def mb(t):
    t.run("mb", f"s3://{t.bucket}")


@case("HeadBucket")
def head_of_a_bucket_and_of_none(t):
    t.run("head", f"s3://{t.bucket}")
    t.refused("head", "s3://no-such-bucket-here", words=["404"])


@case("ListBuckets")
def ls_without_arguments(t):
    holds(f"s3://{t.bucket}" in t.run("ls"), "the bucket in the list")


@cases_of(SIZES, "PutObject")
def cp_up_and_down(t, length):
    body = pattern(length, length)
    t.put(f"size/{length}", body)
    holds(t.get(f"size/{length}") == body, "other bytes than went up")
    holds(t.bytes_of("cat", t.url(f"size/{length}")) == body, "cat gives other bytes")


# A `*` in a key is a wildcard to s5cmd, and a key that ends in a slash a folder.
NAMES = {words: key.replace("*", "") for words, key in KEYS.items() if not key.endswith("/")}


@cases_of(NAMES, "PutObject")
def takes_a_key_with(t, key):
    t.put(key, key.encode())
    expect(t.get(key), key.encode())


@case("PutObject")
def keeps_type_and_metadata(t):
    t.put("told", BODY, "--content-type", "text/x-cairn", "--metadata", "colour=blue", "--cache-control", "no-cache")
    told = json.loads(t.run("--json", "head", t.url("told")))
    expect([told["size"], told["content_type"], told["etag"]], [len(BODY), "text/x-cairn", md5(BODY)])
    expect({key.lower(): value for key, value in told["metadata"].items()}, {"colour": "blue"})


@case("PutObject")
def pipe(t):
    t.run("pipe", t.url("piped"), body=BODY)
    holds(t.get("piped") == BODY, "other bytes than went in")


@case("GetObject")
def refuses_no_such_key_and_no_such_bucket(t):
    t.refused("cat", t.url("nothing"), words=["not found"])
    t.refused("ls", "s3://no-such-bucket-here", words=["NoSuchBucket"])


@case("HeadObject")
def of_nothing_is_404(t):
    t.refused("head", t.url("nothing"), words=["not found"])


@case("CopyObject")
def cp_and_mv_inside_the_endpoint(t):
    t.put("from é+", BODY)
    t.run("cp", t.url("from é+"), t.url("copied"))
    t.run("mv", t.url("from é+"), t.url("moved"))
    holds(t.get("copied") == t.get("moved") == BODY, "other bytes than the source had")
    t.refused("cat", t.url("from é+"), words=["not found"])


@case("DeleteObject")
def rm(t):
    t.put("gone")
    t.run("rm", t.url("gone"))
    t.refused("cat", t.url("gone"), words=["not found"])


FILES = {f"tree/{n:02}.txt": f"file {n}".encode() for n in range(12)} | {"tree/deep/é +.txt": b"deep"}


@case("sync")
def folders_up_and_down(t):
    for name, body in FILES.items():
        t.write_old(name, body)
    t.run("sync", "tree/", t.url("tree/"))
    expect(t.run("sync", "tree/", t.url("tree/")).strip(), "", "a second sync")
    t.run("sync", t.url("tree/*"), "back/")
    for name, body in FILES.items():
        expect(t.read(name.replace("tree", "back", 1)), body, name)


@case("ListObjectsV2")
def ls_by_level_and_with_a_wildcard(t):
    expect(sorted(t.keys("tree/*")), sorted(FILES))
    rows = t.rows("tree/")
    expect([row["key"].removeprefix(t.url()) for row in rows if row["type"] == "directory"], ["tree/deep/"])
    expect(len(rows), 13)
    expect(json.loads(t.run("--json", "du", t.url("tree/*")))["size"], sum(map(len, FILES.values())))


@case("ListObjects")
def ls_by_version_1(t):
    program = [*t.line]
    t.line.append("--use-list-objects-v1")
    try:
        expect(sorted(t.keys("tree/*")), sorted(FILES))
    finally:
        t.line[:] = program


@case("ListObjectVersions")
def ls_of_all_versions(t):
    expect(sorted(t.keys("tree/*", "--all-versions")), sorted(FILES))


@case("DeleteObjects")
def rm_with_a_wildcard(t):
    t.run("rm", t.url("tree/*"))
    t.refused("ls", t.url("tree/*"), words=["no object found"])


@case("CompleteMultipartUpload")
def cp_of_20_mib_goes_in_parts(t):
    body = pattern("large", 20 * MIB)
    t.put("large", body, "--part-size", "5")
    holds(t.get("large") == body, "other bytes than went up")
    holds(json.loads(t.run("--json", "head", t.url("large")))["etag"].endswith("-4"), "four parts")


@case("presigned URL")
def gets_without_keys(t):
    url = t.run("presign", "--expire", "60s", t.url("told")).strip()
    with urllib.request.urlopen(url, timeout=30) as answer:
        holds(answer.read() == BODY, "other bytes than were stored")


@case("DeleteBucket")
def refuses_one_that_is_not_empty(t):
    t.refused("rb", f"s3://{t.bucket}", words=["BucketNotEmpty"])


@case("DeleteBucket")
def rb_once_it_is_empty(t):
    t.run("rm", t.url("*"))
    t.run("rb", f"s3://{t.bucket}")
    t.refused("rb", f"s3://{t.bucket}", words=["NoSuchBucket"])


if __name__ == "__main__":
    subject = Subject(sys.argv[2])
    run(sys.argv[1], subject.version(), subject)
