"""Data files of databases in a tree that is archived while their servers write to them: what tells of them.

tar copies such files piece by piece, so that what it gets belongs to no one moment, and often cannot be opened. Nothing
is looked for: names in tar's own lists of folders tell, as they pass, and once a run the kernel's lists of processes
and of locks (proc(5); of others' processes only root sees what they have open). Every program with SQLite holds a lock
while it writes, and with a write-ahead log (WAL) all the time; servers work in the folder of their data.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from s3napback.config.settings import Job
from s3napback.crews import NoThread, begin, carry_out, result_of
from s3napback.formatting import counted, printable
from s3napback.kinds import MYSQL, POSTGRESQL, SQLITE, kind_of
from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.streams.transformations import Block, Transform

_MAGIC = b"SQLite format 3\0"
_LIKELY = (".db", ".db3", ".sqlite", ".sqlite3", ".s3db")
_LOG = "-wal"
_LOCK = regex(rb"POSIX +\S+ +\S+ +([0-9]+) ")
_WILDCARD = regex(r"[*?\[\\]")
_SIGNS = (b"-wal\0", b"-journal\0", b"ibtmp1\0", b"postmaster.pid\0")
_LOGS = (b"-wal", b"-journal")
_PAIRS = ((MYSQL.name, b"ibtmp1", b"ibdata1"), (POSTGRESQL.name, b"postmaster.pid", b"PG_VERSION"))
MOST = 1000
"""So many are remembered of one directory."""
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True, order=True)
class Data:
    """Something that a database's server, or a program with SQLite, seems to have in use.

    Attributes:
        kind: of the source that would do it right.
        path: of an SQLite database, or of the folder in which a server's files lie.
    """

    kind: str
    path: str


def has_signs(data: bytes | bytearray, start: int, end: int) -> bool:
    """Whether names between two places tell anything, quickly: a folder may hold millions."""
    for sign in _SIGNS:  # noqa: SIM110 - a generator takes twice as long, and there may be a million folders
        if data.find(sign, start, end) >= 0:
            return True
    return False


def named_in(folder: bytes, entries: bytes) -> list[Data]:
    """What the names in a folder tell.

    Args:
        folder: its path as a member of the archive, without a slash at its end.
        entries: tar's list of it: a letter and a name each, ended by a zero byte.
    """
    if not has_signs(entries, 0, len(entries)):
        return []
    path = f"/{os.fsdecode(folder)}" if folder != b"." else ""
    names = {entry[1:] for entry in entries.split(b"\0")}
    bases = {name.removesuffix(log) for log in _LOGS for name in names if name.endswith(log)}
    found = [Data(SQLITE.name, f"{path}/{os.fsdecode(base)}") for base in bases if base in names]
    return found + [Data(kind, path or "/") for kind, sign, other in _PAIRS if sign in names and other in names]


@dataclass
class DatabasesInUse:
    """What is in use on this machine, looked up once, and what of it a configuration dumps rightly anyway.

    Attributes:
        jobs: all of the configuration.
    """

    jobs: Sequence[Job] = ()

    @property
    def seen(self) -> frozenset[Data]:
        """What processes may have in use now, or had at the first time of asking."""
        return result_of(self._look)

    @cached_property
    def _look(self) -> Future[frozenset[Data]]:
        try:
            return begin(_seen, "databases in use")
        except NoThread:
            done: Future[frozenset[Data]] = Future()
            carry_out(done, _seen)
            return done

    def beside(self, transform: Transform) -> Transform:
        """The same, which begins to look what is in use when it begins itself: tar has not written anything then.

        The kernel takes some 20 ms to bring all that have locks to rest, which what tar writes need not wait for.
        """

        def looking(blocks: Iterator[memoryview]) -> Iterator[Block]:
            _ = self._look
            return transform(blocks)

        return looking

    def warnings(self, job: Job, named: Iterable[Data]) -> list[str]:
        """What to say of one directory, a line for each kind.

        Args:
            job: the directory's.
            named: what names in it have told.
        """
        start = job.target.rstrip("/") + "/"
        found = {each for each in (*named, *self._seen_below(start)) if not self._is_cared_for(each, job)}
        by_kind: dict[str, list[str]] = {}
        for each in sorted(found):
            by_kind.setdefault(each.kind, []).append(each.path)
        return [_sentence(kind, paths) for kind, paths in by_kind.items()]

    def _seen_below(self, start: str) -> Iterator[Data]:
        return (each for each in self.seen if f"{each.path}/".startswith(start) and _is_there(each))

    def _is_cared_for(self, found: Data, job: Job) -> bool:
        if is_excluded(found.path, job.settings.exclude):
            return True
        same = [other for other in self.jobs if other.kind == found.kind]
        if found.kind != SQLITE.name:
            return bool(same)
        covers = kind_of(found.kind).covers
        return any(other.target == found.path or covers(other.target, found.path) for other in same)


def _seen() -> frozenset[Data]:
    files = (path for path in _files_of_lock_holders() if path.endswith((_LOG, *_LIKELY)))
    databases = (Data(SQLITE.name, path.removesuffix(_LOG)) for path in files)
    folders = set(_working_folders())
    return frozenset((*databases, *(Data(kind, path) for path in folders for kind, *_ in _PAIRS)))


def is_excluded(path: str, patterns: Iterable[str]) -> bool:
    """Whether any of Exclude's patterns leaves out a path, or a folder above it."""
    return any(_may_match(pattern, path) and _leaves_out(pattern, path) for pattern in patterns)


def _may_match(pattern: str, path: str) -> bool:
    """Whether a path holds what stands first in a pattern: of a long list hardly any has to be looked at closely."""
    return _WILDCARD.split(pattern, maxsplit=1)[0] in path


def _leaves_out(pattern: str, path: str) -> bool:
    parts = path.split("/")
    # A wildcard crosses slashes: what begins at any name in a path is behind one of them.
    whole = pattern if pattern.startswith("/") else f"*/{pattern}"
    return any(fnmatchcase("/".join(parts[:end]), whole) for end in range(2, len(parts) + 1))


def _sentence(kind: str, paths: Sequence[str]) -> str:
    path = printable(paths[0])
    more = f" (and {counted(len(paths) - 1, 'other')})" if len(paths) > 1 else ""
    what = f"the SQLite database {path}{more}" if kind == SQLITE.name else f"what a {kind} server keeps in {path}{more}"
    block = path if kind == SQLITE.name else "all"
    return (
        f"{what} is in use: a copy of such files by tar may be torn between two states, and useless. <{kind} {block}> "
        "backs it up as it should be; Exclude silences this"
    )


def _files_of_lock_holders() -> Iterator[str]:
    with suppress(OSError):
        for process in set(_LOCK.findall(Path("/proc/locks").read_bytes())):
            with suppress(OSError), os.scandir(f"/proc/{int(process)}/fd") as descriptors:
                for descriptor in descriptors:
                    with suppress(OSError):
                        yield os.readlink(descriptor.path)  # noqa: PTH115 - any bytes


def _working_folders() -> Iterator[str]:
    with suppress(OSError), os.scandir("/proc") as processes:
        for process in processes:
            if process.name.isdigit():
                with suppress(OSError):
                    yield os.readlink(f"{process.path}/cwd")  # noqa: PTH115


def _is_there(found: Data) -> bool:
    if found.kind == SQLITE.name:
        return _begins_like_sqlite(found.path)
    signs = next(signs for kind, *signs in _PAIRS if kind == found.kind)
    return all(os.path.lexists(os.path.join(found.path, os.fsdecode(sign))) for sign in signs)  # noqa: PTH118


def _begins_like_sqlite(path: str) -> bool:
    try:
        with os.fdopen(os.open(path, _READ), "rb") as file:
            return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False
