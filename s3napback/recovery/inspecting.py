"""What the archives of a directory tell of their members: by their indexes, and else by the archives themselves.

An index counts as far as it does for a restore of PATHs (``opening/indexed.py``). What is told by reading an archive is
certain, and takes as long as a restore.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from s3napback.archives import SEGMENTED
from s3napback.browsing.nodes import FolderRow, MemberRow, relative, split
from s3napback.browsing.telling import tell
from s3napback.browsing.tree import Tree
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.indexes import index_key
from s3napback.catalogue.keeping import KeptStore
from s3napback.errors import StoreError
from s3napback.index.headers import UnknownForm, moment, number
from s3napback.index.lines import BLOCK, CHARACTER, FILE, LINK, PIPE, SYMLINK
from s3napback.index.records import DamagedIndex
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.failures import Damaged
from s3napback.recovery.opening.indexed import HEAD_SIZE, enter, text_of
from s3napback.rotation import ArchiveType
from s3napback.stores import Store
from s3napback.streams.tar_headers import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    HARD_LINK,
    REGULAR,
    SYMBOLIC_LINK,
    MalformedArchive,
    Member,
)
from s3napback.streams.tar_stream import TarFollower
from s3napback.streams.transformations import Block

logger = logging.getLogger("s3napback")

_KINDS = {
    REGULAR: FILE,
    HARD_LINK: LINK,
    SYMBOLIC_LINK: SYMLINK,
    CHARACTER_DEVICE: CHARACTER,
    BLOCK_DEVICE: BLOCK,
    b"6": PIPE,
}
_MOST_TOGETHER = 1000


@dataclass(frozen=True)
class Inspector:
    """Looks into archives of one directory.

    Attributes:
        decoder: opens them.
        top: the source as archives name it, without slashes at its ends.
        kept: what the decoder's store keeps; None if it keeps nothing.
    """

    decoder: Decoder
    top: bytes
    kept: KeptStore | None = None

    @classmethod
    def of(cls, decoder: Decoder, directory: str, kept: KeptStore) -> Inspector:
        """The inspector of a directory, whose decoder reads what is kept."""
        transport = replace(decoder.transport, store=cast(Store, kept))
        top = directory.strip("/").encode("utf-8", "surrogateescape")
        return cls(replace(decoder, transport=transport), top, kept)

    def replay(self, tree: Tree, chain: Sequence[CataloguedArchive], first: int = 1) -> None:
        """Have a tree told of the archives of a chain.

        Args:
            tree: is told.
            chain: a FULL and the DIFFs on it, oldest first.
            first: number of the FULL.

        Raises:
            S3napbackError: an archive can be read in no way.
        """
        for place, archive in enumerate(chain):
            self._tell(tree, archive, first + place)

    def _tell(self, tree: Tree, archive: CataloguedArchive, place: int) -> None:
        is_full = archive.record is None or archive.record.type is ArchiveType.FULL
        if (reason := self._told_by_index(tree, archive, place, is_full=is_full)) is None:
            return
        if reason:
            logger.info("%s is read whole: %s", self.decoder.transport.address(archive), reason)
        with tree.archive(place, is_full=is_full):
            self._read_whole(tree, archive)

    def _told_by_index(self, tree: Tree, archive: CataloguedArchive, place: int, *, is_full: bool) -> str | None:
        """Why an archive cannot be told of by its index, empty if that is of no interest; None if it was."""
        record = archive.record
        if record is None or record.format != SEGMENTED or index_key(archive.key) not in self.decoder.indexes:
            return "it has no index"
        if record.recipients and archive.stored.size <= HEAD_SIZE:
            # Of so few bytes gpg does not tell the key, and to read them takes no longer.
            return ""
        for _ in range(2):
            try:
                with tree.archive(place, is_full=is_full):
                    entered = enter(self.decoder, archive)
                    tell(text_of(self.decoder, entered), self.top, tree.wanted, tree)
            except (DamagedIndex, StoreError) as error:
                reason = str(error)
            else:
                return None
            if not self._was_kept(archive):
                break
        return reason

    def _was_kept(self, archive: CataloguedArchive) -> bool:
        if self.kept is None:
            return False
        forgotten = [self.kept.forget(key) for key in (archive.key, index_key(archive.key))]
        return any(forgotten)

    def _read_whole(self, tree: Tree, archive: CataloguedArchive) -> None:
        follower = TarFollower()
        members = _Members(self.top, tree)

        def take(block: Block) -> None:
            try:
                for part in follower.feed(memoryview(block)):
                    if isinstance(part, Member):
                        members.take(part)
            except MalformedArchive as error:
                raise Damaged(str(error)) from error

        self.decoder.run(archive, write=take, use="read")
        try:
            follower.finish()
        except MalformedArchive as error:
            raise Damaged(str(error)) from error
        members.flush()


class _Members:
    """Tells a tree of members as they pass."""

    def __init__(self, top: bytes, tree: Tree) -> None:
        self._top = top
        self._tree = tree
        self._folder = b""
        self._rows: list[MemberRow] = []

    def take(self, member: Member) -> None:
        """Tell of a member.

        Raises:
            Damaged: it does not lie in the source, or is of another form than those that are written for us.
        """
        path = self._within(member.path)
        try:
            owners = (member.permissions, member.owner, member.group)
            if member.is_directory:
                self.flush()
                if self._tree.wanted.needs(path):
                    self._tree.folder(FolderRow(path, *owners, *_modified(member)), member.dumpdir)
                return
            folder, name = split(path)
            if self._tree.wanted.includes(folder, name):
                if folder != self._folder or len(self._rows) >= _MOST_TOGETHER:
                    self.flush()
                    self._folder = folder
                size, more = self._content(member)
                self._rows.append(MemberRow(name, _KINDS[member.type], *owners, size, *_modified(member), more))
        except (UnknownForm, ValueError, KeyError) as error:
            raise Damaged(f"it holds a member of a form that s3napback never writes ({error})") from error

    def flush(self) -> None:
        """Tell of what was taken."""
        if self._rows:
            self._tree.members(self._folder, self._rows)
            self._rows = []

    def _within(self, path: bytes) -> bytes:
        found = relative(path, self._top)
        if found is None:
            raise Damaged(
                f"it holds {path!r:.200}, which does not lie in the source: it is no archive of that directory"
            )
        return found

    def _content(self, member: Member) -> tuple[int, bytes]:
        """The size of a member once it is restored, and what it leads to, or a device's numbers."""
        if member.type == HARD_LINK:
            return 0, self._within(member.link)
        if member.type == SYMBOLIC_LINK:
            return len(member.link), member.link
        block = member.header.block
        if member.type in (CHARACTER_DEVICE, BLOCK_DEVICE):
            return 0, b"%d %d" % (number(block[329:337]), number(block[337:345]))
        for keyword in (b"GNU.sparse.realsize", b"GNU.sparse.size"):
            if keyword in member.records:
                return int(member.records[keyword]), b""
        return member.size, b""


def _modified(member: Member) -> tuple[int, int]:
    """Seconds since 1970, and nanoseconds."""
    text = member.records.get(b"mtime")
    return moment(text) if text else (number(member.header.block[136:148]), 0)
