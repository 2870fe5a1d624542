"""Whether a file or folder that decides over us is ours: nobody but root and the caller can change it, or swap it.

A configuration, a keyring or a snapshot decides what is archived, for whom it is encrypted, and which programs run. So
each must belong to root or to the caller (the effective user), and be writable by nobody else; and so must every folder
above it up to the root directory, since whoever can write to a folder can put something else in the place of what lies
in it. A folder in which everybody may write, such as ``/tmp``, does as a folder above if its sticky bit is set and the
entry that is used belongs to root or the caller, because nobody else can rename or remove that then (inode(7)).

Paths are walked from the root directory, each folder by its descriptor and each link by a step of its own. What was
found to be ours may be addressed by its path again, since nobody else can change where that leads.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack, suppress
from pathlib import Path

from s3napback.errors import ChangeableByOthers
from s3napback.owners import ROOT, fault_of, is_null_device, is_private_group, owner_fault, prepared_fault, shared_fault
from s3napback.records import dataclass

_STREAMS = ("/dev/stdout", "/dev/stderr")  # links of the kernel's, which lead to no path
_MOST_LINKS = 40  # as many as Linux follows (path_resolution(7))
# A folder that may be searched and not read can still be looked at, where the system knows how.
_LOOK = os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
# A FIFO without a writer must not make us wait, nor a terminal become ours.
_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NotAPlainFileError(OSError):
    """The path leads to something else than a file with content: a folder, a device, a FIFO, a socket."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "it is not a regular file")


def open_own_file(path: Path) -> int:
    """Open a file for reading if it is ours; the descriptor that is returned is that of the very file looked at.

    Raises:
        ChangeableByOthers: it is not ours.
        NotAPlainFileError: it is no file.
        OSError: it is not there, or cannot be read.
    """
    with ExitStack() as opened:
        way = _Way(path, opened)
        folder, name = way.end()
        if not stat.S_ISREG(way.entry(folder, name).st_mode):
            raise NotAPlainFileError
        descriptor = os.open(name, os.O_RDONLY | _OPEN, dir_fd=folder.descriptor)
        try:
            way.judge_entry(folder, name, os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def read_own_file(path: Path, largest: int = -1) -> tuple[bytes, os.stat_result]:
    """What is in a file that is ours, of it at most ``largest`` bytes unless -1, and what the file is like.

    Raises:
        ChangeableByOthers: it is not ours.
        NotAPlainFileError: it is no file.
        OSError: it is not there, or cannot be read.
    """
    with os.fdopen(open_own_file(path), "rb") as file:
        return file.read(largest), os.fstat(file.fileno())


def require_own(path: Path, *, shared: bool = False) -> None:
    """Refuse a file or folder that is not ours, without opening it.

    Args:
        path: of anything; what is not there passes, if only what lies above it is ours.
        shared: it is a folder in which everybody may write, if its sticky bit is set; that is enough where we use
            nothing in it but what we have made.

    Raises:
        ChangeableByOthers: it is not ours.
        OSError: it cannot be looked at.
    """
    with ExitStack() as opened, suppress(FileNotFoundError):
        way = _Way(path, opened)
        folder, name = way.end()
        if name:
            way.judge_entry(folder, name, way.entry(folder, name))
        elif folder.shared and not shared:
            raise ChangeableByOthers(path, shared_fault(folder.path))


def open_own_for_writing(path: Path) -> int:
    """Open a file for reading and writing, as it is; it is made (0600) if it is not there.

    What somebody else has prepared is refused: another user's file, one that has a second name elsewhere, and whatever
    is no file. Nothing is written to it or cut off.

    Raises:
        ChangeableByOthers: the file, or a folder above it, is not the caller's own.
        OSError: it cannot be opened.
    """
    with ExitStack() as opened:
        folder = _prepared_folder(path, opened)
        if folder is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
        descriptor = os.open(path.name, os.O_RDWR | os.O_CREAT | _OPEN, 0o600, dir_fd=folder.descriptor)
        try:
            _judge_prepared(path, os.fstat(descriptor), folder)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def open_log(path: Path, flags: int) -> int:
    """Open a log for writing as ``os.open`` does; it is made (0666 less the umask) if it is not there.

    It decides over nothing, so a group may write to the folders on its way if root or the caller owns them, as is usual
    for ``/var/log``. What others can have put there is not used: a link, another name of a file, another user's file.

    Raises:
        ChangeableByOthers: somebody else owns a folder on the way, or can have prepared the file; it is as it was.
        OSError: it cannot be opened.
    """
    opening = flags & ~os.O_TRUNC | os.O_WRONLY | os.O_CREAT
    if str(path) in _STREAMS:
        return os.open(path, opening | os.O_NOCTTY | os.O_CLOEXEC)
    with ExitStack() as opened:
        try:
            folder, name = _Way(path, opened, is_for_log=True).end()
        except FileNotFoundError:
            folder, name = _Way(path.parent, opened, is_for_log=True).end()[0], path.name
        descriptor = os.open(name or ".", opening | _OPEN, 0o666, dir_fd=folder.descriptor)
        try:
            status = os.fstat(descriptor)
            _refuse(path, prepared_fault(path, status, (ROOT, os.geteuid())) if folder.shared else "")
            if flags & os.O_TRUNC and stat.S_ISREG(status.st_mode):
                os.ftruncate(descriptor, 0)
            os.set_blocking(descriptor, True)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def require_own_for_writing(path: Path) -> None:
    """Refuse what ``open_own_for_writing`` would refuse, touching nothing. What is not there passes.

    Raises:
        ChangeableByOthers: the file, or a folder above it, is not the caller's own.
        OSError: it cannot be looked at.
    """
    with ExitStack() as opened:
        _prepared_folder(path, opened)


def _prepared_folder(path: Path, opened: ExitStack) -> _Folder | None:
    """The folder of a file that is to be written to, both of them judged as they are now; None if it is not there."""
    try:
        folder, name = _Way(path.parent, opened).end()
    except FileNotFoundError:
        return None
    if name:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent))
    if folder.shared:
        raise ChangeableByOthers(path, shared_fault(folder.path))
    with suppress(FileNotFoundError):
        _judge_prepared(path, os.stat(path.name, dir_fd=folder.descriptor, follow_symlinks=False), folder)
    return folder


def _judge_prepared(path: Path, status: os.stat_result, folder: _Folder) -> None:
    fault = prepared_fault(path, status, (os.geteuid(),))
    _refuse(path, fault or fault_of(status, path, _handle(folder, path.name), above=False))


def _refuse(path: Path, fault: str) -> None:
    if fault:
        raise ChangeableByOthers(path, fault)


@dataclass(frozen=True)
class _Folder:
    """A folder on the way.

    Attributes:
        descriptor: open for looking only.
        path: without links.
        shared: others may write to it, but its sticky bit is set; or a group may, and it is on the way to a log.
    """

    descriptor: int
    path: Path
    shared: bool


class _Way:
    """The way from the root directory to a path; every folder on it is open and was found to be ours."""

    def __init__(self, path: Path, opened: ExitStack, *, is_for_log: bool = False) -> None:
        self._path = path
        self._opened = opened
        self._is_for_log = is_for_log
        whole = path if path.is_absolute() else Path.cwd() / path
        self._names = list(reversed(whole.parts[1:]))
        self._folders = [self._open(None, "/")]
        self._links = 0

    def end(self) -> tuple[_Folder, str]:
        """The last folder, and the name in it that the path leads to; an empty one if that is the folder itself."""
        while self._names:
            name = self._names.pop()
            here = self._folders[-1]
            if name == "..":
                self._folders = self._folders[:-1] or self._folders
                continue
            kind = stat.S_IFMT(self.entry(here, name).st_mode)
            if kind == stat.S_IFLNK:
                self._follow(here, name)
            elif kind == stat.S_IFDIR:
                self._folders.append(self._open(here, name))
            elif self._names:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(here.path / name))
            else:
                return here, name
        return self._folders[-1], ""

    def entry(self, folder: _Folder, name: str) -> os.stat_result:
        """What a name in a folder stands for; a link is not followed."""
        if not name:
            return os.fstat(folder.descriptor)
        return os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)

    def judge_entry(self, folder: _Folder, name: str, status: os.stat_result) -> None:
        """Refuse the file, or whatever else is no folder, to which the way leads."""
        if is_null_device(status):
            return
        fault = fault_of(status, folder.path / name, _handle(folder, name), above=False)
        if not fault and folder.shared and status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
            fault = (
                f"it has {status.st_nlink} names (hard links), and anybody can have given it the one in {folder.path}"
            )
        if fault:
            raise ChangeableByOthers(self._path, fault)

    def _follow(self, folder: _Folder, name: str) -> None:
        # Where nobody else can write, whose a link is does not matter: a link cannot be changed, only replaced.
        status = self.entry(folder, name)
        if folder.shared and (fault := self._fault_of_link(status, folder, name)):
            raise ChangeableByOthers(self._path, fault)
        self._links += 1
        if self._links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder.path / name))
        target = Path(os.readlink(name, dir_fd=folder.descriptor))
        if target.is_absolute():
            del self._folders[1:]
        self._names += [part for part in reversed(target.parts) if part != target.anchor]

    def _fault_of_link(self, status: os.stat_result, folder: _Folder, name: str) -> str:
        if self._is_for_log:
            return f"{folder.path / name} is a symbolic link where others may write; write the path without it"
        return owner_fault(status, folder.path / name, above=True)

    def _open(self, parent: _Folder | None, name: str) -> _Folder:
        descriptor = os.open(name, _LOOK, dir_fd=parent.descriptor if parent else None)
        self._opened.callback(os.close, descriptor)
        path = parent.path / name if parent else Path(name)
        status = os.fstat(descriptor)
        by_group, by_all = status.st_mode & stat.S_IWGRP, status.st_mode & stat.S_IWOTH
        shared = bool(status.st_mode & stat.S_ISVTX and (by_group or by_all))
        shared |= bool(self._is_for_log and by_group and not by_all and not is_private_group(status.st_gid))
        handle = f"/proc/self/fd/{descriptor}"
        above = bool(self._names)
        fault = owner_fault(status, path, above=above) if shared else fault_of(status, path, handle, above=above)
        if fault:
            raise ChangeableByOthers(self._path, fault)
        return _Folder(descriptor, path, shared)


def _handle(folder: _Folder, name: str) -> str:
    """A path to an entry of an open folder, for calls that take no descriptor of a folder (proc(5))."""
    return f"/proc/self/fd/{folder.descriptor}/{name}"
