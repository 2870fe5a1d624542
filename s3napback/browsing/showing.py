"""What was found as text: lines for people and for pipes, and JSON. Pure, but for the time zone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache

from s3napback.browsing.nodes import IS_FOLDER, IS_SYMLINK, MISSING, OLDER, Node
from s3napback.formatting import human_bytes, printable

UNREAD_THEN = "could not be read that night, was gone, or is a socket"
FROM_OLDER = "not read that night, or left out: this is from an older archive"
"""Of a folder that tar does not enter, since a tag lies in it, tar writes what it writes of one that cannot be read."""


def text_of_name(name: bytes) -> str:
    """A name on one line that nothing obeys."""
    return printable(name.decode("utf-8", "surrogateescape"))


@lru_cache(4096)
def permissions_text(letter: str, mode: int) -> str:
    """Type and permissions as ``ls -l`` writes them."""
    letters = ["rwx"[place % 3] if mode >> (8 - place) & 1 else "-" for place in range(9)]
    for place, bit, (both, alone) in ((2, 0o4000, "sS"), (5, 0o2000, "sS"), (8, 0o1000, "tT")):
        if mode & bit:
            letters[place] = both if letters[place] == "x" else alone
    return letter + "".join(letters)


def time_text(seconds: int, nanoseconds: int, *, is_exact: bool) -> str:
    """A time in local time: to the minute, or to the nanosecond with its zone."""
    return _time_form(seconds, is_exact=is_exact).replace("N", f"{nanoseconds:09}")


@lru_cache(4096)
def _time_form(seconds: int, *, is_exact: bool) -> str:
    try:
        moment = datetime.fromtimestamp(seconds, timezone.utc).astimezone()
    except (ValueError, OverflowError, OSError):
        return f"@{seconds}"
    return f"{moment:%Y-%m-%d %H:%M:%S}.N{moment:%z}" if is_exact else f"{moment:%Y-%m-%d %H:%M}"


def size_text(node: Node, *, is_exact: bool) -> str:
    """Bytes of a file or link; a device's numbers; nothing of others."""
    if node.letter in "cb" and node.more:
        return node.more.decode("ascii", "replace").replace(" ", ", ")
    if node.letter not in "-l":
        return "-"
    return f"{node.size}" if is_exact else human_bytes(node.size).replace(" bytes", " B")


def columns(node: Node, *, is_exact: bool) -> str:
    """Type, permissions, owners, size, time; each column of a width that most fit into."""
    if node.state == MISSING:
        return f"?---------  {UNREAD_THEN}"
    mode = permissions_text(node.letter, node.mode)
    owners = f"{node.owner}:{node.group}"
    time = time_text(node.seconds, node.nanoseconds, is_exact=is_exact)
    return f"{mode}  {owners:<9}  {size_text(node, is_exact=is_exact):>{12 if is_exact else 7}}  {time}"


def line_of(node: Node, shown: bytes, *, is_exact: bool) -> str:
    """A name with what it is.

    Args:
        shown: the name, or the path; empty where it stands elsewhere.
        is_exact: sizes in bytes and times to the nanosecond.
    """
    name = text_of_name(shown)
    if name and node.letter == IS_FOLDER and node.state != MISSING and not name.endswith("/"):
        name += "/"
    if node.letter == IS_SYMLINK:
        name += f" -> {text_of_name(node.more)}"
    remark = f"({FROM_OLDER})" if node.state == OLDER else ""
    return "  ".join(filter(None, (columns(node, is_exact=is_exact), name, remark)))


_TYPES = {"-": "file", "d": "folder", "l": "symlink", "c": "character device", "b": "block device", "p": "pipe"}


def json_of_path(path: bytes, key: str = "path") -> dict[str, object]:
    """A path; where it is not UTF-8, its bytes in hexadecimal as well."""
    text = path.decode("utf-8", "replace")
    return {key: text} if text.encode() == path else {key: text, f"{key}_hex": path.hex()}


def json_of(node: Node, path: bytes) -> dict[str, object]:
    """A name with what it is, for JSON."""
    found: dict[str, object] = json_of_path(path)
    if node.state == MISSING:
        return {**found, "unread": True}
    found |= {
        "type": _TYPES[node.letter],
        "mode": f"{node.mode:04o}",
        "user": node.owner,
        "group": node.group,
        "modified": _json_time(node),
        "modified_ns": node.seconds * 1_000_000_000 + node.nanoseconds,
    }
    if node.letter in "-l":
        found["size"] = node.size
    if node.letter == IS_SYMLINK:
        found |= json_of_path(node.more, "target")
    elif node.more:
        found["device"] = node.more.decode("ascii", "replace")
    if node.state == OLDER:
        found["unread"] = True
    return found


def _json_time(node: Node) -> str | None:
    try:
        moment = datetime.fromtimestamp(node.seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{node.nanoseconds:09}Z"


def json_line(value: Mapping[str, object]) -> str:
    """A document, or a part of one, on one line of ASCII."""
    return json.dumps(value)
