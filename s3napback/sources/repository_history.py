"""What tells a Subversion repository from another one under the same UUID, with the same dates.

Whoever takes something out of a history (``svndumpfilter``) loads the rest into a new repository, and gives it the UUID
and the dates of the old one. A DIFF does not fit what was archived of that one. A repository is known by the number
that each gets when it is created. A hot copy gets another number, too, but the same files.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Iterator
from contextlib import suppress

from s3napback.environment import Family
from s3napback.errors import SourceError
from s3napback.regexes import regex
from s3napback.sources.programs import answer_of
from s3napback.sources.repository_access import Access

_INSTANCE = regex(r"[0-9a-f-]{36}", re.ASCII)
_MOST_BYTES = 200  # of the file: two lines of 37
_PACKED = ".pack"


def instance_of(access: Access, timeout: float | None) -> str:
    """The second line of ``db/uuid``; empty in repositories of Subversion before 1.9.

    Args:
        access: how the repository is reached.
        timeout: in seconds; None waits for ever.
    """
    with suppress(SourceError):
        text = answer_of(
            ("head", f"--bytes={_MOST_BYTES}", posixpath.join(access.name, "db", "uuid")),
            family=Family.PLAIN,
            user=access.user,
            directory=access.directory,
            timeout=timeout,
        )
        lines = text.split("\n")[1:2]
        return next(filter(_INSTANCE.fullmatch, lines), "")
    return ""


def files_sum(repository: str, last: int) -> str:
    """A sum over the sizes of the files that hold a repository's revisions; none of them is opened.

    Args:
        repository: its path, which was looked at.
        last: the revision up to which they count.
    """
    digest = hashlib.sha256()
    with suppress(OSError):
        for name, size in _files(posixpath.join(repository, "db", "revs"), last):
            digest.update(f"{name} {size}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _files(folder: str, last: int) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: (len(entry.name), entry.name))
    for entry in entries:
        if entry.is_dir():
            yield from _files(entry.path, last)
        elif folder.endswith(_PACKED) or (entry.name.isdecimal() and int(entry.name) <= last):
            yield posixpath.join(posixpath.basename(folder), entry.name), entry.stat().st_size
