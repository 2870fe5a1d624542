"""What tar's lines mean. The lines are tar 1.34's own, but for those that need a rare fault."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from s3napback.sources.tar_messages import Meaning, Said, understood
from tests.sources.trees import ODD_NAMES


@pytest.mark.parametrize("call", ["open", "stat", "read", "savedir", "readlink", "close", "seek to 512"])
def test_one_thing_that_could_not_be_read(call: str) -> None:
    said = understood(f"tar: home/user/file: Cannot {call}: Input/output error".encode())
    assert said == Said(Meaning.LEFT_OUT, b"home/user/file", call.encode(), b"Input/output error")


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        (b"tar: a/b: Read error at byte 0, while reading 512 bytes: Input/output error", Meaning.CUT),
        (b"tar: a/b: Read error at byte 1, while reading 1 byte: Input/output error", Meaning.CUT),
        (b"tar: a/b: Warning: Cannot open: Permission denied", Meaning.LEFT_OUT),
        (b"tar: a/b: Unknown file type; file ignored", Meaning.LEFT_OUT),
        (b"tar: a/b: File removed before we read it", Meaning.REMOVED),
        (b"tar: a/b: file changed as we read it", Meaning.REMARK),
        (b"tar: a/b: File shrank by 1 byte; padding with zeros", Meaning.SHRANK),
        (b"tar: a/b: socket ignored", Meaning.REMARK),
        (b"tar: a/b: Warning: Cannot flistxattr: Permission denied", Meaning.BARE),
        (b"tar: a/b: Warning: Cannot file_has_acl_at: File name too long", Meaning.BARE),
        (b"tar: a/b: Cannot utime: Operation not permitted", Meaning.TOUCHED),
        (b"tar: a/b: Warning: Cannot frobnicate: Permission denied", Meaning.REMARK),
        (b"tar: a/b/: contains a cache directory tag CACHEDIR.TAG; contents not dumped", Meaning.REMARK),
        (b"tar: Exiting with failure status due to previous errors", Meaning.REMARK),
        (b"/opt/bin/tar: Exiting with failure status due to previous errors", Meaning.REMARK),
        (b"Total bytes written: 10240 (10KiB, 36MiB/s)", Meaning.REMARK),
        (b"tar: -: Cannot write: Broken pipe", Meaning.SERIOUS),
        (b"tar: -: Wrote only 4096 of 10240 bytes", Meaning.SERIOUS),
        (b"tar: Error is not recoverable: exiting now", Meaning.SERIOUS),
        (b"tar: memory exhausted", Meaning.SERIOUS),
        (b"tar: a/b: Cannot hard link to 'x: Cannot open': Permission denied", Meaning.SERIOUS),
        (b"tar: a/b: Cannot write: tar: a/b: Cannot open: Permission denied", Meaning.SERIOUS),
        (b"tar: a/b: Cannot open: ", Meaning.SERIOUS),
        (b"tar: a/b: Cannot open: x: Permission denied", Meaning.SERIOUS),
        (b"tar: a/b: Cannot opendir: Permission denied", Meaning.SERIOUS),
        (b"a/b: Cannot open: Permission denied", Meaning.SERIOUS),
        (b"tar: a:b: Cannot open: Permission denied", Meaning.SERIOUS),
        (b"", Meaning.SERIOUS),
        (b"Segmentation fault", Meaning.SERIOUS),
    ],
)
def test_meanings(line: bytes, meaning: Meaning) -> None:
    assert understood(line).meaning is meaning


@pytest.mark.parametrize("name", [*ODD_NAMES, "a: Cannot open: b", "end\\", "\\: x", "bell\a", "\x7f\x1b[2J"])
def test_names_are_understood_as_real_tar_quotes_them(name: str, tmp_path: Path) -> None:
    command = ["tar", "-c", "--no-unquote", "--quoting-style=escape", "-f", "-", "--", f"none/{name}"]
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    first = done.stderr.splitlines()[0]
    assert understood(first) == Said(
        Meaning.LEFT_OUT, os.fsencode(f"none/{name}"), b"stat", b"No such file or directory"
    )
