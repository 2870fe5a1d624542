"""Take out of tar's snapshot what an archive lacks, so that the next DIFF takes it, however old it is.

A snapshot says what was seen, not what was read. tar takes a file that the snapshot does not name, and a directory
without a record with all that is below it; anything else only if its times are newer than the snapshot's. So a file
loses its place among the names of its directory, and a directory its record.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from s3napback.errors import SourceError
from s3napback.sources.snapshot import BLOCK, DamagedSnapshot, Sink, read_snapshot_header

_HEAD_FIELDS = 6  # nfs, seconds and nanoseconds, device, inode, name
_RECORD_END = b"\0\0"


def forget(snapshot: Path, paths: Collection[bytes] | None) -> None:
    """Rewrite a snapshot that tar has just left behind.

    Args:
        snapshot: of format 2.
        paths: normalised, as in the archive; None is everything.

    Raises:
        SourceError: the snapshot is not whole, or cannot be written.
    """
    if paths is not None and not paths:
        return
    new = snapshot.with_suffix(".new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with snapshot.open("rb") as source, os.fdopen(descriptor, "wb") as target:
            target.write(read_snapshot_header(source))
            if paths is not None:
                _copy_without(source, target, paths)
        new.replace(snapshot)
    except (OSError, DamagedSnapshot) as error:
        raise SourceError(f"the snapshot {snapshot} cannot be rewritten: {error}") from error


def _copy_without(source: BinaryIO, target: Sink, paths: Collection[bytes]) -> None:
    names_in: dict[bytes, set[bytes]] = {}
    for path in paths:
        folder, name = posixpath.split(path)
        names_in.setdefault(folder or b".", set()).add(name)
    fields = _fields(source)
    for first in fields:
        head = [first, *(_next(fields) for _ in range(_HEAD_FIELDS - 1))]
        directory = posixpath.normpath(head[-1])
        is_kept = directory not in paths
        if is_kept:
            target.write(b"\0".join(head) + b"\0")
        lost = names_in.get(directory, ())
        while entry := _next(fields):
            if is_kept and entry[1:] not in lost:
                target.write(entry + b"\0")
        if _next(fields):
            raise DamagedSnapshot("a directory's record in it does not end")
        if is_kept:
            target.write(_RECORD_END)


def _fields(stream: BinaryIO) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(BLOCK):
        *whole, rest = (rest + block).split(b"\0")
        yield from whole
    if rest:
        raise DamagedSnapshot("it ends within a directory's record")


def _next(fields: Iterator[bytes]) -> bytes:
    try:
        return next(fields)
    except StopIteration:
        raise DamagedSnapshot("it ends within a directory's record") from None
