"""A directory as it was: its chain replayed by GNU tar into a staging folder, then published."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.recovery.decoding import Decoder
from s3napback.recovery.members import complete, selected
from s3napback.recovery.paths import PathSelection, members_of_paths, remove_others, require_all
from s3napback.recovery.publishing import merge, publish
from s3napback.recovery.staging import Staging, require_empty, staging_in
from s3napback.streams.pipeline import Block, Stage, Transformation


def extract_stage(tar: str, folder: Path) -> Stage:
    """The process that extracts one archive of a chain from its standard input; it deletes what the DIFF knows gone."""
    # By default tar restores attributes of the user's own namespace only, not the capabilities of programs.
    all_attributes = ("--xattrs-include=*",) if os.geteuid() == 0 else ()
    command = (
        *(tar, "--extract", "--file=-", "--listed-incremental=/dev/null", "--numeric-owner", "--same-permissions"),
        *("--acls", "--xattrs", *all_attributes, f"--directory={folder}"),
    )
    return Stage(command)


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
        with staging_in(self.where) as staging:
            replay(decoder, chain, staging, names, self.tar)
            top = self.directory.strip("/")
            if self.in_place:
                merge(staging, self.where, names or (top,))
            else:
                publish(staging, self.where, with_root=not top)


def replay(
    decoder: Decoder, chain: Sequence[CataloguedArchive], staging: Staging, names: tuple[str, ...], tar: str
) -> None:
    """Extract a chain into a staging folder.

    Args:
        names: the members that are wanted, with all below them; none is everything.

    Raises:
        PipelineError: an archive could not be decoded or extracted.
        NoSuchPath: a name was not there on that day.
    """
    selection = PathSelection(names)
    for number, archive in enumerate(chain):
        if number:
            staging.park_links()
        selection = PathSelection(names)
        _extract(decoder, archive, staging, selection, tar)
        if selection.left_out:
            _extract(decoder, archive, staging, selection.second_reading(), tar)
            remove_others(staging.tree, selection)
    staging.bring_links_back()
    if names:
        require_all(staging.tree, selection)


def _extract(
    decoder: Decoder, archive: CataloguedArchive, staging: Staging, selection: PathSelection, tar: str
) -> None:
    check = Transformation("the look at the archive's end", complete)
    choose = Transformation("the choice of members", lambda blocks: selected(complete(blocks), selection.chooses))
    decoder.run(archive, choose if selection.names else check, extract_stage(tar, staging.tree), write=_forget)


def _forget(_block: Block) -> None:
    """tar extracts without saying anything."""
