"""An archive's index made while the archive passes, and what a DIFF lacks by it added to the same stream."""

from __future__ import annotations

import os
import posixpath
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from s3napback.config.directives import Directives
from s3napback.errors import PipelineError
from s3napback.formatting import counted
from s3napback.index.comparing import Comparison, Looks
from s3napback.index.database import NewIndex, ParentIndex
from s3napback.index.follower import Follower, Gatherer
from s3napback.index.walking import Walk
from s3napback.sources.supplement import Supplement
from s3napback.sources.tar_review import TarReview
from s3napback.streams.processes import Stage
from s3napback.streams.tar_stream import END_MARK
from s3napback.streams.transformations import Block

_RECORD_SIZE = 20 * 512
"""Bytes; readers of pipes want whole records, as tar writes them."""


@dataclass(frozen=True)
class Plan:
    """What is to be indexed.

    Attributes:
        member: the source as tar was told, relative to the root directory.
        top: the same on disk, without symbolic links.
        index: the file that is made; others beside it are of no use later.
        parent: the index of the archive that a DIFF builds on; None for a FULL.
        looks: how names are looked at.
        supplement: the tar that adds what a file names.
        reviews: of the first tar, and of the second.
        most: Unreadable, of both together.
        stall_timeout: in seconds, of silence; None is for ever.
    """

    member: str
    top: str
    index: Path
    parent: Path | None
    looks: Looks
    supplement: Callable[[Path], Stage]
    reviews: tuple[TarReview, TarReview]
    most: int
    stall_timeout: float | None


class Indexing:
    """The making of one archive's index.

    Attributes:
        left_out: paths, normalised, as in the archive, of what the second tar was to add and could not.
        unread: those among them that were there, and are not read because of that.
        forgotten: how many others are not known by name.
        is_complete: all of them are remembered.
        warnings: what is to be told, one line each.
    """

    def __init__(self, plan: Plan) -> None:
        self.left_out: Collection[bytes] = ()
        self.unread: Collection[bytes] = ()
        self.forgotten = 0
        self.is_complete = True
        self.warnings: Sequence[str] = ()
        self._plan = plan
        self._since_ns = time.time_ns()

    def followed(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        """Pass the archive on, with what is added."""
        plan = self._plan
        top = posixpath.normpath(os.fsencode(plan.member))
        with ExitStack() as stack:
            new = stack.enter_context(NewIndex(plan.index, plan.index.with_suffix(".links")))
            parent = stack.enter_context(ParentIndex(plan.parent)) if plan.parent else None
            walk = stack.enter_context(Walk(plan.top, follows=plan.looks.follows))
            gatherer = Gatherer(new, top)
            supplement = Supplement(plan.index.with_suffix(".names"), top, gatherer, walk, plan.looks)
            stack.enter_context(closing(supplement))
            comparison = Comparison(walk, plan.looks, new, parent)
            follower = Follower(gatherer, comparison, top, supplement.take)
            yield from follower.followed(blocks)
            if follower.has_ended:
                passed = follower.passed
                for piece in self._added(new, supplement):
                    passed += len(piece)
                    yield piece
                yield END_MARK + bytes(-(passed + len(END_MARK)) % _RECORD_SIZE)
            gatherer.flush()
            new.finish()
        self._conclude(follower, supplement)

    def _added(self, new: NewIndex, supplement: Supplement) -> Iterator[Block]:
        if not supplement.is_needed:
            return
        for name in new.names_of_taken():
            supplement.take(name)
        plan = self._plan
        stage = plan.supplement(plan.index.with_suffix(".names"))
        yield from supplement.members(stage, plan.reviews[1], self._since_ns, plan.stall_timeout)
        unreadable = sum(review.counted for review in plan.reviews)
        if unreadable > plan.most:
            limit = Directives.UNREADABLE.shown(plan.most)
            raise PipelineError(f"{counted(unreadable, 'path')} could not be read, and Unreadable is “{limit}”")

    def _conclude(self, follower: Follower, supplement: Supplement) -> None:
        review = self._plan.reviews[1]
        self.unread = {*supplement.left_out, *review.unread.paths}
        self.forgotten = supplement.forgotten + review.unread.count - len(review.unread.paths)
        self.left_out = {*supplement.left_out, *review.left_out}
        self.is_complete = supplement.is_complete and review.is_complete
        self.warnings = supplement.warnings
        if follower.flaw:
            if supplement.is_needed:
                raise PipelineError(f"tar wrote what cannot be followed: {follower.flaw}")
            self._plan.index.unlink()
            lost = "no index could be made, so that the next DIFFs go by time alone"
            self.warnings = [f"{lost}: tar wrote what cannot be followed ({follower.flaw})"]
