"""From the staging folder into place: what was asked for and nothing else, by renames that follow no link."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import field
from pathlib import Path

from s3napback.capabilities import is_bound_by_modes
from s3napback.formatting import counted, printable
from s3napback.records import dataclass
from s3napback.recovery.attributes import folding_of
from s3napback.recovery.clashes import EITHER, WORDS, same_names
from s3napback.recovery.copying import NO_SUCH_NAME, Copier
from s3napback.recovery.disks import require_on_disk
from s3napback.recovery.folders import (
    Cursor,
    cursor,
    entry_mode,
    file_names,
    names_in,
    unchanged,
)
from s3napback.recovery.manners import USUAL_MANNERS, Manners
from s3napback.recovery.obstacles import OF_ANOTHER_KIND, MergeSurvey, Obstacle
from s3napback.recovery.passing import OPEN_FOLDER, Before
from s3napback.recovery.path_opening import UnusableFolder
from s3napback.recovery.private import private_folder
from s3napback.recovery.refusals import Aspect, Refusals
from s3napback.recovery.staging import PREFIX, Staging, UnusableTarget, require_empty_folder

_MOST_SHOWN = 20
_TREE = "tree"


@contextmanager
def brought_over(
    staging: Staging, top: str, names: Sequence[str], refusals: Refusals, *, manners: Manners = USUAL_MANNERS
) -> Iterator[int]:
    """While it is entered, what was asked for lies in a private folder in WHERE, and not elsewhere any more.

    Args:
        staging: lies elsewhere.
        top: see ``publish``.
        names: see ``publish``.
        refusals: takes what the target does not.
        manners: of WHERE.

    Yields:
        The folder's descriptor.

    Raises:
        UnusableTarget: that was not possible; nothing was published.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(private_folder(staging.target, PREFIX))[1]
            os.mkdir(_TREE, 0o700, dir_fd=folder)
            tree = os.open(_TREE, OPEN_FOLDER, dir_fd=folder)
            stack.callback(os.close, tree)
            sides = cursor(staging.tree, is_own=True), cursor(tree)
            with sides[0] as source, sides[1] as target, ExitStack() as copies:
                move = _Move(source, target, len(file_names(top)), Copier(refusals, copies, manners), is_private=True)
                for name in names:
                    move.move(file_names(name))
            require_on_disk(tree)
        except OSError as error:
            raise UnusableTarget(
                f"what was extracted cannot be brought to {staging.where}: {error.strerror}; nothing was restored"
            ) from error
        yield tree


def publish(
    staging: Staging,
    tree: int,
    top: str,
    names: Sequence[str],
    refusals: Refusals,
    *,
    in_place: bool,
    manners: Manners = USUAL_MANNERS,
) -> None:
    """Move what was asked for into WHERE.

    Files take the place of files, folders are merged; nothing is deleted but files that restored ones replace. Folders
    above what was asked for that are there already keep their owners, permissions and times.

    Args:
        staging: of it.
        tree: descriptor of the folder in which all lies.
        top: the source's name in archives; empty is the root directory.
        names: what was asked for, as archives name it; it lies in ``top``.
        refusals: takes what a file system that is mounted in WHERE does not.
        in_place: WHERE may hold something.
        manners: of WHERE.

    Raises:
        UnusableTarget: something has come into WHERE meanwhile, something is in the way, or the disk has not taken what
            it should have; nothing was changed. Or it cannot be moved, and a part of it may have been.
    """
    try:
        require_on_disk(tree)
    except OSError as error:
        raise UnusableTarget(
            f"what was extracted is not on the disk of {staging.at}: {error.strerror}; nothing was restored"
        ) from error
    if not in_place:
        require_empty_folder(staging.target, staging.where)
    sides = cursor(tree, is_own=True), cursor(staging.target, opens=True)
    with sides[0] as source, sides[1] as target, ExitStack() as stack:
        count = _require_free_way(source, target, names, staging.where)
        copier = Copier(refusals, stack, manners)
        move = _Move(source, target, len(file_names(top)), copier)
        with _failing(staging.where, move, count):
            for name in names:
                move.move(file_names(name))
            copier.note_parted(tree)
        try:
            copier.disks.require_on_disk()
        except OSError as error:
            raise UnusableTarget(
                f"what was restored to {staging.where} is in place, and not all of it on the disk: {error.strerror}; "
                "look at that disk, and run the same restore again"
            ) from error


def _require_free_way(source: Cursor, target: Cursor, names: Sequence[str], where: Path) -> int:
    """Look at everything before anything is changed; returns how many files and folders will be put into place."""
    survey = MergeSurvey(source, target)
    try:
        obstacles = [each for name in names for each in survey.obstacles(file_names(name))]
        obstacles += [Obstacle(*each) for each in survey.room.wanting()]
    except OSError as error:
        path = where.joinpath(*target.names, *_name_of(error))
        raise UnusableTarget(
            f"{printable(str(path))} cannot be looked at: {error.strerror}. Nothing was changed"
        ) from error
    if not obstacles:
        return survey.count
    reasons = dict.fromkeys(each.reason for each in obstacles)
    lines = []
    for reason in reasons:
        paths = [each.path for each in obstacles if each.reason == reason]
        lines.append(f"  {counted(len(paths), 'path')}: {reason}")
        lines += [f"    {printable(str(where / path))}" for path in paths[:_MOST_SHOWN]]
        lines += [f"    and {len(paths) - _MOST_SHOWN} more"] if len(paths) > _MOST_SHOWN else []
    advice = "restore into an empty directory instead" if OF_ANOTHER_KIND in reasons else "see to these first"
    raise UnusableTarget(f"what was restored cannot be merged. Nothing was changed; {advice}:", *lines)


def _name_of(error: OSError) -> list[str]:
    return [os.fsdecode(error.filename)] if isinstance(error.filename, str | bytes) else []


@contextmanager
def _failing(where: Path, move: _Move, count: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        path = where.joinpath(*move.target.names, move.at)
        move.give_up()
        raise UnusableTarget(
            f"what was restored cannot be put into place: {error.strerror}: {printable(str(path))}",
            f"  {move.done} of {counted(count, 'path')} are in place already, the others are as they were; folders on "
            "the way to it may lack their permissions and times",
            "  mend that, and run the same restore again: it puts all into place",
        ) from error


@dataclass(frozen=True)
class _Frame:
    """A folder that is being merged.

    Attributes:
        restored: its facts in the staging folder, before anything was moved out of it.
        live: its facts in WHERE, before anything was moved into it.
        names: what is still to be moved.
        keeps_facts: the folder in WHERE keeps its owner, permissions and times.
    """

    restored: os.stat_result
    live: os.stat_result
    names: list[str]
    keeps_facts: bool


@dataclass
class _Move:
    """Moves one name, and what lies below it.

    Attributes:
        source: stands at the top of the restored tree.
        target: stands at the top of WHERE.
        above: so many folders lie above the source; no archive tells their facts.
        is_private: what the source lies in is merged into a folder that nobody else reaches.
        done: so many files and folders are in place.
        at: name of what is being moved, in the folder that both sides stand in; empty is the folder itself.

    Folders above one name that were made may be above the next one, too, which changes their times once more: ``_made``
    holds what they were like in the staging folder before the first one left it.
    """

    source: Cursor
    target: Cursor
    above: int
    copier: Copier
    is_private: bool = False
    done: int = 0
    at: str = ""
    _frames: list[_Frame] = field(default_factory=list)
    _made: dict[tuple[str, ...], os.stat_result] = field(default_factory=dict)

    def move(self, parts: Sequence[str]) -> None:
        for name in parts[:-1]:
            self._go_down(name)
        if parts:
            self._move_one(parts[-1])
        else:
            self._begin(self._apart(), keeps_facts=False)
        while self._frames:
            frame = self._frames[-1]
            if frame.names:
                self._move_one(frame.names.pop())
            else:
                self._finish(self._frames.pop())

    def give_up(self) -> None:
        """Close those folders again that were opened for as long as it takes."""
        with suppress(OSError, UnusableFolder):
            while self._frames:
                frame = self._frames.pop()
                if _is_opened(frame.live):
                    os.fchmod(self.target.descriptor, stat.S_IMODE(frame.live.st_mode))
                self._leave()

    def _go_down(self, name: str) -> None:
        """Go to a folder above what was asked for, which is made where it is missing."""
        self.at = name
        is_there = entry_mode(name, self.target.descriptor) is not None
        if not is_there:
            os.mkdir(name, 0o700, dir_fd=self.target.descriptor)
        self._enter(name)
        is_told = self.source.depth >= self.above
        if not is_there and not is_told:
            # Some targets refuse it, or know nothing of permissions.
            with suppress(OSError):
                os.fchmod(self.target.descriptor, 0o755)
        place = tuple(self.source.names)
        if not is_there:
            self._made[place] = os.fstat(self.source.descriptor)
        self._begin([], keeps_facts=place not in self._made or not is_told)

    def _move_one(self, name: str) -> None:
        self.at = name
        mode = entry_mode(name, self.source.descriptor)
        if mode is None:
            return
        if stat.S_ISDIR(mode) and entry_mode(name, self.target.descriptor) is not None:
            self._merge(name)
            return
        if self.copier.manners.one_by_one and stat.S_ISDIR(mode):
            self._move_across(name, is_folder=True)
            return
        try:
            self._rename(name)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._move_across(name, is_folder=stat.S_ISDIR(mode))
        self.done += 1

    def _rename(self, name: str) -> None:
        source, target = self.source.descriptor, self.target.descriptor
        if not self.copier.manners.one_by_one:
            _rename(name, source, target)
            return
        status = os.lstat(name, dir_fd=source)
        _rename(name, source, target)
        self.copier.give_times(status, name, target, self._path(name))

    def _move_across(self, name: str, *, is_folder: bool) -> None:
        """Another file system is mounted below WHERE, or the staging folder is on another one."""
        path = self._path(name)
        if not is_folder:
            self.copier.copy(name, self.source.descriptor, self.target.descriptor, path)
            return
        with self.copier.noting(path, Aspect.ENTRY, NO_SUCH_NAME):
            os.mkdir(name, 0o700, dir_fd=self.target.descriptor)
            self._merge(name)

    def _merge(self, name: str) -> None:
        self._enter(name)
        self._begin(self._apart(), keeps_facts=False)

    def _apart(self) -> list[str]:
        """The names of the restored folder, those apart that the live one takes for others of them.

        tar has looked at the staging folder's file system, and this may be another one, or a folder with a rule of its
        own (``chattr +F``).
        """
        names = names_in(self.source.descriptor)
        if not any(same_names(EITHER, names)):
            return names
        folder = self.target.descriptor
        with unchanged(folder), private_folder(folder, PREFIX) as (_name, probed):
            folding = folding_of(probed)
        lost = set(same_names(folding, names))
        for name in sorted(lost):
            self.copier.refusals.note(self._path(name), Aspect.ENTRY, WORDS)
        return [name for name in names if name not in lost]

    def _path(self, name: str) -> bytes:
        """Of a name in the folder that both sides stand in, as archives have it."""
        return os.fsencode("/".join((*self.source.names, name)))

    def _enter(self, name: str) -> None:
        self.source.enter(name)
        self.target.enter(name)
        self.at = ""

    def _leave(self) -> None:
        if self.source.depth:
            self.source.leave()
            self.target.leave()

    def _begin(self, names: list[str], *, keeps_facts: bool) -> None:
        folders = self.source.descriptor, self.target.descriptor
        restored, live = map(os.fstat, folders)
        restored = self._made.get(tuple(self.source.names), restored)
        self._frames.append(_Frame(restored, live, names, keeps_facts))
        for folder, status in zip(folders, (restored, live), strict=True):
            # Of somebody else's folder the permissions cannot be set, and may do all the same.
            if _is_opened(status) and status.st_uid == os.geteuid():
                os.fchmod(folder, stat.S_IMODE(status.st_mode) | 0o700)

    def _finish(self, frame: _Frame) -> None:
        target, self.at = self.target.descriptor, ""
        if not self.source.depth and not self.is_private:
            self._finish_root(frame, target)
        elif not frame.keeps_facts:
            before = self.source.before or Before(stat.S_IMODE(frame.restored.st_mode), frame.restored.st_uid)
            path = os.fsencode("/".join(self.source.names))
            self.copier.give_facts(self.source.descriptor, frame.restored, before, target, path)
            self.target.keep_mode()
            self.done += 1
        else:
            if _is_opened(frame.live) and frame.live.st_uid == os.geteuid():
                os.fchmod(target, stat.S_IMODE(frame.live.st_mode))
            # Of somebody else's folder they cannot be set, and it may be open for passing through alone.
            with suppress(OSError):
                os.utime(target, ns=(frame.live.st_atime_ns, frame.live.st_mtime_ns))
        self._leave()

    def _finish_root(self, frame: _Frame, where: int) -> None:
        """Give WHERE the root directory's times and permissions, but nothing by which more people could enter it."""
        with self.copier.noting(b"", Aspect.MODE):
            os.fchmod(where, stat.S_IMODE(frame.restored.st_mode & frame.live.st_mode))
        with self.copier.noting(b"", Aspect.TIMES):
            os.utime(where, ns=(frame.restored.st_atime_ns, frame.restored.st_mtime_ns))


def _is_opened(status: os.stat_result) -> bool:
    """Whether a folder is opened while something is put into it."""
    return is_bound_by_modes() and status.st_mode & 0o300 != 0o300


def _rename(name: str, source: int, target: int) -> None:
    try:
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
    except PermissionError:
        # A folder that one may not write to cannot be given another parent.
        status = os.lstat(name, dir_fd=source)
        if not stat.S_ISDIR(status.st_mode):
            raise
        is_given_away = status.st_uid != os.geteuid()
        if is_given_away:
            os.chown(name, os.geteuid(), -1, dir_fd=source)
        os.chmod(name, stat.S_IMODE(status.st_mode) | stat.S_IRWXU, dir_fd=source)
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
        folder = os.open(name, OPEN_FOLDER, dir_fd=target)
        try:
            os.fchmod(folder, stat.S_IMODE(status.st_mode))
            if is_given_away:
                os.fchown(folder, status.st_uid, -1)
        finally:
            os.close(folder)
