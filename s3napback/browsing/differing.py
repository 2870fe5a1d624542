"""What differs between two trees: a merge of both, in their order. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from s3napback.browsing.nodes import MISSING, Node

ADDED, REMOVED, CHANGED, OTHER_TYPE = "+", "-", "M", "T"


class Difference(NamedTuple):
    """One path that is not the same in both.

    Attributes:
        letter: ``ADDED`` and so on.
        old: what it was; None if it was not there.
        new: likewise.
    """

    letter: str
    old: Node | None
    new: Node | None

    @property
    def path(self) -> bytes:
        """Relative to the source."""
        node = self.new or self.old
        return node.path if node else b""


def differences(old: Iterator[Node], new: Iterator[Node]) -> Iterator[Difference]:
    """What differs, in the order of folders and names. What could not be read, and does not come back, is not there.

    Args:
        old: names in this order.
        new: likewise.
    """
    older, newer = _there(old), _there(new)
    mine, theirs = next(older, None), next(newer, None)
    while mine is not None or theirs is not None:
        if theirs is None or (mine is not None and mine[:2] < theirs[:2]):
            yield Difference(REMOVED, mine, None)
            mine = next(older, None)
        elif mine is None or theirs[:2] < mine[:2]:
            yield Difference(ADDED, None, theirs)
            theirs = next(newer, None)
        else:
            if mine.what != theirs.what:
                yield Difference(CHANGED if mine.letter == theirs.letter else OTHER_TYPE, mine, theirs)
            mine, theirs = next(older, None), next(newer, None)


def _there(nodes: Iterator[Node]) -> Iterator[Node]:
    return (node for node in nodes if node.state != MISSING)
