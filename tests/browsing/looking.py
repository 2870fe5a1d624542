"""What the commands that look into archives say, asked within this process."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from s3napback.commands import diff, find, history, ls
from s3napback.commands.looking import LookRequest, Output, OutputForm
from s3napback.config.loading import load_configuration
from s3napback.recovery.paths import NoSuchPath
from tests.site import Site

TODAY = date(2027, 1, 1)
_TYPES = {
    "file": stat.S_IFREG,
    "folder": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "pipe": stat.S_IFIFO,
    "character device": stat.S_IFCHR,
    "block device": stat.S_IFBLK,
}

Seen = tuple[int, int, int, int, int, str]
"""Type and permissions, owners, bytes of a file or link, time in nanoseconds, what a link says."""


class Caught:
    """Takes what a command shows."""

    def __init__(self, layout: OutputForm) -> None:
        self.lines: list[str] = []
        self.data = b""
        self.output = Output(layout, self._say, self._write)

    def _say(self, *lines: str) -> None:
        self.lines += lines

    def _write(self, data: bytes) -> None:
        self.data += data

    @property
    def document(self) -> Any:
        return json.loads("\n".join(self.lines))


def listed(site: Site, at: str, path: str = "", *, is_deep: bool = True) -> list[dict[str, Any]]:
    """The entries that ``ls`` tells of a day, as JSON."""
    caught = Caught(OutputForm.JSON)
    request = LookRequest(str(site.source), at)
    ls.show(load_configuration(site.configuration), request, (path, is_deep), TODAY, caught.output)
    entries: list[dict[str, Any]] = caught.document["entries"]
    return entries


def seen(entries: Sequence[dict[str, Any]], top: Path) -> dict[str, Seen]:
    """The same by path relative to the source; what would not come back is left out."""
    found = {}
    for each in entries:
        if "type" in each:
            name = os.path.relpath(_path(each), top)
            mode = _TYPES[each["type"]] | int(each["mode"], 8)
            said = (each["modified_ns"], each.get("target", ""))
            found[name] = (mode, each["user"], each["group"], each.get("size", 0), *said)
    return found


def tree_as_seen(root: Path) -> dict[str, Seen]:
    """What a tree on disk is, in the same form, without its top."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            status = path.lstat()
            is_link = stat.S_ISLNK(status.st_mode)
            size = status.st_size if is_link or stat.S_ISREG(status.st_mode) else 0
            target = os.fsencode(path.readlink()).decode("utf-8", "replace") if is_link else ""
            owners = (status.st_uid, status.st_gid)
            found[str(path.relative_to(root))] = (status.st_mode, *owners, size, status.st_mtime_ns, target)
    return found


def different(site: Site, old: str, new: str) -> dict[str, str]:
    """What ``diff`` tells: of each path relative to the source what became of it."""
    caught = Caught(OutputForm.JSON)
    request = LookRequest(str(site.source))
    diff.show(load_configuration(site.configuration), request, [old, new], TODAY, caught.output)
    return {os.path.relpath(_path(each), site.source): each["change"] for each in caught.document["differences"]}


def difference_of(old: dict[str, Seen], new: dict[str, Seen]) -> dict[str, str]:
    """The same of two trees on disk; a folder's time is left out."""
    found = dict.fromkeys(new.keys() - old.keys(), "added") | dict.fromkeys(old.keys() - new.keys(), "removed")
    for name in old.keys() & new.keys():
        if stat.S_IFMT(old[name][0]) != stat.S_IFMT(new[name][0]):
            found[name] = "of another type"
        elif old[name] != new[name] and (not stat.S_ISDIR(new[name][0]) or old[name][:4] != new[name][:4]):
            found[name] = "changed"
    return found


def found(site: Site, pattern: str) -> dict[str, dict[str, Seen]]:
    """What ``find`` tells: by the keys of archives, what was there of what fits."""
    caught = Caught(OutputForm.JSON)
    request = LookRequest(str(site.source))
    with suppress(NoSuchPath):
        find.show(load_configuration(site.configuration), request, pattern, TODAY, caught.output)
    by_key: dict[str, dict[str, Seen]] = {}
    for match in caught.document["matches"]:
        for version in match["versions"]:
            for key in version["archives"]:
                by_key.setdefault(key, {}).update(seen([version], site.source))
    return by_key


def history_of(site: Site, name: str) -> dict[str, Seen | None]:
    """What ``history`` tells of a path: by the keys of archives, what it was."""
    caught = Caught(OutputForm.JSON)
    path = str(site.source / name)
    history.show(load_configuration(site.configuration), LookRequest(str(site.source)), path, TODAY, caught.output)
    return {
        archive["archive"]: next(iter(seen([stage], site.source).values()), None)
        for stage in caught.document["history"]
        for archive in stage["archives"]
    }


def _path(each: dict[str, Any]) -> str:
    return os.fsdecode(bytes.fromhex(each["path_hex"]) if "path_hex" in each else each["path"].encode())
