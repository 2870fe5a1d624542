"""Takes out of a passing archive what tar's lists say of renames: they are true of moments, not of the archive.

tar tells a directory by its device and inode number. One that it meets under a second name within one run, because
somebody renames it meanwhile or because it is mounted at two places, it takes for renamed, and writes so into the list
of the topmost directory (``R`` from, ``T`` to, ``X`` by way of; see "Dumpdir" in tar's manual). Replaying that moves
or merges directories which both stand in the archive, or fails; and of the second one tar has taken only what is newer
than the archive before (tar 1.34, ``src/incremen.c``, ``procdir`` and ``append_incremental_renames``).
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from s3napback.regexes import regex
from s3napback.streams.tar_headers import BLOCK_SIZE, DUMPDIR, EXTENDED, read_header, read_records
from s3napback.streams.tar_rewriting import extended_header, with_record

_RENAMES = (b"R", b"T", b"X")
_HINT = regex(rb"[=\0][RTX]")


def without_renames(group: bytes) -> tuple[bytes, Sequence[tuple[bytes, bytes]]]:
    """All headers of a directory without what its list says of renames.

    Args:
        group: an extended header with its content, and the directory's own header, as they stand in the archive.

    Returns:
        The same without the renames; and each from what name to what other one, normalised. One of both is empty in a
        rename by way of a temporary name.

    Raises:
        MalformedArchive: tar would not write such headers.
    """
    if group[156:157] != EXTENDED or not _HINT.search(group):
        return group, ()
    header = read_header(group[:BLOCK_SIZE])
    content = group[BLOCK_SIZE : BLOCK_SIZE + header.size]
    dumpdir = read_records(content, checks_entries=False).get(DUMPDIR)
    if dumpdir is None:
        return group, ()
    entries = [entry for entry in dumpdir.split(b"\0") if entry]
    renamed = [_normal(entry[1:]) for entry in entries if entry[:1] in (b"R", b"T")]
    kept = [entry + b"\0" for entry in entries if entry[:1] not in _RENAMES]
    if len(kept) == len(entries):
        return group, ()
    content = with_record(content, DUMPDIR, b"".join(kept) + b"\0")
    return extended_header(header, content) + group[-BLOCK_SIZE:], list(zip(renamed[::2], renamed[1::2], strict=False))


def _normal(path: bytes) -> bytes:
    return posixpath.normpath(path) if path else path
