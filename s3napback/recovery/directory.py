"""A directory as it was: its chain replayed by GNU tar into a staging folder, then published."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.recovery.members import Gate
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.paths import PathSelection, members_of_paths, outermost, require_all
from s3napback.recovery.powers import Powers, powers_in
from s3napback.recovery.publishing import publish
from s3napback.recovery.staging import Staging, require_empty, staging_in
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
    gate = Gate(directory.strip("/"))
    return Transformation("the look at the archive's members", gate.whole), Stage((tar, "--list", "--file=-"))


@dataclass(frozen=True)
class DirectoryRestore:
    """What is wanted of a directory source.

    Attributes:
        directory: the source's path.
        paths: what of it; nothing is everything.
        where: below it everything gets its full path.
        in_place: merge into a directory that holds something.
        tar: name of GNU tar's program.
    """

    directory: str
    paths: tuple[str, ...]
    where: Path
    in_place: bool = False
    tar: str = "tar"

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
        names = members_of_paths(self.directory, self.paths)
        top = self.directory.strip("/")
        gate = Gate(top)
        with staging_in(self.where) as staging:
            replay(decoder, chain, staging, names, gate, self.tar)
            wanted = outermost(names) or (top,)
            powers = powers_in(staging.tree, wanted) if gate.gave_power else Powers()
            publish(staging, top, wanted, in_place=self.in_place)
            powers.tell(self.where)


def replay(
    decoder: Decoder, chain: Sequence[CataloguedArchive], staging: Staging, names: tuple[str, ...], gate: Gate, tar: str
) -> None:
    """Extract a chain into a staging folder.

    Args:
        names: the members that are wanted, with all below them; none is everything.
        gate: what reaches tar.

    Raises:
        PipelineError: an archive could not be decoded or extracted.
        NoSuchPath: a name was not there on that day.
    """
    selection = PathSelection(names)
    for archive in chain:
        selection = PathSelection(names)
        _extract(decoder, archive, staging, selection, gate, tar)
        if selection.left_out:
            _extract(decoder, archive, staging, selection.second_reading(), gate, tar)
    staging.finish()
    if names:
        require_all(staging.tree, selection)


def _extract(
    decoder: Decoder, archive: CataloguedArchive, staging: Staging, selection: PathSelection, gate: Gate, tar: str
) -> None:
    choose = Transformation("the choice of members", lambda blocks: gate.chosen(blocks, selection.chooses))
    check = Transformation("the look at the archive's members", gate.whole)
    with staging.extracting() as folder:
        decoder.run(archive, choose if selection.names else check, extract_stage(tar, folder))
