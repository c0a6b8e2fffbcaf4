"""s3fs-fuse: a bucket as a folder. argv is NAME PROGRAM.

It is skipped whole, with the reason, where the machine lets nobody mount: see `usable`.
"""

import os
import shutil
import subprocess
import sys
import time

from material import *
from outcomes import case, cases_of, expect, holds, run, skip_all
from programs import Program

LARGE = 200 * MIB
UNMOUNT_TRIES = 100


class Subject(Program):
    """A mount of a bucket, which a first curl makes: s3fs itself makes none."""

    def __init__(self, program):
        super().__init__(program)
        self.bucket = fresh_bucket("s3fs")
        self.mounted = self.home / "mounted"
        self.mounted.mkdir()
        self.write("passwd", f"{ACCESS_KEY}:{SECRET_KEY}\n".encode())
        os.chmod(self.home / "passwd", 0o600)

    def version(self):
        return self.run("--version").split("V", 1)[1].split()[0]

    def mount(self):
        options = ["url=" + ENDPOINT, "use_path_request_style", f"endpoint={REGION}", "passwd_file=passwd"]
        options += ["sigv4", "retries=1", "multipart_size=10", "parallel_count=4", "stat_cache_expire=1"]
        self.run(self.bucket, self.mounted, "-o", ",".join(options))
        holds(os.path.ismount(self.mounted), "the folder is a mount")

    def unmount(self):
        """Ends the mount, once what was written is there."""
        for _ in range(UNMOUNT_TRIES):
            done = subprocess.run(["fusermount", "-u", self.mounted], capture_output=True, check=False)
            if done.returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError(f"not unmounted: {done.stderr.decode()}")

    def again(self):
        """Nothing that is read after this comes from a cache of s3fs."""
        self.unmount()
        self.mount()

    def there(self, name, body):
        """The file holds these bytes, also after a new mount."""
        holds((self.mounted / name).read_bytes() == body, f"{name} holds other bytes")
        self.again()
        expect((self.mounted / name).stat().st_size, len(body), f"size of {name}")
        holds((self.mounted / name).read_bytes() == body, f"{name} holds other bytes after a new mount")


def usable():
    """Why nothing can be mounted here; None where it can."""
    if not os.path.exists("/dev/fuse"):
        return "no /dev/fuse on this machine"
    if os.geteuid() != 0 and not shutil.which("fusermount"):
        return "no fusermount, and we are not root"
    return None


def make_bucket(t):
    curl = Program("curl", "--silent", "--show-error", "--fail", "--request", "PUT")
    sigv4 = ["--aws-sigv4", f"aws:amz:{REGION}:s3", "--user", f"{ACCESS_KEY}:{SECRET_KEY}"]
    curl.run(*sigv4, "--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD", f"{ENDPOINT}/{t.bucket}")


@case("mount")
def mounts_a_bucket(t):
    make_bucket(t)
    t.mount()
    expect(os.listdir(t.mounted), [])


@cases_of(SIZES, "files")
def create_and_read_back(t, length):
    body = pattern(length, length)
    (t.mounted / f"size-{length}").write_bytes(body)
    t.there(f"size-{length}", body)


@case("files")
def names_with_spaces_plus_and_unicode(t):
    for name in ("with two  spaces", "a+b", "100% %41", "ключ-鍵-é-🗝"):
        (t.mounted / name).write_bytes(name.encode())
        t.there(name, name.encode())


@case("files")
def rename(t):
    (t.mounted / "old").write_bytes(b"body")
    (t.mounted / "old").rename(t.mounted / "new")
    t.there("new", b"body")
    holds(not (t.mounted / "old").exists(), "the old name is gone")


@case("files")
def append(t):
    (t.mounted / "grows").write_bytes(b"one")
    t.again()
    with open(t.mounted / "grows", "ab") as file:
        file.write(b", two")
    t.there("grows", b"one, two")


@case("files")
def overwrite_in_the_middle(t):
    body = bytearray(pattern("middle", 12 * MIB))
    (t.mounted / "middle").write_bytes(body)
    t.again()
    with open(t.mounted / "middle", "r+b") as file:
        file.seek(5 * MIB)
        file.write(b"changed")
    body[5 * MIB : 5 * MIB + 7] = b"changed"
    t.there("middle", bytes(body))


@case("files")
def truncate_an_open_file(t):
    (t.mounted / "cut").write_bytes(b"0123456789")
    t.again()
    with open(t.mounted / "cut", "r+b") as file:
        file.truncate(4)
    t.there("cut", b"0123")


@case("files")
def truncate_by_path(t):
    (t.mounted / "cut").write_bytes(b"0123456789")
    os.truncate(t.mounted / "cut", 4)
    t.there("cut", b"0123")


@case("files")
def mode_and_time(t):
    (t.mounted / "mode").write_bytes(b"x")
    os.chmod(t.mounted / "mode", 0o640)
    os.utime(t.mounted / "mode", (1_700_000_000, 1_700_000_000))
    t.again()
    told = (t.mounted / "mode").stat()
    expect([told.st_mode & 0o777, told.st_mtime], [0o640, 1_700_000_000])


@case("files")
def symbolic_link(t):
    (t.mounted / "target").write_bytes(b"x")
    (t.mounted / "link").symlink_to("target")
    t.again()
    expect([os.readlink(t.mounted / "link"), (t.mounted / "link").read_bytes()], ["target", b"x"])


@case("files")
def remove(t):
    (t.mounted / "gone").write_bytes(b"x")
    (t.mounted / "gone").unlink()
    t.again()
    holds(not (t.mounted / "gone").exists(), "the file is gone")


@case("files")
def of_200_mib(t):
    body = pattern("large", LARGE)
    (t.mounted / "large").write_bytes(body)
    t.there("large", body)


@case("folders")
def listing(t):
    folder = t.mounted / "folder"
    folder.mkdir()
    names = sorted([f"file {n:02}" for n in range(40)])
    for name in names:
        (folder / name).write_bytes(name.encode())
    (folder / "deep").mkdir()
    t.again()
    expect(sorted(os.listdir(folder)), sorted([*names, "deep"]))
    expect({(folder / name).stat().st_size for name in names}, {len(b"file 00")})


@case("folders")
def rename_with_what_is_inside(t):
    (t.mounted / "folder").rename(t.mounted / "moved")
    t.again()
    expect((t.mounted / "moved/file 07").read_bytes(), b"file 07")
    holds(not (t.mounted / "folder").exists(), "the old name is gone")


@case("folders")
def remove_a_tree(t):
    shutil.rmtree(t.mounted / "moved")
    t.again()
    holds("moved" not in os.listdir(t.mounted), "the folder is gone")


@case("mount")
def unmounts(t):
    t.unmount()


if __name__ == "__main__":
    subject = Subject(sys.argv[2])
    if why := usable():
        skip_all(sys.argv[1], subject.version(), why)
    try:
        run(sys.argv[1], subject.version(), subject)
    finally:
        if os.path.ismount(subject.mounted):
            subject.unmount()
