"""Who else could change a file or folder, judged by its status: the owner, the mode, the group, an access list.

A group counts as nobody else if it is the private one of root or the caller: it bears their name, is their primary
group, and has no other member in the user database. A POSIX access control list may let more users write than the
group's bits show; the bits then show its mask (acl(5)), so that a list can add nobody while they forbid writing. Where
they allow it, a list is not trusted.
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
from contextlib import suppress
from pathlib import Path

ROOT = 0
_NULL_DEVICE = os.makedev(1, 3)
_ALL_USERS = ["0", "0", "4294967295"]


def fault_of(status: os.stat_result, path: Path, handle: str, *, above: bool) -> str:
    """Who else can change the file or folder ``path``, and what to do; empty if nobody can.

    Args:
        handle: another path to it, which goes through an open descriptor.
        above: it is a folder on the way to what is to be used.
    """
    if fault := owner_fault(status, path, above=above):
        return fault
    everybody = status.st_mode & stat.S_IWOTH
    group = status.st_mode & stat.S_IWGRP and not is_private_group(status.st_gid)
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


def owner_fault(status: os.stat_result, path: Path, *, above: bool) -> str:
    """To whom ``path`` belongs, and what to do; empty if that is root or the caller. See ``fault_of``."""
    if status.st_uid in (ROOT, os.geteuid()):
        return ""
    owner = _user(os.geteuid()).partition(" ")[0]
    whose = f"{path} belongs to another user, {_user(status.st_uid)}"
    if status.st_uid == unknown_ids()[0]:
        return f"{whose}, as which this user namespace shows all whom it does not know; run outside of it"
    return f"{whose}; {_advice(path, 'chown', owner, above=above)}"


def knows_all_users() -> bool:
    """Whether no user of the machine is unknown to the user namespace that we are in (user_namespaces(7))."""
    try:
        return _knows_all("uid")
    except OSError:
        return False


def unknown_ids(*, are_mapped: bool = False) -> tuple[int, int]:
    """As which user and group our user namespace shows all whom it does not know; -1 each where there are none.

    See proc(5), ``overflowuid``. Where /proc is missing nobody tells.

    Args:
        are_mapped: they are looked at by a mount that gives owners other numbers, and may not know some either.
    """
    return _stand_in("uid", are_mapped=are_mapped), _stand_in("gid", are_mapped=are_mapped)


def _stand_in(kind: str, *, are_mapped: bool) -> int:
    try:
        if _knows_all(kind) and not are_mapped:
            return -1
        return int(Path(f"/proc/sys/kernel/overflow{kind}").read_text("ascii"))
    except (OSError, ValueError):
        return -1


def _knows_all(kind: str) -> bool:
    return Path(f"/proc/self/{kind}_map").read_text("ascii", "replace").split() == _ALL_USERS


def shared_fault(folder: Path) -> str:
    """What to do where everybody may write to a folder in which something is to be made."""
    return f"everybody may write to {folder}; take a folder of its own, made with: mkdir -m 700 FOLDER"


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


def is_private_group(group: int) -> bool:
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
    return user.pw_gid == group and members | {user.pw_uid} <= {ROOT, os.geteuid()}


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


def prepared_fault(path: Path, status: os.stat_result, owners: Collection[int]) -> str:
    """Whether somebody can have put ``path`` there for us to write to, and what to do; empty if nobody can.

    Args:
        owners: numbers of users to whom it may belong.
    """
    remove = f"remove it with: rm {shlex.quote(str(path))}"
    if not stat.S_ISREG(status.st_mode):
        return f"it is no plain file, and somebody may have planted it; {remove}"
    if status.st_nlink != 1:
        return f"it has {status.st_nlink} names (hard links), so it may be somebody else's file; {remove}"
    if status.st_uid not in owners:
        advice = remove if status.st_uid else f"run as root, or {remove}"
        return f"it belongs to another user, {_user(status.st_uid)}; {advice}"
    return ""
