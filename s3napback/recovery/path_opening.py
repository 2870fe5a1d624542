"""A path that is followed from the root directory on, whoever else can change what lies on the way."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from pathlib import Path

from s3napback.errors import S3napbackError
from s3napback.records import dataclass
from s3napback.recovery.passing import OPEN_FOLDER, passable

_MOST_LINKS = 40
"""Symbolic links in one path, as Linux counts them (``path_resolution(7)``)."""


class UnusableFolder(S3napbackError):
    """A folder on the way to where something shall be written is not what it should be."""


@dataclass(frozen=True)
class Opened:
    """A folder that a path was followed to.

    Attributes:
        descriptor: of the folder.
        made: how many of the last folders of the path were made for it.
    """

    descriptor: int
    made: int = 0


def open_path(path: Path, *, make: bool = False, mode: int = 0o755) -> Opened:
    """Follow an absolute path from the root directory on.

    Links are followed where nobody but root or the caller can have laid them. A folder of others may hold one that
    leads wherever they like, and does so by the time that it is followed.

    Args:
        path: absolute.
        make: make the folders that are missing; the last one is for nobody but the caller.
        mode: permissions of those above it.

    Raises:
        FileNotFoundError: it does not exist.
        OSError: it cannot be opened or made.
        UnusableFolder: a link in a folder of others lies on the way.
    """
    names = [name for name in reversed(path.parts) if name != "/"]
    with ExitStack() as stack:
        current = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(lambda: os.close(current))
        links = made = 0
        while names:
            name = names.pop()
            target = _link_target(name, current)
            if target is not None:
                links += 1
                if links > _MOST_LINKS:
                    raise UnusableFolder(f"{path} goes through more than {_MOST_LINKS} symbolic links")
                _refuse_foreign_link(current, name, path)
                names += [part for part in reversed(Path(target).parts) if part != "/"]
                inner = os.open("/" if target.startswith("/") else ".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=current)
            else:
                try:
                    inner = passable(name, current) if names else os.open(name, OPEN_FOLDER, dir_fd=current)
                except FileNotFoundError:
                    if not make:
                        raise
                    os.mkdir(name, mode if names else 0o700, dir_fd=current)
                    inner = os.open(name, OPEN_FOLDER, dir_fd=current)
                    made += 1
            os.close(current)
            current = inner
        stack.pop_all()
        return Opened(current, made)


def _link_target(name: str, folder: int) -> str | None:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        return None


def _refuse_foreign_link(folder: int, name: str, path: Path) -> None:
    status = os.fstat(folder)
    is_open = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
    link = os.lstat(name, dir_fd=folder)
    trusted = (0, os.geteuid())
    if status.st_uid not in trusted or is_open or link.st_uid not in trusted:
        raise UnusableFolder(
            f"{name} on the way to {path} is a symbolic link in a folder that another user can change, who could lead "
            "it elsewhere meanwhile: write the path without the link"
        )
