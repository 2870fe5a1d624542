"""What is done in the tree for tar while an archive passes on its way to it, and what is left for when tar has ended.

GNU tar (``delay_set_stat`` in ``src/extract.c``, 1.34 and 1.35) keeps all folders of an incremental archive in a list,
which it searches for each further one; and it looks through all links that lead out of their folder, which it makes
last, for each hard link. Both take time with the square of their number. So folders are cleared of what the archive
knows gone, and made, before what lies in them reaches tar. What they bear, symbolic links, and what may be hard links
to these, are kept back, for further runs of tar with nothing else in them. While the rest is extracted no link is
there that could be followed.
"""

from __future__ import annotations

import marshal
import os
import stat
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import field

from s3napback.capabilities import is_bound_by_modes
from s3napback.errors import PipelineError
from s3napback.records import dataclass
from s3napback.recovery.clashes import TELLS_APART, Folding
from s3napback.recovery.clearing import Cleared, drop_attributes, free_way, gone, remove
from s3napback.recovery.folders import Cursor, cursor, file_names, go_to, reached
from s3napback.recovery.kept_pieces import KeptPieces
from s3napback.recovery.opening.failures import Damaged
from s3napback.scarcity import require_means
from s3napback.streams.tar_headers import HARD_LINK, REGULAR, SYMBOLIC_LINK, Member
from s3napback.streams.tar_rewriting import folder_headers, with_permissions
from s3napback.streams.tar_stream import END_MARK

_LONGEST_KEPT_WHOLE = 1 << 14
_MOST_CHANGED = 1 << 22
"""Bytes of names of folders in which something is put, at most; all count as such then."""

MOST_LINKS = 1 << 22
"""Bytes of names of links that are remembered for moving them aside, at most."""

_LONGEST_PATH = 4095  # bytes, by which tar can reach anything (PATH_MAX)
_BLOCK = 1 << 18
_SECURITY = "security."
_NANOSECONDS = 1_000_000_000


@dataclass
class Groundwork:
    """The work for one archive. Lives within the generator that passes it on; afterwards it tells what is left.

    Attributes:
        tree: descriptor of the folder that is extracted into.
        room: descriptor of one in which files without names are made.
        is_fresh: there is nothing in the tree yet.
        cleared: what is known of its folders from the archives before.
        folding: what the tree's file system does to names.
        lacking: names from archives before that are not in the tree.
        lost: names in this one that do not come into the tree, since the target takes them for others of it.
        placed: names of all in the archive that may be a symbolic link, and which of those that are kept back it is.
        forgot: there are more of these.
        astray: names of links that lie below a link of the same archive, and were not made. They would come to lie
            elsewhere than they are called, and nobody would know where.
    """

    tree: int
    room: int
    is_fresh: bool
    cleared: Cleared
    folding: Folding = TELLS_APART
    lacking: frozenset[str] = frozenset()
    lost: Container[str] = frozenset()
    placed: dict[str, int] = field(default_factory=dict)
    forgot: bool = False
    astray: list[str] = field(default_factory=list)
    _overtaken: set[int] = field(default_factory=set)
    _links_left: int = field(default_factory=lambda: MOST_LINKS)
    _modes: set[int] = field(default_factory=set)
    _changed: set[str] = field(default_factory=set)
    _changed_left: int = _MOST_CHANGED
    _last_changed: str | None = None
    _has_files: bool = False
    _late: set[str] = field(default_factory=set)
    _late_left: int = _MOST_CHANGED
    _is_needed: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._folders = KeptPieces(self.room)
        self._links = KeptPieces(self.room)
        self._unlocked = KeptPieces(self.room)
        self._place = Cursor(self.tree, is_own=True, stays_open=True)

    def leave(self) -> None:
        """Let go of the tree, once the last member has passed or none will any more."""
        self._place.close()

    def close(self) -> None:
        """Forget what was kept back."""
        self._folders.close()
        self._links.close()
        self._unlocked.close()

    def leaves(self, member: Member) -> bool:
        """Do what there is to do for a member that is to be extracted; whether it is left to tar now.

        Raises:
            PipelineError: the tree cannot be changed.
            Damaged: there is more of what no tree has than can be remembered.
        """
        if member.is_directory:
            try:
                return self._takes_folder(member)
            except OSError as error:
                raise PipelineError(f"the tree below /{member.name} cannot be put in order: {error}") from error
        self.note_files(member.name.rpartition("/")[0])
        if member.type in (SYMBOLIC_LINK, HARD_LINK):
            return self._takes_link(member)
        return True

    def note_files(self, folder: str) -> None:
        """Something that is no folder, and is left to tar, lies in a folder."""
        self._has_files = True
        self.cleared.forget(folder)
        if not self.is_fresh:
            self._note_change(folder)

    def headers(self, member: Member) -> Sequence[bytes]:
        """Those of a member that is left to tar, as they shall reach it."""
        if member.is_directory:
            return member.raw if self._clears_late(member) else (folder_headers(member.raw),)
        return self._opened(member)

    def _opened(self, member: Member) -> Sequence[bytes]:
        """A member's headers, so that an ordinary user's tar can give it its attributes; see ``lock``."""
        if not member.has_attributes or member.permissions & stat.S_IWUSR or not is_bound_by_modes():
            return member.raw
        if not member.is_directory and member.type != REGULAR:
            return member.raw
        self._unlocked.add(os.fsencode(member.name))
        return with_permissions(member, member.permissions | stat.S_IWUSR)

    def lock(self) -> Iterator[tuple[str, OSError]]:
        """Take from files and folders, once all is extracted, the permission to write that they had for tar alone.

        An ordinary user's tar makes a file that has attributes or a list of access rights with its last permissions,
        and cannot open it any more if its owner may not write to it; a folder gets its attributes when it has its last
        permissions, which do not let it (``set_xattr`` and ``set_stat`` in ``src/extract.c``, 1.34 and 1.35).

        Yields:
            The names of those whose permissions cannot be set, and why.

        Raises:
            OSError: a folder cannot be looked into.
        """
        with cursor(self.tree, is_own=True) as place:
            for name in map(os.fsdecode, self._unlocked.all_but(())):
                last, found = reached(place, name)
                mode = found or 0
                if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                    try:
                        os.chmod(last, stat.S_IMODE(mode) & ~stat.S_IWUSR, dir_fd=place.descriptor)
                    except OSError as error:
                        yield name, error

    def _clears_late(self, member: Member) -> bool:
        """Whether a folder is to be cleared behind what tar may not have extracted yet: tar alone can do that in time.

        tar never makes such archives: it begins with all folders.
        """
        return self._has_files and not self.is_fresh and member.dumpdir is not None

    def links(self) -> Iterator[bytes]:
        """An archive of the links that were kept back; nothing if there are none."""
        yield from _archive_of(self._links.all_but(self._overtaken))

    def folders(self) -> Iterator[bytes]:
        """An archive of the folders that are to be given what they bear; nothing if there are none.

        They come last one first: by then nothing below them is of interest any more, and the ones above are still
        open to whoever may not go everywhere. The links of the archive are live by then, and may have taken the place
        of a folder: what is reached by one is left alone.

        Raises:
            PipelineError: the tree cannot be looked into.
        """
        try:
            with cursor(self.tree, is_own=True) as place:
                yield from _archive_of(
                    kept if isinstance(kept, bytes) else folder_headers(kept)
                    for name, kept in self._last_first()
                    if _is_folder(place, name)
                )
        except OSError as error:
            raise PipelineError(f"the folders that were restored cannot be looked into: {error}") from error

    def _last_first(self) -> Iterator[tuple[str, bytes | list[bytes]]]:
        all_changed = self._changed_left < 0
        done: set[str] = set()
        for piece in self._folders.last_first(self._looked_at()):
            is_needed, name, kept = marshal.loads(piece)  # noqa: S302 - we have written it ourselves
            if name in done:
                continue
            if name in self._late:
                done.add(name)
            if is_needed or all_changed or name in self._changed:
                yield name, kept

    def _looked_at(self) -> bytearray:
        return bytearray(b"\1") * len(self._is_needed) if self._changed or self._late else self._is_needed

    def _takes_folder(self, member: Member) -> bool:
        if self._clears_late(member):
            self.cleared.forget_all()
            free_way(self._place, member.name)
            self._keep(member, is_needed=True, may_repeat=True)
            return True
        if (link := self.placed.get(member.name)) is not None:
            # What was a link when tar came by was a folder when it came again.
            self._overtaken.add(link)
        *above, last = file_names(member.name) or [""]
        # tar goes by whole paths.
        is_made = self._made(above, last) if _is_short(member.name) else None
        is_changed, may_repeat = True, False
        if is_made is False:
            is_changed = self._clear(member)
            may_repeat = self.is_fresh or self._has_files
        else:
            self.cleared.forget_entry(member.name)
            if is_made and not self.is_fresh:
                self._note_change("/".join(above))
        self._keep(member, is_needed=is_changed, may_repeat=may_repeat)
        # What the target does not take is told by tar, of the folder and of all below it.
        return is_made is None

    def _made(self, above: list[str], last: str) -> bool | None:
        """Stand in a folder, or make it: True if it was made, None if neither can be."""
        place = self._place
        try:
            if place.names != above and not go_to(place, above):
                self._make_way(above)
        except OSError as error:
            require_means(error)
            return None
        if not last:
            return False
        try:
            if not self.is_fresh:
                with suppress(FileNotFoundError):
                    place.enter(last)
                    return False
            os.mkdir(last, 0o700, dir_fd=place.descriptor)
        except OSError as error:
            require_means(error)
            return self._made_anew(last)
        return True

    def _make_way(self, above: Sequence[str]) -> None:
        """Make folders of which the archive does not tell, as tar does it."""
        self.cleared.forget_all()
        for depth, name in enumerate(above, 1):
            if not go_to(self._place, above[:depth]):
                os.mkdir(name, 0o777, dir_fd=self._place.descriptor)
                self._place.enter(name)

    def _made_anew(self, last: str) -> bool | None:
        """The same where something else is in the way, or it is there already."""
        place = self._place
        try:
            if stat.S_ISDIR(os.lstat(last, dir_fd=place.descriptor).st_mode):
                place.enter(last)
                return False
            os.unlink(last, dir_fd=place.descriptor)
            os.mkdir(last, 0o700, dir_fd=place.descriptor)
        except OSError as error:
            require_means(error)
            return None
        return True

    def _clear(self, member: Member) -> bool:
        """Remove from the folder in which we stand what a member's list knows gone; whether it is to be set right."""
        place = self._place
        status = os.fstat(place.descriptor)
        is_changed = place.mode is not None or not _is_as_told(place.descriptor, status, member)
        if is_changed:
            drop_attributes(place.descriptor, member)
        if member.dumpdir is None or self.cleared.holds_only(member.name, member.dumpdir):
            return is_changed
        below = f"{member.name}/" if member.name else ""
        found = gone(
            *(place.descriptor, member.dumpdir, self.folding),
            is_lacking=lambda entry: below + entry in self.lacking,
            is_lost=lambda entry: below + entry in self.lost,
        )
        for name, is_folder in found:
            remove(place, name, is_folder=is_folder)
        self.cleared.note(member.name, member.dumpdir)
        return is_changed or bool(found)

    def _keep(self, member: Member, *, is_needed: bool, may_repeat: bool) -> None:
        # Most of what DIFFs hold is never needed again.
        raw = self._opened(member)
        is_long = is_needed or sum(map(len, raw)) > _LONGEST_KEPT_WHOLE
        kept = folder_headers(raw) if is_long else list(raw)
        self._folders.add(marshal.dumps((is_needed, member.name, kept)))
        self._is_needed.append(is_needed)
        # A folder that comes a second time is set right once, as it came last.
        if may_repeat and self._late_left >= 0:
            self._late_left -= len(member.name)
            self._late.add(member.name)

    def _takes_link(self, member: Member) -> bool:
        if self._lies_below_a_link(member.name):
            self._note_astray(member.name)
            return False
        # A hard link bears the permissions of what it is another name of.
        if member.type == HARD_LINK and member.permissions not in self._modes:
            return True
        self._modes.add(member.permissions)
        self._note_link(member.name, len(self._links))
        self._links.add(b"".join(member.raw))
        return False

    def _note_link(self, name: str, kept: int) -> None:
        self._links_left -= len(name)
        if self._links_left < 0:
            self.forgot = True
            self.placed.clear()
        else:
            self.placed[name] = kept

    def _note_astray(self, name: str) -> None:
        self._links_left -= len(name)
        if self._links_left < 0:
            raise Damaged("it holds more links below links than any tree has")
        self.astray.append(name)

    def _lies_below_a_link(self, name: str) -> bool:
        if not self.placed:
            return False
        return any(above in self.placed for above in _above(name))

    def _note_change(self, name: str) -> None:
        """A folder gets a new entry, and so may those above, for what tar makes on its way."""
        if name == self._last_changed:
            return
        self._last_changed = name
        while name not in self._changed and self._changed_left >= 0:
            self._changed_left -= len(name)
            self._changed.add(name)
            name = name.rpartition("/")[0]


def _archive_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Members and the end mark, some hundred kilobytes at a time; nothing if there are no members."""
    is_empty = True
    passed = bytearray()
    for piece in pieces:
        is_empty = False
        passed += piece
        if len(passed) >= _BLOCK:
            yield bytes(passed)
            passed.clear()
    if not is_empty:
        yield bytes(passed) + END_MARK


def _above(name: str) -> Iterator[str]:
    end = name.rfind("/")
    while end >= 0:
        yield name[:end]
        end = name.rfind("/", 0, end)


def _is_folder(place: Cursor, name: str) -> bool:
    """Whether a name in an archive is of a folder, and no link is on the way there."""
    _last, mode = reached(place, name)
    return mode is not None and stat.S_ISDIR(mode)


def _is_short(name: str) -> bool:
    return 4 * len(name) <= _LONGEST_PATH or len(name.encode("utf-8", "surrogateescape")) <= _LONGEST_PATH


def _is_as_told(folder: int, status: os.stat_result, member: Member) -> bool:
    """Whether a folder bears all that its member says; not for certain where that is more than a few numbers."""
    if stat.S_IMODE(status.st_mode) != member.permissions or member.has_attributes:
        return False
    if not os.geteuid() and (status.st_uid, status.st_gid) != (member.owner, member.group):
        return False
    if status.st_mtime_ns != member.modified_ns:
        return False
    with suppress(OSError):
        return all(name.startswith(_SECURITY) for name in os.listxattr(folder))
    return True
