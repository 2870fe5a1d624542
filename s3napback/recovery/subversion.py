"""A Subversion repository, loaded anew from a chain of dumps of which each must continue the one before."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from s3napback.archives import ArchiveRecord
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import PipelineError, UnusableTool
from s3napback.formatting import readable, shell_command
from s3napback.recovery.dump_stream import DumpReader, checked, dump_beginning
from s3napback.recovery.folders import OPEN_FOLDER, names_in
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.failures import Damaged
from s3napback.recovery.staging import Staging, UnusableTarget, require_empty, require_empty_folder, staging_in
from s3napback.rotation import ArchiveType
from s3napback.streams.confinement import start_confined
from s3napback.streams.environment import Family, child_environment
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Block, Transformation

_TEMPORARY = {"TMPDIR": "."}
"""Nowhere but where they work can Subversion's programs make temporary files."""

_REPOSITORY = "repository"

_HEAD_SIZE = 64 * 1024


@dataclass(frozen=True)
class Expected:
    """What the next dump has to continue.

    Attributes:
        uuid: of the repository; empty before the first one.
        revision: the first one in it.
    """

    uuid: str = ""
    revision: int = 0


@dataclass(frozen=True)
class RepositoryRestore:
    """What is wanted of a repository.

    Attributes:
        where: the new repository; must not exist, or be empty.
    """

    where: Path

    def check(self) -> None:
        """Look whether it can be begun.

        Raises:
            UnusableTarget: something is there.
        """
        require_empty(self.where)

    def run(self, decoder: Decoder, chain: Sequence[CataloguedArchive]) -> None:
        """Restore.

        Raises:
            S3napbackError: what failed; no repository was made.
        """
        with staging_in(self.where.absolute()) as staging:
            tools = _Tools(staging.tree)
            tools.run("svnadmin", "create", _REPOSITORY)
            expected = Expected()
            for archive in chain:
                check = continuity_check(expected)
                command = ("svnadmin", "load", "--quiet", "--force-uuid", _REPOSITORY)
                load = Stage(command, environment=_TEMPORARY, family=Family.SUBVERSION, folder=staging.tree)
                decoder.run(archive, check, load, use="loaded")
                expected = _loaded(tools, archive, expected, decoder)
            self._publish(staging)

    def _publish(self, staging: Staging) -> None:
        require_empty_folder(staging.target, self.where)
        with ExitStack() as stack:
            name = ""
            try:
                repository = os.open(_REPOSITORY, OPEN_FOLDER, dir_fd=staging.tree)
                stack.callback(os.close, repository)
                for name in names_in(repository):
                    os.rename(name, name, src_dir_fd=repository, dst_dir_fd=staging.target)
            except OSError as error:
                reason = f"the repository cannot be moved to {self.where / name}: {error.strerror}"
                raise UnusableTarget(reason) from error


def continuity_check(expected: Expected) -> Transformation:
    """Passes a dump on if it continues what was loaded before; svnadmin itself would renumber what does not."""

    def check(blocks: Iterator[memoryview]) -> Iterator[Block]:
        head = b""
        for block in blocks:
            head += bytes(block)
            if len(head) >= _HEAD_SIZE:
                break
        _require_continuation(head[:_HEAD_SIZE], expected)
        yield head
        yield from blocks

    return Transformation("the check of the dump's beginning", check)


def revisions_check(record: ArchiveRecord, parent: ArchiveRecord | None) -> Transformation:
    """Passes a dump on, and fails where its revisions are not those that the metadata tell.

    Args:
        record: of the dump's archive.
        parent: of the archive that it builds on.
    """
    return Transformation("the check of revisions", checked(lambda dump: _judge(dump, record, parent)))


def _judge(dump: DumpReader, record: ArchiveRecord, parent: ArchiveRecord | None) -> None:
    """Compare a dump with what its metadata, and those of the archive it builds on, say."""
    found = f"{dump.first}:{dump.last}"
    if record.extra.get("revisions", found) != found or record.extra.get("uuid", dump.uuid) != dump.uuid:
        raise Damaged(f"it holds the revisions {found} of {dump.uuid}, which is not what its metadata say")
    before = parent.extra.get("revisions", "").rpartition(":")[2] if parent else "-1"
    if before and dump.first != int(before) + 1:
        raise Damaged(f"it begins with revision {dump.first}, and what it builds on ends with {before}")
    if record.type is ArchiveType.DIFF and parent and parent.extra.get("uuid", dump.uuid) != dump.uuid:
        raise Damaged(f"it is of another repository than what it builds on: {dump.uuid}")


def _require_continuation(head: bytes, expected: Expected) -> None:
    found = dump_beginning(head)
    if found.revision != expected.revision:
        raise Damaged(
            f"it begins with revision {found.revision}, and what is loaded so far continues with {expected.revision}"
        )
    if expected.uuid and found.uuid != expected.uuid:
        raise Damaged(f"it is of another repository: its UUID is {found.uuid}, and that of the FULL {expected.uuid}")


def _loaded(tools: _Tools, archive: CataloguedArchive, expected: Expected, decoder: Decoder) -> Expected:
    """Look at what has been loaded, and tell what has to follow."""
    youngest = int(tools.run("svnlook", "youngest", _REPOSITORY))
    uuid = tools.run("svnlook", "uuid", _REPOSITORY)
    address = decoder.transport.address(archive)
    extra = archive.record.extra if archive.record else {}
    wanted_last = extra.get("revisions", "").rpartition(":")[2]
    if wanted_last and youngest != int(wanted_last):
        raise PipelineError(f"{address} should end with revision {wanted_last}, and {youngest} is the youngest loaded")
    if extra.get("uuid", uuid) != uuid or (expected.uuid and expected.uuid != uuid):
        raise PipelineError(f"{address} is of another repository: the UUID is {uuid}")
    return Expected(uuid, youngest + 1)


@dataclass(frozen=True)
class _Tools:
    """Subversion's programs, which can change nothing but one folder.

    Attributes:
        folder: its descriptor; they work in it.
    """

    folder: int

    def run(self, *command: str) -> str:
        """What one of them answers."""
        if shutil.which(command[0]) is None:
            raise UnusableTool(f"{command[0]} is missing: install subversion")
        environment = {**child_environment(os.environ, Family.SUBVERSION), **_TEMPORARY}

        def ask(path: str) -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=environment, cwd=path
            )

        done = start_confined(self.folder, ask)
        if done.returncode != 0:
            words = [f"  {readable(line)}" for line in done.stderr.splitlines()]
            raise PipelineError(f"{shell_command(command)} failed:", *words)
        return done.stdout.decode().strip()
