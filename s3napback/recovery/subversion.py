"""A Subversion repository, loaded anew from a chain of dumps of which each must continue the one before."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from s3napback.archives import ArchiveRecord
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.environment import Family, child_environment
from s3napback.errors import PipelineError, S3napbackError, UnusableTool
from s3napback.formatting import readable, shell_command
from s3napback.records import dataclass
from s3napback.recovery.dump_stream import DumpReader, checked, dump_beginning
from s3napback.recovery.folders import names_in
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.failures import Damaged
from s3napback.recovery.passing import OPEN_FOLDER
from s3napback.recovery.staging import Staging, UnusableTarget, require_empty, require_empty_folder, staging_in
from s3napback.rotation import ArchiveType
from s3napback.streams.confinement import start_confined
from s3napback.streams.findings import Finding
from s3napback.streams.processes import Stage
from s3napback.streams.receiving import Receiver, ReceiverFailed
from s3napback.streams.transformations import Block, Transformation

_TEMPORARY = {"TMPDIR": "."}
"""Nowhere but where they work can Subversion's programs make temporary files."""

_REPOSITORY = "repository"

_HEAD_SIZE = 64 * 1024


class NotLoaded(S3napbackError):
    """The dumps are whole, and svnadmin makes no repository of them."""


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
            command = ("svnadmin", "load", "--quiet", "--force-uuid", "--bypass-prop-validation", _REPOSITORY)
            load = Stage(command, environment=_TEMPORARY, family=Family.SUBVERSION, folder=staging.tree)
            with Receiver(load, decoder.transport.stall_timeout) as receiver:
                last = _load(decoder, chain, receiver)
            _require_loaded(tools, last)
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


def _load(decoder: Decoder, chain: Sequence[CataloguedArchive], receiver: Receiver) -> DumpReader:
    """Give a whole chain to one ``svnadmin load``; returns what its last dump was found to be.

    A further one would not know the revisions that svn:mergeinfo speaks of, and drop or shift them
    (``renumber_mergeinfo_revs`` in Subversion's ``libsvn_repos/load-fs-vtable.c``).
    """
    before = DumpReader()
    for archive in chain:
        look = Finding("the check of the dump's revisions", partial(continued, before=before, record=archive.record))
        try:
            decoder.run(archive, look.transformation, write=receiver.write, use="loaded")
            if archive is chain[-1]:
                receiver.finish()
        except ReceiverFailed as error:
            # svnadmin may have been at work on an earlier one when it failed.
            which = decoder.transport.address(archive) + ("" if archive is chain[0] else ", or what it builds on,")
            raise NotLoaded(*error.under(f"{which} was decoded, but cannot be loaded")) from error
        before = look.result()
    return before


def continued(
    blocks: Iterator[memoryview], before: DumpReader, record: ArchiveRecord | None
) -> Generator[Block, None, DumpReader]:
    """Passes a dump on if it continues what was loaded before; svnadmin itself would renumber what does not.

    Args:
        blocks: of the dump.
        before: has read the one before it; a fresh one stands for none.
        record: what the dump's metadata say; None if they were lost.

    Returns:
        What has read it.

    Raises:
        Damaged: it does not continue what was loaded, or is not what the metadata say.
    """
    head = b""
    for block in blocks:
        head += bytes(block)
        if len(head) >= _HEAD_SIZE:
            break
    _require_continuation(head[:_HEAD_SIZE], before)
    found = DumpReader()
    yield from found.passed(itertools.chain((head,), blocks))
    if record is not None:
        _require_recorded(found, record)
    return found


def revisions_check(record: ArchiveRecord, parent: ArchiveRecord | None) -> Transformation:
    """Passes a dump on, and fails where its revisions are not those that the metadata tell.

    Args:
        record: of the dump's archive.
        parent: of the archive that it builds on.
    """
    return Transformation("the check of revisions", checked(lambda dump: _judge(dump, record, parent)))


def _judge(dump: DumpReader, record: ArchiveRecord, parent: ArchiveRecord | None) -> None:
    """Compare a dump with what its metadata, and those of the archive it builds on, say."""
    _require_recorded(dump, record)
    before = parent.extra.get("revisions", "").rpartition(":")[2] if parent else "-1"
    if before and dump.first != int(before) + 1:
        raise Damaged(f"it begins with revision {dump.first}, and what it builds on ends with {before}")
    if record.type is ArchiveType.DIFF and parent and parent.extra.get("uuid", dump.uuid) != dump.uuid:
        raise Damaged(f"it is of another repository than what it builds on: {dump.uuid}")


def _require_recorded(dump: DumpReader, record: ArchiveRecord) -> None:
    found = f"{dump.first}:{dump.last}"
    if record.extra.get("revisions", found) != found or record.extra.get("uuid", dump.uuid) != dump.uuid:
        raise Damaged(f"it holds the revisions {found} of {dump.uuid}, which is not what its metadata say")


def _require_continuation(head: bytes, before: DumpReader) -> None:
    found = dump_beginning(head)
    if found.revision != before.last + 1:
        raise Damaged(
            f"it begins with revision {found.revision}, and what is loaded so far continues with {before.last + 1}"
        )
    if before.uuid and found.uuid != before.uuid:
        raise Damaged(f"it is of another repository: its UUID is {found.uuid}, and that of the FULL {before.uuid}")


def _require_loaded(tools: _Tools, last: DumpReader) -> None:
    """Look whether the repository is what was given to svnadmin."""
    found = (tools.run("svnlook", "uuid", _REPOSITORY), int(tools.run("svnlook", "youngest", _REPOSITORY)))
    if found != (last.uuid, last.last):
        raise NotLoaded(
            f"svnadmin loaded revisions up to {found[1]} of {found[0]}, and the dumps hold those up to {last.last} of "
            f"{last.uuid}"
        )


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
