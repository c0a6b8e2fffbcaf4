"""s3cmd of Debian: argv is NAME PROGRAM."""

import sys
import urllib.request

from material import *
from outcomes import case, cases_of, expect, holds, run
from programs import Program

BODY = pattern("body", 200_000)
SETTINGS = f"""[default]
access_key = {ACCESS_KEY}
secret_key = {SECRET_KEY}
host_base = {HOST}
host_bucket = {HOST}
bucket_location = {REGION}
use_https = False
max_retries = 1
multipart_chunk_size_mb = 5
progress_meter = False
"""


class Subject(Program):
    """`s3cmd` pointed at the endpoint, and a bucket that the first case makes and the last removes."""

    def __init__(self, program):
        super().__init__(program, "--config", "s3cfg")
        self.write("s3cfg", SETTINGS.encode())
        self.bucket = fresh_bucket("s3cmd")

    def version(self):
        return self.run("--version").split()[-1]

    def url(self, key=""):
        return f"s3://{self.bucket}/{key}"

    def put(self, key, body=b"x", *rest):
        self.run("put", *rest, self.write("up", body), self.url(key))

    def get(self, key, *rest):
        self.run("get", "--force", *rest, self.url(key), "down")
        return self.read("down")

    def keys(self, folder):
        lines = self.run("ls", "--recursive", self.url(folder)).splitlines()
        return [line.split(self.url(), 1)[1] for line in lines]


@case("CreateBucket")
def mb(t):
    t.run("mb", f"s3://{t.bucket}")


@case("ListBuckets")
def ls_without_arguments(t):
    holds(f"s3://{t.bucket}" in t.run("ls"), "the bucket in the list")


@case("GetBucketLocation")
def info_of_the_bucket(t):
    holds("Location:  us-east-1" in t.run("info", f"s3://{t.bucket}"), "the location in the information")


@cases_of(SIZES, "PutObject")
def put_and_get(t, length):
    body = pattern(length, length)
    t.put(f"size/{length}", body)
    holds(t.get(f"size/{length}") == body, "other bytes than went up")


@cases_of({words: key for words, key in KEYS.items() if not key.endswith("/")}, "PutObject")
def takes_a_key_with(t, key):
    t.put(key, key.encode())
    expect(t.get(key), key.encode())


@case("PutObject")
def keeps_type_and_metadata(t):
    t.put("told", BODY, "--mime-type", "text/x-cairn", "--add-header", "x-amz-meta-colour:blue")
    told = t.run("info", t.url("told"))
    for word in ("text/x-cairn", "x-amz-meta-colour: blue", f"File size: {len(BODY)}", md5(BODY)):
        holds(word in told, f"no {word} in {told}")


@case("GetObject")
def get_continues_what_is_there(t):
    t.put("range", BODY)
    t.write("half", BODY[:70_000])
    t.run("get", "--continue", t.url("range"), "half")
    holds(t.read("half") == BODY, "other bytes than were stored")


@case("GetObject")
def refuses_no_such_key_and_no_such_bucket(t):
    t.refused("get", "--force", t.url("nothing"), "down", words=["does not exist"])
    t.refused("ls", "s3://no-such-bucket-here", words=["NoSuchBucket"])


@case("CopyObject")
def cp_mv_and_modify(t):
    t.put("from é+", BODY, "--add-header", "x-amz-meta-a:b")
    t.run("cp", t.url("from é+"), t.url("copied"))
    t.run("mv", t.url("from é+"), t.url("moved"))
    holds(t.get("copied") == t.get("moved") == BODY, "other bytes than the source had")
    t.run("modify", "--add-header", "x-amz-meta-c:d", t.url("moved"))
    told = t.run("info", t.url("moved"))
    holds("x-amz-meta-a: b" in told and "x-amz-meta-c: d" in told, told)
    t.refused("info", t.url("from é+"), words=["404"])


@case("DeleteObject")
def rm(t):
    t.put("gone")
    t.run("rm", t.url("gone"))
    t.refused("info", t.url("gone"), words=["404"])


FILES = {f"tree/{n:02}.txt": f"file {n}".encode() for n in range(12)} | {"tree/deep/é +.txt": b"deep"}


@case("sync")
def folders_up_and_down(t):
    for name, body in FILES.items():
        t.write_old(name, body)
    t.run("sync", "tree/", t.url("tree/"))
    holds("upload:" not in t.run("sync", "tree/", t.url("tree/")), "a second sync has nothing to do")
    t.run("sync", t.url("tree/"), "back/")
    for name, body in FILES.items():
        expect(t.read(name.replace("tree", "back", 1)), body, name)


@case("ListObjects")
def ls_by_level_and_recursive(t):
    level = t.run("ls", t.url("tree/"))
    holds("DIR" in level and len(level.splitlines()) == 13, level)
    expect(t.keys("tree/"), sorted(FILES, key=str.encode))
    expect(len(t.run("ls", "--limit", "5", t.url("tree/0")).splitlines()), 5)
    holds(t.run("du", t.url("tree/")).split()[0] == str(sum(map(len, FILES.values()))), "du")


@case("DeleteObjects")
def del_recursive(t):
    t.run("del", "--recursive", "--force", t.url("tree/"))
    expect(t.keys("tree/"), [])


@case("CompleteMultipartUpload")
def put_of_20_mib_goes_in_parts(t):
    body = pattern("large", 20 * MIB)
    t.put("large", body)
    holds(t.get("large") == body, "other bytes than went up")


@case("AbortMultipartUpload")
def multipart_and_abortmp(t):
    body = pattern("large", 10 * MIB)
    told = t.run("put", "--add-header", "x-amz-meta-a:b", t.write("up", body), t.url("large-2"))
    holds("upload:" in told, told)
    expect([line for line in t.run("multipart", f"s3://{t.bucket}").splitlines() if "large" in line], [])


@case("presigned URL")
def signurl_is_sigv2(t):
    """s3cmd 2.3 signs URLs with SigV2 only, which AWS takes in old regions alone."""
    url = t.run("signurl", t.url("large"), "+60").strip()
    request = urllib.request.Request(url, method="GET")
    with urllib.request.urlopen(request, timeout=30) as answer:
        expect(answer.status, 200)


@case("DeleteBucket")
def refuses_one_that_is_not_empty(t):
    t.refused("rb", f"s3://{t.bucket}", words=["BucketNotEmpty"])


@case("DeleteBucket")
def rb_once_it_is_empty(t):
    t.run("del", "--recursive", "--force", t.url())
    t.run("rb", f"s3://{t.bucket}")
    t.refused("ls", f"s3://{t.bucket}", words=["NoSuchBucket"])


if __name__ == "__main__":
    subject = Subject(sys.argv[2])
    run(sys.argv[1], subject.version(), subject)
