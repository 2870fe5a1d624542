"""The second tar of a DIFF: it adds what the first one passed over although it is not as the parent archive has it.

It is given names, and opens each by its whole path. Whoever owns a folder on the way can put a link in its place
meanwhile, and have a file from elsewhere archived as the own. So each member is held against the tree, reached anew
without following links, before it passes.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from s3napback.durable import create_private
from s3napback.errors import PipelineError
from s3napback.index.comparing import Looks
from s3napback.index.gathering import Gatherer
from s3napback.index.headers import Headers, path_below
from s3napback.index.records import LEFT_OUT, Record
from s3napback.index.walking import Walk
from s3napback.scarcity import require_means
from s3napback.sources.kept_out import KEPT_OUT, KeptOut
from s3napback.sources.tar_review import TarReview
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.tar_headers import HARD_LINK, Member
from s3napback.streams.tar_stream import TarFollower
from s3napback.streams.transformations import Block

_BLOCK = 1 << 18


class Supplement:
    """Adds members to one archive.

    Attributes:
        out: what did not pass.
        remarks: what tar said that is to be told, one line each.
    """

    def __init__(self, names: Path, top: bytes, gatherer: Gatherer, walk: Walk, looks: Looks) -> None:
        """Begin.

        Args:
            names: a file that does not exist, for the names that are given to tar.
            top: the source as it stands in the archive, normalised.
            gatherer: is told of what passes.
            walk: through the tree.
            looks: how names are looked at.
        """
        self.out = KeptOut()
        self.remarks: list[str] = []
        self._names = names
        self._top = top
        self._gatherer = gatherer
        self._walk = walk
        self._looks = looks
        self._count = 0
        self._place = b""
        self._file = _private_file(names)

    def close(self) -> None:
        """Give back the file."""
        self._file.close()

    def take(self, name: bytes) -> None:
        """Have a name added, which stands in the archive so."""
        self._file.write(name + b"\0")
        self._count += 1

    @property
    def is_needed(self) -> bool:
        """Something is to be added."""
        return self._count > 0

    @property
    def warnings(self) -> list[str]:
        """What was kept out and why, and what tar said, one line each."""
        return [*self.out.warnings, *self.remarks]

    def members(self, stage: Stage, review: TarReview, since_ns: int, stall_timeout: float | None) -> Iterator[Block]:
        """The members that are added, without an end mark.

        Args:
            stage: the tar.
            review: of the same.
            since_ns: what was changed since then, in nanoseconds since 1970, may differ from its member.
            stall_timeout: in seconds, of silence.

        Raises:
            PipelineError: tar failed.
        """
        self._file.flush()
        self._walk.begin_anew()
        with (
            _private_file(self._names.with_suffix(".skipped")) as skipped,
            Pipeline([stage], stall_timeout=stall_timeout) as pipeline,
        ):
            offered = _read_names(self._file)
            follower = TarFollower()
            passes = False
            for block in _blocks(pipeline):
                for part in follower.feed(block):
                    if isinstance(part, Member):
                        _go_on_to(part.path.rstrip(b"/"), offered, skipped)
                        passes = self._passes(part, since_ns)
                        if passes:
                            yield from part.raw
                    elif passes:
                        yield part
            follower.finish()
            self.remarks += pipeline.warnings
            for name in offered:
                skipped.write(name + b"\0")
            self._note_left_out(_read_names(skipped), review)

    def _passes(self, member: Member, since_ns: int) -> bool:
        headers = Headers(b"".join(member.raw))
        folder, _, name = headers.path.rpartition(b"/")
        record = self._gatherer.linked(headers) if headers.type == HARD_LINK else headers.record
        if isinstance(record, tuple) and not member.is_directory and self._lies_there(folder, name, record, since_ns):
            self._gatherer.put_member(headers, record)
            return True
        self.out.add(posixpath.normpath(member.path), KEPT_OUT)
        return False

    def _lies_there(self, folder: bytes, name: bytes, record: Record, since_ns: int) -> bool:
        if folder != self._place:
            self._walk.begin_anew()
            self._place = folder
        try:
            descriptor = self._walk.folder(path_below(folder, self._top))
            status = self._looks.look(name, descriptor)
            if status.st_mtime_ns < since_ns:
                return self._looks.are_equal(record, status, name, descriptor)
        except OSError as error:
            require_means(error)
            return False
        return self._looks.are_alike(record, status)

    def _note_left_out(self, skipped: Iterator[bytes], review: TarReview) -> None:
        """What was offered and not given is left out by a pattern, unless tar said that it could not be read."""
        unread = review.left_out
        if not review.is_complete:
            return
        for path in skipped:
            if posixpath.normpath(path) not in unread:
                folder, _, name = path.rpartition(b"/")
                self._gatherer.put(folder, name, LEFT_OUT)


def _private_file(path: Path) -> BinaryIO:
    os.close(create_private(path))
    return path.open("r+b")


def _go_on_to(path: bytes, offered: Iterator[bytes], skipped: BinaryIO) -> None:
    """Go on to a name among those that were offered, noting those that are passed over."""
    for name in offered:
        if name == path:
            return
        skipped.write(name + b"\0")
    raise PipelineError("tar archived what it was not asked for")


def _read_names(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    rest = b""
    while block := file.read(_BLOCK):
        *whole, rest = (rest + block).split(b"\0")
        yield from whole


def _blocks(pipeline: Pipeline) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(_BLOCK))
    while count := pipeline.readinto(buffer):
        yield buffer[:count]
