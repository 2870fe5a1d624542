"""Archives as an attacker writes them: tar headers byte by byte, put into a store with metadata of any kind.

The formats are those of GNU tar's manual, "Basic Tar Format" and "GNU Extensions", and of POSIX pax.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest import mock

from s3napback.archives import ArchiveRecord, Owner, archive_key
from s3napback.kinds import SourceName
from s3napback.rotation import ArchiveType, day_number
from s3napback.stores.directory import DirectoryStore
from tests.site import FIRST_DAY
from tests.stores.sources import BytesSource

Text = str | bytes
Number = int | bytes
"""A field of a header: a number, or the very bytes."""
Records = Sequence[tuple[Text, Text]]

BLOCK = 512
END = bytes(2 * BLOCK)
MTIME = 1_700_000_000
USTAR = b"ustar\x0000"
GNU = b"ustar  \0"
HOST = "h"
_NAME, _LINK = 100, 100  # bytes that fit into a header


def raw(text: Text) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def number(value: Number, width: int) -> bytes:
    """A number as octal digits; in base 256, GNU's way, if it is negative or too large for them."""
    if isinstance(value, bytes):
        return value[:width].ljust(width, b"\0")
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    modulus = 1 << (8 * width - 1)
    digits = (value % modulus).to_bytes(width, "big")
    return bytes([digits[0] | 0x80 | (0x40 if value < 0 else 0)]) + digits[1:]


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def header(
    name: Text,
    kind: bytes = b"0",
    *,
    size: Number = 0,
    mode: Number = 0o644,
    uid: Number = 0,
    gid: Number = 0,
    mtime: Number = MTIME,
    link: Text = b"",
    magic: bytes = USTAR,
    device: tuple[Number, Number] = (0, 0),
    tail: bytes = b"",
    checksum: bytes = b"",
) -> bytes:
    """One header block. ``tail`` is what follows the device's numbers: POSIX's prefix, or GNU's fields."""
    fields = [
        raw(name)[:_NAME].ljust(_NAME, b"\0"),
        number(mode, 8),
        number(uid, 8),
        number(gid, 8),
        number(size, 12),
        number(mtime, 12),
        b" " * 8,
        kind,
        raw(link)[:_LINK].ljust(_LINK, b"\0"),
        magic,
        bytes(64),
        number(device[0], 8),
        number(device[1], 8),
        tail[:167].ljust(167, b"\0"),
    ]
    block = b"".join(fields)
    return block[:148] + (checksum or b"%06o\0 " % sum(block)).ljust(8, b"\0") + block[156:]


def resummed(block: bytes) -> bytes:
    """A header with a right sum."""
    return block[:148] + b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:])) + block[156:]


def pax_record(key: Text, value: Text) -> bytes:
    rest = b" " + raw(key) + b"=" + raw(value) + b"\n"
    length = len(rest)
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest


def pax(records: Records | bytes, kind: bytes = b"x", name: Text = "PaxHeaders/x", size: Number | None = None) -> bytes:
    """An extended header; ``g`` is one for all members that follow. Bytes are taken as they are."""
    content = records if isinstance(records, bytes) else b"".join(pax_record(*record) for record in records)
    return header(name, kind, size=len(content) if size is None else size) + padded(content)


def member(name: Text, kind: bytes = b"0", content: bytes = b"", *, records: Records = (), **fields: Any) -> bytes:
    """A member with its extended header, if it needs one."""
    link = raw(fields.get("link", b""))
    long = [("path", name)] if len(raw(name)) > _NAME else []
    long += [("linkpath", link)] if len(link) > _LINK else []
    size = fields.pop("size", len(content))
    front = pax([*long, *records]) if long or records else b""
    return front + header(name, kind, size=size, **fields) + padded(content)


def file(name: Text, content: bytes = b"evil\n", **fields: Any) -> bytes:
    return member(name, b"0", content, **fields)


def folder(name: Text, entries: Sequence[Text] | None = None, **fields: Any) -> bytes:
    """A folder; with ``entries`` (a letter in front of each) as an archive for DIFFs has it."""
    records = list(fields.pop("records", ()))
    if entries is not None:
        records.append(("GNU.dumpdir", dumpdir(entries)))
    fields.setdefault("mode", 0o755)
    return member(name, b"5", records=records, **fields)


def dumpdir(entries: Sequence[Text]) -> bytes:
    return b"".join(raw(entry) + b"\0" for entry in entries) + b"\0"


def link(name: Text, target: Text, **fields: Any) -> bytes:
    fields.setdefault("mode", 0o777)
    return member(name, b"2", link=target, **fields)


def hard_link(name: Text, target: Text, content: bytes = b"", **fields: Any) -> bytes:
    return member(name, b"1", content, link=target, **fields)


def node(name: Text, kind: bytes, device: tuple[Number, Number] = (1, 3), **fields: Any) -> bytes:
    """``3`` is a character device, ``4`` a block device, ``6`` a FIFO."""
    return member(name, kind, device=device, **fields)


def long_name(name: Text, kind: bytes = b"L") -> bytes:
    """GNU's name of the next member; of its link's target with ``K``."""
    content = raw(name) + b"\0"
    return header("././@LongLink", kind, size=len(content), magic=GNU) + padded(content)


def archive(*members: bytes) -> bytes:
    return b"".join(members) + END


def zipped(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


def put(
    vault: Path,
    slot: int,
    data: bytes,
    *,
    source: str = "Directory /estate",
    name: str = "estate",
    changed: Mapping[str, str] | None = None,
) -> tuple[str, Mapping[str, str]]:
    """Store the bytes of one archive of a chain: slot 0 is the FULL. Returns its key and its metadata.

    Args:
        data: compressed already.
        source: whose it says it is.
        changed: metadata in place of the right ones, without their prefix.
    """
    kind = ArchiveType.DIFF if slot else ArchiveType.FULL
    metadata = {**record(slot, source).to_metadata()}
    metadata.update({f"s3napback-{each}": value for each, value in (changed or {}).items()})
    key = archive_key("", "Directory", name, slot, kind)
    # Hundreds of archives that need not outlive the test.
    with mock.patch.object(os, "fsync"):
        DirectoryStore(vault).put(key, BytesSource(data), metadata)
    return key, metadata


def put_original(vault: Path, slot: int, data: bytes) -> None:
    """Store the bytes of one archive of a chain as the original tool did, in two chunks."""
    kind = "DIFF" if slot else "FULL"
    half = len(data) // 2 + 1
    for number, chunk in enumerate((data[:half], data[half:])):
        path = vault / f"estate-{slot}-{kind}:{number:020d}"
        path.write_bytes(chunk)
        os.utime(path, times=(MTIME + slot * 86_400,) * 2)


def moved_folder(name: str, *entries: bytes) -> bytes:
    """A folder in the older GNU format, with what tar records of it: entries, and directories that were moved."""
    content = dumpdir(entries)
    return header(f"{name}/", b"D", size=len(content), mode=0o755, magic=GNU) + padded(content)


def record(slot: int, source: str = "Directory /estate") -> ArchiveRecord:
    """What the metadata of a chain's archive say."""
    return ArchiveRecord(
        id=f"id{slot}",
        slot=slot,
        type=ArchiveType.DIFF if slot else ArchiveType.FULL,
        owner=Owner(HOST, SourceName.parse(source)),
        cycle="",
        started=datetime(2026, 1, 1, 3, tzinfo=timezone.utc) + timedelta(days=slot),
        day=day_number(FIRST_DAY) + slot,
        parent=f"id{slot - 1}" if slot else "",
        compression="gzip",
    )
