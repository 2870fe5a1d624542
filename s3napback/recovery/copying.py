"""What cannot be renamed into place is copied: files to another file system, facts to a folder that is there already.

What the target cannot take of it is noted, and costs just that.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import field
from pathlib import Path

from s3napback.capabilities import is_bound_by_modes, is_deprived_root
from s3napback.records import dataclass
from s3napback.recovery.disks import Disks
from s3napback.recovery.first_names import FirstNames
from s3napback.recovery.folders import cursor, entry_mode, go_to, unchanged, walk
from s3napback.recovery.manners import USUAL_MANNERS, Manners
from s3napback.recovery.members import ACCESS_LIST, CAPABILITY, DEFAULT_LIST, SET_ID
from s3napback.recovery.passing import Before
from s3napback.recovery.private import private_folder
from s3napback.recovery.refusals import Aspect, Refusals
from s3napback.recovery.times import are_close, are_near
from s3napback.streams.tar_headers import SHADOWS

_COPY = "copy"
_PREFIX = ".s3napback-restore-"
_PIECE = 1 << 24  # bytes; copied at once, at most
_LISTS = (os.fsdecode(ACCESS_LIST), os.fsdecode(DEFAULT_LIST))

_REFUSING = frozenset(
    {
        *(errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENAMETOOLONG, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK),
        *(errno.EILSEQ, errno.EOVERFLOW, errno.EFBIG, errno.ENXIO, errno.ENODEV, errno.ERANGE),
    }
)
"""Errors that lie in what the target is, or in who we are there, and not in the state of a disk."""

NO_SUCH_NAME = errno.ENOENT
"""What exfat-fuse, and Linux's cifs, say of a new name that they do not take, in a folder that is open."""


@dataclass(frozen=True)
class _Place:
    """Something that gets facts.

    Attributes:
        way: path by which it is reached, through a descriptor.
        path: as archives name it.
        is_folder: the way ends in a descriptor, which the kernel follows.
    """

    way: str
    path: bytes
    is_folder: bool

    def look(self) -> os.stat_result:
        """Its facts now."""
        return Path(self.way).stat(follow_symlinks=self.is_folder)


@dataclass
class _Names:
    """Of a file with several names that was copied.

    Attributes:
        first: the path that was copied first, as archives name it.
        count: names that it had before.
        copied: names that were copied.
    """

    first: bytes
    count: int
    copied: int = 0


@dataclass
class Copier:
    """Copies to a target, and keeps together what is one file with several names. Closed by its ``stack``.

    Attributes:
        refusals: takes what the target does not.
        stack: holds the folders in which the first names of files wait for the others.
        manners: of the target.
        disks: that something was copied to.
    """

    refusals: Refusals
    stack: ExitStack
    manners: Manners = USUAL_MANNERS
    disks: Disks = field(default_factory=Disks)
    _copied: dict[tuple[int, int], _Names] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._first_names = FirstNames(self.stack, _PREFIX)

    @contextmanager
    def noting(self, path: bytes, aspect: Aspect, *others: int) -> Iterator[None]:
        """While it is entered, what the target refuses is noted and ends it.

        Args:
            others: numbers of errors that lie in what the target is as well, for what is done.
        """
        try:
            yield
        except OSError as error:
            if error.errno not in _REFUSING and error.errno not in others:
                raise
            self.refusals.note(path, aspect, os.strerror(error.errno))

    def copy(self, name: str, source: int, target: int, path: bytes, new_name: str = "") -> bool:
        """Copy anything but a folder beside its place, and rename it then.

        Args:
            name: of it, in both folders unless ``new_name`` tells another.
            source: descriptor of the folder that it lies in.
            target: descriptor of the folder that it shall lie in.
            path: as archives name it.
            new_name: in the folder that it shall lie in.

        Returns:
            Whether it lies there now.

        Raises:
            OSError: that was not possible, for no fault of the target's nature.
        """
        status = os.lstat(name, dir_fd=source)
        before = Before(stat.S_IMODE(status.st_mode), status.st_uid)
        is_shut = is_bound_by_modes() and stat.S_ISREG(status.st_mode) and _is_shut(name, status, source)
        with (
            private_folder(target, _PREFIX) as (_beside, folder),
            _readable(name, status, source) if is_shut else nullcontext(),
        ):
            self.disks.note(target, folder, self.stack)
            if not self._linked(status, folder, path):
                # exfat-fuse has no pipes and devices, and speaks of failing; it leaves an empty file.
                is_special = not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode))
                is_made = False
                with self.noting(path, Aspect.ENTRY, *((errno.EIO,) if is_special else ())):
                    _make(name, status, source, folder)
                    is_made = True
                if not is_made:
                    with suppress(FileNotFoundError):
                        os.unlink(_COPY, dir_fd=folder)
                    return False
                place = _Place(f"/proc/self/fd/{folder}/{_COPY}", path, is_folder=False)
                if not self._stays_bare(status):
                    self._give(f"/proc/self/fd/{source}/{name}", status, before, place)
                if status.st_nlink > 1:
                    self._first_names.keep((status.st_dev, status.st_ino), folder, _COPY, target)
            with self.noting(path, Aspect.ENTRY, NO_SUCH_NAME):
                os.rename(_COPY, new_name or name, src_dir_fd=folder, dst_dir_fd=target)
                if self.manners.one_by_one:
                    self.give_times(status, new_name or name, target, path)
                if status.st_nlink > 1:
                    identity = status.st_dev, status.st_ino
                    self._copied.setdefault(identity, _Names(path, status.st_nlink)).copied += 1
                return True
            return False

    def note_parted(self, tree: int) -> None:
        """Note files that were copied, and of which other names were renamed into place: they are two files now.

        Args:
            tree: descriptor of the folder in which everything lay. What was copied lies there still, and so does what
                was not asked for.
        """
        missing = {identity: names.count for identity, names in self._copied.items() if names.copied < names.count}
        if not missing:
            return
        for step in walk(tree):
            for name in step.others:
                status = os.lstat(name, dir_fd=step.place.descriptor)
                identity = status.st_dev, status.st_ino
                if identity in missing:
                    missing[identity] -= 1
        for identity, count in missing.items():
            if count:
                self.refusals.note(self._copied[identity].first, Aspect.COPY, os.strerror(errno.EXDEV))

    def _linked(self, status: os.stat_result, folder: int, path: bytes) -> bool:
        """Make another name of a file that was copied already."""
        file = status.st_dev, status.st_ino
        try:
            is_linked = self._first_names.link(file, folder, _COPY)
        except OSError as error:
            self.refusals.note(path, Aspect.COPY, _words(error))
            return False
        if reason := self._first_names.why_lone(file):
            self.refusals.note(path, Aspect.COPY, reason)
        return is_linked

    def give_facts(self, source: int, status: os.stat_result, before: Before, target: int, path: bytes) -> None:
        """Give a folder the owner, permissions, times, lists of access rights and attributes of another.

        Args:
            source: descriptor of the other folder.
            status: its facts, before anything was moved out of it.
            before: its permissions and owner.
            target: descriptor of the folder.
            path: as archives name it.
        """
        self._give(f"/proc/self/fd/{source}", status, before, _Place(f"/proc/self/fd/{target}", path, is_folder=True))

    def _give(self, source: str, status: os.stat_result, before: Before, place: _Place) -> None:
        follows, mode, owner = place.is_folder, before.mode, (before.user, status.st_gid)
        now = place.look()
        is_others = not os.geteuid() and (now.st_uid, now.st_gid) != owner
        if is_others:
            with self.noting(place.path, Aspect.OWNER):
                os.chown(place.way, *owner, follow_symlinks=follows)
                now = place.look()
                is_others = (now.st_uid, now.st_gid) != owner
                if is_others:
                    self.refusals.note(place.path, Aspect.OWNER, "the target takes no others")
        self._give_attributes(source, place)
        if is_others and stat.S_ISREG(now.st_mode) and mode & SET_ID:
            mode &= ~SET_ID
            self.refusals.note(place.path, Aspect.POWER, "it would have run with other rights than it had")
        if not stat.S_ISLNK(now.st_mode) and stat.S_IMODE(place.look().st_mode) != mode:
            with self.noting(place.path, Aspect.MODE):
                Path(place.way).chmod(mode)
                if stat.S_IMODE(place.look().st_mode) != mode:
                    self.refusals.note(place.path, Aspect.MODE, "the target takes no others")
        self._give_times(status, place)

    def give_times(self, status: os.stat_result, name: str, target: int, path: bytes) -> None:
        """Give its times to what is no folder and may have lost them on its way; a look need not show that.

        Args:
            status: its facts before.
            name: of it.
            target: descriptor of the folder that it lies in.
            path: as archives name it.
        """
        if not self._stays_bare(status):
            self._give_times(status, _Place(f"/proc/self/fd/{target}/{name}", path, is_folder=False))

    def _stays_bare(self, status: os.stat_result) -> bool:
        """Whether it is a link, and what it were given would go to what it leads to."""
        return self.manners.follows_links and stat.S_ISLNK(status.st_mode)

    def _give_times(self, status: os.stat_result, place: _Place) -> None:
        with self.noting(place.path, Aspect.TIMES):
            os.utime(place.way, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=place.is_folder)
            found, asked = place.look().st_mtime_ns, status.st_mtime_ns
            if not are_near(found, asked):
                self.refusals.note(place.path, Aspect.TIMES, "the target has no such times")
            elif not are_close(found, asked):
                self.refusals.rounded = True

    def _give_attributes(self, source: str, place: _Place) -> None:
        follows = place.is_folder
        names: list[str] = []
        with suppress(OSError):
            found = os.listxattr(source, follow_symlinks=follows)
            names = [name for name in found if not name.startswith(SHADOWS)]
        with suppress(OSError):
            for name in os.listxattr(place.way, follow_symlinks=follows):
                if name not in names and name.startswith(("user.", *_LISTS)):
                    os.removexattr(place.way, name, follow_symlinks=follows)
        # With its access list somebody may not be allowed any more to give it the others.
        for name in sorted(names, key=lambda name: name in _LISTS):
            try:
                value = os.getxattr(source, name, follow_symlinks=follows)
                os.setxattr(place.way, name, value, follow_symlinks=follows)
                _require_attribute(place, name)
            except OSError as error:
                # Labels of the security system are the live system's own business where it does not take them.
                if name == CAPABILITY.decode():
                    self.refusals.note(place.path, Aspect.CAPABILITIES, _words(error))
                elif not name.startswith("security."):
                    aspect = Aspect.ACCESS if name in _LISTS else Aspect.ATTRIBUTES
                    self.refusals.note(place.path, aspect, _words(error))


def _require_attribute(place: _Place, name: str) -> None:
    """Raise where the target says of an attribute that it has set it, and has not, as NTFS-3G does of access lists."""
    try:
        os.getxattr(place.way, name, follow_symlinks=place.is_folder)
    except OSError as error:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP)) from error


def copy_names(tree: int, links: Mapping[bytes, bytes], refusals: Refusals) -> None:
    """Copy files to names that could not be made as other names of them.

    Args:
        tree: descriptor of the folder that was extracted into.
        links: the names, each with the one that is there.
        refusals: knows that the links could not be made; of what was copied it knows that afterwards.

    Raises:
        OSError: that was not possible.
    """
    for path, other in links.items():
        with ExitStack() as stack:
            sides = [stack.enter_context(cursor(tree, is_own=True)) for _ in range(2)]
            parts = [os.fsdecode(each).split("/") for each in (other, path)]
            if not all(go_to(side, names[:-1]) for side, names in zip(sides, parts, strict=True)):
                continue
            source, target = (side.descriptor for side in sides)
            mode = entry_mode(parts[0][-1], source)
            if mode is not None and stat.S_ISREG(mode) and entry_mode(parts[1][-1], target) is None:
                with unchanged(target):
                    is_there = Copier(refusals, stack).copy(parts[0][-1], source, target, path, parts[1][-1])
                if is_there:
                    refusals.copied(path)


def _words(error: OSError) -> str:
    return error.strerror or str(error)


def _make(name: str, status: os.stat_result, source: int, folder: int) -> None:
    if stat.S_ISREG(status.st_mode):
        _copy_content(name, status, source, folder)
    elif stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), _COPY, dir_fd=folder)
    else:
        os.mknod(_COPY, stat.S_IFMT(status.st_mode) | 0o600, status.st_rdev, dir_fd=folder)


def _copy_content(name: str, status: os.stat_result, source: int, folder: int) -> None:
    """Copy a regular file's content, its holes as such; nothing is left of one that cannot be written."""
    reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    try:
        writer = os.open(_COPY, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            for begin, end in _pieces(reader, status.st_size):
                position = os.lseek(writer, begin, os.SEEK_SET)
                while position < end and (count := os.sendfile(writer, reader, position, min(end - position, _PIECE))):
                    position += count
            if os.fstat(writer).st_size != status.st_size:  # a hole at the end; not all of FUSE can make one
                os.ftruncate(writer, status.st_size)
        except OSError:
            os.unlink(_COPY, dir_fd=folder)
            raise
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _is_shut(name: str, status: os.stat_result, folder: int) -> bool:
    """Whether we may not read a file as it is."""
    if status.st_uid == os.geteuid() or not is_deprived_root():
        return not status.st_mode & stat.S_IRUSR
    way = f"/proc/self/fd/{folder}/{name}"
    # Who takes a program back takes its capabilities from it, which are not copied yet.
    return not os.access(way, os.R_OK, effective_ids=True) and CAPABILITY.decode() not in os.listxattr(way)


@contextmanager
def _readable(name: str, status: os.stat_result, folder: int) -> Iterator[None]:
    """Let us read a file in the staging folder, be it one that was given away."""
    is_given_away = is_deprived_root() and status.st_uid != os.geteuid()
    if is_given_away:
        os.chown(name, os.geteuid(), -1, dir_fd=folder, follow_symlinks=False)
    os.chmod(name, stat.S_IMODE(status.st_mode) | stat.S_IRUSR, dir_fd=folder)
    try:
        yield
    finally:
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=folder)
        if is_given_away:
            os.chown(name, status.st_uid, -1, dir_fd=folder, follow_symlinks=False)


def _pieces(file: int, size: int) -> Iterator[tuple[int, int]]:
    """Where a file has content, as places of its beginning and its end."""
    position = 0
    while position < size:
        try:
            begin = os.lseek(file, position, os.SEEK_DATA)
            end = os.lseek(file, begin, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            begin, end = position, size
        yield begin, end
        position = end
