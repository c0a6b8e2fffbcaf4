"""Client programs: run with the credentials in their environment and nothing of this user's own."""

import os
import pathlib
import subprocess
import tempfile

from material import ACCESS_KEY, REGION, SECRET_KEY
from outcomes import short

PATIENCE = 120


class Program:
    """One program in a folder of its own, which is its home and where it runs."""

    def __init__(self, *line, **environment):
        self.line = [str(word) for word in line]
        self.folder = tempfile.TemporaryDirectory(prefix="cairn-client-")
        self.home = pathlib.Path(self.folder.name)
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": "", **environment,
        }

    def write(self, name, body):
        """A file of the folder; gives its name."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return name

    def write_old(self, name, body):
        """The same, last changed years ago: a sync takes a file younger than its object for changed."""
        os.utime(self.home / self.write(name, body), (1_600_000_000, 1_600_000_000))

    def read(self, name):
        return (self.home / name).read_bytes()

    def ended(self, *arguments, body=None):
        """(exit code, standard output, standard error) of the program with these arguments."""
        done = subprocess.run(
            [*self.line, *map(str, arguments)], cwd=self.home, env=self.environment,
            input=body, stdin=None if body is not None else subprocess.DEVNULL,
            capture_output=True, timeout=PATIENCE, check=False,
        )
        return done.returncode, done.stdout, done.stderr.decode(errors="replace")

    def bytes_of(self, *arguments, body=None):
        """Standard output of a run that must end well."""
        code, out, err = self.ended(*arguments, body=body)
        if code != 0:
            raise AssertionError(f"{short(' '.join(map(str, arguments)))} ended with {code}: {short(err)}")
        return out

    def run(self, *arguments, body=None):
        """The same as text."""
        return self.bytes_of(*arguments, body=body).decode(errors="replace")

    def refused(self, *arguments, words):
        """The run fails and says each of these words."""
        code, out, err = self.ended(*arguments)
        said = out.decode(errors="replace") + err
        if code == 0:
            raise AssertionError(f"not refused: {short(' '.join(map(str, arguments)))}")
        missing = [word for word in words if word not in said]
        if missing:
            raise AssertionError(f"does not say {missing}: {short(said)}")
