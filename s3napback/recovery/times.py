"""Which times of modification a target keeps: in what steps, and from when to when. It is silent on others."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from s3napback.formatting import counted
from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.streams.tar_headers import Member

_SECOND = 1_000_000_000  # nanoseconds
_UNNOTICED = 1_000_000
"""Nanoseconds: steps shorter than this one, such as NTFS has, nobody notices."""

_WIDEST = 3 * _SECOND
"""Nanoseconds: FAT has steps of two seconds, and nothing has wider ones."""

_USUAL_TIME = regex(rb"([0-9]{1,12})\.([0-9]{1,9})")
_WITHIN = 1_000_000_000
"""Seconds since 1970, in 2001: every file system has that time."""

_EARLY, _LATE = -(1 << 60), 1 << 60
"""Seconds since 1970. Beyond these nobody looks: what keeps them has 64 bits for them, as Btrfs and ZFS have. ext4 has
1901 to 2446, and a file of Windows may well be of 1601.
"""


@dataclass(frozen=True)
class Times:
    """Those that a file system keeps.

    Attributes:
        step: nanoseconds; of what lies between two steps the earlier one is kept.
        first: seconds since 1970.
        last: likewise.
    """

    step: int = 1
    first: int = _EARLY
    last: int = _LATE

    @property
    def are_usual(self) -> bool:
        """Nobody notices a difference."""
        return self.step < _UNNOTICED and self.first <= _EARLY and self.last >= _LATE

    def has(self, nanoseconds: int) -> bool:
        """Whether a time lies among them, were it between two steps.

        Of the first second and of the last one Linux keeps no fractions.
        """
        seconds, fraction = divmod(nanoseconds, _SECOND)
        if fraction and self.step < _SECOND and seconds in (self.first, self.last):
            return False
        return (self.first <= _EARLY or self.first <= seconds) and (self.last >= _LATE or seconds <= self.last)

    def is_step(self, nanoseconds: int) -> bool:
        """Whether it is kept as it is, or nearly."""
        return self.step < _UNNOTICED or nanoseconds % self.step == 0

    @property
    def step_text(self) -> str:
        """The step for people: ``2 seconds``, ``10 milliseconds``."""
        if self.step >= _SECOND:
            return counted(self.step // _SECOND, "second")
        return counted(self.step // _UNNOTICED, "millisecond")


ANY_TIMES = Times()
"""Of a target that keeps all that anybody has."""


def are_close(one: int, other: int) -> bool:
    """Whether nobody notices that two times, in nanoseconds, are not the same."""
    return abs(one - other) < _UNNOTICED


def are_near(one: int, other: int) -> bool:
    """Whether one of two times, in nanoseconds, may be the other between the steps of a file system."""
    return abs(one - other) < _WIDEST


def times_of(file: int) -> Times:
    """What is kept, tried with a file whose time does not matter.

    Args:
        file: descriptor of one of the caller's own.
    """

    def kept(nanoseconds: int) -> int:
        os.utime(file, ns=(nanoseconds, nanoseconds))
        return os.fstat(file).st_mtime_ns

    with suppress(OSError, OverflowError):
        # An odd second, since some count in pairs.
        asked = (_WITHIN + 2) * _SECOND - 1
        step = abs(asked - kept(asked)) + 1
        first, last = (_reach(kept, end, step) for end in (_EARLY, _LATE))
        return Times(step, first, last)
    # tar says so where none can be set.
    return Times()


def _reach(kept: Callable[[int], int], end: int, step: int) -> int:
    """The time that is farthest from ``_WITHIN``, towards ``end``, of those that are kept; seconds since 1970."""
    good, bad = _WITHIN, end
    if _is_kept(kept, end, step):
        return end
    while abs(good - bad) > 1:
        middle = (good + bad) // 2
        if _is_kept(kept, middle, step):
            good = middle
        else:
            bad = middle
    return good


def _is_kept(kept: Callable[[int], int], seconds: int, step: int) -> bool:
    try:
        return abs(kept(seconds * _SECOND) - seconds * _SECOND) < step
    except (OSError, OverflowError):
        return False


def modified(member: Member) -> int | None:
    """The modification time in nanoseconds; None if it cannot be read."""
    if b"mtime" not in member.records:
        return octal(member, 136, 148) * _SECOND
    if found := _USUAL_TIME.fullmatch(member.records[b"mtime"]):
        return int(found[1]) * _SECOND + int(found[2].ljust(9, b"0"))
    from decimal import ROUND_FLOOR, Decimal, InvalidOperation  # noqa: PLC0415 - tar does not write such times

    with suppress(InvalidOperation, UnicodeDecodeError):
        seconds = Decimal(member.records[b"mtime"].decode("ascii"))
        return int((seconds * _SECOND).to_integral_value(ROUND_FLOOR))
    return None


def octal(member: Member, begin: int, end: int) -> int:
    """A number in a member's header, which stands between two places; -1 if it cannot be read."""
    field = member.header.block[begin:end]
    if field[0] & 0x80:
        return int.from_bytes(field, "big", signed=True) + (1 << (8 * len(field) - 1) if field[0] == 0x80 else 0)
    with suppress(ValueError):
        return int(field.strip(b"\0 ") or b"0", 8)
    return -1
