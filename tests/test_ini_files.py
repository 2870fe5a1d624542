"""What is wrong with a file of sections is told by its line, and never with what stands there."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from s3napback.ini_files import ini_flaw


@pytest.mark.parametrize(
    ("content", "flaw"),
    [
        (b"\xef\xbb\xbf[a]\n", "it begins with a byte order mark; save it without"),
        (b"secret=1\n", "line 1 stands before any [section]"),
        (b"[a]\nM\xfcller=secret\n", "line 2 is not UTF-8; convert the file, for example with iconv"),
        ("[a]\nx=1\n".encode("utf-16"), "line 1 is not UTF-8; convert the file, for example with iconv"),
        (b"[a]\n\nsecret\n", "line 3 is neither NAME=VALUE nor a [section]"),
        (b"[a]\nx=1\n[a]\n", "line 3 begins [a] a second time"),
        (b"[a]\nx=1\nx=secret\n", "line 3 sets x a second time in [a]"),
    ],
)
def test_the_flaw_of_a_file_is_told_without_its_text(content: bytes, flaw: str, tmp_path: Path) -> None:
    (path := tmp_path / "file").write_bytes(content)
    with pytest.raises((configparser.Error, UnicodeDecodeError)) as found:
        configparser.RawConfigParser().read(path, encoding="utf-8")
    assert ini_flaw(found.value) == flaw


def test_what_is_no_flaw_of_such_a_file_is_none() -> None:
    assert not ini_flaw(ValueError("x"))
