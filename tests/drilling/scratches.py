"""Scratch folders of drills, and what is at work in them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.databases.mariadb import MariaDB
from tests.site import Site


def say(site: Site, mariadb: MariaDB) -> None:
    option_file = Path(site.environment["HOME"]) / ".my.cnf"
    option_file.write_text(f"[client]\nsocket={mariadb.socket}\nuser=root\n")
    option_file.chmod(0o600)


def left(folder: Path) -> list[str]:
    """What a drill has left in a folder, and processes that work there."""
    processes = [path for path in Path("/proc").glob("[0-9]*/cwd") if _works_in(path, folder)]
    return [*map(str, folder.iterdir()), *map(str, processes)]


def _works_in(link: Path, folder: Path) -> bool:
    try:
        return str(link.readlink()).startswith(str(folder))
    except OSError:
        return False


def processes_in(folder: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and command line of what works in a folder."""
    for path in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if str(path.readlink()).startswith(str(folder)):
                yield int(path.parent.name), (path.parent / "cmdline").read_text().split("\0")
        except OSError:
            continue


def wait_for(folder: Path, program: str, word: str) -> int:
    """Wait until a program with this word in its command line works in a folder; returns its number."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for number, command in processes_in(folder):
            if os.path.basename(command[0]) == program and any(word in each for each in command):  # noqa: PTH119
                return number
        time.sleep(0.02)
    raise AssertionError(f"{program} never worked in {folder}")


@contextmanager
def disk(folder: Path, limits: str) -> Iterator[None]:
    """A disk at a folder; ``limits`` are those of tmpfs(5), such as ``size=3M``."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=755,{limits}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
