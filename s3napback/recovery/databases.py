"""What ends the dump of a database, and the look at whether it is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from s3napback.kinds import kind_of
from s3napback.recovery.opening.failures import Damaged
from s3napback.streams.transformations import Block, Transformation

_END_SIZE = 4096
_HEAD_SIZE = 1 << 16  # bytes; what defines a database itself may come first


def dump_ends(kind: str) -> tuple[bytes, ...]:
    """What can end a whole dump of a kind of source.

    Raises:
        UnknownKind: there is no kind of this name.
    """
    return tuple(dict.fromkeys(end for _beginning, end in kind_of(kind).marks))


def dump_beginnings(kind: str) -> tuple[bytes, ...]:
    """How a dump of a kind of source can begin.

    Raises:
        UnknownKind: there is no kind of this name.
    """
    return tuple(beginning for beginning, _end in kind_of(kind).marks)


def dump_check(ends: Sequence[bytes], beginnings: Sequence[bytes] = ()) -> Transformation:
    """Passes a dump on, and fails where it lacks the remark that ends it, or one of those that begin it.

    Args:
        ends: one of which ends a dump that has remarks.
        beginnings: one of which a dump must have; none where dumps without remarks are good as well, as old ones are.
    """
    return Transformation("the look at the dump's ends", lambda blocks: _with_ends(blocks, ends, beginnings))


def _with_ends(blocks: Iterator[Block], ends: Sequence[bytes], beginnings: Sequence[bytes]) -> Iterator[Block]:
    head = tail = b""
    for block in blocks:
        if len(head) < _HEAD_SIZE:
            head += bytes(block[:_HEAD_SIZE])
        tail = (tail + bytes(block[-_END_SIZE:]))[-_END_SIZE:]
        yield block
    # Where the tool was told to leave remarks out, there is none at the beginning either.
    is_remarked = any(line.startswith(b"-- ") and b"dump" in line.lower() for line in head.splitlines())
    if ends and is_remarked and not any(end in tail for end in ends):
        raise Damaged("the remark that ends a dump is missing: the database's tool did not dump everything")
    if beginnings and not any(beginning in head for beginning in beginnings):
        raise Damaged("it does not begin like a dump: the database's tool was told to write something else")
