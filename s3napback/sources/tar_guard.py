"""A guard behind an incremental tar that keeps out what did not come from the tree that tar was told to archive.

tar looks at the whole tree first, then opens each directory by its whole path, and follows links in it. Whoever owns a
folder can put a link in its place meanwhile: a file of root's elsewhere then stands in the archive as a file of that
user's. So each member that somebody else than root could have exchanged is held against the tree, reached without
following links, unless it belongs to the only user who could.

A folder that is something else by now would stand in the archive as that, although its parent's list calls it a
folder; tar cannot replay such a chain. It is left out as well, and so is what the list calls a file and is a folder.

What tar says of renames goes out of its lists (see ``tar_renames``), and the folders that it speaks of are as good as
not archived, unless they are two places of one folder (see ``two_places``).
"""

from __future__ import annotations

import posixpath
import struct
from array import array
from collections.abc import Collection, Iterator, Sequence

from s3napback.formatting import printable, shortened
from s3napback.index.headers import FolderForm, Group, Span, folder_at, folder_form, group_length, plain_size, with_form
from s3napback.records import dataclass
from s3napback.sources.in_use import MOST, Data, has_signs, named_in
from s3napback.sources.kept_out import KeptOut
from s3napback.sources.live_tree import Folder, LiveTree
from s3napback.sources.tar_renames import without_renames
from s3napback.sources.two_places import NOT_WHAT_LIES_THERE, TwoPlaces
from s3napback.streams.dumpdirs import MalformedArchive, folders_in, is_usual_dumpdir
from s3napback.streams.tar_headers import (
    BLOCK_SIZE,
    EXTENDED,
    HARD_LINK,
    REGULAR,
    Member,
    read_header,
)
from s3napback.streams.tar_stream import end_behind, member_of
from s3napback.streams.transformations import Block

_CHANGED = "was kept out of this archive: it was exchanged for something of another kind while tar was looking at it"
_RENAMED = (
    "may not be whole in this archive: tar met the same folder at two places, as if it was renamed meanwhile; the next "
    "archive takes all of it"
)
# tar's most frequent form of a member: an extended header of nothing but the time, then that of a regular file. Size,
# type, and beginning of the content of the first; name, owner, size and type of the second.
_COMMON = struct.Struct("124x11s21xc355x 32s480x 100s8x8s8x11s21xc355x")
_TIME_ALONE = {b"%011o" % size: b"%d mtime=" % size for size in range(20, 32)}
_WRITABLE_BY_OTHERS = 0o022
_NOWHERE = TwoPlaces()
_TYPE_BEFORE_END = BLOCK_SIZE - 156
"""Bytes from a member's type to the end of its headers."""


@dataclass
class _Place:
    """The folder whose members pass.

    Attributes:
        path: with a slash at its end, as in the archive.
        folder: in the tree.
        owner: field of a header whose member needs no look; empty if none does.
    """

    path: bytes
    folder: Folder
    owner: bytes


class TarGuard:
    """Guards one incremental archive.

    Attributes:
        out: what is not in the archive, or perhaps not whole.
        in_use: data files of databases that names in the archive tell of, the first thousand.
        passes_all: it has nothing more to say.
        drops: the member that was judged last does not pass.
        left: bytes of that one's content, padded, that are still to come.
    """

    def __init__(
        self,
        member: str,
        tree: LiveTree | None,
        places: TwoPlaces = _NOWHERE,
        *,
        is_full: bool,
        tags: Collection[bytes] = (),
    ) -> None:
        """Begin.

        Args:
            member: what tar was told to archive, relative to the root directory.
            tree: the same, as it is; None where its members are not to be held against it.
            places: tells which folders are there at two places.
            is_full: it is a full archive, and lacks nothing that is old.
            tags: names for which a folder is left out but for what has that name. Of a folder so called tar writes an
                empty one among the files, which no restore would make something of.
        """
        self.in_use: list[Data] = []
        self._top = posixpath.normpath(member.encode("utf-8", "surrogateescape"))
        self._tree = tree
        self.out = KeptOut()
        self._places = places
        self._is_full = is_full
        self._tags = tags
        # Hashes of paths: of directories that a list has named and that have not come yet, and of those that have.
        self._expected: set[int] = {hash(self._top)}
        self._seen = array("q")
        self._nobody_else_owns = True
        self._exposed: dict[bytes, bool] = {}
        self._reads_files = False
        self.passes_all = False
        self._has_ended = False
        self._place = _Place(b"", Folder(None), b"")
        self._group = bytearray()
        self.left = 0
        self.drops = False
        self._passed = 0
        self._flaw = ""

    @property
    def warnings(self) -> list[str]:
        """What was kept out and why, one line each."""
        return [*self.out.warnings, self._flaw] if self._flaw else self.out.warnings

    def go_on(self, blocks: Iterator[memoryview], passed: int) -> Iterator[Block]:
        """See ``Gate`` of ``index/follower.py``."""
        self._passed = passed
        return self.guarded(blocks)

    def guarded(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        """Pass the archive on."""
        for block in blocks:
            if self.passes_all:
                yield block
                continue
            for piece in self._taken(block):
                self._passed += len(piece)
                yield piece
        if self._has_ended:
            yield end_behind(self._passed)
        elif self._group:
            yield bytes(self._group)

    def _taken(self, block: memoryview) -> Iterator[Block]:
        """Those parts of a block that pass; headers that go on in the next one are kept back."""
        position = start = 0
        end = len(block)
        while position < end and not self.passes_all:
            if self._has_ended:
                return
            if self.left:
                step = min(self.left, end - position)
                self.left -= step
                position += step
                if self.drops:
                    start = position
                continue
            if not self._group and (step := self._harmless(block, position, end)):
                position += step
                continue
            found = None if self._group or self._reads_files else folder_at(block, position)
            length = len(found[0]) if found else group_length(block, position)
            if not self._group and position + length <= end:
                group, form = found or with_form(bytes(block[position : position + length]))
                passing = self.passing(group, form)
                if passing is not group:
                    yield block[start:position]
                    yield memoryview(passing)
                    start = position + length
                position += length
                continue
            yield block[start:position]
            position += self._collect(block[position:])
            start = position
            if (group := self._whole_group()) and (passing := self.passing(group, folder_form(group))):
                yield memoryview(passing)
        yield block[start:]

    def _harmless(self, block: memoryview, position: int, end: int) -> int:
        """Bytes from a position on of members that need no look; for speed alone."""
        path, owner, is_anyones = self._place.path, self._place.owner, self._lets_files_in
        if not (owner or is_anyones):
            return 0
        start, beyond, last, unpack = position, len(path), end - _COMMON.size, _COMMON.unpack_from
        while position <= last:
            described, extended, time, name, user, size, kind = unpack(block, position)
            is_known = is_anyones or (user == owner and name.startswith(path) and name.find(b"/", beyond) < 0)
            if (
                not is_known
                or not time.startswith(_TIME_ALONE.get(described, b"none"))
                or kind != REGULAR
                or extended != EXTENDED
            ):
                break
            position += _COMMON.size + (int(size, 8) + BLOCK_SIZE - 1 & -BLOCK_SIZE)
        if position > end:
            self.left, self.drops = position - end, False
            return end - start
        return position - start

    def _collect(self, rest: memoryview) -> int:
        """Add to the group of headers what belongs to it, and tell how much that was."""
        taken = 0
        while taken < len(rest) and (wanted := group_length(self._group, 0) - len(self._group)):
            step = rest[taken : taken + wanted]
            self._group += step
            taken += len(step)
        return taken

    def _whole_group(self) -> bytes:
        if group_length(self._group, 0) > len(self._group):
            return b""
        group = bytes(self._group)
        self._group.clear()
        return group

    def passing(self, group: Group, form: FolderForm | None) -> Group:
        """Judge the member that a group of headers describes, and tell what of them passes; prepare for its content.

        Args:
            group: all its headers.
            form: what ``folder_form`` makes of them.
        """
        self.drops, self.left = False, 0
        if form is not None and (passes := self._fits_usually(group, form)) is not None:
            self.drops = not passes
            return group if passes else b""
        is_plain = not (self._places.doubts and group[-_TYPE_BEFORE_END] == HARD_LINK[0])
        if is_plain and self._lets_files_in and (size := plain_size(group)) is not None:
            self.left = size
            return group
        if not group.strip(b"\0"):
            # tar's own end fills larger records, and does not fit any more what was shortened.
            self._has_ended = True
            return b""
        try:
            passing, renamed = without_renames(bytes(group))
            self._note_renamed(renamed)
            member = member_of(passing)
            self.drops = not self._fits(member)
        except MalformedArchive as error:
            # The archive is as good as tar made it; a guard that lost its way must not spoil it.
            self._flaw = f"what came from outside of the tree could not be told from {_readable(self._top)}: {error}"
            self.passes_all = True
            return group
        self.left = member.size + -member.size % BLOCK_SIZE
        return b"" if self.drops else passing

    def free_owner(self, folder: bytes) -> bytes | None:
        """See ``Gate`` of ``index/follower.py``."""
        if self.passes_all or self._lets_files_in:
            return None
        # The first member behind the directories ends these.
        return self._entered(folder + b"/", self._tree).owner if self._reads_files and self._tree else b""

    def _fits_usually(self, group: Group, form: FolderForm) -> bool | None:
        """Whether a folder passes that is described as nearly all are; None is everything else: for speed alone."""
        # Without any entry it is a single zero byte.
        if form.end - form.start > 1 and not is_usual_dumpdir(group, form.start, form.end):
            return None
        if form.who not in self._exposed:
            try:
                self._exposed[form.who] = _is_exposed_folder(group)
            except MalformedArchive:
                return None
        listed = (form.start, form.end)
        return self._fits_as_directory(form.normal, group, listed, self._exposed[form.who])

    def _note_renamed(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        for before, after in pairs:
            if self._places.are_empty(before, after):
                continue
            # What is there twice is met twice by itself, and so is all that is in it. The first place is whole.
            is_twice = self._places.have(before, after)
            doubtful = ((after,) if not self._is_full else ()) if is_twice else (before, after)
            for path in filter(None, doubtful):
                self.out.add(path, _RENAMED)

    def _fits(self, member: Member) -> bool:
        path = posixpath.normpath(member.path)
        if member.is_directory:
            listed = member.dumpdir or b""
            return self._fits_as_directory(path, listed, (0, len(listed)), is_exposed=_is_exposed(member))
        if not self._reads_files:
            if hash(path) in self._expected:
                return self._leave_out(path, _CHANGED)
            self._begin_files()
        if member.type == HARD_LINK:
            link = posixpath.normpath(member.link)
            if link in self.out or self._places.are_two_files(path, link):
                return self._leave_out(path, NOT_WHAT_LIES_THERE)
        return self._tree is None or self._lies_there(path, member, self._tree)

    def _fits_as_directory(self, path: bytes, group: Group, listed: Span, is_exposed: bool) -> bool:
        place = hash(path)
        is_expected = place in self._expected
        if self._reads_files or (not is_expected and hash(path.rpartition(b"/")[0] or b".") in self._seen):
            if posixpath.basename(path) not in self._tags:
                self._leave_out(path, _CHANGED)
            return False
        self._expected.discard(place)
        self._seen.append(place)
        if len(self.in_use) < MOST and has_signs(group, *listed):
            self.in_use += named_in(path, bytes(group[slice(*listed)]))
        if folders := folders_in(group, *listed):
            start = b"" if path == b"." else path + b"/"
            self._expected.update([hash(start + name) for name in folders])
        if is_exposed:
            self._nobody_else_owns = False
        return True

    def _begin_files(self) -> None:
        """All directories have passed. Where every one is root's, nobody else can exchange any."""
        self._reads_files = True
        self._expected.clear()
        del self._seen[:]
        if self._tree is not None and self._nobody_else_owns and self._tree.top.is_roots_alone:
            self._tree = None

    @property
    def _lets_files_in(self) -> bool:
        """Files pass whatever they are; what is a folder by now still does not, whoever has exchanged it."""
        return self._reads_files and self._tree is None

    def _lies_there(self, path: bytes, member: Member, tree: LiveTree) -> bool:
        name = posixpath.basename(path)
        folder = self._entered(member.path.rpartition(b"/")[0] + b"/", tree).folder
        if folder.is_roots_alone and folder.descriptor is not None:
            return True
        if folder.descriptor is not None and member.owner == folder.user:
            return True
        return tree.holds(folder, name, member) or self._leave_out(path, NOT_WHAT_LIES_THERE)

    def _entered(self, written: bytes, tree: LiveTree) -> _Place:
        """The folder whose members pass now."""
        if written != self._place.path:
            path = posixpath.normpath(written)
            folder = tree.folder(path if self._top == b"." else path[len(self._top) :])
            self._place = _Place(written, folder, _needing_no_look(folder))
        return self._place

    def _leave_out(self, path: bytes, reason: str) -> bool:
        self.out.add(path, reason)
        return False


def _needing_no_look(folder: Folder) -> bytes:
    """The owner's field, as tar writes it, of those members that need no look; empty if all do."""
    if folder.descriptor is None or (folder.user is None and not folder.is_roots_alone):
        return b""
    return b"%07o\0" % (folder.user or 0)


def _is_exposed_folder(group: Group) -> bool:
    """The same of one whose owner is in no extended header, by both headers; its list is not copied."""
    read_header(bytes(group[:BLOCK_SIZE]))
    return _is_exposed(Member(read_header(bytes(group[-BLOCK_SIZE:])), 0, ()))


def _is_exposed(folder: Member) -> bool:
    """Whether somebody else than root can exchange what is in it."""
    return bool(folder.owner or folder.permissions & _WRITABLE_BY_OTHERS)


def _readable(path: bytes) -> str:
    return shortened(printable(path.decode("utf-8", "surrogateescape")))
