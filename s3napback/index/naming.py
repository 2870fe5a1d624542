"""What an archive's members do not tell of a directory's names: those gone, left out, or that were not read. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from s3napback.index.records import ASKED, DIRECTORY, LEFT_OUT, NOBODYS, SHUT_OUT, STORED, UNREAD

GONE = b"-"
"""The letter of a name that the parent had, and that is there no more."""

_TOLD = {
    UNREAD: UNREAD,
    ASKED: UNREAD,
    LEFT_OUT: LEFT_OUT,
    SHUT_OUT: LEFT_OUT,
    DIRECTORY: DIRECTORY,
    NOBODYS: DIRECTORY,
}


def told(new: Iterator[bytes], old: Iterator[bytes] | None) -> Iterator[bytes]:
    """What is to be told, each a letter and a name.

    Args:
        new: entries of an archive, each a letter and a name, in the order of names.
        old: those of the one that it builds on; None for a FULL, of which directories are among the members.
    """
    if old is None:
        yield from (_TOLD[entry[:1]] + entry[1:] for entry in new if entry[:1] in (UNREAD, ASKED, LEFT_OUT))
        return
    mine, theirs = next(new, None), next(old, None)
    while mine is not None or theirs is not None:
        if mine is None or (theirs is not None and theirs[1:] < mine[1:]):
            yield GONE + (theirs or b"")[1:]
            theirs = next(old, None)
            continue
        before = b""
        if theirs is not None and theirs[1:] == mine[1:]:
            before, theirs = theirs[:1], next(old, None)
        letter = mine[:1]
        # What is stored is among the members, or as it was.
        if letter != STORED and _TOLD[letter] != _TOLD.get(before, before):
            yield _TOLD[letter] + mine[1:]
        mine = next(new, None)
