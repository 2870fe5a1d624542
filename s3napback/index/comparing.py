"""What a DIFF has to take besides what tar takes: names that are not as the parent archive has them.

tar goes by time alone: what is older than the last archive is the same, it thinks. Here each name that it passes over
is held against what the parent archive holds under it. What differs, or was never archived, is *taken*.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from s3napback.index.before import NamesBefore
from s3napback.index.database import NewIndex
from s3napback.index.headers import Group, Span
from s3napback.index.leading import leads_as_before
from s3napback.index.parent import ParentIndex
from s3napback.index.records import (
    ASKED,
    DIRECTORY,
    LEFT_OUT,
    NANOSECONDS,
    NOBODYS,
    PART,
    SHUT_OUT,
    STORED,
    UNREAD,
    Part,
    Record,
    has_measure,
)
from s3napback.index.tags import Tag, has_tag
from s3napback.index.walking import Walk
from s3napback.records import dataclass
from s3napback.scarcity import require_means

_PIECE_BYTES = 1 << 17
_END = bytes(2)
_EMPTIED = b"E"
"""Of a name that was a folder, and is now what nobody archives, or left out with all that is in it."""

_seen = attrgetter("st_mode", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_nlink")
_ARCHIVED_TYPES = frozenset((stat.S_IFREG, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO))
_LEADS_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


@dataclass(frozen=True)
class Looks:
    """How names are looked at, as tar's options have it.

    Attributes:
        follows: symbolic links stand for what they lead to.
        one_file_system: what lies on another one than its folder is left out.
        compares_mode: the archive has the files' own.
        compares_owner: likewise, of users and groups.
        tags: a folder that has one of these is left out with all that is in it.
    """

    follows: bool = False
    one_file_system: bool = False
    compares_mode: bool = True
    compares_owner: bool = True
    tags: tuple[Tag, ...] = ()

    @property
    def are_plain(self) -> bool:
        """Nothing of that is asked for, tags apart: what they leave out has another letter."""
        return self == Looks(tags=self.tags)

    def look(self, name: bytes, folder: int) -> os.stat_result:
        """What lies under a name in a folder, a descriptor; a symbolic link stands for itself if it leads nowhere.

        Raises:
            OSError: it cannot be looked at.
        """
        try:
            return os.stat(name, dir_fd=folder, follow_symlinks=self.follows)
        except OSError as error:
            if not self.follows or error.errno not in _LEADS_NOWHERE:
                raise
            return os.lstat(name, dir_fd=folder)

    def are_equal(self, record: Record, status: os.stat_result, name: bytes, folder: int) -> bool:
        """Whether what was looked at is what a record says.

        Raises:
            OSError: a symbolic link cannot be read.
        """
        _kind, measure, seconds, nanoseconds = record
        if status.st_mtime_ns != seconds * NANOSECONDS + nanoseconds:
            return False
        return self.are_alike(record, status) and has_measure(status, measure, name, folder)

    def are_alike(self, record: Record, status: os.stat_result) -> bool:
        """Whether type, permissions and owners are what a record says."""
        mode, user, group = record[0]
        if status.st_mode != mode and (self.compares_mode or stat.S_IFMT(status.st_mode) != stat.S_IFMT(mode)):
            return False
        return not self.compares_owner or (status.st_uid, status.st_gid) == (user, group)


class Relettered(NamedTuple):
    """A name whose letter in a list is changed, so that a reading tar does what is right.

    Attributes:
        place: of the letter in the list.
        name: as it would stand in the archive.
        letter: ``UNREAD`` where it is to be taken, ``DIRECTORY`` where what is there now is archived by nobody, and
            what older archives hold under it has to go.
        is_taken: otherwise ``UNREAD`` is just what makes a folder go that older archives hold.
    """

    place: int
    name: bytes
    letter: bytes
    is_taken: bool = True


@dataclass(frozen=True)
class Comparison:
    """Judges one directory of an archive after the other, and writes what is known of their names into the new index.

    Attributes:
        walk: through the tree as it is.
        looks: see there.
        new: the index of this archive.
        parent: that of the archive on which a DIFF builds; None for a FULL, for which tar takes all by itself.
        links_since_ns: followed links that were changed since may lead elsewhere, in nanoseconds since 1970; 0 if none
            are followed.
    """

    walk: Walk
    looks: Looks
    new: NewIndex
    parent: ParentIndex | None = None
    links_since_ns: int = 0

    def judge(self, path: bytes, written: bytes, group: Group, dumpdir: Span) -> Iterable[Relettered]:
        """Judge a directory by the list of what it held.

        Args:
            path: relative to the source.
            written: as it stands in the archive, with the slash at its end.
            group: all its headers.
            dumpdir: where in them tar's list is; it is not copied, since it can be a large one.

        Returns:
            Each name whose letter has to be another one, with its place in ``group``. To be gone through to its end.

        Raises:
            SourceError: an index cannot be read or written.
        """
        start, end = dumpdir
        if self.parent is None and not _has_letter(LEFT_OUT, group, dumpdir):
            if end - start <= PART and group.endswith(_END, start, end):
                # There cannot be more entries than in a part.
                self.new.add_names(path, bytes(group[start : end - len(_END)]))
                return ()
            for _start, entries in _pieces(group, dumpdir):
                self.new.add_names(path, b"\0".join(entries))
            return ()
        place = _Place(self, path, written)
        return chain.from_iterable(place.judge(start, entries) for start, entries in _pieces(group, dumpdir))

    def settle(self) -> None:
        """Note at the end of a FULL which names were not read because nobody archives what they are; of a DIFF, it is.

        Raises:
            SourceError: see ``judge``.
        """
        if self.parent is not None:
            return
        self.walk.begin_anew()
        for path, names in self.new.unread():
            place = _Place(self, path, b"")
            if nobodys := {name: NOBODYS for name in names if place.is_of_nobody(name)}:
                self.new.change(path, nobodys)


class _Place:
    """One directory that is being judged."""

    def __init__(self, whole: Comparison, path: bytes, written: bytes) -> None:
        self._walk = whole.walk
        self._looks = whole.looks
        self._is_plain = whole.looks.are_plain
        self._links_since_ns = whole.links_since_ns
        self._new = whole.new
        self._is_full = whole.parent is None
        self._parent = NamesBefore(whole.parent, path)
        self._path = path
        self._written = written
        self._folder = -1
        self._device = 0
        self._has_folder: bool | None = None

    def judge(self, start: int, entries: Sequence[bytes]) -> Iterator[Relettered]:
        """Judge a piece of the list, of which ``start`` tells where it begins."""
        if part := self._unchanged(entries):
            self._new.add(self._path, part)
            return
        known, records = [], []
        for entry in entries:
            letter, name = entry[:1], entry[1:]
            record = self._plainly_kept(name) if letter == LEFT_OUT else None
            if record is not None:
                letter = STORED
            elif letter == LEFT_OUT:
                letter, record, other = self._passed_over(name)
                if other:
                    is_taken = other != _EMPTIED
                    yield Relettered(start, self._written + name, other if is_taken else UNREAD, is_taken)
            elif letter == UNREAD and not self._is_full and self.is_of_nobody(name) and not self._was_folder(name):
                letter = NOBODYS
                yield Relettered(start, self._written + name, DIRECTORY)
            known.append(letter + name)
            if record is not None:
                records.append(record)
            start += len(entry) + 1
        self._new.add(self._path, Part(known, records))

    def _unchanged(self, entries: Sequence[bytes]) -> Part | None:
        """What the parent holds of a piece, if that is as it was: mostly it is, and so this is in loops of C's.

        None is everything else, files with several names and links among it.
        """
        part, listed = self._parent.part_of(entries[0][1:]), b"\0" + b"\0".join(entries)
        if not (self._is_plain and part.encoded and part.as_passed_over == listed[1:] and self._is_there()):
            return None
        if b"\0" + UNREAD in listed:
            # tar takes it anew, and it may be something else by now, or have other names.
            return None
        names = [entry[1:] for entry in part.entries if entry[:1] == STORED]
        if not all(stat.S_ISREG(mode) for mode, _user, _group in {record[0] for record in part.records}):
            return None
        try:
            found = map(_seen, map(partial(os.stat, dir_fd=self._folder, follow_symlinks=False), names))
            for (kind, size, seconds, nanoseconds), now in zip(part.records, found, strict=True):
                if now != (kind[0], kind[1], kind[2], size, seconds * NANOSECONDS + nanoseconds, 1):
                    return None
        except OSError:
            return None
        return part

    def _plainly_kept(self, name: bytes) -> Record | None:
        """The record of a regular file with a single name that is as it was: the most frequent case, for speed alone.

        None is everything else.
        """
        record = self._parent.part_of(name).stored.get(name)
        if record is None or self._looks.one_file_system or self._links_since_ns:
            return None
        try:
            status = self._status(name)
        except OSError:
            return None
        kind, size, seconds, nanoseconds = record
        is_same = (
            status.st_mtime_ns == seconds * NANOSECONDS + nanoseconds
            and status.st_size == size
            and (status.st_mode, status.st_uid, status.st_gid) == kind
            and stat.S_ISREG(kind[0])
            and status.st_nlink == 1
        )
        return record if is_same else None

    def _passed_over(self, name: bytes) -> tuple[bytes, Record | None, bytes]:
        """Of a name that tar has not taken, what is known now, and its letter, if that has to be another one."""
        letter, record = self._parent.part_of(name).look_up(name)
        if letter == LEFT_OUT:
            return letter, None, b""
        if not letter and self._parent.has_lapsed:
            # As a folder, because what an older archive holds under that letter stays.
            letter = DIRECTORY
        try:
            status = self._status(name)
        except (FileNotFoundError, NotADirectoryError):
            # tar still saw it, and says so; it is as it was then.
            return (letter, record, b"") if record else (DIRECTORY, None, b"")
        except OSError:
            # Of a folder that cannot be looked at, what an older archive holds is all that there is.
            known = letter if letter in (DIRECTORY, SHUT_OUT) else UNREAD
            return known, None, b"" if self._is_full or known != UNREAD else UNREAD
        if self._is_left_out(status):
            return self._left_alone(letter, status, name)
        if self._is_full:
            return LEFT_OUT, None, b""
        unread = UNREAD if letter in (STORED, UNREAD) else ASKED
        return self._compared(name, record, status, unread)

    def _left_alone(self, letter: bytes, status: os.stat_result, name: bytes) -> tuple[bytes, None, bytes]:
        """``_passed_over`` of what tar leaves out, or archives never; the parent has it under a letter."""
        known = DIRECTORY if stat.S_ISDIR(status.st_mode) else NOBODYS
        if known == DIRECTORY and letter in (b"", SHUT_OUT):
            return SHUT_OUT, None, b""
        if letter == DIRECTORY:
            if known == NOBODYS:
                return UNREAD, None, _EMPTIED
            # tar lists a folder so that it could not look at, too: what an older archive holds is all of it then.
            is_tagged = has_tag(name, self._folder, self._looks.tags, follows=self._looks.follows)
            return (SHUT_OUT, None, _EMPTIED) if is_tagged else (letter, None, b"")
        return known, None, DIRECTORY if letter in (STORED, UNREAD) else b""

    def _compared(
        self, name: bytes, record: Record | None, status: os.stat_result, unread: bytes
    ) -> tuple[bytes, Record | None, bytes]:
        is_kept = record is not None and self._is_equal(record, status, name)
        if status.st_nlink > 1:
            inode = (status.st_dev, status.st_ino)
            if is_kept:
                self._new.note_name(inode, self._written, name, is_kept=True)
            else:
                self._new.note_taken(inode)
        if is_kept:
            return STORED, record, b""
        return unread, None, UNREAD

    def _is_equal(self, record: Record, status: os.stat_result, name: bytes) -> bool:
        try:
            if self._links_since_ns and not leads_as_before(name, self._folder, self._links_since_ns):
                return False
            return self._looks.are_equal(record, status, name, self._folder)
        except OSError:
            return False

    def is_of_nobody(self, name: bytes) -> bool:
        """Whether what tar lists as in the archive is something that it archives never, as a socket.

        Otherwise it is noted for a DIFF if the same file has other names, which may have to be taken.
        """
        try:
            status = self._status(name)
        except OSError:
            return False
        if self._is_left_out(status):
            return True
        if not self._is_full and status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            self._new.note_name((status.st_dev, status.st_ino), self._written, name, is_kept=False)
        return False

    def _was_folder(self, name: bytes) -> bool:
        """Whether older archives may hold a folder: that goes by the letter that tar gives, and a file does not."""
        return self._parent.part_of(name).look_up(name)[0] in (DIRECTORY, SHUT_OUT, LEFT_OUT)

    def _is_left_out(self, status: os.stat_result) -> bool:
        kind = stat.S_IFMT(status.st_mode)
        leads_nowhere = self._looks.follows and kind == stat.S_IFLNK
        return leads_nowhere or kind not in _ARCHIVED_TYPES or self._is_elsewhere(status)

    def _status(self, name: bytes) -> os.stat_result:
        if not self._is_there():
            raise FileNotFoundError
        return self._looks.look(name, self._folder)

    def _is_there(self) -> bool:
        if self._has_folder is None:
            self._has_folder = self._opened()
        return self._has_folder

    def _opened(self) -> bool:
        try:
            self._folder = self._walk.folder(self._path)
            self._device = os.fstat(self._folder).st_dev
        except OSError as error:
            require_means(error)
            return False
        return True

    def _is_elsewhere(self, status: os.stat_result) -> bool:
        return self._looks.one_file_system and status.st_dev != self._device


def _has_letter(letter: bytes, group: Group, dumpdir: Span) -> bool:
    start, end = dumpdir
    return group.startswith(letter, start) or group.find(b"\0" + letter, start, end) >= 0


def _pieces(group: Group, dumpdir: Span) -> Iterator[tuple[int, list[bytes]]]:
    """Where each piece of a list begins, and its entries: a folder may hold millions."""
    start, end = dumpdir
    while start < end and group[start]:
        after = group.find(b"\0", min(start + _PIECE_BYTES, end - 2), end) + 1
        *entries, rest = bytes(group[start:after]).split(b"\0", PART)
        yield start, entries
        start = after - len(rest)
