"""S3Keyfile: the credentials for S3, in a file of their own."""

from __future__ import annotations

import stat
from pathlib import Path

from s3napback.config.reading import UnreadableFileError, read_text_and_status
from s3napback.config.settings import Credentials
from s3napback.errors import UnusableConfiguration
from s3napback.records import dataclass
from s3napback.regexes import regex

_LINE = regex(r"\s*(?P<name>[A-Za-z]+)\s*[=:]\s*(?P<value>.*?)\s*")
_NAMES = ("key", "secret", "token")


class UnusableKeyFile(UnusableConfiguration):
    """S3Keyfile cannot be read or lacks an entry. The message names file and line, and never shows what is in them."""


@dataclass(frozen=True)
class KeyFile:
    """An S3Keyfile that can be used.

    Attributes:
        credentials: what it holds.
        warning: what is wrong with the file's permissions; empty if nothing.
    """

    credentials: Credentials
    warning: str = ""


def read_key_file(path: Path) -> KeyFile:
    """Read ``key=``, ``secret=`` and, if there is one, ``token=``.

    Blanks around names and values do not count, empty lines and lines that begin with ``#`` are passed over. A value
    may stand in quotes. As in the properties of Java, by which js3tream read it, a colon does for ``=``, and ``!`` for
    ``#``.

    Raises:
        UnusableKeyFile: unreadable, others can change it, an entry missing, given twice or unknown.
    """
    try:
        text, status = read_text_and_status(path)
    except UnreadableFileError as error:
        raise UnusableKeyFile(f"S3Keyfile {path} {error}") from error
    entries = _entries(path, text)
    missing = [name for name in ("key", "secret") if not entries.get(name)]
    if missing:
        raise UnusableKeyFile(f"S3Keyfile {path} has no entry “{missing[0]}=…”")
    open_to_others = stat.S_IMODE(status.st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
    warning = f"S3Keyfile {path} is open to others; protect it with: chmod 600 {path}" if open_to_others else ""
    return KeyFile(Credentials(entries["key"], entries["secret"], entries.get("token", "")), warning)


def _entries(path: Path, text: str) -> dict[str, str]:
    entries: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(("#", "!")):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise UnusableKeyFile(f"{path}:{number}: this line is not of the form “key=…”, “secret=…” or “token=…”")
        name = match["name"].lower()
        # Only names that are expected are shown: anything else in this file may be a secret.
        if name not in _NAMES:
            raise UnusableKeyFile(f"{path}:{number}: the only entries of an S3Keyfile are key, secret and token")
        if name in entries:
            raise UnusableKeyFile(f"{path}:{number}: “{name}=” is given a second time")
        entries[name] = _unquoted(match["value"])
    return entries


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
