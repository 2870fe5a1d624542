"""Starts a process that can change nothing on this machine but one folder: the second wall around what reads archives.

What the kernel offers keeps it there:

- A mount namespace in which every file system but the folder is read-only (``mount_namespaces(7)``,
  ``mount_setattr(2)``, Linux 5.12): for root. It holds for owners, permissions and times as well.
- Landlock (``landlock(7)``, Linux 5.13): for everybody. Nothing can be written, made or removed outside of the folder.
  It also forbids to change the mounts again.

Both are properties of a thread, which its children inherit. So a thread of its own gives up its rights, starts the
process, and ends. Where the kernel, a container or a service manager grants neither, the process runs without.
"""

from __future__ import annotations

import os
import signal
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

Started = TypeVar("Started")

_MOUNT_SETATTR, _LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 442, 444, 445, 446
"""Numbers of system calls, the same on all architectures (the kernel's ``syscall.tbl`` since 5.1)."""

_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
_MOUNT_ATTR_RDONLY = 1
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_PDEATHSIG = 1
_RULE_PATH_BENEATH = 1

_WRITE_FILE = 1 << 1
_CHANGES = (
    # <linux/landlock.h>: write, remove (2), make (7) since version 1, move (2), truncate (3)
    (1, sum(1 << bit for bit in (1, *range(4, 13)))),
    (2, 1 << 13),
    (3, 1 << 14),
)


class NotConfined(OSError):
    """The folder was moved by somebody while it was shut off, and nothing was started."""


def start_confined(folder: int, start: Callable[[str], Started], *, offline: bool = False) -> Started:
    """Call ``start`` where children can change nothing but a folder, as far as that is to be had.

    Args:
        folder: its descriptor.
        start: is given the path of the folder, to be the child's working directory, and starts the child.
        offline: there is no network either, as far as that is to be had: for root, a network namespace of its own.

    Raises:
        NotConfined: somebody is at work in the folder above.
    """
    thread = _Starter(folder, start, offline=offline)
    thread.start()
    thread.join()
    if thread.error is not None:
        raise thread.error
    return thread.results[0]


class _Starter(threading.Thread, Generic[Started]):
    def __init__(self, folder: int, start: Callable[[str], Started], *, offline: bool) -> None:
        super().__init__(name="starter", daemon=True)
        self.results: list[Started] = []
        self.error: BaseException | None = None
        self._folder = folder
        self._offline = offline
        self._start_child = start

    def run(self) -> None:
        inside = self._folder
        try:
            try:
                inside = _enter_namespace(self._folder)
            except NotConfined:
                raise
            except OSError:
                inside = self._folder
            with suppress(OSError):
                if self._offline:
                    _call("unshare", _CLONE_NEWNET)
            with suppress(OSError):
                _restrict_to(inside)
            self.results.append(self._start_child(f"/proc/self/fd/{inside}"))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where the thread is waited for
            self.error = error
        finally:
            if inside != self._folder:
                os.close(inside)


def enter_own_mounts() -> None:
    """Give this process mounts of its own: what it mounts nobody else sees, and it ends with the process.

    Raises:
        OSError: that is not to be had.
    """
    _call("unshare", _CLONE_NEWNS)
    _call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)


def end_with_parent() -> None:
    """Have SIGTERM sent to this process when the one that has started it ends; a change of user undoes that.

    Raises:
        OSError: that is not to be had.
    """
    _call("prctl", _PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def mount_empty(path: str) -> None:
    """Lay an empty file system over a folder, just large enough for a few folders; raises ``OSError``."""
    _call("mount", b"tmpfs", os.fsencode(path), b"tmpfs", 0, b"size=64k,mode=755")


def mount_folder(folder: int, path: str) -> None:
    """Show a folder, of which this is the descriptor, at another one's path, too; raises ``OSError``.

    The descriptor must have been opened since ``enter_own_mounts``.
    """
    _call("mount", f"/proc/self/fd/{folder}".encode(), os.fsencode(path), None, _MS_BIND, None)


def _call(name: str, *arguments: object) -> int:
    """Call a function of the C library; raises ``OSError`` where it says that it failed, or is not there."""
    try:
        import ctypes  # noqa: PLC0415 - loaded only where it is used
    except ImportError as error:
        raise OSError(f"this Python has no ctypes: {error}") from error
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        raise OSError(f"there is no {name} here")
    result = int(function(*(ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _set_read_only(descriptor: int, path: bytes, flags: int, *, read_only: bool) -> None:
    # struct mount_attr: attributes to set, to clear, propagation, user namespace
    change = (_MOUNT_ATTR_RDONLY, 0) if read_only else (0, _MOUNT_ATTR_RDONLY)
    attributes = struct.pack("=4Q", *change, 0, 0)
    _call("syscall", _MOUNT_SETATTR, descriptor, path, flags, attributes, len(attributes))


def _reopened(folder: int) -> int:
    """The same folder, looked up again, since a descriptor stays with the mounts among which it was opened."""
    path = os.readlink(f"/proc/self/fd/{folder}")  # noqa: PTH115 - it may be any bytes
    again = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not os.path.sameopenfile(folder, again):
        os.close(again)
        raise NotConfined(f"{path} was moved by somebody while it was in use")
    return again


def _enter_namespace(folder: int) -> int:
    """Go where nothing but the folder can be changed; raises ``OSError`` if that is not to be had.

    Returns:
        The folder's descriptor there.
    """
    enter_own_mounts()
    below = _reopened(folder)
    try:
        path = f"/proc/self/fd/{below}".encode()
        _call("mount", path, path, None, _MS_BIND, None)
    finally:
        os.close(below)
    _set_read_only(_AT_FDCWD, b"/", _AT_RECURSIVE, read_only=True)
    try:
        # What is looked up now is the mount that was just laid over the folder.
        inside = _reopened(folder)
        _set_read_only(inside, b"", _AT_EMPTY_PATH, read_only=False)
    except OSError as error:
        raise NotConfined(*error.args) from error
    return inside


def _restrict_to(folder: int) -> None:
    """Give up the right to change anything outside of the folder; raises ``OSError`` if that is not to be had."""
    version = _call("syscall", _LANDLOCK_CREATE, None, 0, 1)
    changes = sum(bits for since, bits in _CHANGES if since <= version)
    attributes = struct.pack("=Q", changes)
    ruleset = _call("syscall", _LANDLOCK_CREATE, attributes, len(attributes), 0)
    null = os.open(os.devnull, os.O_PATH | os.O_CLOEXEC)
    try:
        for descriptor, allowed in ((folder, changes), (null, _WRITE_FILE)):
            rule = struct.pack("=Qi", allowed, descriptor)
            _call("syscall", _LANDLOCK_ADD, ruleset, _RULE_PATH_BENEATH, rule, 0)
        # Without it only those who administrate the machine may restrict themselves.
        _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _call("syscall", _LANDLOCK_RESTRICT, ruleset, 0)
    finally:
        os.close(null)
        os.close(ruleset)
