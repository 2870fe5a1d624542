"""Restores of hostile archives in all the ways there are, by the real command line, and what is to be said of each."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from tests.faults.runner import Ended, fork_server
from tests.hostile.archives import put, put_original, zipped
from tests.hostile.indexes import put_entered
from tests.hostile.world import PART, SOURCE, USER, World

USERS = {"root": 0, "somebody": USER} if os.geteuid() == 0 else {"oneself": 0}
"""Who restores."""


@dataclass(frozen=True)
class Shape:
    """A way to restore.

    Attributes:
        asked: the only name that may appear, or change, in WHERE.
        in_place: WHERE is a tree in use.
    """

    asked: str
    in_place: bool

    def arguments(self, where: Path) -> list[str]:
        paths = [f"/{self.asked}"] if self.asked != SOURCE else []
        return [f"/{SOURCE}", *paths, "--to", str(where), *(["--in-place", "--yes"] if self.in_place else [])]


SHAPES = {
    "whole": Shape(SOURCE, in_place=False),
    "PATH": Shape(PART, in_place=False),
    "in place": Shape(SOURCE, in_place=True),
    "PATH in place": Shape(PART, in_place=True),
}

EVERY = [(shape, who) for shape in SHAPES for who in USERS]
"""All ways for all users."""
_FIRST, *_, _LAST = [*USERS] * 2
CROSSED = (
    {("whole", _FIRST), ("PATH in place", _LAST)},
    {("PATH", _LAST), ("in place", _FIRST)},
    {("whole", _LAST), ("PATH in place", _FIRST)},
    {("PATH", _FIRST), ("in place", _LAST)},
)
"""Two ways for an attack, one for each user; four attacks that follow one another meet all ways for all users."""

_SANDBOX = """
mount --bind "$0" "$0" && mount -o remount,bind,ro / || exit
while read -r _ folder _; do
    case $folder in "$0" | / | /proc* | /sys*) ;; *) mount -o remount,bind,ro "$folder" 2>/dev/null ;; esac
done </proc/mounts
exec "$@"
"""


@lru_cache(1)
def sandbox() -> tuple[str, ...]:
    """A command under which one folder, its next argument, can be written to and nothing else; empty if there is none.

    An attack that works shall harm the world that was made for it, and not the machine.
    """
    command = ("unshare", "--mount", "--propagation", "private", "sh", "-c", _SANDBOX)
    if os.geteuid() == 0 and shutil.which("unshare"):
        with tempfile.TemporaryDirectory(prefix="h-", dir="/tmp") as folder:
            if subprocess.run([*command, folder, "true"], capture_output=True, check=False).returncode == 0:
                return command
    return ()


class Runs(Protocol):
    """What runs the command line."""

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], *, fault: str = "", user: int = 0) -> Ended:
        """Run it to its end."""
        ...


@dataclass
class Restorer:
    """Worlds, one for each user, and what restores in them.

    Attributes:
        environment: of every restore.
    """

    base: Path
    runner: Runs
    environment: Mapping[str, str]
    _worlds: dict[int, World] = field(default_factory=dict)

    def world(self, who: str) -> World:
        user = USERS[who]
        if user not in self._worlds:
            self._worlds[user] = World(self.base / str(user), user)
        return self._worlds[user]

    def restore(
        self,
        world: World,
        shape: Shape,
        *options: str,
        configuration: Path | None = None,
        walls: int = 0,
        by_indexes: bool = False,
        **environment: str,
    ) -> Ended:
        """Restore what lies in a world's store.

        Args:
            walls: with 1 the kernel does not help; with 0 it helps root only.
            by_indexes: archives are read in parts, and the kernel does not help.
        """
        arguments = [
            "-c",
            str(configuration or world.configuration),
            "--today=2026-03-01",
            "restore",
            *shape.arguments(world.where),
        ]
        variables = {**self.environment, "HOME": str(world.base / "home"), **environment}
        fault = "without the second wall" if world.user or walls == 1 else ""
        if by_indexes:
            fault = "by indexes, without the second wall"
        return self.runner.run([*arguments, *options], variables, fault=fault, user=world.user)

    def attempt(self, who: str, shape: Shape, chain: Sequence[bytes], *options: str) -> tuple[Ended, list[str]]:
        """Restore a chain of tar archives; returns how it ended, and the harm that was done."""
        return self._attempt(who, shape, chain, put, *options)

    def attempt_original(self, who: str, shape: Shape, chain: Sequence[bytes]) -> tuple[Ended, list[str]]:
        """The same, with a chain that says it is of the original tool."""
        return self._attempt(who, shape, chain, put_original)

    def attempt_by_indexes(
        self,
        who: str,
        shape: Shape,
        chain: Sequence[bytes],
        forge: Callable[[int, bytes], bytes | None],
    ) -> tuple[Ended, list[str]]:
        """The same in parts, by indexes of the archives.

        Args:
            forge: makes the index beside an archive, from its slot and its content.
        """
        world = self.world(who)
        world.prepare(in_place=shape.in_place)
        for slot, content in enumerate(chain):
            put_entered(world.vault, slot, content, forge(slot, content))
        world.give(world.vault)
        ended = self.restore(world, shape, by_indexes=True)
        return ended, harm_done(world, shape, ended)

    def _attempt(
        self, who: str, shape: Shape, chain: Sequence[bytes], put: Callable[[Path, int, bytes], object], *options: str
    ) -> tuple[Ended, list[str]]:
        world = self.world(who)
        world.prepare(in_place=shape.in_place)
        for slot, content in enumerate(chain):
            put(world.vault, slot, zipped(content))
        world.give(world.vault)
        ended = self.restore(world, shape, *options)
        return ended, harm_done(world, shape, ended)


def harm_done(world: World, shape: Shape, ended: Ended) -> list[str]:
    """Everything that must not be so after a restore, one line each."""
    # What the target cannot take, such as a name of 256 bytes, costs only that.
    is_restored = ended.code == 0 or "all else was restored" in ended.stderr
    harm = [*world.harm_around(), *world.harm_within(shape.asked, restored=is_restored)]
    if ended.code == 0 and not os.path.lexists(world.where / shape.asked):
        harm.append(f"it ended well, and there is no {shape.asked}")
    if ended.code not in (0, 1, 2) or "Traceback" in ended.stderr:
        harm.append(f"exit {ended.code}")
    if "\x1b" in ended.stdout + ended.stderr:
        harm.append("escapes reach the terminal")
    return harm


@contextmanager
def sandboxed_folder() -> Iterator[Path]:
    """A folder for worlds, with a short path, which everybody may pass; it is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="h-", dir="/tmp") as folder:
        base = Path(folder)
        base.chmod(0o755)
        try:
            yield base
        finally:
            _empty(base)


def surroundings(base: Path) -> tuple[str, ...]:
    """In front of a command that shall write to nothing but this folder."""
    return (*sandbox(), str(base)) if sandbox() else ()


@contextmanager
def restorer() -> Iterator[Restorer]:
    """What restores, in a folder that is gone at the end."""
    with sandboxed_folder() as base, fork_server(base / "runs", surroundings(base)) as runner:
        yield Restorer(base, runner, {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})


def _empty(folder: Path) -> None:
    """Remove what Python cannot: folders a thousand levels deep."""
    subprocess.run(["rm", "-rf", "--", *map(str, folder.iterdir())], check=True)
