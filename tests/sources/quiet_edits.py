"""Edits that a file's times do not tell of, made at random: whatever changes, the old times stay or come back."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

OLD = 1_000_000_000_123_456_789  # nanoseconds since 1970
WHOLE_SECONDS = 1_000_000_000_000_000_000


class QuietTree:
    """A directory in which nothing ever gets a new time. It has the same name for what is edited many times.

    Every edit changes something that a look can tell: type, size, permissions, owner, what a link says, or a time that
    goes back.
    """

    def __init__(self, root: Path, seed: int, *, size: int = 60) -> None:
        self.root = root
        self._random = random.Random(seed)
        self._count = 0
        root.mkdir(parents=True, exist_ok=True)
        for _ in range(size):
            self._random.choice(
                (self._file, self._file, self._folder, self._link, self._pipe, self._holes, self._second_name)
            )()

    def edit(self, count: int) -> None:
        """Make some edits."""
        kinds: Sequence[Callable[[], None]] = (
            *(self._rewrite, self._set_time_back, self._change_type, self._change_type, self._relink, self._chmod),
            *(self._chown, self._rewrite_a_file_with_two_names, self._second_name, self._exchange, self._file),
            *(self._delete, self._move, self._part_names, self._holes),
        )
        for _ in range(count):
            self._random.choice(kinds)()

    def move_directories(self, count: int) -> None:
        """Move directories with all their content."""
        for _ in range(count):
            if path := self._some(lambda path: path.is_dir() and not path.is_symlink()):
                target = self._new()
                if path not in target.parents:
                    path.rename(target)

    def _below(self) -> list[Path]:
        return sorted(Path(folder, name) for folder, *names in os.walk(self.root) for each in names for name in each)

    def _some(self, is_wanted: Callable[[Path], bool]) -> Path | None:
        found = [path for path in self._below() if is_wanted(path)]
        return self._random.choice(found) if found else None

    def _some_file(self) -> Path | None:
        return self._some(lambda path: path.is_file() and not path.is_symlink())

    def _new(self) -> Path:
        folders = [self.root, *(path for path in self._below() if path.is_dir() and not path.is_symlink())]
        self._count += 1
        return self._random.choice(folders) / f"quiet-{self._count}"

    def _aged(self, path: Path) -> None:
        moment = self._random.choice((OLD, WHOLE_SECONDS))
        os.utime(path, ns=(moment, moment), follow_symlinks=False)

    def _file(self, path: Path | None = None) -> None:
        path = path or self._new()
        path.write_bytes(self._random.randbytes(self._random.randrange(3000)))
        self._aged(path)

    def _holes(self, path: Path | None = None) -> None:
        """A file of which most is not there."""
        path = path or self._new()
        with path.open("wb") as file:
            file.seek(self._random.randrange(1, 9) * 4096)
            file.write(b"island")
            file.truncate(file.tell() + self._random.randrange(100_000))
        self._aged(path)

    def _folder(self, path: Path | None = None) -> None:
        path = path or self._new()
        path.mkdir()
        self._file(path / "inner")

    def _link(self, path: Path | None = None) -> None:
        path = path or self._new()
        path.symlink_to(f"target-{self._random.randrange(1000)}")
        self._aged(path)

    def _pipe(self, path: Path | None = None) -> None:
        path = path or self._new()
        os.mkfifo(path)
        self._aged(path)

    def _second_name(self) -> None:
        if path := self._some_file():
            self._new().hardlink_to(path)

    def _rewrite(self) -> None:
        if path := self._some_file():
            status = path.stat()
            path.write_bytes(self._random.randbytes(status.st_size + self._random.randrange(1, 600)))
            os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))

    def _rewrite_a_file_with_two_names(self) -> None:
        if path := self._some(lambda path: path.is_file() and not path.is_symlink() and path.stat().st_nlink > 1):
            status = path.stat()
            path.write_bytes(self._random.randbytes(status.st_size + 7))
            os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))

    def _part_names(self) -> None:
        """One of two names becomes a file of its own."""
        if path := self._some(lambda path: path.is_file() and not path.is_symlink() and path.stat().st_nlink > 1):
            size = path.stat().st_size
            path.unlink()
            path.write_bytes(b"x" * (size + 1))
            self._aged(path)

    def _set_time_back(self) -> None:
        if path := self._some_file():
            moment = path.stat().st_mtime_ns - 1 - self._random.randrange(10**12)
            os.utime(path, ns=(moment, moment))

    def _change_type(self) -> None:
        if path := self._some(lambda _: True):
            _remove(path)
            self._random.choice((self._file, self._holes, self._link, self._pipe, self._folder))(path)

    def _relink(self) -> None:
        if path := self._some(Path.is_symlink):
            path.unlink()
            self._link(path)

    def _chmod(self) -> None:
        if path := self._some_file():
            path.chmod(self._random.choice((0o600, 0o640, 0o755, 0o4711)))

    def _chown(self) -> None:
        if path := self._some(lambda path: path.is_symlink() or path.is_file()):
            os.lchown(path, *self._random.choice(((0, 0), (1234, 0), (0, 1234), (3_000_000_000, 5))))

    def _exchange(self) -> None:
        one, other = self._some_file(), self._some_file()
        if one and other and one != other:
            aside = self.root / "aside"
            one.rename(aside)
            other.rename(one)
            aside.rename(other)

    def _move(self) -> None:
        if path := self._some_file():
            path.rename(self._new())

    def _delete(self) -> None:
        if path := self._some(lambda _: True):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def quietly(path: Path, text: str) -> Path:
    """Write to a file so that its time does not tell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(OLD, OLD))
    return path
