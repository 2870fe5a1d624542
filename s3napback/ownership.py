"""Whether a file or folder that decides over us is ours: nobody but root and the caller can change it, or swap it.

A configuration, a keyring or a snapshot decides what is archived, for whom it is encrypted, and which programs run. So
each must belong to root or to the caller (the effective user), and be writable by nobody else; and so must every folder
above it up to the root directory, since whoever can write to a folder can put something else in the place of what lies
in it. A folder in which everybody may write, such as ``/tmp``, does as a folder above if its sticky bit is set and the
entry that is used belongs to root or the caller, because nobody else can rename or remove that then (inode(7)).

A group counts as nobody else if it is the private one of root or the caller: it bears their name, is their primary
group, and has no other member in the user database. A POSIX access control list may let more users write than the
group's bits show; the bits then show its mask (acl(5)), so that a list can add nobody while they forbid writing. Where
they allow it, a list is not trusted.

Paths are walked from the root directory, each folder by its descriptor and each link by a step of its own. What was
found to be ours may be addressed by its path again, since nobody else can change where that leads.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shlex
import stat
import sys
from collections.abc import Collection
from contextlib import ExitStack, suppress
from pathlib import Path

from s3napback.errors import ChangeableByOthers
from s3napback.records import dataclass

_ROOT = 0
_NULL_DEVICE = os.makedev(1, 3)
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
            raise ChangeableByOthers(path, _shared_fault(folder.path))


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
            _refuse(path, _prepared_fault(path, status, (_ROOT, os.geteuid())) if folder.shared else "")
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
        raise ChangeableByOthers(path, _shared_fault(folder.path))
    with suppress(FileNotFoundError):
        _judge_prepared(path, os.stat(path.name, dir_fd=folder.descriptor, follow_symlinks=False), folder)
    return folder


def _judge_prepared(path: Path, status: os.stat_result, folder: _Folder) -> None:
    fault = _prepared_fault(path, status, (os.geteuid(),))
    _refuse(path, fault or _fault(status, path, _handle(folder, path.name), above=False))


def _refuse(path: Path, fault: str) -> None:
    if fault:
        raise ChangeableByOthers(path, fault)


def _prepared_fault(path: Path, status: os.stat_result, owners: Collection[int]) -> str:
    remove = f"remove it with: rm {shlex.quote(str(path))}"
    if not stat.S_ISREG(status.st_mode):
        return f"it is no plain file, and somebody may have planted it; {remove}"
    if status.st_nlink != 1:
        return f"it has {status.st_nlink} names (hard links), so it may be somebody else's file; {remove}"
    if status.st_uid not in owners:
        return f"it belongs to another user, {_user(status.st_uid)}; {'run as root, or ' * (not status.st_uid)}{remove}"
    return ""


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
        fault = _fault(status, folder.path / name, _handle(folder, name), above=False)
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
        return _owner_fault(status, folder.path / name, above=True)

    def _open(self, parent: _Folder | None, name: str) -> _Folder:
        descriptor = os.open(name, _LOOK, dir_fd=parent.descriptor if parent else None)
        self._opened.callback(os.close, descriptor)
        path = parent.path / name if parent else Path(name)
        status = os.fstat(descriptor)
        by_group, by_all = status.st_mode & stat.S_IWGRP, status.st_mode & stat.S_IWOTH
        shared = bool(status.st_mode & stat.S_ISVTX and (by_group or by_all))
        shared |= bool(self._is_for_log and by_group and not by_all and not _is_private_group(status.st_gid))
        handle = f"/proc/self/fd/{descriptor}"
        above = bool(self._names)
        fault = _owner_fault(status, path, above=above) if shared else _fault(status, path, handle, above=above)
        if fault:
            raise ChangeableByOthers(self._path, fault)
        return _Folder(descriptor, path, shared)


def _handle(folder: _Folder, name: str) -> str:
    """A path to an entry of an open folder, for calls that take no descriptor of a folder (proc(5))."""
    return f"/proc/self/fd/{folder.descriptor}/{name}"


def _fault(status: os.stat_result, path: Path, handle: str, *, above: bool) -> str:
    """Who else can change the file or folder ``path``, and what to do; empty if nobody can.

    Args:
        handle: another path to it, which goes through an open descriptor.
        above: it is a folder on the way to what is to be used.
    """
    if fault := _owner_fault(status, path, above=above):
        return fault
    everybody = status.st_mode & stat.S_IWOTH
    group = status.st_mode & stat.S_IWGRP and not _is_private_group(status.st_gid)
    if everybody or group:
        whom = f"{'g' if status.st_mode & stat.S_IWGRP else ''}{'o' if everybody else ''}-w"
        who = "others" if everybody else f"others: by the group {_group(status.st_gid)}"
        mode = f"mode {stat.S_IMODE(status.st_mode):04o}"
        return f"{path} can be written by {who} ({mode}); {_advice(path, 'chmod', whom, above=above)}"
    if status.st_mode & stat.S_IWGRP and _has_access_list(handle):
        return (
            f"{path} has an access control list that lets others write; {_advice(path, 'setfacl', '-b', above=above)}"
        )
    return ""


def _owner_fault(status: os.stat_result, path: Path, *, above: bool) -> str:
    if status.st_uid in (_ROOT, os.geteuid()):
        return ""
    owner = _user(os.geteuid()).partition(" ")[0]
    return f"{path} belongs to another user, {_user(status.st_uid)}; {_advice(path, 'chown', owner, above=above)}"


def _shared_fault(folder: Path) -> str:
    return f"everybody may write to {folder}; take a folder of its own, made with: mkdir -m 700"


def _advice(path: Path, *command: str, above: bool) -> str:
    look = "take a place that nobody else can change" if above else "look at what is in it"
    return f"{look}, {'or' if above else 'then'} run: {shlex.join([*command, str(path)])}{_where(path)}"


def _where(path: Path) -> str:
    with suppress(OSError):
        if os.statvfs(path).f_flag & os.ST_RDONLY:  # what lies behind such a mount may be written where it comes from
            return " where it is mounted from; in Kubernetes take a projected volume in place of a ConfigMap"
    return ""


def is_null_device(status: os.stat_result) -> bool:
    """Whether it is Linux's null device, which everybody may write to and nobody can change (null(4))."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL_DEVICE


def _is_private_group(group: int) -> bool:
    """Whether no user but root and the caller is known to be in a group.

    A user database on the network may not tell who else has a group as the primary one, so only a group with its user's
    own name is believed (as Debian's and Red Hat's useradd make them).
    """
    try:
        entry = grp.getgrgid(group)
        user = pwd.getpwnam(entry.gr_name)
        members = {pwd.getpwnam(name).pw_uid for name in entry.gr_mem}
    except KeyError:
        return False
    members |= {other.pw_uid for other in pwd.getpwall() if other.pw_gid == group}
    return user.pw_gid == group and members | {user.pw_uid} <= {_ROOT, os.geteuid()}


def _has_access_list(handle: str) -> bool:
    """Whether a POSIX access control list may let more users write than the mode shows; True if that is not known."""
    if sys.platform != "linux":
        return True
    try:
        os.getxattr(handle, "system.posix_acl_access")
    except OSError as error:
        return error.errno not in (errno.ENODATA, errno.EOPNOTSUPP)
    return True


def _user(number: int) -> str:
    try:
        return f"{pwd.getpwuid(number).pw_name} (uid {number})"
    except KeyError:
        return f"{number} (a uid without a name)"


def _group(number: int) -> str:
    try:
        return f"{grp.getgrgid(number).gr_name} (gid {number})"
    except KeyError:
        return f"{number} (a gid without a name)"
