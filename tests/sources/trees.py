"""Trees of files for tests: made at random, changed at random, described in full and compared.

    tree = RandomTree(folder, seed=1)     # makes folder and fills it
    tree.edit(20)                         # twenty changes of every kind
    tree.move_directories(3)              # moves and swaps, which tar cannot replay by itself
    assert_same_tree(folder, restored)

The same seed leads to the same names and content. Everything works with names that are not UTF-8.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

ODD_NAMES = (
    "two words",
    " space before",
    "space after ",
    "-rf",
    "--exclude=x",
    "#hash",
    "ä–漢字",
    "new\nline",
    "tab\tand\rreturn",
    "back\\slash",
    "back\\name",
    "star*",
    "[a-z]?",
    "quote'\"$(true)`",
    "100%41",
    "..dots..",
    "l" * 200,
    os.fsdecode(b"not utf-8 \xff\xfe"),
)
_CLOCK_STEP = 0.02  # seconds; file systems take times from a clock that moves on in steps of up to 10 ms


@dataclass(frozen=True)
class Entry:
    """All that a backup has to keep of one path.

    Attributes:
        mode: type and permissions.
        modified: in nanoseconds since 1970.
        content: SHA-256 of a regular file's bytes, a symbolic link's target, numbers of a device, else empty.
        linked_with: all names of the tree that are the same file, if there is more than one.
        attributes: extended attributes, access control lists among them.
    """

    mode: int
    owner: int
    group: int
    size: int
    modified: int
    content: str
    linked_with: tuple[str, ...] = ()
    attributes: tuple[tuple[str, bytes], ...] = ()


def describe_tree(root: Path, *, hard_links: bool = True) -> dict[str, Entry]:
    """Every path of a tree, relative to it and itself being ``.``, with what a backup has to keep of it.

    Args:
        root: a directory.
        hard_links: tell which names are one file. A chain of DIFFs does not keep that where one of two directories
            that share a file is moved; all else it keeps.
    """
    names = {".": root.lstat()}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            names[str(path.relative_to(root))] = path.lstat()
    same: dict[tuple[int, int], list[str]] = {}
    for name, status in sorted(names.items()):
        if hard_links and status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            same.setdefault((status.st_dev, status.st_ino), []).append(name)
    entries = {name: _entry(root / name, status) for name, status in names.items()}
    for group in same.values():
        if len(group) > 1:
            entries.update((name, replace(entries[name], linked_with=tuple(group))) for name in group)
    return entries


def assert_same_tree(expected: Path, found: Path, *, hard_links: bool = True) -> None:
    """Fail, naming what differs, unless two trees are the same: see ``Entry``."""
    differences = tree_differences(
        describe_tree(expected, hard_links=hard_links), describe_tree(found, hard_links=hard_links)
    )
    assert not differences, "\n".join(differences)


def tree_differences(expected: dict[str, Entry], found: dict[str, Entry]) -> list[str]:
    """One line for each path that is not the same in both."""
    lines = []
    for name in sorted({*expected, *found}):
        if name not in found:
            lines.append(f"{name!r} is missing")
        elif name not in expected:
            lines.append(f"{name!r} should not be there")
        elif expected[name] != found[name]:
            wanted, got = asdict(expected[name]), asdict(found[name])
            what = ", ".join(f"{key} {got[key]} for {wanted[key]}" for key in wanted if wanted[key] != got[key])
            lines.append(f"{name!r} has {what}")
    return lines


def _entry(path: Path, status: os.stat_result) -> Entry:
    content, size = "", 0
    if stat.S_ISREG(status.st_mode):
        content, size = hashlib.sha256(path.read_bytes()).hexdigest(), status.st_size
    elif stat.S_ISLNK(status.st_mode):
        content = str(path.readlink())
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        content = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    names = sorted(name for name in os.listxattr(path, follow_symlinks=False) if name != "security.selinux")
    attributes = tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)
    return Entry(status.st_mode, status.st_uid, status.st_gid, size, status.st_mtime_ns, content, attributes=attributes)


class RandomTree:
    """A directory whose content is made, and changed, at random."""

    def __init__(self, root: Path, seed: int, *, size: int = 40) -> None:
        """Fill ``root``, which is made if need be, by ``size`` changes of which none takes anything away."""
        self.root = root
        self._random = random.Random(seed)
        self._count = 0
        root.mkdir(parents=True, exist_ok=True)
        self._apply(self._additions(), size)

    def edit(self, count: int = 12) -> None:
        """Make changes of every kind: add, write, delete, rename, link, change permissions and times."""
        self._apply((*self._additions(), *self._changes(), self._delete, self._rename), count)

    def move_directories(self, count: int = 3) -> None:
        """Move directories with all their content, into others or into the place of one that is removed; swap them."""
        self._apply((self._rename_directory, self._swap_directories, self._replace_directory), count)

    def _additions(self) -> Sequence[Callable[[], None]]:
        return (
            *(self._add_file, self._add_file, self._add_directory, self._add_directory),
            *(self._add_sparse_file, self._add_symbolic_link, self._add_hard_link),
        )

    def _changes(self) -> Sequence[Callable[[], None]]:
        return (self._append, self._overwrite, self._change_mode, self._change_time)

    def _apply(self, changes: Sequence[Callable[[], None]], count: int) -> None:
        # So that no change bears the time of a backup that has just ended.
        time.sleep(_CLOCK_STEP)
        for _ in range(count):
            self._random.choice(changes)()
        time.sleep(_CLOCK_STEP)

    def _below(self) -> list[Path]:
        return sorted(Path(folder, name) for folder, *names in os.walk(self.root) for each in names for name in each)

    def _directories(self) -> list[Path]:
        return [path for path in self._below() if path.is_dir() and not path.is_symlink()]

    def _files(self) -> list[Path]:
        return [path for path in self._below() if path.is_file() and not path.is_symlink()]

    def _new_path(self, *, outside: Path | None = None) -> Path:
        """A path that is free, in any directory that does not lie in ``outside``."""
        folders = [self.root, *self._directories()]
        if outside is not None:
            folders = [folder for folder in folders if folder != outside and outside not in folder.parents]
        path = self._random.choice(folders) / self._random.choice(ODD_NAMES)
        if self._random.random() < 0.6 or os.path.lexists(path):
            self._count += 1
            path = path.with_name(f"name-{self._count}")
        return path

    def _add_file(self) -> None:
        path = self._new_path()
        path.write_bytes(self._random.randbytes(self._random.choice((0, 1, 511, 512, 5000))))
        path.chmod(self._random.choice((0o644, 0o600, 0o755, 0o4711, 0o640)))

    def _add_directory(self) -> None:
        path = self._new_path()
        path.mkdir()
        # No set-group-id: tar lets what a DIFF puts into such a directory inherit the bit, whatever the archive says.
        path.chmod(self._random.choice((0o755, 0o700, 0o1777)))

    def _add_sparse_file(self) -> None:
        with self._new_path().open("wb") as file:
            file.truncate(300_000)
            file.seek(200_000)
            file.write(b"island")

    def _add_symbolic_link(self) -> None:
        target = self._random.choice((".", "/nowhere", "name-1", "../name-2", ODD_NAMES[0]))
        self._new_path().symlink_to(target)

    def _add_hard_link(self) -> None:
        if files := self._files():
            self._new_path().hardlink_to(self._random.choice(files))

    def _append(self) -> None:
        if files := self._files():
            with self._random.choice(files).open("ab") as file:
                file.write(self._random.randbytes(700))

    def _overwrite(self) -> None:
        """Change a file in place and give it its old time and size back; only its ctime tells."""
        if files := self._files():
            path = self._random.choice(files)
            status = path.stat()
            path.write_bytes(self._random.randbytes(status.st_size))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _change_mode(self) -> None:
        paths = [*self._files(), *self._directories()]
        if paths:
            self._random.choice(paths).chmod(self._random.choice((0o750, 0o711, 0o740)))

    def _change_time(self) -> None:
        if files := self._files():
            moment = self._random.randrange(1, 1_700_000_000_000_000_000)
            os.utime(self._random.choice(files), ns=(moment, moment))

    def _delete(self) -> None:
        if below := self._below():
            _remove(self._random.choice(below))

    def _rename(self) -> None:
        if below := self._below():
            path = self._random.choice(below)
            path.rename(self._new_path(outside=path))

    def _rename_directory(self) -> None:
        if directories := self._directories():
            path = self._random.choice(directories)
            path.rename(self._new_path(outside=path))

    def _swap_directories(self) -> None:
        if pair := self._unrelated_directories():
            swap_directories(*pair)

    def _replace_directory(self) -> None:
        """``mv app/v2 t; rm -r app; mv t app`` where one lies in the other, else a plain replacement."""
        directories = self._directories()
        if directories:
            moved = self._random.choice(directories)
            place = moved.parent if moved.parent != self.root else self._random.choice(directories)
            aside = self.root / "moved aside"
            moved.rename(aside)
            if place.exists():
                _remove(place)
            if not place.parent.is_dir():
                place = moved
            aside.rename(place)

    def _unrelated_directories(self) -> tuple[Path, Path] | None:
        directories = self._directories()
        pairs = [
            (one, other)
            for one in directories
            for other in directories
            if one < other and one not in other.parents and other not in one.parents
        ]
        return self._random.choice(pairs) if pairs else None


def swap_directories(one: Path, other: Path) -> None:
    """Let two directories, neither of them within the other, change places."""
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
