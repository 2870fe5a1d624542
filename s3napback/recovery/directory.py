"""A directory as it was: its chain replayed by GNU tar into a staging folder, then published."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from s3napback.archives import NOTHING_UNREAD, Unread
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import PipelineError, StoreError
from s3napback.logs import log_lines
from s3napback.mounts import is_at_or_below
from s3napback.records import dataclass
from s3napback.recovery.attributes import Nature, folding_of, nature_of
from s3napback.recovery.folders import file_names
from s3napback.recovery.manners import manners_of
from s3napback.recovery.members import Gate
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.paths import NoSuchPath, WantedPaths, members_of_paths, outermost, whole_reading
from s3napback.recovery.picking import in_parts
from s3napback.recovery.powers import Powers, powers_in
from s3napback.recovery.private import private_folder
from s3napback.recovery.publishing import brought_over, publish
from s3napback.recovery.refusals import Incomplete
from s3napback.recovery.replaying import Preparation, Replay, nothing_first
from s3napback.recovery.staging import (
    PREFIX,
    UnusableTarget,
    looking_into_it,
    require_empty,
    require_empty_folder,
    staging_in,
    trying_in,
)
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Transformation

logger = logging.getLogger("s3napback")

_DATED = "times of files with several names were not kept: the target sets them anew for each name that is made"
_LOWERED = "names are there in small letters: the target keeps no others"
_NEAR = "times of modification were rounded: the target keeps them less exactly"
_BARE = "owners and times of links were not set: the target would give them to what the links lead to"


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
        strict: restore nothing where the target cannot take everything.
        staging: the folder to prepare it in; None is WHERE, or beside what is merged.
        tar: name of GNU tar's program.
        unread: what could not be read of the directory that night.
        is_private: nobody else can enter WHERE, so that what gives powers to whoever reaches it gives none.
    """

    directory: str
    paths: tuple[str, ...]
    where: Path
    in_place: bool = False
    strict: bool = False
    staging: Path | None = None
    tar: str = "tar"
    unread: Unread = NOTHING_UNREAD
    is_private: bool = False

    def check(self) -> None:
        """Look whether it can be begun.

        Raises:
            S3napbackError: it cannot: the target holds something, or a path does not lie in the source.
        """
        names = members_of_paths(self.directory, self.paths)
        if not self.in_place:
            require_empty(self.where)
        elif (top := self.directory.strip("/")) and any(
            is_at_or_below(f"/{name}", os.path.normpath(self.where)) for name in outermost(names) or (top,)
        ):
            _require_place(self.where, top)

    def run(self, decoder: Decoder, chain: Sequence[CataloguedArchive]) -> None:
        """Restore; see ``restore``. PATHs are fetched in parts where the archives' indexes allow that."""
        names = members_of_paths(self.directory, self.paths)
        wanted = WantedPaths.of(names, self.unread)
        in_part = in_parts(decoder, chain, wanted) if names else decoder
        if in_part.parts:
            try:
                self.restore(in_part, chain, wanted)
            except NoSuchPath:
                logger.info("the archives are read whole, to be certain of what was not found in parts of them")
            except (PipelineError, StoreError) as error:
                # Whatever it was, what the whole archives say of it is certain.
                logger.info("the archives are read whole, because reading them in parts failed:")
                log_lines(logger, logging.INFO, error.lines)
            else:
                return
        self.restore(decoder, chain, wanted)

    def restore(
        self,
        decoder: Decoder,
        chain: Sequence[CataloguedArchive],
        wanted: WantedPaths,
        prepare: Preparation = nothing_first,
    ) -> None:
        """Restore.

        Args:
            wanted: the members that are to be extracted.
            prepare: what is done before each archive.

        Raises:
            Incomplete: everything was published that the target could take.
            S3napbackError: what failed; nothing was published.
        """
        asked = members_of_paths(self.directory, self.paths)
        gate = Gate(self.directory.strip("/"))
        merged = _common(outermost(asked) or (gate.top,)) if self.in_place else ()
        with staging_in(self.where, self.staging, merged) as staging, ExitStack() as stack:
            with trying_in(staging.at):
                nature = nature_of(staging.tree)
                folding = staging.folding = folding_of(staging.tree)
                at_target = manners = manners_of(staging.tree)
            if staging.is_elsewhere and not self.in_place:
                with trying_in(self.where), private_folder(staging.target, PREFIX) as (_name, probed):
                    folding |= folding_of(probed)
                    at_target = manners_of(probed)
            gate = replace(gate, user=nature.user, group=nature.group, folding=folding, times=nature.times)
            replay = Replay(decoder, staging, gate, self.tar, nature.is_powerless, nature.forgets_permissions)
            replay.manners = manners | at_target
            gave_power = replay.run(chain, wanted, asked, prepare)
            names = replay.there(outermost(asked) or (gate.top,))
            tree = staging.tree
            if staging.is_elsewhere and not self.in_place:
                require_empty_folder(staging.target, self.where)
                tree = stack.enter_context(brought_over(staging, gate.top, names, replay.refusals, manners=at_target))
            with looking_into_it():
                powers = powers_in(tree, names) if gave_power and not self.is_private else Powers()
            if self.strict and (replay.foreign or _lines(replay, nature, self.where)):
                _refuse(replay, nature, self.where)
            publish(staging, tree, gate.top, names, replay.refusals, in_place=self.in_place, manners=at_target)
        powers.tell(self.where, replay.refusals)
        _tell(replay, nature, self.where)


def _require_place(where: Path, top: str) -> None:
    """Refuse to merge into what is to be restored, or above it, where nothing lies that its whole path could meet."""
    if where != Path("/") and not os.path.lexists(where / file_names(top)[0]):
        raise UnusableTarget(
            f"paths keep their full length: it would come to {where / top}, and not into its place; for that, write "
            "--to / --in-place"
        )


def _common(names: Sequence[str]) -> list[str]:
    """The folders in which all of some names lie, and the last one itself if it is the only one."""
    common, *others = [file_names(name) for name in names]
    for other in others:
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(common, other, strict=False)))
        common = common[:same]
    return common


def _owners(replay: Replay, nature: Nature) -> str:
    """What to say of owners where all belongs to one."""
    if not replay.foreign:
        return ""
    reason = "only root can give files away" if nature.is_powerless else "the target takes no others"
    to = [f"{kind} {number}" for kind, number in (("user", nature.user), ("group", nature.group)) if number is not None]
    return f"owners and groups as they were could not be set: everything belongs to {', '.join(to)}; {reason}"


def _lines(replay: Replay, nature: Nature, where: Path) -> list[str]:
    owners = _owners(replay, nature)
    modes = ["the target takes no permissions, so they are its own"] if nature.forgets_permissions else []
    times: list[str] = []
    if replay.rounded:
        times = [f"times of modification were rounded down: the target keeps them in steps of {nature.times.step_text}"]
    elif replay.refusals.rounded:
        times = [_NEAR]
    links = [_LOWERED] if replay.has_lowered_names else []
    links += [_BARE] if replay.has_bare_links else []
    links += [_DATED] if replay.has_dated_names else []
    said = [owners] if owners and not nature.is_powerless else []
    return [*said, *modes, *times, *links, *replay.refusals.lines(where)]


def _refuse(replay: Replay, nature: Nature, where: Path) -> None:
    """Raise, since not everything was taken."""
    owners = [_owners(replay, nature)] if nature.is_powerless and replay.foreign else []
    told = (*owners, *_lines(replay, nature, where))
    raise UnusableTarget(
        "nothing was restored, because the target cannot take everything and --strict-metadata is set:",
        *(f"  {line}" for line in told),
    )


def _tell(replay: Replay, nature: Nature, where: Path) -> None:
    """Say what was not taken, after all else was restored; raises ``Incomplete`` if anything was not."""
    if nature.is_powerless and (owners := _owners(replay, nature)):
        logger.warning("%s", owners)
    if replay.unnoticed:
        logger.info("%d more files have attributes, at which nobody looked whether they came back", replay.unnoticed)
    if told := _lines(replay, nature, where):
        raise Incomplete(f"all else was restored to {where}; the target did not take everything:", *told)
