from __future__ import annotations

from pathlib import Path

import pytest

from s3napback.config.key_file import KeyFile, UnusableKeyFile, read_key_file
from s3napback.config.settings import Credentials


def write(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "key.txt"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"key=AKID\nsecret=s3c/r+t=\n",
        b"\xef\xbb\xbf# mine\r\n key = AKID \r\n\r\nSecret =\ts3c/r+t= \r\n",
        b"secret='s3c/r+t='\nkey=\"AKID\"",
        b"! of js3tream\nkey: AKID\nsecret : s3c/r+t=\n",
    ],
)
def test_key_and_secret_are_read_however_they_are_spaced(tmp_path: Path, content: bytes) -> None:
    assert read_key_file(write(tmp_path, content)) == KeyFile(Credentials("AKID", "s3c/r+t="))


def test_a_token_is_optional(tmp_path: Path) -> None:
    assert read_key_file(write(tmp_path, b"key=a\nsecret=b\ntoken=c==\n")) == KeyFile(Credentials("a", "b", "c=="))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_open_to_others_gives_a_warning(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path, b"key=a\nsecret=b\n", mode)
    assert read_key_file(path).warning == f"S3Keyfile {path} is open to others; protect it with: chmod 600 {path}"


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(KeyFile(Credentials("AKID", "hidden", "hidden too")))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "has no entry “key=…”"),
        (b"key=AKID\n", "has no entry “secret=…”"),
        (b"key=AKID\nsecret=\n", "has no entry “secret=…”"),
        (b"key=AKID\nSEKRIT\n", ":2: this line is not of the form"),
        (b"key=AKID\n\nSEKRIT=x\n", ":3: the only entries"),
        (b"key=AKID\nsecret=SEKRIT\nsecret=SEKRIT\n", ":3: “secret=” is given a second time"),
        (b"key=AKID\nsecret=\xffSEKRIT\n", "line 2 is not UTF-8"),
        (b"\0SEKRIT", "NUL bytes"),
    ],
)
def test_a_bad_file_is_named_and_its_contents_are_not_shown(tmp_path: Path, content: bytes, problem: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(UnusableKeyFile) as raised:
        read_key_file(path)
    assert problem in str(raised.value)
    assert str(path) in str(raised.value)
    assert "SEKRIT" not in str(raised.value)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("name", ["absent.txt", "", "x" * 300])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnusableKeyFile, match=r"cannot be read|is not a regular file"):
        read_key_file(tmp_path / name)
