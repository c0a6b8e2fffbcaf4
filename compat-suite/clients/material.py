"""What the cases are made of: where the endpoint is, and bytes, sizes and keys worth trying."""

import hashlib
import os
import uuid

MIB = 1 << 20

ENDPOINT = os.environ["CAIRN_ENDPOINT"].rstrip("/")
HOST = ENDPOINT.split("://", 1)[1]
ACCESS_KEY = os.environ["CAIRN_ACCESS_KEY"]
SECRET_KEY = os.environ["CAIRN_SECRET_KEY"]
REGION = os.environ.get("CAIRN_REGION", "us-east-1")

# Inside the object row, just past it, and as pieces of their own.
SIZES = {"0 B": 0, "1 B": 1, "4 KiB": 4096, "4 KiB and 1 B": 4097, "5 MiB": 5 * MIB}

KEYS = {
    "spaces": "a key/with two  spaces",
    "plus": "a+b/c++",
    "percent": "100%/%41%2F",
    "unicode": "ключ/鍵/clé-é/🗝",
    "reserved characters": "a&b=c;d:e@f$g,h'i(j)k!l*m",
    "quotes and brackets": "say \"x\" [y] {z} <t> ^ ` |",
    "a slash at the end": "folder/",
    "1,024 bytes": "k" * 1024,
}

RANGES = {
    "first byte": ("bytes=0-0", slice(0, 1)),
    "across a border": ("bytes=65530-65545", slice(65530, 65546)),
    "from a byte on": ("bytes=199000-", slice(199000, None)),
    "last bytes": ("bytes=-7", slice(-7, None)),
    "past the end": ("bytes=199990-999999", slice(199990, None)),
}


def pattern(seed, length):
    """`length` bytes that differ by seed."""
    return hashlib.shake_256(str(seed).encode()).digest(length)


def md5(body):
    """As an ETag without its quotes."""
    return hashlib.md5(body).hexdigest()


def fresh_bucket(client):
    """A name that no earlier run has used."""
    return f"{client}-{uuid.uuid4().hex[:12]}"
