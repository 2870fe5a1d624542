"""What the archives of a directory tell of their members: by their indexes, and else by the archives themselves.

An index counts as far as it does for a restore of PATHs (``opening/indexed.py``). What is told by reading an archive is
certain, and takes as long as a restore.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import cast

from s3napback.archives import SEGMENTED
from s3napback.browsing.interest import Interest
from s3napback.browsing.nodes import FolderRow, MemberRow, relative, split
from s3napback.browsing.telling import tell
from s3napback.browsing.tree import Tree
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.indexes import index_key
from s3napback.catalogue.keeping import KeptStore
from s3napback.crews import Crew, result_of
from s3napback.errors import S3napbackError, StoreError
from s3napback.index.head import HEAD_LENGTH, secret_in
from s3napback.index.headers import UnknownForm, moment, number
from s3napback.index.lines import BLOCK, CHARACTER, FILE, LINK, PIPE, SYMLINK
from s3napback.index.records import DamagedIndex
from s3napback.records import dataclass
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.failures import Damaged
from s3napback.recovery.opening.indexed import HEAD_SIZE, Entered, enter, text_of
from s3napback.recovery.opening.ranges import Irregular, StoredRanges
from s3napback.rotation import ArchiveType
from s3napback.stores import Store
from s3napback.streams.dumpdirs import MalformedArchive
from s3napback.streams.tar_headers import BLOCK_DEVICE, CHARACTER_DEVICE, HARD_LINK, REGULAR, SYMBOLIC_LINK, Member
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
_MOST_UNRESOLVED = 20_000
_AHEAD = 3
_LARGEST_READ_AHEAD = 1 << 18
"""Bytes of an index that is decrypted while others are told of; its lines take some twelve times as much."""


@dataclass(frozen=True)
class _Ready:
    """An index that may be read.

    Attributes:
        entered: the archive.
        pieces: of the lines, if they are few.
    """

    entered: Entered
    pieces: Sequence[bytes] | None = None


@dataclass(frozen=True)
class Inspector:
    """Looks into archives of one directory.

    Attributes:
        decoder: opens them.
        top: the source as archives name it, without slashes at its ends.
        kept: what the decoder's store keeps; None if it keeps nothing.
        sizes: bytes of the indexes in the store, by their keys.
    """

    decoder: Decoder
    top: bytes
    kept: KeptStore | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, decoder: Decoder, directory: str, kept: KeptStore) -> Inspector:
        """The inspector of a directory, whose decoder reads what is kept."""
        transport = replace(decoder.transport, store=cast(Store, kept))
        top = directory.strip("/").encode("utf-8", "surrogateescape")
        sizes = {key: found.size for key, found in kept.objects.items()}
        return cls(replace(decoder, transport=transport), top, kept, sizes)

    def replay(self, tree: Tree, chain: Sequence[CataloguedArchive], first: int = 1) -> None:
        """Have a tree told of the archives of a chain.

        Args:
            tree: is told.
            chain: a FULL and the DIFFs on it, oldest first.
            first: number of the FULL.

        Raises:
            S3napbackError: an archive can be read in no way.
        """
        with Crew(_AHEAD, "indexes") as crew:
            # By itself, so that a person is asked for a passphrase once.
            ready = self._prepare(chain[0])
            ahead = deque(crew.submit(self._prepare, each) for each in chain[1 : 1 + _AHEAD])
            for place, archive in enumerate(chain):
                if place:
                    ready = result_of(ahead.popleft())
                    ahead.extend(
                        crew.submit(self._prepare, each) for each in chain[place + _AHEAD : place + _AHEAD + 1]
                    )
                self._tell(tree, archive, first + place, ready)

    def _prepare(self, archive: CataloguedArchive) -> _Ready | str:
        """What an archive's index tells, as far as it can be looked at before those in front of it were told of.

        Returns:
            Why it cannot be used, where that is so.
        """
        record = archive.record
        key = index_key(archive.key)
        if record is None or record.format != SEGMENTED or key not in self.decoder.indexes:
            return "it has no index"
        reason = ""
        for _ in range(2):
            try:
                is_short = bool(record.recipients) and archive.stored.size <= HEAD_SIZE
                entered = self._entered_whole(archive) if is_short else enter(self.decoder, archive)
                if self.sizes.get(key, _LARGEST_READ_AHEAD + 1) > _LARGEST_READ_AHEAD:
                    return _Ready(entered)
                return _Ready(entered, list(text_of(self.decoder, entered)))
            except S3napbackError as error:
                reason = str(error)
            if not self._was_kept(archive):
                break
        return reason

    def _entered_whole(self, archive: CataloguedArchive) -> Entered:
        """The same as ``enter``, of an archive that is too short to be entered: gpg does not tell its key."""
        begun = bytearray()

        def take(block: Block) -> None:
            begun.extend(memoryview(block)[: HEAD_LENGTH - len(begun)])

        self.decoder.run(archive, write=take, use="read")
        secret = secret_in(bytes(begun))
        if secret is None or archive.record is None:
            raise Irregular("it does not begin like an archive that has an index")
        stored = StoredRanges(self.decoder.transport, archive, archive.stored.size)
        return Entered(archive, archive.record, stored, secret, stored.read)

    def _tell(self, tree: Tree, archive: CataloguedArchive, place: int, ready: _Ready | str) -> None:
        is_full = archive.record is None or archive.record.type is ArchiveType.FULL
        for _ in range(2):
            if isinstance(ready, str):
                break
            try:
                with tree.archive(place, is_full=is_full):
                    pieces = text_of(self.decoder, ready.entered) if ready.pieces is None else ready.pieces
                    tell(pieces, self.top, tree.wanted, tree)
            except (DamagedIndex, StoreError) as error:
                ready = self._prepare(archive) if self._was_kept(archive) else str(error)
            else:
                return
        reason = ready if isinstance(ready, str) else "its index is damaged"
        try:
            with tree.archive(place, is_full=is_full):
                self._read_whole(tree, archive, reason)
        except DamagedIndex as error:
            raise Damaged(str(error)) from error

    def _was_kept(self, archive: CataloguedArchive) -> bool:
        if self.kept is None:
            return False
        forgotten = [self.kept.forget(key) for key in (archive.key, index_key(archive.key))]
        return any(forgotten)

    def _read_whole(self, tree: Tree, archive: CataloguedArchive, reason: str) -> None:
        """Tell a tree of an archive's members; say why its index does not, if the archive itself can be read."""
        follower = TarFollower()
        members = Members(self.top, tree)
        unsaid = [reason]

        def take(block: Block) -> None:
            if unsaid:
                logger.info("%s is read whole: %s", self.decoder.transport.address(archive), unsaid.pop())
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


class Members:
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


class ReplayedTree:
    """The tree after a chain. A context manager."""

    def __init__(self, inspector: Inspector, chain: Sequence[CataloguedArchive], wanted: Interest) -> None:
        self._inspector = inspector
        self._chain = chain
        self._wanted = wanted
        self._tree = Tree(wanted)

    def __enter__(self) -> Tree:
        self._tree.__enter__()
        try:
            self._inspector.replay(self._tree, self._chain)
            if self._tree.unresolved:
                self._tree.__exit__(None, None, None)
                self._tree = Tree(resolved(self._wanted, self._tree))
                self._tree.__enter__()
                self._inspector.replay(self._tree, self._chain)
        except BaseException:
            self._tree.__exit__(None, None, None)
            raise
        return self._tree

    def __exit__(self, *error: object) -> None:
        self._tree.__exit__(None, None, None)


def resolved(wanted: Interest, tree: Tree) -> Interest:
    """What has to be of interest so that hard links to what was not are known."""
    if len(tree.unresolved) > _MOST_UNRESOLVED:
        # So many are kept better by the tree than in memory.
        return wanted.knowing_all()
    return wanted.and_also(frozenset(tree.unresolved))
