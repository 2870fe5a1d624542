"""The staging folder: inside WHERE, private, and gone unless everything in it was published.

A chain is extracted archive by archive. A symbolic link of one archive could lead what a later, hostile one brings out
of the folder, so between archives there are none: each is moved aside and a small file put in its place, and what is
left of these files at the end becomes links again.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from s3napback.errors import S3napbackError

PREFIX = ".s3napback-restore-"
_TOKEN_SIZE = 32


class UnusableTarget(S3napbackError):
    """WHERE cannot take what is to be restored; nothing was changed."""


@dataclass
class Staging:
    """A staging folder.

    Attributes:
        folder: private (0700); ``tree`` in it is what is restored, with its full path.
    """

    folder: Path
    _parked: dict[Path, Path] = field(default_factory=dict)
    _count: int = 0
    _token: bytes = field(default_factory=lambda: secrets.token_bytes(_TOKEN_SIZE))

    @property
    def tree(self) -> Path:
        """Where archives are extracted."""
        return self.folder / "tree"

    def park_links(self) -> None:
        """Move every symbolic link aside, a small file in its place."""
        aside = self.folder / "links"
        aside.mkdir(exist_ok=True)
        for folder, names in _links_by_folder(self.tree):
            with unchanged_times(folder):
                for name in names:
                    self._count += 1
                    parked = aside / str(self._count)
                    (folder / name).rename(parked)
                    (folder / name).write_bytes(self._token)
                    self._parked[folder / name] = parked

    def bring_links_back(self) -> None:
        """Replace what is left of the small files by the links that they stand for."""
        by_folder: dict[Path, list[Path]] = {}
        for path in self._parked:
            by_folder.setdefault(path.parent, []).append(path)
        for folder, paths in by_folder.items():
            standing = [path for path in paths if self._stands_for_a_link(path)]
            if standing:
                with unchanged_times(folder):
                    for path in standing:
                        self._parked[path].rename(path)
        self._parked.clear()

    def _stands_for_a_link(self, path: Path) -> bool:
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        if not stat.S_ISREG(status.st_mode) or status.st_size != _TOKEN_SIZE:
            return False
        with suppress(PermissionError):
            return path.read_bytes() == self._token
        return False


@contextmanager
def staging_in(where: Path) -> Iterator[Staging]:
    """A staging folder inside ``where``, which is made if need be, and is gone again if nothing came of it.

    Raises:
        UnusableTarget: it cannot be made.
    """
    made = _make_folders(where)
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=where))
    except OSError as error:
        raise UnusableTarget(f"nothing can be written to {where}: {error.strerror}") from error
    try:
        staging = Staging(folder)
        staging.tree.mkdir(0o755)
        yield staging
    finally:
        with unchanged_times(where):
            remove_tree(folder)
        for path in made:
            with suppress(OSError):
                path.rmdir()


def require_empty(where: Path) -> None:
    """Refuse a target that holds anything; a new file system's ``lost+found`` and what an ended run left do not count.

    Raises:
        UnusableTarget: it is no directory, cannot be read, or is not empty.
    """
    try:
        names = [path.name for path in where.iterdir() if path.name != "lost+found" and PREFIX not in path.name]
    except FileNotFoundError:
        return
    except OSError as error:
        raise UnusableTarget(f"{where} cannot be restored to: {error.strerror}") from error
    if names:
        raise UnusableTarget(
            f"{where} is not empty (it holds {names[0]!r}): name an empty or new directory, or, for files of a "
            "directory, merge with --in-place"
        )


def remove_tree(path: Path) -> None:
    """Remove a folder with all in it, whatever permissions its folders were restored with."""
    for folder, names, _files in os.walk(path):
        for name in names:
            inner = Path(folder, name)
            if not inner.is_symlink() and not os.access(inner, os.R_OK | os.W_OK | os.X_OK):
                inner.chmod(0o700)
    shutil.rmtree(path)


def _make_folders(where: Path) -> list[Path]:
    """Make a folder and those above it; returns the ones made, the lowest first."""
    missing = []
    path = where
    while not os.path.lexists(path):
        missing.append(path)
        path = path.parent
    try:
        for path in reversed(missing):
            path.mkdir()
    except OSError as error:
        raise UnusableTarget(f"{where} cannot be made: {error.strerror}") from error
    return missing


def _links_by_folder(tree: Path) -> Iterator[tuple[Path, list[str]]]:
    for folder, folders, files in os.walk(tree, onerror=_refuse):
        names = [name for name in (*folders, *files) if os.path.islink(os.path.join(folder, name))]  # noqa: PTH114, PTH118 - a million Paths take seconds
        folders[:] = [name for name in folders if name not in names]
        if names:
            yield Path(folder), names


def _refuse(error: OSError) -> None:
    raise UnusableTarget(f"{error.filename}, just restored, cannot be looked into: {error.strerror}") from error


@contextmanager
def unchanged_times(folder: Path) -> Iterator[None]:
    """Let entries of a folder change without its times and permissions showing it."""
    status = folder.stat()
    writable = os.access(folder, os.W_OK | os.X_OK)
    if not writable:
        folder.chmod(stat.S_IMODE(status.st_mode) | 0o700)
    try:
        yield
    finally:
        if not writable:
            folder.chmod(stat.S_IMODE(status.st_mode))
        os.utime(folder, ns=(status.st_atime_ns, status.st_mtime_ns))
