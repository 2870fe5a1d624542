"""The extraction of a chain by GNU tar, archive by archive; what the target does not take costs only that."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from functools import partial
from itertools import chain as chain_of

from s3napback.archives import Unread
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.records import dataclass
from s3napback.recovery.attributes import (
    look_for_attributes,
    remove_cut,
    remove_files,
    take_powers,
    without_special,
    wrongly_owned,
)
from s3napback.recovery.clashes import NO_TEXT, SHORTENED, WORDS
from s3napback.recovery.clearing import remove_guests
from s3napback.recovery.copying import copy_names
from s3napback.recovery.folders import Cursor, cursor, exists, go_to
from s3napback.recovery.manners import USUAL_MANNERS, Manners
from s3napback.recovery.members import Gate, Passed
from s3napback.recovery.opening.ahead import reading_ahead
from s3napback.recovery.opening.decoder import Decoder, Portion
from s3napback.recovery.paths import Reading, WantedPaths, first_reading, require_all, second_reading, whole_reading
from s3napback.recovery.refusals import NOT_THERE, Aspect, Refusals
from s3napback.recovery.staging import Staging, UnusableTarget, looking_into_it
from s3napback.recovery.tar_words import FIRST_REFUSED, ExtractionReview
from s3napback.streams.findings import Finding
from s3napback.streams.processes import Stage
from s3napback.streams.reviews import Review
from s3napback.streams.tar_headers import WITHOUT_SHADOWS
from s3napback.streams.transformations import Feed, Transformation

logger = logging.getLogger("s3napback")

_KEPT_BACK = "what was kept back of the archive"


def extract_stage(tar: str, folder: int, review: Review | None = None, *, bare: bool = False) -> Stage:
    """The process that extracts one archive of a chain from its standard input; it deletes what the DIFF knows gone.

    Args:
        tar: name of GNU tar's program.
        folder: descriptor of where it extracts; nothing else can be changed by it.
        review: reads what it says.
        bare: nothing is given an owner or times.
    """
    # By default tar restores attributes of the user's own namespace only, not the capabilities of programs.
    all_attributes = ("--xattrs-include=*",) if os.geteuid() == 0 else ()
    command = (
        *(tar, "--extract", "--file=-", "--listed-incremental=/dev/null", "--numeric-owner", "--same-permissions"),
        *("--acls", "--xattrs", *all_attributes, WITHOUT_SHADOWS),
        # Whoever chooses names shall not choose the borders of lines, and warnings on attributes and on times before
        # 1970 or to come do not quote names.
        *("--quoting-style=escape", "--warning=no-xattr-write", "--warning=no-timestamp"),
        *(("--no-same-owner", "--touch") if bare else ()),
    )
    return Stage(command, folder=folder, review=review)


Preparation = Callable[[CataloguedArchive, Staging], Sequence[Transformation]]
"""Is called before an archive is extracted; returns what its content passes first."""


def nothing_first(_archive: CataloguedArchive, _staging: Staging) -> Sequence[Transformation]:
    """The preparation that archives of our own need."""
    return ()


@dataclass
class Replay:
    """The extraction of a chain into a staging folder.

    Attributes:
        gate: what reaches tar.
        is_powerless: an ordinary user restores, with whose rights setuid programs run then; they are named.
        forgets_permissions: the target takes none, and that is told of all at once.
        refusals: what the target did not take.
        foreign: a member belonged to somebody else than it does now, because all belongs to one.
        unnoticed: of so many others nobody looked whether their attributes were taken.
        rounded: a member had a time between two that the target keeps.
        manners: of the target, and of where the staging folder lies.
        has_links: a member was a symbolic link.
        has_names: a member was another name of a file.
    """

    decoder: Decoder
    staging: Staging
    gate: Gate
    tar: str
    is_powerless: bool = False
    forgets_permissions: bool = False
    refusals: Refusals = field(default_factory=Refusals)
    foreign: bool = False
    unnoticed: int = 0
    rounded: bool = False
    manners: Manners = USUAL_MANNERS
    has_links: bool = False
    has_names: bool = False
    has_lowered_names: bool = False

    @property
    def has_dated_names(self) -> bool:
        """Files with several names have the time at which these were made."""
        return self.has_names and self.manners.dates_names

    @property
    def has_bare_links(self) -> bool:
        """Links came without their owners and times, which would have been those of what they lead to."""
        return self.has_links and self.manners.follows_links

    def run(
        self, chain: Sequence[CataloguedArchive], wanted: WantedPaths, asked: Sequence[str], prepare: Preparation
    ) -> bool:
        """Extract it.

        Args:
            wanted: the members that are wanted, with all below them.
            asked: names of the paths that must be there at the end.
            prepare: what is done before each archive.

        Returns:
            Whether an archive brought something that gives power.

        Raises:
            PipelineError: an archive could not be decoded or extracted.
            NoSuchPath: a path was not there on that day.
            UnusableTarget: what was extracted cannot be looked into.
        """
        with reading_ahead(self.decoder, chain) as self.decoder:
            reading, gave_power = self._replay(chain, wanted, prepare)
        with looking_into_it():
            self._look_at_last(asked, reading.nearby, wanted.unread)
        return gave_power

    def _replay(
        self, chain: Sequence[CataloguedArchive], wanted: WantedPaths, prepare: Preparation
    ) -> tuple[Reading, bool]:
        gave_power = False
        reading = Reading()
        for archive in chain:
            first = prepare(archive, self.staging)
            look = partial(first_reading, wanted=wanted) if wanted.names else whole_reading
            reading = self._extract(archive, first, look, Portion.FIRST)
            gave_power |= reading.passed.gave_power
            if reading.left_out:
                look = partial(second_reading, wanted=wanted, left_out=reading.left_out)
                again = self._extract(archive, first, look, Portion.LINKED)
                gave_power |= again.passed.gave_power
                self._let_go(reading.left_out, wanted)
        return reading, gave_power

    def _let_go(self, left_out: Mapping[str, str], wanted: WantedPaths) -> None:
        """Of what hard links lead to keep nothing but these, once they are made."""
        for name, target in left_out.items():
            self.refusals.hand_on(_path(target), _path(name))
        with looking_into_it():
            remove_guests(self.staging.tree, set(left_out.values()), wanted.concerns)

    def _look_at_last(self, names: Sequence[str], nearby: Sequence[str], unread: Unread) -> None:
        tree = self.staging.tree
        self.staging.finish()
        require_all(tree, [name for name in names if not self.refusals.lacks(_path(name))], nearby, unread)
        with cursor(tree, is_own=True) as place:
            self.refusals.keep(lambda path: not self.refusals.is_there(path) or _exists(place, path))

    def there(self, names: Sequence[str]) -> Sequence[str]:
        """Those of some names that are in the tree.

        Raises:
            UnusableTarget: none is, since the target does not take them.
        """
        with looking_into_it(), cursor(self.staging.tree, is_own=True) as place:
            found = [name for name in names if _exists(place, _path(name)) and not self.refusals.lacks(_path(name))]
        if not found:
            raise UnusableTarget("nothing was restored:", *self.refusals.lines(self.staging.where))
        return found

    def _gate(self) -> Gate:
        paths = (path.decode("utf-8", "surrogateescape") for path in self.refusals.paths())
        return replace(self.gate, lacking=frozenset(paths), unmade=self._unmade())

    def _unmade(self) -> frozenset[str]:
        return frozenset(path.decode("utf-8", "surrogateescape") for path in self.refusals.paths(*NOT_THERE))

    def _extract(
        self,
        archive: CataloguedArchive,
        first: Sequence[Transformation],
        look: Callable[[Gate], Finding[Reading]],
        part: Portion,
    ) -> Reading:
        review = ExtractionReview(self.gate.top, frozenset(self.refusals.paths(*NOT_THERE)))
        reviews, use = [review], f"extracted into {self.staging.at}"
        with self.staging.extracting() as groundwork:
            groundwork.lacking = self._unmade()
            finding = look(replace(self._gate(), groundwork=groundwork))
            stage = extract_stage(self.tar, self.staging.tree, review)
            decoder = replace(self.decoder, part=part)
            decoder.run(archive, *first, finding.transformation, stage, use=use)
            reading = finding.result()
            # Before anything of this archive is noted.
            unbrought = {name: self.refusals.reason(_path(above)) for name, above in reading.passed.unbrought}
            for name in reading.passed.settled:
                self.refusals.forget(_path(name))
            for blocks, bare in ((groundwork.links(), self.manners.follows_links), (groundwork.folders(), False)):
                if (begin := next(blocks, None)) is not None:
                    reviews.append(ExtractionReview(self.gate.top, reviews[-1].refused))
                    feed = Feed(_KEPT_BACK, partial(chain_of, [begin], blocks))
                    stage = extract_stage(self.tar, self.staging.tree, reviews[-1], bare=bare)
                    self.decoder.use(archive, feed, stage, use=use)
            with looking_into_it():
                for name, error in groundwork.lock():
                    self.refusals.note(_path(name), Aspect.MODE, error.strerror or str(error))
        for name in groundwork.astray:
            self.refusals.note(_path(name), Aspect.ENTRY, "it lies below a symbolic link of the same archive")
        for each in reviews:
            for line in each.remarks:
                logger.warning("tar: %s", line)
        with looking_into_it():
            self._take_in(reading.passed, reviews)
        for name, reason in unbrought.items():
            if not self.refusals.lacks(_path(name)):
                self.refusals.note(_path(name), Aspect.ENTRY, reason)
        return reading

    def _note_names(self, passed: Passed) -> None:
        for names, aspect, reason in (
            (passed.clashing - passed.orphaned, Aspect.ENTRY, WORDS),
            (passed.orphaned, Aspect.LINK, FIRST_REFUSED),
            (passed.shortened, Aspect.NAME, SHORTENED),
        ):
            for name in names:
                is_named = aspect is not Aspect.ENTRY or not self.gate.folding.gives_another(name)
                self.refusals.note(_path(name), aspect, reason if is_named else NO_TEXT)

    def _take_in(self, passed: Passed, reviews: Sequence[ExtractionReview]) -> None:
        tree = self.staging.tree
        self._note_names(passed)
        strange: list[bytes] = []
        for review in reviews:
            if review.cut:
                remove_cut(tree, review.cut, self.staging.at)
            remove_files(tree, review.unmade)
            self.refusals.add(review.refusals)
            copy_names(tree, review.links, self.refusals)
            found = [*wrongly_owned(tree, review.owners)]
            for path in found:
                self.refusals.note(path, Aspect.OWNER, review.owner_reason)
            strange += found
        look_for_attributes(tree, passed.attributes, self.refusals)
        robbed = [] if self.is_powerless else [*map(_path, passed.set_ids), *strange]
        for path in take_powers(tree, robbed, map(_path, passed.also_set_ids)):
            self.refusals.note(path, Aspect.POWER, "it would have run with other rights than it had")
        self._look_for_special(passed)
        for path in map(_path, passed.untimely):
            if self.refusals.is_there(path):
                self.refusals.note(path, Aspect.TIMES, "the target has no such times")
        self.rounded = self.rounded or passed.rounded
        self.has_links = self.has_links or passed.has_links
        self.has_lowered_names = self.has_lowered_names or passed.lowered
        self.has_names = self.has_names or passed.has_names
        self.foreign = self.foreign or bool(passed.foreign)
        self.unnoticed += passed.unnoticed

    def _look_for_special(self, passed: Passed) -> None:
        if self.forgets_permissions:
            return
        told = {*self.refusals.paths(Aspect.MODE, Aspect.OWNER, Aspect.POWER)}
        for path in without_special(self.staging.tree, passed.special):
            if path not in told:
                self.refusals.note(path, Aspect.MODE, "setuid, setgid or the sticky bit is dropped there")


def _exists(place: Cursor, path: bytes) -> bool:
    *folders, last = os.fsdecode(path).split("/")
    return go_to(place, folders) and exists(last or ".", place.descriptor)


def _path(name: str) -> bytes:
    """The bytes of a name in archives."""
    return name.encode("utf-8", "surrogateescape")
