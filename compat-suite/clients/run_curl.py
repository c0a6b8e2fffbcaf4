"""curl with `--aws-sigv4`, on S3 and on `/cas`: argv is NAME PROGRAM."""

import base64
import hashlib
import json
import os
import sys
import xml.etree.ElementTree
from urllib.parse import quote

from material import *
from outcomes import Skip, case, cases_of, expect, holds, run
from programs import Program

BODY = pattern("body", 200_000)
UNSIGNED = ["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]


class Subject(Program):
    """`curl` with root's keys; the answer of the last call is in the files `out` and `heads`."""

    def __init__(self, program):
        super().__init__(program, "--silent", "--show-error", "--globoff", "--max-time", "60")
        self.bucket = fresh_bucket("curl")

    def version(self):
        return self.run("--version").split()[1]

    def call(self, path, *arguments, signed=True):
        """The status of a call; of a path whose parts are already encoded."""
        sigv4 = ["--aws-sigv4", f"aws:amz:{REGION}:s3", "--user", f"{ACCESS_KEY}:{SECRET_KEY}"] if signed else []
        out = ["--output", "out", "--dump-header", "heads", "--write-out", "%{http_code}"]
        self.write("out", b"")
        return int(self.run(*sigv4, *out, *arguments, f"{ENDPOINT}{path}"))

    def at(self, path, wanted, *arguments, signed=True):
        """The call ends with this status."""
        expect(self.call(path, *arguments, signed=signed), wanted, "status")

    def key(self, key):
        return f"/{self.bucket}/{quote(key, safe='/~')}"

    def put(self, key, body=b"x", *arguments):
        # To a URL that ends in a slash, `--upload-file` appends the name of the file.
        data = ["--request", "PUT", "--data-binary", "@up"] if key.endswith("/") else ["--upload-file", "up"]
        self.write("up", body)
        self.at(self.key(key), 200, *UNSIGNED, *data, *arguments)

    def head(self, name):
        """A header of the last answer."""
        for line in self.read("heads").decode().splitlines():
            before, _, value = line.partition(":")
            if before.lower() == name:
                return value.strip()
        return None

    def texts(self, name):
        """The texts of all elements of the last answer with this name."""
        root = xml.etree.ElementTree.fromstring(self.read("out"))
        return [element.text for element in root.iter() if element.tag.split("}")[-1] == name]

    def refused(self, code, status, path, *arguments):
        self.at(path, status, *arguments)
        expect(self.texts("Code"), [code], "code")


@case("CreateBucket")
def put_of_a_bucket(t):
    t.at(f"/{t.bucket}", 200, *UNSIGNED, "--request", "PUT")


@case("HeadBucket")
def of_a_bucket_and_of_none(t):
    t.at(f"/{t.bucket}", 200, "--head")
    t.at("/no-such-bucket-here", 404, "--head")


@case("ListBuckets")
def names_the_bucket(t):
    t.at("/", 200)
    holds(t.bucket in t.texts("Name"), "the bucket in the list")


@case("GetBucketLocation")
def answers_by_query(t):
    t.at(f"/{t.bucket}?location=", 200)
    expect(t.texts("LocationConstraint"), [None])


@cases_of(SIZES, "PutObject")
def upload_file_and_get(t, length):
    body = pattern(length, length)
    t.put(f"size/{length}", body)
    expect(t.head("etag"), f'"{md5(body)}"')
    t.at(t.key(f"size/{length}"), 200)
    holds(t.read("out") == body, "other bytes than went up")


@cases_of(KEYS, "PutObject")
def takes_a_key_with(t, key):
    t.put(key, key.encode())
    t.at(t.key(key), 200)
    expect(t.read("out"), key.encode())


@case("PutObject")
def keeps_type_and_metadata(t):
    t.put("told", BODY, "--header", "Content-Type: text/x-cairn", "--header", "x-amz-meta-colour: blue")
    t.at(t.key("told"), 200, "--head")
    found = [t.head(name) for name in ("content-type", "x-amz-meta-colour", "content-length")]
    expect(found, ["text/x-cairn", "blue", str(len(BODY))])


@case("PutObject")
def the_hash_of_the_body_is_compared(t):
    right = hashlib.sha256(BODY).hexdigest()
    upload = ["--upload-file", t.write("up", BODY)]
    t.at(t.key("hashed"), 200, *upload, "--header", f"x-amz-content-sha256: {right}")
    wrong = hashlib.sha256(b"other").hexdigest()
    t.refused("XAmzContentSHA256Mismatch", 400, t.key("hashed"), *upload, "--header", f"x-amz-content-sha256: {wrong}")


@case("PutObject")
def only_where_there_is_none(t):
    upload = [*UNSIGNED, "--upload-file", t.write("up", BODY), "--header", "If-None-Match: *"]
    t.at(t.key("once"), 200, *upload)
    t.refused("PreconditionFailed", 412, t.key("once"), *upload)


@cases_of(RANGES, "GetObject")
def range_of(t, wanted):
    header, part = wanted
    t.put("range", BODY)
    t.at(t.key("range"), 206, "--range", header.removeprefix("bytes="))
    holds(t.read("out") == BODY[part], "other bytes than were asked for")


@case("GetObject")
def refuses_by_code(t):
    t.put("short")
    t.refused("InvalidRange", 416, t.key("short"), "--range", "1-")
    t.refused("NoSuchKey", 404, t.key("nothing"))
    t.refused("NoSuchBucket", 404, "/no-such-bucket-here/k")
    t.refused("PreconditionFailed", 412, t.key("short"), "--header", 'If-Match: "other"')


@case("GetObject")
def conditions(t):
    t.put("condition")
    tag = t.head("etag")
    t.at(t.key("condition"), 304, "--header", f"If-None-Match: {tag}")
    t.at(t.key("condition"), 200, "--header", f"If-Match: {tag}")


@case("GetObject")
def without_keys_is_refused(t):
    t.at(t.key("condition"), 403, signed=False)
    expect(t.texts("Code"), ["AccessDenied"])


@case("CopyObject")
def by_header(t):
    t.put("from é+", BODY)
    source = ["--header", f"x-amz-copy-source: {t.key('from é+')}"]
    t.at(t.key("copied"), 200, *UNSIGNED, "--request", "PUT", *source)
    expect(t.texts("ETag"), [f'"{md5(BODY)}"'])
    t.at(t.key("copied"), 200)
    holds(t.read("out") == BODY, "other bytes than the source had")


@case("DeleteObject")
def is_gone_and_again_is_no_error(t):
    t.put("gone")
    for _ in range(2):
        t.at(t.key("gone"), 204, "--request", "DELETE")
    t.at(t.key("gone"), 404)


@case("ListObjectsV2")
def by_level_and_page(t):
    for key in ("l/1", "l/2", "l/a/1", "l/a/2"):
        t.put(key)
    t.at(f"/{t.bucket}?delimiter=%2F&list-type=2&prefix=l%2F", 200)
    expect([t.texts("Key"), t.texts("Prefix")], [["l/1", "l/2"], ["l/", "l/a/"]])
    t.at(f"/{t.bucket}?list-type=2&max-keys=3&prefix=l%2F", 200)
    expect([t.texts("Key"), t.texts("IsTruncated")], [["l/1", "l/2", "l/a/1"], ["true"]])
    token = quote(t.texts("NextContinuationToken")[0], safe="")
    t.at(f"/{t.bucket}?continuation-token={token}&list-type=2&prefix=l%2F", 200)
    expect(t.texts("Key"), ["l/a/2"])


@case("DeleteObjects")
def by_document(t):
    document = b"<Delete>" + b"".join(b"<Object><Key>l/%d</Key></Object>" % n for n in (1, 2)) + b"</Delete>"
    tag = ["--header", f"Content-MD5: {base64.b64encode(hashlib.md5(document).digest()).decode()}", "--header", "Content-Type: application/xml"]
    t.at(f"/{t.bucket}?delete=", 200, *UNSIGNED, *tag, "--data-binary", "@" + t.write("doomed", document))
    expect(sorted(t.texts("Key")), ["l/1", "l/2"])


@case("CompleteMultipartUpload")
def part_by_part(t):
    t.at(t.key("parts") + "?uploads=", 200, *UNSIGNED, "--request", "POST")
    upload = quote(t.texts("UploadId")[0], safe="")
    tags = []
    for number, body in enumerate((pattern("one", 5 * MIB), b"last"), 1):
        path = f"{t.key('parts')}?partNumber={number}&uploadId={upload}"
        t.at(path, 200, *UNSIGNED, "--upload-file", t.write("up", body))
        tags.append(t.head("etag"))
    parts = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag in enumerate(tags, 1))
    document = t.write("done", f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode())
    data = [*UNSIGNED, "--header", "Content-Type: application/xml", "--data-binary", f"@{document}"]
    t.at(f"{t.key('parts')}?uploadId={upload}", 200, *data)
    t.at(t.key("parts"), 200)
    holds(t.read("out") == pattern("one", 5 * MIB) + b"last", "other bytes than the parts")


@case("AbortMultipartUpload")
def leaves_nothing(t):
    t.at(t.key("aborted") + "?uploads=", 200, *UNSIGNED, "--request", "POST")
    path = f"{t.key('aborted')}?uploadId={quote(t.texts('UploadId')[0], safe='')}"
    t.at(path, 204, "--request", "DELETE")
    t.refused("NoSuchUpload", 404, path)


@case("Signature")
def a_wrong_key_is_refused(t):
    t.at("/", 403, "--aws-sigv4", f"aws:amz:{REGION}:s3", "--user", f"{ACCESS_KEY}:wrong", signed=False)
    expect(t.texts("Code"), ["SignatureDoesNotMatch"])
    t.at("/", 403, "--aws-sigv4", f"aws:amz:{REGION}:s3", "--user", "nobody:wrong", signed=False)
    expect(t.texts("Code"), ["InvalidAccessKeyId"])


def only_here():
    """Skips where the endpoint is not Cairn's: nobody else has chunks."""
    if os.environ.get("CAIRN_SUBJECT", "cairn") != "cairn":
        raise Skip("/cas is Cairn's own")


CHUNK = pattern("chunk", 300_000)
HASH = hashlib.sha256(CHUNK).hexdigest()


@case("/cas chunks")
def put_get_head_and_range(t):
    only_here()
    t.at(f"/cas/chunks/{HASH}", 201, "--upload-file", t.write("up", CHUNK))
    expect(json.loads(t.read("out")), {"sha256": HASH, "size": len(CHUNK)})
    t.at(f"/cas/chunks/{HASH}", 200, "--upload-file", "up")
    t.at(f"/cas/chunks/{HASH}", 200)
    holds(t.read("out") == CHUNK, "other bytes than went up")
    t.at(f"/cas/chunks/{HASH}", 206, "--range", "10-19")
    expect(t.read("out"), CHUNK[10:20])
    t.at(f"/cas/chunks/{HASH}", 200, "--head")
    expect(t.head("content-length"), str(len(CHUNK)))


@case("/cas chunks")
def refuses_bytes_of_another_hash(t):
    only_here()
    t.at(f"/cas/chunks/{'0' * 64}", 400, *UNSIGNED, "--upload-file", t.write("up", CHUNK))
    t.at(f"/cas/chunks/{'0' * 64}", 404)


@case("/cas missing")
def names_what_is_to_be_sent(t):
    only_here()
    asked = json.dumps({"chunks": [HASH, "0" * 64]})
    t.at("/cas/missing", 200, *UNSIGNED, "--data-binary", asked)
    expect(json.loads(t.read("out"))["missing"], ["0" * 64])


@case("/cas objects")
def makes_an_object_that_s3_reads(t):
    only_here()
    chunks = json.dumps({"chunks": [{"sha256": HASH, "length": len(CHUNK)}] * 2})
    t.at(f"/cas/objects/{t.bucket}/of-chunks", 200, *UNSIGNED, "--data-binary", chunks)
    t.at(t.key("of-chunks"), 200)
    holds(t.read("out") == CHUNK * 2, "other bytes than the chunks")


@case("/cas token")
def is_enough_without_a_signature(t):
    only_here()
    t.at(f"/cas/chunks/{HASH}", 401, signed=False)
    t.at("/cas/token", 200, *UNSIGNED, "--request", "POST")
    token = json.loads(t.read("out"))["token"]
    t.at(f"/cas/chunks/{HASH}", 200, "--header", f"Authorization: Bearer {token}", signed=False)
    holds(t.read("out") == CHUNK, "other bytes than went up")


@case("DeleteBucket")
def refuses_one_that_is_not_empty(t):
    t.refused("BucketNotEmpty", 409, f"/{t.bucket}", "--request", "DELETE")


@case("DeleteBucket")
def removes_an_empty_one(t):
    t.at(f"/{t.bucket}?list-type=2", 200)
    for key in t.texts("Key"):
        t.at(t.key(key), 204, "--request", "DELETE")
    t.at(f"/{t.bucket}", 204, "--request", "DELETE")
    t.refused("NoSuchBucket", 404, f"/{t.bucket}", "--request", "DELETE")


if __name__ == "__main__":
    subject = Subject(sys.argv[2])
    run(sys.argv[1], subject.version(), subject)
