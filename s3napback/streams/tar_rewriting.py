"""Headers as they were read, written again with something left out or changed."""

from __future__ import annotations

from collections.abc import Sequence

from s3napback.streams.tar_headers import (
    BLOCK_SIZE,
    DIRECTORY,
    DUMPDIR,
    EXTENDED,
    GLOBAL,
    OLD_DIRECTORY,
    RECORD,
    WITH_CONTENT,
    Header,
    Member,
    size_in,
    sum_of,
)

_NO_ENTRIES = b"NOT.dumpdir"


def without_entries(member: Member) -> Sequence[bytes]:
    """All headers of a member, the record of what a directory held under a name of the same length that tar ignores."""
    if member.dumpdir is None:
        return member.raw
    headers: list[bytes] = []
    for piece in member.raw:
        is_content = bool(headers) and len(headers) % 2 == 1 and headers[-1][156:157] == EXTENDED
        headers.append(_with_renamed_record(piece) if is_content else piece)
    return headers


def with_permissions(member: Member, permissions: int) -> Sequence[bytes]:
    """All headers of a member, with other permissions."""
    block = member.header.block
    changed = _with_checksum(block[:100] + b"%07o\0" % permissions + block[108:])
    return [changed if piece is block else piece for piece in member.raw]


def folder_headers(raw: Sequence[bytes]) -> bytes:
    """A directory's headers alone: without the record, or the content, of what it held, and without global ones.

    Args:
        raw: all of it, as ``Member.raw``.
    """
    passed = bytearray()
    pieces = iter(raw)
    for block in pieces:
        kind = block[156:157]
        if kind == OLD_DIRECTORY:
            next(pieces)
            passed += _with_checksum(block[:124] + b"%011o\0" % 0 + block[136:156] + DIRECTORY + block[157:])
        elif kind == EXTENDED:
            content = _without_record(next(pieces)[: size_in(block)], DUMPDIR)
            passed += extended_header(Header(block, kind, len(content)), content) if content else b""
        elif kind in WITH_CONTENT:
            content = next(pieces)
            passed += b"" if kind == GLOBAL else block + content
        else:
            passed += block
    return bytes(passed)


def _without_record(content: bytes, keyword: bytes) -> bytes:
    """An extended header's content without one of its records, which comes once if at all."""
    position = 0
    while (found := RECORD.match(content, position)) is not None:
        end = position + int(found[1])
        if found[2] == keyword:
            return content[:position] + content[end:]
        position = end
    return content


def _with_renamed_record(content: bytes) -> bytes:
    position = 0
    while (found := RECORD.match(content, position)) is not None:
        if found[2] == DUMPDIR:
            return content[: found.start(2)] + _NO_ENTRIES + content[found.end(2) :]
        position += int(found[1])
    return content


def with_record(content: bytes, keyword: bytes, value: bytes) -> bytes:
    """The content of an extended header with another value of a record that is in it."""
    position = 0
    while (found := RECORD.match(content, position)) is not None:
        end = position + int(found[1])
        if found[2] == keyword:
            rest = b" %s=%s\n" % (keyword, value)
            # The length counts its own digits as well.
            length = len(rest) + len(b"%d" % len(rest))
            length = len(rest) + len(b"%d" % length)
            return content[:position] + b"%d" % length + rest + content[end:]
        position = end
    return content


def extended_header(header: Header, content: bytes) -> bytes:
    """An extended header like another one for other content, with it and its padding."""
    block = header.block[:124] + b"%011o\0" % len(content) + header.block[136:]
    return _with_checksum(block) + content + bytes(-len(content) % BLOCK_SIZE)


def _with_checksum(block: bytes) -> bytes:
    total = sum_of(block[:256]) + sum_of(block[256:]) - sum(block[148:156]) + 8 * 32
    return block[:148] + b"%06o\0 " % total + block[156:]
