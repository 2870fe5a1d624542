"""Subversion repositories with something of everything, and plain tools to load and compare them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8"}


def command(*words: str | Path, data: bytes | None = None, expect: int = 0) -> bytes:
    """Run a tool of Subversion and return what it prints."""
    done = subprocess.run([str(each) for each in words], input=data, capture_output=True, env=ENVIRONMENT, check=False)
    assert done.returncode == expect, done.stderr.decode(errors="replace")
    return done.stdout


class Repository:
    """A repository on disk.

    Attributes:
        path: its folder.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
            command("svnadmin", "create", path)

    def commit(self, message: str, *actions: Sequence[str | Path]) -> None:
        """Make one revision of ``svnmucc``'s actions: ``mkdir``, ``put``, ``cp``, ``mv``, ``rm``, ``propset``."""
        words = [str(word) for action in actions for word in action]
        command("svnmucc", "--non-interactive", "-U", self.path.as_uri(), "-m", message, "-u", "zoë", *words)

    def commit_nothing(self) -> None:
        """Make a revision without content or properties, as filtered histories have them."""
        header = "SVN-fs-dump-format-version: 2\n\nRevision-number: 1\n"
        properties = "Prop-content-length: 10\nContent-length: 10\n\nPROPS-END\n\n"
        self.load((header + properties).encode())

    def load(self, dump: bytes) -> None:
        """Load a dump, or several that continue each other."""
        command("svnadmin", "load", "--quiet", "--force-uuid", "--bypass-prop-validation", self.path, data=dump)

    def dump(self, *, deltas: bool = False) -> bytes:
        """All of it as text that is the same for equal repositories."""
        return command("svnadmin", "dump", "--quiet", *(["--deltas"] if deltas else []), self.path)

    @property
    def youngest(self) -> int:
        return int(command("svnlook", "youngest", self.path))

    @property
    def uuid(self) -> str:
        return command("svnlook", "uuid", self.path).decode().strip()

    def copy(self, path: Path) -> Repository:
        """A copy as ``svnadmin hotcopy`` makes it, with the same UUID."""
        command("svnadmin", "hotcopy", self.path, path)
        return Repository(path, create=False)


def add_odd_properties(repository: Repository) -> None:
    """One revision as older versions made them: CRLF and Latin-1 where Subversion now wants neither."""
    message, ignore = b"Latin-1: \xe4\r\n", b"*.o\r\n*.a\r\n"
    number = repository.youngest + 1
    # A dump with --deltas keeps nothing of a property that was set to the value which it had.
    ignore += b"%d\n" % number
    revision = _properties({b"svn:log": message, b"svn:author": b"zo\xeb", b"svn:date": b"2001-02-30T00:00:00.000000Z"})
    node = _properties({b"svn:ignore": ignore, b"custom": bytes(range(1, 256))})
    repository.load(
        b"SVN-fs-dump-format-version: 2\n\nRevision-number: %d\n%s\n\n" % (number, revision)
        + b"Node-path: trunk\nNode-kind: dir\nNode-action: change\n%s\n\n" % node
    )


def _properties(values: dict[bytes, bytes]) -> bytes:
    pairs = [b"K %d\n%s\nV %d\n%s\n" % (len(key), key, len(value), value) for key, value in values.items()]
    text = b"".join(pairs) + b"PROPS-END\n"
    return b"Prop-content-length: %d\nContent-length: %d\n\n%s" % (len(text), len(text), text)


def begin(path: Path, scratch: Path) -> Repository:
    """A repository of five revisions: text, a binary file, a rename with a change, properties, nothing."""
    made = Repository(path)
    text, binary, changed = scratch / "text", scratch / "binary", scratch / "changed"
    scratch.mkdir(exist_ok=True)
    text.write_text("one\ntwo\nthree – drei\n" * 100)
    binary.write_bytes(bytes(range(256)) * 400 + os.urandom(50_000))
    changed.write_text("one\nTWO\nthree – drei\n" * 100)
    made.commit("Anfang: „ä“", ("mkdir", "trunk"), ("mkdir", "branches"), ("put", text, "trunk/grüße 数.txt"))
    made.commit("binary\nand a second line", ("put", binary, "trunk/data @ 1.bin"))
    made.commit("renamed", ("mv", "trunk/grüße 数.txt", "trunk/-moved"), ("put", changed, "trunk/-moved"))
    made.commit(
        "branch", ("cp", "HEAD", "trunk", "branches/one"), ("propset", "svn:eol-style", "native", "trunk/-moved")
    )
    made.commit_nothing()
    note = scratch / "note"
    note.write_bytes("geändert\n".encode())
    command("svnadmin", "setrevprop", path, "-r", "2", "reviewed-by", note)
    return made


def grow(repository: Repository, scratch: Path, night: int) -> None:
    """Three more revisions: a changed binary and a new folder, a rename on the branch, nothing."""
    binary = scratch / f"binary-{night}"
    binary.write_bytes(os.urandom(20_000))
    repository.commit(f"night {night}", ("put", binary, "trunk/data @ 1.bin"), ("mkdir", f"trunk/night {night}"))
    name, former = f"branches/{night}", "branches/one" if night == 1 else f"branches/{night - 1}"
    repository.commit("moved", ("mv", former, name), ("rm", f"trunk/night {night}"))
    repository.commit_nothing()


MERGEINFO = ("/trunk:1-3", "/trunk:1-99", "/trunk:1-5", "/trunk:2-3*", "/trunk:4*", "/trunk/none:2,4-5*,7")
"""Of revisions before the DIFF, within it, and such as there are none."""


def merge(repository: Repository, night: int) -> None:
    """Revisions with every shape of svn:mergeinfo, and what invalid properties the next commits carry along."""
    for number, value in enumerate(MERGEINFO):
        folder = f"merged {night} {number}"
        repository.commit(f"merge {number}", ("mkdir", folder), ("propset", "svn:mergeinfo", value, folder))
