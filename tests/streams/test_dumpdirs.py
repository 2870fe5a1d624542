"""Lists of what a directory held: the fast look agrees with the thorough one on everything that it accepts."""

from __future__ import annotations

import itertools
import random

import pytest

from s3napback.streams.dumpdirs import MalformedArchive, check_dumpdir, folders_in, is_usual_dumpdir

_PIECES = (b"Y", b"N", b"D", b"R", b"\0", b".", b"/", b"a", b"\n")


def is_accepted(dumpdir: bytes) -> bool:
    """The thorough look, entry by entry."""
    entries = dumpdir[:-2].split(b"\0")
    return dumpdir.endswith(b"\0\0") and all(
        entry[:1] in (b"Y", b"N", b"D") and entry[1:] not in (b"", b".", b"..") and b"/" not in entry
        for entry in entries
    )


def test_both_looks_agree_on_every_short_list() -> None:
    lists = [b"".join(pieces) for length in range(5) for pieces in itertools.product(_PIECES, repeat=length)]
    for dumpdir in (*lists, *(each + b"\0\0" for each in lists)):
        assert is_usual_dumpdir(dumpdir) == is_accepted(dumpdir), dumpdir


def test_both_looks_agree_on_long_lists() -> None:
    choice = random.Random(5)
    for _ in range(2_000):
        entries = [
            choice.choice(b"YYYNNDDDR".decode()).encode() + choice.choice((b"a", b"b.", b"..", b"Y", b"x/y", b""))
            if choice.random() < 0.1
            else choice.choice((b"Ya", b"Nb.c", b"DD", b"Y..a"))
            for _ in range(9)
        ]
        dumpdir = b"".join(entry + b"\0" for entry in entries) + b"\0"
        assert is_usual_dumpdir(dumpdir) == is_accepted(dumpdir), dumpdir


@pytest.mark.parametrize("dumpdir", [b"Ya\0Rb\0Tc\0\0", b"Y..\0\0", b"Da/b\0\0", b"Ya\0", b"Y\0\0", b"\0\0"])
def test_what_tar_never_writes_for_us_is_refused(dumpdir: bytes) -> None:
    with pytest.raises(MalformedArchive):
        check_dumpdir(dumpdir)


def test_the_folders_of_a_list() -> None:
    assert folders_in(b"Dfirst\0YD\0DD\0Nx\0Dlast\0\0") == [b"first", b"D", b"last"]
    assert folders_in(b"YD\0Nx\0\0") == folders_in(b"\0") == []
