"""A directory as it was: its chain replayed by GNU tar into a staging folder, then published."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from s3napback.archives import NOTHING_UNREAD, Unread
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.recovery.members import Gate
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.paths import (
    Reading,
    WantedPaths,
    first_reading,
    members_of_paths,
    outermost,
    require_all,
    second_reading,
    whole_reading,
)
from s3napback.recovery.powers import Powers, powers_in
from s3napback.recovery.publishing import publish
from s3napback.recovery.staging import Staging, looking_into_it, require_empty, staging_in
from s3napback.streams.findings import Finding
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Transformation


def extract_stage(tar: str, folder: int) -> Stage:
    """The process that extracts one archive of a chain from its standard input; it deletes what the DIFF knows gone.

    Args:
        tar: name of GNU tar's program.
        folder: descriptor of where it extracts; nothing else can be changed by it.
    """
    # By default tar restores attributes of the user's own namespace only, not the capabilities of programs.
    all_attributes = ("--xattrs-include=*",) if os.geteuid() == 0 else ()
    command = (
        *(tar, "--extract", "--file=-", "--listed-incremental=/dev/null", "--numeric-owner", "--same-permissions"),
        *("--acls", "--xattrs", *all_attributes),
    )
    return Stage(command, folder=folder)


def listing(directory: str, tar: str) -> tuple[Transformation, Stage]:
    """What an archive's content goes through to be checked: it must be what GNU tar writes, and tar must read it."""
    return whole_reading(Gate(directory.strip("/"))).transformation, Stage((tar, "--list", "--file=-"))


@dataclass(frozen=True)
class DirectoryRestore:
    """What is wanted of a directory source.

    Attributes:
        directory: the source's path.
        paths: what of it; nothing is everything.
        where: below it everything gets its full path.
        in_place: merge into a directory that holds something.
        tar: name of GNU tar's program.
        unread: what could not be read of the directory that night.
    """

    directory: str
    paths: tuple[str, ...]
    where: Path
    in_place: bool = False
    tar: str = "tar"
    unread: Unread = NOTHING_UNREAD

    def check(self) -> None:
        """Look whether it can be begun.

        Raises:
            S3napbackError: it cannot: the target holds something, or a path does not lie in the source.
        """
        members_of_paths(self.directory, self.paths)
        if not self.in_place:
            require_empty(self.where)

    def run(self, decoder: Decoder, chain: Sequence[CataloguedArchive]) -> None:
        """Restore.

        Raises:
            S3napbackError: what failed; nothing was published.
        """
        wanted = WantedPaths.of(members_of_paths(self.directory, self.paths), self.unread)
        gate = Gate(self.directory.strip("/"))
        with staging_in(self.where) as staging:
            gave_power = replay(decoder, chain, staging, wanted, gate, self.tar)
            names = outermost(wanted.names) or (gate.top,)
            with looking_into_it():
                powers = powers_in(staging.tree, names) if gave_power else Powers()
            publish(staging, gate.top, names, in_place=self.in_place)
            powers.tell(self.where)


Preparation = Callable[[CataloguedArchive, Staging], Sequence[Transformation]]
"""Is called before an archive is extracted; returns what its content passes first."""


def nothing_first(_archive: CataloguedArchive, _staging: Staging) -> Sequence[Transformation]:
    """The preparation that archives of our own need."""
    return ()


def replay(
    decoder: Decoder,
    chain: Sequence[CataloguedArchive],
    staging: Staging,
    wanted: WantedPaths,
    gate: Gate,
    tar: str,
    prepare: Preparation = nothing_first,
) -> bool:
    """Extract a chain into a staging folder.

    Args:
        wanted: the members that are wanted, with all below them.
        gate: what reaches tar.
        prepare: what is done before each archive.

    Returns:
        Whether an archive brought something that gives power.

    Raises:
        PipelineError: an archive could not be decoded or extracted.
        NoSuchPath: a path was not there on that day.
        UnusableTarget: what was extracted cannot be looked into.
    """
    gave_power = False
    reading = Reading()
    for archive in chain:
        first = prepare(archive, staging)
        finding = first_reading(gate, wanted) if wanted.names else whole_reading(gate)
        reading = _extract(decoder, archive, staging, finding, tar, first)
        gave_power |= reading.gave_power
        if reading.left_out:
            again = _extract(decoder, archive, staging, second_reading(gate, wanted, reading.left_out), tar, first)
            gave_power |= again.gave_power
    staging.finish()
    with looking_into_it():
        require_all(staging.tree, wanted.names, reading.nearby, wanted.unread)
    return gave_power


def _extract(
    decoder: Decoder,
    archive: CataloguedArchive,
    staging: Staging,
    finding: Finding[Reading],
    tar: str,
    first: Sequence[Transformation],
) -> Reading:
    with staging.extracting() as folder:
        decoder.run(archive, *first, finding.transformation, extract_stage(tar, folder), use="extracted")
    return finding.result()
