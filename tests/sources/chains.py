"""A chain of archives of one directory over simulated nights, made as a backup makes it and replayed by plain tar."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from s3napback.chains import Memory
from s3napback.config.settings import Job, JobSettings, Position
from s3napback.environment import child_environment
from s3napback.rotation import ArchiveType, Schedule, SimpleCycle
from s3napback.sources import WORKING
from s3napback.sources.directory import DirectorySource

FILES = (  # of the fixture ``tree``; each holds its own name
    "var/log/syslog",
    "var/lib/x.o",
    "home/foobar/wumpus/den",
    "home/foobar/other",
    "home/wumpus",
    "src/main.c",
    "src/main.o",
    "src/deep/er/lib.o",
    "src/deep/er/a b.o",
    "src/deep/wumpus",
    "#odd/two words/-dash",
    "proc/1/stat",
    "deep/proc/file",
)


def directory_source(
    path: Path | str, settings: JobSettings | None = None, schedule: Schedule | None = None, *, margin: int = 0
) -> DirectorySource:
    """A source in a cycle with DIFFs, unless told otherwise; tests do not wait until a margin has passed."""
    job = Job(
        kind="Directory",
        target=str(path),
        name=str(path).lstrip("/"),
        schedule=schedule or SimpleCycle(diffs=6),
        cycle="",
        settings=settings or JobSettings(),
        position=Position("test.conf", 1),
    )
    return DirectorySource(job, margin=margin)


class NightlyChain:
    """Backs a directory up night after night; each archive but the first is a DIFF.

    Attributes:
        archives: the files made so far, oldest first.
    """

    def __init__(self, source: DirectorySource, folder: Path, *, cured: bool = True) -> None:
        """Describe it.

        Args:
            source: what to back up.
            folder: for archives and snapshots; made if need be.
            cured: False gives tar its own snapshot, as it left it.
        """
        folder.mkdir(exist_ok=True)
        self.archives: list[Path] = []
        self._source = source
        self._folder = folder
        self._cured = cured

    def backup(self) -> Path:
        """Make the next archive."""
        kept = self._folder / "kept.snapshot"
        memory = Memory(snapshot=kept.name) if self.archives else None
        dump = self._source.dump(ArchiveType.DIFF if memory else ArchiveType.FULL, memory, self._folder)
        working = self._folder / WORKING
        if memory and not self._cured:
            shutil.copyfile(kept, working)
        made = self._folder / f"{len(self.archives)}.tar"
        with made.open("wb") as output:
            environment = child_environment(os.environ, dump.stage.family)
            subprocess.run(dump.stage.command, stdout=output, env=environment, check=True)
        if dump.snapshot:
            working.replace(kept)
        self.archives.append(made)
        return made

    def replay(self, target: Path) -> Path:
        """Extract the whole chain into an empty folder, as one would by hand.

        Returns:
            The source's directory in there.

        Raises:
            subprocess.CalledProcessError: tar could not replay it.
        """
        return replay(self.archives, target) / self._source.job.target.lstrip("/")


def archive(source: DirectorySource, folder: Path) -> Path:
    """The archive of a directory, not as part of a chain; ``folder`` is made if need be."""
    return NightlyChain(source, folder).backup()


def replay(archives: Sequence[Path], target: Path, *, busy: int = 0) -> Path:
    """Extract archives, oldest first, into ``target``, which is emptied before; returns it.

    Args:
        archives: a chain.
        target: a folder.
        busy: so many of the first ones were made of a tree that was changing. What was a file when tar listed its
            folder, and a folder when tar came to it, tar refuses to extract, and goes on.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for number, archive in enumerate(archives):
        open_folders(target)
        command = ["tar", "-x", "-p", "-g", "/dev/null", "--acls", "--xattrs", "-f", str(archive), "-C", str(target)]
        subprocess.run(command, check=number >= busy, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    return target


def open_folders(target: Path) -> None:
    """Let an ordinary user into all folders, as the manual has it for recovery by hand."""
    if os.geteuid():
        subprocess.run(["find", str(target), "-type", "d", "-exec", "chmod", "u+rwx", "{}", "+"], check=False)


def member_names(archive: Path) -> list[str]:
    """The names in an archive, unquoted, without the slashes at the ends of directories; none may hold a newline."""
    command = ["tar", "-t", "--quoting-style=literal", "-f", str(archive)]
    listed = subprocess.run(command, check=True, capture_output=True).stdout
    return [os.fsdecode(name).rstrip("/") for name in listed.splitlines()]
