"""What the target keeps of owners, permissions and attributes: asked before, and looked at after each extraction.

tar says nothing where a target takes an owner and forgets it, and does not quote names where it speaks of attributes.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from s3napback.capabilities import SETFCAP, SYS_ADMIN, effective_capabilities
from s3napback.owners import knows_all_users
from s3napback.records import dataclass
from s3napback.recovery.clashes import EITHER, Folding
from s3napback.recovery.folders import Cursor, cursor, exists, go_to, names_in, reached, unchanged
from s3napback.recovery.members import ACCESS_LIST, CAPABILITY, DEFAULT_LIST, SET_ID
from s3napback.recovery.refusals import Aspect, Refusals
from s3napback.recovery.staging import UnusableTarget
from s3napback.recovery.times import ANY_TIMES, Times, times_of

_LEAST_ROOM = 1 << 20
"""Bytes; where there is less, it is for want of room that something was not written whole."""

_PROBE = "probe"
_OTHER_CASE = "PROBE"
_FORMS = "prob\u00e9", "probe\u0301"
_NO_TEXT = os.fsdecode(b"probe\xe9")
_STRANGER = 54321
"""A user, and a group, that is hardly anybody's."""


@dataclass(frozen=True)
class Nature:
    """What the target does to what is put there.

    Attributes:
        user: whom everything belongs to; None where that is kept, or refused aloud.
        group: the same of groups.
        is_powerless: an ordinary user restores, who cannot give files away.
        forgets_permissions: it takes them and shows others.
        times: of modification, that it keeps.
    """

    user: int | None = None
    group: int | None = None
    is_powerless: bool = False
    forgets_permissions: bool = False
    times: Times = ANY_TIMES


def nature_of(folder: int) -> Nature:
    """Try with a file that is gone afterwards.

    Args:
        folder: descriptor of one of the caller's own.

    Raises:
        OSError: no file can be made.
    """
    descriptor = os.open(_PROBE, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        is_powerless = os.geteuid() != 0
        # tar does not ask for permissions that a file should have from its beginning.
        forgets = stat.S_IMODE(os.fstat(descriptor).st_mode) != 0o600
        with suppress(OSError):
            os.fchmod(descriptor, 0o604)
            forgets = forgets or stat.S_IMODE(os.fstat(descriptor).st_mode) != 0o604
        user = group = None
        with suppress(OSError):
            if not is_powerless:
                os.fchown(descriptor, _STRANGER, _STRANGER)
            status = os.fstat(descriptor)
            user, group = (None if each == _STRANGER else each for each in (status.st_uid, status.st_gid))
        return Nature(user, group, is_powerless, forgets, times_of(descriptor))
    finally:
        os.close(descriptor)
        os.unlink(_PROBE, dir_fd=folder)


def folding_of(folder: int) -> Folding:
    """What a folder does not tell apart of names. Try with files that are gone afterwards; what fails tells nothing.

    Args:
        folder: descriptor of one of the caller's own.
    """
    same = _same_as(_PROBE, (_OTHER_CASE, *(_PROBE + each for each in EITHER.ends)), folder)
    ends = "".join(each for each in EITHER.ends if _PROBE + each in same)
    has_forms = bool(_same_as(_FORMS[0], _FORMS[1:], folder))
    return Folding(
        _OTHER_CASE in same, has_forms, ends, _gives_another(_NO_TEXT, folder), _gives_another(_OTHER_CASE, folder)
    )


def _gives_another(name: str, folder: int) -> bool:
    """Whether a name is taken, and another one listed."""
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder))
    except OSError:
        return False
    try:
        return name not in names_in(folder)
    finally:
        os.unlink(name, dir_fd=folder)


def _same_as(name: str, others: Sequence[str], folder: int) -> frozenset[str]:
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder))
    except (OSError, UnicodeEncodeError):
        return frozenset()
    try:
        return frozenset(other for other in others if exists(other, folder))
    finally:
        os.unlink(name, dir_fd=folder)


def look_for_attributes(tree: int, wanted: Iterable[tuple[str, tuple[bytes, ...]]], refusals: Refusals) -> None:
    """Note of what was extracted which attributes it should have and has not.

    Args:
        tree: descriptor of the folder that was extracted into.
        wanted: names as archives have them, with their attributes.
        refusals: takes what is missing.

    Raises:
        OSError: a folder cannot be looked into.
    """
    with cursor(tree, is_own=True) as place:
        for name, attributes in wanted:
            for attribute in _missing_at(place, name, attributes):
                refusals.note(name.encode("utf-8", "surrogateescape"), *_verdict(attribute, os.geteuid()))


def _missing_at(place: Cursor, name: str, attributes: Sequence[bytes]) -> Iterator[bytes]:
    """Those of some attributes that a name has not; none if it is not there."""
    last, mode = reached(place, name)
    if mode is None:
        return
    path, found = f"/proc/self/fd/{place.descriptor}/{last}", frozenset[bytes]()
    with suppress(OSError):
        found = frozenset(map(os.fsencode, os.listxattr(path, follow_symlinks=False)))
    yield from (each for each in attributes if each not in found and not _has_attribute(path, each))


def _has_attribute(path: str, attribute: bytes) -> bool:
    """Whether an attribute that is not listed is there: NTFS-3G, and other programs of FUSE, list users' own alone."""
    try:
        os.getxattr(path, attribute, follow_symlinks=False)
    except OSError:
        return False
    return True


@lru_cache(maxsize=100)
def _verdict(attribute: bytes, user: int) -> tuple[Aspect, str]:
    """Of what an attribute is a part, and why it is missing; for each user that the process has been."""
    if attribute in (ACCESS_LIST, DEFAULT_LIST):
        unknown = "" if knows_all_users() else ", or it names users whom this user namespace does not know"
        return Aspect.ACCESS, f"the target does not take it{unknown}"
    aspect = Aspect.CAPABILITIES if attribute == CAPABILITY else Aspect.ATTRIBUTES
    if attribute.startswith((b"user.", b"system.")) or _has_power_over(attribute):
        return aspect, "the target does not take them"
    return aspect, "only root can set them" if user else "only a root with all its powers can set them"


def _has_power_over(attribute: bytes) -> bool:
    if attribute == CAPABILITY:
        return bool(effective_capabilities() & SETFCAP)
    return bool(effective_capabilities() & SYS_ADMIN) and knows_all_users()


def take_powers(tree: int, paths: Iterable[bytes], names: Iterable[bytes]) -> Iterator[bytes]:
    """Take setuid and setgid permissions from files that do not belong to whom they belonged to.

    Args:
        tree: descriptor of the folder that was extracted into.
        paths: in it.
        names: other paths, that may be further names of these files.

    Yields:
        The paths that had them.

    Raises:
        OSError: that was not possible.
    """
    robbed: set[tuple[int, int]] = set()
    with cursor(tree, is_own=True) as place:
        for path, descriptor, status in _looked_at(place, paths):
            if _take_power(descriptor, status):
                robbed.add((status.st_dev, status.st_ino))
                yield path
        for path, descriptor, status in _looked_at(place, names if robbed else ()):
            if (status.st_dev, status.st_ino) in robbed:
                # A file system in user space may keep in mind for each name what the file's permissions were.
                _take_power(descriptor, status)
                yield path


def _looked_at(place: Cursor, paths: Iterable[bytes]) -> Iterator[tuple[bytes, int, os.stat_result]]:
    """Those of some paths that are there, each with a descriptor, open until the next one, and what it is."""
    for path in paths:
        *folders, last = os.fsdecode(path).split("/")
        if not go_to(place, folders) or not exists(last, place.descriptor):
            continue
        descriptor = os.open(last, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.descriptor)
        try:
            yield path, descriptor, os.fstat(descriptor)
        finally:
            os.close(descriptor)


def _take_power(descriptor: int, status: os.stat_result) -> bool:
    has_power = stat.S_ISREG(status.st_mode) and bool(status.st_mode & SET_ID)
    if has_power:
        Path(f"/proc/self/fd/{descriptor}").chmod(stat.S_IMODE(status.st_mode) & ~SET_ID)
    return has_power


def without_special(tree: int, wanted: Iterable[tuple[str, int]]) -> Iterator[bytes]:
    """Of names in archives that are setuid, setgid or sticky, the paths of those that lack some of that.

    Args:
        tree: descriptor of the folder that was extracted into.
        wanted: each with those bits that it should have.

    Raises:
        OSError: a folder cannot be looked into.
    """
    with cursor(tree, is_own=True) as place:
        for name, bits in wanted:
            _last, mode = reached(place, name)
            if mode is not None and not stat.S_ISLNK(mode) and mode & bits != bits:
                yield name.encode("utf-8", "surrogateescape")


def wrongly_owned(tree: int, owners: Mapping[bytes, tuple[int, int]]) -> Iterator[bytes]:
    """Of paths whose owner could not be set, those that belong to somebody else than they should.

    Args:
        tree: descriptor of the folder that was extracted into.
        owners: whom each should belong to.

    Raises:
        OSError: a folder cannot be looked into.
    """
    with cursor(tree, is_own=True) as place:
        for path, owner in owners.items():
            *folders, last = os.fsdecode(path).split("/")
            with suppress(FileNotFoundError):
                if go_to(place, folders):
                    status = os.lstat(last or ".", dir_fd=place.descriptor)
                    if (status.st_uid, status.st_gid) != owner:
                        yield path


def remove_cut(tree: int, paths: Iterable[bytes], at: Path) -> None:
    """Remove files that were written in part only because they are too large for the target.

    Args:
        tree: descriptor of the folder that was extracted into.
        paths: in it.
        at: what that folder lies in, as messages call it.

    Raises:
        UnusableTarget: there was no room.
        OSError: that was not possible.
    """
    if not _has_room(tree):
        raise UnusableTarget(f"there is not enough room in {at} for what is to be restored; nothing was restored")
    remove_files(tree, paths)


def remove_files(tree: int, paths: Iterable[bytes]) -> None:
    """Remove regular files that tar has made, and could not fill: what is not restored must not look as if it was.

    Args:
        tree: descriptor of the folder that was extracted into.
        paths: in it; nothing, or anything else, may be there.

    Raises:
        OSError: that was not possible.
    """
    with cursor(tree, is_own=True) as place:
        for path in paths:
            *folders, last = os.fsdecode(path).split("/")
            if go_to(place, folders) and _is_regular(last, place.descriptor):
                with unchanged(place.descriptor):
                    os.unlink(last, dir_fd=place.descriptor)


def _is_regular(name: str, folder: int) -> bool:
    # What the target does not take cannot be looked at either: a name that is too long, or is none there.
    with suppress(OSError):
        return stat.S_ISREG(os.lstat(name or ".", dir_fd=folder).st_mode)
    return False


def _has_room(folder: int) -> bool:
    """Whether a little more can be written; of quotas no system call for file systems tells."""
    room = os.fstatvfs(folder)
    if room.f_bavail * room.f_frsize < _LEAST_ROOM:
        return False
    descriptor = os.open(_PROBE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        return os.write(descriptor, bytes(_LEAST_ROOM)) == _LEAST_ROOM
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    finally:
        os.close(descriptor)
        os.unlink(_PROBE, dir_fd=folder)
