"""A world to be harmed: files, links and folders around WHERE, of which every change is seen.

``ctime`` is the sharpest witness: whatever is done to a file, by whomever, sets it, and nobody can set it back.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = "estate"
"""What is asked for, as archives name it. No machine has a folder ``/estate``."""
PART = "estate/wing"
USER = 1234
STAGING = ".s3napback-"
_DEEPEST = 12
_READ = 10_000  # bytes

Picture = Mapping[str, tuple[object, ...]]


def picture(top: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a folder, and itself as ``.``, to a depth that no witness lies below."""
    return {name: _facts(path) for name, path in _walk(str(top), ".", 0)}


def _walk(path: str, name: str, depth: int) -> Iterator[tuple[str, str]]:
    yield name, path
    if depth < _DEEPEST and stat.S_ISDIR(os.lstat(path).st_mode):
        for entry in sorted(os.listdir(path)):  # noqa: PTH208 - thousands of times
            yield from _walk(f"{path}/{entry}", entry if name == "." else f"{name}/{entry}", depth + 1)


def _facts(path: str) -> tuple[object, ...]:
    found = os.lstat(path)
    content: object = None
    if stat.S_ISREG(found.st_mode) and found.st_size < _READ:
        with open(path, "rb") as opened:  # noqa: PTH123 - thousands of times
            content = opened.read()
    elif stat.S_ISLNK(found.st_mode):
        content = os.readlink(path)  # noqa: PTH115
    names = os.listxattr(path, follow_symlinks=False)
    attributes = tuple((each, os.getxattr(path, each, follow_symlinks=False)) for each in names)
    return (
        *(stat.filemode(found.st_mode), found.st_uid, found.st_gid, content, attributes),
        *(found.st_ino, found.st_nlink, found.st_size, found.st_mtime_ns, found.st_ctime_ns),
    )


_LASTING = 5  # the facts that do not change where an entry of a folder does


@dataclass
class World:
    """A folder that holds it all, for one user.

    Attributes:
        base: short, for gpg's sockets; everybody may pass.
        user: who restores, and whose all is that could be harmed.
    """

    base: Path
    user: int
    before: dict[str, Picture] = field(default_factory=dict)
    in_place: bool = False

    def __post_init__(self) -> None:
        self.vault.mkdir(parents=True)
        self.target.mkdir(parents=True)
        self.configuration.write_text(f"Bucket file://{self.vault}\nHostName h\nDiffDir {self.base}/diffs\n")
        for path in (self.base / "diffs", self.base / "home", self.target):
            path.mkdir(exist_ok=True)
            self.give(path)
        self.base.chmod(0o755)

    @property
    def vault(self) -> Path:
        return self.base / "vault"

    @property
    def configuration(self) -> Path:
        return self.base / "conf"

    @property
    def target(self) -> Path:
        """So deep that a few ``..`` do not lead to what is no business of a test."""
        return self.base / "1/2/3/4/ground/target"

    @property
    def where(self) -> Path:
        return self.target / "where"

    @property
    def outside(self) -> Path:
        """Hostile archives name it by its full path."""
        return self.target.parent / "outside"

    @property
    def beside(self) -> Path:
        """Hostile archives name it as ``../../../beside``, counted from where they are extracted."""
        return self.target / "beside"

    def give(self, top: Path) -> None:
        """Let the one who restores own it."""
        if os.geteuid() == 0 and self.user:
            for _name, path in _walk(str(top), ".", 0):
                os.chown(path, self.user, self.user, follow_symlinks=False)

    def prepare(self, *, in_place: bool) -> None:
        """Make a fresh WHERE, with something in it or not at all, and an empty store; remember how everything is."""
        self.in_place = in_place
        remove(self.vault)
        remove(self.where)
        self.vault.mkdir()
        if self.before.get("outside") is None or self.harm_around():
            for path in self.target.parent.iterdir():
                remove(path)
            self.target.mkdir()
            self.give(self.target)
            for path in (self.outside, self.beside):
                fill(path)
                self.give(path)
        if in_place:
            self.where.mkdir()
            fill_live(self.where, self.outside)
            self.give(self.where)
        self.before = {name: picture(path) for name, path in self._watched()}

    def _watched(self) -> list[tuple[str, Path]]:
        watched = [("outside", self.outside), ("beside", self.beside)]
        return [*watched, ("where", self.where)] if self.in_place else watched

    def harm_around(self) -> list[str]:
        """What has changed outside of WHERE, one line each."""
        harm = []
        for name in ("outside", "beside"):
            harm += _differences(name, self.before[name], picture(getattr(self, name)))
        ground = self.target.parent
        harm += [f"new: {path}" for path in ground.iterdir() if path.name not in ("outside", "target")]
        harm += [f"new: {path}" for path in self.target.iterdir() if path.name not in ("where", "beside")]
        strangers = [path for folder in (*ground.parents,)[:5] for path in folder.iterdir()]
        known = {"vault", "conf", "signed", "diffs", "home", "1", "2", "3", "4", "ground", "keys", "bin", "log"}
        harm += [f"new: {path}" for path in strangers if path.name not in known]
        return harm

    def harm_within(self, asked: str, *, restored: bool) -> list[str]:
        """What is in WHERE, or no longer there, without having been asked for.

        Args:
            asked: the only name in WHERE that may have changed.
            restored: the restore ended well; otherwise nothing may have changed.
        """
        if not os.path.lexists(self.where):
            return ["WHERE has gone"] if self.in_place else ["there is no WHERE"] if restored else []
        if not restored and not self.in_place:
            return [f"a failed restore left WHERE, with {sorted(path.name for path in self.where.iterdir())}"]
        after = picture(self.where)
        above = {".", *(asked[:end] for end, sign in enumerate(asked) if sign == "/")}
        allowed = {name for name in after if restored and (name == asked or name.startswith(f"{asked}/"))}
        before = self.before["where"] if self.in_place else {name: after[name] for name in above if name in after}
        kept = {name: facts for name, facts in before.items() if name not in allowed}
        if restored:
            kept = {name: facts for name, facts in kept.items() if not name.startswith(f"{asked}/")}
            kept = {name: facts for name, facts in kept.items() if name != asked}
        left = {name: facts for name, facts in after.items() if name not in allowed}
        harm = _differences("where", kept, left, above)
        harm += [f"staging is left: {name}" for name in after if STAGING in name and not name.endswith("-x")]
        dangerous = [name for name, facts in after.items() if _is_dangerous(str(facts[0]))]
        if dangerous and not self.in_place and self.where.stat().st_mode & 0o077:
            harm.append(f"in everybody's reach, because WHERE is {after['.'][0]}: {dangerous}")
        return harm


def _is_dangerous(mode: str) -> bool:
    """A device, or a program that runs with its owner's or group's rights."""
    return mode[0] in "bc" or (mode[0] == "-" and bool({*mode[3].lower(), *mode[6].lower()} & {"s"}))


def _differences(title: str, before: Picture, after: Picture, above: set[str] | None = None) -> list[str]:
    found = []
    for name in sorted({*before, *after}):
        facts = before.get(name), after.get(name)
        if name in (above or ()):
            facts = tuple(each and each[:_LASTING] for each in facts)  # type: ignore[assignment]
        if facts[0] != facts[1]:
            found.append(f"{title}/{name}: was {facts[0]}, is {facts[1]}")
    return found


def remove(path: Path) -> None:
    """Remove a folder, or anything else, however deep it is."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except (OSError, RecursionError):
        subprocess.run(["rm", "-rf", "--", str(path)], check=True)


def fill(top: Path) -> None:
    """What a hostile archive could want: things of all kinds, some with the names that the archive uses itself."""
    for name in ("folder/deep", "etc/cron.d", "empty", "wing/x", "closed", "estate/wing", "a/b/c", "tree", "links"):
        (top / name).mkdir(parents=True)
    for name in ("precious", "folder/file", "folder/deep/file", "etc/passwd", "etc/cron.d/job", "wing/x/new", "a/b/f"):
        (top / name).write_text(f"{name} is precious\n")
    for name in ("secret", "closed/file", "estate/wing/good", "payload", "links/1", "x", "b"):
        (top / name).write_text(f"{name} is precious\n")
        (top / name).chmod(0o600)
    (top / "program").write_text("#!/bin/sh\n")
    (top / "program").chmod(0o755)
    (top / "closed").chmod(0o700)
    (top / "link").symlink_to("precious")
    (top / "dangling").symlink_to("nothing/here")
    (top / "loop").symlink_to("folder")
    (top / "folder/out").symlink_to("../etc")
    os.link(top / "precious", top / "folder/second")


def fill_live(where: Path, outside: Path) -> None:
    """A tree in use, into which something is restored: with neighbours, and links that lead out of it."""
    for name in ("estate/wing/inner", "estate/room", "etc/cron.d", "other", "a"):
        (where / name).mkdir(parents=True)
    for name in ("estate/wing/live", "estate/wing/inner/live", "estate/room/keep", "etc/passwd", "other/payload"):
        (where / name).write_text(f"{name} is live\n")
    (where / "a/b").write_text("is live\n")
    (where / "escape").symlink_to(outside)
    (where / "estate/escape").symlink_to(outside)
    (where / "estate/wing/escape").symlink_to(outside)
    (where / "estate/wing/single").symlink_to(outside / "precious")
    (where / "estate").chmod(0o750)
