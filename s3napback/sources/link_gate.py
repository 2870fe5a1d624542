"""The gate of an archive on which no DIFF will build: hard links that tar made of different files do not pass.

Such an archive has no lists of folders, and whoever exchanges a folder for a link leads no tar that writes it astray.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from s3napback.index.headers import FolderForm, Group
from s3napback.sources.kept_out import KeptOut
from s3napback.sources.two_places import NOT_WHAT_LIES_THERE, TwoPlaces
from s3napback.streams.dumpdirs import MalformedArchive
from s3napback.streams.tar_headers import BLOCK_SIZE, HARD_LINK
from s3napback.streams.tar_stream import member_of
from s3napback.streams.transformations import Block

_TYPE_BEFORE_END = BLOCK_SIZE - 156


class LinkGate:
    """Fulfils ``Gate`` of ``index/follower.py``.

    Attributes:
        out: what does not pass.
        passes_all: see there.
        drops: likewise.
        left: likewise; nothing follows the headers of a hard link.
    """

    def __init__(self, places: TwoPlaces) -> None:
        """Begin; ``places`` tells which names are those of different files."""
        self.out = KeptOut()
        self.passes_all = not places.doubts
        self.drops = False
        self.left = 0
        self._places = places

    def passing(self, group: Group, form: FolderForm | None) -> Group:
        """See ``Gate``."""
        self.drops = False
        if form is None and group[-_TYPE_BEFORE_END] == HARD_LINK[0]:
            try:
                member = member_of(bytes(group))
            except MalformedArchive:
                return group  # the follower says it
            path, link = posixpath.normpath(member.path), posixpath.normpath(member.link)
            if self._places.are_two_files(path, link):
                self.out.add(path, NOT_WHAT_LIES_THERE)
                self.drops = True
                return b""
        return group

    def free_owner(self, _folder: bytes) -> bytes | None:
        """See ``Gate``: no file has to be shown, and hard links always are."""
        return None

    def go_on(self, blocks: Iterator[memoryview], _passed: int) -> Iterator[Block]:
        """See ``Gate``."""
        yield from blocks
