"""What lies under a name that tar takes is looked at, whatever else in its folder is as it was."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from s3napback.index.comparing import Comparison, Looks
from s3napback.index.database import NewIndex
from s3napback.index.parent import ParentIndex
from s3napback.index.records import NOBODYS, STORED, UNREAD, Part, Record
from s3napback.index.walking import Walk

LISTED = b"Nkept\0Yread\0\0"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    top.mkdir()
    (top / "kept").write_text("as it was")
    return top


def record(path: Path) -> Record:
    found = path.stat()
    kind = (found.st_mode, found.st_uid, found.st_gid)
    return kind, found.st_size, *divmod(found.st_mtime_ns, 1_000_000_000)


def judged(top: Path, folder: Path) -> tuple[list[tuple[bytes, bytes]], dict[bytes, bytes], list[bytes]]:
    """Letters that change, letters in the new index, and names that are to be taken; of a parent that lacks ``read``.

    An older archive holds what lies under ``read`` as ``e/other``, too.
    """
    with NewIndex(folder / "parent", folder / "parent.links") as before:
        before.add(b"", Part([STORED + b"kept", UNREAD + b"read"], [record(top / "kept")]))
        before.finish()
    with (
        ParentIndex(folder / "parent") as parent,
        NewIndex(folder / "new", folder / "new.links") as new,
        Walk(str(top), follows=False) as walk,
    ):
        comparison = Comparison(walk, Looks(), new, parent)
        found = [(each.name, each.letter) for each in comparison.judge(b"", b"top/", LISTED, (0, len(LISTED)))]
        inode = (top / "read").stat()
        new.note_name((inode.st_dev, inode.st_ino), b"top/e/", b"other", is_kept=True)
        taken = sorted(new.names_of_taken())
        new.finish()
    with ParentIndex(folder / "new") as known:
        part = known.part(b"", b"kept")[0]
    return found, {entry[1:]: entry[:1] for entry in part.entries}, taken


def test_what_could_not_be_read_and_is_a_socket_by_now_is_no_more_awaited(top: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(top / "read"))
        found, letters, _ = judged(top, tmp_path)
    assert found == [(b"top/read", b"D")]
    assert letters == {b"kept": STORED, b"read": NOBODYS}


def test_what_could_not_be_read_and_has_another_name_by_now_is_archived_with_that(top: Path, tmp_path: Path) -> None:
    (top / "read").write_text("now it can be")
    (top / "e").mkdir()
    os.link(top / "read", top / "e" / "other")
    found, letters, taken = judged(top, tmp_path)
    assert (found, taken) == ([], [b"top/e/other", b"top/read"])
    assert letters == {b"kept": STORED, b"read": UNREAD}
