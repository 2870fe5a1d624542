"""What lies beside an SQLite database, or should: the files that belong to it.

SQLite finds them by the database's name, and trusts what it finds, and what it does not find as well. So a look is
taken before it: a log or journal that cannot be used is named, a log that must lie elsewhere is noticed, and a journal
is left alone of which only what is out of sight here could tell whether it still counts.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import time
from contextlib import suppress

from s3napback.environment import user_of
from s3napback.errors import SourceError
from s3napback.records import dataclass

_ENDS = ("-wal", "-journal", "-shm")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

# The bytes that whoever reads a database locks (``SHARED_FIRST`` and ``SHARED_SIZE`` of SQLite's os.h)
_FIRST_OF_READERS = 0x40000002
_COUNT_OF_READERS = 510
_LOCK = struct.Struct("@hhqqi")
_OPENING = 5.0  # seconds: a program holds the lock for a moment before it makes its log, and after it removes it
_PAUSE = 0.1

_JOURNAL = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
"""Begins a journal that counts, and ends one that names a super-journal (SQLite's "Database File Format", 3)."""

_END_OF_SUPER_JOURNAL = struct.Struct(">II8s")
_LONGEST_NAME = 4096


def require_files(source: str, path: str) -> None:
    """Let nothing lie there that SQLite would wait for without end, or could not read.

    Args:
        source: the database, as it can be reached.
        path: the same, as it is called.

    Raises:
        SourceError: something does.
        OSError: it cannot be looked at.
    """
    for end in _ENDS:
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(os.lstat(source + end).st_mode):
                raise SourceError(f"{path}{end} is no file, and no part of a database; remove it")
            if not os.access(source + end, os.R_OK):
                raise SourceError(
                    f"{path}{end} cannot be read by {user_of(os.geteuid())}, and is a part of the database: give it "
                    "the owner and the permissions that the database has"
                )


def require_own_log(source: str, path: str) -> None:
    """Let the log of a database that is in WAL mode, and has none under this name, lie under no other one.

    The look is over when SQLite opens the database: to close a file gives up all locks of a process.

    Raises:
        SourceError: a program has the database open by another name.
        OSError: it cannot be opened.
    """
    descriptor = os.open(source, _READ)
    try:
        until = time.monotonic() + _OPENING
        while _is_locked(descriptor) and not os.path.lexists(f"{source}-wal"):
            if time.monotonic() > until:
                raise SourceError(
                    f"{path} is in use by another name, as through a hard link, from a container that has this file "
                    "alone, or since it was renamed: a program has it open, and its write-ahead log is not beside it. "
                    "Name the database as that program does, or start the program anew"
                )
            time.sleep(_PAUSE)
    finally:
        os.close(descriptor)


def require_no_super_journal(source: str, path: str) -> None:
    """Let no journal be rolled back, or be thrown away, over which a super-journal decides that is not in sight.

    A transaction over several databases (``ATTACH``) is committed when the super-journal is removed that all of their
    journals name by its path. To SQLite one that it does not see is removed; it then deletes the journal.

    Raises:
        SourceError: there is such a journal.
        OSError: it cannot be read.
    """
    name = _super_journal(f"{source}-journal")
    if name and not os.path.lexists(name):
        raise SourceError(
            f"{path} was left in the midst of a transaction over several databases: its journal counts only together "
            f"with {os.fsdecode(name)}, which cannot be looked at from here. Let the program that writes to it open it "
            "once"
        )


@dataclass(frozen=True)
class Rest:
    """How a database was found that nobody had in use: whoever writes to it changes one of these.

    Attributes:
        size: of its file, in bytes.
        times: when its content and its attributes were changed last, in nanoseconds.
        place: where the file is: the number of its device, and its own.
    """

    size: int
    times: tuple[int, int]
    place: tuple[int, int]


def rest_of(source: str) -> Rest | None:
    """How a database lies there by itself; None if something beside it belongs to it.

    Raises:
        OSError: it cannot be looked at.
    """
    if any(os.path.lexists(f"{source}{end}") for end in ("-wal", "-journal")):
        return None
    status = os.lstat(source)
    return Rest(status.st_size, (status.st_mtime_ns, status.st_ctime_ns), (status.st_dev, status.st_ino))


def require_still(rest: Rest, source: str, path: str) -> None:
    """Let a database be as it was found before it was read without a lock.

    Raises:
        SourceError: somebody has begun to write to it.
        OSError: it cannot be looked at.
    """
    if rest_of(source) != rest:
        raise SourceError(
            f"{path} was written to while it was copied without a lock, because nothing can be made in its folder; the "
            "next run tries it again"
        )


def _is_locked(descriptor: int) -> bool:
    question = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _FIRST_OF_READERS, _COUNT_OF_READERS, 0)
    kind = _LOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, question))[0]
    return bool(kind != fcntl.F_UNLCK)


def _super_journal(journal: str) -> bytes:
    """The super-journal that a journal names (``writeSuperJournal`` of SQLite's pager.c); empty if it names none."""
    try:
        file = os.fdopen(os.open(journal, _READ), "rb")
    except FileNotFoundError:
        return b""
    with file:
        if file.read(len(_JOURNAL)) != _JOURNAL:
            return b""
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LONGEST_NAME - _END_OF_SUPER_JOURNAL.size))
        tail = file.read()
    rest, end = tail[: -_END_OF_SUPER_JOURNAL.size], tail[-_END_OF_SUPER_JOURNAL.size :]
    length, _, mark = _END_OF_SUPER_JOURNAL.unpack(end.rjust(_END_OF_SUPER_JOURNAL.size, b"\0"))
    return rest[-length:] if mark == _JOURNAL and 0 < length <= len(rest) else b""
