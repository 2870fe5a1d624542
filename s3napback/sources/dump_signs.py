"""Looking for lines in a dump while it passes. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from s3napback.streams.transformations import Block


def watched(
    blocks: Iterator[memoryview], signs: re.Pattern[bytes], longest: int, note: Callable[[re.Match[bytes]], None]
) -> Iterator[Block]:
    """Pass a dump on, and tell of each sign in it once, wherever its blocks are cut.

    Args:
        blocks: of the dump.
        signs: what is looked for; it begins with the line break before a line.
        longest: bytes that a sign has at most.
        note: is told of each, in order.
    """
    before = b"\n"
    for block in blocks:
        seen = before + bytes(block)
        for sign in signs.finditer(seen):
            if sign.end() > len(before):
                note(sign)
        before = seen[-longest:]
        yield block
