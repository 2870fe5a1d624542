"""What attacks have in common: the estate that is backed up, and an honest file in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.hostile.archives import archive, file, folder
from tests.hostile.world import PART, SOURCE

Attacks = Callable[[str], Mapping[str, Sequence[bytes]]]
"""From the full path of a folder that shall be harmed to chains of archives, as tar wrote them, by name."""

W = PART
GOOD = b"good\n"
START = folder(SOURCE) + folder(W) + file(f"{W}/good", GOOD)
"""How every FULL begins: who restores it shall get this file, or an error."""

UP = "../../../../../beside"
"""From a link in ``estate/wing`` to a folder beside WHERE."""


def full(*members: bytes) -> bytes:
    """A FULL, and what an attacker has added to it."""
    return archive(START, *members)


def diff(*members: bytes) -> bytes:
    """A later archive."""
    return archive(*members)


ORDINARY = full(file(f"{W}/first", b"first\n"))
