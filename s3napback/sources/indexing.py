"""An archive's index made while the archive passes, and what a DIFF lacks by it added to the same stream.

Two things are made: of an archive on which DIFFs can build the index of the tree, for state; and of every one the lines
that tell where in it each member stands, for the store.
"""

from __future__ import annotations

import os
import posixpath
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from s3napback.config.directives import Directives
from s3napback.errors import PipelineError, StateError
from s3napback.formatting import counted
from s3napback.index.before import NamesBefore
from s3napback.index.comparing import Comparison, Looks
from s3napback.index.database import NewIndex
from s3napback.index.follower import Follower, Gate
from s3napback.index.gathering import Gatherer
from s3napback.index.head import SECRET_SIZE, head_of
from s3napback.index.lines import Lines, LineWriter
from s3napback.index.naming import told
from s3napback.index.parent import ParentIndex
from s3napback.index.records import DIRECTORY, STORED, UNREAD
from s3napback.index.walking import Walk
from s3napback.mounts import current_mounts, maps_owners, visible_within
from s3napback.owners import unknown_ids
from s3napback.records import dataclass
from s3napback.sources import WORKING
from s3napback.sources.snapshot import snapshot_time
from s3napback.sources.supplement import Supplement
from s3napback.sources.tar_review import TarReview
from s3napback.streams.processes import Stage
from s3napback.streams.tar_stream import end_behind
from s3napback.streams.transformations import Block

_MAY_BE_HELD = (STORED, DIRECTORY, UNREAD)
"""Letters of names in an index, something of which may be in its archive or in an older one."""


@dataclass(frozen=True)
class IndexingTask:
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


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Say where an index is made, if that fails: on a mount that has died, or has not what an index needs."""
    try:
        yield
    except OSError as error:
        raise StateError(f"the index cannot be made in {folder}: {error.strerror or error}") from error


def _begun_ns(snapshot: Path) -> int:
    """When the archive began that left a snapshot behind, in nanoseconds since 1970."""
    with snapshot.open("rb") as stream:
        return snapshot_time(stream) * 1_000_000_000


class Listing:
    """The making of the lines alone.

    Attributes:
        lines: what was made; None until the archive has ended, or if tar wrote what cannot be followed.
        warnings: what is to be told, one line each.
    """

    def __init__(self, member: str, top: str, path: Path, gate: Gate) -> None:
        """Begin.

        Args:
            member: the source as tar was told, relative to the root directory.
            top: its real path.
            path: of a file for the lines, that does not exist.
            gate: decides which members pass.
        """
        self.lines: Lines | None = None
        self.warnings: Sequence[str] = ()
        self._top = posixpath.normpath(os.fsencode(member))
        self._unknown = _unknown_in(top)
        self._path = path
        self._gate = gate

    def followed(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        """Pass the archive on, with a head."""
        secret = os.urandom(SECRET_SIZE)
        with _naming(self._path.parent), LineWriter(self._path, self._unknown) as writer:
            gatherer = Gatherer(None, self._top, writer)
            follower = Follower(gatherer, None, self._top, _take_nothing, self._gate)
            yield head_of(secret)
            yield from follower.followed(blocks)
            if follower.has_ended:
                yield end_behind(len(head_of(secret)) + follower.passed)
            gatherer.flush()
            lines = writer.finish(secret)
        self.lines = None if follower.flaw else lines
        if self.lines is None:
            self.warnings = [_without_lines(_odd(follower) if follower.flaw else writer.problem)]
        self.warnings = [*self.warnings, *_of_owners(writer)]


class Indexing:
    """The making of one archive's index.

    Attributes:
        lines: see ``Listing``.
        left_out: paths, normalised, as in the archive, of what the second tar was to add and could not.
        unread: those among them that were there, and are not read because of that.
        forgotten: how many others are not known by name.
        is_complete: all of them are remembered.
        warnings: what is to be told, one line each.
    """

    def __init__(self, plan: IndexingTask, gate: Gate) -> None:
        """Begin; ``gate`` decides which members pass."""
        self.lines: Lines | None = None
        self.left_out: Collection[bytes] = ()
        self.unread: Collection[bytes] = ()
        self.forgotten = 0
        self.is_complete = True
        self.warnings: Sequence[str] = ()
        self._plan = plan
        self._gate = gate
        self._since_ns = time.time_ns()
        # While tar has not written it anew.
        self._links_since_ns = _begun_ns(plan.index.with_name(WORKING)) if plan.parent and plan.looks.follows else 0

    def followed(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        """Pass the archive on, with what is added."""
        plan = self._plan
        top = posixpath.normpath(os.fsencode(plan.member))
        secret = os.urandom(SECRET_SIZE)
        with _naming(plan.index.parent), ExitStack() as stack:
            writer = stack.enter_context(LineWriter(plan.index.with_suffix(".lines"), _unknown_in(plan.top)))
            new = stack.enter_context(NewIndex(plan.index, plan.index.with_suffix(".links")))
            parent = stack.enter_context(ParentIndex(plan.parent)) if plan.parent else None
            walk = stack.enter_context(Walk(plan.top, follows=plan.looks.follows))
            gatherer = Gatherer(new, top, writer)
            supplement = Supplement(plan.index.with_suffix(".names"), top, gatherer, walk, plan.looks)
            stack.enter_context(closing(supplement))
            comparison = Comparison(walk, plan.looks, new, parent, self._links_since_ns)
            follower = Follower(gatherer, comparison, top, supplement.take, self._gate)
            yield head_of(secret)
            yield from follower.followed(blocks)
            if follower.has_ended:
                passed = len(head_of(secret)) + follower.passed
                for piece in self._added(new, supplement):
                    passed += len(piece)
                    yield piece
                yield end_behind(passed)
            gatherer.flush()
            comparison.settle()
            new.finish()
            if not follower.flaw:
                for path, now, before in new.differing(plan.parent):
                    writer.write_names(path, told(now, before if plan.parent else None))
            lines = writer.finish(secret)
        self.lines = None if follower.flaw else lines
        self._conclude(follower, supplement)
        if writer.problem and not follower.flaw:
            self.warnings = [*self.warnings, _without_lines(writer.problem)]
        self.warnings = [*self.warnings, *_of_owners(writer)]

    def _added(self, new: NewIndex, supplement: Supplement) -> Iterator[Block]:
        for name in new.names_of_taken():
            supplement.take(name)
        if not supplement.is_needed:
            return
        plan = self._plan
        stage = plan.supplement(plan.index.with_suffix(".names"))
        yield from supplement.members(stage, plan.reviews[1], self._since_ns, plan.stall_timeout)
        unreadable = sum(review.counted for review in plan.reviews)
        if unreadable > plan.most:
            limit = Directives.UNREADABLE.shown(plan.most)
            raise PipelineError(f"{counted(unreadable, 'path')} could not be read, and Unreadable is “{limit}”")

    def _conclude(self, follower: Follower, supplement: Supplement) -> None:
        review = self._plan.reviews[1]
        self.unread = {*supplement.out.paths, *review.unread.paths}
        self.forgotten = supplement.out.forgotten + review.unread.count - len(review.unread.paths)
        self.left_out = {*supplement.out.paths, *review.left_out}
        self.is_complete = supplement.out.is_complete and review.is_complete
        self.warnings = supplement.warnings
        if follower.flaw:
            if supplement.is_needed:
                raise PipelineError(_odd(follower))
            self._plan.index.unlink()
            lost = "no index could be made, so that the next DIFFs go by time alone"
            self.warnings = [f"{lost}: {_odd(follower)}"]

    def coming_back(self, left_out: Collection[bytes]) -> set[bytes]:
        """Paths that were listed and not read, of which older archives may hold something that a restore brings.

        What has vanished before it was read is not missed otherwise.

        Args:
            left_out: paths, normalised, as in the archive, that the first tar could not read.

        Raises:
            SourceError: the parent's index is damaged.
        """
        plan, found, paths = self._plan, set[bytes](), {*left_out, *self.left_out}
        if plan.parent is None or not paths:
            return found
        top = posixpath.normpath(os.fsencode(plan.member))
        below = b"" if top == b"." else top + b"/"
        with ParentIndex(plan.parent) as parent:
            for path in paths:
                folder, _, name = path.removeprefix(below).rpartition(b"/")
                before = NamesBefore(parent, folder)
                if before.part_of(name).look_up(name)[0] in _MAY_BE_HELD or before.has_lapsed:
                    found.add(path)
        return found


def _without_lines(problem: str) -> str:
    return f"no list could be made of what is in the archive, so that single files are found by reading it: {problem}"


def _unknown_in(top: str) -> tuple[int, int]:
    """As which user and group those are shown in a directory whom we, or what is mounted there, do not know."""
    return unknown_ids(are_mapped=any(map(maps_owners, visible_within(top, current_mounts()))))


def _of_owners(writer: LineWriter) -> Iterator[str]:
    if writer.has_unknown_owners:
        yield (
            "some of it belongs to users or groups whom this user namespace does not know, or an idmapped mount, and "
            "is archived as nobody's, as which it comes back: have s3napback run outside of it, or back up what is "
            "mounted there"
        )
    if writer.has_unknown_in_lists:
        yield (
            "some of it has access lists (ACL) that name users or groups whom this user namespace does not know, or an "
            "idmapped mount: no restore can set these lists; have s3napback run outside of it, or back up what is "
            "mounted there"
        )


def _take_nothing(_name: bytes) -> None:
    """Nothing is added to an archive on which no DIFF builds, and which is none."""


def _odd(follower: Follower) -> str:
    return f"tar wrote what cannot be followed ({follower.flaw})"
